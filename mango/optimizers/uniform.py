"""Codes that are the same everywhere, uniform fields of colour or texture, searched by Gaussian-process regression.

One label at all positions makes as many codes as the book has labels, few enough to model whole. Many units answer to
the best of them as strongly as to anything (optimizers of stimuli find that out slowly), so that they are worth a first
look, and a start for finer charts. Labels that lie near one another in the book's embedding answer alike: the model is
a Gaussian process over the leading components of the embedding (Rasmussen and Williams 2006, eq. 2.25-2.26). The first
labels are spread out, each the farthest from those before (Gonzalez 1985); later ones have the highest upper confidence
bound (Srinivas et al. 2010), those still open counting as if they had answered what the model expects, which leaves the
mean as it is and lowers the variance (kriging believer, Ginsbourger et al. 2010). Values enter as normal scores of
their ranks, so that no scale needs to be known. Labels without an embedding, of which nothing is known, come in random
order.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from mango.errors import InputError
from mango.optimizers.base import Floats, Ids, Learned, Optimizer, State, ranking
from mango.space import Codes, SearchSpace

COMPONENTS = 6  # of the embedding
LENGTH = 0.5  # of the kernel, in standard deviations of the leading component
NOISE = 1e-2  # variance, beside that of the values, 1
WIDTH = 1.0  # of the confidence bound, in standard deviations
SPREAD = 8  # labels that are spread out before the model chooses
MOST = 1024  # labels; of a larger book some are drawn


class Uniform(Optimizer):
    """Asks codes with one label at all positions, each once; ends when all were asked, and so is no method by itself.

    Raises:
        InputError: a space whose axes do not share one set of labels or grid points, or a chart.
    """

    def __init__(self, space: SearchSpace, **settings: Any) -> None:
        super().__init__(space, **settings)
        if not suits(space) or self.chart is not None:
            raise InputError("uniform needs a space whose axes share one set of labels or grid points, and no chart")
        levels = int(space.levels[0])
        chosen = np.arange(levels) if levels <= MOST else np.sort(self.rng.choice(levels, MOST, replace=False))
        self._labels: NDArray[np.int64] = chosen.astype(np.int64)
        self._kernel, self._places = _kernel(space, self._labels)
        self._asked = np.zeros(len(chosen), np.bool_)
        self._values, self._keys = np.full((2, len(chosen)), np.nan)

    def _propose(self, ids: Ids) -> tuple[Codes, list[str]]:
        n = min(len(ids), int((~self._asked).sum()))
        mean, covariance = self._posterior()
        picks: list[int] = []
        for _ in range(n):
            pick = self._next_label(mean, covariance)
            picks.append(pick)
            self._asked[pick] = True
            column = covariance[:, pick]
            covariance -= np.outer(column, column) / (column[pick] + NOISE)
        codes = np.repeat(self._labels[picks][:, None], self.space.dim, axis=1).astype(self.space.dtype)
        return codes.reshape(n, self.space.dim), ["uniform"] * n

    def _next_label(self, mean: Floats, covariance: Floats) -> int:
        asked = np.flatnonzero(self._asked)
        free = np.flatnonzero(~self._asked)
        if self._places is None:
            return int(self.rng.choice(free))
        if not len(asked):
            return int(np.square(self._places - self._places.mean(0)).sum(1).argmin())
        if len(asked) < SPREAD or np.isnan(self._values).all():
            apart = np.square(self._places[free, None] - self._places[asked]).sum(-1).min(1)
            return int(free[apart.argmax()])
        bound = mean + WIDTH * np.sqrt(np.maximum(covariance.diagonal(), 0))
        return int(free[bound[free].argmax()])

    def _posterior(self) -> tuple[Floats, Floats]:
        """Mean ``(labels,)`` and covariance ``(labels, labels)`` given the answers; open labels as believed."""
        known = np.flatnonzero(~np.isnan(self._values))
        if not len(known):
            return np.zeros(len(self._labels)), self._kernel.copy()
        order = ranking(self._values[known], self._keys[known])
        ranks = np.empty(len(known))
        ranks[order] = np.arange(len(known), 0, -1) - 0.5
        scores = ndtri(ranks / len(known))
        mean: Floats = self._conditioned(known)[0] @ (scores - scores.mean())
        return mean, self._conditioned(np.flatnonzero(self._asked | ~np.isnan(self._values)))[1]

    def _conditioned(self, known: NDArray[np.intp]) -> tuple[Floats, Floats]:
        """Weights ``(labels, known)`` of answers, and the covariance that is left."""
        across = self._kernel[:, known]
        inverse = np.linalg.solve(across[known] + NOISE * np.eye(len(known)), across.T)
        weights = np.asarray(inverse.T, np.float64)
        return weights, self._kernel - weights @ across.T

    def _learn(self, batch: Learned) -> None:
        self._observe(batch)

    def _observe(self, batch: Learned) -> None:
        for point, value, key in zip(batch.points, batch.values.tolist(), batch.keys.tolist(), strict=True):
            at = np.flatnonzero(self._labels == point[0])
            if len(at) and (point == point[0]).all():
                self._asked[at] = True
                if not np.isnan(value):
                    self._values[at], self._keys[at] = value, key

    def _state(self) -> State:
        return {"asked": self._asked, "values": self._values, "keys": self._keys}

    def _restore(self, state: State) -> None:
        self._asked = np.array(state["asked"], np.bool_)
        self._values, self._keys = np.array(state["values"]), np.array(state["keys"])


def suits(space: SearchSpace) -> bool:
    """Whether one label or grid point can stand at all positions."""
    return bool((space.levels > 1).all() and (space.levels == space.levels[0]).all())


def _kernel(space: SearchSpace, labels: NDArray[np.int64]) -> tuple[Floats, Floats | None]:
    """Covariance of the labels' values, and where the labels lie; nothing is known of labels without an embedding."""
    if space.embedding is not None:
        points = space.embedding[labels] - space.embedding[labels].mean(0)
    elif space.ordered.all():
        points = labels[:, None] - labels.mean()
    else:
        return np.eye(len(labels)), None
    left, singular, _ = np.linalg.svd(points, full_matrices=False)
    kept = min(COMPONENTS, len(singular))
    places: Floats = left[:, :kept] * singular[:kept] * np.sqrt(len(labels)) / max(singular[0], 1e-300)
    apart = np.square(places[:, None] - places).sum(-1)
    kernel: Floats = np.exp(-apart / (2 * LENGTH**2))
    return kernel, places
