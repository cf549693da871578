"""Optuna's samplers (Akiba et al. 2019) at their defaults: TPE on labels and in a box, CMA-ES in a box.

A batch is asked before any of it is told, as several workers would; a generation of CMA-ES is at least a batch, for it
would learn no more answers of one than a generation has.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.benchmarks.stimuli.searchers import Floats, Setting


class Optuna:
    """One study in memory.

    Args:
        setting: of the run.
        sampler: ``"TPESampler"`` or ``"CmaEsSampler"``.
    """

    def __init__(self, setting: Setting, sampler: str) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        space = setting.space
        self._whole = not space.is_box
        self._axes: dict[str, Any] = {
            str(axis): optuna.distributions.CategoricalDistribution(range(int(levels)))
            if self._whole
            else optuna.distributions.FloatDistribution(float(low), float(high))
            for axis, (low, high, levels) in enumerate(zip(space.lower, space.upper, space.levels, strict=True))
        }
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            options = {}
            if sampler == "CmaEsSampler":
                options["popsize"] = max(setting.batch, 4 + math.floor(3 * math.log(space.dim)))
            made = getattr(optuna.samplers, sampler)(seed=setting.seed, **options)
            self._study = optuna.create_study(direction="maximize", sampler=made)
        self._trials: list[Any] = []

    def ask(self, n: int) -> NDArray[Any]:
        """Exactly n points."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._trials = [self._study.ask(self._axes) for _ in range(n)]
        return np.array([self._point(trial.params) for trial in self._trials])

    def tell(self, values: Floats) -> None:
        """To the study."""
        for trial, value in zip(self._trials, values.tolist(), strict=True):
            self._study.tell(trial, value)

    def recommend(self) -> NDArray[Any]:
        """Its best trial."""
        return self._point(self._study.best_params)

    def _point(self, parameters: dict[str, Any]) -> NDArray[Any]:
        values = [parameters[name] for name in self._axes]
        return np.array(values, np.int64 if self._whole else np.float64)
