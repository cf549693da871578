"""The package ``cmaes`` (Nomura and Shibata 2024, arXiv 2402.01373) at its defaults: CMA-ES in a box, CatCMA on labels.

CMA-ES begins at 0 with step 1, those of the box's normal prior, and where it should stop it starts again with twice the
population, as in the package's own example. CatCMA (Hamano et al. 2024, arXiv 2405.09962) is the variant with margin,
which also takes spaces that are categorical throughout.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.benchmarks.stimuli.peers.generations import Generations
from experiments.benchmarks.stimuli.searchers import Floats, Setting


class Cmaes(Generations):
    """`cmaes.CMA` with restarts."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self._rng = np.random.default_rng(setting.seed)
        self._popsize = max(setting.batch, 4 + int(3 * np.log(setting.space.dim)))
        self._optimizer = self._begin(np.zeros(setting.space.dim))

    def generation(self) -> NDArray[Any]:
        """Its next points."""
        return np.array([self._optimizer.ask() for _ in range(self._optimizer.population_size)])

    def learn(self, points: NDArray[Any], values: Floats) -> None:
        """Minus the values, for it minimises."""
        self._optimizer.tell(list(zip(points, (-values).tolist(), strict=True)))
        if self._optimizer.should_stop():
            self._popsize *= 2
            self._optimizer = self._begin(self.setting.space.sample(1, self._rng)[0])

    def recommend(self) -> NDArray[Any]:
        """The best told; under noise the mean."""
        space = self.setting.space
        return np.clip(self._optimizer.mean, space.lower, space.upper) if self.setting.noisy else self.best.point

    def _begin(self, start: NDArray[Any]) -> Any:
        import cmaes

        space = self.setting.space
        return cmaes.CMA(
            mean=start,
            sigma=1.0,
            bounds=np.stack([space.lower, space.upper], 1),
            seed=int(self._rng.integers(2**31)),
            population_size=self._popsize,
        )


class CatCMA(Generations):
    """`cmaes.CatCMAwM` on labels."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        import cmaes

        levels = setting.space.levels.tolist()
        arguments: dict[str, Any] = {"c_space": levels, "seed": setting.seed}
        self._optimizer = cmaes.CatCMAwM(**arguments)
        if setting.batch > self._optimizer.population_size:
            self._optimizer = cmaes.CatCMAwM(**arguments, population_size=setting.batch)
        self._solutions: list[Any] = []

    def generation(self) -> NDArray[Any]:
        """Labels of its next points, which it gives one-hot."""
        self._solutions = [self._optimizer.ask() for _ in range(self._optimizer.population_size)]
        return np.array([solution.c.argmax(1) for solution in self._solutions])

    def learn(self, points: NDArray[Any], values: Floats) -> None:  # noqa: ARG002 (it wants its own solutions back)
        """Minus the values, for it minimises."""
        self._optimizer.tell(list(zip(self._solutions, (-values).tolist(), strict=True)))
