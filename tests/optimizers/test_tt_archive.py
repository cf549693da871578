from __future__ import annotations

import numpy as np

from mango.optimizers.tt_archive import Archive


def added(*parts: list[float], size: int = 3) -> Archive:
    archive, start = Archive(1, size), 0
    for values in parts:
        points = np.arange(start, start + len(values))[:, None]
        archive.add(points, np.array(values), np.full(len(values), np.nan))
        start += len(values)
    return archive


def test_it_keeps_the_best_in_order_and_of_equals_the_earlier() -> None:
    archive = added([1.0, 3.0, 2.0], [3.0, 0.0, 2.5])
    assert archive.values.tolist() == [3.0, 3.0, 2.5]
    assert archive.points[:, 0].tolist() == [1, 3, 5]


def test_keys_order_equal_values() -> None:
    archive = Archive(1, 2)
    archive.add(np.arange(3)[:, None], np.zeros(3), np.array([np.nan, 1.0, 2.0]))
    assert archive.points[:, 0].tolist() == [2, 1]
    assert archive.successes(1, np.zeros(3), np.array([1.0, 2.0, 3.0])).tolist() == [False, False, True]


def test_it_says_whether_there_is_a_new_best() -> None:
    archive = Archive(1, 2)
    nan = np.array([np.nan])
    assert archive.add(np.zeros((1, 1)), np.array([1.0]), nan)
    assert not archive.add(np.zeros((1, 1)), np.array([1.0]), nan)
    assert archive.add(np.zeros((1, 1)), np.array([1.5]), nan)


def test_a_success_is_better_than_the_last_elite() -> None:
    archive = added([5.0, 4.0, 3.0])
    nan = np.full(3, np.nan)
    assert archive.successes(2, np.array([3.5, 4.0, 4.5]), nan).tolist() == [False, False, True]
    assert added().successes(2, np.array([-9.0, 0, 1]), nan).all()


def test_shares_fall_with_rank_and_sum_to_one() -> None:
    shares = added([5.0, 4.0, 3.0]).shares(6)
    assert len(shares) == 3
    assert (np.diff(shares) < 0).all()
    np.testing.assert_allclose(shares.sum(), 1)


def test_a_point_told_again_has_its_newest_value() -> None:
    archive = added([5.0, 4.0, 3.0])
    archive.add(np.array([[0]]), np.array([3.5]), np.array([np.nan]))
    assert archive.values.tolist() == [4.0, 3.5, 3.0]
    assert archive.points[:, 0].tolist() == [1, 0, 2]


def test_it_returns_from_its_state() -> None:
    archive, twin = added([5.0, 4.0, 3.0]), Archive(1, 3)
    twin.restore(archive.state())
    assert twin.points.tolist() == archive.points.tolist()
    assert twin.hurdle(2) == archive.hurdle(2)
