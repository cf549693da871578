"""Units of the zoo's spiking classifier as targets: ``snn-cifar10:LAYER/UNIT@READOUT``.

Layers are ``lif1 lif2 lif3 output``. A unit of a convolutional layer is a channel, averaged over space; three numbers
name one neuron, ``lif2/17,3,4`` (channel, row, column). Units of the output may be given as class names.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mango import zoo
from mango.datasets import CIFAR10_CLASSES
from mango.errors import InputError, TargetError, UnknownName
from mango.networks.spiking import SpikingConvNet, integrate

MODEL = "snn-cifar10"
STEPS = 32
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)  # of CIFAR-10's training pixels, per colour
LAYERS = {"lif1": (64, 16, 16), "lif2": (128, 8, 8), "lif3": (256, 4, 4), "output": (10,)}
READOUTS = {
    "rate": "spikes per step",
    "current": "mean input current",
    "membrane": "mean membrane potential without reset",
    "latency": "minus the step of the first spike; -(T + 1) where there is none",
}
BATCH = 10  # images at once: what keeps the activations in the processor's cache
_SUMMARY = ("natural_maximum", "natural_p999", "natural_median", "silent_share")


@dataclass(frozen=True)
class Unit:
    """Where to read and what: a layer, ``(channel,)`` or ``(channel, row, column)``, and a read-out."""

    layer: str
    index: tuple[int, ...]
    readout: str


class SpikingTarget:
    """One unit of the network; images ``(n, 3, 32, 32)`` in [0, 1] in, values ``(n,)`` out.

    The network runs on one thread, so that its spikes do not depend on the machine's number of cores.
    """

    batch_size = BATCH

    def __init__(self, unit: Unit, folder: Path = zoo.FOLDER) -> None:
        self.unit = unit
        place = CIFAR10_CLASSES[unit.index[0]] if unit.layer == "output" else ",".join(map(str, unit.index))
        self.name = f"{MODEL}:{unit.layer}/{place}@{unit.readout}"
        self._network = _network(folder)
        self._folder = folder

    @torch.inference_mode()
    def respond(
        self,
        stimuli: NDArray[np.float32],
        seeds: NDArray[np.int64] | None = None,  # noqa: ARG002 (no noise)
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]] | NDArray[np.float64]:
        """Values ``(n,)``; for rate and latency also the mean input current as keys, which orders equal values.

        Raises:
            TargetError: stimuli of another shape.
        """
        parts = [self._read(part) for part in _batches(stimuli)]
        values = np.concatenate([value for value, _ in parts])
        if self.unit.readout in ("rate", "latency"):
            return values, np.concatenate([key for _, key in parts])
        return values

    def record(self, stimuli: NDArray[np.float32]) -> NDArray[np.float64]:
        """The read-out of every channel of the unit's layer, ``(n, channels)``."""
        return record(stimuli, self.unit.layer, self.unit.readout, self._folder)

    @property
    def quantity(self) -> str:
        """What a value is, in words."""
        return READOUTS[self.unit.readout]

    @property
    def summary(self) -> dict[str, float]:
        """What the 10,000 test images do to the unit: maximum, 99.9th percentile, median, share without any spike."""
        kind = "channel" if len(self.unit.index) == 1 else "neuron"
        table = zoo.nature(MODEL, self._folder)[f"{self.unit.layer}.{kind}.{self.unit.readout}"]
        return {name: float(figures[self.unit.index]) for name, figures in zip(_SUMMARY, table, strict=True)}

    def _read(self, images: Tensor) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        currents = _currents(self._network, images, self.unit.layer)
        for axis_index in self.unit.index:
            currents = currents.select(2, axis_index)
        chosen = currents.contiguous()
        values = read_out(chosen, self.unit.readout)
        keys = chosen.mean(0)
        return _mean_over_space(values), _mean_over_space(keys)


def make_spiking(_family: str, detail: str) -> SpikingTarget:
    """From ``"LAYER/UNIT"`` or ``"LAYER/UNIT@READOUT"``."""
    return SpikingTarget(parse_unit(detail))


