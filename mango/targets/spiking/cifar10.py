"""Units of the zoo's spiking classifier as targets: ``snn-cifar10:LAYER/UNIT@READOUT``.

Layers are ``lif1 lif2 lif3 output``. A unit of a convolutional layer is a channel, averaged over space; three numbers
name one neuron, ``lif2/17,3,4`` (channel, row, column). Units of the output may be given as class names.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import torch
from torch import nn

from mango import zoo
from mango.datasets import CIFAR10_CLASSES
from mango.errors import InputError
from mango.targets.spiking import nature
from mango.targets.spiking.nature import LAYERS, MODEL, STEPS
from mango.targets.spiking.network import Index, SpikingNetwork
from mango.targets.spiking.preprocess import Preprocess
from mango.targets.spiking.target import SpikingTarget, parse_place

PREPROCESS = Preprocess(mean=(0.4914, 0.4822, 0.4465), std=(0.2470, 0.2435, 0.2616))  # of CIFAR-10's training pixels
NAMES = {"output": CIFAR10_CLASSES}


class Cifar10Unit(SpikingTarget):
    """A unit of the zoo's network; images ``(n, 3, 32, 32)`` in [0, 1] in, values ``(n,)`` out."""

    def __init__(self, layer: str, unit: Index, readout: str, folder: Path = zoo.FOLDER) -> None:
        super().__init__(network(folder), layer, unit, readout)
        place = CIFAR10_CLASSES[unit[0]] if layer == "output" and unit and unit[0] is not None else ""
        self.name = f"{MODEL}:{layer}/{place}@{readout}" if place else f"{MODEL}:{self.name}"
        self._folder = folder

    @property
    def summary(self) -> dict[str, float]:
        """What the 10,000 test images do to the unit; see `nature.summary`."""
        return nature.summary(self.layer, self.unit, self.readout, self._folder)


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
