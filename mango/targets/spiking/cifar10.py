"""Units of the zoo's spiking classifier as targets: ``snn-cifar10:LAYER/UNIT@READOUT``.

Layers are ``lif1 lif2 lif3 output``. A unit of a convolutional layer is a channel, averaged over space; three numbers
name one neuron, ``lif2/17,3,4`` (channel, row, column). Units of the output may be given as class names.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from mango import zoo
from mango.datasets import CIFAR10_CLASSES
from mango.errors import InputError
from mango.targets.spiking.network import Index, SpikingNetwork
from mango.targets.spiking.preprocess import Preprocess
from mango.targets.spiking.target import SpikingTarget, parse_place

MODEL = "snn-cifar10"
STEPS = 32
PREPROCESS = Preprocess(mean=(0.4914, 0.4822, 0.4465), std=(0.2470, 0.2435, 0.2616))  # of CIFAR-10's training pixels
LAYERS = {"lif1": (64, 16, 16), "lif2": (128, 8, 8), "lif3": (256, 4, 4), "output": (10,)}
NAMES = {"output": CIFAR10_CLASSES}
_SUMMARY = ("natural_maximum", "natural_p999", "natural_median", "silent_share")


class Cifar10Unit(SpikingTarget):
    """A unit of the zoo's network; images ``(n, 3, 32, 32)`` in [0, 1] in, values ``(n,)`` out."""

    def __init__(self, layer: str, unit: Index, readout: str, folder: Path = zoo.FOLDER) -> None:
        super().__init__(network(folder), layer, unit, readout)
        place = CIFAR10_CLASSES[unit[0]] if layer == "output" and unit and unit[0] is not None else ""
        self.name = f"{MODEL}:{layer}/{place}@{readout}" if place else f"{MODEL}:{self.name}"
        self._folder = folder

    @property
    def summary(self) -> dict[str, float]:
        """What the 10,000 test images do to the unit: maximum, 99.9th percentile, median, share without any spike.

        Empty for a place or a whole layer, of which nothing was recorded.
        """
        if len(self.unit) not in (1, len(LAYERS[self.layer])) or None in self.unit:
            return {}
        kind = "channel" if len(self.unit) == 1 else "neuron"
        readout, scale = ("rate", STEPS) if self.readout == "count" else (self.readout, 1)
        table = zoo.nature(MODEL, self._folder)[f"{self.layer}.{kind}.{readout}"]
        figures = {name: float(column[self.unit]) for name, column in zip(_SUMMARY, table, strict=True)}
        return {name: figure if name == "silent_share" else scale * figure for name, figure in figures.items()}


def make_spiking(_family: str, detail: str) -> SpikingTarget:
    """From ``"LAYER/UNIT"`` or ``"LAYER/UNIT@READOUT"``.

    Raises:
        UnknownName: no such layer, class or read-out.
        InputError: a unit out of range, or no unit at all.
    """
    layer, unit, readout = parse_place(detail, NAMES)
    if layer in LAYERS and not unit:
        raise InputError(
            f"{MODEL}:{detail}: expected a unit from 0 to {LAYERS[layer][0] - 1}, or * for the whole layer"
        )
    return Cifar10Unit(layer, unit, readout)


def units_of_note(folder: Path = zoo.FOLDER) -> dict[str, dict[str, Any]]:
    """Per layer: ``units``, and which of them are ``silent`` (no test image makes them spike) or ``saturated``.

    A saturated unit spikes at every step for some natural image already: no stimulus can excite it more.
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


def evaluated(model: nn.Module, device: str | torch.device = "cpu") -> SpikingNetwork:
    """A network of this kind, evaluated as the zoo's is."""
    return SpikingNetwork(
        model.to(memory_format=torch.channels_last),  # type: ignore[call-overload]
        steps=STEPS,
        preprocess=PREPROCESS,
        device=device,
    )


@cache
def network(folder: Path = zoo.FOLDER) -> SpikingNetwork:
    """The zoo's network."""
    return evaluated(zoo.load(MODEL, folder))
