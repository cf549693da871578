"""Findings to draw."""

import io

import numpy as np
from PIL import Image

from mango.analysis.findings import Findings, Nature, Plausibility, Shown
from mango.analysis.pareto import pareto_front
from mango.naturalness import naturalness


def example(n=60, natural=True, weight=0.0):
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
    percentiles = np.where(np.isnan(values), np.nan, 100 * rng.random(n))
    front = pareto_front(values, naturalness(percentiles))
    plausibility = Plausibility(
        percentiles,
        values,
        steps[-1],
        front,
        [Shown(stimuli[i], values[i], f"trial {i}") for i in front],
        *([rng.random(40), 100 * rng.random(40)] if natural else []),
    )
    return Findings(
        "demo:lif2/17@rate",
        values,
        found,
        steps,
        [stimuli[s] for s in steps],
        nature,
        "spikes per step",
        weight=weight,
        plausibility=plausibility,
    )


SILENT = Findings("demo:lif2/0", np.zeros(12))


def opened(content):
    image = Image.open(io.BytesIO(content))
    image.load()
    return image
