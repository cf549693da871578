"""The packages whose spiking networks mango evaluates, and what it must know of each; a line of ``TABLE`` each."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from importlib import import_module

from torch import Tensor, nn

from mango.errors import InputError
from mango.targets.spiking.kernels import Dynamics

TABLE: dict[str, str] = {  # the package's import name -> our module on it
    "snntorch": "snntorch:SnnTorch",
    "spikingjelly": "spikingjelly:SpikingJelly",
    "norse": "norse:Norse",
    "nir": "nir:Nir",
}
NEVER = 1e30  # a threshold that no potential reaches; infinite, it would make 0 * threshold undefined


class Neuron(ABC):
    """A layer of neurons, stepped by the package's own code.

    Attributes:
        alike: whether each neuron follows its own current alone, all by the same parameters, so that some of the layer
            can be stepped without the others.
        dynamics: what the kernels need to do the same; None where only the package can.
        spiking: whether it gives spikes, rather than its potential (a leaky integrator).
    """

    alike: bool
    dynamics: Dynamics | None = None
    spiking: bool = True

    @abstractmethod
    def reset(self) -> None:
        """To the state before the first step."""

    @abstractmethod
    def step(self, current: Tensor) -> tuple[Tensor, Tensor]:
        """Spikes and membrane potential after one step with the input current ``(n, ...)``.

        Raises:
            NotImplementedError: only the network's own loop can step it.
        """

    @abstractmethod
    def without_reset(self) -> Neuron:
        """The same neuron, whose spikes leave its potential alone.

        Raises:
            NotImplementedError: mango does not know how.
        """


class Package(ABC):
    """What mango must know of a package."""

    name: str

    @abstractmethod
    def is_neuron(self, module: nn.Module) -> bool:
        """Whether the module is one of its neurons."""

    @abstractmethod
    def takes_time(self, module: nn.Module) -> bool:
        """Whether a neuron takes whole trains ``(steps, n, ...)`` instead of one step ``(n, ...)``."""

    @abstractmethod
    def gives_state(self, module: nn.Module) -> bool:
        """Whether a neuron returns its state beside its spikes."""

    def keeps_state(self, network: nn.Module) -> bool:  # noqa: ARG002 (most neurons do)
        """Whether a second call of the network, given what the first returned, goes on where the first ended."""
        return True

    def is_stateful(self, module: nn.Module) -> bool:
        """Whether a module that is no neuron gives another answer to the same input from step to step."""
        return isinstance(module, nn.RNNBase)

    @abstractmethod
    def reset(self, network: nn.Module) -> None:
        """All that the network keeps to what it was before the first step."""

    @abstractmethod
    def call(self, network: nn.Module, inputs: Tensor, state: object) -> object:
        """One call of the network with what it returned as state, None at first; the next state."""

    @abstractmethod
    def neuron(self, module: nn.Module, shape: tuple[int, ...]) -> Neuron:
        """A copy of a layer of its neurons, to be stepped alone.

        Args:
            module: the layer.
            shape: of the layer for one image.
        """


def package_of(network: nn.Module) -> Package:
    """The package whose neurons the network holds.

    Raises:
        InputError: none of them, or several.
    """
    loaded = {name: place for name, place in TABLE.items() if name in sys.modules}
    found = []
    for place in loaded.values():
        module, _, cls = place.partition(":")
        package: Package = getattr(import_module(f"{__name__}.{module}"), cls)()
        if any(package.is_neuron(inner) for inner in network.modules()):
            found.append(package)
    if len(found) != 1:
        held = " and ".join(package.name for package in found) or "none"
        raise InputError(
            f"expected a network with spiking neurons of one of {', '.join(TABLE)}; "
            f"{type(network).__name__} holds {'those of ' if found else ''}{held}"
        )
    return found[0]
