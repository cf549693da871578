"""What of a neuron's activity is the response; a line of ``TABLE`` each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mango.targets.spiking import kernels
from mango.targets.spiking.kernels import Dynamics
from mango.targets.spiking.packages import Neuron
from mango.targets.spiking.stepping import integrate

TABLE: dict[str, str] = {
    "rate": "spikes per step",
    "count": "spikes",
    "current": "mean input current",
    "membrane": "mean membrane potential without reset",
    "latency": "minus the step of the first spike; -(T + 1) where there is none",
}
OF_SPIKES = frozenset({"rate", "count", "latency"})  # these tie; the mean input current orders equal values

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Activity:
    """Neurons of one layer and what drives them, to be read in one or several ways.

    Sums over time are made one step after another, so that no value depends on what is evaluated beside it.

    Attributes:
        neuron: what they are.
        currents: ``(steps or 1, n, ...)``, of the layer or, where its neurons are alike, of any of them.
        steps: T.
        packed: whether the kernels integrate, where they can.
        known: spikes ``(steps, n, ...)`` that were seen already; a spike is anything above zero, and graded ones count
            with their size in rate and count.
    """

    neuron: Neuron
    currents: Tensor
    steps: int
    packed: bool = False
    known: Tensor | None = None

    def read(self, readout: str) -> Values:
        """A read-out of each neuron, ``(n, ...)``.

        Raises:
            NotImplementedError: it is not known how the potential goes on without reset.
        """
        if readout == "current":
            return _sum(self.currents) / len(self.currents)
        if readout == "membrane":
            return self._potential
        if readout == "latency":
            return -self._first
        return self._count / self.steps if readout == "rate" else self._count

    @cached_property
    def spikes(self) -> Tensor:
        """Of every step, ``(steps, n, ...)``."""
        if self.known is not None:
            return self.known
        if self._words is None:
            return integrate(self.neuron, self.currents, self.steps)
        steps = kernels.unpack(self._words, self._driven.shape[-1])
        return torch.from_numpy(np.stack([self._shaped(step) for step in steps]))

    @cached_property
    def _count(self) -> Values:
        if self._words is None:
            return _sum(self.spikes)
        return self._shaped(kernels.count(self._words, self._driven.shape[-1])).astype(np.float64)

    @cached_property
    def _first(self) -> Values:
        """The step of the first spike, from 1; T + 1 where there is none."""
        if self._words is not None:
            return self._shaped(kernels.first_spike(self._words, self._driven.shape[-1])).astype(np.float64)
        first = torch.full_like(self.spikes[0], self.steps + 1, dtype=torch.float64)
        for step in range(self.steps, 0, -1):
            first[self.spikes[step - 1] > 0] = step
        return _array(first)

    @cached_property
    def _words(self) -> NDArray[np.uint16] | None:
        """Packed spikes of the neurons as `_driven` lays them out; None where the package's own code serves."""
        if self._dynamics is None or self.known is not None:
            return None
        return kernels.integrate(self._driven, self.steps, self._dynamics)

    @property
    def _potential(self) -> Values:
        if self._dynamics is not None:
            potentials = np.empty((self.steps, *self._driven.shape[1:]), np.float32)
            kernels.integrate(self._driven, self.steps, self._dynamics.without_reset(), potentials=potentials)
            return self._shaped(_sum(torch.from_numpy(potentials))) / self.steps
        free = self.neuron.without_reset()
        free.reset()
        currents = self.currents.expand(self.steps, *self.currents.shape[1:])
        potential = _sum(free.step(current)[1] for current in currents) / self.steps
        free.reset()
        return potential

    @property
    def _dynamics(self) -> Dynamics | None:
        places = self.neuron.alike or self.currents.dim() in (3, 5)  # else parameters of a channel have no place
        return self.neuron.dynamics if self.packed and places else None

    @cached_property
    def _driven(self) -> NDArray[np.float32]:
        """Currents as the kernels take them, ``(steps or 1, n, H, W, channels)``.

        Single neurons lie side by side as if they were channels.
        """
        currents = self.currents
        last = (
            currents.permute(0, 1, 3, 4, 2) if currents.dim() == 5 else currents.reshape(*currents.shape[:2], 1, 1, -1)
        )
        return np.ascontiguousarray(last.numpy())

    def _shaped(self, values: NDArray[Any]) -> NDArray[Any]:
        """``(n, H, W, channels)`` of the kernels as ``(n, ...)`` of the currents."""
        moved = values.transpose(0, 3, 1, 2) if self.currents.dim() == 5 else values
        return np.ascontiguousarray(moved.reshape(self.currents.shape[1:]))


def _sum(steps: Iterable[Tensor]) -> Values:
    """One after another, in float64."""
    each = iter(steps)
    total = next(each).to(torch.float64, copy=True)
    for step in each:
        total += step
    return _array(total)


def _array(values: Tensor) -> Values:
    """``(n, ...)`` in C order, so that means over it are made in one order."""
    return np.ascontiguousarray(values.double().cpu().numpy())
