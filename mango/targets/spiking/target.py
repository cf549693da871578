"""Units of a spiking network as targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mango.errors import InputError, UnknownName
from mango.targets.spiking import readouts
from mango.targets.spiking.encoders import Seeds
from mango.targets.spiking.network import Index, SpikingNetwork

AXES = ("unit", "row", "column")


class SpikingTarget:
    """A read-out of one unit, one neuron, one place or a whole layer, averaged over the neurons that it covers.

    Args:
        network: to be shown the stimuli.
        layer: name of a neuron layer; by default the last.
        unit: a channel or feature, ``(channel, row, column)`` for one neuron, None in place of a number for all of an
            axis (``(None, 3, 4)``: every channel at one place), ``()`` for the whole layer.
        readout: ``"rate"``, ``"count"``, ``"current"``, ``"membrane"`` or ``"latency"``.

    Attributes:
        name: ``LAYER/UNIT@READOUT``.
        batch_size: stimuli that are best shown together.

    Raises:
        UnknownName: no such layer or read-out.
        InputError: a unit out of range; the message says the range.
    """

    batch_size = 16

    def __init__(
        self,
        network: SpikingNetwork,
        layer: str | None = None,
        unit: int | Sequence[int | None] = (),
        readout: str = "rate",
    ) -> None:
        layer = list(network.layers)[-1] if layer is None else layer
        if layer not in network.layers:
            raise UnknownName("layer", layer, network.layers)
        if readout not in readouts.TABLE:
            raise UnknownName("read-out", readout, readouts.TABLE)
        self.network, self.layer, self.readout = network, layer, readout
        self.unit = checked_index(layer, (unit,) if isinstance(unit, int) else tuple(unit), network.layers[layer])
        place = ",".join("*" if i is None else str(i) for i in self.unit)
        self.name = f"{layer}{'/' if place else ''}{place}@{readout}"

    def respond(
        self, stimuli: NDArray[np.float32], seeds: Seeds = None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]] | NDArray[np.float64]:
        """Values ``(n,)``; for rate, count and latency also the mean input current as keys, which orders equal values.

        Args:
            stimuli: ``(n, *stimulus_shape)`` in [0, 1].
            seeds: ``(n,)``, needed where the stimuli are encoded at random.

        Raises:
            TargetError: stimuli of another shape.
        """
        wanted = (self.readout, "current") if self.readout in readouts.OF_SPIKES else (self.readout,)
        answers = self.network.read_several(stimuli, self.layer, self.unit, wanted, seeds)
        means = [answer.reshape(len(answer), -1).mean(1) for answer in answers]
        return (means[0], means[1]) if len(means) > 1 else means[0]

    def record(self, stimuli: NDArray[np.float32], seeds: Seeds = None) -> NDArray[np.float64]:
        """The read-out of every channel or feature of the layer, averaged over space, ``(n, units)``."""
        answer = self.network.read(stimuli, self.layer, (), self.readout, seeds)
        means: NDArray[np.float64] = answer.reshape(*answer.shape[:2], -1).mean(2)
        return means

    @property
    def quantity(self) -> str:
        """What a value is, in words."""
        return readouts.TABLE[self.readout]


def checked_index(layer: str, index: Index, shape: Sequence[int]) -> Index:
    """The index, where it lies in the layer.

    Raises:
        InputError: too many numbers, or one out of range.
    """
    if len(index) > len(shape):
        raise InputError(f"{layer}/{index}: the layer has {len(shape)} axes, {tuple(shape)}; got {len(index)} numbers")
    for value, size, axis in zip(index, shape, AXES, strict=False):
        if value is not None and not 0 <= value < size:
            raise InputError(f"{layer}: {axis} {value} is out of range; expected 0 to {size - 1}")
    return index


def parse_place(detail: str, names: Mapping[str, Sequence[str]] | None = None) -> tuple[str, Index, str]:
    """Layer, index and read-out of ``LAYER/UNIT@READOUT``; ``*`` is every unit of an axis, no unit the whole layer.

    Args:
        detail: such as ``"lif2/17"``, ``"lif2/17,3,4@latency"``, ``"lif2/*,3,4"``, ``"output/cat"``.
        names: of units, by layer.

    Raises:
        UnknownName: a unit that is neither a number nor a known name.
        InputError: a unit that is no number.
    """
    place, _, readout = detail.partition("@")
    layer, _, unit = place.partition("/")
    known = list((names or {}).get(layer, ()))
    if unit in known:
        return layer, (known.index(unit),), readout or "rate"
    parts = unit.split(",") if unit else []
    if all(part == "*" or part.isdigit() for part in parts):
        return layer, tuple(None if part == "*" else int(part) for part in parts), readout or "rate"
    if known:
        raise UnknownName(f"unit of {layer}", unit, known, f"Or a number from 0 to {len(known) - 1}.")
    raise InputError(f"{detail}: expected LAYER/UNIT@READOUT with UNIT a number, numbers like 17,3,4, or * for all")
