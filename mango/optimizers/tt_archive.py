"""What Tensor-Train search remembers of all answers: the best of them, a bounded number."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mango.optimizers.base import Floats, State, merit, ranking


class Archive:
    """The best answers, the best first; of equals the earlier comes first. A point told again has its newest value.

    A reservoir of the others beside them, so that a model also sees bad answers, brought nothing.

    Args:
        d: axes of the points.
        size: answers kept.

    Attributes:
        points: ``(n, d)``, whole or real numbers as they were added.
        values, keys: ``(n,)``; none is lost.
    """

    def __init__(self, d: int, size: int) -> None:
        self._size = size
        self.points: NDArray[Any] = np.empty((0, d), np.int64)
        self.values: Floats = np.empty(0)
        self.keys: Floats = np.empty(0)

    def __len__(self) -> int:
        return len(self.values)

    def add(self, points: NDArray[Any], values: Floats, keys: Floats) -> bool:
        """Takes measured answers, in the order of their trials; returns whether one is a new best."""
        before = self.hurdle(1)
        points = np.concatenate([self.points, points])
        values, keys = np.concatenate([self.values, values]), np.concatenate([self.keys, keys])
        newest = np.array(sorted({row.tobytes(): i for i, row in enumerate(points)}.values()), np.int64)
        stay = newest[ranking(values[newest], keys[newest])[: self._size]]
        self.points, self.values, self.keys = points[stay], values[stay], keys[stay]
        return self.hurdle(1) > before

    def hurdle(self, count: int) -> tuple[float, float]:
        """Value and key that an answer must exceed to be among the ``count`` best."""
        last = min(count, len(self)) - 1
        return merit(float(self.values[last]), float(self.keys[last])) if last >= 0 else (-math.inf, -math.inf)

    def successes(self, count: int, values: Floats, keys: Floats) -> NDArray[np.bool_]:
        """Which of new answers ``(n,)`` would be among the ``count`` best."""
        hurdle = self.hurdle(count)
        pairs = zip(values.tolist(), keys.tolist(), strict=True)
        return np.array([merit(value, key) > hurdle for value, key in pairs], np.bool_)

    def shares(self, count: int) -> Floats:
        """Weights of the ``count`` best, fewer if there are fewer: ln(m + 1/2) - ln(rank), scaled to sum to 1."""
        m = min(count, len(self))
        logarithms = np.log(m + 0.5) - np.log(np.arange(1, m + 1))
        weights: Floats = logarithms / logarithms.sum()
        return weights

    def state(self) -> State:
        """Flat arrays."""
        return {"points": self.points, "values": self.values, "keys": self.keys}

    def restore(self, state: State) -> None:
        """The inverse of `state`."""
        self.points, self.values, self.keys = state["points"], state["values"], state["keys"]
