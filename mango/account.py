"""What came of a study, read from its ledger."""

from __future__ import annotations

import abc
import threading
from collections.abc import Iterable, Sequence

import numpy as np

from mango.configuration import Configuration
from mango.errors import TellError
from mango.ledger import Ledger
from mango.optimizers.base import Floats, ranking
from mango.space import Codes
from mango.trial import Confirmed, Reference, TrialRecord, TrialState


class Account(abc.ABC):
    """The part of a study that is only read, from any thread.

    Attributes:
        configuration: of the study.
    """

    configuration: Configuration
    _lock: threading.RLock

    @property
    @abc.abstractmethod
    def _ledger(self) -> Ledger:
        """Of the study, to be read under its lock."""

    @property
    def state(self) -> str:
        """``running``, ``paused``, ``finished`` by hand, or ``exhausted``: its budget or its design has ended."""
        with self._lock:
            return self._ledger.state

    @property
    def finished(self) -> bool:
        """Whether no further trial will be asked and none is open."""
        with self._lock:
            return self._ledger.finished

    def trials(self) -> list[TrialRecord]:
        """Every trial asked so far, by number."""
        with self._lock:
            return list(self._ledger.records)

    @property
    def asked(self) -> int:
        """Trials asked so far."""
        with self._lock:
            return len(self._ledger.records)

    @property
    def shown(self) -> int:
        """Showings of references that were handed out so far."""
        with self._lock:
            return len(self._ledger.references)

    def record(self, number: int) -> TrialRecord:
        """One trial.

        Raises:
            TellError: it was never asked.
        """
        with self._lock:
            self._expect_asked([number])
            return self._ledger.records[number]

    def records(self, numbers: Sequence[int]) -> list[TrialRecord]:
        """Some trials, in this order.

        Raises:
            TellError: one of them was never asked.
        """
        with self._lock:
            self._expect_asked(numbers)
            records = self._ledger.records
            return [records[number] for number in numbers]

    def lease_until(self, number: int) -> float:
        """When the lease of an open trial ends, in seconds since 1970; infinity without one."""
        with self._lock:
            return self._ledger.handing.until(number)

    @property
    def sequence(self) -> int:
        """Of the last event; -1 before the first."""
        with self._lock:
            return self._ledger.sequence

    def best(self) -> TrialRecord | None:
        """The trial of the highest `objective`, equal ones by key, then the earlier; None before any was measured."""
        done = self._done()
        if not done:
            return None
        order = ranking(self.objective(done), np.array([r.key for r in done]))
        return done[int(order[0])]

    def ties(self) -> int:
        """How many trials reached the best `objective`, the best included."""
        reached = self.objective(self._done())
        return int((reached == reached.max()).sum()) if len(reached) else 0

    def objective(self, records: Sequence[TrialRecord]) -> Floats:
        """What the optimizer hears of each trial, ``(n,)``: ``value + weight * penalty``; NaN where none was measured.

        Args:
            records: as `trials` gives them.
        """
        values, priors = (np.array([getattr(r, name) for r in records]) for name in ("value", "log_prior"))
        return self.configuration.objective(values, priors)

    def confirmed(self) -> Confirmed | None:
        """The final choice with its mean over fresh presentations; None before it is made, and where confirm is 0."""
        with self._lock:
            return self._ledger.confirmed

    def counts(self) -> dict[str, int]:
        """Trials asked, open, done, lost, failed, vetoed; presentations answered; their budget, where there is one."""
        with self._lock:
            states = [record.state for record in self._ledger.records]
            counted = {state.value: states.count(state) for state in TrialState}
            shown, budget = self._ledger.presentations, self.configuration.budget
            found = {"asked": len(states), **counted, "presentations": shown}
            return found if budget is None else {**found, "budget": budget}

    def references(self) -> list[Reference]:
        """Every showing of a reference so far."""
        with self._lock:
            return list(self._ledger.references)

    @property
    def reference_codes(self) -> Codes:
        """``(k, dim)`` of the references."""
        with self._lock:
            return self._ledger.reference_codes.copy()

    def _done(self) -> list[TrialRecord]:
        return [record for record in self.trials() if record.state is TrialState.DONE]

    def _expect_asked(self, numbers: Iterable[int]) -> None:
        asked = len(self._ledger.records)
        for number in numbers:
            if not 0 <= number < asked:
                raise TellError(f"trial {number} was never asked; asked so far: {asked}, numbered from 0")
