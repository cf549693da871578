"""The optimizer suite passes what keeps the rules, and each of its rules catches an optimizer that breaks it."""

from __future__ import annotations

import itertools
import os
import random
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from mango.errors import InputError, UnknownName
from mango.optimizers import Optimizer
from mango.optimizers.base import Codes, Ids
from mango.space import SearchSpace
from mango.testing import OPTIMIZER_RULES, ConformanceError, check_optimizer
from tests.testing.broken_exchange import BROKEN_EXCHANGE, NumbersRepeat, WaitsForAnswers
from tests.testing.broken_reproducing import BROKEN_REPRODUCING
from tests.testing.climber import Climber

BROKEN = BROKEN_EXCHANGE | BROKEN_REPRODUCING

SPACES = {
    "box": SearchSpace.box(4),
    "normal": SearchSpace.box(3, -4, 4, prior="normal"),
    "grid": SearchSpace.grid(6, 8),
    "codebook": SearchSpace.codebook(4, 16, np.random.default_rng(0).normal(size=(16, 3)), (2, 2)),
    "mixed": SearchSpace(np.zeros(3), np.array([1.0, 4, 2]), np.array([0, 5, 3]), np.array([True, True, False])),
}


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("method", ["random", Climber])
def test_what_keeps_the_rules_passes(method: Any, space: str) -> None:
    assert check_optimizer(method, SPACES[space]) is None  # type: ignore[func-returns-value]


def test_options_and_charts_reach_the_factory() -> None:
    made = []

    def factory(space: SearchSpace, seed: int, **options: Any) -> Optimizer:
        made.append(options)
        return Climber(space, seed=seed, **options)

    check_optimizer(factory, SPACES["codebook"], rules=["codes"], chart="frequencies:5", step=0.1)
    assert made
    assert all(options == {"chart": "frequencies:5", "step": 0.1} for options in made)


def test_every_rule_has_an_optimizer_that_breaks_it() -> None:
    assert set(BROKEN) == set(OPTIMIZER_RULES)


@pytest.mark.parametrize(
    ("rule", "method"),
    [(rule, method) for rule, methods in BROKEN.items() for method in methods],
    ids=lambda part: part if isinstance(part, str) else part.__name__,
)
def test_each_rule_catches_what_breaks_it(rule: str, method: type[Optimizer]) -> None:
    with pytest.raises(ConformanceError) as caught:
        check_optimizer(method, SPACES["box"], rules=[rule])
    assert caught.value.rule == rule
    assert str(caught.value).startswith(f"rule '{rule}' (")
    assert f"expected {caught.value.expected}; got {caught.value.got}" in str(caught.value)


def test_the_whole_suite_names_the_first_rule_broken() -> None:
    with pytest.raises(ConformanceError, match=r"rule 'numbering' .*expected trial numbers from 1 on; got \[0 1 2"):
        check_optimizer(NumbersRepeat)


def test_an_error_inside_the_method_is_reported_with_its_rule() -> None:
    with pytest.raises(
        ConformanceError, match=r"expected no error; got RuntimeError: tell me something first"
    ) as caught:
        check_optimizer(WaitsForAnswers, rules=["patience"])
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_a_finite_design_may_end_where_that_is_said() -> None:
    class Design(Climber):
        def _propose(self, ids: Ids) -> tuple[Codes, list[str]]:
            points, origins = super()._propose(ids)
            left = max(0, 60 - int(ids[0]))
            return points[:left], origins[:left]

    with pytest.raises(ConformanceError, match=r"expected 150 proposals from ask\(150\); got 60"):
        check_optimizer(Design, rules=["patience"])
    for rule, finite in itertools.product(OPTIMIZER_RULES, [True]):
        assert check_optimizer(Design, rules=[rule], finite=finite) is None  # type: ignore[func-returns-value]


def test_a_refused_space_is_the_callers_to_see() -> None:
    class BoxesOnly(Climber):
        def __init__(self, space: SearchSpace, *, seed: int, **options: Any) -> None:
            if not space.is_box:
                raise InputError("boxes only")
            super().__init__(space, seed=seed, **options)

    with pytest.raises(InputError, match="boxes only"):
        check_optimizer(BoxesOnly, SPACES["grid"])


def test_unknown_rules_and_names_are_refused() -> None:
    with pytest.raises(UnknownName, match=r"unknown rule 'number'; did you mean numbering\?"):
        check_optimizer(Climber, rules=["number"])
    with pytest.raises(UnknownName, match="unknown optimizer 'randon'; did you mean random"):
        check_optimizer("randon")


def test_the_callers_global_randomness_is_given_back() -> None:
    before, python = np.random.get_state(), random.getstate()  # noqa: NPY002
    check_optimizer(Climber, rules=["global randomness"])
    assert np.array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002
    assert random.getstate() == python


def test_the_suites_need_neither_pytest_nor_hypothesis() -> None:
    program = (
        "import mango.testing, sys; sys.exit(sum(m in sys.modules for m in ('pytest', 'hypothesis', 'torch', 'ray')))"
    )
    done = subprocess.run([sys.executable, "-c", program], env=dict(os.environ), check=False)
    assert done.returncode == 0
