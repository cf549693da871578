"""Pictures of models: every stimulus where it belongs, every curve in its panel."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from mango.analysis.gallery import ACROSS, GAP, HEADING, MARGIN, SIDE, TOP, answers_png, gallery_png


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def test_stimuli_lie_in_lines_of_ten_under_their_headings() -> None:
    colours = np.random.default_rng(0).integers(0, 256, (ACROSS + 3, 3))
    stimuli = [np.broadcast_to(colour[:, None, None] / 255, (3, 4, 4)) for colour in colours]
    drawn = pixels(gallery_png("title", {"first": stimuli, "second": stimuli[:1]}))
    step = SIDE + GAP
    for i, colour in enumerate(colours):
        x, y = MARGIN + i % ACROSS * step + SIDE // 2, TOP + HEADING + i // ACROSS * step + SIDE // 2
        assert np.array_equal(drawn[y, x], colour)
    second = TOP + 2 * HEADING + 2 * step + SIDE // 2
    assert np.array_equal(drawn[second, MARGIN + SIDE // 2], colours[0])
    assert drawn.shape[:2] == (TOP + 2 * HEADING + 3 * step + MARGIN, 2 * MARGIN + ACROSS * step - GAP)


@pytest.mark.parametrize("layers", [1, 3, 7])
def test_answers_have_a_panel_for_each_layer(layers: int) -> None:
    rng = np.random.default_rng(0)
    tables = {f"lif{i}": rng.random((4, 5 + i)) for i in range(layers)}
    drawn = pixels(answers_png("title", tables))
    assert drawn.shape[0] > 200 * (1 + (layers - 1) // 3)
    orange = (np.abs(drawn.astype(int) - (0xB8, 0x4A, 0x00)).max(2) < 8).sum()
    assert orange > 100 * layers


def test_answers_are_in_the_order_of_their_maximum() -> None:
    table = np.array([[1.0, 3, 2], [1, 2, 1], [0, 1, 0]])
    assert answers_png("title", {"lif1": table}) == answers_png("title", {"lif1": table[:, [1, 2, 0]]})
    assert answers_png("title", {"lif1": table}) != answers_png(
        "title", {"lif1": table[:, [1, 2, 0]] + [[1], [0], [0]]}
    )
