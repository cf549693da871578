from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mango.analysis.findings import picture
from mango.analysis.pareto import APART, MOST, apart, naturalness_png, pareto_front
from mango.errors import InputError
from tests.analysis.examples import SILENT, example, opened

few = st.integers(0, 4).map(float)
shares = st.floats(0, 1)


@given(st.lists(st.tuples(few, few, st.booleans()), max_size=12))
def test_the_front_is_what_no_other_point_beats(points):
    values, others = (np.array([np.nan if p[2] else p[i] for p in points], float) for i in (0, 1))
    pairs = list(zip(values.tolist(), others.tolist(), strict=True))
    beaten = [any(b[0] >= a[0] and b[1] >= a[1] and b != a for b in pairs) for a in pairs]
    front = pareto_front(values, others)
    assert {pairs[i] for i in front} == {a for a, lost in zip(pairs, beaten, strict=True) if not lost and a[0] == a[0]}
    assert all(i == pairs.index(pairs[i]) for i in front), "of equal points the earliest alone"
    assert values[front].tolist() == sorted(values[front].tolist(), reverse=True)
    assert others[front].tolist() == sorted(others[front].tolist())


@given(st.lists(st.tuples(shares, shares), min_size=1, max_size=30))
def test_drawn_stimuli_lie_apart(points):
    x, y = np.array(points).T
    chosen = apart(x, y)
    assert chosen[0] == 0
    assert len(chosen) <= MOST
    places = np.array(points)[chosen]
    between = np.linalg.norm(places[:, None] - places[None], axis=2)[np.triu_indices(len(chosen), 1)]
    assert (between > APART).all()
    if np.linalg.norm(np.array(points[-1]) - points[0]) > APART:
        assert chosen[-1] == len(points) - 1
    if len(chosen) < MOST:
        rest = np.linalg.norm(np.array(points)[:, None] - places[None], axis=2).min(1)
        assert (rest <= APART).all()


@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize("findings", [example(), example(natural=False, weight=0.5), example(n=4)])
def test_the_picture_has_its_background_and_its_stimuli(findings, narrow):
    dark = opened(naturalness_png(findings, dark=True, narrow=narrow)).convert("RGB")
    light = opened(naturalness_png(findings, narrow=narrow)).convert("RGB")
    assert dark.getpixel((2, 2)) == (0x15, 0x18, 0x1C)
    assert light.getpixel((2, 2)) == (255, 255, 255)
    colours = {colour for _, colour in light.getcolors(1 << 24)}
    first, last = (picture(findings.plausibility.shown[i].stimulus).reshape(-1, 3) for i in (0, -1))
    assert all(tuple(pixel) in colours for pixel in [*first.tolist(), *last.tolist()])


def test_a_natural_maximum_above_all_that_was_found_is_in_the_picture():
    findings = example()
    for maximum in (0.5, 5.0, -5.0):
        shown = replace(findings, nature=replace(findings.nature, maximum=maximum))
        pixels = np.asarray(opened(naturalness_png(shown)).convert("RGB"))
        natural = (pixels == [0xB8, 0x4A, 0x00]).all(2)
        assert natural.sum(1).max() > 300, "the line, and not its label alone"


def test_without_a_prior_there_is_no_picture():
    for findings in (SILENT, replace(example(), plausibility=None)):
        with pytest.raises(InputError, match="without a log prior or response"):
            naturalness_png(findings)
