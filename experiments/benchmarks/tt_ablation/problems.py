"""What is searched: units of the spiking network over VQ-VAE codes in a chart, and discrete problems by formula."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mango.generators import make_generator
from mango.space import SearchSpace
from mango.targets import make_target

UNITS = ("lif3/17", "lif2/7", "output/3", "output/5", "lif3/100", "lif2/48")  # for tuning; no result is to rest on them
NATURAL = 1000

Values = NDArray[np.float64]


class Problem(NamedTuple):
    """A space, its natural codes if any, and answers with keys; ``median`` is a unit's natural one."""

    space: SearchSpace
    natural: NDArray[Any] | None
    answer: Callable[[NDArray[Any]], tuple[Values, Values | None]]
    median: float


@cache
def unit(name: str) -> Problem:
    """A unit such as ``"lif2/7"`` of snn-cifar10 over the codes of vqvae-cifar10."""
    generator: Any = _generator()
    target: Any = make_target(f"snn-cifar10:{name}")
    natural = generator.natural(NATURAL, np.random.default_rng(0))
    return Problem(
        generator.space,
        natural,
        lambda codes: target.respond(generator.decode(codes)),
        target.summary["natural_median"],
    )


@cache
def _generator() -> Any:
    return make_generator("vqvae-cifar10")


def discrete() -> dict[str, Problem]:
    """Kinds of problem that PROTES was published with, and one of labels; all are made by a fixed seed."""
    rng = np.random.default_rng(5)
    matrix = rng.normal(size=(60, 60))
    edges = np.triu(rng.random((50, 50)) < 0.2, 1)
    worth, weight = rng.integers(5, 100, 50), rng.integers(5, 100, 50)
    single, pairs = rng.normal(size=(20, 16)), rng.normal(size=(16, 16))

    def qubo(x: Any) -> Values:
        return np.einsum("ni,ij,nj->n", x, matrix, x)

    def cut(x: Any) -> Values:
        return ((x[:, :, None] != x[:, None, :]) & edges).sum((1, 2)).astype(np.float64)

    def knapsack(x: Any) -> Values:
        return np.where(x @ weight <= 1000, x @ worth, 0).astype(np.float64)

    def rastrigin(x: Any) -> Values:
        points = x / 31 * 10.24 - 4.82
        return -(np.square(points) - 10 * np.cos(2 * np.pi * points) + 10).sum(1)

    def labels(x: Any) -> Values:
        return single[np.arange(20), x].sum(1) + pairs[x[:, :-1], x[:, 1:]].sum(1)

    spaces = {
        "QUBO, 60 x 2": (SearchSpace.grid(60, 2), qubo),
        "maximum cut, 50 x 2": (SearchSpace.grid(50, 2), cut),
        "knapsack, 50 x 2": (SearchSpace.grid(50, 2), knapsack),
        "Rastrigin, 20 x 32": (SearchSpace.grid(20, 32), rastrigin),
        "labels in a chain, 20 x 16": (SearchSpace.codebook(20, 16), labels),
    }
    return {name: Problem(space, None, _unkeyed(function), 0.0) for name, (space, function) in spaces.items()}


def _unkeyed(function: Callable[[Any], Values]) -> Callable[[NDArray[Any]], tuple[Values, None]]:
    return lambda codes: (function(codes), None)
