from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mango.errors import InputError, OptionError
from mango.optimizers.axes import GridAxes, whole
from mango.space import SearchSpace


@settings(max_examples=50)
@given(powers=st.lists(st.integers(1, 6), min_size=1, max_size=5), seed=st.integers(0, 100))
def test_binary_digits_and_back(powers: list[int], seed: int) -> None:
    levels = 2 ** np.array(powers)
    space = SearchSpace(np.zeros(len(levels)), levels - 1.0, levels, np.ones(len(levels), bool))
    axes = GridAxes(space, 16, binary=True)
    codes = space.sample(20, np.random.default_rng(seed))
    digits = axes.to_digits(codes)
    assert digits.shape == (20, sum(powers))
    assert axes.sizes.tolist() == [2] * sum(powers)
    assert set(np.unique(digits)) <= {0, 1}
    np.testing.assert_array_equal(axes.to_points(digits), codes)


def test_the_most_significant_digit_comes_first() -> None:
    axes = GridAxes(SearchSpace.grid(2, 8), 16, binary=True)
    assert axes.to_digits(np.array([[6, 1]])).tolist() == [[1, 1, 0, 0, 0, 1]]


@pytest.mark.parametrize("binary", [False, True])
def test_continuous_axes_take_levels_equidistant_points(binary: bool) -> None:
    axes = GridAxes(SearchSpace.box(1, 0.0, 3.0), 4, binary)
    points = axes.to_points(np.array([[0, 0], [0, 1], [1, 0], [1, 1]]) if binary else np.arange(4)[:, None])
    assert points.tolist() == [[0.0], [1.0], [2.0], [3.0]]
    assert (axes.to_points(axes.to_digits(points + 0.3)) == points).all()


def test_axes_of_a_mixed_space_keep_their_sizes() -> None:
    space = SearchSpace(np.zeros(3), np.array([1.0, 4.0, 2.0]), np.array([0, 5, 3]), np.array([True, True, False]))
    axes = GridAxes(space, 7, binary=False)
    assert axes.sizes.tolist() == [7, 5, 3]
    assert axes.to_points(np.array([[6, 4, 2]])).tolist() == [[1.0, 4.0, 2.0]]


@pytest.mark.parametrize(
    ("space", "levels", "says"),
    [
        (SearchSpace.grid(3, 6), 16, "axis 0 has 6; give binary=False"),
        (SearchSpace.grid(3, 1), 16, "axis 0 has 1"),
        (SearchSpace.box(2), 12, "axis 0 takes levels = 12; give binary=False or levels=16"),
    ],
)
def test_binary_axes_need_a_power_of_two(space: SearchSpace, levels: int, says: str) -> None:
    with pytest.raises(InputError, match=says):
        GridAxes(space, levels, binary=True)


@pytest.mark.parametrize("value", [0, 1.0, "3", True, None, -2])
def test_whole_numbers(value: object) -> None:
    with pytest.raises(OptionError, match="rank must be a whole number >= 1"):
        whole("rank", value)
    assert whole("rank", np.int64(3)) == 3


def test_other_options_are_checked() -> None:
    with pytest.raises(OptionError, match="levels must be a whole number >= 2; got 1"):
        GridAxes(SearchSpace.box(2), 1, binary=False)
    with pytest.raises(OptionError, match="binary must be True or False; got 1"):
        GridAxes(SearchSpace.box(2), 16, binary=1)  # type: ignore[arg-type]
