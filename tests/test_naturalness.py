"""Percentile, naturalness and penalty: their ends, their order, and what they are the same for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mango.errors import InputError, OptionError
from mango.naturalness import log_prior_quantiles, natural_band, naturalness, penalty, percentile

nats = arrays(np.float64, st.integers(2, 40), elements=st.floats(-600, 0).map(lambda x: round(x, 1)))
quantiles = nats.map(np.sort)
asked = st.floats(-1e4, 1e4)


class Prior:
    """A generator whose codes are their own log prior."""

    def __init__(self, **more: Any) -> None:
        vars(self).update(more)

    def log_prior(self, codes: Any) -> Any:
        return np.asarray(codes, float)[:, 0]


@given(quantiles, asked, asked)
@example(np.array([-1.0] * 11 + [0.0]), 0.0, 0.0)  # 11 times 100 / 11 is above 100
def test_percentiles_ascend_from_0_to_100(q: np.ndarray, one: float, other: float) -> None:
    low, high = percentile(np.sort([one, other]), q)
    assert 0 <= low <= high <= 100
    assert percentile(np.array([q[0] - 1, q[-1] + 1]), q).tolist() == [0, 100]


@given(quantiles)
def test_the_percentile_counts_equal_ones_half(q: np.ndarray) -> None:
    """Of n codes, the place among the n - 1 others."""
    expected = [((q < x).sum() + ((q == x).sum() - 1) / 2) / (len(q) - 1) * 100 for x in q]
    np.testing.assert_allclose(percentile(q, q), expected, atol=1e-9)


@given(st.floats(0, 100))
def test_naturalness_is_the_same_for_both_tails(p: float) -> None:
    assert naturalness(p) == pytest.approx(naturalness(100 - p), abs=1e-9)
    assert naturalness(p) == pytest.approx(2 * min(p, 100 - p), abs=1e-9)
    assert naturalness([0, 5, 25, 50, 95, 100]).tolist() == pytest.approx([0, 10, 50, 100, 10, 0])


@given(quantiles, asked, asked)
def test_the_penalty_is_zero_in_the_band_and_falls_beside_it(q: np.ndarray, one: float, other: float) -> None:
    assume(
        q[-1] - q[0] > 1
        and np.interp(0.05, np.linspace(0, 1, len(q)), q) < np.interp(0.95, np.linspace(0, 1, len(q)), q)
    )
    low, high = band = natural_band(q)
    width = high - low
    assert penalty(np.array([low, (low + high) / 2, high]), band).tolist() == [0, 0, 0]
    assert penalty(np.array([low - width, high + 3 * width]), band) == pytest.approx([-1, -3])
    for x in (one, other):
        paid = penalty(np.array([x, x - 1.0 if x < low else x + 1.0]), band)
        assert paid[0] <= 0
        if not low <= x <= high:
            assert paid[1] < paid[0], "it keeps its slope beyond every natural code"
        assert not np.signbit(paid[paid == 0]).any()


def test_the_band_holds_ninety_percent() -> None:
    q = np.linspace(-400, -200, 1001)
    assert natural_band(q) == pytest.approx((-390, -210))
    inside = percentile(np.array(natural_band(q)), q)
    assert inside == pytest.approx([5, 95])


def test_a_generators_own_quantiles_come_before_its_natural_codes() -> None:
    natural = np.array([[3.0], [1.0], [2.0]])
    assert log_prior_quantiles(Prior(), natural).tolist() == [1, 2, 3]  # type: ignore[union-attr]
    assert log_prior_quantiles(Prior(log_prior_quantiles=[0, 5]), natural).tolist() == [0, 5]  # type: ignore[union-attr]
    assert log_prior_quantiles(Prior(), None) is None
    assert log_prior_quantiles(object(), natural) is None


@pytest.mark.parametrize("wrong", [[1.0], [2.0, 1.0], [0.0, np.inf], [[0.0, 1.0]]])
def test_quantiles_that_are_none(wrong: Any) -> None:
    with pytest.raises(InputError, match="expected the log_prior_quantiles as two or more finite numbers"):
        log_prior_quantiles(Prior(log_prior_quantiles=wrong), None)
    with pytest.raises(InputError, match="expected the log priors of natural codes"):
        log_prior_quantiles(Prior(), np.array([[1.0], [np.nan]]))


def test_a_band_without_width_measures_nothing() -> None:
    with pytest.raises(OptionError, match="5 % and 95 % quantiles are both -7"):
        natural_band(np.full(30, -7.0))


def test_between_ties_the_percentile_lies_between_their_ends() -> None:
    q = np.array([0.0] * 4 + [1.0] * 86 + [2.0] * 11)
    assert percentile(np.array([0.5, 0.999, 1.0, 1.001, 1.5]), q).tolist() == pytest.approx(
        [3.5, 3.999, 46.5, 89.001, 89.5]
    )
