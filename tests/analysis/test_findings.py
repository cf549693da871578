import numpy as np
import pytest

from mango.analysis.findings import differing, number, picture


def test_an_image_is_drawn_as_it_is():
    stimulus = np.arange(3 * 4 * 5).reshape(3, 4, 5) / 255
    assert (picture(stimulus) == (stimulus * 255).round().transpose(1, 2, 0)).all()
    assert (picture(stimulus[:1])[:, :, 2] == (stimulus[0] * 255).round()).all()


def test_a_vector_is_laid_out_on_a_map():
    pixels = picture(np.array([3.0, -1.0, 0.0, 2.0, 1.0]))
    assert pixels.shape == (2, 3, 3)
    brightness = pixels.astype(int).sum(-1).ravel()
    assert brightness[:5].argmax() == 0
    assert brightness[:5].argmin() == 1
    assert picture(np.full((2, 2), 7.0)).shape == (2, 2, 3)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.71875, "0.719"), (0.0, "0"), (-1.5, "\u22121.500"), (0.03125, "0.0312"), (12345.6, "12,346"), (None, "\u2013")],
)
def test_numbers_are_short(value, text):
    assert number(value) == text


@pytest.mark.parametrize(
    ("values", "expected"), [([0, 0, np.nan], False), ([np.nan], False), ([0, 1], True), ([1.0], False), ([], False)]
)
def test_only_differing_values_are_a_response(values, expected):
    assert differing(np.array(values, float)) is expected
