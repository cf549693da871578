"""A small optimizer whose every proposal depends on every answer, on their order and on its random numbers.

Whatever a study gets wrong in asking, telling or resuming shows in the next proposal.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from mango.optimizers.base import Learned, Optimizer, State
from mango.space import Codes


class Learner(Optimizer):
    OPTIONS: ClassVar[dict[str, Any]] = {"design": 10**9}  # proposals before the design ends

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.centre = (self.domain.lower + self.domain.upper) / 2
        self.heard = 0.0

    def _propose(self, ids: np.ndarray) -> tuple[Codes, list[str]]:
        n = int(np.sum(ids < self.options["design"]))
        drawn = self.domain.sample(n, self.rng)
        if self.domain.is_box:
            drawn = 0.5 * drawn + 0.5 * self.centre
        else:
            drawn = (drawn + int(abs(self.heard) * 1e6)) % self.domain.levels
        return drawn, ["first" if i == 0 else "learned" for i in ids[:n]]

    def _learn(self, batch: Learned) -> None:
        for number, point, value, key in zip(batch.ids, batch.points, batch.values, batch.keys, strict=True):
            pull = 0.1 if np.isnan(value) else 0.2 + 0.1 * np.tanh(value + np.nan_to_num(key))
            self.centre = (1 - pull) * self.centre + pull * point
            self.heard = 0.7 * self.heard + np.tanh(np.nan_to_num(value)) * (1 + number % 7)

    def _observe(self, batch: Learned) -> None:
        for point, value in zip(batch.points, batch.values, strict=True):
            assert np.isfinite(value)
            self.centre = 0.95 * self.centre + 0.05 * point
            self.heard = 0.6 * self.heard + np.tanh(value)

    def _state(self) -> State:
        return {"centre": self.centre, "heard": float(self.heard)}

    def _restore(self, state: State) -> None:
        self.centre, self.heard = np.array(state["centre"]), state["heard"]
