"""The best codes that were told, a bounded number: what an optimizer recommends, also where answers are noisy.

Without noise the best is the code of the highest value. Under noise that is a lucky draw: of many answers the highest
is the one with the most luck. There each value is drawn towards the mean of all, the more the less it is sure,

    expected = mean + (value - mean) * between / (between + error^2),

where ``between`` is the variance of the answers less their noise: the posterior mean of a normal prior (Efron and
Morris 1975, "Data analysis using Stein's estimator", with the prior estimated from the answers). A code that is told
again, refined by repeats, has its newest value and error.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from mango.optimizers.ordering import Floats, merit, ranking

KEPT = 16  # codes
LEAST = 0.01  # share of the answers' variance that is between codes, at least


class Leader(NamedTuple):
    """A code ``(dim,)``, what is expected of it, and the key that orders equal ones."""

    code: NDArray[Any]
    expected: float
    key: float


class Leaders:
    """The best codes told, and the moments of all answers.

    Where an answer comes without an error and others came with one, it is taken to have the usual error.

    Args:
        dim: axes of a code.
        dtype: of codes.
    """

    def __init__(self, dim: int, dtype: DTypeLike) -> None:
        self._codes: NDArray[Any] = np.empty((0, dim), dtype)
        self._values, self._keys, self._errors = np.empty((3, 0))
        self._moments = np.zeros(3)  # of the answers: their number, mean and sum of squared deviations
        # Number of answers that came with an error, and the mean of its square; before any the largest one of repeats.
        self._noise = np.zeros(2)

    @property
    def noisy(self) -> bool:
        """Whether an error above 0 was ever told."""
        return bool(self._noise[1] > 0)

    @property
    def best(self) -> Leader | None:
        """Of the highest expectation, equal ones by key, then the earlier; None before anything was measured."""
        if not len(self._values):
            return None
        expected = self._expected()
        first = ranking(expected, self._keys)[0]
        return Leader(self._codes[first].copy(), float(expected[first]), float(self._keys[first]))

    @property
    def peak(self) -> tuple[float, float]:
        """What is expected of the best, and its key, as `merit` has them; both -inf before anything was measured."""
        best = self.best
        return (-math.inf, -math.inf) if best is None else merit(best.expected, best.key)

    def refine(self, codes: NDArray[Any], values: Floats, keys: Floats, errors: Floats) -> None:
        """Takes those answers ``(n,)`` that refine codes among the leaders, and no others."""
        known = self._places(codes)
        rows = np.array([bool(places) for places in known], np.bool_) & ~np.isnan(errors)
        self.note(codes[rows], values[rows], keys[rows], errors[rows])

    def note(self, codes: NDArray[Any], values: Floats, keys: Floats, errors: Floats) -> None:
        """Answers ``(n,)`` to codes ``(n, dim)``, lost ones (NaN) among them."""
        measured = ~np.isnan(values)
        codes, values, keys, errors = codes[measured], values[measured], keys[measured], errors[measured]
        if not len(values):
            return
        places = self._places(codes)
        self._count(values, errors, np.array([not rows for rows in places], np.bool_))
        added = np.ones(len(values), np.bool_)
        stay = np.ones(len(self._values), np.bool_)
        for row, rows in enumerate(places):
            if rows and not math.isnan(errors[row]):  # refined; without an error it is one answer more
                first = rows[0]
                self._values[first], self._keys[first], self._errors[first] = values[row], keys[row], errors[row]
                stay[rows[1:]] = added[row] = False
        if not self.noisy and stay.all() and len(self._values) == KEPT:
            added &= values >= self._values.min()  # the others would not stay
            if not added.any():
                return
        self._codes = np.concatenate([self._codes[stay], codes[added]])
        self._values = np.concatenate([self._values[stay], values[added]])
        self._keys = np.concatenate([self._keys[stay], keys[added]])
        self._errors = np.concatenate([self._errors[stay], errors[added]])
        if len(self._values) > KEPT:
            best = np.sort(ranking(self._expected(), self._keys)[:KEPT])
            self._codes, self._values = self._codes[best], self._values[best]
            self._keys, self._errors = self._keys[best], self._errors[best]

    def _places(self, codes: NDArray[Any]) -> list[list[int]]:
        """Where each of the codes ``(n, dim)`` stands among the leaders, perhaps more than once."""
        places: list[list[int]] = [[] for _ in codes]
        alike = codes[:, :1] == self._codes[:, 0]  # on the first axis, which suffices to tell nearly all apart
        for row, place in np.argwhere(alike).tolist():
            if codes[row].tobytes() == self._codes[place].tobytes():
                places[row].append(place)
        return places

    def _count(self, values: Floats, errors: Floats, fresh: NDArray[np.bool_]) -> None:
        """The moments of all answers; those to codes among the leaders were counted before.

        Their errors are those of many answers each. They tell that there is noise, and until an answer by itself comes
        with an error the largest of them, the least repeated, is the best guess of how much.
        """
        refined = np.square(errors[~fresh & ~np.isnan(errors)])
        if not self._noise[0]:
            self._noise[1] = max(self._noise[1], refined.max(initial=0.0))
        values, sure = values[fresh], np.square(errors[fresh & ~np.isnan(errors)])
        if len(values):
            told, mean, squares = self._moments.tolist()
            off, both = float(values.mean()) - mean, told + len(values)
            squares += float(np.square(values - values.mean()).sum()) + off**2 * told * len(values) / both
            self._moments = np.array([both, mean + off * len(values) / both, squares])
        if len(sure):
            number, usual = self._noise.tolist()
            usual = usual if number else 0.0
            self._noise = np.array([number + len(sure), usual + float((sure - usual).sum()) / (number + len(sure))])

    def _expected(self) -> Floats:
        if not self.noisy:
            return self._values
        told, mean, squares = self._moments.tolist()
        usual = float(self._noise[1])
        errors = np.where(np.isnan(self._errors), math.sqrt(usual), self._errors)
        return shrunk(self._values, errors, mean, between(squares / max(told - 1, 1), usual))

    def state(self) -> dict[str, Any]:
        """Flat arrays."""
        return {name: getattr(self, f"_{name}") for name in PARTS}

    def restore(self, state: Mapping[str, Any]) -> None:
        """The inverse of `state`."""
        for name in PARTS:
            setattr(self, f"_{name}", np.array(state[name], getattr(self, f"_{name}").dtype))


PARTS = ("codes", "values", "keys", "errors", "moments", "noise")


def between(variance: float, noise: float) -> float:
    """Variance of codes, given that of answers and the mean square of their errors; never quite 0."""
    return max(variance - noise, LEAST * variance)


def shrunk(values: Floats, errors: Floats, mean: float, spread: float) -> Floats:
    """What is expected of values ``(n,)`` with their errors, given the mean of all and their variance ``spread``."""
    variances = np.square(errors)
    weights = np.divide(spread, spread + variances, out=np.ones_like(variances), where=variances > 0)
    expected: Floats = mean + (values - mean) * weights
    return expected
