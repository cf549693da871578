from __future__ import annotations

import subprocess
import sys
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mango.optimizers import tt_kernels

Array = np.ndarray[Any, Any]


class Train(NamedTuple):
    cores: Array  # (d, r, r, n), zero in the padding
    sizes: Array
    sums: Array
    right: Array
    norms: Array
    ranks: tuple[int, ...]


def train(sizes: list[int], rank: int, seed: int, *, negative: bool = True, kind: Any = np.float64) -> Train:
    rng = np.random.default_rng(seed)
    d, n = len(sizes), max(sizes)
    cores = (rng.normal(size=(d, rank, rank, n)) if negative else rng.random((d, rank, rank, n))).astype(kind)
    cores *= np.arange(n) < np.array(sizes)[:, None, None, None]
    sums, right, norms = np.zeros((d, rank, n), kind), np.zeros((d + 1, rank), kind), np.zeros(d, kind)
    made = Train(cores, np.array(sizes), sums, right, norms, (0,) * rank)
    tt_kernels.interfaces(*made)
    return made


def tuples_of(made: Train, count: int, seed: int) -> Array:
    rng = np.random.default_rng(seed)
    return np.stack([rng.integers(0, size, count) for size in made.sizes], axis=1)


def loss(cores: torch.Tensor, sizes: Array, tuples: Array) -> torch.Tensor:
    """Minus the mean log-probability, written as in the paper and left to automatic differentiation."""
    d, rank = cores.shape[:2]
    unit = torch.zeros(rank, dtype=cores.dtype)
    unit[0] = 1
    interfaces = [unit]
    for k in range(d - 1, -1, -1):
        z = cores[k, :, :, : sizes[k]].sum(-1) @ interfaces[0]
        interfaces.insert(0, z / z.norm())
    total = torch.zeros((), dtype=cores.dtype)
    for row in tuples:
        left = unit
        for k, i in enumerate(row):
            weights = torch.einsum("a,abi,b->i", left, cores[k, :, :, : sizes[k]], interfaces[k + 1]).abs()
            total = total - torch.log(weights[i] / weights.sum())
            left = left @ cores[k, :, :, i]
            left = left / left.norm()
    return total / len(tuples)


def draw(made: Train, uniform: Array) -> Array:
    drawn: Array = tt_kernels.sample(made.cores, made.sizes, made.sums, uniform, made.ranks)
    return drawn


def probabilities(made: Train) -> dict[tuple[int, ...], float]:
    """Of every index tuple, by the same loss, one at a time."""
    cores = torch.tensor(made.cores)
    return {
        row: float(torch.exp(-loss(cores, made.sizes, np.array([row]))))
        for row in product(*(range(size) for size in made.sizes))
    }


@settings(max_examples=20)
@given(
    sizes=st.lists(st.integers(1, 5), min_size=1, max_size=5),
    rank=st.sampled_from([1, 3]),
    count=st.integers(1, 4),
    negative=st.booleans(),
    seed=st.integers(0, 10_000),
)
def test_gradient_is_that_of_automatic_differentiation(
    sizes: list[int], rank: int, count: int, negative: bool, seed: int
) -> None:
    made = train(sizes, rank, seed, negative=negative)
    tuples = tuples_of(made, count, seed)
    cores = torch.tensor(made.cores, requires_grad=True)
    loss(cores, made.sizes, tuples).backward()  # type: ignore[no-untyped-call]
    assert cores.grad is not None
    expected = cores.grad.numpy()
    found = tt_kernels.gradient(*made, tuples)
    assert np.abs(found - expected).max() <= 1e-6 * max(np.abs(expected).max(), 1e-3)


def test_gradient_is_that_of_finite_differences() -> None:
    made = train([3, 4, 2], 3, seed=1)
    assert (made.cores < 0).any()
    tuples = tuples_of(made, 3, seed=2)
    found = tt_kernels.gradient(*made, tuples)
    step = 1e-6
    for index in zip(*np.nonzero(made.cores), strict=True):
        sides = []
        for sign in (1, -1):
            moved = made.cores.copy()
            moved[index] += sign * step
            sides.append(float(loss(torch.tensor(moved), made.sizes, tuples)))
        assert found[index] == pytest.approx((sides[0] - sides[1]) / (2 * step), rel=1e-5, abs=1e-7)


