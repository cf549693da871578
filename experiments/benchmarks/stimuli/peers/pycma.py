"""pycma (Hansen), the package ``cma``: CMA-ES at its defaults in a box.

First guess and step, which have no default, are 0 and 1, those of the box's normal prior. Where it stops by its own
criteria it starts again with twice the population (IPOP, Auger and Hansen 2005) from a draw of the prior. Under noise
it recommends the mean of its distribution (`xfavorite`).
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.benchmarks.stimuli.peers.generations import Generations
from experiments.benchmarks.stimuli.searchers import Floats, Setting


class Pycma(Generations):
    """`cma.CMAEvolutionStrategy` with restarts."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self._rng = np.random.default_rng(setting.seed)
        self._popsize = max(setting.batch, 4 + int(3 * np.log(setting.space.dim)))
        self._strategy = self._begin(np.zeros(setting.space.dim))

    def generation(self) -> NDArray[Any]:
        """Its next points."""
        return np.array(self._strategy.ask())

    def learn(self, points: NDArray[Any], values: Floats) -> None:
        """Minus the values, for it minimises."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about equal values
            self._strategy.tell(list(points), (-values).tolist())
        if self._strategy.stop():
            self._popsize *= 2
            self._strategy = self._begin(self.setting.space.sample(1, self._rng)[0])

    def recommend(self) -> NDArray[Any]:
        """The best told; under noise the mean."""
        favourite = self._strategy.result.xfavorite if self.setting.noisy else None
        return self.best.point if favourite is None else np.array(favourite)

    def _begin(self, start: NDArray[Any]) -> Any:
        import cma

        space = self.setting.space
        options = {
            "bounds": [space.lower.tolist(), space.upper.tolist()],
            "popsize": self._popsize,
            "seed": int(self._rng.integers(1, 2**31)),
            "verbose": -9,
        }
        return cma.CMAEvolutionStrategy(start, 1.0, options)
