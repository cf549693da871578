"""Spaces sample, check and grid their codes; bad ones cannot be made."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mango.errors import CodeError, InputError, MangoError
from mango.space import SearchSpace

MIXED = SearchSpace(
    np.array([-1.0, 0.0, 0.0, -0.1]),
    np.array([1.0, 7.0, 3.0, 0.3]),
    np.array([0, 8, 4, 0]),
    np.array([True, True, False, True]),
)


@st.composite
def spaces(draw: st.DrawFn) -> SearchSpace:
    """Mixed spaces of up to five axes."""
    levels = np.array(draw(st.lists(st.sampled_from([0, 0, 1, 2, 5, 300]), min_size=1, max_size=5)))
    bound = st.floats(-1e3, 1e3)
    low = np.array([0.0 if n else draw(bound) for n in levels])
    high = np.array([n - 1.0 if n else a + draw(st.floats(1e-3, 1e3)) for n, a in zip(levels, low, strict=True)])
    ordered = np.array([bool(n == 0 or draw(st.booleans())) for n in levels])
    return SearchSpace(low, high, levels, ordered, draw(st.sampled_from(["uniform", "normal"])))


@given(spaces(), st.integers(0, 20), st.integers(0, 2**32))
def test_samples_are_codes_of_the_space(space: SearchSpace, n: int, seed: int) -> None:
    codes = space.sample(n, np.random.default_rng(seed))
    assert codes.shape == (n, space.dim)
    assert codes.dtype == space.dtype
    np.testing.assert_array_equal(space.validate(codes), codes)
    np.testing.assert_array_equal(space.sample(n, np.random.default_rng(seed)), codes)


@given(spaces(), st.integers(2, 40), st.integers(0, 2**32))
def test_the_grid_goes_there_and_back(space: SearchSpace, levels: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    sizes = space.grid_sizes(levels)
    indices = np.vstack([rng.integers(0, sizes, (6, space.dim)), np.zeros_like(sizes), sizes - 1])
    codes = space.from_grid(indices, levels)
    np.testing.assert_array_equal(space.validate(codes), codes)
    np.testing.assert_array_equal(space.to_grid(codes, levels), indices)
    ends = space.from_grid(np.vstack([np.zeros_like(sizes), sizes - 1]), levels)
    np.testing.assert_allclose(ends, [space.lower, space.upper])


@given(spaces(), st.integers(2, 9), st.integers(0, 2**32))
def test_the_grid_point_is_the_nearest(space: SearchSpace, levels: int, seed: int) -> None:
    codes = space.sample(5, np.random.default_rng(seed))
    near = space.from_grid(space.to_grid(codes, levels), levels)
    step = np.where(space.continuous, (space.upper - space.lower) / (levels - 1), 0.0)
    assert (np.abs(near - codes) <= step / 2 * (1 + 1e-6)).all()


def test_sampling_follows_the_prior() -> None:
    rng = np.random.default_rng(0)
    uniform = SearchSpace.box(1, -1, 3).sample(4000, rng)[:, 0]
    assert stats.kstest(uniform, stats.uniform(-1, 4).cdf).pvalue > 1e-3
    for low, high in ((-1.0, 2.5), (6.0, 7.0), (9.0, 9.5), (-12.0, -10.0)):
        normal = SearchSpace.box(1, low, high, prior="normal").sample(4000, rng)[:, 0]
        assert ((normal >= low) & (normal <= high)).all()
        assert stats.kstest(normal, stats.truncnorm(low, high).cdf).pvalue > 1e-3
    labels = SearchSpace.codebook(2, 5).sample(5000, rng)
    assert stats.chisquare(np.bincount(labels.ravel(), minlength=5)).pvalue > 1e-3


def test_axes_take_bounds_of_their_own() -> None:
    space = SearchSpace.box(3, [-1, 0, 2], 5)
    np.testing.assert_array_equal(space.lower, [-1, 0, 2])
    np.testing.assert_array_equal(space.upper, [5, 5, 5])
    assert space.is_box
    assert space.continuous.all()
    assert space.dtype == np.float64


def test_a_grid_and_a_code_book() -> None:
    grid = SearchSpace.grid(2, 4)
    assert grid.dtype == np.int64
    assert grid.ordered.all()
    assert not grid.is_box
    np.testing.assert_array_equal(grid.upper, [3, 3])
    book = SearchSpace.codebook(6, 3, embedding=[[0, 1], [2, 3], [4, 5]], layout=(2, 3))
    assert not book.ordered.any()
    assert book.layout == (2, 3)
    assert book.embedding is not None
    assert book.embedding.shape == (3, 2)


def test_arrays_are_read_only_and_owned() -> None:
    low = np.zeros(2)
    space = SearchSpace.box(2, low, 1)
    low[:] = 9
    assert space.lower[0] == 0
    for array in (space.lower, space.upper, space.levels, space.ordered):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        space.prior = "normal"  # type: ignore[misc]


def test_valid_codes_come_back_fresh_and_in_the_dtype_of_the_space() -> None:
    given_codes = np.array([[0, 7, 3, 0]])
    given_codes.setflags(write=False)
    codes = MIXED.validate(given_codes)
    assert codes.dtype == np.float64
    codes[0, 0] = 1.0
    assert given_codes[0, 0] == 0
    assert SearchSpace.grid(2, 4).validate([[1.0, 3.0]]).dtype == np.int64
    assert MIXED.validate(np.empty((0, 4))).shape == (0, 4)


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        ([[0, 0, 0]], r"shape \(n, dim\) = \(n, 4\); got \(1, 3\)"),
        ([0, 0, 0, 0], r"got \(4,\)"),
        ([[[0, 0, 0, 0]]], r"got \(1, 1, 4\)"),
        ([[0, 0], [1]], "must form an array"),
        ([["a", "b", "c", "d"]], "real numbers"),
        ([[True, False, True, False]], "real numbers"),
        ([[1j, 0, 0, 0]], "real numbers"),
        ([[0, 8, 0, 0]], "code 0 is 8.0 on axis 1; expected 0 to 7"),
        ([[0, 0, 0, 0], [0, 0, -1, 0]], "code 1 is -1.0 on axis 2"),
        ([[np.nan, 0, 0, 0]], "code 0 is nan on axis 0"),
        ([[np.inf, 0, 0, 0]], "code 0 is inf on axis 0"),
        ([[0, 0.5, 0, 0]], "whole numbers"),
    ],
)
def test_bad_codes_are_refused(codes: object, message: str) -> None:
    with pytest.raises(CodeError, match=message):
        MIXED.validate(codes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "make",
    [
        lambda: SearchSpace.box(0),
        lambda: SearchSpace.box(2.5),  # type: ignore[arg-type]
        lambda: SearchSpace.box("three"),  # type: ignore[arg-type]
        lambda: SearchSpace.box(True),
        lambda: SearchSpace.box(3, [0, 1]),
        lambda: SearchSpace.box(3, "low"),  # type: ignore[arg-type]
        lambda: SearchSpace.box(2, 1, 1),
        lambda: SearchSpace.box(2, 1, -1),
        lambda: SearchSpace.box(2, -np.inf, 1),
        lambda: SearchSpace.box(2, np.nan, 1),
        lambda: SearchSpace.box(2, prior="cauchy"),  # type: ignore[arg-type]
        lambda: SearchSpace.grid(2, 0),
        lambda: SearchSpace.codebook(4, 3, embedding=np.zeros((2, 5))),
        lambda: SearchSpace.codebook(4, 3, embedding=np.zeros(3)),
        lambda: SearchSpace.codebook(4, 3, layout=(2, 3)),
        lambda: SearchSpace.codebook(4, 3, layout=(-2, -2)),
        lambda: SearchSpace(np.zeros(2), np.ones(3), np.zeros(2), np.ones(2)),
        lambda: SearchSpace(np.zeros((1, 2)), np.ones((1, 2)), np.zeros((1, 2)), np.ones((1, 2))),
        lambda: SearchSpace(np.zeros(1), np.ones(1), np.array([-1]), np.ones(1)),
        lambda: SearchSpace(np.zeros(1), np.array([5.0]), np.array([3]), np.ones(1)),
        lambda: SearchSpace(np.ones(1), np.array([2.0]), np.array([3]), np.ones(1)),
        lambda: SearchSpace.box(2).grid_sizes(1),
    ],
)
def test_bad_spaces_are_refused(make: object) -> None:
    with pytest.raises(InputError) as caught:
        make()  # type: ignore[operator]
    assert isinstance(caught.value, MangoError)
    assert len(str(caught.value)) > 20
