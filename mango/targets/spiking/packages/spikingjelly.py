"""Networks of SpikingJelly (Fang et al. 2023): IF, LIF, PLIF and their like, in single- or multi-step mode."""

from __future__ import annotations

import copy
from typing import Any

from spikingjelly.activation_based.base import MemoryModule
from spikingjelly.activation_based.layer import Dropout
from spikingjelly.activation_based.neuron import BaseNode, IFNode, LIFNode, ParametricLIFNode, SimpleBaseNode
from torch import Tensor, nn

from mango.targets.spiking.kernels import Dynamics, relaxing
from mango.targets.spiking.packages import NEVER, Neuron, Package

PLAIN = (IFNode, LIFNode, ParametricLIFNode)


class SpikingJelly(Package):
    """SpikingJelly's conventions: neurons keep their state; in step mode ``"m"`` they take ``(steps, n, ...)``."""

    name = "spikingjelly"

    def is_neuron(self, module: nn.Module) -> bool:
        return isinstance(module, (BaseNode, SimpleBaseNode))

    def takes_time(self, module: nn.Module) -> bool:
        return bool(module.step_mode == "m")

    def gives_state(self, module: nn.Module) -> bool:  # noqa: ARG002 (none does)
        return False

    def is_stateful(self, module: nn.Module) -> bool:
        remembers = isinstance(module, MemoryModule) and not isinstance(module, Dropout)  # which forgets in eval mode
        return (remembers and not self.is_neuron(module)) or super().is_stateful(module)

    def reset(self, network: nn.Module) -> None:
        for module in network.modules():
            if isinstance(module, MemoryModule):
                module.reset()

    def call(self, network: nn.Module, inputs: Tensor, state: object) -> object:  # noqa: ARG002 (kept inside)
        network(inputs)
        return None

    def neuron(self, module: nn.Module, shape: tuple[int, ...]) -> Neuron:  # noqa: ARG002 (one number for all)
        return _Neuron(copy.deepcopy(module), _dynamics(module))


class _Neuron(Neuron):
    def __init__(self, module: Any, dynamics: Dynamics | None = None) -> None:
        self._steps = "s" in module.supported_step_mode()
        if self._steps:
            module.step_mode = "s"
        module.store_v_seq = False
        self._module, self.dynamics = module, dynamics
        self.alike = type(module) in PLAIN

    def reset(self) -> None:
        self._module.reset()

    def step(self, current: Tensor) -> tuple[Tensor, Tensor]:
        if not self._steps:
            raise NotImplementedError(f"{type(self._module).__name__} takes whole trains only")
        return self._module(current), self._module.v

    def without_reset(self) -> _Neuron:
        if type(self._module) not in PLAIN:
            raise NotImplementedError
        free = copy.deepcopy(self._module)
        free.v_threshold = NEVER
        return _Neuron(free)


def _dynamics(module: Any) -> Dynamics | None:
    """Of a plain IF, LIF or parametric LIF node."""
    if type(module) not in PLAIN or module._neuron_precision is not None:
        return None
    common = {"threshold": module.v_threshold, "v_reset": module.v_reset}
    if type(module) is IFNode:
        return relaxing(**common)
    if type(module) is LIFNode:
        return relaxing(**common, tau=module.tau, decay_input=module.decay_input)
    return relaxing(**common, rate=float(module.w.detach().sigmoid()), decay_input=module.decay_input)
