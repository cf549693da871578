"""The sphere, the schedule of its angle, its bounds and refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mango.errors import InputError, OptionError
from mango.optimizers.cma_sphere import SphereCMA
from mango.space import SearchSpace
from tests.optimizers.runs import expect_same_future, search

SPACE = SearchSpace.box(30, -4.0, 4.0, prior="normal")
WANTED = np.random.default_rng(0).normal(size=30)
WANTED /= np.linalg.norm(WANTED)
Array = np.ndarray[Any, Any]


def cosine(codes: Array) -> Array:
    return codes @ WANTED / np.linalg.norm(codes, axis=1)


def told(optimizer: SphereCMA, generations: int) -> None:
    for _ in range(generations):
        ids, codes, _ = optimizer.ask(40)
        optimizer.tell(ids, cosine(codes))


def test_codes_keep_the_norm_of_a_unit_normal() -> None:
    optimizer = SphereCMA(SPACE, seed=0)
    for _ in range(3):
        ids, codes, _ = optimizer.ask(40)
        np.testing.assert_allclose(np.linalg.norm(codes, axis=1), np.sqrt(30))
        optimizer.tell(ids, cosine(codes))


def test_the_angle_falls_from_50_to_7_degrees_over_75_generations_of_40() -> None:
    optimizer = SphereCMA(SPACE, seed=0)
    angles = []
    for _ in range(75):
        angles.append(optimizer.angle)
        told(optimizer, 1)
    np.testing.assert_allclose(angles, np.geomspace(50, 7.33, 75))
    assert optimizer.angle == pytest.approx(7.33)  # and stays


@pytest.mark.parametrize("budget", [400, 30_000])
def test_the_schedule_is_stretched_to_the_budget(budget: int) -> None:
    optimizer = SphereCMA(SPACE, seed=0, budget=budget)
    told(optimizer, 5)
    assert optimizer.angle == pytest.approx(50 * (7.33 / 50) ** (200 / (budget - 40)))


def test_lost_answers_move_the_schedule_but_not_the_center() -> None:
    optimizer = SphereCMA(SPACE, seed=0, budget=80)
    ids, _, _ = optimizer.ask(40)
    optimizer.tell(ids, np.full(40, np.nan))
    assert optimizer.angle == pytest.approx(7.33)
    assert not optimizer._center.any()


def test_samples_lie_around_the_center_at_that_angle() -> None:
    optimizer = SphereCMA(SPACE, seed=0)
    told(optimizer, 10)
    _, codes, _ = optimizer.ask(4000)
    angles = np.degrees(np.arccos(codes @ optimizer._center / 30))
    assert np.sqrt(np.square(angles).mean()) == pytest.approx(optimizer.angle, rel=0.02)


def test_the_center_goes_half_as_far_again_as_the_mean_direction() -> None:
    optimizer = SphereCMA(SPACE, seed=0)
    told(optimizer, 1)
    center = optimizer._center / np.sqrt(30)
    ids, codes, _ = optimizer.ask(40)
    values = cosine(codes)
    optimizer.tell(ids, values)
    weights = np.zeros(40)
    weights[np.argsort(-values)[:20]] = np.log(20.5) - np.log(np.arange(1, 21))
    mean = weights @ codes
    turn = np.arccos(mean @ center / np.linalg.norm(mean))
    moved = optimizer._center / np.sqrt(30)
    assert np.arccos(moved @ center) == pytest.approx(1.5 * turn)
    # on the great circle through both
    basis = np.linalg.qr(np.stack([center, mean], axis=1))[0]
    assert np.linalg.norm(basis.T @ moved) == pytest.approx(1)


@pytest.mark.parametrize("under_way", [0, 1])
def test_learns(under_way: int) -> None:
    optimizer = SphereCMA(SPACE, seed=1, budget=2000)
    best, _ = search(optimizer, cosine, 2000, under_way=under_way, lost=0.1)
    assert best > 0.98


def test_equal_answers_move_nothing() -> None:
    optimizer = SphereCMA(SPACE, seed=0)
    told(optimizer, 2)
    center = optimizer._center.copy()
    ids, _, _ = optimizer.ask(40)
    optimizer.tell(ids, np.ones(40))
    np.testing.assert_allclose(optimizer._center, center)


def test_foreign_points_become_the_first_center_and_later_join_a_generation() -> None:
    optimizer = SphereCMA(SPACE, seed=0)
    optimizer.observe(2 * WANTED[None], [1.0])
    np.testing.assert_allclose(optimizer._center, WANTED * np.sqrt(30))
    ids, codes, _ = optimizer.ask(40)
    optimizer.tell(ids, -cosine(codes))
    before = optimizer._center
    optimizer.observe(2 * WANTED[None], [2.0])
    np.testing.assert_array_equal(optimizer._center, before)
    assert optimizer._guest is not None
    ids, codes, _ = optimizer.ask(40)
    optimizer.tell(ids, np.zeros(40))
    assert optimizer._center @ WANTED > before @ WANTED


@pytest.mark.parametrize("bounds", [(-1.2, 1.5), (-1.0, 3.0)])
def test_stays_inside_narrow_boxes_without_losing_its_norm(bounds: tuple[float, float]) -> None:
    space = SearchSpace.box(30, *bounds, prior="normal")
    optimizer = SphereCMA(space, seed=0)
    for _ in range(4):
        ids, codes, _ = optimizer.ask(40)
        space.validate(codes)
        np.testing.assert_allclose(np.linalg.norm(codes, axis=1), np.sqrt(30))
        optimizer.tell(ids, cosine(codes))


def test_a_point_on_one_axis_is_spread_over_the_others() -> None:
    optimizer = SphereCMA(SPACE, seed=0)
    optimizer.observe(3 * np.eye(30)[:1], [1.0])
    assert optimizer._center[0] == 4.0
    assert np.linalg.norm(optimizer._center) == pytest.approx(np.sqrt(30))


def test_resumes_bit_for_bit_in_the_middle_of_a_generation() -> None:
    first, second = SphereCMA(SPACE, seed=0), SphereCMA(SPACE, seed=0)
    told(first, 2)
    ids, codes, _ = first.ask(30)
    first.tell(ids[5:], cosine(codes[5:]))
    first.observe(WANTED[None], [2.0])
    second.load_state_dict(first.state_dict())
    expect_same_future(first, second, cosine, steps=12)


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (SearchSpace.box(5), "a uniform prior: give it a chart"),
        (SearchSpace.grid(5, 3), "grid points or labels: give it a chart"),
        (SearchSpace.box(1, prior="normal"), "at least 2 axes"),
        (SearchSpace.box(5, -3.0, 0.5, prior="normal"), "bounds of -1 or less and 1 or more"),
    ],
)
def test_refuses_spaces_without_a_sphere(space: SearchSpace, message: str) -> None:
    with pytest.raises(InputError, match=message):
        SphereCMA(space, seed=0)


def test_a_chart_gives_it_a_sphere() -> None:
    space = SearchSpace.codebook(16, 32, np.random.default_rng(0).normal(size=(32, 4)), (4, 4))
    optimizer = SphereCMA(space, seed=0, chart="frequencies:12")
    _, codes, origins = optimizer.ask(5)
    space.validate(codes)
    assert origins == ["sphere"] * 5


def test_refuses_a_bad_population() -> None:
    with pytest.raises(OptionError, match="popsize must be a whole number >= 2; got 1"):
        SphereCMA(SPACE, seed=0, popsize=1)
