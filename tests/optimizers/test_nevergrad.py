"""Nevergrad's optimizers: names, spaces, signs, lost and foreign answers, replay, randomness."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from mango.errors import InputError, OptionError, UnknownName
from mango.optimizers import make_optimizer
from mango.optimizers.nevergrad import Nevergrad, _loss
from mango.space import SearchSpace
from tests.optimizers.runs import expect_same_future, search

LABELS = SearchSpace.codebook(8, 12)
NORMAL = SearchSpace.box(4, -3.0, 3.0, prior="normal")
MIXED = SearchSpace([-1.0, 0, 0], [1.0, 6, 3], [0, 7, 4], [True, True, False])
Array = np.ndarray[Any, Any]
METHODS = [
    "NGOpt",
    "Portfolio",
    "DiscreteLenglerOnePlusOne",
    "DoubleFastGADiscreteOnePlusOne",
    "CMA",
    "DE",
    "PSO",
    "TwoPointsDE",
    "OnePlusOne",
    "RandomSearch",
]


def total(codes: Array) -> Array:
    return codes.sum(1).astype(np.float64)


def make(method: str, space: SearchSpace, **settings: Any) -> Nevergrad:
    optimizer = make_optimizer(f"nevergrad:{method}", space, seed=0, **settings)
    assert isinstance(optimizer, Nevergrad)
    return optimizer


@pytest.mark.parametrize("method", METHODS)
def test_ten_methods_search_every_kind_of_axis_and_maximise(method: str) -> None:
    best, _ = search(make(method, MIXED, budget=200), total, 200, batch=20, lost=0.1)
    assert best > 8  # of at most 10; a wrong sign would end near -1


@pytest.mark.parametrize("method", METHODS)
def test_asks_more_than_is_ever_told_and_beyond_the_budget(method: str) -> None:
    optimizer = make(method, LABELS, budget=30)
    ids, codes, _ = optimizer.ask(60)
    optimizer.tell(ids[10:14], total(codes[10:14]))
    _, codes, origins = optimizer.ask(30)
    LABELS.validate(codes)
    assert set(origins) <= {method, "filler"}


@pytest.mark.parametrize("method", ["NGOpt", "CMA", "PSO", "LognormalDiscreteOnePlusOne"])
@pytest.mark.parametrize("space", [LABELS, NORMAL, MIXED])
def test_resumes_bit_for_bit_by_replay(method: str, space: SearchSpace) -> None:
    first, second = make(method, space, budget=100), make(method, space, budget=100)
    for n in (7, 12, 5):
        ids, codes, _ = first.ask(n)
        values = total(codes)
        values[0] = np.nan
        first.tell(ids[: n - 2][::-1], values[: n - 2][::-1])
    first.observe(codes[:1], [50.0])
    second.load_state_dict(first.state_dict())
    expect_same_future(first, second, total, steps=3)


@pytest.mark.parametrize("method", ["SuperSmoothDiscreteLenglerOnePlusOne", "LognormalDiscreteOnePlusOne"])
def test_methods_that_draw_from_the_global_generator_repeat_and_leave_it_alone(method: str) -> None:
    asked = []
    for global_seed in (1, 2):
        np.random.seed(global_seed)  # noqa: NPY002
        expected = np.random.RandomState(global_seed).get_state()
        optimizer = make(method, LABELS)
        ids, codes, _ = optimizer.ask(20)
        optimizer.tell(ids, total(codes))
        asked.append(optimizer.ask(20).codes)
        state = np.random.get_state()  # noqa: NPY002
        np.testing.assert_array_equal(state[1], expected[1])
        assert state[2:] == expected[2:]
    np.testing.assert_array_equal(*asked)


def test_every_grid_point_has_an_equal_share_and_a_normal_prior_its_spread() -> None:
    _, codes, _ = make("RandomSearch", SearchSpace.grid(50, 3)).ask(200)
    np.testing.assert_allclose(np.bincount(codes.ravel()) / codes.size, 1 / 3, atol=0.02)
    _, codes, _ = make("RandomSearch", NORMAL).ask(500)
    assert codes.std() == pytest.approx(1, abs=0.1)


def test_a_better_foreign_point_guides_it() -> None:
    optimizer = make("DiscreteOnePlusOne", LABELS)
    ids, codes, _ = optimizer.ask(5)
    optimizer.tell(ids, total(codes))
    optimizer.observe(np.full((1, 8), 11), [88.0])
    _, codes, _ = optimizer.ask(40)
    assert np.median((codes != 11).sum(1)) <= 2
    make("EDA", NORMAL).observe(np.zeros((1, 4)), [0.0])  # takes no such points, and does not mind


def test_losses_keep_the_order_of_values_of_any_size() -> None:
    values = [-1.7e308, -1e300, -1e21, -6e20, -1e18, -3.0, 0.0, 1e-9, 1e18, 1.1e18, 5e20, 1e300, 1.7e308]
    losses = [_loss(value) for value in values]
    assert all(later < earlier for earlier, later in pairwise(losses))
    assert max(map(abs, losses)) < 5e20
    assert _loss(-3.0) == 3.0
    assert not math.isnan(sum(losses))


def test_unknown_and_missing_names() -> None:
    with pytest.raises(UnknownName, match=r"did you mean .*NGOpt"):
        make("NGOptt", LABELS)
    with pytest.raises(OptionError, match="needs the name of a method"):
        make_optimizer("nevergrad", LABELS, seed=0)


@pytest.mark.parametrize("method", ["Cobyla", "NelderMead", "SPSA", "BO"])
def test_refuses_methods_with_a_loop_of_their_own(method: str) -> None:
    with pytest.raises(InputError, match=f"nevergrad:{method} cannot be asked and told"):
        make(method, NORMAL)


def test_refuses_what_is_random_at_import_or_fails() -> None:
    with pytest.raises(InputError, match="random at import"):
        make("PolyLN", NORMAL)
    with pytest.raises(InputError, match="nevergrad:FCMA cannot run in this space: ImportError"):
        make("FCMA", NORMAL)


@pytest.mark.parametrize("workers", [0, 1.5, True])
def test_refuses_a_bad_number_of_workers(workers: Any) -> None:
    with pytest.raises(OptionError, match="workers must be a whole number >= 1"):
        make("NGOpt", NORMAL, workers=workers)
