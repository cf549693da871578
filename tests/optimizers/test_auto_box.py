"""What `auto` does on continuous axes: slopes where there are any, CMA-ES for the rest."""

from __future__ import annotations

import numpy as np

from mango.optimizers.auto import SLOPES, Auto
from mango.optimizers.quasi_newton import TRIES
from mango.space import SearchSpace
from tests.optimizers.runs import search

BOX = SearchSpace.box(10, -5.0, 5.0)


def ellipsoid(x: np.ndarray) -> np.ndarray:
    return -(10.0 ** (3 * np.arange(x.shape[1]) / (x.shape[1] - 1)) * np.square(x - 1.5)).sum(1)


def test_a_smooth_target_is_climbed_at_once() -> None:
    best, made = search(Auto(BOX, seed=0, budget=1000), ellipsoid, 1000, batch=1, target=-1e-6)
    assert best >= -1e-6
    assert made < 700


def test_a_large_batch_goes_to_slopes_and_cma() -> None:
    optimizer = Auto(BOX, seed=0, budget=1000)
    ids, codes, origins = optimizer.ask(20)
    assert [origin.split(":")[0] for origin in origins] == ["slopes"] * 3 + ["cma"] * 17
    optimizer.tell(ids, ellipsoid(codes))
    assert [origin.split(":")[0] for origin in optimizer.ask(20).origins] == ["slopes"] * 10 + ["cma"] * 10


def test_a_quantised_target_is_left_to_cma() -> None:
    optimizer = Auto(BOX, seed=0, budget=1000)
    asked: list[str] = []
    for _ in range(30):
        ids, codes, origins = optimizer.ask(5)
        asked += origins
        optimizer.tell(ids, np.floor(ellipsoid(codes)))
    assert sum(origin.startswith("slopes") for origin in asked) == 3 * TRIES
    assert all(origin == "cma" for origin in asked[-50:])


def test_a_small_budget_buys_no_slopes() -> None:
    optimizer = Auto(BOX, seed=0, budget=SLOPES * BOX.dim - 1)
    assert optimizer.ask(5).origins == ["cma"] * 5
