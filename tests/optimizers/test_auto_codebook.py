from __future__ import annotations

from collections import Counter
from itertools import takewhile

import numpy as np
import pytest

from mango.optimizers.auto import PROBES, RARE, Auto
from mango.space import SearchSpace
from tests.optimizers.spaces import PLACES

SPACE, NATURAL = PLACES["codebook-natural"].space, PLACES["codebook-natural"].options["natural"]
FIRST = PROBES * RARE // (RARE - 1)


def origins(optimizer: Auto, batch: int, batches: int, *, better: str = "") -> list[str]:
    """Why each trial was asked; the kind named answers 1, all others 0."""
    found: list[str] = []
    for _ in range(batches):
        ids, _, why = optimizer.ask(batch)
        optimizer.tell(ids, [float(origin == better) for origin in why])
        found += why
    return found


def test_every_fifth_first_code_is_a_natural_one() -> None:
    why = origins(Auto(SPACE, seed=0, natural=NATURAL), FIRST, 2)
    assert Counter(why[:FIRST]) == {"uniform": PROBES, "natural": FIRST - PROBES}
    assert {origin.partition(":")[0] for origin in why[FIRST:]} == {"frequencies", "mutation"}


@pytest.mark.parametrize("better", ["natural", "uniform"])
def test_first_codes_are_soon_of_the_kind_that_found_more(better: str) -> None:
    why = origins(Auto(SPACE, seed=0, natural=NATURAL), 1, FIRST, better=better)
    tried = FIRST * 2 // 5
    assert set(why[:tried]) == {"natural", "uniform"}
    known_by_then = len(list(takewhile(lambda origin: origin == better, why[tried:])))
    assert known_by_then == min(FIRST - tried, SPACE.levels[0] - why[:tried].count(better))


def test_mutation_asks_once_all_first_codes_are_known() -> None:
    """The book has 32 labels, all of them seen before."""
    optimizer = Auto(SPACE, seed=0)
    optimizer.observe(np.repeat(np.arange(32)[:, None], SPACE.dim, axis=1), np.arange(32.0))
    assert set(origins(optimizer, 10, 1)) <= {"mutation:patch", "mutation"}


def test_natural_codes_stand_back_where_little_can_be_looked_at() -> None:
    why = origins(Auto(SPACE, seed=0, natural=NATURAL, budget=40), 10, 2)
    assert Counter(why[:10]) == {"uniform": 8, "natural": 2}
    assert "uniform" not in why[10:]


def test_codes_without_a_map_are_searched_in_principal_components_of_natural_ones() -> None:
    bare = SearchSpace.codebook(SPACE.dim, 32, SPACE.embedding)
    assert "principal" in {o.partition(":")[0] for o in origins(Auto(bare, seed=0, natural=NATURAL), FIRST, 2)}
    without = origins(Auto(bare, seed=0), FIRST, 2)
    assert set(without[:PROBES]) == {"uniform"}
    assert set(without[PROBES:]) == {"mutation:prior", "mutation"}


def test_a_book_without_any_chart_is_mutated() -> None:
    bare = SearchSpace.codebook(SPACE.dim, 32, SPACE.embedding)
    alike = np.repeat(NATURAL[:5], 20, axis=0)  # vary in fewer directions than a chart would have
    flat = SearchSpace.codebook(SPACE.dim, 32, np.ones((32, 3)), layout=SPACE.layout)
    for space, natural in ((bare, alike), (bare, NATURAL[: SPACE.dim]), (flat, None)):
        why = origins(Auto(space, seed=0, natural=natural), FIRST, 2)
        assert {o.partition(":")[0] for o in why[PROBES * 2 :]} == {"mutation"}


def test_uniform_codes_are_looked_at_first_where_nothing_but_labels_is_known() -> None:
    why = origins(Auto(SearchSpace.codebook(6, 100), seed=0), PROBES, 2)
    assert set(why[:PROBES]) == {"uniform"}
    assert set(why[PROBES:]) == {"mutation"}


def test_mutation_alone_asks_on_a_grid() -> None:
    assert set(origins(Auto(SearchSpace.grid(6, 100), seed=0), PROBES, 2)) == {"mutation:prior", "mutation"}
