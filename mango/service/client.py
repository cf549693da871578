"""A study elsewhere: `Client` asks and tells over HTTP what `mango.Study` does here."""

from __future__ import annotations

import io
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import closing
from functools import cached_property
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mango.errors import InputError, TellError
from mango.exchange import Block, Receipt
from mango.service import wire
from mango.service.calls import RETRY_FOR, TIMEOUT, Calls, Notice, silent
from mango.space import SearchSpace
from mango.trial import Confirmed, Reference, Result, Trial, TrialRecord

ENDED = ("finished", "exhausted")
FRESH = 1.0  # seconds for which the state that was last heard is taken as it is
SOON, LATE = 0.05, 2.0  # seconds from one empty ask to the next, doubled from one to the other
PAGE, NUMBERS = 1000, 2**20  # trials, and numbers of their codes, in one answer
BRIEFLY = 3.0  # seconds for which giving back is tried


class Client:
    """A study of a service, as a `mango.Study` is used: `run` evaluates it, several clients may share it. Thread-safe.

    A request that fails because the service is away, busy or restarted is sent again. An ask and a tell carry a key
    that stays the same over their tries, so that no trial is handed out twice for one ask, and no answer taken twice.
    An error of the service is raised here: the same class of `mango.errors`, the same message.

    Args:
        url: of the service, such as ``"http://127.0.0.1:8700"``.
        study: its name.
        token: that the service wants; by default ``$MANGO_TOKEN``.
        lease: seconds that a trial stays with this client; by default what the study says. One that is not answered by
            then is handed out again, to whoever asks.
        timeout: seconds for each try of a request.
        retry_for: seconds after the first try in which another may begin; infinity: for ever.
        on_retry: told why a request is tried again, and after how many seconds.

    Attributes:
        name: of the study.
        generator: its name where the study has one, else None.
        stimulus_shape: of one stimulus; None without a generator.
        budget: of the study; None where it asks until it is finished.
        repeats, seed: of the study.

    Raises:
        UnknownName: the service has no such study.
        ServiceError: it cannot be reached, or does not let this client in.
        OptionError: an argument that cannot be used.
    """

    def __init__(
        self,
        url: str,
        study: str,
        *,
        token: str | None = None,
        lease: float | None = None,
        timeout: float = TIMEOUT,
        retry_for: float = RETRY_FOR,
        on_retry: Notice = silent,
    ) -> None:
        calls = Calls(url, token, timeout=timeout, retry_for=retry_for, on_retry=on_retry)
        try:
            summary = calls.json("GET", _path(study))
        except BaseException:
            calls.close()
            raise
        self._calls = calls
        self._lease = lease
        self.name: str = summary["name"]
        self.generator: str | None = summary["generator"]
        shape = summary["stimulus_shape"]
        self.stimulus_shape: tuple[int, ...] | None = None if shape is None else tuple(shape)
        self.budget: int | None = summary["budget"]
        self.repeats, self.seed = (int(summary[name]) for name in ("repeats", "seed"))
        self._lock = threading.Lock()  # of what follows
        self._held: dict[int, int] = {}  # trials handed to this client and not told: number -> attempt
        self._unanswered: dict[str, dict[str, Any]] = {}  # asks by key whose block, if there is one, never came
        self._empty = 0  # asks in a row that got nothing
        self._hear(summary["state"], summary["counts"])

    @classmethod
    def create(
        cls,
        url: str,
        study: str,
        *,
        budget: int | None,
        generator: str | None = None,
        space: SearchSpace | None = None,
        token: str | None = None,
        **settings: Any,
    ) -> Self:
        """Has the service make a study, of a generator that it knows or of a space.

        Args:
            url: of the service.
            study: its name.
            budget: presentations in all; None: the study asks until it is finished.
            generator: its name.
            space: one whose axes are all alike.
            token: that the service wants; by default ``$MANGO_TOKEN``.
            settings: ``optimizer seed batch repeats chart options weight leaders confirm ordered meta`` as
                `mango.Study` takes them, though ordered only where it is said, and what the service needs besides:
                ``lease`` in seconds, ``image``, ``references``, ``natural_maximum``; its page ``/docs`` has them all.

        Raises:
            StudyExists: the service already has a study of that name.
            InputError: an argument that cannot be used.
            ServiceError: as the class; where it says that the study may have been made, look before making it again.
        """
        described = None if space is None else wire.described(space)
        body = {"name": study, "budget": budget, "generator": generator, "space": described, **settings}
        with closing(Calls(url, token)) as calls:
            calls.json("POST", "/v1/studies", body, repeatable=False)
        return cls(url, study, token=token)

    @cached_property
    def space(self) -> SearchSpace:
        """Of the codes."""
        return wire.space_of(self._calls.json("GET", _path(self.name, "space")))

    # -- ask and tell ----------------------------------------------------------------------------------------------

    def ask(self, n: int) -> list[Trial]:
        """Up to ``n`` trials to evaluate, in the order in which to show them; see `hand_out`."""
        return self.hand_out(n).trials

    def hand_out(self, n: int, *, lease: float | None = None) -> Block:
        """Up to ``n`` trials and the showings of references among them.

        None while the study is paused or waits for answers, which may be those of other clients: ask again after
        `patience` seconds. None once it has ended, either.

        Args:
            n: trials, at the most.
            lease: seconds, in place of this client's.

        Raises:
            InputError: ``n`` is no whole number >= 1, or the lease no number of seconds > 0.
            MangoError: from the service.
        """
        if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 1:
            raise InputError(f"ask(n) needs a whole number n >= 1; got {n!r}")
        wanted = {"n": int(n), "lease": self._lease if lease is None else lease}
        key, dtype = uuid.uuid4().hex, self.space.dtype
        with self._lock:
            self._unanswered[key] = wanted
        told = self._asked(key, wanted)
        with self._lock:
            self._empty = 0 if told["trials"] else self._empty + 1
        self._hear(told["state"])
        references = [Reference(r["presentation"], r["image"], r["after"], r["asked_at"]) for r in told["references"]]
        return Block([wire.trial_of(row, dtype, self.seed) for row in told["trials"]], references, told["sequence"])

    def tell(self, results: Sequence[Result]) -> None:
        """Answers to trials, failed ones too, in any order; accepted whole or refused whole.

        Telling the same again is nothing, and an answer that comes too late is kept beside the one that was accepted.

        Raises:
            TellError: an answer that does not fit its trial, or contradicts another of the same attempt.
            MangoError: from the service; nothing changes, or it can be told again.
        """
        self.take_in(results)

    def take_in(
        self,
        results: Sequence[Result],
        *,
        references: Mapping[int, Sequence[float]] | None = None,
        responses: Mapping[int, NDArray[Any]] | None = None,
    ) -> Receipt:
        """As `tell`, and says what became of each answer.

        Args:
            results: to trials.
            references: values of showings of reference images, by presentation.
            responses: anything else that was recorded, ``(channels,)`` or ``(repeats, channels)``, by trial number;
                each of them among the results.
        """
        for result in results:
            if not isinstance(result, Result):
                raise TellError(f"tell takes mango.Result objects; got {type(result).__name__}")
        kept = dict(responses or {})
        if strange := set(kept) - {result.number for result in results}:
            raise TellError(f"responses need a result of the same trial; trials {sorted(strange)} have none")
        body = {
            "results": [wire.told(result, kept.get(result.number)) for result in results],
            "references": [{"presentation": int(p), "values": wire.floats(v)} for p, v in (references or {}).items()],
        }
        told = self._calls.json("POST", _path(self.name, "tell"), body, key=uuid.uuid4().hex)
        self._let_go({result.number: result.attempt for result in results})
        self._hear(told["state"], told["counts"])
        return Receipt(told["accepted"], told["late"], told["repeated"])

    @property
    def held(self) -> dict[int, int]:
        """Trials that this client has and has neither told nor given back: number -> attempt."""
        with self._lock:
            return dict(self._held)

    @property
    def patience(self) -> float:
        """Seconds to the next ask: few after the first that got nothing, more after each further one."""
        return LATE if not self._empty else min(LATE, SOON * 2.0 ** (self._empty - 1))

    def release(self, attempts: Mapping[int, int]) -> list[int]:
        """Trials that this client will not show, by number and attempt: they are handed out again.

        Returns:
            Those that were still in these hands.
        """
        if not attempts:
            return []
        trials = [{"number": int(number), "attempt": int(attempt)} for number, attempt in attempts.items()]
        told = self._calls.json("POST", _path(self.name, "release"), {"trials": trials})
        self._let_go(attempts)
        self._hear(None, told["counts"])
        return list(told["numbers"])

    def give_back(self) -> list[int]:
        """Releases everything that this client holds, also what it was handed without hearing of it.

        Tried for a few seconds only: what cannot be given back is handed out again when its lease ends.

        Raises:
            ServiceError: the service does not answer.
        """
        with self._calls.for_seconds(BRIEFLY):
            for key, wanted in tuple(self._unanswered.items()):
                self._asked(key, wanted)
            return self.release(self.held)

    # -- steering --------------------------------------------------------------------------------------------------

    def veto(self, numbers: Sequence[int], reason: str = "") -> list[int]:
        """Trials that are not to be shown, see `mango.Study.veto`; those of them that were still open."""
        body = {"numbers": [int(number) for number in numbers], "reason": reason}
        told = self._calls.json("POST", _path(self.name, "veto"), body)
        held = self.held
        self._let_go({number: held[number] for number in told["numbers"] if number in held})
        self._hear(None, told["counts"])
        return list(told["numbers"])

    def enqueue(self, codes: ArrayLike, origin: str = "enqueued") -> None:
        """Codes ``(n, dim)`` to ask verbatim before any further proposal; they count towards the budget.

        Raises:
            CodeError: codes that do not fit the space.
            StudyFinished: the budget has no room for them.
            ServiceError: also where the connection broke, so that they may have been enqueued or not.
        """
        body = {"codes": self.space.validate(codes), "origin": origin}
        self._calls.json("POST", _path(self.name, "enqueue"), body, repeatable=False)

    def pause(self) -> None:
        """Nothing is handed out, to anybody, until `unpause`; answers are taken."""
        self._summary("POST", "pause")

    def unpause(self) -> None:
        """Trials are handed out again."""
        self._summary("POST", "resume")

    def finish(self) -> None:
        """Ends the study for everybody; answers to what is out are still taken."""
        self._summary("POST", "finish")

    # -- what came of it -------------------------------------------------------------------------------------------

    @property
    def finished(self) -> bool:
        """Whether no further trial will be asked and none is open, as of a second ago at the most."""
        if time.monotonic() - self._heard_at > FRESH:
            self._summary()
        return self._state in ENDED

    @property
    def state(self) -> str:
        """``running``, ``paused``, ``finished`` by hand, or ``exhausted``: its budget or its design has ended."""
        self._summary()
        return self._state

    def counts(self) -> dict[str, int]:
        """Trials asked, open, done, lost, failed, vetoed; presentations answered; their budget, where there is one."""
        self._summary()
        return self.last_counts

    @property
    def last_counts(self) -> dict[str, int]:
        """As `counts`, as the service last said them beside another answer."""
        told = self._counts
        names = ("asked", "open", "lost", "failed", "vetoed", "presentations")
        found = {**{name: told[name] for name in names}, "done": told["told"]}
        return found if self.budget is None else {**found, "budget": self.budget}

    def best(self) -> TrialRecord | None:
        """The trial of the highest objective; None before any was measured."""
        found = self._leading()["trials"]
        return self._record(found[0]) if found else None

    def recommended(self) -> TrialRecord | None:
        """The first trial of the code to go on with; None before any was measured, or where it was never asked."""
        found = self._leading()["recommended"]
        return None if found is None else self._record(found)

    def confirmed(self) -> Confirmed | None:
        """The final choice with its mean over fresh presentations; None before it is made, and where confirm is 0."""
        found = self._leading()
        return found["confirmed"] and wire.confirmed_of(found["confirmed"], found["recommended"], self.space.dtype)

    def trials(self) -> list[TrialRecord]:
        """Every trial asked so far, by number."""
        found: list[TrialRecord] = []
        wanted: dict[str, Any] = {"limit": max(1, min(PAGE, NUMBERS // self.space.dim)), "codes": True, "after": -1}
        while wanted["after"] is not None:
            page = self._calls.json("GET", _path(self.name, "trials"), query=wanted)
            found += [self._record(row) for row in page["trials"]]
            wanted["after"] = page["next"]
        return found

    def record(self, number: int) -> TrialRecord:
        """One trial.

        Raises:
            UnknownName: it was never asked.
        """
        return self._record(self._calls.json("GET", _path(self.name, "trials", int(number))))

    def stimulus(self, number: int) -> NDArray[np.float32]:
        """The stimulus of a trial, as the study's generator makes it."""
        content = self._calls.content("GET", _path(self.name, "trials", int(number), "stimulus.npy"))
        made: NDArray[np.float32] = np.load(io.BytesIO(content), allow_pickle=False)
        return made

    def png(self, number: int) -> bytes:
        """The stimulus of a trial as a PNG file, as the study's image settings draw it."""
        return self._calls.content("GET", _path(self.name, "trials", int(number), "stimulus.png"))

    # -- life ------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Closes the connections; what is held stays so until its lease ends. Closing twice is nothing."""
        self._calls.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- private ---------------------------------------------------------------------------------------------------

    def _asked(self, key: str, wanted: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to an ask, whose trials are held from now on."""
        try:
            told = self._calls.json("POST", _path(self.name, "ask"), wanted, key=key)
        except InputError:  # refused, so that nothing was handed out
            self._unanswered.pop(key, None)
            raise
        with self._lock:
            self._unanswered.pop(key, None)
            self._held |= {row["number"]: row["attempt"] for row in told["trials"]}
        return told

    def _let_go(self, attempts: Mapping[int, int]) -> None:
        with self._lock:
            for number, _ in attempts.items() & self._held.items():
                del self._held[number]

    def _summary(self, method: str = "GET", *parts: str) -> None:
        summary = self._calls.json(method, _path(self.name, *parts))
        self._hear(summary["state"], summary["counts"])

    def _hear(self, state: str | None, counts: Mapping[str, int] | None = None) -> None:
        if counts is not None:
            self._counts = dict(counts)
        if state is not None:
            self._state, self._heard_at = state, time.monotonic()

    def _leading(self) -> dict[str, Any]:
        return self._calls.json("GET", _path(self.name, "best"))

    def _record(self, row: Mapping[str, Any]) -> TrialRecord:
        return wire.record_of(row, self.space.dtype, self.repeats)


def _path(study: str, *parts: object) -> str:
    return "/".join(["/v1/studies", quote(study, safe=""), *map(str, parts)])
