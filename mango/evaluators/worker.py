"""One Ray worker as the evaluator sees it: its actor, the calls it was handed, and what it has done so far."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import ray
from ray.exceptions import RayError

from mango.evaluators.actor import TAKING, Failure, Ready, packed, unpacked
from mango.evaluators.base import WorkerState
from mango.trial import Result, Trial

IN_FLIGHT = 2  # calls for each that runs: another waits, so that no worker idles while we answer


@dataclass(eq=False, slots=True)
class Chunk:
    """Trials that were cut together, and go back together."""

    trials: list[Trial]
    results: dict[tuple[int, int], Result] = field(default_factory=dict)  # by number and attempt


@dataclass(eq=False, slots=True)
class Call:
    """A chunk, or one trial of it, on its way through a worker."""

    chunk: Chunk
    trials: list[Trial]
    deaths: int = 0
    key: Any = None  # at its worker
    alone: bool = False  # it may have killed a worker, which shows when it is all that a worker has
    since: float = 0.0  # when a worker began it, as far as we saw


class Worker:
    """An actor that evaluates one call after the other; when it dies, the next actor takes its place.

    Args:
        number: from 1.
        make: starts an actor.

    Attributes:
        slots: calls that run at the same time.
        actor: None where it was given up.
        built: the actor has generator and target.
        calls: in the order in which it begins them, by the references or numbers of their answers.
    """

    slots = 1

    def __init__(self, number: int, make: Callable[[], Any]) -> None:
        self.actor: Any = None
        self.built = False
        self.calls: dict[Any, Call] = {}
        self._number = number
        self._make = make
        self._check: Any = None  # the question whether it is ready, until it answers
        self._pid: int | None = None
        self._born: float | None = None  # when it was first ready
        self._trials = 0
        self._deaths = 0

    # -- the actor -------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Starts an actor where there is none."""
        if self.actor is None:
            self.actor = self._make()
            self._check = self.actor.ready.remote()

    def ask(self) -> None:
        """Asks an idle actor whether it lives; it takes no call before it has answered."""
        if self.built and not self.calls and self._check is None:
            self._check = self.actor.ready.remote()

    def end(self) -> list[Call]:
        """Ends the actor at once; the calls that it had."""
        if self.actor is not None and ray.is_initialized():
            with suppress(RayError):
                ray.kill(self.actor, no_restart=True)
        calls, self.calls = list(self.calls.values()), {}
        self.actor = self._check = None
        self.built = False
        return calls

    def die(self) -> list[Call]:
        """The same, counted as a death."""
        self._deaths += 1
        self._pid = None
        return self.end()

    # -- calls -----------------------------------------------------------------------------------------------------

    def takes(self, call: Call) -> bool:
        """Whether it may be handed a call now."""
        if not self.built or self._check is not None:
            return False
        first = next(iter(self.calls.values()), call)
        return not self.calls or (len(self.calls) < IN_FLIGHT * self.slots and not call.alone and not first.alone)

    def hand(self, call: Call) -> None:
        """Gives it a call."""
        call.key, call.since = self.actor.evaluate.remote(packed(call.trials)), time.monotonic()
        self.calls[call.key] = call

    def flush(self) -> None:
        """Sends what was handed and not sent at once."""

    @property
    def head(self) -> Any:
        """What it comes to next, its check or its first call; None where it idles."""
        return next(iter(self.calls), None) if self._check is None else self._check

    def answered(self, ref: Any, answer: Any) -> Iterator[tuple[Call | None, Any]]:
        """What its head has come to: answers to calls, or to a check (None)."""
        if ref == self._check:
            yield None, answer
        elif ref in self.calls:
            yield self.calls[ref], unpacked(answer)

    def greet(self, answer: Ready | Failure) -> None:
        """It has answered the check; after a failure it takes no calls."""
        self._check = None
        if isinstance(answer, Ready):
            self.built, self._pid = True, answer.pid
            self._born = self._born or time.monotonic()

    def drop(self, call: Call) -> None:
        """A call was answered; the next one begins."""
        del self.calls[call.key]
        self._trials += len(call.trials)
        if len(self.calls) >= self.slots:
            self.running[-1].since = time.monotonic()

    @property
    def running(self) -> list[Call]:
        """Calls that it has begun, as far as we saw."""
        return list(itertools.islice(self.calls.values(), self.slots))

    def overran(self, limit: float, now: float) -> Call | None:
        """A call that runs for longer than its trials may, ``limit`` seconds each."""
        return next((call for call in self.running if now - call.since > limit * len(call.trials)), None)

    def state(self) -> WorkerState:
        """What it does now."""
        running = min(len(self.calls), self.slots)
        doing = "given up" if self.actor is None else "busy" if running else "idle" if self.built else "starting"
        rate = self._trials / max(time.monotonic() - self._born, 1e-9) if self._born else 0.0
        return WorkerState(self._number, self._pid, doing, running, self.slots, self._trials, rate, self._deaths)


class ThreadedWorker(Worker):
    """An actor of several threads, which is sent several calls at once and gives back whatever is done.

    Args:
        number: from 1.
        make: starts an actor.
        slots: its threads.
    """

    def __init__(self, number: int, make: Callable[[], Any], slots: int) -> None:
        super().__init__(number, make)
        self.slots = slots
        self._numbers = itertools.count()
        self._unsent: list[tuple[int, bytes]] = []
        self._taking: Any = None  # what it was asked for, until that is taken in

    def end(self) -> list[Call]:
        """Ends the actor at once; the calls that it had."""
        self._unsent, self._taking = [], None
        return super().end()

    def hand(self, call: Call) -> None:
        """Gives it a call, which `flush` sends."""
        call.key, call.since = next(self._numbers), time.monotonic()
        self._unsent.append((call.key, packed(call.trials)))
        self.calls[call.key] = call

    def flush(self) -> None:
        """Sends what was handed, and asks for what is done."""
        if self._unsent:
            self.actor.put.remote(self._unsent)
            self._unsent = []
        if self.calls and self._taking is None:
            self._taking = self.actor.take.options(concurrency_group=TAKING).remote()

    @property
    def head(self) -> Any:
        """What it comes to next, its check or whatever it has done; None where it idles."""
        return self._taking if self._check is None else self._check

    def answered(self, ref: Any, answer: Any) -> Iterator[tuple[Call | None, Any]]:
        """What its head has come to: answers to calls, or to a check (None)."""
        if ref != self._taking:
            yield from super().answered(ref, answer)
            return
        for number, results in answer:
            if number in self.calls:  # else it was sent twice
                yield self.calls[number], unpacked(results)
        self._taking = None  # only now: Ctrl-C may repeat a step, but must not lose an answer
