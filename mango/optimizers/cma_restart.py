"""When a run of CMA-ES is over, and what the next one is.

The rules are those of Hansen (2009), "Benchmarking a BI-population CMA-ES on the BBOB-2009 function testbed", GECCO,
and of appendix B.3 of his tutorial (arXiv 1604.00772). A target has no unit known beforehand, so that differences of
values are measured against the range of all values of the run; keys, where answers have them, count as values do.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mango.optimizers.base import Floats
from mango.optimizers.cma_gaussian import Gaussian

TOL_FUN = 1e-12  # of the run's range of values
TOL_X = 1e-11  # of the first step
TOL_UP = 10.0  # times the widest axis
CONDITION = 0.99e14  # of C; beyond it the axes are lost to rounding
LONGEST = 2000  # generations in mind
WORTHWHILE = 20  # generations of a population that the budget must hold


class Progress:
    """What a run has reached, generation by generation.

    Args:
        dim: axes.
        popsize: answers of a generation, which set how long is long.
    """

    def __init__(self, dim: int, popsize: int) -> None:
        self.patience = min(LONGEST, 120 + math.ceil(30 * dim / popsize))
        self._recent = 10 + math.ceil(30 * dim / popsize)
        self._history = np.empty((0, 4))  # best and median value, best and median key, of the last generations
        self._range = np.array([[math.inf] * 2, [-math.inf] * 2])  # least and most value and key of the run
        self._spread = np.full(2, math.inf)  # of the last generation's values and keys
        self.answers = 0

    def note(self, values: Floats, keys: Floats) -> None:
        """A generation's values ``(n,)``, and the keys that order equal ones, NaN where there are none."""
        both = np.stack([values, np.where(np.isnan(keys), 0.0, keys)], axis=1)
        reached = np.stack([both.max(0), np.median(both, axis=0)], axis=1)
        self._history = np.concatenate([self._history, reached.reshape(1, 4)])[-self.patience :]
        self._range = np.stack([np.minimum(self._range[0], both.min(0)), np.maximum(self._range[1], both.max(0))])
        self._spread = np.ptp(both, axis=0)
        self.answers += len(values)

    def over(self, gaussian: Gaussian, step: float, widest: float) -> str:
        """Why the run is over, in a word; empty while it is not.

        Args:
            gaussian: its distribution.
            step: first standard deviation.
            widest: axis of the box, in the distribution's units.
        """
        longest = gaussian.longest
        if longest <= TOL_X * step and gaussian.sigma * np.abs(gaussian.path_c).max() <= TOL_X * step:
            return "tolx"
        if longest > TOL_UP * widest:
            return "tolupsigma"
        if (gaussian.lengths.max() / gaussian.lengths.min()) ** 2 > CONDITION:
            return "condition"
        level = TOL_FUN * (self._range[1] - self._range[0])
        changes = np.maximum(self._spread, np.ptp(self._history[-self._recent :, ::2], axis=0))
        if len(self._history) >= self._recent and (changes <= level).all():
            return "tolfun"
        share = int(0.3 * self.patience)
        old, new = (np.median(part, axis=0) for part in (self._history[:share], self._history[-share:]))
        if len(self._history) == self.patience and (new <= old).all():
            return "stagnation"
        return ""

    def state(self) -> dict[str, Any]:
        """Flat arrays and numbers."""
        parts: dict[str, Any] = {name: getattr(self, f"_{name}") for name in ("history", "range", "spread")}
        return parts | {"answers": self.answers}

    def restore(self, state: dict[str, Any]) -> None:
        """The inverse of `state`."""
        for name in ("history", "range", "spread"):
            setattr(self, f"_{name}", np.asarray(state[name], np.float64))
        self.answers = int(state["answers"])


class Regimes:
    """Which population and step the next run has: BIPOP, two regimes that share the answers.

    In the one the population doubles from run to run (Auger and Hansen 2005, IPOP), in the other it is smaller, and the
    first step down to a hundredth. The regime with fewer answers so far is next. A small run ends, at the latest, with
    half the answers of the last large one.

    Args:
        popsize: of the first run.
    """

    def __init__(self, popsize: int) -> None:
        self.popsize = popsize
        self.step = 1.0  # of the next run, in units of the first one's
        self.most = math.inf  # answers of the run at hand
        self._limit = 0.0  # of small runs
        self._first = self._large = popsize
        self._spent = np.zeros(2)  # answers of small and of large runs; the first run is neither

    def next(self, answers: int, budget: int | None, rng: np.random.Generator) -> None:
        """After a run of so many answers: sets ``popsize``, ``step`` and ``most`` of the next."""
        if math.isfinite(self.most):
            self._spent[0] += answers
        else:
            self._limit = answers / 2
            self._spent[1] += answers if self._large > self._first else 0
        if self._spent[0] < self._spent[1]:
            self.popsize = int(self._first * max(1.0, self._large / self._first / 2) ** (rng.random() ** 2))
            self.step = 10.0 ** (-2 * rng.random())
            self.most = self._limit
            return
        if budget is None or 2 * self._large * WORTHWHILE <= budget:
            self._large *= 2
        self.popsize, self.step, self.most = self._large, 1.0, math.inf

    def state(self) -> dict[str, Any]:
        """Flat arrays and numbers."""
        return {
            "sizes": np.array([self.popsize, self._first, self._large], np.int64),
            "limits": np.array([self.step, self.most, self._limit, *self._spent]),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """The inverse of `state`."""
        self.popsize, self._first, self._large = (int(size) for size in state["sizes"])
        limits = np.asarray(state["limits"], np.float64)
        self.step, self.most, self._limit = limits[:3].tolist()
        self._spent = limits[3:]
