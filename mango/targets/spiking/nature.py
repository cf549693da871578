"""What natural images do to the units of the zoo's spiking classifier, read from the zoo without the network itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from mango import zoo

MODEL = "snn-cifar10"
STEPS = 32
LAYERS = {"lif1": (64, 16, 16), "lif2": (128, 8, 8), "lif3": (256, 4, 4), "output": (10,)}
_SUMMARY = ("natural_maximum", "natural_p999", "natural_median", "silent_share")


def summary(layer: str, unit: tuple[int | None, ...], readout: str, folder: Path = zoo.FOLDER) -> dict[str, float]:
    """What the 10,000 test images do to a unit: maximum, 99.9th percentile, median, share without any spike.

    Empty for a place or a whole layer, of which nothing was recorded.

    Raises:
        WeightsError: the zoo's file is missing, damaged, or not the one of its card.
    """
    if len(unit) not in (1, len(LAYERS[layer])) or None in unit:
        return {}
    kind = "channel" if len(unit) == 1 else "neuron"
    kept, scale = ("rate", STEPS) if readout == "count" else (readout, 1)
    table = zoo.nature(MODEL, folder)[f"{layer}.{kind}.{kept}"]
    figures = {name: float(column[unit]) for name, column in zip(_SUMMARY, table, strict=True)}
    return {name: figure if name == "silent_share" else scale * figure for name, figure in figures.items()}


def units_of_note(folder: Path = zoo.FOLDER) -> dict[str, dict[str, Any]]:
    """Per layer: ``units``, and which of them are ``silent`` (no test image makes them spike) or ``saturated``.

    A saturated unit spikes at every step for some natural image already: no stimulus can excite it more.

    Raises:
        WeightsError: the zoo's file is missing, damaged, or not the one of its card.
    """
    nature = zoo.nature(MODEL, folder)
    notes = {}
    for layer, shape in LAYERS.items():
        maximum = nature[f"{layer}.channel.rate"][0]
        notes[layer] = {
            "units": shape[0],
            "silent": np.flatnonzero(maximum == 0).tolist(),
            "saturated": np.flatnonzero(maximum >= 1).tolist(),
        }
    return notes
