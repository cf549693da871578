"""When a generation closes, and which answers count."""

from __future__ import annotations

import numpy as np

from mango.optimizers.base import Learned
from mango.optimizers.generation import Generation, shared_weights


def answers(ids: list[int], values: list[float]) -> Learned:
    nothing = np.full(len(ids), np.nan)
    return Learned(np.array(ids), np.array(ids, np.float64)[:, None], np.array(values), nothing, nothing)


def generation() -> Generation:
    gathered = Generation(1)
    gathered.drawn_from(0, np.zeros(1), 1.0)
    return gathered


def test_closes_with_enough_answers_and_no_more_open() -> None:
    gathered = generation()
    gathered.add(answers([0, 1, 2], [1.0, np.nan, 3.0]))
    assert not gathered.complete(3, [])
    assert gathered.complete(2, [3, 4])
    assert not gathered.complete(2, [3, 4, 5])
    assert gathered.close().ids.tolist() == [0, 2]
    assert not gathered.complete(1, [])


def test_the_last_distribution_counts_and_older_ones_do_not() -> None:
    gathered = generation()
    gathered.drawn_from(10, np.ones(1), 2.0)
    gathered.drawn_from(20, 2 * np.ones(1), 3.0)
    gathered.add(answers([5, 12, 25], [1.0, 1.0, 1.0]))
    ids = gathered.close().ids
    assert ids.tolist() == [12, 25]
    centers, scales = gathered.origins(ids)
    assert centers.tolist() == [[1.0], [2.0]]
    assert scales.tolist() == [[2.0], [3.0]]
    assert gathered.complete(0, [5])  # a trial so old holds nothing up


def test_a_distribution_that_nothing_was_drawn_from_is_not_kept() -> None:
    gathered = generation()
    gathered.drawn_from(10, np.ones(1), 2.0)
    gathered.drawn_from(10, 2 * np.ones(1), 3.0)
    centers, _ = gathered.origins(np.array([3, 10]))
    assert centers.tolist() == [[0.0], [2.0]]


def test_equal_answers_share_weights() -> None:
    keys = np.array([np.nan, 1.0, 2.0, np.nan, np.nan])
    weights = shared_weights(np.array([0.0, 5.0, 5.0, 0.0, 7.0]), keys, np.array([8.0, 4.0, 2.0, 1.0, 0.0]))
    np.testing.assert_array_equal(weights, [0.5, 2.0, 4.0, 0.5, 8.0])
    assert shared_weights(np.zeros(3), np.full(3, np.nan), np.ones(3)) is None