def parse_unit(detail: str) -> Unit:
    """Reads ``LAYER/UNIT@READOUT``; the read-out defaults to the rate.

    Raises:
        UnknownName: no such layer, class or read-out.
        InputError: a unit out of range, or no unit at all.
    """
    place, _, readout = detail.partition("@")
    layer, _, unit = place.partition("/")
    if layer not in LAYERS:
        raise UnknownName(f"layer of {MODEL}", layer, LAYERS, f"A target is {MODEL}:LAYER/UNIT@READOUT.")
    if readout and readout not in READOUTS:
        raise UnknownName("read-out", readout, READOUTS)
    shape = LAYERS[layer]
    names = CIFAR10_CLASSES if layer == "output" else ()
    numbers = [str(names.index(unit))] if unit in names else unit.split(",")
    if names and not all(number.isdigit() for number in numbers):
        raise UnknownName("class of the output", unit, names, f"Or a number from 0 to {len(names) - 1}.")
    if not all(number.isdigit() for number in numbers) or len(numbers) not in (1, len(shape)):
        raise InputError(
            f"{MODEL}:{layer}/{unit}: expected a unit from 0 to {shape[0] - 1}"
            + (", or one neuron as channel,row,column" if len(shape) == 3 else "")
        )
    index = tuple(int(number) for number in numbers)
    for value, size, axis in zip(index, shape, ("unit", "row", "column"), strict=False):
        if value >= size:
            raise InputError(f"{MODEL}:{layer}/{unit}: {axis} {value} is out of range; expected 0 to {size - 1}")
    return Unit(layer, index, readout or "rate")


@torch.inference_mode()
def record(
    stimuli: NDArray[np.float32], layer: str, readout: str, folder: Path = zoo.FOLDER, *, neurons: bool = False
) -> NDArray[np.float64]:
    """One read-out of a whole layer: ``(n, channels)``, averaged over space, or ``(n, *layer)`` of every neuron."""
    network = _network(folder)
    out = []
    for images in _batches(stimuli):
        values = read_out(_currents(network, images, layer), readout)
        out.append(values.double().numpy() if neurons or layer == "output" else _mean_over_space(values, channels=True))
    return np.concatenate(out)


def read_out(currents: Tensor, readout: str) -> Tensor:
    """The read-out of neurons driven by ``currents`` ``(steps or 1, ...)``, per neuron: ``(...)``."""
    if readout == "current":
        return currents.mean(0)
    if readout == "membrane":
        return integrate(currents, STEPS, reset=False)[1]
    spikes, _ = integrate(currents, STEPS)
    if readout == "rate":
        return spikes.mean(0)
    step = torch.arange(1, STEPS + 1, dtype=spikes.dtype).view(-1, *[1] * (spikes.dim() - 1))
    return -torch.where(spikes > 0, step, STEPS + 1.0).amin(0)


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


@cache
def _network(folder: Path) -> SpikingConvNet:
    network = zoo.load(MODEL, folder).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    assert isinstance(network, SpikingConvNet)
    return network


def _batches(stimuli: NDArray[np.float32]) -> tuple[Tensor, ...]:
    images = np.array(stimuli, np.float32)
    if images.ndim != 4 or images.shape[1:] != (3, 32, 32):
        raise TargetError(f"{MODEL} answers images (n, 3, 32, 32) in [0, 1]; got stimuli of shape {images.shape}")
    return tuple(torch.split(torch.from_numpy(images), BATCH))


def _mean_over_space(values: Tensor, *, channels: bool = False) -> NDArray[np.float64]:
    """``(n, ...)`` to ``(n,)``, or to ``(n, channels)``."""
    axes = 2 if channels else 1
    mean: NDArray[np.float64] = values.double().reshape(*values.shape[:axes], -1).mean(axes).numpy()
    return mean


@torch.inference_mode()
def _currents(network: SpikingConvNet, images: Tensor, layer: str) -> Tensor:
    torch.set_num_threads(1)
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (MEAN, STD))
    normalised = ((images - mean) / std).contiguous(memory_format=torch.channels_last)
    return next(islice(network.layers(normalised, STEPS), list(LAYERS).index(layer), None))
