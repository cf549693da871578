"""A study: one search from its first proposal to its last answer, kept so that nothing told is ever lost."""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mango.account import Account
from mango.answers import fresh_references, told
from mango.configuration import Configuration, band_of, check_source, space_of
from mango.errors import InputError, OptionError, ReplayError, StorageError, StudyError, StudyFinished, TellError
from mango.exchange import Block, Receipt, Request, answers, block_again, checked, receipt, receipt_again
from mango.generators import natural_codes
from mango.learning import Learner
from mango.ledger import Change, Ledger
from mango.replay import Live, rebuild, verify
from mango.space import Codes
from mango.storage import Answer, Database, Event, Extra, Response, Standing, Store
from mango.trial import Result, Trial, TrialState

__all__ = ["Study", "verify"]

NATURAL_CODES = 1000  # drawn from a generator that has them, for charts and priors
SNAPSHOT_BATCHES = 20  # between snapshots, or more:
SNAPSHOT_COSTS = 20.0  # times what the last one took passes in the optimizer, so that they take a twentieth at most
SNAPSHOT_LATEST = 2.0  # seconds in the optimizer after which there is one all the same: a resume repeats no more


class Study(Account):
    """Asks an optimizer for trials, takes their answers, and keeps every step in a database.

    Every ask is committed before it is answered and every tell before it is acknowledged. After a crash, `resume`
    rebuilds the very same study from its log. What the optimizer learns from an answer follows from the log, so it is
    learned after the commit. Thread-safe.

    Args:
        source: the generator, an object with ``space`` and perhaps ``natural`` and ``log_prior``; or a bare space.
        budget: presentations in all: trials times repeats, enqueued ones included. None: the study asks until `finish`
            (or the end of a finite design), and the optimizer plans for no end.
        optimizer: its name, such as ``"auto"``; `mango list optimizers` shows them.
        seed: whole number >= 0, of everything that is drawn.
        batch: trials that the optimizer is asked at a time in ordered mode.
        repeats: presentations of each trial, for targets with noise.
        chart: coordinates to search in, such as ``"frequencies:64"``.
        options: of the optimizer.
        weight: the optimizer hears ``value + weight * penalty``, and the best trial is best by it. The penalty is 0
            where the code's log prior lies between the 5 % and 95 % quantiles of natural codes, and falls outside
            with the distance from there, in widths of that band. Not 0 needs a generator with a ``log_prior`` and with
            ``log_prior_quantiles`` or natural codes.
        natural: ``(n, dim)`` codes of natural stimuli; by default drawn from the generator where it has them.
        leaders: share of the presentations, after the first two batches and before the final choice, that show the
            leading codes again, for targets with noise; see `mango.pool`. The optimizer hears of such codes' pooled
            means and errors.
        confirm: presentations at the end of the budget that are kept for the final choice among the leading codes, for
            targets with noise; see `mango.halving`. Fewer than 8 trials show the leading code alone. Needs a budget.
        ordered: the same trials for any number of workers, any order of answers and any kills; see `mango.ledger`.
        storage: database URL such as ``"sqlite:///runs/study.db"``, or a `Database` that many studies share; the
            default lives in memory, as long as the process.
        name: of the study within its database.
        meta: JSON-able dict that is kept with the study.

    Raises:
        UnknownName, OptionError, InputError: an argument that cannot be used.
        StudyExists: the database already holds a study of that name.
        StudyLocked: another process owns it.
        StorageError: the database cannot be written.
    """

    _state: tuple[Ledger, Learner] | None

    def __init__(
        self,
        source: Any,
        *,
        budget: int | None,
        optimizer: str = "auto",
        seed: int = 0,
        batch: int = 20,
        repeats: int = 1,
        chart: str | None = None,
        options: Mapping[str, Any] | None = None,
        weight: float = 0.0,
        natural: ArrayLike | None = None,
        ordered: bool = True,
        leaders: float = 0.0,
        confirm: int = 0,
        storage: str | Database = "sqlite://",
        name: str = "study",
        meta: Mapping[str, Any] | None = None,
    ) -> None:
        space = space_of(source)
        configuration = Configuration(
            space=space,
            natural=None if natural is None else space.validate(natural),
            budget=budget,
            optimizer=optimizer,
            seed=seed,
            batch=batch,
            repeats=repeats,
            chart=chart,
            options=dict(options or {}),
            weight=weight,
            ordered=ordered,
            leaders=leaders,
            confirm=confirm,
        )
        configuration.check_leaders()
        if natural is None:
            configuration = replace(configuration, natural=_natural(source, configuration.seed))
        check_source(source, configuration)
        configuration = replace(configuration, band=band_of(source, configuration))
        made = configuration.make_optimizer()  # checks its options before anything is stored
        kept, arrays = configuration.dump()
        store = Store.create(storage, name, kept, _jsonable(meta or {}), arrays)
        self._begin(source, configuration, store)
        self._state = Ledger(configuration), Learner(made)  # nothing to rebuild yet

    @classmethod
    def resume(
        cls, source: Any, *, storage: str | Database, name: str = "study", accept_snapshot: bool = False
    ) -> Self:
        """A study from its database, as it was after its last committed step.

        Trials that were out are handed out again, as their next attempt.

        Args:
            source: as the study was made with; None suffices where the generator is not needed for a prior.
            storage: database URL, or a `Database` that many studies share.
            name: of the study within its database.
            accept_snapshot: where the optimizer does not repeat its recorded proposals (another processor, another
                version), go on from the newest snapshot all the same. Every answer is kept; proposals that are not
                repeated guide the optimizer as foreign points.

        Raises:
            ReplayError: the optimizer does not repeat its recorded proposals.
            StudyLocked: another process owns the study.
            InputError: the study was made in another space.
            StorageError: no such study, or its database is damaged.
        """
        store = Store.open(storage, name)
        study = cls.__new__(cls)
        try:
            configuration = Configuration.load(store.config, store.arrays)
            check_source(source, configuration)
            study._begin(source, configuration, store)
            try:
                study._current()
            except ReplayError:
                if not accept_snapshot:
                    raise
                study._restart()
        except BaseException:
            store.close()
            raise
        return study

    def _begin(self, source: Any, configuration: Configuration, store: Store) -> None:
        self.configuration = configuration
        self.config: dict[str, Any] = store.config
        self.meta: dict[str, Any] = store.meta
        self.name = store.name
        self._prior = getattr(source, "log_prior", None)
        self._store = store
        self._lock = threading.RLock()
        self._keeping = threading.Lock()  # of snapshots, taken before the other one
        self._state = None  # a ledger and an optimizer once rebuilt
        self._counted = 0.0  # seconds in the optimizer that the log has
        self._delivered: set[int] = set()  # open trials that this process has answered asks with
        # Trials asked and the least seconds in the optimizer, or the most seconds in it.
        self._snapshot_due = SNAPSHOT_BATCHES * configuration.batch, 0.0, SNAPSHOT_LATEST
        self._ended = False  # by a trial that was closed after the last snapshot

    # -- ask and tell ----------------------------------------------------------------------------------------------

    def ask(self, n: int) -> list[Trial]:
        """Up to ``n`` trials to evaluate; none while the study waits for answers, or once it has ended.

        Raises:
            InputError: ``n`` is no whole number >= 1.
            StorageError: it could not be committed; ask again once the cause is gone.
        """
        if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 1:
            raise InputError(f"ask(n) needs a whole number n >= 1; got {n!r}")
        return self.hand_out(n).trials

    def hand_out(self, n: int, *, lease: float | None = None, request: Request | None = None) -> Block:
        """As `ask`, for whoever may never answer: what comes back too late is handed out again.

        Args:
            n: trials, at the most.
            lease: seconds after which a trial that is still open may be handed out again; None: once this process ends.
            request: that names itself; the same request gets the same block again, in any process.

        Raises:
            InputError: ``n`` is no whole number >= 1, or the lease no number of seconds > 0.
            KeyConflict: another request had this key.
            StorageError: it could not be committed; ask again once the cause is gone.
        """
        if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 1:
            raise InputError(f"hand_out(n) needs a whole number n >= 1; got {n!r}")
        if lease is not None and not (math.isfinite(lease) and lease > 0):
            raise InputError(f"a lease is a number of seconds > 0; got {lease!r}")
        with self._lock:
            if (known := self._known("ask", request)) is not None:
                return block_again(known, self._ledger)
            ledger, now = self._ledger, time.time()
            handing = ledger.handing
            reopen = sorted({*handing.expired(now), *(handing.in_hand - handing.leased - self._delivered)})
            if ledger.paused or ledger.stopped or not (reopen or ledger.ready):
                return Block([], [], ledger.sequence)
            payload = {"n": int(n), "reopen": reopen} | ({} if lease is None else {"until": now + lease})
            change = self._step("ask", payload, request=request)
            if lease is None:
                self._delivered.update(trial.number for trial in change.handed)
            return Block(change.handed, change.references, self._ledger.sequence)

    def tell(self, results: Sequence[Result]) -> None:
        """Answers to trials, in any order; accepted whole or refused whole. Then the optimizer learns them.

        The first answer closes a trial; another attempt's later answer is kept as late. Telling the same again is
        nothing. Whatever the optimizer raises while it learns comes after the answers were kept.

        Raises:
            TellError: never asked, another number of values than repeats, or another value than the same attempt told
                before. Nothing changes.
            StorageError: it could not be committed; tell again once the cause is gone.
        """
        self.take_in(results)
        self.learn()

    def take_in(
        self,
        results: Sequence[Result],
        *,
        references: Mapping[int, Sequence[float]] | None = None,
        responses: Mapping[int, NDArray[Any]] | None = None,
        request: Request | None = None,
    ) -> Receipt:
        """As `tell`, and says what became of each answer; the optimizer learns them later, see `learn`.

        Args:
            results: to trials.
            references: values of showings of reference images, by presentation.
            responses: anything else that was recorded, such as ``(repeats, channels)``, by trial number; each of them
                among the results.
            request: that names itself; the same request gets the same receipt again.

        Raises:
            TellError, TellConflict, StorageError: as `tell`.
            KeyConflict: another request had this key.
        """
        for result in results:
            if not isinstance(result, Result):
                raise TellError(f"tell takes mango.Result objects; got {type(result).__name__}")
        attempts = {result.number: result.attempt for result in results}
        if strange := set(responses or {}) - set(attempts):
            raise TellError(f"responses need a result of the same trial; trials {sorted(strange)} have none")
        with self._lock:
            if (known := self._known("tell", request)) is not None:
                return receipt_again(known)
            fresh = self._ledger.fresh(results)
            shown = fresh_references(references or {}, self._ledger.references)
            repeated = sorted(set(attempts) - {result.number for result in fresh})
            if not (fresh or shown):
                return Receipt([], [], repeated)
            payload = told(fresh) | ({"references": shown} if shown else {})
            kept = [Response(n, attempts[n], array) for n, array in (responses or {}).items() if n not in repeated]
            change = self._step("tell", payload, request=request, responses=kept, repeated=repeated)
            self._delivered.difference_update(result.number for result in fresh)
            return receipt(change, repeated)

    @property
    def behind(self) -> bool:
        """Whether `learn` has anything to do; never waits."""
        state = self._state
        return state is not None and (state[1].behind or self._snapshot_wanted(*state))

    def learn(self) -> None:
        """Has the optimizer learn what it was told, and keeps its state now and then.

        It need not be called: the optimizer learns before it is asked anything. Others ask and tell meanwhile. What it
        raises here, it raises again when it is asked; the answers are kept, and all that does not need it goes on.
        """
        state = self._state
        if state is None or state[1].failure is not None:  # to build it anew is for whoever needs it
            return
        state[1].learn()
        if self._snapshot_wanted(*state) and self._keeping.acquire(blocking=False):  # else another thread keeps it
            try:
                self._snapshot()
            finally:
                self._keeping.release()

    def release(self, attempts: Mapping[int, int]) -> list[int]:
        """Trials that whoever has them will not show, by number and attempt: they are handed out again, as the next.

        Returns:
            Those that were still in these hands.
        """
        with self._lock:
            self._expect_asked(attempts)
            in_hand = self._ledger.handing.in_hand
            held = {n: a for n, a in attempts.items() if n in in_hand}
            if not held:
                return []
            change = self._step("release", {"trials": [[int(n), int(a)] for n, a in sorted(held.items())]})
            self._delivered.difference_update(change.changed)
            return change.changed

    def veto(self, numbers: Sequence[int], reason: str = "") -> list[int]:
        """Trials that are not to be shown: closed, told to the optimizer as lost, and not counted in the budget.

        Returns:
            Those that were still open.

        Raises:
            TellError: a trial that was never asked.
        """
        with self._lock:
            self._expect_asked(numbers)
            still = [int(n) for n in dict.fromkeys(numbers) if self._ledger.records[n].state is TrialState.OPEN]
            vetoed = self._step("veto", {"numbers": still, "reason": str(reason)}).changed if still else []
        self.learn()
        return vetoed

    def enqueue(self, codes: ArrayLike, origin: str = "enqueued") -> None:
        """Codes ``(n, dim)`` to ask verbatim before any further proposal; they count towards the budget.

        Raises:
            CodeError: codes that do not fit the space.
            StudyFinished: the study was finished, or the budget has no room for them.
        """
        checked = self.configuration.space.validate(codes)
        with self._lock:
            if self._ledger.stopped:
                raise StudyFinished(f"the study {self.name!r} was finished; nothing that is enqueued would be shown")
            room = self._ledger.room
            if len(checked) > room:
                raise StudyFinished(
                    f"{len(checked)} codes cannot be enqueued: the budget has room for {room} more trials"
                )
            if len(checked):
                self._step("enqueue", {"origin": str(origin)}, {"codes": checked})

    def interleave(self, codes: ArrayLike, every: int) -> None:
        """Reference stimuli, one of which is shown after every so many trials; the optimizer never hears of them.

        Raises:
            CodeError: codes that do not fit the space.
            InputError: no codes, or ``every`` is no whole number >= 1.
            StudyError: the study has references already.
        """
        checked = self.configuration.space.validate(codes)
        if not len(checked) or isinstance(every, bool) or not isinstance(every, int) or every < 1:
            raise InputError(f"references need a code or more, and a whole number of trials >= 1; got {every!r}")
        with self._lock:
            if len(self._ledger.reference_codes):
                raise StudyError("the study has references already; they stay the same, so that they can be compared")
            self._step("references", {"every": every}, {"codes": checked})

    def pause(self) -> None:
        """Nothing is handed out until `unpause`; answers are taken."""
        self._set_state("paused")

    def unpause(self) -> None:
        """Hands out trials again."""
        self._set_state("running")

    def finish(self) -> None:
        """Ends the study: nothing will be handed out any more; answers to what is out are still taken."""
        self._set_state("finished")

    def _known(self, operation: str, request: Request | None) -> Answer | None:
        return None if request is None else checked(self._store.answer(operation, request.key), request)

    def _set_state(self, state: str) -> None:
        with self._lock:
            if self._ledger.stopped and state != "finished":
                raise StudyFinished(f"the study {self.name!r} was finished; it cannot be {state} any more")
            if state != self.state:
                self._step("state", {"state": state})

    def reopen(self) -> None:
        """Has every open trial handed out again, as its next attempt: whoever had it will not answer."""
        with self._lock:
            self._delivered.clear()

    # -- what came of it; the rest is in `mango.account` ---------------------------------------------------------------

    @property
    def patience(self) -> None:
        """None: what is not with whoever runs the study is with nobody, see `mango.trial.AskTell`."""
        return None

    @property
    def optimizer_seconds(self) -> float:
        """Spent in the optimizer so far, by all processes that had the study."""
        with self._lock:
            return self._current()[1].seconds

    @property
    def store(self) -> Store:
        """Its rows in the database, to be read."""
        return self._store

    def recommend(self) -> Codes:
        """The code ``(dim,)`` to go on with, which under noise is not that of the highest value seen.

        Once the final choice has begun, the code that leads it; before, and without one, the optimizer's best guess, or
        that of the best trial while the optimizer has heard of none.

        Raises:
            StudyError: nothing was measured yet.
        """
        with self._lock:
            ledger, learner = self._current(sound=True)
            if (chosen := ledger.chosen) is not None:
                return chosen
        try:
            return learner.recommend()
        except StudyError:  # in ordered mode it hears of a batch once that is closed
            if (best := self.best()) is None:
                raise
            return best.code

    # -- life ------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Closes the database and lets other processes have the study; closing twice is nothing."""
        with self._keeping, self._lock:
            self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- private ---------------------------------------------------------------------------------------------------

    @property
    def _ledger(self) -> Ledger:
        return self._current()[0]

    def _current(self, *, sound: bool = False) -> tuple[Ledger, Learner]:
        """The state in memory, rebuilt from the log where the last step failed.

        Args:
            sound: also where the optimizer failed since, which matters to nobody but who asks it.
        """
        if self._state is None or (sound and self._state[1].failure is not None):
            self._state = rebuild(self._store, self.configuration)
            self._counted = self._state[1].seconds
        return self._state

    def _step(
        self,
        kind: str,
        payload: dict[str, Any],
        arrays: dict[str, Any] | None = None,
        *,
        request: Request | None = None,
        responses: Sequence[Response] = (),
        repeated: Sequence[int] = (),
    ) -> Change:
        """One event: applied in memory, then committed; if either fails, memory is forgotten and the log stands."""
        ledger, learner = self._current(sound=kind == "ask")
        state = ledger.state
        voice = Live(learner, self._prior)
        event = Event(ledger.sequence + 1, kind, time.time(), payload, arrays or {})
        with self._forgetting():
            change = ledger.apply(event, voice)
            if kind == "ask":
                spoken, arrays = voice.spoken(change.handed)
                shown = [reference.presentation for reference in change.references]
                payload = payload | spoken | ({"references": shown} if shown else {})
            seconds = learner.seconds
            self._store.append(
                Event(event.sequence, kind, event.at, payload, arrays or {}, seconds - self._counted),
                asked=[ledger.records[number] for number in change.asked],
                changed=[ledger.records[number] for number in change.changed],
                showings=change.showings,
                extra=Extra(
                    answers=answers(event, change, request, repeated),
                    responses=responses,
                    standing=Standing(ledger.state, event.at) if ledger.state != state else None,
                ),
            )
        learner.settle()
        self._counted = seconds
        self._ended |= bool(change.changed) and ledger.finished
        return change

    @contextmanager
    def _forgetting(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self._state = None
            raise

    def _snapshot_wanted(self, ledger: Ledger, learner: Learner) -> bool:
        (trials, soonest, latest), spent = self._snapshot_due, learner.seconds
        return self._ended or spent >= latest or (len(ledger.records) >= trials and spent >= soonest)

    def _snapshot(self) -> None:
        """Keeps the optimizer's state; to write it keeps nobody waiting."""
        start = time.perf_counter()
        with self._lock:
            if self._state is None:
                return
            ledger, learner = self._state
            sequence, asked, state = ledger.sequence, len(ledger.records), learner.state_dict()
            self._ended = False
        with suppress(StorageError):  # the event is safe; a disk that is full will refuse the next one in clear words
            self._store.save_snapshot(sequence, state)
        spent, pause = learner.seconds, SNAPSHOT_COSTS * (time.perf_counter() - start)
        trials = asked + SNAPSHOT_BATCHES * self.configuration.batch
        self._snapshot_due = trials, spent + pause, spent + SNAPSHOT_LATEST

    def _restart(self) -> None:
        """Goes on although the optimizer did not repeat its proposals, and writes down from which state."""
        ledger, learner = self._state = rebuild(self._store, self.configuration, accept=True)
        self._counted = learner.seconds
        self._step("restart", {"disowned": sorted(ledger.disowned)}, learner.state_dict())


def _natural(source: Any, seed: int) -> Codes | None:
    if not hasattr(source, "natural"):
        return None
    return space_of(source).validate(natural_codes(source, NATURAL_CODES, np.random.default_rng(seed)))


def _jsonable(meta: Mapping[str, Any]) -> dict[str, Any]:
    try:
        kept: dict[str, Any] = json.loads(json.dumps(dict(meta)))
    except (TypeError, ValueError) as error:
        raise OptionError(f"meta must be a dict that JSON can hold: {error}") from error
    return kept
