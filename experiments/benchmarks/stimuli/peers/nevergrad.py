"""Nevergrad's optimizers (Rapin and Teytaud 2018), at their defaults.

Labels are what `TransitionChoice` makes of them inside: an array whose axes, drawn from a standard normal, are uniform
over the labels. The choices around it, which only look values up, are left out: the proposals of the discrete methods
are the same bit for bit, and come over a hundred times sooner. A box, of standard normal prior here, is an array as
Nevergrad makes it by default, which is standard normal too, and points are clipped to the box before they are shown.
Told the bounds, its CMA and with it NGOpt begin with .15 of that step and find far less. Where values are noisy it is
told so (`function.deterministic`). The recommendation is its own.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.benchmarks.stimuli.searchers import Floats, Setting
from mango.space import Codes


class Nevergrad:
    """One method of its registry.

    Args:
        setting: of the run.
        method: its name there.
        natural: whether the given natural codes are its first proposals, by `suggest`, one batch of 40.
    """

    FIRST = 40

    def __init__(self, setting: Setting, method: str, natural: bool = False) -> None:
        import nevergrad

        space = setting.space
        if space.is_box:
            assert space.prior == "normal", "another prior needs bounds"
            array = nevergrad.p.Array(shape=(space.dim,))
        else:
            choice = nevergrad.p.TransitionChoice(range(int(space.levels[0])), repetitions=space.dim)
            array = choice.indices.copy()
        array.random_state = np.random.RandomState(setting.seed)
        array.function.deterministic = not setting.noisy
        np.random.seed(setting.seed)  # noqa: NPY002 (some of its methods draw from the global generator)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._optimizer = nevergrad.optimizers.registry[method](
                array, budget=setting.budget, num_workers=setting.batch
            )
        self._whole = not space.is_box
        self._limits = space.lower, space.upper
        self._asked: list[Any] = []
        if natural and setting.natural is not None:
            for code in setting.natural[: self.FIRST]:
                self._optimizer.suggest(code.astype(np.int64))

    def ask(self, n: int) -> Codes:
        """Exactly n points."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._asked = [self._optimizer.ask() for _ in range(n)]
        return self._points([candidate.value for candidate in self._asked])

    def tell(self, values: Floats) -> None:
        """Minus the values, for it minimises."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for candidate, value in zip(self._asked, values.tolist(), strict=True):
                self._optimizer.tell(candidate, -value)

    def recommend(self) -> Codes:
        """Its own."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return self._points([self._optimizer.provide_recommendation().value])[0]

    def _points(self, values: list[NDArray[Any]]) -> NDArray[Any]:
        points = np.clip(np.array(values, np.float64), *self._limits)
        return np.rint(points).astype(np.int64) if self._whole else points
