"""Every name of the table keeps every rule in every kind of space it can search, and says why it refuses others."""

from __future__ import annotations

import re

import pytest

from mango.errors import InputError
from mango.optimizers import TABLE, make_optimizer
from mango.testing import check_optimizer
from tests.optimizers.spaces import PLACES

NAMES = [name for name in TABLE if name != "nevergrad"]
NEVERGRAD = [
    f"nevergrad:{name}"
    for name in (
        "NGOpt",
        "OnePlusOne",
        "DE",
        "PSO",
        "CMA",
        "TBPSA",
        "DiscreteOnePlusOne",
        "DoubleFastGADiscreteOnePlusOne",
        "DiscreteLenglerOnePlusOne",
        "Portfolio",
    )
]
LABELS = ("labels", "mixed-labels")
FLAT = ("box", "line", "grid", "odd-grid", "binary", "mixed-ordered", "codebook", "codebook-natural", *LABELS)
REFUSED = {  # and what the refusal says it needs
    **{("cma", where): "needs continuous axes or ordered grids" for where in (*LABELS, "codebook", "codebook-natural")},
    **{("cma-diagonal", where): "give it a chart, such as chart='frequencies:64'" for where in LABELS},
    **{("cma-sphere", where): "needs a unit-normal prior" for where in FLAT},
    **{("quasi-newton", where): "needs continuous axes" for where in FLAT if where not in ("box", "line")},
    **{("tt-surrogate", where): "give it a chart" for where in (*LABELS, "codebook", "codebook-natural")},
    **{(f"tt-{preset}", "odd-grid"): "binary axes need a power of two of points" for preset in ("m", "s", "b", "exp")},
}
# Nevergrad resumes by replay and takes its time: each is tested in every other space, in one by all rules.
NEVERGRAD_PLACES = [(name, where) for i, name in enumerate(NEVERGRAD) for where in list(PLACES)[i % 2 :: 2]]
THOROUGH = ("normal", "codebook-natural")
BRIEF = ("numbering", "codes", "patience", "lost", "seed")


@pytest.mark.parametrize("where", PLACES)
@pytest.mark.parametrize("name", NAMES)
def test_keeps_every_rule_or_refuses_the_space(name: str, where: str) -> None:
    space, options = PLACES[where]
    if (name, where) in REFUSED:
        with pytest.raises(InputError, match=re.escape(REFUSED[name, where])):
            make_optimizer(name, space, seed=0, **options)
    else:
        assert check_optimizer(name, space, **options) is None  # type: ignore[func-returns-value]


def test_one_of_nevergrad_keeps_every_rule() -> None:
    assert check_optimizer(NEVERGRAD[0], PLACES["codebook"].space) is None  # type: ignore[func-returns-value]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "where"), NEVERGRAD_PLACES)
def test_ten_of_nevergrad_keep_the_rules(name: str, where: str) -> None:
    space, options = PLACES[where]
    rules = None if where in THOROUGH else BRIEF
    assert check_optimizer(name, space, rules=rules, **options) is None  # type: ignore[func-returns-value]


@pytest.mark.parametrize("name", NAMES)
def test_a_budget_that_is_overrun_changes_no_rule(name: str) -> None:
    space, options = PLACES["codebook@frequencies"]
    rules = ["patience", "any order", "equal values", "state round trip"]
    assert check_optimizer(name, space, rules=rules, budget=30, **options) is None  # type: ignore[func-returns-value]


def test_every_refusal_names_a_case_that_is_tested() -> None:
    assert set(REFUSED) <= {(name, where) for name in NAMES for where in PLACES}
