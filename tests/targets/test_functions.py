"""Benchmark functions: their best points, their worth at known ones, what they refuse."""

from __future__ import annotations

import numpy as np
import pytest

from mango.errors import InputError, TargetError
from mango.targets import make_target
from mango.testing import check_target

BEST = {"sphere": 0.0, "ellipsoid": 0.0, "rastrigin": 0.0, "rosenbrock": 1.0}


@pytest.mark.parametrize("name", [*BEST, "leadingones", "qubo"])
def test_conformance(name: str) -> None:
    binary = np.random.default_rng(0).integers(0, 2, (12, 5)) if name in ("leadingones", "qubo") else None
    check_target(make_target(name), (5,), stimuli=binary)


@pytest.mark.parametrize(("name", "at"), BEST.items())
def test_continuous_ones_are_zero_at_their_best_and_negative_elsewhere(name: str, at: float) -> None:
    target = make_target(name)
    rng = np.random.default_rng(0)
    assert target.respond(np.full((1, 6), at)) == pytest.approx(0, abs=1e-9)
    assert (np.asarray(target.respond(rng.uniform(-4, 4, (50, 6)))) < 0).all()


def test_values_at_known_points() -> None:
    x = np.array([[1.0, 2.0]])
    assert make_target("sphere").respond(x) == pytest.approx(-5)
    assert make_target("ellipsoid").respond(x) == pytest.approx(-(1 + 4e6))
    assert make_target("rastrigin").respond(x) == pytest.approx(-5)
    assert make_target("rosenbrock").respond(x) == pytest.approx(-100)
    assert make_target("leadingones").respond(np.array([[1, 1, 0, 1], [0, 1, 1, 1]])).tolist() == [2, 0]  # type: ignore[union-attr]


def test_qubo_is_the_quadratic_form() -> None:
    drawn = np.random.default_rng(0).standard_normal((3, 3))
    expected = -(drawn[0, 0] + drawn[2, 2] + drawn[0, 2] + drawn[2, 0])
    assert make_target("qubo").respond(np.array([[1, 0, 1]])) == pytest.approx(expected)


@pytest.mark.parametrize("name", ["leadingones", "qubo"])
def test_binary_ones_refuse_other_numbers(name: str) -> None:
    with pytest.raises(TargetError, match="binary"):
        make_target(name).respond(np.array([[0.0, 2.0]]))


def test_details_are_refused() -> None:
    with pytest.raises(InputError, match="takes no units"):
        make_target("sphere:3")
