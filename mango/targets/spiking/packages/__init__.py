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
}


class Neuron(ABC):
    """A layer of neurons, stepped by the package's own code.

    Attributes:
        alike: whether each neuron follows its own current alone, all by the same parameters, so that some of the layer
            can be stepped without the others.
        dynamics: what the kernels need to do the same; None where only the package can.
    """

    alike: bool
    dynamics: Dynamics | None

    @abstractmethod
    def reset(self) -> None:
        """To the state before the first step."""

    @abstractmethod
    def step(self, current: Tensor) -> tuple[Tensor, Tensor]:
        """Spikes and membrane potential after one step with the input current ``(n, ...)``."""

    @abstractmethod
    def without_reset(self) -> Neuron:
        """The same neuron, whose spikes leave its potential alone."""


class Package(ABC):
    """What mango must know of a package."""

    name: str

    @abstractmethod
    def is_neuron(self, module: nn.Module) -> bool:
        """Whether the module is one of its neurons."""

    @abstractmethod
    def takes_time(self, network: nn.Module) -> bool:
        """Whether its neurons take whole trains ``(steps, n, ...)`` instead of one step ``(n, ...)``."""

    @abstractmethod
    def reset(self, network: nn.Module) -> None:
        """Every neuron of the network to the state before the first step."""

    @abstractmethod
    def step(self, network: nn.Module, current: Tensor, state: object) -> object:
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
