"""What all showings of each code say together, and which codes are worth showing again.

Trials of equal codes are pooled: a code has the mean over all its measured presentations. Few presentations say little
about their own noise, so that variances are moderated (Smyth 2004, "Linear models and empirical Bayes methods"): with
the noise level, the variance within codes pooled over all that have several presentations,

    variance = (PRIOR * level + squares) / (PRIOR + n - 1),    error^2 = variance / n.

What is expected of a code is shrunk, see `mango.optimizers.leaders`. Shown again is either the code of which most is
expected or its challenger, the one with the highest upper bound among the others (`WIDTH` posterior standard deviations
above what is expected), whichever is less sure: the rule of Gabillon, Ghavamzadeh and Lazaric (2012, UGapE). So a lucky
draw is shown again at once and falls back, and nothing is spent on a code that is known well. Showings that are under
way count as if they had answered what is expected, which narrows the bound and lets the others of a batch go elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from mango.optimizers.leaders import between, shrunk
from mango.optimizers.ordering import Floats, ranking
from mango.space import Codes

PRIOR = 4.0  # degrees of freedom that the noise level counts for in the variance of one code
WIDTH = 1.0  # of the upper bound, in standard deviations


class Pool:
    """Every code measured so far, by its first trial."""

    def __init__(self) -> None:
        self._rows: dict[bytes, int] = {}
        self._first: list[int] = []  # trial that showed it first
        self._shown: list[int] = []  # measured presentations
        self._means: list[float] = []
        self._squares: list[float] = []  # sum of squared deviations from the mean
        self._keys: list[float] = []
        self._within, self._freedom = 0.0, 0

    def __len__(self) -> int:
        return len(self._first)

    @property
    def level(self) -> float:
        """Variance of one presentation; NaN before any code has two."""
        return self._within / self._freedom if self._freedom else math.nan

    def add(self, number: int, code: Codes, values: Sequence[float], key: float) -> None:
        """One trial with its measured presentations, at least one, as the optimizer hears them."""
        row = self._rows.setdefault(code.tobytes(), len(self._rows))
        if row == len(self._first):
            self._first.append(number)
            self._shown.append(0)
            self._means.append(0.0)
            self._squares.append(0.0)
            self._keys.append(key)
        elif not math.isnan(key):
            before = self._keys[row]
            share = len(values) / (self._shown[row] + len(values))
            self._keys[row] = key if math.isnan(before) else before + share * (key - before)
        for value in values:  # Welford (1962); equal values have exactly their mean
            self._shown[row] += 1
            off = value - self._means[row]
            self._means[row] += off / self._shown[row]
            grown = off * (value - self._means[row])
            self._squares[row] += grown
            if self._shown[row] > 1:
                self._within += grown
                self._freedom += 1

    def several(self, code: Codes, presentations: int) -> bool:
        """Whether a code has more measured presentations than so many."""
        return self._shown[self._rows[code.tobytes()]] > presentations

    def told(self, codes: Sequence[Codes]) -> tuple[Floats, Floats, Floats]:
        """Pooled means ``(n,)`` of known codes, keys, and standard errors, NaN while there is no noise level."""
        rows = [self._rows[code.tobytes()] for code in codes]
        shown, squares = (np.array([part[row] for row in rows], float) for part in (self._shown, self._squares))
        means, keys = (np.array([part[row] for row in rows]) for part in (self._means, self._keys))
        return means, keys, np.sqrt(self._variances(shown, squares) / shown)

    def errors(self, answers: Sequence[Sequence[float]]) -> Floats:
        """Standard errors ``(n,)`` of the means of single trials' measured presentations."""
        shown = np.array([len(values) for values in answers], float)
        squares = np.array([len(values) * np.var(values) if len(values) > 1 else 0.0 for values in answers])
        found: Floats = np.sqrt(self._variances(shown, squares) / np.maximum(shown, 1))
        return found

    def leading(self, count: int) -> list[int]:
        """First trials of the codes of which most is expected, the best first."""
        expected, _ = self._posterior(np.array(self._shown, float))
        return [self._first[row] for row in ranking(expected, np.array(self._keys))[:count]]

    def expected(self) -> tuple[list[int], Floats]:
        """The first trial of every code, and what is expected of the code ``(n,)``."""
        return list(self._first), self._posterior(np.array(self._shown, float))[0]

    def choose(self, count: int, repeats: int, under_way: Sequence[Codes]) -> list[int]:
        """First trials of codes to show again, in the order in which they were chosen.

        Args:
            count: how many; a code may come more than once.
            repeats: presentations of each.
            under_way: codes shown again whose answers are not in the pool, one for each trial.
        """
        each = np.array(self._shown, float)
        for code in under_way:
            each[self._rows[code.tobytes()]] += repeats
        keys = np.array(self._keys)
        chosen: list[int] = []
        for _ in range(count if len(self) else 0):
            expected, widths = self._posterior(each)
            best = int(ranking(expected, keys)[0])
            bounds = expected + WIDTH * widths
            bounds[best] = math.nan
            challenger = int(ranking(bounds, keys)[0])
            row = best if widths[best] >= widths[challenger] else challenger
            each[row] += repeats
            chosen.append(self._first[row])
        return chosen

    def _variances(self, shown: Floats, squares: Floats) -> Floats:
        """Of one presentation of each code."""
        variances: Floats = (PRIOR * self.level + squares) / (PRIOR + np.maximum(shown, 1) - 1)
        return variances

    def _posterior(self, shown: Floats) -> tuple[Floats, Floats]:
        """What is expected of each code ``(n,)``, and its standard deviation after so many presentations ``(n,)``."""
        means, own = np.array(self._means), np.array(self._shown, float)
        if math.isnan(self.level):  # each was shown once: nothing is known of the noise
            return means, np.where(shown > own, -np.inf, 0.0)
        variances = self._variances(own, np.array(self._squares))
        squares = variances / own
        spread = between(float(means.var()), float(squares.mean()))
        left = spread * variances / np.maximum(spread * shown + variances, 1e-300)
        return shrunk(means, np.sqrt(squares), float(means.mean()), spread), np.sqrt(left)
