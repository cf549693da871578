from __future__ import annotations

import numpy as np
import pytest
from numba import njit

from mango.targets.spiking.kernels.portable_lanes import (
    above,
    aligned,
    drop,
    fused,
    inlined,
    keep,
    larger,
    load,
    ones,
    size,
    spread,
    store,
)

SOME, MANY = 16, 64


@pytest.fixture(autouse=True)
def implementation() -> None:
    """None of those that the other tests are for: vectors are what numba's is made of."""


called = njit(error_model="numpy")


@called
def sums_of_products(a, b, c, out):
    for at in range(0, len(a), SOME):
        none = spread(np.float32(0), SOME)
        product = load(a, at, none) * load(b, at, none)
        store(out, at, product + load(c, at, none))


@called
def products_rounded_with_sums(a, b, c, out):
    for i in range(len(a)):
        out[i] = fused(a[i], b[i], c[i])


@called
def quotients_and_differences(a, b, out):
    none = spread(np.float32(0), SOME)
    store(out, 0, load(a, 0, none) / load(b, 0, none))
    store(out, SOME, load(a, 0, none) - load(b, 0, none))
    store(out, 2 * SOME, larger(load(a, 0, none), load(b, 0, none)))
    store(out, 3 * SOME, size(load(a, 0, none)))


@called
def compared(a, b, out):
    none = spread(np.float32(0), SOME)
    mask = above(load(a, 0, none), load(b, 0, none))
    store(out, 0, keep(mask, load(a, 0, none)))
    store(out, SOME, drop(mask, load(a, 0, none)))
    return mask


@called
def kept(mask, out):
    store(out, 1, keep(mask, spread(np.float32(2), MANY)))
    return ones(mask)


@inlined
def twice(vector):
    return vector + vector


@called
def doubled(a, out):
    store(out, 0, twice(load(a, 0, spread(np.float32(0), SOME))))


def numbers(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(count).astype(np.float32)


def test_each_operation_is_rounded():
    a, b, c = (numbers(160, seed) for seed in range(3))
    out, together = np.empty_like(a), np.empty_like(a)
    sums_of_products(a, b, c, out)
    products_rounded_with_sums(a, b, c, together)
    np.testing.assert_array_equal(out, a * b + c)
    np.testing.assert_array_equal(together, (a.astype(np.float64) * b + c).astype(np.float32))
    assert not np.array_equal(out, together)


def test_of_each_two():
    a, b, out = numbers(SOME, 3), numbers(SOME, 4), np.empty(4 * SOME, np.float32)
    quotients_and_differences(a, b, out)
    np.testing.assert_array_equal(out, np.concatenate([a / b, a - b, np.maximum(a, b), np.abs(a)]))


def test_masks_have_a_bit_per_lane():
    a, b, out = numbers(SOME, 5), numbers(SOME, 6), np.empty(2 * SOME, np.float32)
    b[3] = a[3]
    mask = compared(a, b, out)
    truth = a > b
    assert mask == sum(int(bit) << lane for lane, bit in enumerate(truth))
    np.testing.assert_array_equal(out, np.concatenate([np.where(truth, a, 0), np.where(truth, 0, a)]))


def test_a_wide_vector_goes_where_it_is_told():
    out = np.full(MANY + 2, 7, np.float32)
    mask = np.uint64(0x8000_0000_0000_0005)
    assert kept(mask, out) == 3
    assert np.flatnonzero(out == 2).tolist() == [1, 3, 64]
    assert (out[[0, -1]] == 7).all()
    assert (out == 0).sum() == MANY - 3


def test_functions_of_vectors():
    a, out = numbers(SOME, 7), np.empty(SOME, np.float32)
    doubled(a, out)
    np.testing.assert_array_equal(out, 2 * a)


def test_memory_begins_with_a_line():
    for count in (1, 16, 1000):
        assert aligned(count).shape == (count,)
        assert aligned(count).ctypes.data % 64 == 0
