"""The heavy tail of the number of changes, what a change is, and what is accepted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mango.optimizers.evolution import Evolution
from mango.space import SearchSpace
from tests.optimizers.runs import expect_same_future, search

BITS = SearchSpace.grid(40, 2)
LABELS = SearchSpace.codebook(12, 20)
Array = np.ndarray[Any, Any]


def started(space: SearchSpace, seed: int = 0) -> tuple[Evolution, Array]:
    """An optimizer whose incumbent is the code returned."""
    optimizer = Evolution(space, seed=seed)
    ids, codes, _ = optimizer.ask(1)
    optimizer.tell(ids, [0.0])
    return optimizer, codes[0]


def children(optimizer: Evolution, n: int) -> Array:
    """Of the incumbent, each as if it were the first."""
    codes = []
    for _ in range(n):
        optimizer._children = set()
        _, code, origins = optimizer.ask(1)
        assert origins == ["mutation"]
        codes.append(code[0])
    return np.array(codes)


def test_the_number_of_changes_follows_the_power_law() -> None:
    optimizer, parent = started(BITS)
    codes = children(optimizer, 8000)
    counts = np.bincount((codes != parent).sum(1), minlength=21)
    law = np.arange(1, 21) ** -1.5
    assert counts[0] == 0
    assert len(counts) == 21
    np.testing.assert_allclose(counts[1:] / 8000, law / law.sum(), atol=0.02)


def test_labels_change_to_any_other_alike_and_grid_points_mostly_to_neighbours() -> None:
    optimizer, parent = started(LABELS)
    _, codes, _ = optimizer.ask(8000)
    changed = (codes - parent)[codes != parent] % 20
    assert np.ptp(np.bincount(changed, minlength=20)[1:]) < 0.4 * len(changed) / 19
    optimizer, parent = started(SearchSpace.grid(12, 20))
    _, codes, _ = optimizer.ask(5000)
    jumps = np.abs(codes - parent)[codes != parent]
    assert (jumps == 1).mean() > 0.35
    assert jumps.max() > 10


def test_half_of_the_changed_labels_are_copied_from_elsewhere_in_the_code() -> None:
    optimizer, parent = started(SearchSpace.codebook(12, 1000))
    codes = children(optimizer, 4000)
    rows, axes = np.nonzero(codes != parent)
    assert 0.47 < np.isin(codes[rows, axes], parent).mean() < 0.55
    alike = np.zeros((1, 12), int)  # nothing else to copy
    optimizer.observe(alike, [1.0])
    _, codes, _ = optimizer.ask(1000)
    assert (codes != alike).any(1).all()


def test_continuous_steps_have_every_scale_and_stay_inside() -> None:
    optimizer, parent = started(SearchSpace.box(6, -1.0, 1.0))
    _, codes, _ = optimizer.ask(5000)
    steps = np.abs(codes - parent)[codes != parent]
    shares = np.histogram(np.log10(steps), bins=[-4, -3, -2, -1, 0.5])[0] / len(steps)
    assert (shares > 0.1).all()


def test_accepts_the_equal_and_the_better_and_keys_decide() -> None:
    optimizer, _ = started(BITS)
    ids, codes, _ = optimizer.ask(4)
    optimizer.tell(ids, [-1.0, 0.0, np.nan, -2.0])
    np.testing.assert_array_equal(optimizer._parent, codes[1])  # an equal one, later
    ids, codes, _ = optimizer.ask(3)
    optimizer.tell(ids, [0.0, 0.0, 0.0], keys=[1.0, 3.0, 2.0])
    np.testing.assert_array_equal(optimizer._parent, codes[1])
    ids, _, _ = optimizer.ask(2)
    optimizer.tell(ids, [0.0, -5.0], keys=[2.0, 99.0])
    np.testing.assert_array_equal(optimizer._parent, codes[1])


def test_no_child_is_asked_twice_of_one_parent_unless_it_was_lost() -> None:
    optimizer, parent = started(SearchSpace.grid(3, 3))
    ids, codes, _ = optimizer.ask(10)
    assert len(np.unique(codes, axis=0)) == 10  # six of them are all that changes one axis
    optimizer.tell(ids, np.full(10, np.nan))
    _, codes, _ = optimizer.ask(20)
    assert len(np.unique(codes, axis=0)) > 17
    assert (codes != parent).any(1).all()
    optimizer.observe(2 - parent[None], [1.0])  # another parent, whose children are not known
    assert not optimizer._children


def test_leaves_a_peak_whose_neighbours_are_all_worse() -> None:
    def two_peaks(codes: Array) -> Array:
        values: Array = np.maximum(2.0 - np.abs(codes - 4).sum(1), 1.0 - np.abs(codes - 1).sum(1))
        return values

    for seed in range(5):
        best, made = search(Evolution(SearchSpace.grid(2, 6), seed=seed), two_peaks, 400, batch=5, target=2.0)
        assert best == 2.0
        assert made < 100


def test_foreign_points_are_accepted_only_where_better() -> None:
    optimizer, parent = started(BITS)
    optimizer.observe(1 - parent[None], [0.0])
    np.testing.assert_array_equal(optimizer._parent, parent)
    optimizer.observe(np.stack([parent, 1 - parent]), [np.nan, 1.0])
    np.testing.assert_array_equal(optimizer._parent, 1 - parent)


def test_begins_with_natural_codes_where_they_are_given() -> None:
    natural = LABELS.sample(30, np.random.default_rng(1))
    _, codes, origins = Evolution(LABELS, seed=0, natural=natural).ask(20)
    assert origins == ["natural"] * 20
    assert len(np.unique(codes, axis=0)) == 20
    assert {tuple(code) for code in codes} <= {tuple(code) for code in natural}


@pytest.mark.parametrize("under_way", [0, 1])
def test_solves_one_max_and_leading_ones(under_way: int) -> None:
    best, made = search(Evolution(BITS, seed=0), lambda x: x.sum(1), 2000, batch=10, under_way=under_way, target=40)
    assert best == 40
    leading, _ = search(Evolution(BITS, seed=0), lambda x: np.cumprod(x, 1).sum(1), 8000, batch=10, target=40)
    assert leading == 40
    assert made < 1500


def test_mixed_axes_and_axes_of_one_point() -> None:
    space = SearchSpace([-1.0, 0, 0, 0], [1.0, 6, 3, 0], [0, 7, 4, 1], [True, True, False, True])
    best, _ = search(Evolution(space, seed=0), lambda x: -np.abs(x - [0.3, 5, 1, 0]).sum(1), 1500, target=-0.01)
    assert best >= -0.01
    fixed = SearchSpace.grid(3, 1)
    assert not started(fixed)[0].ask(2).codes.any()


def test_resumes_bit_for_bit() -> None:
    first, _ = started(LABELS)
    ids, codes, _ = first.ask(9)
    first.tell(ids[3:], codes[3:].sum(1))
    second = Evolution(LABELS, seed=0)
    second.load_state_dict(first.state_dict())
    expect_same_future(first, second, lambda x: x.sum(1).astype(float))
