"""Sparseness and effective classes: extremes, bounds, and what must not change them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mango.analysis.selectivity import effective_classes, lifetime_sparseness
from mango.errors import InputError

rates = arrays(np.float64, st.integers(2, 30), elements=st.floats(0, 1e3, allow_subnormal=False))
weights = arrays(np.float64, st.integers(1, 30), elements=st.floats(0, 1, allow_subnormal=False))


@given(rates)
def test_sparseness_is_its_formula_and_bounded(r: np.ndarray) -> None:
    assume(r.max() > 1e-3)
    n = len(r)
    a = (r.sum() / n) ** 2 / (r**2 / n).sum()
    assert lifetime_sparseness(r) == pytest.approx((1 - a) / (1 - 1 / n), abs=1e-9)
    assert 0 <= lifetime_sparseness(r) <= 1


@given(rates, st.sampled_from([1e-300, 1e-12, 3.0, 1e12, 1e300]), st.randoms())
def test_neither_scale_nor_order_of_stimuli_matter_to_sparseness(r: np.ndarray, scale: float, random: Any) -> None:
    assume(r.max() > 1e-3)
    r[r < 1e-3] = 0
    order = random.sample(range(len(r)), len(r))
    assert lifetime_sparseness(scale * r[order]) == pytest.approx(lifetime_sparseness(r), abs=1e-9)


@pytest.mark.parametrize("n", [2, 3, 10, 1000])
@pytest.mark.parametrize("size", [5e-324, 0.1, 7.0, 1e308])
def test_extremes_of_sparseness(n: int, size: float) -> None:
    one = np.zeros(n)
    one[n // 2] = size
    assert lifetime_sparseness(one) == 1
    assert lifetime_sparseness(np.full(n, size)) == pytest.approx(0, abs=1e-12)
    half = np.repeat([0.0, size], n)
    assert lifetime_sparseness(half) == pytest.approx(0.5 / (1 - 0.5 / n))


def test_a_responds_to_more_stimuli_than_b() -> None:
    broad, narrow = np.array([5, 4, 4, 3, 0.0]), np.array([5, 0.5, 0, 0, 0])
    assert lifetime_sparseness(broad) < lifetime_sparseness(narrow)
    assert lifetime_sparseness(broad + 10) < lifetime_sparseness(broad)  # an offset makes it look less sparse


def test_sparseness_of_each_unit_of_a_recording() -> None:
    recorded = np.random.default_rng(0).random((20, 5))
    recorded[:, 3] = 0
    answer = lifetime_sparseness(recorded)
    assert answer.shape == (5,)
    assert np.isnan(answer).tolist() == [False, False, False, True, False]
    assert answer[1] == lifetime_sparseness(recorded[:, 1])
    assert lifetime_sparseness([3, 0]) == 1
    assert lifetime_sparseness([3, 0]).shape == ()


@given(weights, st.randoms())
def test_effective_classes_are_bounded_whatever_the_order(w: np.ndarray, random: Any) -> None:
    assume(w.sum() > 1e-3)
    p = w / w.sum()
    effective = effective_classes(p)
    assert 1 <= effective <= len(p)
    order = random.sample(range(len(p)), len(p))
    assert effective_classes(p[order]) == pytest.approx(effective)
    assert effective_classes(np.append(p, np.zeros(3))) == pytest.approx(effective)  # classes that cannot be


@given(weights, st.integers(2, 5))
def test_classes_split_into_equal_parts_are_so_many_times_more(w: np.ndarray, parts: int) -> None:
    assume(w.sum() > 1e-3)
    p = w / w.sum()
    assert effective_classes(np.repeat(p / parts, parts)) == pytest.approx(parts * effective_classes(p))


@pytest.mark.parametrize("classes", [1, 2, 10, 1000])
def test_extremes_of_effective_classes(classes: int) -> None:
    certain = np.eye(classes)[0]
    assert effective_classes(certain) == 1
    assert effective_classes(np.full(classes, 1 / classes)) == pytest.approx(classes)


def test_nats_go_with_the_base_e() -> None:
    assert effective_classes([0.5, 0.25, 0.25]) == pytest.approx(2**1.5)  # 1.5 bits
    assert effective_classes(np.full((3, 4), 0.25, np.float32)) == pytest.approx([4, 4, 4])
    assert effective_classes([[1, 0], [0.5, 0.5]]).tolist() == pytest.approx([1, 2])


def test_probabilities_of_a_softmax_in_float32() -> None:
    logits = np.random.default_rng(0).normal(0, 5, (50, 1000)).astype(np.float32)
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True, dtype=np.float32)
    assert ((effective_classes(p) > 1) & (effective_classes(p) < 1000)).all()


@pytest.mark.parametrize("measure", [lifetime_sparseness, effective_classes])
@pytest.mark.parametrize(
    ("given_numbers", "says"),
    [
        ([0.5, np.nan, 0.5], "must be finite; 1 of 3 are not"),
        ([[0.5, np.inf]] * 2, "must be finite; 2 of 4 are not"),
        ([1.5, -0.5], "must not be negative; got -0.5"),
        (1.0, r"shape \(.*got \(\)"),
        ([], r"got \(0,\)"),
        (np.zeros((2, 0)), r"got \(2, 0\)"),
        (np.zeros((2, 2, 2)), r"got \(2, 2, 2\)"),
        (["a", "b"], "must be numbers"),
        ([[1], [0, 1]], "must be numbers"),
    ],
)
def test_what_cannot_be_measured(measure: Callable[[Any], Any], given_numbers: Any, says: str) -> None:
    with pytest.raises(InputError, match=says):
        measure(given_numbers)


def test_one_stimulus_says_nothing_of_sparseness() -> None:
    with pytest.raises(InputError, match="at least 2 stimuli; got 1"):
        lifetime_sparseness([[1.0, 2.0]])


@pytest.mark.parametrize("p", [[0.5, 0.6], [0, 0], [[1, 0], [3, 2]]])
def test_what_does_not_sum_to_one_is_no_probability(p: Any) -> None:
    with pytest.raises(InputError, match="sum to 1 over the classes, the last axis; got sums from"):
        effective_classes(p)
