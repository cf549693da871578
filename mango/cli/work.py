"""`mango work`: has this machine evaluate a study of a service, alone or beside other clients, until the study ends."""

from __future__ import annotations

import json
import math
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from mango.cli.serve import TOKEN, tokens_of
from mango.errors import InputError, MangoError, OptionError

if TYPE_CHECKING:
    from mango.evaluators.base import Evaluator, WorkerState
    from mango.search.progress import Listener
    from mango.search.settings import Settings
    from mango.service.client import Client
    from mango.space import SearchSpace
    from mango.trial import Result, Trial

SAY_AGAIN = 30.0  # seconds after which it is said again that the service is away
LOOK = 2.0  # seconds from one look at the best trial to the next

console = Console(stderr=True, highlight=False, emoji=False)


def work(
    url: Annotated[str, typer.Argument(metavar="URL", help="Of the service: http://HOST:8700.", show_default=False)],
    study: Annotated[str, typer.Option(help="Name of the study.", show_default=False)],
    target: Annotated[
        str, typer.Option(help="What answers stimuli: see `mango list targets`, or module:factory.", show_default=False)
    ],
    generator: Annotated[
        str | None, typer.Option(help="What makes stimuli; by default as the study says.", show_default=False)
    ] = None,
    workers: Annotated[int, typer.Option(help="Ray processes; 0 evaluates in this one.")] = 2,
    chunk: Annotated[int | None, typer.Option(help="Trials in one call of the target; by default its best.")] = None,
    lease: Annotated[
        float | None, typer.Option(help="Seconds after which others get what is not answered; by default the study's.")
    ] = None,
    time_limit: Annotated[float | None, typer.Option(help="Seconds for each evaluation.")] = None,
    ray_address: Annotated[str | None, typer.Option(help="Of a Ray cluster, such as 10.0.0.5:6379.")] = None,
    gpus: Annotated[float, typer.Option(help="Of each worker, or its share of one, such as 0.5.")] = 0.0,
    token_file: Annotated[
        Path | None, typer.Option(help=f"That holds the service's token; else {TOKEN} in the environment is it.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object on standard output, for machines.")
    ] = False,
) -> None:
    """Evaluate a study of a service here until it ends; Ctrl-C or SIGTERM gives back what is not answered."""
    from mango.cli.live import Live
    from mango.running import run
    from mango.search.settings import Settings
    from mango.service.client import Client

    token = next(iter(tokens_of(token_file, TOKEN)), None)
    away = Away()
    try:
        with Client(url, study, token=token, lease=lease, retry_for=math.inf, on_retry=away) as client:
            answered = 0
            if not client.finished:
                settings = Settings(
                    generator=generator or _generator_of(client),
                    target=target,
                    workers=workers,
                    chunk=chunk,
                    time_limit=time_limit,
                    ray_address=ray_address,
                    gpus=gpus,
                )
                with (
                    _evaluator(settings, client) as evaluator,
                    Live(console) as live,
                    giving_back(client),
                    terminable(),
                ):
                    shift = Shift(client, live, away, getattr(evaluator, "workers", None))
                    run(shift, evaluator)
                answered = shift.answered
            found = _outcome(client, answered)
    except KeyboardInterrupt as stop:
        raise typer.Exit(128 + (signal.SIGTERM if isinstance(stop, Terminated) else signal.SIGINT)) from None
    print(json.dumps(found) if as_json else _said(found))


