"""Networks of Norse (Pehle & Pedersen 2021): cells that take and return their state."""

from __future__ import annotations

import copy
import inspect
from typing import Any

import torch
from norse.torch.module.leaky_integrator import LI, LICell, LILinearCell
from norse.torch.module.leaky_integrator_box import LIBoxCell
from norse.torch.module.lif import LIF, LIFCell
from norse.torch.module.lif_box import LIFBoxCell
from norse.torch.module.snn import SNN, SNNCell, SNNRecurrent, SNNRecurrentCell
from torch import Tensor, nn

from mango.targets.spiking.packages import NEVER, Neuron, Package

INTEGRATORS = (LI, LICell, LIBoxCell, LILinearCell)  # never spike
POINTWISE = (LI, LICell, LIBoxCell, LIF, LIFCell, LIFBoxCell)


class Norse(Package):
    """Norse's conventions: ``(input, state) -> (output, state)``, for a cell as for a network of them."""

    name = "norse"

    def is_neuron(self, module: nn.Module) -> bool:
        return isinstance(module, (SNNCell, SNN, SNNRecurrentCell, SNNRecurrent, LILinearCell))

    def takes_time(self, module: nn.Module) -> bool:
        return isinstance(module, (SNN, SNNRecurrent))

    def gives_state(self, module: nn.Module) -> bool:  # noqa: ARG002 (all do)
        return True

    def keeps_state(self, network: nn.Module) -> bool:
        return len(inspect.signature(network.forward).parameters) > 1

    def is_stateful(self, module: nn.Module) -> bool:
        return "state" in inspect.signature(module.forward).parameters or super().is_stateful(module)

    def reset(self, network: nn.Module) -> None:
        """Nothing: the state lies outside."""

    def call(self, network: nn.Module, inputs: Tensor, state: object) -> object:
        answer = network(inputs, state) if self.keeps_state(network) else network(inputs)
        return answer[1] if isinstance(answer, tuple) and len(answer) > 1 else None

    def neuron(self, module: nn.Module, shape: tuple[int, ...]) -> Neuron:  # noqa: ARG002 (one number for all)
        return _Neuron(copy.deepcopy(module))


class _Neuron(Neuron):
    def __init__(self, module: Any) -> None:
        self._module = module
        self._state: Any = None
        self.spiking = not isinstance(module, INTEGRATORS)
        numbers = all(not isinstance(value, Tensor) or value.numel() == 1 for value in module.p)
        self.alike = type(module) in POINTWISE and numbers

    def reset(self) -> None:
        self._state = None

    def step(self, current: Tensor) -> tuple[Tensor, Tensor]:
        if isinstance(self._module, (SNN, SNNRecurrent)):
            outputs, self._state = self._module(current[None], self._state)
            return outputs[0], self._state.v
        output, self._state = self._module(current, self._state)
        return output, self._state.v

    def without_reset(self) -> _Neuron:
        free = copy.deepcopy(self._module)
        if self.spiking:
            if type(free) not in POINTWISE:
                raise NotImplementedError
            free.p = free.p._replace(v_th=torch.tensor(NEVER))
        return _Neuron(free)
