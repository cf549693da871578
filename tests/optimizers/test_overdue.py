"""Trials that are never told do not stop the others."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mango.optimizers import make_optimizer
from mango.optimizers.base import OVERDUE
from mango.optimizers.cma import CMA
from mango.space import SearchSpace
from tests.optimizers.runs import expect_same_future, search

BOX = SearchSpace.box(5, -1.0, 1.0)
Array = np.ndarray[Any, Any]


def sphere(codes: Array) -> Array:
    values: Array = -np.square(codes - 0.3).sum(1)
    return values


@pytest.mark.parametrize(
    ("name", "never", "evaluations", "target"),
    [
        ("cma", 500, 1500, -1e-6),
        ("cma-diagonal", 500, 1500, -1e-6),
        ("quasi-newton", 1, 400, -1e-9),
        ("quasi-newton", 3, 400, -1e-9),
        ("auto", 1, 400, -1e-9),
        ("ttopt", 30, 1500, -0.03),
        ("tt", 100, 1500, -0.03),
    ],
)
def test_learning_goes_on(name: str, never: int, evaluations: int, target: float) -> None:
    optimizer = make_optimizer(name, BOX, seed=0, budget=2000)
    optimizer.ask(never)
    best, _ = search(optimizer, sphere, evaluations, batch=10, target=target)
    assert best >= target


def test_on_the_sphere_too() -> None:
    space = SearchSpace.box(100, -4.0, 4.0, prior="normal")
    optimizer = make_optimizer("cma-sphere", space, seed=0, budget=2000)
    optimizer.ask(300)
    before = optimizer._center.copy()
    search(optimizer, lambda codes: codes[:, 0], 400, batch=40)
    assert (optimizer._center != before).any()


def test_an_answer_that_comes_all_the_same_is_taken() -> None:
    for name in ("auto", "cma", "quasi-newton", "ttopt"):
        optimizer = make_optimizer(name, BOX, seed=0, budget=2000)
        late, codes, _ = optimizer.ask(2)
        search(optimizer, sphere, 3 * OVERDUE, batch=10)
        optimizer.tell(late, [5.0, 4.0])
        np.testing.assert_array_equal(optimizer.recommend(), codes[0])
        search(optimizer, sphere, 50, batch=10)


def test_a_trial_is_waited_for_until_enough_of_later_asks_are_told() -> None:
    optimizer = CMA(BOX, seed=0)
    optimizer.ask(1)
    for told in range(OVERDUE):
        ids, codes, _ = optimizer.ask(1)
        assert (0 in optimizer._awaited) == (told < OVERDUE)
        optimizer.tell(ids, sphere(codes))
    assert 0 not in optimizer._awaited


def test_the_rest_of_one_large_ask_is_waited_for_whatever_the_order() -> None:
    optimizer = CMA(BOX, seed=0)
    ids, codes, _ = optimizer.ask(1000)
    optimizer.tell(ids[:0:-1], sphere(codes[:0:-1]))
    assert list(optimizer._awaited) == [0]


def test_many_under_way_may_be_late() -> None:
    """Of 400 always open, one is late by as many as are open: no more than usual."""
    optimizer = CMA(BOX, seed=0)
    optimizer.ask(1)
    ids, codes, _ = optimizer.ask(400)
    for number, code in zip(ids.tolist(), codes, strict=True):
        optimizer.tell([number], sphere(code[None]))
        optimizer.ask(1)
    assert 0 in optimizer._awaited


@pytest.mark.parametrize("name", ["auto", "cma", "quasi-newton", "ttopt"])
def test_resumes_bit_for_bit_with_overdue_trials(name: str) -> None:
    first = make_optimizer(name, BOX, seed=0, budget=2000)
    first.ask(3)
    search(first, sphere, OVERDUE + 50, batch=10)
    first.ask(4)
    second = make_optimizer(name, BOX, seed=0, budget=2000)
    second.load_state_dict(first.state_dict())
    expect_same_future(first, second, sphere)
