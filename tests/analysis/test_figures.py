from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mango.analysis.figures import Row, best_png, convergence_png, spread, summary_png
from mango.analysis.findings import picture
from tests.analysis.examples import SILENT, example, opened


@given(st.lists(st.floats(0, 0.97), min_size=1, max_size=5))
def test_labels_never_touch_nor_leave_the_figure(places):
    moved = spread(sorted(places), 0.115, 0.97)
    assert all(b - a >= 0.115 - 1e-9 for a, b in pairwise(moved))
    assert max(moved) <= 0.97 + 1e-9


@pytest.mark.parametrize(
    ("findings", "dark"), [(example(), False), (example(natural=False), True), (example(n=4), False), (SILENT, True)]
)
def test_pictures_have_their_background(findings, dark):
    for content in (best_png(findings, dark=dark), convergence_png(findings, dark=dark, narrow=dark)):
        image = opened(content).convert("RGB")
        assert image.getpixel((2, 2)) == ((0x15, 0x18, 0x1C) if dark else (255, 255, 255))
        assert len(image.getcolors(1 << 24)) > 20


def test_stimuli_are_enlarged_without_smoothing():
    findings = example()
    image = np.asarray(opened(best_png(findings)).convert("RGB"))
    best = picture(findings.found[0].stimulus)
    large = np.repeat(np.repeat(best, 48, 0), 48, 1)
    assert (image[200 : 200 + 384, 56 : 56 + 384] == large).mean() > 0.99


def test_without_natural_stimuli_the_picture_is_narrower():
    assert opened(best_png(example(natural=False))).width < opened(best_png(example())).width


def test_summaries_hold_every_unit_and_seed():
    shown = example().found
    one = opened(summary_png([Row("a", [shown[0]], ["seed 0"], shown[1], 0.4)], "t"))
    grid = opened(summary_png([Row(f"lif2/{i}", [shown[i], None], ["0", "1"], shown[1], 0.4) for i in range(7)], "t"))
    assert grid.height > one.height
    assert grid.width > one.width


def test_a_percentile_that_is_the_maximum_has_no_line_of_its_own():
    findings = example()
    apart, same, alone = (
        convergence_png(replace(findings, nature=replace(findings.nature, p999=p999))) for p999 in (0.3, 0.499, None)
    )
    assert same == alone != apart
