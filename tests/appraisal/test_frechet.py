"""The Frechet distance against its closed form, and its features."""

from __future__ import annotations

import numpy as np
import pytest

from mango.appraisal import frechet
from mango.errors import InputError


def rows(mean: float, deviations: list[float], n: int = 400, seed: int = 0) -> np.ndarray:
    """Features whose mean and covariance are exactly these."""
    drawn = np.random.default_rng(seed).standard_normal((n, len(deviations)))
    drawn -= drawn.mean(0)
    white = drawn @ np.linalg.inv(np.linalg.cholesky(np.cov(drawn, rowvar=False))).T
    return white * deviations + mean


def test_diagonal_covariances_have_a_closed_form() -> None:
    ours, theirs = rows(1.0, [1.0, 2.0, 0.5]), rows(-0.5, [3.0, 1.0, 0.5], seed=1)
    expected = 3 * 1.5**2 + (1 - 3) ** 2 + (2 - 1) ** 2
    assert frechet.distance(ours, theirs) == pytest.approx(expected)
    assert frechet.distance(theirs, ours) == pytest.approx(expected)


def test_a_rotation_of_both_changes_nothing() -> None:
    ours, theirs = rows(0.0, [1.0, 2.0, 4.0]), rows(1.0, [2.0, 1.0, 1.0], seed=1)
    turn = np.linalg.qr(np.random.default_rng(2).standard_normal((3, 3)))[0]
    assert frechet.distance(ours @ turn, theirs @ turn) == pytest.approx(frechet.distance(ours, theirs))


def test_the_same_has_no_distance_even_where_images_are_few() -> None:
    few = np.random.default_rng(0).standard_normal((5, 20))
    assert frechet.distance(few, few) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(("ours", "theirs"), [((9, 3), (9, 4)), ((1, 3), (9, 3)), ((9,), (9,))])
def test_wrong_shapes_are_refused(ours: tuple[int, ...], theirs: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="two or more images"):
        frechet.distance(np.zeros(ours), np.zeros(theirs))


def test_noise_lies_farther_from_flat_images_than_they_do_from_one_another() -> None:
    rng = np.random.default_rng(0)
    flat = np.broadcast_to(rng.random((60, 3, 1, 1), np.float32), (60, 3, 32, 32))
    one, other, noise = (frechet.features(x) for x in (flat[:30], flat[30:], rng.random((30, 3, 32, 32), np.float32)))
    assert one.shape == (30, 192)
    assert frechet.distance(noise, other) > 2 * frechet.distance(one, other)
