"""A series is drawn as a curve from its lowest to its highest point."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mango.analysis.curve import ROOM, SIDE, WIDTH, curve
from mango.analysis.findings import picture


def dark(pixels: np.ndarray) -> np.ndarray:
    return np.asarray(pixels[..., 0] < 100)


def test_a_straight_line() -> None:
    ink = dark(curve(np.linspace(0, 1, 50)))
    rows, columns = np.nonzero(ink)
    assert abs(np.corrcoef(rows, columns)[0, 1] + 1) < 1e-3  # upwards to the right
    assert rows.min() < ROOM + WIDTH
    assert rows.max() > SIDE - ROOM - WIDTH
    assert np.ptp(columns) > SIDE - 2 * ROOM - WIDTH


def test_zero_is_a_grey_line_where_the_series_passes_it() -> None:
    def grey(series: np.ndarray) -> list[int]:
        border = curve(series)[:, 2].astype(int).max(1)  # left of the curve
        return np.flatnonzero(border < 240).tolist()

    (*_, line) = grey(np.linspace(-1, 3, 50))
    assert abs(line - (SIDE - ROOM - (SIDE - 2 * ROOM) / 4)) < 3
    assert not grey(np.linspace(1, 3, 50))


def test_a_series_that_never_changes_lies_in_the_middle() -> None:
    rows, _ = np.nonzero(dark(curve(np.full(20, 7.0))))
    assert abs(rows.mean() - SIDE / 2) < 3


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=40))
def test_any_series_stays_inside(values: list[float]) -> None:
    pixels = picture(np.array([values]))
    assert pixels.shape == (SIDE, SIDE, 3)
    rows, columns = np.nonzero(dark(pixels))
    assert len(rows)
    assert min(rows.min(), columns.min(), SIDE - 1 - rows.max(), SIDE - 1 - columns.max()) >= ROOM - WIDTH - 1


def test_other_numbers_are_a_map() -> None:
    assert picture(np.arange(9.0)).shape == (3, 3, 3)
    assert picture(np.ones((1, 1))).shape == (1, 1, 3)
    assert picture(np.ones((2, 8))).shape == (4, 4, 3)
