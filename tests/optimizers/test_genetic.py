"""Soft selection, crossover, mutation and survival, each as described."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mango.errors import OptionError
from mango.optimizers.genetic import Genetic
from mango.space import SearchSpace
from tests.optimizers.runs import expect_same_future, search

NORMAL = SearchSpace.box(20, -4.0, 4.0, prior="normal")
LABELS = SearchSpace.codebook(20, 30)
Array = np.ndarray[Any, Any]


def total(codes: Array) -> Array:
    return codes.sum(1).astype(np.float64)


def grown(space: SearchSpace, values: Any, **options: Any) -> tuple[Genetic, Array]:
    """An optimizer with a population told these values, and its codes."""
    optimizer = Genetic(space, seed=0, population=len(values), conserved=1, **options)
    ids, codes, _ = optimizer.ask(len(values))
    optimizer.tell(ids, values)
    return optimizer, codes


def test_parents_are_drawn_by_the_formula() -> None:
    values = np.array([0.0, 1.0, 3.0, -2.0])
    optimizer, codes = grown(LABELS, values, rate=0.0, skew=1.0)  # children are copies of their first parents
    _, children, _ = optimizer.ask(8000)
    shares = np.array([(children == code).all(1).mean() for code in codes])
    expected = np.exp((values - 3) / (2 * values.std()))
    np.testing.assert_allclose(shares, expected / expected.sum(), atol=0.02)


def test_a_child_takes_three_quarters_from_its_first_parent() -> None:
    optimizer, codes = grown(NORMAL, np.array([0.0, 1.0]), rate=0.0, temperature=1e9)
    _, children, _ = optimizer.ask(4000)
    first = np.isin(children, codes[0]).mean(1)
    mixed = first[(first > 0) & (first < 1)]
    assert len(mixed) == pytest.approx(2000, rel=0.1)  # two draws of the same parent give its copy
    assert np.maximum(mixed, 1 - mixed).mean() == pytest.approx(0.75, abs=0.02)


def test_a_quarter_of_the_axes_mutate() -> None:
    optimizer, codes = grown(LABELS, np.array([0.0, 1.0]), temperature=0.0)  # the best alone has children
    _, children, _ = optimizer.ask(2000)
    changed = children != codes[1]
    assert changed.mean() == pytest.approx(0.25, abs=0.01)
    shifts = np.bincount((children - codes[1])[changed] % 30, minlength=30)[1:]
    assert np.ptp(shifts) < 0.4 * shifts.mean()

    optimizer, codes = grown(NORMAL, np.array([0.0, 1.0]), temperature=0.0)
    _, children, _ = optimizer.ask(2000)
    steps = (children - codes[1])[children != codes[1]]
    assert len(steps) / children.size == pytest.approx(0.25, abs=0.01)
    assert steps.std() == pytest.approx(0.75, abs=0.03)


def test_the_best_are_conserved_and_the_others_replaced() -> None:
    optimizer = Genetic(LABELS, seed=0)
    ids, codes, _ = optimizer.ask(40)
    optimizer.tell(ids, np.arange(40.0))
    ids, children, _ = optimizer.ask(30)
    optimizer.tell(ids, np.arange(30.0) - 5)
    population = optimizer._population
    assert len(population.values) == 40
    np.testing.assert_array_equal(population.points[:10], codes[:29:-1])
    np.testing.assert_array_equal(np.sort(population.ids[10:]), ids)
    assert sorted(population.values[:10]) == list(np.arange(30.0, 40.0))
    assert children.shape == (30, 20)


def test_waits_for_forty_then_thirty_measured_answers() -> None:
    optimizer = Genetic(LABELS, seed=0)
    ids, codes, origins = optimizer.ask(50)
    assert set(origins) == {"prior"}
    optimizer.tell(ids[:45], np.where(np.arange(45) < 39, total(codes[:45]), np.nan))
    assert optimizer.ask(1).origins == ["prior"]
    optimizer.tell(ids[45:46], total(codes[45:46]))
    assert optimizer.ask(1).origins == ["child"]
    optimizer.tell(ids[46:], total(codes[46:]))  # late, and yet individuals
    assert len(optimizer._waiting.values) == 4


def test_equal_values_are_told_apart_by_keys() -> None:
    optimizer = Genetic(LABELS, seed=0, population=3, conserved=1, rate=0.0, skew=1.0)
    ids, codes, _ = optimizer.ask(3)
    optimizer.tell(ids, np.zeros(3), keys=[0.0, 5.0, 0.0])
    fitness = optimizer._fitness()
    assert fitness.argmax() == 0  # the population is sorted, best first
    np.testing.assert_array_equal(optimizer._population.points[0], codes[1])


def test_foreign_points_become_parents() -> None:
    optimizer = Genetic(NORMAL, seed=0, population=4, conserved=2, rate=0.0, temperature=0.0)
    codes = NORMAL.sample(4, np.random.default_rng(1))
    optimizer.observe(codes, [0.0, 1.0, 9.0, 2.0])
    np.testing.assert_array_equal(optimizer.ask(3).codes, np.repeat(codes[2:3], 3, axis=0))


def test_begins_with_natural_codes_where_they_are_given() -> None:
    natural = LABELS.sample(10, np.random.default_rng(1))
    _, codes, origins = Genetic(LABELS, seed=0, natural=natural).ask(25)  # more than there are: some twice
    assert origins == ["natural"] * 25
    assert {tuple(code) for code in codes} <= {tuple(code) for code in natural}


@pytest.mark.parametrize("space", [NORMAL, LABELS])
@pytest.mark.parametrize("under_way", [0, 1])
def test_learns(space: SearchSpace, under_way: int) -> None:
    drawn = total(space.sample(1000, np.random.default_rng(2)))
    best, _ = search(Genetic(space, seed=0), total, 1000, under_way=under_way, lost=0.1)
    assert best > drawn.mean() + 4 * drawn.std()  # of 1,000 draws the best has 3.2


def test_resumes_bit_for_bit_in_the_middle_of_a_generation() -> None:
    first, second = Genetic(LABELS, seed=0), Genetic(LABELS, seed=0)
    for n in (40, 20):
        ids, codes, _ = first.ask(n)
        first.tell(ids, total(codes))
    second.load_state_dict(first.state_dict())
    expect_same_future(first, second, total)


@pytest.mark.parametrize(
    "options",
    [
        {"population": 1},
        {"conserved": 40},
        {"conserved": -1},
        {"rate": 1.5},
        {"size": -1.0},
        {"temperature": np.inf},
        {"skew": "much"},
    ],
)
def test_refuses_bad_options(options: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match=next(iter(options))):
        Genetic(LABELS, seed=0, **options)
