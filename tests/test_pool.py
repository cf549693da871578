"""Pooled means and errors are those of all presentations, and leaders are shown again where it helps."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mango.pool import PRIOR, Pool

NAN = math.nan
trials = st.lists(
    st.tuples(st.integers(0, 4), st.lists(st.floats(-100, 100), min_size=1, max_size=3)), min_size=1, max_size=20
)


def _code(number: int) -> Any:
    return np.array([number, 0])


@given(trials)
def test_means_and_errors_are_those_of_all_presentations(told: Any) -> None:
    pool, answers = Pool(), dict[int, list[float]]()
    for number, (code, values) in enumerate(told):
        pool.add(number, _code(code), values, NAN)
        answers.setdefault(code, []).extend(values)
    freedom = sum(len(values) - 1 for values in answers.values())
    squares = {code: len(values) * np.var(values) for code, values in answers.items()}
    level = sum(squares.values()) / freedom if freedom else NAN
    assert pool.level == pytest.approx(level, rel=1e-9, abs=1e-9, nan_ok=True)
    codes = list(answers)
    means, _, errors = pool.told([_code(code) for code in codes])
    for code, mean, error in zip(codes, means, errors, strict=True):
        n = len(answers[code])
        assert mean == pytest.approx(np.mean(answers[code]), rel=1e-9, abs=1e-9)
        expected = math.sqrt((PRIOR * level + squares[code]) / (PRIOR + n - 1) / n)
        assert error == pytest.approx(expected, rel=1e-6, abs=1e-6, nan_ok=True)


@given(st.floats(-1e9, 1e9), st.integers(1, 9))
def test_equal_answers_have_exactly_their_value_and_no_noise(value: float, n: int) -> None:
    pool = Pool()
    pool.add(0, _code(0), [value] * n, 1.0)
    pool.add(1, _code(0), [value], 1.0)
    means, keys, errors = pool.told([_code(0)])
    assert (means[0], keys[0], errors[0]) == (value, 1.0, 0.0)


def test_while_nothing_is_known_of_the_noise_the_highest_values_are_shown_again_each_once() -> None:
    pool = Pool()
    assert pool.choose(3, 1, []) == []
    for number, value in enumerate([1.0, 5.0, 3.0, 5.0]):
        pool.add(number, _code(number), [value], NAN)
    assert math.isnan(pool.level)
    assert pool.choose(3, 1, []) == [1, 3, 2]
    assert pool.choose(2, 1, [_code(1)]) == [3, 2]


def test_a_lucky_draw_is_shown_again_until_it_is_known_to_be_one() -> None:
    rng, pool = np.random.default_rng(1), Pool()
    true = rng.normal(0.0, 1.0, 200)
    true[7] = 4.0  # clearly the best
    for number, value in enumerate(true):
        pool.add(number, _code(number), [value + rng.normal()], NAN)
    shown = []
    for number in range(200, 260):
        (chosen,) = pool.choose(1, 1, [])
        shown.append(chosen)
        pool.add(number, _code(chosen), [true[chosen] + rng.normal()], NAN)
    assert pool.leading(1) == [7]
    assert 10 <= shown.count(7) <= 40
    top = set(np.argsort(-true)[:20].tolist())
    assert np.mean([chosen in top for chosen in shown]) > 0.6


def test_showings_under_way_send_the_others_elsewhere() -> None:
    pool = Pool()
    for number, value in enumerate([4.0, 3.9, 0.0, 0.1]):
        pool.add(number, _code(number), [value - 1.0, value + 1.0], NAN)
    assert pool.choose(1, 1, []) == [0]
    assert pool.choose(1, 1, [_code(0)]) == [1]
    assert pool.choose(4, 2, []) == [0, 1, 0, 1]
