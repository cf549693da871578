"""Where the codes live: continuous axes, ordered grid points and labels of a code book, mixed as needed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mango.errors import CodeError, InputError

Codes = NDArray[Any]
Prior = Literal["uniform", "normal"]


@dataclass(frozen=True, eq=False)
class SearchSpace:
    """The codes that may be asked; arrays are read-only.

    Attributes:
        lower, upper: ``(dim,)`` bounds of continuous axes; 0 and ``levels - 1`` on the others.
        prior: of continuous axes; ``"normal"`` is the unit normal cut off at the bounds.
        levels: ``(dim,)`` points of an axis; 0 marks a continuous axis.
        ordered: ``(dim,)`` False where the points are labels without an order (a code book).
        embedding: ``(levels, k)`` where the labels of a code book lie, or None.
        layout: how the axes lie in space, such as ``(8, 8)``; their product is ``dim``. None where they do not.

    Codes are ``(n, dim)``: int64 where no axis is continuous, else float64 with whole numbers on the other axes.
    """

    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    levels: NDArray[np.int64]
    ordered: NDArray[np.bool_]
    prior: Prior = "uniform"
    embedding: NDArray[np.float64] | None = None
    layout: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        lower, upper = np.asarray(self.lower, np.float64), np.asarray(self.upper, np.float64)
        levels, ordered = np.asarray(self.levels, np.int64), np.asarray(self.ordered, np.bool_)
        if lower.ndim != 1 or not len(lower) or not lower.shape == upper.shape == levels.shape == ordered.shape:
            shapes = [a.shape for a in (lower, upper, levels, ordered)]
            raise InputError(f"lower, upper, levels and ordered must share one shape (dim,), dim >= 1; got {shapes}")
        if (levels < 0).any():
            raise InputError(f"levels must be 0 (continuous) or a number of points; got {levels.min()}")
        bounded = np.isfinite(lower) & np.isfinite(upper) & (lower <= upper)
        if not bounded.all() or (lower == upper)[levels == 0].any():
            wrong = int(np.argmin(bounded & ((lower < upper) | (levels > 0))))
            found = f"{lower[wrong]:g} and {upper[wrong]:g}"
            raise InputError(f"every axis needs finite bounds with lower < upper; axis {wrong} has {found}")
        discrete = levels > 0
        if (lower[discrete] != 0).any() or (upper[discrete] != levels[discrete] - 1).any():
            raise InputError("an axis of grid points or labels goes from 0 to levels - 1")
        if self.prior not in ("uniform", "normal"):
            raise InputError(f"prior must be 'uniform' or 'normal', not {self.prior!r}")
        embedding = self.embedding
        if embedding is not None:
            embedding = np.asarray(embedding, np.float64)
            if embedding.ndim != 2 or not (levels == len(embedding)).all() or ordered.any():
                raise InputError(
                    f"an embedding is (levels, k) with one row for each label of every axis; got {embedding.shape} "
                    f"for axes of {sorted(set(levels.tolist()))} levels"
                )
        if self.layout is not None and (min(self.layout, default=1) < 1 or math.prod(self.layout) != len(lower)):
            raise InputError(
                f"layout {self.layout} must hold the {len(lower)} axes of the space; it holds {math.prod(self.layout)}"
            )
        for name, value in (("lower", lower), ("upper", upper), ("levels", levels), ("ordered", ordered)):
            object.__setattr__(self, name, _frozen(value))
        object.__setattr__(self, "embedding", None if embedding is None else _frozen(embedding))
        object.__setattr__(self, "layout", None if self.layout is None else tuple(int(s) for s in self.layout))

    @classmethod
    def box(cls, dim: int, low: ArrayLike = -1.0, high: ArrayLike = 1.0, *, prior: Prior = "uniform") -> SearchSpace:
        """``dim`` continuous axes between ``low`` and ``high`` (numbers, or one for each axis)."""
        dim = _positive("dim", dim)
        try:
            lower, upper = (np.broadcast_to(np.asarray(v, np.float64), dim).copy() for v in (low, high))
        except (TypeError, ValueError) as error:
            raise InputError(f"low and high must be numbers, or one number for each of {dim} axes: {error}") from error
        return cls(lower, upper, np.zeros(dim, np.int64), np.ones(dim, np.bool_), prior)

    @classmethod
    def grid(cls, dim: int, levels: int) -> SearchSpace:
        """``dim`` axes of ``levels`` ordered points each."""
        dim, levels = _positive("dim", dim), _positive("levels", levels)
        top = np.full(dim, levels - 1.0)
        return cls(np.zeros(dim), top, np.full(dim, levels), np.ones(dim, np.bool_))

    @classmethod
    def codebook(
        cls, dim: int, levels: int, embedding: ArrayLike | None = None, layout: tuple[int, ...] | None = None
    ) -> SearchSpace:
        """``dim`` axes whose points are the ``levels`` labels of one code book."""
        dim, levels = _positive("dim", dim), _positive("levels", levels)
        book = None if embedding is None else np.asarray(embedding, np.float64)
        top = np.full(dim, levels - 1.0)
        return cls(np.zeros(dim), top, np.full(dim, levels), np.zeros(dim, np.bool_), embedding=book, layout=layout)

    @property
    def dim(self) -> int:
        """Number of axes."""
        return len(self.lower)

    @property
    def continuous(self) -> NDArray[np.bool_]:
        """``(dim,)`` True on continuous axes."""
        continuous: NDArray[np.bool_] = self.levels == 0
        return continuous

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of codes: float64 where any axis is continuous, else int64."""
        return np.dtype(np.float64 if self.continuous.any() else np.int64)

    @property
    def is_box(self) -> bool:
        """Whether every axis is continuous."""
        return bool(self.continuous.all())

    def sample(self, n: int, rng: np.random.Generator) -> Codes:
        """Draws ``(n, dim)`` codes from the prior; discrete axes are uniform."""
        codes = np.empty((n, self.dim), self.dtype)
        where = self.continuous
        discrete = ~where
        if discrete.any():
            codes[:, discrete] = rng.integers(0, self.levels[discrete], (n, int(discrete.sum())))
        if where.any():
            codes[:, where] = self._sample_continuous(n, rng)
        return codes

    def _sample_continuous(self, n: int, rng: np.random.Generator) -> NDArray[np.float64]:
        low, high = self.lower[self.continuous], self.upper[self.continuous]
        if self.prior == "uniform":
            return rng.uniform(low, high, (n, len(low)))
        from scipy.special import ndtr, ndtri

        side = np.where(low > 0, -1.0, 1.0)  # the upper tail is drawn as the lower one, where floats are dense
        ends = np.sort(np.stack([side * low, side * high]), axis=0)
        shares = ndtr(ends)
        drawn: NDArray[np.float64] = side * ndtri(rng.uniform(shares[0], shares[1], (n, len(low))))
        return np.minimum(np.maximum(drawn, low), high)  # rounding of the inverse at the very border

    def validate(self, codes: ArrayLike) -> Codes:
        """The codes as a fresh ``(n, dim)`` array of the space's dtype.

        Raises:
            CodeError: wrong shape, not numbers, not finite, out of range, or not whole on a discrete axis.
        """
        try:
            given = np.asarray(codes)
        except ValueError as error:
            raise CodeError(f"codes must form an array (n, {self.dim}): {error}") from error
        if given.ndim != 2 or given.shape[1] != self.dim:
            raise CodeError(f"codes must have shape (n, dim) = (n, {self.dim}); got {given.shape}")
        if given.dtype.kind not in "iuf":
            raise CodeError(f"codes must be real numbers; got dtype {given.dtype}")
        as_float = given.astype(np.float64)
        bad = ~((as_float >= self.lower) & (as_float <= self.upper))  # NaN is out of range too
        if bad.any():
            row, axis = np.argwhere(bad)[0]
            raise CodeError(
                f"code {row} is {as_float[row, axis]} on axis {axis}; "
                f"expected {self.lower[axis]:g} to {self.upper[axis]:g}"
            )
        discrete = ~self.continuous
        if (as_float[:, discrete] != np.floor(as_float[:, discrete])).any():
            raise CodeError("grid points and labels must be whole numbers; got a fraction")
        return as_float.astype(self.dtype)

    def grid_sizes(self, levels: int) -> NDArray[np.int64]:
        """``(dim,)`` points of each axis once continuous axes take ``levels``."""
        if levels < 2:
            raise InputError(f"a continuous axis needs at least 2 levels on a grid; got {levels}")
        return np.where(self.continuous, levels, self.levels)

    def to_grid(self, codes: ArrayLike, levels: int) -> NDArray[np.int64]:
        """Nearest grid point of each code: indices ``(n, dim)``; continuous axes take ``levels`` equidistant points."""
        codes = np.asarray(codes, np.float64)
        sizes, span = self.grid_sizes(levels), np.where(self.upper > self.lower, self.upper - self.lower, 1.0)
        scaled = np.where(self.continuous, (codes - self.lower) / span * (sizes - 1), codes)
        return np.clip(np.rint(scaled), 0, sizes - 1).astype(np.int64)

    def from_grid(self, indices: ArrayLike, levels: int) -> Codes:
        """Codes ``(n, dim)`` at grid indices; the inverse of `to_grid` on the grid's points."""
        indices = np.asarray(indices)
        sizes = self.grid_sizes(levels)
        points = self.lower + (self.upper - self.lower) * (indices / np.maximum(sizes - 1, 1))
        points = np.minimum(points, self.upper)  # rounding of the last point
        return np.where(self.continuous, points, indices).astype(self.dtype)


def _positive(name: str, value: int) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise InputError(f"{name} must be a whole number >= 1; got {value!r}")
    return int(value)


def _frozen(array: NDArray[Any]) -> NDArray[Any]:
    array = np.array(array)
    array.setflags(write=False)
    return array
