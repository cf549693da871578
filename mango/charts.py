"""Charts: few, energy-sorted coordinates of a space of many axes, in which any optimizer can search.

A chart turns a point of a box into a code (nearest label, or the point itself cut to the space's range) and a code
into the box's coordinates (a projection, lossy). Coordinates are scaled so that natural or random codes spread over
about one unit on each axis, and sorted by how much they change the code.

Sources: measured for this project (see the README); principal components after Pearson (1901), low frequencies after
the type-II discrete cosine transform (Ahmed, Natarajan, Rao 1974).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mango.errors import InputError, UnknownName
from mango.space import Codes, SearchSpace

REACH = 3.0  # of a chart's box, in units of the natural spread of each coordinate
NUMBER = 64  # of coordinates where none is given
NAMES = {
    "frequencies": "the K lowest spatial frequencies of a map of codes; needs no data",
    "principal": "the K leading principal components of natural codes",
}


class Chart(Protocol):
    """Coordinates of a space; `space` is the box they live in."""

    @property
    def space(self) -> SearchSpace:
        """The box of the coordinates, with a unit-normal prior."""
        ...

    def to_codes(self, coordinates: ArrayLike) -> Codes:
        """Codes ``(n, dim)`` at coordinates ``(n, k)``; many coordinates share one code."""
        ...

    def to_coordinates(self, codes: ArrayLike) -> NDArray[np.float64]:
        """Coordinates ``(n, k)`` nearest to codes ``(n, dim)``, kept inside the box."""
        ...


def make_chart(spec: str, space: SearchSpace, natural: ArrayLike | None = None) -> Chart:
    """The chart that a text such as ``"frequencies:64"`` names; the number of coordinates defaults to `NUMBER`.

    Raises:
        UnknownName: no such chart.
        InputError: a bad number of coordinates, or a space or natural codes that do not suit.
    """
    name, _, size = spec.partition(":")
    if name not in NAMES:
        raise UnknownName("chart", name, NAMES)
    if size and not (size.isdigit() and int(size) >= 1):
        raise InputError(f"chart {spec!r}: expected {name}:K with K >= 1 coordinates")
    k = int(size) if size else NUMBER
    if name == "frequencies":
        return frequencies(space, k)
    if natural is None:
        raise InputError(f"chart {spec!r} needs natural codes: name a generator that has them, or pass natural=")
    return principal(space, natural, k)


def principal(space: SearchSpace, natural: ArrayLike, k: int) -> Chart:
    """The ``k`` leading principal components of natural codes ``(n, dim)``, in units of their spread."""
    _check(f"principal:{k}", space, k)
    points = _embed(space, space.validate(natural))
    if k > min(points.shape[1], len(points) - 1):
        raise InputError(
            f"principal:{k} asks for more components than the natural codes have: {len(points)} codes of "
            f"{points.shape[1]} numbers give at most {min(points.shape[1], len(points) - 1)}"
        )
    center = points.mean(0)
    _, singular, directions = np.linalg.svd(points - center, full_matrices=False)
    signs = np.sign(directions[np.arange(k), np.abs(directions[:k]).argmax(1)])  # the same on every machine
    spread = singular[:k] / np.sqrt(len(points) - 1)
    if (spread <= 1e-9 * spread[0]).any():
        raise InputError(f"the natural codes vary in fewer than {k} directions; ask for fewer coordinates")
    return _LinearChart(space, center, directions[:k] * signs[:, None], spread)


def frequencies(space: SearchSpace, k: int) -> Chart:
    """The ``k`` slowest products of a spatial cosine over the layout and a leading component of the embedding.

    The coordinate of frequency (i, j) and embedding component c has the spread of that component over
    ``1 + i + j``, so that slow changes, which natural images are made of, are large.
    """
    _check(f"frequencies:{k}", space, k)
    if space.layout is None or len(space.layout) != 2:
        raise InputError(f"frequencies:{k} needs a space whose axes lie on a map, layout (height, width)")
    height, width = space.layout
    book = np.ones((1, 1)) if space.embedding is None else space.embedding
    center, components, spread = _components(space, book)
    cosines = [_cosines(height), _cosines(width)]
    rows = [
        (spread[c] / (1 + i + j), i + j, i, c, np.outer(cosines[0][i], cosines[1][j]), components[c])
        for i in range(height)
        for j in range(width)
        for c in range(len(components))
    ]
    if k > len(rows):
        raise InputError(f"frequencies:{k} asks for more coordinates than there are: {len(rows)}")
    rows.sort(key=lambda row: (-row[0], *row[1:4]))
    directions = np.stack([np.multiply.outer(pattern, part).ravel() for *_, pattern, part in rows[:k]])
    scale = np.array([row[0] for row in rows[:k]])
    return _LinearChart(space, np.tile(center, space.dim), directions, scale * np.sqrt(height * width))


@dataclass(frozen=True, eq=False)
class _LinearChart:
    """``point = center + (coordinates * spread) @ directions``, snapped; directions are orthonormal rows."""

    target: SearchSpace
    center: NDArray[np.float64]
    directions: NDArray[np.float64]
    spread: NDArray[np.float64]

    @property
    def space(self) -> SearchSpace:
        return SearchSpace.box(len(self.spread), -REACH, REACH, prior="normal")

    def to_codes(self, coordinates: ArrayLike) -> Codes:
        coordinates = np.asarray(coordinates, np.float64)
        return _snap(self.target, self.center + (coordinates * self.spread) @ self.directions)

    def to_coordinates(self, codes: ArrayLike) -> NDArray[np.float64]:
        points = _embed(self.target, self.target.validate(codes))
        return np.clip((points - self.center) @ self.directions.T / self.spread, -REACH, REACH)


def _check(spec: str, space: SearchSpace, k: int) -> None:
    if k < 1:
        raise InputError(f"{spec}: expected at least 1 coordinate")
    if space.embedding is None and not space.ordered.all():
        raise InputError(f"{spec} needs an order among the points of each axis, or an embedding of the labels")


def _components(space: SearchSpace, book: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    """Center ``(m,)``, components ``(c, m)`` and spreads ``(c,)`` of one axis's values."""
    if space.embedding is None:
        low, high = space.lower, space.upper
        if not (low == low[0]).all() or not (high == high[0]).all():
            raise InputError("frequencies need axes that share one range, or a code book with an embedding")
        normal = space.prior == "normal" and space.is_box
        middle, unit = (0.0, 1.0) if normal else ((low[0] + high[0]) / 2, (high[0] - low[0]) / np.sqrt(12))
        return np.array([middle]), np.ones((1, 1)), np.array([unit])
    center = book.mean(0)
    _, singular, directions = np.linalg.svd(book - center, full_matrices=False)
    signs = np.sign(directions[np.arange(len(directions)), np.abs(directions).argmax(1)])
    real = singular > 1e-9 * singular[0]  # an embedding may fill fewer dimensions than it has numbers
    return center, (directions * signs[:, None])[real], singular[real] / np.sqrt(len(book))


def _cosines(n: int) -> NDArray[np.float64]:
    """Orthonormal rows ``(n, n)`` of the type-II cosine transform."""
    rows: NDArray[np.float64] = np.cos(np.pi * np.outer(np.arange(n), np.arange(n) + 0.5) / n) * np.sqrt(2 / n)
    rows[0] /= np.sqrt(2)
    return rows


def _embed(space: SearchSpace, codes: Codes) -> NDArray[np.float64]:
    """Codes as points ``(n, dim * m)``: each label by its ``m`` embedding numbers, other axes as they are."""
    if space.embedding is None:
        return codes.astype(np.float64)
    points: NDArray[np.float64] = space.embedding[codes].reshape(len(codes), -1)
    return points


def _snap(space: SearchSpace, points: NDArray[np.float64]) -> Codes:
    """The code nearest to each point of `_embed`."""
    if space.embedding is None:
        inside = np.clip(points, space.lower, space.upper)
        return np.where(space.continuous, inside, np.rint(inside)).astype(space.dtype)
    book = space.embedding
    parts = points.reshape(-1, book.shape[1])
    distance = np.square(book).sum(1) - 2 * parts @ book.T
    labels: Codes = distance.argmin(1).reshape(len(points), space.dim)
    return labels
