"""Units of a spiking network as targets."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mango.errors import InputError, UnknownName
from mango.targets.places import Unit, checked_index, slices
from mango.targets.spiking import readouts
from mango.targets.spiking.encoders import Seeds
from mango.targets.spiking.network import SpikingNetwork

BATCH = {"cpu": 10, "cuda": 64}  # on a CPU 8 are as fast as more, and 10 halve a search's 20; on a GPU not measured


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


def _mean(answer: NDArray[np.float64]) -> NDArray[np.float64]:
    """Over all axes but the first, in one order however many there are in the first."""
    means: NDArray[np.float64] = np.ascontiguousarray(answer.reshape(len(answer), -1)).mean(1)
    return means
