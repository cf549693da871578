"""Sequential halving: every trial is spent, each round halves, the last shows one code alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mango.halving import entrants, rounds_of, showings, survivors


@pytest.mark.parametrize(("trials", "codes"), [(1, 1), (7, 1), (8, 2), (23, 2), (24, 4), (64, 8), (100, 8), (160, 16)])
def test_as_many_enter_as_can_be_shown_twice_in_the_first_round(trials: int, codes: int) -> None:
    assert entrants(trials) == codes


@given(st.integers(1, 500), st.integers(1, 40), st.integers(0, 9))
def test_all_trials_are_spent_and_the_last_round_is_the_winners(trials: int, known: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    codes, left, rounds = list(range(known))[: entrants(trials)], trials, 0
    first = len(codes)
    while left:
        shown = showings(codes, left)
        counts = [shown.count(code) for code in codes]
        assert max(counts) == min(counts) >= min(2, trials)
        assert shown[: len(codes)] == codes
        left -= len(shown)
        rounds += 1
        if len(codes) == 1:
            break
        codes = survivors(codes, rng.normal(size=len(codes)))
    assert left == 0
    assert len(codes) == 1
    assert rounds == rounds_of(first)


def test_the_better_half_goes_on_equal_ones_in_order_and_lost_ones_last() -> None:
    assert survivors([7, 3, 5, 4], np.array([1.0, 2.0, 2.0, np.nan])) == [3, 5]
    assert survivors([7, 3, 5], np.array([np.nan, np.nan, 0.0])) == [5, 7]
