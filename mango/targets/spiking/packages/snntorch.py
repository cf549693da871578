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
WHOLE = (snntorch.StateLeaky, snntorch.AssociativeLeaky)  # take trains (steps, n, ...) only
STATES = ("mem", "mem_prev", "syn", "syn_exc", "syn_inh", "spk")


class SnnTorch(Package):
    """snnTorch's conventions: a neuron keeps its state, or is given it and returns ``(spikes, ..., membrane)``."""

    name = "snntorch"

    def is_neuron(self, module: nn.Module) -> bool:
        return isinstance(module, SpikingNeuron)

    def takes_time(self, module: nn.Module) -> bool:
        return isinstance(module, WHOLE)

    def gives_state(self, module: nn.Module) -> bool:
        return bool(module.output or not module.init_hidden)

    def reset(self, network: nn.Module) -> None:
        for module in network.modules():
            if self.is_neuron(module):
                _reset(module)

    def call(self, network: nn.Module, inputs: Tensor, state: object) -> object:  # noqa: ARG002 (kept inside)
        network(inputs)
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
        if isinstance(self._module, WHOLE):
            raise NotImplementedError(f"{type(self._module).__name__} takes whole trains only")
        answer = self._module(current)  # no state is passed: it goes on from its own
        return (answer[0] if isinstance(answer, tuple) else answer), self._module.mem

    def without_reset(self) -> _Neuron:
        if type(self._module) not in POINTWISE:
            raise NotImplementedError
        free = copy.deepcopy(self._module)
        free.state_function = free._base_int
        free.reset_delay = True
        return _Neuron(free)


def _dynamics(module: Any, shape: tuple[int, ...]) -> Dynamics | None:
    """Of a plain Leaky whose parameters are numbers, or one per channel."""
    plain = type(module) is snntorch.Leaky and not module.inhibition and not module.state_quant
    if not plain or module.graded_spikes_factor.numel() > 1 or float(module.graded_spikes_factor) != 1:
        return None
    values = [value.detach().cpu() for value in (module.beta, module.threshold)]
    per_channel = (shape[0], *(1 for _ in shape[1:]))
    if any(value.numel() > 1 and tuple(value.shape) != per_channel for value in values):
        return None
    if not all(value.isfinite().all() for value in values):
        return None
    beta, threshold = (value.flatten().numpy() for value in values)
    return leaky(beta, threshold, module.reset_mechanism, delayed=module.reset_delay)


def _reset(module: nn.Module) -> None:
    for name in STATES:
        state = getattr(module, name, None)
        if isinstance(state, Tensor):
            setattr(module, name, state.new_zeros(0))
