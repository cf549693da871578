"""What a study shows again: leaders during the search, and the candidates for the final choice at its end.

A showing again is an ordinary trial whose code an earlier trial had. Which ones there are follows from the trials that
the optimizer has been told and from those that are under way, never from when answers arrive.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from mango.configuration import WITHOUT_LEADERS, Configuration
from mango.halving import entrants, showings, survivors
from mango.optimizers.base import Floats
from mango.pool import Pool
from mango.space import Codes
from mango.trial import Confirmed, TrialRecord, TrialState


class Reshowing:
    """Chooses earlier trials whose codes are shown again, and pools what their showings say.

    Args:
        configuration: of the study.
    """

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self._pool = Pool()
        self._earlier: dict[int, int] = {}  # trial -> the trial that showed its code first
        self._under_way: set[int] = set()  # of these, not yet learned
        self._rounds: list[range] = []  # of the final choice

    # -- leaders ---------------------------------------------------------------------------------------------------

    def leaders(self, first: int, size: int, room: int, records: Sequence[TrialRecord]) -> list[int]:
        """Trials whose codes a batch of ``size`` from trial ``first`` on shows again, ``room`` at the most."""
        share, without = self._configuration.leaders, WITHOUT_LEADERS * self._configuration.batch
        before, after = (math.floor(share * max(number - without, 0)) for number in (first, first + size))
        waiting = [records[self._earlier[number]].code for number in sorted(self._under_way)]
        return self._pool.choose(min(after - before, room), self._configuration.repeats, waiting)

    def note(self, numbers: Sequence[int], earlier: Sequence[int]) -> None:
        """These trials show again the codes of those earlier ones."""
        self._earlier.update(zip(numbers, earlier, strict=True))
        self._under_way.update(numbers)

    # -- what was measured -----------------------------------------------------------------------------------------

    def learn(self, records: Sequence[TrialRecord]) -> None:
        """Closed trials, by number."""
        self._under_way.difference_update(record.number for record in records)
        for record in _measured(records):
            self._pool.add(record.number, record.code, self._heard(record), record.key)

    def pooled(self, records: Sequence[TrialRecord]) -> tuple[Codes, Floats, Floats, Floats]:
        """Codes of these trials that were measured, each once, with pooled values, keys and errors as heard."""
        codes = list({record.code.tobytes(): record.code for record in _measured(records)}.values())
        if not codes:
            space = self._configuration.space
            return np.empty((0, space.dim), space.dtype), np.empty(0), np.empty(0), np.empty(0)
        return np.stack(codes), *self._pool.told(codes)

    def twins(self, records: Sequence[TrialRecord]) -> list[TrialRecord]:
        """Those measured trials whose code other trials showed too."""
        return [r for r in _measured(records) if self._pool.several(r.code, len(_answers(r)))]

    def errors(self, records: Sequence[TrialRecord]) -> Floats:
        """Standard errors ``(n,)`` of single trials; NaN where nothing is known of the noise, or nothing measured."""
        found = self._pool.errors([_answers(record) for record in records])
        found[[record.state is not TrialState.DONE for record in records]] = math.nan
        return found

    # -- the final choice ------------------------------------------------------------------------------------------

    @property
    def choosing(self) -> bool:
        """Whether the final choice has begun."""
        return bool(self._rounds)

    @property
    def chosen(self) -> int | None:
        """The trial whose code led when the last round began; None before the first."""
        return self._candidates[0] if self._rounds else None

    def wants_round(self, records: Sequence[TrialRecord]) -> bool:
        """Whether a round of the final choice is to come, once nothing is searched for any more."""
        if not self._rounds:
            return self._trials > 0 and any(record.state is TrialState.DONE for record in records)
        return self._left > 0 and len(self._candidates) > 1

    def round(self, records: Sequence[TrialRecord]) -> list[int]:
        """Trials whose codes the next round shows, in the order of its trials."""
        if not self._rounds:
            return showings(self._pool.leading(entrants(self._trials)), self._left)
        fresh: dict[int, list[float]] = {number: [] for number in self._candidates}
        for number in (number for numbers in self._rounds for number in numbers):
            if self._earlier[number] in fresh:
                fresh[self._earlier[number]] += self._heard(records[number])
        means = np.array([math.fsum(values) / len(values) if values else math.nan for values in fresh.values()])
        return showings(survivors(list(fresh), means), self._left)

    def begin(self, numbers: range) -> None:
        """A round has these trials."""
        self._rounds.append(numbers)

    def confirmed(self, records: Sequence[TrialRecord]) -> Confirmed | None:
        """The winner with its last round; None before that was answered, or where all of it was lost."""
        if not self._rounds or len(self._candidates) > 1:
            return None
        last = [records[number] for number in self._rounds[-1]]
        values = [value for record in last for value in _answers(record)]
        if not values or any(record.state is TrialState.OPEN for record in last):
            return None
        first = records[self._candidates[0]]
        error = float(np.std(values, ddof=1) / math.sqrt(len(values))) if len(values) > 1 else math.nan
        return Confirmed(first.number, first.code.copy(), math.fsum(values) / len(values), error, len(values))

    # -- private ---------------------------------------------------------------------------------------------------

    def _heard(self, record: TrialRecord) -> list[float]:
        """Measured presentations as the optimizer hears them."""
        values = np.array(_answers(record))
        heard: list[float] = self._configuration.objective(values, np.full(len(values), record.log_prior)).tolist()
        return heard

    @property
    def _trials(self) -> int:
        return self._configuration.confirm // self._configuration.repeats

    @property
    def _left(self) -> int:
        """Trials of the final choice that no round has had."""
        return self._trials - sum(len(numbers) for numbers in self._rounds)

    @property
    def _candidates(self) -> list[int]:
        """Trials whose codes the last round showed, the leading one first."""
        return list(dict.fromkeys(self._earlier[number] for number in self._rounds[-1]))


def _measured(records: Sequence[TrialRecord]) -> list[TrialRecord]:
    return [record for record in records if record.state is TrialState.DONE]


def _answers(record: TrialRecord) -> list[float]:
    """The values of its measured presentations."""
    return [value for value in record.values if not math.isnan(value)]
