"""Networks of SpikingJelly (Fang et al. 2023): IF, LIF, PLIF and their like, in single- or multi-step mode."""

from __future__ import annotations

import copy
import math
from typing import Any

from spikingjelly.activation_based.neuron import BaseNode, IFNode, LIFNode, ParametricLIFNode, SimpleBaseNode
from torch import Tensor, nn

from mango.targets.spiking.kernels import Dynamics, relaxing
from mango.targets.spiking.packages import Neuron, Package


class SpikingJelly(Package):
    """SpikingJelly's conventions: neurons keep their state; in step mode ``"m"`` they take ``(steps, n, ...)``."""

    name = "spikingjelly"

    def is_neuron(self, module: nn.Module) -> bool:
        return isinstance(module, (BaseNode, SimpleBaseNode))

    def takes_time(self, network: nn.Module) -> bool:
        return any(self.is_neuron(module) and _mode(module) == "m" for module in network.modules())

    def reset(self, network: nn.Module) -> None:
        for module in network.modules():
            if self.is_neuron(module):
                _reset(module)

    def step(self, network: nn.Module, current: Tensor, state: object) -> object:  # noqa: ARG002 (kept inside)
        network(current)
        return None

    def neuron(self, module: nn.Module, shape: tuple[int, ...]) -> Neuron:  # noqa: ARG002 (one number for all)
        return _Neuron(copy.deepcopy(module), _dynamics(module))


class _Neuron(Neuron):
    def __init__(self, module: Any, dynamics: Dynamics | None = None) -> None:
        module.step_mode = "s"
        self._module, self.dynamics = module, dynamics
        self.alike = type(module) in (IFNode, LIFNode, ParametricLIFNode)

    def reset(self) -> None:
        _reset(self._module)

    def step(self, current: Tensor) -> tuple[Tensor, Tensor]:
        return self._module(current), self._module.v

    def without_reset(self) -> _Neuron:
        free = copy.deepcopy(self._module)
        free.v_threshold = math.inf
        return _Neuron(free)


def _dynamics(module: Any) -> Dynamics | None:
    """Of a plain IF, LIF or parametric LIF node."""
    common = {"threshold": module.v_threshold, "v_reset": module.v_reset}
    if type(module) is IFNode:
        return relaxing(**common)
    if type(module) is LIFNode:
        return relaxing(**common, tau=module.tau, decay_input=module.decay_input)
    if type(module) is ParametricLIFNode:
        return relaxing(**common, rate=float(module.w.sigmoid()), decay_input=module.decay_input)
    return None


def _reset(module: Any) -> None:
    module.reset()


def _mode(module: Any) -> str:
    return str(module.step_mode)
