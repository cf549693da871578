"""Units of the zoo's spiking classifiers as targets: ``NETWORK:LAYER/UNIT@READOUT``.

Of some networks the zoo has kept states of the training: ``NETWORK:after=300:LAYER/UNIT@READOUT``, 300 iterations.

Networks and their layers are those of `mango.targets.spiking.nature`. A unit of a convolutional layer is a channel,
averaged over space; three numbers name one neuron, ``lif2/17,3,4`` (channel, row, column). Units of the output may be
given as class names.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mango import zoo
from mango.datasets import CIFAR10_CLASSES
from mango.errors import InputError
from mango.targets.places import Index, parse_place
from mango.targets.preprocess import PREPROCESS
from mango.targets.spiking import nature
from mango.targets.spiking.nature import NETWORKS
from mango.targets.spiking.network import SpikingNetwork
from mango.targets.spiking.target import SpikingTarget

AFTER = "after="  # so many iterations of the training
NAMES = {"output": CIFAR10_CLASSES}


class Cifar10Unit(SpikingTarget):
    """A unit of one of the zoo's networks; images ``(n, 3, 32, 32)`` in [0, 1] in, values ``(n,)`` out."""

    def __init__(
        self,
        model: str,
        layer: str,
        unit: Index,
        readout: str,
        folder: Path = zoo.FOLDER,
        after: int | None = None,
    ) -> None:
        super().__init__(network(model, folder, after), layer, unit, readout)
        place = CIFAR10_CLASSES[unit[0]] if layer == "output" and unit and unit[0] is not None else ""
        moment = "" if after is None else f"{AFTER}{after}:"
        self.name = f"{model}:{moment}" + (f"{layer}/{place}@{readout}" if place else self.name)
        self._model, self._folder, self._after = model, folder, after

    @property
    def summary(self) -> dict[str, float]:
        """What the 10,000 test images do to the unit; see `nature.summary`. Empty but for the trained network."""
        if self._after is not None:
            return {}
        return nature.summary(self._model, self.layer, self.unit, self.readout, self._folder)


def make_spiking(model: str, detail: str) -> SpikingTarget:
    """From the network's name in `NETWORKS` and ``"LAYER/UNIT"``, ``"LAYER/UNIT@READOUT"`` or ``"after=N:LAYER/UNIT"``.

    Raises:
        UnknownName: no such layer, class or read-out.
        InputError: a unit out of range, or no unit at all; a moment of which the zoo holds no state.
        OptionError: the network's package is not installed.
    """
    after = None
    if detail.startswith(AFTER):
        moment, _, detail = detail.removeprefix(AFTER).partition(":")
        if not moment.isdigit():
            raise InputError(f"{model}:{AFTER}{moment}: expected a number of iterations, as in {model}:{AFTER}0:...")
        after = int(moment)
    layer, unit, readout = parse_place(detail, NAMES)
    layers = NETWORKS[model].layers
    if layer in layers and not unit:
        raise InputError(
            f"{model}:{detail}: expected a unit from 0 to {layers[layer][0] - 1}, or * for the whole layer"
        )
    return Cifar10Unit(model, layer, unit, readout, after=after)


def evaluated(model: nn.Module, device: str | torch.device = "cpu") -> SpikingNetwork:
    """A network of this kind, one that says its ``steps``, evaluated as the zoo's are."""
    steps: Any = model.steps
    return SpikingNetwork(
        model.to(memory_format=torch.channels_last),  # type: ignore[call-overload]
        steps=steps,
        preprocess=PREPROCESS,
        device=device,
    )


@cache
def network(model: str, folder: Path = zoo.FOLDER, after: int | None = None) -> SpikingNetwork:
    """One of the zoo's networks, trained or as it was after some iterations."""
    return evaluated(zoo.load(model, folder, after))
