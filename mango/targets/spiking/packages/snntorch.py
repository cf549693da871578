"""Networks of snnTorch (Eshraghian et al. 2023): Leaky, Synaptic, Alpha and their like, one step at a time."""

from __future__ import annotations

import copy
from typing import Any

import snntorch
from snntorch._neurons.neurons import SpikingNeuron
from torch import Tensor, nn

from mango.targets.spiking.kernels import Dynamics, leaky
from mango.targets.spiking.packages import Neuron, Package

POINTWISE = (snntorch.Leaky, snntorch.Synaptic, snntorch.Alpha, snntorch.Lapicque)
STATES = ("mem", "syn", "syn_exc", "syn_inh", "spk")


class SnnTorch(Package):
    """snnTorch's conventions: a neuron keeps its state, or is given it and returns ``(spikes, ..., membrane)``."""

    name = "snntorch"

    def is_neuron(self, module: nn.Module) -> bool:
        return isinstance(module, SpikingNeuron)

    def takes_time(self, network: nn.Module) -> bool:  # noqa: ARG002 (one step at a time, always)
        return False

    def reset(self, network: nn.Module) -> None:
        for module in network.modules():
            if self.is_neuron(module):
                _reset(module)

    def step(self, network: nn.Module, current: Tensor, state: object) -> object:  # noqa: ARG002 (kept inside)
        network(current)
        return None

    def neuron(self, module: nn.Module, shape: tuple[int, ...]) -> Neuron:
        return _Neuron(copy.deepcopy(module), _dynamics(module, shape))


class _Neuron(Neuron):
    def __init__(self, module: Any, dynamics: Dynamics | None = None) -> None:
        self._module, self.dynamics = module, dynamics
        parameters = [*module.parameters(), *(b for name, b in module.named_buffers() if name not in STATES)]
        self.alike = type(module) in POINTWISE and not module.inhibition and all(p.numel() == 1 for p in parameters)

    def reset(self) -> None:
        _reset(self._module)

    def step(self, current: Tensor) -> tuple[Tensor, Tensor]:
        answer = self._module(current)  # no state is passed: it goes on from its own
        return (answer[0] if isinstance(answer, tuple) else answer), self._module.mem

    def without_reset(self) -> _Neuron:
        free = copy.deepcopy(self._module)
        if not isinstance(free, (snntorch.Leaky, snntorch.Synaptic, snntorch.Alpha)):
            raise NotImplementedError
        free.state_function = free._base_int
        free.reset_delay = True
        return _Neuron(free)


def _dynamics(module: Any, shape: tuple[int, ...]) -> Dynamics | None:
    """Of a plain Leaky whose parameters are numbers, or one per channel."""
    plain = type(module) is snntorch.Leaky and not module.inhibition and not module.state_quant
    if not plain or float(module.graded_spikes_factor) != 1:
        return None
    values = [value.detach().cpu() for value in (module.beta, module.threshold)]
    per_channel = (shape[0], *(1 for _ in shape[1:]))
    if any(value.numel() > 1 and tuple(value.shape) != per_channel for value in values):
        return None
    beta, threshold = (value.flatten().numpy() for value in values)
    return leaky(beta, threshold, module.reset_mechanism, delayed=module.reset_delay)


def _reset(module: nn.Module) -> None:
    for name in STATES:
        state = getattr(module, name, None)
        if isinstance(state, Tensor):
            setattr(module, name, state.new_zeros(0))
