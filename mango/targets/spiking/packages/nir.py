"""Networks read from a file of the Neuromorphic Intermediate Representation (Pedersen et al. 2024), by `read_nir`."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mango.targets.spiking.kernels import Dynamics
from mango.targets.spiking.kernels.dynamics import Charge, Reset
from mango.targets.spiking.packages import NEVER, Neuron, Package


class Cell(nn.Module):
    """NIR's I, LI, IF and LIF, and CubaLI and CubaLIF with a synapse, one step of dt at a time (explicit Euler).

    ::

        i <- alpha i + x             alpha = 1 - dt / tau_syn; without a synapse i = x
        v <- beta v + gain i + leak  beta = 1 - dt / tau; of a synapse gain = r dt / tau, leak = v_leak dt / tau,
                                     else 1 and 0, as x holds them already
        z = v > threshold            v <- v_reset where z; integrators give v, not z

    Args:
        beta: a number, one per channel, or one per neuron, as are the others.
        rest: the potential before the first step, v_leak.
        threshold: None for an integrator.
        v_reset: the potential after a spike.
        synapse: alpha, gain and leak.
    """

    def __init__(
        self,
        beta: Tensor,
        rest: Tensor,
        threshold: Tensor | None = None,
        v_reset: Tensor | None = None,
        synapse: tuple[Tensor, Tensor, Tensor] | None = None,
    ) -> None:
        super().__init__()
        alpha, gain, leak = synapse or (None, None, None)
        given = {"beta": beta, "rest": rest, "threshold": threshold, "v_reset": v_reset}
        for name, value in {**given, "alpha": alpha, "gain": gain, "leak": leak}.items():
            self.register_buffer(name, value)
        self.v: Tensor | None = None
        self.i: Tensor | None = None

    def reset(self) -> None:
        """To the state before the first step."""
        self.v = self.i = None

    def forward(self, current: Tensor) -> Tensor:
        """Spikes, or potentials, of one step."""
        if self.v is None or self.v.shape != current.shape:
            self.v = torch.zeros_like(current) + self._of("rest", current)
            self.i = torch.zeros_like(current)
        drive = current
        if self.alpha is not None:
            assert self.i is not None
            self.i = self._of("alpha", current) * self.i + current
            drive = self._of("gain", current) * self.i + self._of("leak", current)
        self.v = self._of("beta", current) * self.v + drive
        if self.threshold is None:
            return self.v
        spikes = self.v > self._of("threshold", current)
        self.v = torch.where(spikes, self._of("v_reset", current), self.v)
        return spikes.to(current.dtype)

    def _of(self, name: str, current: Tensor) -> Tensor:
        return fitting(getattr(self, name), current)


def fitting(value: Tensor, x: Tensor) -> Tensor:
    """A parameter beside activity ``(n, ...)``; one number per channel stands before the axes of space."""
    return value.view(-1, *[1] * (x.dim() - 2)) if value.dim() == 1 else value


class Nir(Package):
    """Conventions of the networks that `read_nir` makes: each `Cell` keeps its state."""

    name = "nir"

    def is_neuron(self, module: nn.Module) -> bool:
        return isinstance(module, Cell)

    def takes_time(self, module: nn.Module) -> bool:  # noqa: ARG002 (one step at a time, always)
        return False

    def gives_state(self, module: nn.Module) -> bool:  # noqa: ARG002 (none does)
        return False

    def reset(self, network: nn.Module) -> None:
        for module in network.modules():
            if isinstance(module, Cell):
                module.reset()

    def call(self, network: nn.Module, inputs: Tensor, state: object) -> object:  # noqa: ARG002 (kept inside)
        network(inputs)
        return None

    def neuron(self, module: nn.Module, shape: tuple[int, ...]) -> Neuron:  # noqa: ARG002 (kept in the module)
        return _Neuron(copy.deepcopy(module))


class _Neuron(Neuron):
    def __init__(self, module: Any) -> None:
        self._module = module
        self.alike = all(value.numel() == 1 for value in module.buffers())
        self.spiking = module.threshold is not None
        self.dynamics = _dynamics(module)

    def reset(self) -> None:
        self._module.reset()

    def step(self, current: Tensor) -> tuple[Tensor, Tensor]:
        spikes = self._module(current)
        return spikes, self._module.v

    def without_reset(self) -> _Neuron:
        free = copy.deepcopy(self._module)
        if self.spiking:
            free.threshold = torch.full_like(free.threshold, NEVER)
        return _Neuron(free)


def _dynamics(cell: Any) -> Dynamics | None:
    """Of spiking cells without a synapse whose parameters are numbers, or one per channel."""
    if cell.threshold is None or cell.alpha is not None or any(value.dim() > 1 for value in cell.buffers()):
        return None
    beta, rest, threshold, v_reset = (
        value.detach().cpu().flatten().numpy() for value in (cell.beta, cell.rest, cell.threshold, cell.v_reset)
    )
    rows = np.stack(np.broadcast_arrays(beta, rest, threshold, v_reset, rest)).astype(np.float32)
    return Dynamics(Charge.DECAY, Reset.REPLACE, rows)
