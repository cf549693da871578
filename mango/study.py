"""A study: one search from its first proposal to its last answer, kept so that nothing told is ever lost."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from mango.configuration import Configuration, check_source, space_of
from mango.errors import InputError, OptionError, ReplayError, StorageError, StudyError, StudyFinished, TellError
from mango.evaluators.base import Evaluator
from mango.evaluators.threads import one_thread
from mango.ledger import Change, Ledger, told
from mango.optimizers.base import Optimizer, ranking
from mango.replay import Live, rebuild, verify
from mango.space import Codes
from mango.storage import Event, Store
from mango.trial import AskTell, Result, Trial, TrialRecord, TrialState

__all__ = ["Callback", "Study", "run", "verify"]

NATURAL_CODES = 1000  # drawn from a generator that has them, for charts and priors
SNAPSHOT_BATCHES = 20  # between snapshots

Callback = Callable[[Any, list[Result]], None]  # the study, what it was told


class Study:
    """Asks an optimizer for trials, takes their answers, and keeps every step in a database.

    Every ask is committed before it is answered and every tell before it is acknowledged. After a crash, `resume`
    rebuilds the very same study from its log. Thread-safe.

    Args:
        source: the generator, an object with ``space`` and perhaps ``natural`` and ``log_prior``; or a bare space.
        budget: presentations in all: trials times repeats, enqueued ones included.
        optimizer: its name, such as ``"auto"``; `mango list optimizers` shows them.
        seed: whole number >= 0, of everything that is drawn.
        batch: trials that the optimizer is asked at a time in ordered mode.
        repeats: presentations of each trial, for targets with noise.
        chart: coordinates to search in, such as ``"frequencies:64"``.
        options: of the optimizer.
        weight: the optimizer hears ``value + weight * log_prior``; not 0 needs a generator with a ``log_prior``.
        natural: ``(n, dim)`` codes of natural stimuli; by default drawn from the generator where it has them.
        ordered: the same trials for any number of workers, any order of answers and any kills; see `mango.ledger`.
        storage: database URL such as ``"sqlite:///runs/study.db"``; the default lives in memory, as long as
                the process.
        name: of the study within its database.
        meta: JSON-able dict that is kept with the study.

    Raises:
        UnknownName, OptionError, InputError: an argument that cannot be used.
        StudyExists: the database already holds a study of that name.
        StudyLocked: another process owns it.
        StorageError: the database cannot be written.
    """

    _state: tuple[Ledger, Optimizer] | None

    def __init__(
        self,
        source: Any,
        *,
        budget: int,
        optimizer: str = "auto",
        seed: int = 0,
        batch: int = 20,
        repeats: int = 1,
        chart: str | None = None,
        options: Mapping[str, Any] | None = None,
        weight: float = 0.0,
        natural: ArrayLike | None = None,
        ordered: bool = True,
        storage: str = "sqlite://",
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
        )
        if natural is None:
            configuration = replace(configuration, natural=_natural(source, configuration.seed))
        check_source(source, configuration)
        made = configuration.make_optimizer()  # checks its options before anything is stored
        kept, arrays = configuration.dump()
        store = Store.create(storage, name, kept, _jsonable(meta or {}), arrays)
        self._begin(source, configuration, store)
        self._state = Ledger(configuration), made  # nothing to rebuild yet

    @classmethod
    def resume(cls, source: Any, *, storage: str, name: str = "study", accept_snapshot: bool = False) -> Self:
        """A study from its database, as it was after its last committed step.

        Trials that were out are handed out again, as their next attempt.

        Args:
            source: as the study was made with; None suffices where the generator is not needed for a prior.
            storage: database URL.
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
        self.optimizer_seconds = 0.0
        self._prior = getattr(source, "log_prior", None)
        self._store = store
        self._lock = threading.RLock()
        self._state = None  # a ledger and an optimizer once rebuilt
        self._delivered: set[int] = set()  # open trials that this process has answered asks with
        self._snapshot_due = SNAPSHOT_BATCHES * configuration.batch  # trials asked

    # -- ask and tell ----------------------------------------------------------------------------------------------

    def ask(self, n: int) -> list[Trial]:
        """Up to ``n`` trials to evaluate; none while the study waits for answers, or once it has ended.

        Raises:
            InputError: ``n`` is no whole number >= 1.
            StorageError: it could not be committed; ask again once the cause is gone.
        """
        if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 1:
            raise InputError(f"ask(n) needs a whole number n >= 1; got {n!r}")
        with self._lock:
            reopen = sorted(self._ledger.handed_open - self._delivered)
            if not reopen and not self._ledger.ready:
                return []
            handed = self._step("ask", {"n": int(n), "reopen": reopen}).handed
            self._delivered.update(trial.number for trial in handed)
            return handed

    def tell(self, results: Sequence[Result]) -> None:
        """Answers to trials, in any order; accepted whole or refused whole.

        The first answer closes a trial; another attempt's later answer is kept as late. Telling the same again is
        nothing.

        Raises:
            TellError: never asked, another number of values than repeats, or another value than the same attempt told
                before. Nothing changes.
            StorageError: it could not be committed; tell again once the cause is gone.
        """
        for result in results:
            if not isinstance(result, Result):
                raise TellError(f"tell takes mango.Result objects; got {type(result).__name__}")
        with self._lock:
            fresh = self._ledger.fresh(results)
            if fresh:
                self._step("tell", told(fresh))
                self._delivered.difference_update(result.number for result in fresh)

    def enqueue(self, codes: ArrayLike, origin: str = "enqueued") -> None:
        """Codes ``(n, dim)`` to ask verbatim before any further proposal; they count towards the budget.

        Raises:
            CodeError: codes that do not fit the space.
            StudyFinished: the budget has no room for them.
        """
        checked = self.configuration.space.validate(codes)
        with self._lock:
            room = self._ledger.room
            if len(checked) > room:
                raise StudyFinished(
                    f"{len(checked)} codes cannot be enqueued: the budget has room for {room} more trials"
                )
            if len(checked):
                self._step("enqueue", {"origin": str(origin)}, {"codes": checked})

    def reopen(self) -> None:
        """Has every open trial handed out again, as its next attempt: whoever had it will not answer."""
        with self._lock:
            self._delivered.clear()

    # -- what came of it -------------------------------------------------------------------------------------------

    @property
    def finished(self) -> bool:
        """Whether no further trial will be asked and none is open."""
        with self._lock:
            return self._ledger.finished

    def trials(self) -> list[TrialRecord]:
        """Every trial asked so far, by number."""
        with self._lock:
            return list(self._ledger.records)

    def best(self) -> TrialRecord | None:
        """The trial of the highest value, equal ones by key and then the earlier; None before any was measured."""
        done = self._done()
        if not done:
            return None
        order = ranking(np.array([r.value for r in done]), np.array([r.key for r in done]))
        return done[int(order[0])]

    def ties(self) -> int:
        """How many trials reached the best value, the best included."""
        values = [record.value for record in self._done()]
        return values.count(max(values)) if values else 0

    def recommend(self) -> Codes:
        """The optimizer's best guess ``(dim,)``, which under noise is not the highest value seen.

        Raises:
            StudyError: nothing was measured yet.
        """
        with self._lock, one_thread():
            return self._current()[1].recommend()

    def counts(self) -> dict[str, int]:
        """Trials asked, open, done, lost, failed; presentations answered; the budget of presentations."""
        with self._lock:
            states = [record.state for record in self._ledger.records]
            counted = {state.value: states.count(state) for state in TrialState}
            shown, budget = self._ledger.presentations, self.configuration.budget
            return {"asked": len(states), **counted, "presentations": shown, "budget": budget}

    def _done(self) -> list[TrialRecord]:
        return [record for record in self.trials() if record.state is TrialState.DONE]

    # -- life ------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Closes the database and lets other processes have the study; closing twice is nothing."""
        with self._lock:
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

    def _current(self) -> tuple[Ledger, Optimizer]:
        """The state in memory, rebuilt from the log where the last step failed."""
        if self._state is None:
            ledger, optimizer, self.optimizer_seconds = rebuild(self._store, self.configuration)
            self._state = ledger, optimizer
        return self._state

    def _step(self, kind: str, payload: dict[str, Any], arrays: dict[str, Any] | None = None) -> Change:
        """One event: applied in memory, then committed; if either fails, memory is forgotten and the log stands."""
        ledger, optimizer = self._current()
        voice = Live(optimizer, self._prior)
        event = Event(ledger.sequence + 1, kind, time.time(), payload, arrays or {})
        with self._forgetting():
            with one_thread():
                change = ledger.apply(event, voice)
            if kind == "ask":
                spoken, arrays = voice.spoken(change.handed)
                payload = payload | spoken
            self._store.append(
                Event(event.sequence, kind, event.at, payload, arrays or {}, voice.seconds),
                asked=[ledger.records[number] for number in change.asked],
                changed=[ledger.records[number] for number in change.changed],
                showings=change.showings,
            )
        self.optimizer_seconds += voice.seconds
        if len(ledger.records) >= self._snapshot_due or (change.changed and ledger.finished):
            self._snapshot_due = len(ledger.records) + SNAPSHOT_BATCHES * self.configuration.batch
            self._snapshot(event.sequence, optimizer)
        return change

    @contextmanager
    def _forgetting(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self._state = None
            raise

    def _snapshot(self, sequence: int, optimizer: Optimizer) -> None:
        with suppress(StorageError):  # the event is safe; a disk that is full will refuse the next one in clear words
            self._store.save_snapshot(sequence, optimizer.state_dict())

    def _restart(self) -> None:
        """Goes on although the optimizer did not repeat its proposals, and writes down from which state."""
        ledger, optimizer, self.optimizer_seconds = rebuild(self._store, self.configuration, accept=True)
        self._state = ledger, optimizer
        self._step("restart", {"disowned": sorted(ledger.disowned)}, optimizer.state_dict())


def run(study: AskTell, evaluator: Evaluator, *, callbacks: Sequence[Callback] = ()) -> None:
    """Has an evaluator answer a study until it ends.

    Trials that an earlier run left open are handed out again. Whatever interrupts the run, all that was told stays.

    Args:
        study: to be answered.
        evaluator: that answers; it stays open.
        callbacks: each called with the study and the results after each tell.

    Raises:
        StudyError: the study waits for trials that nobody evaluates.
        TargetError: from the evaluator; so is anything else that it raises.
    """
    if isinstance(study, Study):
        study.reopen()
    while not study.finished:
        while (free := evaluator.free()) > 0 and (trials := study.ask(free)):
            evaluator.submit(trials)
        results = evaluator.collect(None)
        if results:
            study.tell(results)
            for callback in callbacks:
                callback(study, results)
        elif not study.finished:
            raise StudyError(
                "the study waits for answers to trials that are not with this evaluator; tell or reopen them"
            )


def _natural(source: Any, seed: int) -> Codes | None:
    draw = getattr(source, "natural", None)
    return None if draw is None else space_of(source).validate(draw(NATURAL_CODES, np.random.default_rng(seed)))


def _jsonable(meta: Mapping[str, Any]) -> dict[str, Any]:
    try:
        kept: dict[str, Any] = json.loads(json.dumps(dict(meta)))
    except (TypeError, ValueError) as error:
        raise OptionError(f"meta must be a dict that JSON can hold: {error}") from error
    return kept
