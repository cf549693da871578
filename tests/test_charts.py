"""Charts lead to codes of their space, back by a projection, and are sorted by energy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mango.charts import REACH, Chart, frequencies, make_chart, principal
from mango.errors import InputError, UnknownName
from mango.space import SearchSpace

RNG = np.random.default_rng(1)
EMBEDDING = RNG.normal(size=(12, 3)) * [3.0, 2.0, 1.0]
MAP = SearchSpace.codebook(20, 12, EMBEDDING, layout=(4, 5))
NATURAL = MAP.sample(200, RNG)
BOX = SearchSpace(-3 * np.ones(12), 3 * np.ones(12), np.zeros(12), np.ones(12), layout=(3, 4))
NORMAL = SearchSpace(-3 * np.ones(12), 3 * np.ones(12), np.zeros(12), np.ones(12), "normal", layout=(3, 4))
GRID = SearchSpace(np.zeros(12), 6 * np.ones(12), 7 * np.ones(12), np.ones(12), layout=(3, 4))

CHARTS = {
    "map by frequencies": (MAP, frequencies(MAP, 17)),
    "map by components": (MAP, principal(MAP, NATURAL, 9)),
    "box by frequencies": (BOX, frequencies(BOX, 5)),
    "normal by frequencies": (NORMAL, frequencies(NORMAL, 12)),
    "grid by components": (GRID, principal(GRID, GRID.sample(50, RNG), 4)),
}


@pytest.mark.parametrize("name", CHARTS)
def test_coordinates_lead_to_codes_and_codes_to_coordinates(name: str) -> None:
    space, chart = CHARTS[name]
    assert chart.space.is_box
    assert chart.space.prior == "normal"
    coordinates = chart.space.sample(30, np.random.default_rng(0))
    codes = chart.to_codes(coordinates)
    np.testing.assert_array_equal(space.validate(codes), codes)
    back = chart.to_coordinates(codes)
    assert back.shape == coordinates.shape
    np.testing.assert_array_equal(chart.space.validate(back), back)
    np.testing.assert_array_equal(codes, chart.to_codes(coordinates))


@given(st.integers(0, 2**32))
def test_a_whole_chart_of_a_box_loses_nothing_within_reach(seed: int) -> None:
    chart = frequencies(NORMAL, 12)
    codes = np.clip(0.2 * NORMAL.sample(5, np.random.default_rng(seed)), -3, 3)
    coordinates = chart.to_coordinates(codes)
    inside = (np.abs(coordinates) < REACH).all(1)
    np.testing.assert_allclose(chart.to_codes(coordinates)[inside], codes[inside], atol=1e-9)


def test_a_whole_chart_of_a_code_book_finds_the_labels_again() -> None:
    natural = MAP.sample(400, np.random.default_rng(2))
    chart = principal(MAP, natural, 60)
    codes = natural[:50]
    coordinates = chart.to_coordinates(codes)
    inside = (np.abs(coordinates) < REACH).all(1)
    assert inside.sum() > 10
    np.testing.assert_array_equal(chart.to_codes(coordinates)[inside], codes[inside])


def test_natural_codes_spread_over_one_unit_and_the_first_axis_carries_most() -> None:
    chart = principal(MAP, NATURAL, 10)
    coordinates = chart.to_coordinates(NATURAL)
    np.testing.assert_allclose(coordinates.mean(0), 0, atol=0.1)
    np.testing.assert_allclose(coordinates.std(0), 1, atol=0.1)
    shifts = []
    for axis in range(10):
        step = np.zeros((2, 10))
        step[0, axis], step[1, axis] = 2, -2
        points = EMBEDDING[chart.to_codes(step)].reshape(2, -1)
        shifts.append(np.linalg.norm(points[0] - points[1]))
    assert shifts[0] > shifts[9]


def test_low_frequencies_come_first() -> None:
    chart = frequencies(BOX, 12)
    constant = chart.to_codes(np.eye(12)[:1])[0]
    assert np.ptp(constant) == pytest.approx(0, abs=1e-12)
    assert constant[0] > 0
    change = [np.linalg.norm(chart.to_codes(0.1 * np.eye(12)[[axis]])) for axis in range(12)]
    assert (np.diff(change) <= 1e-12).all()


def test_an_embedding_that_fills_fewer_dimensions_than_it_has() -> None:
    flat = np.column_stack([EMBEDDING, np.zeros(12), EMBEDDING[:, 0]])
    space = SearchSpace.codebook(20, 12, flat, layout=(4, 5))
    with pytest.raises(InputError, match="more coordinates than there are: 60"):
        frequencies(space, 61)
    chart = frequencies(space, 60)
    assert np.isfinite(chart.to_coordinates(space.sample(5, np.random.default_rng(0)))).all()


def test_charts_by_name() -> None:
    assert make_chart("frequencies:7", MAP).space.dim == 7
    assert make_chart("frequencies", SearchSpace.codebook(64, 12, EMBEDDING, (8, 8))).space.dim == 64
    assert make_chart("principal:7", MAP, NATURAL).space.dim == 7
    same: Chart = make_chart("principal:7", MAP, NATURAL)
    codes = MAP.sample(4, RNG)
    np.testing.assert_array_equal(same.to_coordinates(codes), principal(MAP, NATURAL, 7).to_coordinates(codes))


@pytest.mark.parametrize(
    ("spec", "space", "natural", "error", "message"),
    [
        ("frequencis:4", MAP, None, UnknownName, "did you mean frequencies"),
        ("frequencies:0", MAP, None, InputError, "K >= 1"),
        ("frequencies:-3", MAP, None, InputError, "K >= 1"),
        ("frequencies:many", MAP, None, InputError, "K >= 1"),
        ("frequencies:61", MAP, None, InputError, "more coordinates than there are: 60"),
        ("frequencies:3", SearchSpace.box(12), None, InputError, r"layout \(height, width\)"),
        ("frequencies:3", SearchSpace.codebook(4, 3, layout=(2, 2)), None, InputError, "embedding of the labels"),
        ("principal:3", SearchSpace.codebook(4, 3), [[0, 1, 2, 0]] * 9, InputError, "embedding of the labels"),
        ("principal:4", MAP, None, InputError, "needs natural codes"),
        ("principal:61", MAP, NATURAL, InputError, "more components than the natural codes have"),
        ("principal:5", MAP, NATURAL[:5], InputError, "give at most 4"),
        ("principal:2", MAP, NATURAL[[0] * 9], InputError, "vary in fewer than 2 directions"),
        ("principal:2", MAP, [[99] * 20], InputError, "code 0 is 99"),
    ],
)
def test_bad_charts_are_refused(
    spec: str, space: SearchSpace, natural: object, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        make_chart(spec, space, natural)  # type: ignore[arg-type]


@pytest.mark.parametrize("make", [lambda: frequencies(MAP, 0), lambda: principal(MAP, NATURAL, 0)])
def test_a_chart_has_coordinates(make: object) -> None:
    with pytest.raises(InputError, match="at least 1 coordinate"):
        make()  # type: ignore[operator]


def test_axes_of_different_ranges_have_no_frequencies() -> None:
    space = SearchSpace(np.array([0.0, -1, 0, 0]), np.ones(4), np.zeros(4), np.ones(4), layout=(2, 2))
    with pytest.raises(InputError, match="share one range"):
        frequencies(space, 2)
