"""What passes between a study and whoever evaluates: trials out, results back."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mango.errors import TellError


class TrialState(StrEnum):
    """Where a trial stands in its life."""

    OPEN = "open"  # asked, not answered
    DONE = "done"  # measured
    LOST = "lost"  # answered without a measurement (NaN)
    FAILED = "failed"  # could not be evaluated; the reason is kept
    VETOED = "vetoed"  # rejected by a person before it was shown; the reason is kept


LARGEST = 1e100  # value or key, either way: squares of such, and sums of these, are finite

_DONE = TrialState.DONE  # an enumeration takes longer to look at


EXPECTED = f"numbers from {-LARGEST:g} to {LARGEST:g}, or NaN where the measurement was lost"


def too_large(values: Iterable[float]) -> float | None:
    """The first that is infinite or beyond `LARGEST`, either way; NaN is not."""
    return next((value for value in values if abs(value) > LARGEST), None)


@dataclass(frozen=True, slots=True)
class Trial:
    """One proposal to evaluate.

    Attributes:
        number: 0, 1, 2, ... within its study.
        attempt: 1 at the first hand-out, one more each time it is handed out again.
        code: ``(dim,)``.
        origin: one short word on why it was asked: which arm, which chart, ``filler``, ``enqueued``.
        seeds: one for each repeat, for targets with noise.
        until: seconds since 1970 at which its lease ends and it may be handed out again; infinity without a lease.
    """

    number: int
    attempt: int
    code: NDArray[Any]
    origin: str = ""
    seeds: tuple[int, ...] = (0,)
    until: float = math.inf


@dataclass(frozen=True, slots=True)
class Result:
    """The answer to one trial.

    Attributes:
        number, attempt: of the trial.
        values: one for each repeat; larger is better, NaN is a lost measurement. Empty where the trial failed.
        keys: one for each repeat where the target orders equal values, else None.
        status: `TrialState.DONE`, `TrialState.LOST` or `TrialState.FAILED`.
        seconds: what the evaluation took.
        reason: why the trial failed, else "".

    Raises:
        TellError: infinity or numbers beyond 1e100, a key that is no number, values that do not fit the status.
    """

    number: int
    attempt: int
    values: tuple[float, ...]
    keys: tuple[float, ...] | None = None
    status: TrialState = TrialState.DONE
    seconds: float = 0.0
    reason: str = ""

    def __post_init__(self) -> None:
        if self.status is _DONE and self.keys is None and len(self.values) == 1:
            if -LARGEST <= self.values[0] <= LARGEST:
                return  # nearly always
        who = f"trial {self.number}"
        if (large := too_large(self.values)) is not None:
            raise TellError(f"{who}: expected {EXPECTED}; got the value {large!r}")
        if self.keys is not None and (len(self.keys) != len(self.values) or too_large(self.keys) is not None):
            raise TellError(
                f"{who}: expected one key for each of {len(self.values)} values, {EXPECTED}; got {self.keys}"
            )
        if self.status in (TrialState.OPEN, TrialState.VETOED):
            raise TellError(f"{who}: a result is done, lost or failed; got {self.status}")
        if self.status is TrialState.FAILED and self.values:
            raise TellError(f"{who}: a failed trial has no values; got {self.values}")
        if self.status is not TrialState.FAILED and not self.values:
            raise TellError(f"{who}: expected at least one value; got none")
        measured = not all(map(math.isnan, self.values))
        if self.status is TrialState.DONE and not measured:
            object.__setattr__(self, "status", TrialState.LOST)
        elif self.status is TrialState.LOST and measured:
            raise TellError(f"{who}: a lost trial has no measured value; got {self.values}")

    @property
    def value(self) -> float:
        """Mean over the measured repeats; NaN where there are none."""
        return _mean(self.values)

    @property
    def key(self) -> float:
        """Mean key over the measured repeats; NaN where there are none."""
        return math.nan if self.keys is None else _mean(self.keys)

    @property
    def error(self) -> float:
        """Standard error of `value`; NaN for fewer than two measured repeats."""
        return _error(self.values)


@dataclass(frozen=True, slots=True, eq=False)
class TrialRecord:
    """One trial as a study knows it.

    Attributes:
        number, code, origin: of the trial.
        state: open until its first accepted answer.
        attempt: hand-outs so far; 0 while it waits for its first.
        repeats: how often it is shown.
        values: one for each repeat; empty while open and where it failed.
        value, key: means over the measured repeats; NaN where there is none.
        log_prior: of the code, in nats; NaN where the generator has none.
        asked_at, told_at: seconds since 1970; NaN while open.
        seconds: what the evaluation took; NaN while open.
        reason: why it failed, else "".
    """

    number: int
    code: NDArray[Any]
    origin: str
    repeats: int
    asked_at: float
    log_prior: float = math.nan
    state: TrialState = TrialState.OPEN
    attempt: int = 0
    values: tuple[float, ...] = ()
    value: float = math.nan
    key: float = math.nan
    told_at: float = math.nan
    seconds: float = math.nan
    reason: str = ""

    @property
    def error(self) -> float:
        """Standard error of `value`; NaN for fewer than two measured repeats."""
        return _error(self.values)

    def handed_out(self) -> TrialRecord:
        """As it is once it was handed out again."""
        asked = self.number, self.code, self.origin, self.repeats, self.asked_at, self.log_prior
        return TrialRecord(*asked, self.state, self.attempt + 1)

    def answered(self, result: Result, at: float) -> TrialRecord:
        """As it is once this answer to it was accepted."""
        asked = self.number, self.code, self.origin, self.repeats, self.asked_at, self.log_prior
        answer = result.values, result.value, result.key, at, result.seconds, result.reason
        return TrialRecord(*asked, result.status, self.attempt, *answer)


@dataclass(frozen=True, slots=True)
class Reference:
    """One showing of a reference image, which tells how the neuron drifts; the optimizer never hears of it.

    Attributes:
        presentation: 0, 1, 2, ... among the study's showings of references.
        image: which of the study's references.
        after: it is shown after so many trials of the block that it was handed out with.
        asked_at, told_at: seconds since 1970; NaN while it is not answered.
        values: one for each repeat that was told, NaN where it was lost.
    """

    presentation: int
    image: int
    after: int
    asked_at: float
    told_at: float = math.nan
    values: tuple[float, ...] = ()

    @property
    def value(self) -> float:
        """Mean over the measured repeats; NaN where there are none."""
        return _mean(self.values)


@dataclass(frozen=True, slots=True, eq=False)
class Confirmed:
    """The final choice of a study, by fresh showings that had no part in making it a candidate.

    Attributes:
        number: of the first trial that showed it.
        code: ``(dim,)``.
        value: mean over the last round's measured presentations, which follow the choice: no luck raises it.
        error: its standard error; NaN for fewer than two presentations.
        presentations: measured in the last round.
    """

    number: int
    code: NDArray[Any]
    value: float
    error: float
    presentations: int


class AskTell(Protocol):
    """A study here, or a client of a study elsewhere."""

    @property
    def finished(self) -> bool:
        """Whether no further trial will be asked and none is open."""
        ...

    @property
    def patience(self) -> float | None:
        """Seconds after which an ask that got too little is worth another; None: not before an answer was told here."""
        ...

    def ask(self, n: int) -> list[Trial]:
        """Up to ``n`` trials to evaluate; none while the study waits for answers, or once it has ended."""
        ...

    def tell(self, results: Sequence[Result]) -> None:
        """Answers; accepted whole or refused whole."""
        ...


def trial_seed(study_seed: int, number: int, repeat: int) -> int:
    """The seed of one presentation, a function of its three numbers alone."""
    return int(np.random.SeedSequence((study_seed, number, repeat)).generate_state(1, np.uint32)[0])


def trial_seeds(study_seed: int, numbers: Sequence[int], repeats: int) -> list[tuple[int, ...]]:
    """`trial_seed` of the first repeats of each trial, computed together, which takes a fraction of the time.

    numpy's SeedSequence (M. O'Neill, "Developing a seed_seq alternative", 2015): the words of the three numbers are
    hashed into a pool of four, each of which is mixed into the three others; then the first makes the seed.
    """
    words = np.zeros((4, len(numbers), repeats), np.uint64)
    words[0], words[1], words[2] = study_seed, np.array(numbers, np.uint64)[:, None], np.arange(repeats)
    if (words >> np.uint64(32)).any():  # a number of two words, so more than the pool has
        return [tuple(trial_seed(study_seed, number, repeat) for repeat in range(repeats)) for number in numbers]
    pool = _hashed(words.reshape(4, -1).astype(np.uint32), _POOLED[:5])
    for source in range(4):
        others = [target for target in range(4) if target != source]
        mixed = _LEFT * pool[others] - _RIGHT * _hashed(pool[source], _POOLED[4 + 3 * source :][:4])
        pool[others] = mixed ^ mixed >> _HALF
    seeds: list[int] = _hashed(pool[:1], _DRAWN)[0].tolist()
    return [tuple(seeds[first : first + repeats]) for first in range(0, len(seeds), repeats)]


def _hashed(words: NDArray[np.uint32], constants: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Hashes ``(k, n)`` of words ``(k, n)`` or ``(n,)``, each row by the next two of ``k + 1`` constants."""
    made = (words ^ constants[:-1]) * constants[1:]
    return made ^ made >> _HALF


def _constants(start: int, factor: int, count: int) -> NDArray[np.uint32]:
    return np.array([start * pow(factor, i, 2**32) % 2**32 for i in range(count)], np.uint32)[:, None]


_POOLED, _DRAWN = _constants(0x43B0D7E5, 0x931E8875, 17), _constants(0x8B51F9DD, 0x58F38DED, 2)
_LEFT, _RIGHT, _HALF = np.uint32(0xCA01F9DD), np.uint32(0x4973F715), np.uint32(16)


def _mean(values: Sequence[float]) -> float:
    if len(values) == 1:  # nearly always
        return values[0] + 0.0  # no minus zero, as a sum has none
    measured = [v for v in values if not math.isnan(v)]
    return math.fsum(measured) / len(measured) if measured else math.nan


def _error(values: Sequence[float]) -> float:
    measured = [v for v in values if not math.isnan(v)]
    return float(np.std(measured, ddof=1) / math.sqrt(len(measured))) if len(measured) > 1 else math.nan
