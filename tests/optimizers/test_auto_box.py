"""What `auto` does on continuous axes: slopes where there are any, CMA-ES for the rest."""

from __future__ import annotations

import numpy as np

from mango.optimizers.auto import MANY, SLOPES, Auto
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


def test_many_axes_with_a_normal_prior_are_searched_on_their_sphere() -> None:
    latent = SearchSpace.box(MANY, -4.0, 4.0, prior="normal")
    _, codes, origins = Auto(latent, seed=0, budget=500).ask(6)
    assert origins == ["sphere"] * 6
    assert np.allclose(np.linalg.norm(codes, axis=1), MANY**0.5)
    narrow, flat = SearchSpace.box(MANY, -0.5, 0.5, prior="normal"), SearchSpace.box(MANY, -4.0, 4.0)
    for space, budget in (
        (latent, None),
        (latent, 499),
        (narrow, 500),
        (flat, 500),
        (SearchSpace.box(9, prior="normal"), 80),
    ):
        assert Auto(space, seed=0, budget=budget).ask(6).origins[-1].startswith("cma")
