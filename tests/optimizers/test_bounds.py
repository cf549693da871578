"""Mirroring at the bounds."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mango.optimizers.bounds import Unbounded, mirrored, nearest_image
from mango.space import SearchSpace

LOW, HIGH = np.array([-1.0, 0.0]), np.array([2.0, 0.1])


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=2))
def test_ends_inside_and_leaves_what_is_inside(point: list[float]) -> None:
    moved = mirrored(np.array([point]), LOW, HIGH)[0]
    assert ((moved >= LOW) & (moved <= HIGH)).all()
    inside = (point >= LOW) & (point <= HIGH)
    np.testing.assert_array_equal(moved[inside], np.array(point)[inside])


def test_reflects_once_and_twice() -> None:
    moved = mirrored(np.array([[2.5, 0.12], [-4.5, -0.02]]), LOW, HIGH)
    np.testing.assert_allclose(moved, [[1.5, 0.08], [1.5, 0.02]])


@given(st.lists(st.floats(-50, 50), min_size=2, max_size=2), st.lists(st.floats(0, 1), min_size=2, max_size=2))
def test_the_nearest_image_is_mirrored_to_the_point_and_within_half_a_period(
    center: list[float], share: list[float]
) -> None:
    point, middle = LOW + (HIGH - LOW) * share, np.array(center)
    image = nearest_image(point, middle, LOW, HIGH)
    np.testing.assert_allclose(mirrored(image[None], LOW, HIGH)[0], point, atol=1e-9)
    assert (np.abs(image - middle) <= (HIGH - LOW) * (1 + 1e-9)).all()


def test_points_beyond_a_box_stand_for_codes_inside() -> None:
    box = SearchSpace.box(2, LOW, HIGH)
    chart = Unbounded(box, None)
    codes = chart.to_codes([[2.5, -0.02], [0.3, 0.05]])
    np.testing.assert_allclose(codes, [[1.5, 0.02], [0.3, 0.05]])
    np.testing.assert_array_equal(chart.to_coordinates(codes), codes)
