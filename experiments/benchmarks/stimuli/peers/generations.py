"""Methods that ask and are told whole generations, as their packages want it."""

from __future__ import annotations

import abc
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.benchmarks.stimuli.searchers import Best, Floats, Setting


class Generations(abc.ABC):
    """Hands a generation out in parts, and tells it once it is complete.

    A generation has as many points as the package takes by default, or a whole batch where that is larger, as somebody
    would choose who can evaluate so many at once.

    Args:
        setting: of the run, in a box or a code book.
    """

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.best = Best()
        self._points: NDArray[Any] = np.zeros((0, setting.space.dim))
        self._asked = 0
        self._answers: list[float] = []

    def ask(self, n: int) -> NDArray[Any]:
        """The next points of the generation; at most its rest."""
        if self._asked == len(self._points):
            self._points, self._asked, self._answers = self.generation(), 0, []
        first, self._asked = self._asked, min(self._asked + n, len(self._points))
        return self._points[first : self._asked]

    def tell(self, values: Floats) -> None:
        """The answers to them."""
        self.best.note(self._points[self._asked - len(values) : self._asked], values)
        self._answers += values.tolist()
        if len(self._answers) == len(self._points):
            self.learn(self._points, np.array(self._answers))

    def recommend(self) -> NDArray[Any]:
        """The best told."""
        return self.best.point

    @abc.abstractmethod
    def generation(self) -> NDArray[Any]:
        """New points ``(popsize, dim)``."""

    @abc.abstractmethod
    def learn(self, points: NDArray[Any], values: Floats) -> None:
        """All answers to a generation."""