def test_adam_steps_are_those_of_its_authors() -> None:
    """Kingma and Ba (2015), algorithm 1."""
    made = train([3, 4, 3], 3, seed=3)
    tuples = tuples_of(made, 2, seed=4)
    expected, first, second = made.cores.copy(), 0.0, 0.0
    for step in range(1, 5):
        cores = torch.tensor(expected, requires_grad=True)
        loss(cores, made.sizes, tuples).backward()  # type: ignore[no-untyped-call]
        assert cores.grad is not None
        slope = cores.grad.numpy()
        first = 0.9 * first + 0.1 * slope
        second = 0.999 * second + 0.001 * slope**2
        expected -= 0.05 * (first / (1 - 0.9**step)) / (np.sqrt(second / (1 - 0.999**step)) + 1e-8)
    mean, square = np.zeros_like(made.cores), np.zeros_like(made.cores)
    _ascend(made, mean, square, 0, tuples, 3)
    _ascend(made, mean, square, 3, tuples, 1)
    np.testing.assert_allclose(made.cores, expected, rtol=1e-6, atol=1e-9)
    renewed = train([3, 4, 3], 3, seed=0)._replace(cores=made.cores)
    tt_kernels.interfaces(*renewed)
    for ours, fresh in zip(made, renewed, strict=True):
        np.testing.assert_array_equal(ours, fresh)


def _ascend(made: Train, mean: Array, square: Array, count: int, tuples: Array, steps: int) -> None:
    tt_kernels.ascend(
        made.cores, mean, square, count, 0.05, made.sizes, made.sums, made.right, made.norms, made.ranks, tuples, steps
    )


@pytest.mark.parametrize("sizes", [[2, 3, 4], [1, 3, 2], [20, 3]])
def test_sampling_frequencies_are_the_probabilities(sizes: list[int]) -> None:
    made = train(sizes, 3, seed=5)
    exact = probabilities(made)
    assert sum(exact.values()) == pytest.approx(1)
    count = 40_000
    drawn = draw(made, np.random.default_rng(6).random((count, len(sizes))))
    found = dict.fromkeys(exact, 0)
    for row in map(tuple, drawn.tolist()):
        found[row] += 1  # a padded point would be no key
    for row, p in exact.items():
        assert abs(found[row] / count - p) < 5 * np.sqrt(p * (1 - p) / count) + 1e-6


@settings(max_examples=30)
@given(size=st.integers(1, 70), zeros=st.integers(0, 60), seed=st.integers(0, 1000))
def test_points_of_no_probability_are_never_drawn(size: int, zeros: int, seed: int) -> None:
    made = train([size], 3, seed, kind=np.float32)
    hidden = np.random.default_rng(seed).permutation(size)[: min(zeros, size - 1)]
    made.cores[0, :, :, hidden] = 0
    tt_kernels.interfaces(*made)
    uniform = np.linspace(0, 1, 300, endpoint=False)[:, None]
    drawn = draw(made, np.vstack([uniform, [[np.nextafter(1, 0)]]]))
    assert not np.isin(drawn, hidden).any()
    assert drawn.min() >= 0
    assert drawn.max() < size


def test_a_tensor_of_zeros_is_sampled_uniformly() -> None:
    made = train([40], 3, seed=0)
    made.cores[:] = 0
    tt_kernels.interfaces(*made)
    drawn = draw(made, np.linspace(0, 0.999, 400)[:, None])
    assert len(np.unique(drawn)) == 40
    assert np.isfinite(tt_kernels.gradient(*made, drawn[:3])).all()


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_long_trains_neither_overflow_nor_vanish(kind: Any) -> None:
    made = train([2] * 600, 3, seed=7, negative=False, kind=kind)
    drawn = draw(made, np.random.default_rng(8).random((50, 600)))
    assert 0.3 < drawn.mean() < 0.7
    slope = tt_kernels.gradient(*made, drawn)
    assert slope.dtype == kind
    assert np.isfinite(slope).all()
    assert slope.any()


def test_kernels_compile_where_no_cache_can_be_written() -> None:
    """Numba says so with a RuntimeError, and the kernels are compiled for the process alone."""
    code = """
import numba, numpy as np
from numba.core import caching
def refuse(*_): raise RuntimeError("cannot cache function: no locator available")
numba.core.dispatcher.FunctionCache = refuse
from mango.optimizers import tt_kernels
assert not tt_kernels._total.stats.cache_path
assert tt_kernels._total(np.ones(9), 9) == 9
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
