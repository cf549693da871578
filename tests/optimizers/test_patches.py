from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mango.optimizers.patches import NEAR, Patches, suits
from mango.space import SearchSpace


def book(height: int, width: int, levels: int, *, embedded: bool = True) -> SearchSpace:
    embedding = np.random.default_rng(0).standard_normal((levels, 3)) if embedded else None
    return SearchSpace.codebook(height * width, levels, embedding=embedding, layout=(height, width))


@settings(deadline=None, max_examples=60, derandomize=True)
@given(
    size=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    levels=st.sampled_from([2, 3, 100]),
    embedded=st.booleans(),
    seed=st.integers(0, 2**32),
)
def test_one_rectangle_changes(size, levels, embedded, seed):
    space = book(*size, levels, embedded=embedded)
    rng = np.random.default_rng(seed)
    before = space.sample(1, rng)[0]
    after = before.copy()
    Patches(space).change(after, rng)
    assert (after != before).any()
    space.validate(after[None])


def test_every_place_and_every_kind_of_change_is_tried():
    space = book(8, 8, 100)
    patches, rng = Patches(space), np.random.default_rng(0)
    base = np.arange(64)
    changed, filled, copied = np.zeros(64, int), 0, 0
    for _ in range(2_000):
        code = base.copy()
        patches.change(code, rng)
        where = np.flatnonzero(code != base)
        changed[where] += 1
        rows, columns = np.divmod(where, 8)
        inside = (rows.max() - rows.min() + 1) * (columns.max() - columns.min() + 1)
        filled += len(where) > 1 and len(set(code[where])) == 1
        copied += len(where) > 1 and len(set(code[where])) > 1
        assert len(where) >= inside - 1  # a filled rectangle may hold its label already, once in this map
    assert changed.min() > 40
    assert filled > 500
    assert copied > 200


def test_neighbours_are_near_in_the_embedding():
    space = book(4, 4, 200)
    patches = Patches(space)
    apart = np.square(space.embedding[:, None] - space.embedding).sum(-1)
    np.fill_diagonal(apart, np.inf)
    expected = np.sort(apart, 1)[:, :NEAR]
    np.testing.assert_allclose(np.take_along_axis(apart, patches._near, 1), expected)


@pytest.mark.parametrize(
    "space",
    [
        SearchSpace.codebook(16, 4),
        SearchSpace.box(16, -1, 1),
        SearchSpace.grid(16, 4),
    ],
)
def test_spaces_without_a_map_of_labels(space):
    assert not suits(space)
