"""Boxes in place of grids and labels."""

from __future__ import annotations

import numpy as np
import pytest

from mango.errors import InputError
from mango.optimizers.relaxed import RelaxedGrid, RelaxedLabels, relaxed
from mango.space import SearchSpace

MIXED = SearchSpace([-1.0, 0, 0], [1.0, 6, 0], [0, 7, 1], [True, True, True], prior="normal")
BOOK = SearchSpace.codebook(5, 20, np.random.default_rng(0).normal(size=(20, 3)) @ np.diag([3.0, 1.0, 0.1]))


@pytest.mark.parametrize("space", [MIXED, SearchSpace.grid(4, 5), BOOK])
def test_codes_return_from_their_coordinates(space: SearchSpace) -> None:
    chart = relaxed(space)
    codes = space.sample(50, np.random.default_rng(1))
    coordinates = chart.space.validate(chart.to_coordinates(codes))
    np.testing.assert_allclose(chart.to_codes(coordinates), codes)


@pytest.mark.parametrize("space", [MIXED, SearchSpace.grid(4, 5), BOOK])
def test_any_point_of_the_box_is_a_code(space: SearchSpace) -> None:
    chart = relaxed(space)
    corners = np.stack([chart.space.lower, chart.space.upper])
    inside = chart.space.sample(200, np.random.default_rng(2))
    space.validate(chart.to_codes(np.concatenate([corners, inside])))


def test_each_grid_point_has_an_equal_share() -> None:
    chart = RelaxedGrid(SearchSpace.grid(1, 4))
    codes = chart.to_codes(np.linspace(chart.space.lower, chart.space.upper, 4001))
    assert np.ptp(np.bincount(codes[:, 0])) <= 2


def test_labels_have_unit_spread_and_go_to_the_nearest() -> None:
    chart = RelaxedLabels(BOOK)
    places = chart.to_coordinates(np.arange(20).reshape(4, 5)).reshape(20, 3)
    np.testing.assert_allclose(places.std(0), 1)
    points = chart.space.sample(30, np.random.default_rng(3))
    spread = np.linalg.svd(BOOK.embedding - BOOK.embedding.mean(0), compute_uv=False) / np.sqrt(20)
    distance = np.linalg.norm((points.reshape(30, 5, 1, 3) - places) * spread, axis=-1)
    np.testing.assert_array_equal(chart.to_codes(points), distance.argmin(-1))


def test_labels_without_a_place_have_no_box() -> None:
    assert relaxed(SearchSpace.codebook(3, 4)) is None
    with pytest.raises(InputError, match="embedding"):
        RelaxedLabels(SearchSpace.codebook(3, 4))
