"""Small spaces of every kind, with and without a chart, on which all optimizers are tested."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from mango.charts import principal
from mango.space import SearchSpace


class Place(NamedTuple):
    """A space and what goes to the optimizer with it."""

    space: SearchSpace
    options: dict[str, Any]


def _codebook() -> SearchSpace:
    """Like the VQ-VAE's 8 x 8 map of 512 labels, only 4 x 4 and 32: labels lie in 6 dimensions, the first widest."""
    embedding = np.random.default_rng(7).normal(size=(32, 6)) / (1 + np.arange(6))
    return SearchSpace.codebook(16, 32, embedding, (4, 4))


def _mixed(labels: bool) -> SearchSpace:
    """Two continuous axes, one of eight ordered points and one of four points or labels."""
    return SearchSpace(
        np.array([-1.0, 0.0, 0.0, 0.0]),
        np.array([1.0, 5.0, 7.0, 3.0]),
        np.array([0, 0, 8, 4]),
        np.array([True, True, True, not labels]),
    )


def _natural(space: SearchSpace, n: int = 60) -> np.ndarray[Any, Any]:
    """Made-up natural codes: neighbours on the map are alike, as in images."""
    rng = np.random.default_rng(8)
    if space.embedding is None:
        return space.sample(n, rng)
    centers = rng.normal(size=(n, 1, space.embedding.shape[1])) * space.embedding.std(0)
    points = centers + 0.4 * rng.normal(size=(n, space.dim, space.embedding.shape[1])) * space.embedding.std(0)
    return np.square(points[:, :, None] - space.embedding).sum(-1).argmin(-1)


CODEBOOK = _codebook()
NORMAL = SearchSpace.box(6, -3.0, 3.0, prior="normal")

PLACES: dict[str, Place] = {
    "box": Place(SearchSpace.box(5, -2.0, 3.0), {}),
    "normal": Place(NORMAL, {}),
    "line": Place(SearchSpace.box(1), {}),
    "grid": Place(SearchSpace.grid(5, 8), {}),
    "odd-grid": Place(SearchSpace.grid(4, 5), {}),
    "binary": Place(SearchSpace.grid(20, 2), {}),
    "labels": Place(SearchSpace.codebook(6, 16), {}),
    "codebook": Place(CODEBOOK, {}),
    "codebook-natural": Place(CODEBOOK, {"natural": _natural(CODEBOOK)}),
    "mixed-ordered": Place(_mixed(labels=False), {}),
    "mixed-labels": Place(_mixed(labels=True), {}),
    "codebook@frequencies": Place(CODEBOOK, {"chart": "frequencies:8"}),
    "codebook@principal": Place(CODEBOOK, {"chart": principal(CODEBOOK, _natural(CODEBOOK), 8)}),
    "normal@principal": Place(NORMAL, {"chart": principal(NORMAL, _natural(NORMAL), 4)}),
}