class Shift:
    """A client whose standing a listener is told at every step; `mango.run` takes it for the study.

    Attributes:
        answered: trials that were told here.
    """

    def __init__(
        self,
        client: Client,
        listener: Listener,
        away: Away,
        workers: Callable[[], Sequence[WorkerState]] | None = None,
    ) -> None:
        from mango.search.progress import nobody

        self.answered = 0
        self._client, self._listener, self._away = client, listener, away
        self._workers = workers or nobody
        self._best = client.best()
        self._looked = self._start = time.monotonic()
        self._before = client.counts()["presentations"]
        self._show("starting")

    @property
    def finished(self) -> bool:
        """Of the study."""
        return self._client.finished

    @property
    def patience(self) -> float | None:
        """Of the client."""
        return self._client.patience

    def ask(self, n: int) -> list[Trial]:
        """Trials, or the news that there are none."""
        trials = self._client.ask(n)
        self._away.back()
        if trials or self._client.held:
            self._show("evaluating")
        else:
            self._show("paused" if self._client.state == "paused" else "waiting for answers of others")
        return trials

    def tell(self, results: Sequence[Result]) -> None:
        """Answers, and from time to time a look at the best of all clients."""
        self._client.tell(results)
        self._away.back()
        self.answered += len(results)
        if time.monotonic() - self._looked > LOOK or self._client.finished:
            self._best, self._looked = self._client.best(), time.monotonic()
        self._show("evaluating")

    def _done(self) -> int:
        return self._client.last_counts["presentations"]

    def _show(self, stage: str) -> None:
        from mango.search.progress import Progress

        client, done = self._client, self._done()
        total = 0 if client.budget is None else max(client.budget // client.repeats * client.repeats, done)
        rate = (done - self._before) / max(time.monotonic() - self._start, 1e-9)
        best = None if self._best is None else self._best.value
        self._listener(Progress(client.name, stage, done, total, best, rate or None, self._workers))


class Away:
    """Says when the service does not answer, now and then while it does not, and when it is back."""

    def __init__(self) -> None:
        self._said: float | None = None  # when

    def __call__(self, message: str, seconds: float) -> None:  # noqa: ARG002
        """A request failed, and will be sent again."""
        if self._said is None or time.monotonic() - self._said > SAY_AGAIN:
            self._said = time.monotonic()
            console.print(f"{escape(message)}; trying again (Ctrl-C stops)", soft_wrap=True)

    def back(self) -> None:
        """A request was answered."""
        if self._said is not None:
            self._said = None
            console.print("the service answers again", soft_wrap=True)


class Terminated(KeyboardInterrupt):
    """SIGTERM came."""


@contextmanager
def terminable() -> Iterator[None]:
    """SIGTERM interrupts the work as Ctrl-C does; once that is over, another one ends the process."""
    came = False

    def interrupt(sig: int, frame: FrameType | None) -> None:  # noqa: ARG001
        nonlocal came
        came = True
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)  # Ray has one that only exits
    try:
        yield
    except KeyboardInterrupt as stop:  # Ray raises its own in place of another
        raise Terminated if came else stop from None
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def giving_back(client: Client) -> Iterator[None]:
    """Whatever ends the work, others have at once what was not answered."""
    try:
        yield
    except BaseException as error:
        try:
            given = len(client.give_back())
            told = f"{given} trials were given back" if given else "no trial was out"
        except MangoError as failure:
            told = f"{escape(str(failure))}; {len(client.held)} trials are handed out again when their lease ends"
        console.print(f"{'stopped' if isinstance(error, KeyboardInterrupt) else 'failed'}: {told}", soft_wrap=True)
        raise


def _generator_of(client: Client) -> str:
    """The generator that the study names.

    Raises:
        OptionError: it names none.
    """
    if client.generator is None:
        raise OptionError(
            f"the study {client.name!r} has a space ({_axes(client.space)}) and no generator; give --generator"
        )
    return client.generator


def _evaluator(settings: Settings, client: Client) -> Evaluator:
    """What evaluates.

    Raises:
        InputError: the generator has another space than the study.
        MangoError: a name that cannot be made here.
    """
    from mango.configuration import same_space
    from mango.evaluators.base import build
    from mango.search.evaluator import make_evaluator

    generator, target = build(settings.generator, settings.target)
    if not same_space(generator.space, client.space):
        named = f"it was made with {client.generator}" if client.generator else "it was made without a generator"
        raise InputError(
            f"the study {client.name!r} searches another space ({_axes(client.space)}) than that of the generator "
            f"{settings.generator} ({_axes(generator.space)}): {named}"
        )
    return make_evaluator(settings, settings.generator if settings.workers else generator, target)


def _axes(space: SearchSpace) -> str:
    return f"{space.dim} axes from {space.lower.min():g} to {space.upper.max():g}"


def _outcome(client: Client, answered: int) -> dict[str, Any]:
    """What became of the study, and how many of its trials were answered here."""
    counts, best = client.counts(), client.best()
    told = None if best is None else {"number": best.number, "value": best.value}
    return {"study": client.name, "state": client.state, "answered_here": answered, "counts": counts, "best": told}


def _said(found: dict[str, Any]) -> str:
    from mango.analysis.findings import number

    counts, best = found["counts"], found["best"]
    budget = f" of {counts['budget']:,}" if "budget" in counts else ""
    lines = f"{found['study']}: {found['state']}, {counts['presentations']:,}{budget} presentations answered"
    lines += f"; {found['answered_here']:,} trials here"
    return lines if best is None else f"{lines}; best {number(best['value'])}, trial {best['number']}"
