"""Units of a spiking network as targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mango.errors import InputError, UnknownName
from mango.targets.spiking import readouts
from mango.targets.spiking.encoders import Seeds
from mango.targets.spiking.network import Index, SpikingNetwork, slices

AXES = ("unit", "row", "column")
BATCH = {"cpu": 10, "cuda": 64}  # on a CPU 8 are as fast as more, and 10 halve a search's 20; on a GPU not measured
Unit = int | Sequence[int | None]


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
        stimulus_shape: of one stimulus.
        batch_size: stimuli that are best shown together. The values are the same for any number, but for the last bits
            of currents that torch rounds by a row's place: from linear layers of one output, or of fewer than twelve
            whose inputs are no multiple of four.

    Raises:
        UnknownName: no such layer or read-out.
        InputError: a unit out of range, the message says the range; a layer that cannot be read in this way.
    """

    def __init__(
        self,
        network: SpikingNetwork,
        layer: str | None = None,
        unit: Unit = (),
        readout: str = "rate",
    ) -> None:
        layer = list(network.layers)[-1] if layer is None else layer
        if layer not in network.layers:
            raise UnknownName("layer", layer, network.layers)
        if readout not in readouts.TABLE:
            raise UnknownName("read-out", readout, readouts.TABLE)
        network.check_readout(layer, readout)
        self.network, self.layer, self.readout = network, layer, readout
        self.stimulus_shape = network.stimulus_shape
        self.batch_size = BATCH[network.device.type]
        self.unit = checked_index(layer, unit, network.layers[layer])
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
            TargetError: stimuli of another shape, not finite, or images that leave [0, 1].
            InputError: no seeds, where they are needed.
        """
        ties = self.readout in readouts.OF_SPIKES and self.network.driven(self.layer)
        wanted = (self.readout, "current") if ties else (self.readout,)
        answers = self.network.read_several(stimuli, self.layer, self.unit, wanted, seeds)
        means = [_mean(answer) for answer in answers]
        return (means[0], means[1]) if len(means) > 1 else means[0]

    def record(
        self, stimuli: NDArray[np.float32], units: Sequence[Unit] | None = None, seeds: Seeds = None
    ) -> NDArray[np.float64]:
        """The read-out of many units of the layer in one evaluation, ``(n, units)``.

        Args:
            stimuli: ``(n, *stimulus_shape)`` in [0, 1].
            units: each as `SpikingTarget` takes one; by default every channel or feature.
            seeds: ``(n,)``, needed where the stimuli are encoded at random.

        Raises:
            TargetError: stimuli of another shape, not finite, or images that leave [0, 1].
            InputError: a unit out of range; no seeds, where they are needed.
        """
        shape = self.network.layers[self.layer]
        indices = [checked_index(self.layer, unit, shape) for unit in (range(shape[0]) if units is None else units)]
        if not indices:
            raise InputError("expected at least one unit to record; got none")
        answer = self.network.read(stimuli, self.layer, (), self.readout, seeds)
        return np.stack([_mean(answer[(slice(None), *slices(index))]) for index in indices], 1)

    @property
    def stochastic(self) -> bool:
        """Whether `respond` and `record` need seeds."""
        return self.network.stochastic

    @property
    def quantity(self) -> str:
        """What a value is, in words."""
        return readouts.TABLE[self.readout]


def checked_index(layer: str, unit: Unit, shape: Sequence[int]) -> Index:
    """The unit as a number or None for each of the first axes, where it lies in the layer.

    Raises:
        InputError: too many numbers, or one out of range, or something else.
    """
    index = tuple(unit) if isinstance(unit, (tuple, list)) else (unit,)
    if len(index) > len(shape):
        raise InputError(f"{layer}/{index}: the layer has {len(shape)} axes, {tuple(shape)}; got {len(index)} numbers")
    checked = list[int | None]()
    for i, (value, size) in enumerate(zip(index, shape, strict=False)):
        axis = AXES[i] if i < len(AXES) else f"axis {i}"
        if value is not None and (isinstance(value, bool) or not isinstance(value, (int, np.integer))):
            raise InputError(f"{layer}: {axis} must be a whole number, or None for all; got {value!r}")
        if value is not None and not 0 <= value < size:
            raise InputError(f"{layer}: {axis} {value} is out of range; expected 0 to {size - 1}")
        checked.append(None if value is None else int(value))
    return tuple(checked)


def parse_place(
    detail: str, names: Mapping[str, Sequence[str]] | None = None, default: str = "rate"
) -> tuple[str, Index, str]:
    """Layer, index and read-out of ``LAYER/UNIT@READOUT``; ``*`` is every unit of an axis, no unit the whole layer.

    Args:
        detail: such as ``"lif2/17"``, ``"lif2/17,3,4@latency"``, ``"lif2/*,3,4"``, ``"output/cat"``.
        names: of units, by layer.
        default: the read-out where none is named.

    Raises:
        UnknownName: a unit that is neither a number nor a known name.
        InputError: a unit that is no number.
    """
    place, _, readout = detail.partition("@")
    layer, _, unit = place.partition("/")
    known = list((names or {}).get(layer, ()))
    if unit in known:
        return layer, (known.index(unit),), readout or default
    parts = unit.split(",") if unit else []
    if all(part == "*" or part.isdigit() for part in parts):
        return layer, tuple(None if part == "*" else int(part) for part in parts), readout or default
    if known:
        raise UnknownName(f"unit of {layer}", unit, known, f"Or a number from 0 to {len(known) - 1}.")
    raise InputError(f"{detail}: expected LAYER/UNIT@READOUT with UNIT a number, numbers like 17,3,4, or * for all")


def _mean(answer: NDArray[np.float64]) -> NDArray[np.float64]:
    """Over all axes but the first, in one order however many there are in the first."""
    means: NDArray[np.float64] = np.ascontiguousarray(answer.reshape(len(answer), -1)).mean(1)
    return means
