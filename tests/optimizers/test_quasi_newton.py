"""Slopes by differences: speed on smooth targets, bounds, closing on rough ones, fillers, foreign points."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mango.errors import InputError
from mango.optimizers.quasi_newton import MEMORY, TRIES, QuasiNewton
from mango.space import SearchSpace
from tests.optimizers.runs import expect_same_future, search

BOX = SearchSpace.box(10, -5.0, 5.0)
Array = np.ndarray[Any, Any]


def ellipsoid(x: Array) -> Array:
    return -(10.0 ** (3 * np.arange(x.shape[1]) / (x.shape[1] - 1)) * np.square(x - 1.5)).sum(1)


def rosenbrock(x: Array) -> Array:
    return -(100 * np.square(x[:, 1:] - np.square(x[:, :-1])) + np.square(1 - x[:, :-1])).sum(1)


@pytest.mark.parametrize(("objective", "evaluations"), [(ellipsoid, 700), (rosenbrock, 900)])
@pytest.mark.parametrize("batch", [1, 10])
def test_needs_few_evaluations_where_the_target_is_smooth(objective: Any, evaluations: int, batch: int) -> None:
    wider = 1 if batch == 1 else 2  # a line is one point at a time; fillers take the rest of a batch
    best, _ = search(QuasiNewton(BOX, seed=0), objective, wider * evaluations, batch=batch, target=-1e-6)
    assert best >= -1e-6


def test_the_direction_is_that_of_bfgs() -> None:
    optimizer, rng = QuasiNewton(BOX, seed=0), np.random.default_rng(0)
    root = rng.normal(size=(10, 10))
    hessian = root @ root.T + np.eye(10)
    optimizer._steps = rng.normal(size=(6, 10))
    optimizer._changes = optimizer._steps @ hessian
    pairs = list(zip(optimizer._steps, optimizer._changes, strict=True))
    inverse = max(s @ y / (y @ y) for s, y in pairs) * np.eye(10)
    for s, y in pairs:  # Nocedal and Wright (2006), equation 6.17
        away = np.eye(10) - np.outer(s, y) / (s @ y)
        inverse = away @ inverse @ away.T + np.outer(s, s) / (s @ y)
    slope = rng.normal(size=10)
    np.testing.assert_allclose(optimizer._newton(slope), inverse @ slope, rtol=1e-9)


def test_walks_along_the_bounds_into_a_corner() -> None:
    best, made = search(QuasiNewton(BOX, seed=0), lambda x: x @ np.arange(1.0, 11), 100, batch=1, target=275)
    assert best == 275
    assert made < 60


def test_survives_lost_answers() -> None:
    best, _ = search(QuasiNewton(BOX, seed=0), ellipsoid, 2000, batch=5, lost=0.2, target=-1e-4)
    assert best >= -1e-4


@pytest.mark.parametrize("kind", ["noise", "steps"])
def test_closes_where_there_are_no_slopes(kind: str) -> None:
    rng = np.random.default_rng(0)
    optimizer = QuasiNewton(BOX, seed=0)
    for _ in range(3 * TRIES):
        assert optimizer.wanted
        ids, codes, _ = optimizer.ask(1)
        noisy = ellipsoid(codes) + rng.normal(size=1)
        optimizer.tell(ids, noisy if kind == "noise" else np.floor(ellipsoid(codes)))
    assert optimizer.closed
    assert optimizer.wanted == 0


def test_says_what_is_no_filler() -> None:
    optimizer = QuasiNewton(BOX, seed=0)
    ids, codes, origins = optimizer.ask(5)
    assert origins == ["probe"] * 3 + ["filler"] * 2
    optimizer.tell(ids, ellipsoid(codes))
    assert optimizer.wanted == 10
    ids, codes, origins = optimizer.ask(10)
    assert origins == ["slope"] * 10
    optimizer.tell(ids, [*ellipsoid(codes[:9]), np.nan])
    assert optimizer.wanted == 1  # the lost one, again
    ids, codes, _ = optimizer.ask(1)
    optimizer.tell(ids, ellipsoid(codes))
    assert optimizer.ask(2).origins == ["line", "filler"]


def test_the_next_run_starts_from_a_better_foreign_point() -> None:
    def two_hills(x: Array) -> Array:
        return np.maximum(-np.square(x).sum(1), 100 - np.square(x - 4).sum(1))

    optimizer = QuasiNewton(BOX, seed=0)
    start = np.full((1, 10), 3.9)
    optimizer.observe(start, two_hills(start))
    best, _ = search(optimizer, two_hills, 150, batch=1, target=100 - 1e-8)
    assert best >= 100 - 1e-8


def test_keeps_no_matrix() -> None:
    space = SearchSpace.box(3000)
    optimizer = QuasiNewton(space, seed=0)
    for n in (3, 3000, 1):
        ids, codes, _ = optimizer.ask(n)
        optimizer.tell(ids, -np.square(codes - 0.5).sum(1))
    assert max(np.size(part) for part in optimizer.state_dict().values()) <= 2 * MEMORY * space.dim


def test_resumes_bit_for_bit_in_every_phase() -> None:
    for steps in (1, 4, 8, 15, 31):
        first, second = QuasiNewton(BOX, seed=3), QuasiNewton(BOX, seed=3)
        for _ in range(steps):
            ids, codes, _ = first.ask(4)
            first.tell(ids[:3], ellipsoid(codes[:3]))
        second.load_state_dict(first.state_dict())
        expect_same_future(first, second, ellipsoid)


def test_refuses_what_is_no_box() -> None:
    with pytest.raises(InputError, match="needs continuous axes"):
        QuasiNewton(SearchSpace.grid(3, 4), seed=0)
