import numpy as np

from mango.analysis.evolution import BAND, MOST, SIDE, evolution_gif
from mango.analysis.findings import Findings, Shown, picture
from tests.analysis.examples import example, opened


def test_the_animation_shows_each_step_and_ends_with_the_best():
    findings = example()
    image = opened(evolution_gif(findings))
    assert image.size == (SIDE, SIDE + BAND)
    assert image.n_frames == len(findings.steps)
    image.seek(image.n_frames - 1)
    last = np.asarray(image.convert("RGB"), int)[24:SIDE:48, 24::48]
    assert np.abs(last - picture(findings.found[0].stimulus)).max() < 24  # the palette of a GIF
    assert image.info["duration"] > 1000


def test_a_long_way_is_shortened():
    values = np.arange(200.0)
    stimuli = list(np.random.default_rng(0).random((200, 3, 2, 2)))
    findings = Findings("u", values, [Shown(stimuli[-1], 199.0)], range(200), stimuli)
    assert opened(evolution_gif(findings)).n_frames == MOST
