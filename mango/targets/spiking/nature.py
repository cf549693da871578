"""What natural images do to units of the zoo's spiking classifiers, read from the zoo without the networks."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from mango import zoo
from mango.targets import SUMMARY


@dataclass(frozen=True)
class Shape:
    """Of a network.

    Attributes:
        steps: T.
        layers: of neurons, from the image on; name -> ``(channels, height, width)`` or ``(features,)``.
    """

    steps: int
    layers: dict[str, tuple[int, ...]]


def _residual(width: int, side: int) -> dict[str, tuple[int, ...]]:
    """Layers of a ResNet-18: a stem, four stages of two blocks of two layers, ten classes."""
    shapes = {
        f"layer{stage + 1}.{block}.sn{place}": (width << stage, side >> stage, side >> stage)
        for stage, block, place in product(range(4), (0, 1), (1, 2))
    }
    return {"sn1": (width, side, side), **shapes, "output": (10,)}


NETWORKS = {
    "snn-cifar10": Shape(32, {"lif1": (64, 16, 16), "lif2": (128, 8, 8), "lif3": (256, 4, 4), "output": (10,)}),
    "snn-t128-cifar10": Shape(128, {"lif1": (200, 14, 14), "lif2": (64, 5, 5), "lif3": (100,), "output": (10,)}),
    "snn-resnet-cifar10": Shape(4, _residual(12, 32)),
}


def summary(
    network: str, layer: str, unit: tuple[int | None, ...], readout: str, folder: Path = zoo.FOLDER
) -> dict[str, float]:
    """What the 10,000 test images do to a unit: maximum, 99.9th percentile, median, share without any spike.

    Empty for what nothing was recorded of: a place, a whole layer, a neuron of a very large one.

    Raises:
        WeightsError: the zoo's file is missing, damaged, or not the one of its card.
    """
    shape = NETWORKS[network]
    if len(unit) not in (1, len(shape.layers[layer])) or None in unit:
        return {}
    kind = "channel" if len(unit) == 1 else "neuron"
    kept, scale = ("rate", shape.steps) if readout == "count" else (readout, 1)
    table = zoo.nature(network, folder).get(f"{layer}.{kind}.{kept}")
    if table is None:
        return {}
    figures = {name: float(column[unit]) for name, column in zip(SUMMARY, table, strict=True)}
    return {name: figure if name == "silent_share" else scale * figure for name, figure in figures.items()}


def units_of_note(network: str, folder: Path = zoo.FOLDER) -> dict[str, dict[str, Any]]:
    """Per layer: ``units``, and which of them are ``silent`` (no test image makes them spike) or ``saturated``.

    A saturated unit spikes at every step for some natural image already: no stimulus can excite it more.

    Raises:
        WeightsError: the zoo's file is missing, damaged, or not the one of its card.
    """
    nature = zoo.nature(network, folder)
    notes = {}
    for layer, shape in NETWORKS[network].layers.items():
        maximum = nature[f"{layer}.channel.rate"][0]
        notes[layer] = {
            "units": shape[0],
            "silent": np.flatnonzero(maximum == 0).tolist(),
            "saturated": np.flatnonzero(maximum >= 1).tolist(),
        }
    return notes
