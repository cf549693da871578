"""A small optimizer that keeps every rule."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from mango.optimizers import Optimizer
from mango.optimizers.base import Codes, Ids, Learned
from mango.space import SearchSpace


class Climber(Optimizer):
    """Keeps all rules: steps from a remembered center, which moves to better points; the step shrinks."""

    OPTIONS: ClassVar[dict[str, Any]] = {"step": 0.5}

    def __init__(self, space: SearchSpace, *, seed: int, **options: Any) -> None:
        super().__init__(space, seed=seed, **options)
        self.center = self.domain.sample(1, self.rng)[0].astype(np.float64)
        self.height = -np.inf
        self.moves = 0

    def _propose(self, ids: Ids) -> tuple[Codes, list[str]]:
        spread = (self.domain.upper - self.domain.lower) * self.options["step"] / (1 + self.moves)
        drawn = self.center + self.rng.normal(size=(len(ids), self.domain.dim)) * spread
        inside = np.clip(drawn, self.domain.lower, self.domain.upper)
        return np.where(self.domain.continuous, inside, np.rint(inside)).astype(self.domain.dtype), ["step"] * len(ids)

    def _learn(self, batch: Learned) -> None:
        for value, point in zip(batch.values, batch.points, strict=True):
            if value > self.height:
                self.center, self.height, self.moves = point.astype(np.float64), float(value), self.moves + 1

    def _observe(self, batch: Learned) -> None:
        self._learn(batch)

    def _state(self) -> dict[str, Any]:
        return {"center": self.center.copy(), "height": self.height, "moves": self.moves}

    def _restore(self, state: dict[str, Any]) -> None:
        self.center = np.array(state["center"])
        self.height, self.moves = float(state["height"]), int(state["moves"])
