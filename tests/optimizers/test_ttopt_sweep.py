from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mango.optimizers.ttopt_sweep import CrossSweep

Array = np.ndarray[Any, Any]


def made(sizes: list[int], rank: int, seed: int = 0) -> CrossSweep:
    rng = np.random.default_rng(seed)
    return CrossSweep(np.array(sizes), rank, np.stack([rng.integers(0, n, rank) for n in sizes], axis=1))


@settings(max_examples=40)
@given(sizes=st.lists(st.integers(1, 6), min_size=1, max_size=5), rank=st.integers(1, 4), seed=st.integers(0, 999))
def test_blocks_are_distinct_tuples_through_every_point_of_the_axis(sizes: list[int], rank: int, seed: int) -> None:
    sweep, rng = made(sizes, rank, seed), np.random.default_rng(seed)
    for _ in range(4 * len(sizes)):
        block = sweep.block()
        assert len(np.unique(block, axis=0)) == len(block) <= rank**2 * sizes[sweep.axis]
        assert (block >= 0).all()
        assert (block < np.array(sizes)).all()
        assert len(np.unique(block[:, sweep.axis])) == sizes[sweep.axis]
        sweep.advance(rng.random(len(block)) + 0.01)


def test_it_goes_there_and_back() -> None:
    sweep, axes = made([2, 2, 2], 1), []
    for _ in range(12):
        axes.append(sweep.axis)
        sweep.advance(np.ones(len(sweep.block())))
    assert axes == [0, 1, 2, 2, 1, 0] * 2


def test_it_finds_the_largest_entry_of_a_tensor_of_low_rank() -> None:
    sizes = [6, 5, 7, 6]
    rng = np.random.default_rng(1)
    factors = [rng.random((n, 2)) for n in sizes]
    tensor = np.einsum("ar,br,cr,dr->abcd", *factors)
    sweep, seen = made(sizes, 3), set()
    for _ in range(3 * 2 * len(sizes)):
        block = sweep.block()
        seen |= set(map(tuple, block.tolist()))
        sweep.advance(tensor[tuple(block.T)])
    assert np.unravel_index(tensor.argmax(), tensor.shape) in seen
    assert len(seen) < len(list(product(*map(range, sizes)))) / 2


def test_heads_span_the_block() -> None:
    """On a tensor of rank 2, the values at two chosen heads give all values by interpolation: the cross is exact."""
    rng = np.random.default_rng(2)
    left, right = rng.random((6, 2)), rng.random((2, 6))
    sweep = made([6, 6], 2)
    block = sweep.block()
    tails = block[:2, 1]
    matrix = left @ right
    sweep.advance(matrix[tuple(block.T)])
    heads = np.unique(sweep.block()[:, 0])
    cross = matrix[:, tails] @ np.linalg.inv(matrix[np.ix_(heads, tails)]) @ matrix[heads]
    np.testing.assert_allclose(cross, matrix, rtol=1e-8)
    rows = np.linalg.qr(matrix[:, tails])[0]
    volumes = {pair: abs(np.linalg.det(rows[list(pair)])) for pair in product(range(6), repeat=2)}
    assert volumes[tuple(heads)] >= 0.8 * max(volumes.values())  # type: ignore[index]


def test_state_round_trip() -> None:
    sweep, rng = made([3, 4, 2, 5], 3), np.random.default_rng(3)
    for _ in range(6):
        sweep.advance(rng.random(len(sweep.block())) + 0.01)
    other = made([3, 4, 2, 5], 3, seed=9)
    other.restore(sweep.state())
    for _ in range(12):
        assert sweep.axis == other.axis
        np.testing.assert_array_equal(sweep.block(), other.block())
        worth = rng.random(len(sweep.block())) + 0.01
        sweep.advance(worth)
        other.advance(worth)


@pytest.mark.parametrize("rank", [1, 4])
def test_equal_worth_everywhere_is_no_obstacle(rank: int) -> None:
    sweep = made([4, 4, 4], rank)
    for _ in range(20):
        sweep.advance(np.full(len(sweep.block()), 1.5))
    assert len(sweep.block()) == rank * 4 * (1 if sweep.axis in (0, 2) else rank)
