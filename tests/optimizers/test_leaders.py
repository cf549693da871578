"""What is best under noise is what is expected to be, and without noise what has the highest value."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mango.optimizers.leaders import KEPT, Leaders, shrunk
from mango.optimizers.ordering import merit

NAN = math.nan
value = st.sampled_from([-1.0, 0.0, 0.5, 2.0, NAN])
answers = st.lists(st.tuples(st.integers(0, 40), value, value), min_size=1, max_size=60)


def _noted(leaders: Leaders, rows: list[tuple[int, float, float]], error: float = NAN) -> None:
    codes, values, keys = (np.array(column, float) for column in zip(*rows, strict=True))
    leaders.note(codes[:, None], values, keys, np.full(len(rows), error))


@given(answers, st.integers(1, 9))
def test_without_errors_the_best_is_the_first_of_the_highest_value_and_key(rows: Any, size: int) -> None:
    leaders = Leaders(1, np.float64)
    best: Any = None
    for first in range(0, len(rows), size):
        some = rows[first : first + size]
        _noted(leaders, some)
        for code, told, key in some:
            if not math.isnan(told) and (best is None or merit(told, key) > merit(*best[1:])):
                best = code, told, key
        found = leaders.best
        assert (found is None) == (best is None)
        if found is not None:
            assert repr((int(found.code[0]), found.expected, found.key)) == repr(best)
    assert not leaders.noisy


@given(answers, answers, st.floats(0.0, 3.0))
def test_its_state_is_whole_and_bounded(rows: Any, more: Any, error: float) -> None:
    one, other = Leaders(1, np.float64), Leaders(1, np.float64)
    _noted(one, rows, error)
    other.restore(one.state())
    _noted(one, more)
    _noted(other, more)
    assert {k: v.tobytes() for k, v in one.state().items()} == {k: v.tobytes() for k, v in other.state().items()}
    assert len(one.state()["values"]) <= KEPT


def test_a_lucky_draw_gives_way_to_a_code_that_is_known_well() -> None:
    leaders = Leaders(1, np.float64)
    rng = np.random.default_rng(0)
    values = rng.normal(0.0, 1.0, 200)
    leaders.note(np.arange(200.0)[:, None], values, np.full(200, NAN), np.full(200, 0.8))
    top = float(values.max())
    leaders.note(np.array([[500.0]]), np.array([top - 0.3]), np.array([NAN]), np.array([0.1]))
    best = leaders.best
    assert best is not None
    assert best.code.tolist() == [500.0]
    assert best.expected < top


def test_when_the_best_falls_the_next_takes_its_place_and_an_unsure_answer_changes_nothing() -> None:
    leaders = Leaders(1, np.float64)
    _noted(leaders, [(1, 5.0, NAN), (2, 4.0, NAN), (3, 1.0, NAN)])
    _noted(leaders, [(1, 2.0, NAN)])  # without an error: one answer more
    assert leaders.peak == (5.0, -math.inf)
    _noted(leaders, [(1, 2.0, NAN)], error=0.0)
    assert leaders.best is not None
    assert leaders.best.code.tolist() == [2.0]
    leaders.refine(np.array([[2.0], [9.0]]), np.array([0.0, 7.0]), np.full(2, NAN), np.full(2, 0.0))
    assert leaders.best.code.tolist() == [1.0]  # 9 is none of the leaders
    _noted(leaders, [(9, 7.0, NAN)], error=0.0)
    assert leaders.peak == (7.0, -math.inf)


@given(st.lists(st.floats(-9, 9), min_size=2, max_size=9), st.floats(0.01, 9), st.floats(0.01, 9))
def test_shrinking_keeps_the_order_of_equally_sure_values(values: Any, error: float, spread: float) -> None:
    array = np.array(values)
    found = shrunk(array, np.full(len(array), error), 1.0, spread)
    assert (np.abs(found - 1.0) <= np.abs(array - 1.0)).all()
    order = np.argsort(array)
    assert (np.diff(found[order]) >= -1e-9).all()
    np.testing.assert_allclose(shrunk(array, np.zeros(len(array)), 1.0, spread), array, rtol=1e-12, atol=1e-12)


def test_repeats_tell_of_noise_also_where_no_answer_by_itself_came_with_an_error() -> None:
    leaders = Leaders(1, np.float64)
    values = np.random.default_rng(0).normal(0.0, 1.0, 50)
    leaders.note(np.arange(50.0)[:, None], values, np.full(50, NAN), np.full(50, NAN))
    assert not leaders.noisy
    four = np.argsort(-values)[:4].astype(float)[:, None]
    leaders.refine(four, np.full(4, 1.0), np.full(4, NAN), np.array([0.3, 0.8, 0.3, 0.3]))
    assert leaders.noisy
    best = leaders.best
    assert best is not None
    assert best.code.tolist() in four.tolist(), "once shown, others are no more than lucky"
    leaders.note(np.array([[99.0]]), np.array([0.0]), np.array([NAN]), np.array([0.5]))
    assert leaders.state()["noise"].tolist() == [1.0, 0.25], "its own error is known now"
