"""Findings to draw."""

import io

import numpy as np
from PIL import Image

from mango.analysis.findings import Findings, Nature, Shown


def example(n=60, natural=True):
    rng = np.random.default_rng(0)
    values = np.round(rng.random(n), 3)
    values[3] = np.nan
    stimuli = rng.random((n, 3, 8, 8))
    best = np.fmax.accumulate(values)
    steps = [0] + [i for i in range(1, n) if best[i] > best[i - 1]]
    order = np.argsort(-np.nan_to_num(values, nan=-1))[:9]
    found = [Shown(stimuli[i], values[i], f"trial {i}", {"trial": str(i), "origin": "tt"}) for i in order]
    shown = [Shown(stimuli[i % n], 0.5 - 0.01 * i, "a <b> & c") for i in range(9)] if natural else []
    nature = Nature(shown, "natural images", 0.5, 0.48, "10,000 test images") if natural else Nature()
    return Findings("demo:lif2/17@rate", values, found, steps, [stimuli[s] for s in steps], nature, "spikes per step")


SILENT = Findings("demo:lif2/0", np.zeros(12))


def opened(content):
    image = Image.open(io.BytesIO(content))
    image.load()
    return image
