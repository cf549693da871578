"""Networks of Norse (Pehle & Pedersen 2021): cells that take and return their state."""

from __future__ import annotations

import copy
from typing import Any

import torch
from norse.torch.module.snn import SNN, SNNCell
from torch import Tensor, nn

from mango.targets.spiking.packages import Neuron, Package


class Norse(Package):
    """Norse's conventions: ``(input, state) -> (output, state)``, for a cell as for a network of them."""

    name = "norse"

    def is_neuron(self, module: nn.Module) -> bool:
        return isinstance(module, (SNNCell, SNN))

    def takes_time(self, network: nn.Module) -> bool:
        return any(isinstance(module, SNN) for module in network.modules())

    def reset(self, network: nn.Module) -> None:
        """Nothing: the state lies outside."""

    def step(self, network: nn.Module, current: Tensor, state: object) -> object:
        answer = network(current, state)
        return answer[1] if isinstance(answer, tuple) else None

    def neuron(self, module: nn.Module, shape: tuple[int, ...]) -> Neuron:  # noqa: ARG002 (one number for all)
        return _Neuron(copy.deepcopy(module))


class _Neuron(Neuron):
    def __init__(self, module: Any) -> None:
        self._module, self.dynamics = module, None
        self._state: Any = None
        self.alike = all(not isinstance(p, Tensor) or p.numel() == 1 for p in module.p)

    def reset(self) -> None:
        self._state = None

    def step(self, current: Tensor) -> tuple[Tensor, Tensor]:
        if isinstance(self._module, SNN):
            spikes, self._state = self._module(current[None], self._state)
            spikes = spikes[0]
        else:
            spikes, self._state = self._module(current, self._state)
        return spikes, self._state.v

    def without_reset(self) -> _Neuron:
        free = copy.deepcopy(self._module)
        free.p = free.p._replace(v_th=torch.tensor(torch.inf))
        return _Neuron(free)
