"""Where a search stands, told to whoever listens."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from mango.evaluators.base import WorkerState
from mango.study import Study
from mango.trial import Result, TrialState


def nobody() -> list[WorkerState]:
    """The workers of a search in one process."""
    return []


@dataclass(frozen=True)
class Progress:
    """Where a search stands.

    Attributes:
        unit: that is searched.
        stage: ``"starting"``, ``"searching"``, ``"showing natural stimuli"`` or ``"writing"``.
        done, total: presentations, or natural stimuli; a total of 0 is not known.
        best: value of the best so far; None before the first.
        rate: presentations per second; None before the first.
        workers: says what each does, whenever it is called and by whichever thread.
        seconds_left: of this stage, as far as the rate tells.
    """

    unit: str
    stage: str
    done: int = 0
    total: int = 0
    best: float | None = None
    rate: float | None = None
    workers: Callable[[], Sequence[WorkerState]] = nobody

    @property
    def seconds_left(self) -> float | None:
        """None before anything was measured, and without a total."""
        return (self.total - self.done) / self.rate if self.rate and self.total else None


Listener = Callable[[Progress], None]


class Rate:
    """A callback of `mango.run` that tells a listener how fast it goes."""

    def __init__(
        self, unit: str, study: Study, listener: Listener, workers: Callable[[], Sequence[WorkerState]] = nobody
    ) -> None:
        counts = study.counts()
        best = study.best()
        self._unit, self._listener, self._workers = unit, listener, workers
        self._repeats = study.configuration.repeats
        self._total = (study.configuration.trials or 0) * self._repeats
        self._before = self._done = (counts["asked"] - counts["open"]) * self._repeats
        self._best = None if best is None else best.value
        self._heard = -math.inf if best is None else float(study.objective([best])[0])
        self._start = time.monotonic()
        self._tell(None)

    def __call__(self, study: Any, results: Sequence[Result]) -> None:
        """After each tell."""
        self._done += len(results) * self._repeats
        trials = study.trials()
        measured = [trials[result.number] for result in results if result.status is TrialState.DONE]
        for record, heard in zip(measured, study.objective(measured), strict=True):
            if heard > self._heard:
                self._best, self._heard = record.value, heard
        self._tell((self._done - self._before) / max(time.monotonic() - self._start, 1e-9))

    def _tell(self, rate: float | None) -> None:
        self._listener(Progress(self._unit, "searching", self._done, self._total, self._best, rate, self._workers))
