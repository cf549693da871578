"""A box in place of grid points and labels, for methods whose proposals are real numbers.

A chart as `mango.charts` defines it, but of all axes: nothing is left out. An ordered grid axis becomes an interval,
cut to the nearest point. A label becomes its embedding, in principal components of the code book, and a proposal goes
to the nearest label.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mango.errors import InputError
from mango.space import Codes, SearchSpace


class RelaxedGrid:
    """Ordered axes as intervals; continuous axes stay as they are.

    Args:
        target: a space without labels.
    """

    def __init__(self, target: SearchSpace) -> None:
        self._target = target
        discrete = ~target.continuous
        half, middle = target.levels / 2, (target.levels - 1) / 2
        # a box has one prior: beside unit-normal axes an interval is scaled to unit variance about zero
        normal = target.prior == "normal" and not discrete.all()
        self._unit = np.where(discrete & normal, half / math.sqrt(3), 1.0)
        self._origin = np.where(discrete & normal, middle, 0.0)
        lower = np.where(discrete, (middle - half - self._origin) / self._unit, target.lower)
        upper = np.where(discrete, (middle + half - self._origin) / self._unit, target.upper)
        self.space = SearchSpace.box(target.dim, lower, upper, prior="normal" if normal else "uniform")

    def to_codes(self, coordinates: ArrayLike) -> Codes:
        """Codes ``(n, dim)`` nearest to coordinates ``(n, dim)``."""
        points = np.asarray(coordinates, np.float64) * self._unit + self._origin
        target = self._target
        on_grid = np.clip(np.rint(points), target.lower, target.upper)
        return np.where(target.continuous, points, on_grid).astype(target.dtype)

    def to_coordinates(self, codes: ArrayLike) -> NDArray[np.float64]:
        """Coordinates ``(n, dim)`` of codes ``(n, dim)``."""
        coordinates: NDArray[np.float64] = (self._target.validate(codes) - self._origin) / self._unit
        return coordinates


class RelaxedLabels:
    """Labels as points of their embedding: ``dim * k`` coordinates, each of unit spread over the code book.

    Args:
        target: a space whose axes share one code book with an embedding ``(levels, k)``.
    """

    def __init__(self, target: SearchSpace) -> None:
        if target.embedding is None:
            raise InputError("labels can be relaxed only where the code book has an embedding; this one has none")
        self._target = target
        centered = target.embedding - target.embedding.mean(0)
        _, singular, directions = np.linalg.svd(centered, full_matrices=False)
        rank = max(1, int((singular > 1e-9 * singular[0]).sum()))
        signs = np.sign(directions[np.arange(rank), np.abs(directions[:rank]).argmax(1)])  # the same on every machine
        directions = directions[:rank] * signs[:, None]
        self._spread = np.maximum(singular[:rank], 1e-300) / math.sqrt(len(centered))
        self._book = centered @ directions.T  # (levels, rank), its distances are the embedding's
        reach = np.abs(self._book / self._spread).max(0) + 1e-9  # every label lies inside
        self.space = SearchSpace.box(
            target.dim * rank, -np.tile(reach, target.dim), np.tile(reach, target.dim), prior="normal"
        )

    def to_codes(self, coordinates: ArrayLike) -> Codes:
        """Codes ``(n, dim)`` nearest, in the embedding, to coordinates ``(n, dim * k)``."""
        parts = np.asarray(coordinates, np.float64).reshape(-1, len(self._spread)) * self._spread
        distance = np.square(self._book).sum(1) - 2 * parts @ self._book.T
        nearest: Codes = distance.argmin(1).reshape(-1, self._target.dim)
        return nearest

    def to_coordinates(self, codes: ArrayLike) -> NDArray[np.float64]:
        """Coordinates ``(n, dim * k)`` of codes ``(n, dim)``."""
        checked = self._target.validate(codes)
        points: NDArray[np.float64] = self._book[checked] / self._spread
        return points.reshape(len(checked), self.space.dim)


def relaxed(space: SearchSpace) -> RelaxedGrid | RelaxedLabels | None:
    """The box in place of a space; None where there is none, since its labels have no place anywhere."""
    if space.embedding is not None:
        return RelaxedLabels(space)
    return RelaxedGrid(space) if space.ordered.all() else None
