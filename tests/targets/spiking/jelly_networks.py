"""Networks of SpikingJelly in every style that users write, with random weights under which each layer spikes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from tests.optional import optional
from tests.targets.spiking.reference import Run, at_once, step_by_step, with_trains

optional("spikingjelly.activation_based")
from spikingjelly.activation_based import functional, layer, neuron, surrogate  # noqa: E402

SHAPE = (3, 16, 16)
STEPS = 6


class Case(NamedTuple):
    """A network, how its author runs it, and whether mango evaluates it over all steps at once."""

    build: Callable[[], nn.Module]
    run: Run
    traced: bool = True


def chain(mode: str, node: Callable[..., nn.Module], **options: Any) -> nn.Module:
    """Wrapped layers in a row, in one step mode."""
    network = nn.Sequential(
        layer.Conv2d(3, 8, 3, padding=1, bias=False),
        layer.BatchNorm2d(8),
        node(surrogate_function=surrogate.ATan(), **options),
        layer.MaxPool2d(2, 2),
        layer.Conv2d(8, 16, 3, padding=1),
        layer.BatchNorm2d(16),
        node(detach_reset=True, **options),
        layer.AvgPool2d(2, 2),
        layer.Flatten(),
        layer.Dropout(0.5),
        layer.Linear(256, 10),
        node(**options),
    )
    functional.set_step_mode(network, mode)
    return stronger(network, 6)


class Tutorial(nn.Module):
    """Repeats the image itself, and votes."""

    def __init__(self) -> None:
        super().__init__()
        self.T = STEPS
        self.conv_fc = nn.Sequential(
            layer.Conv2d(3, 8, 3, padding=1, bias=False),
            layer.BatchNorm2d(8),
            neuron.IFNode(surrogate_function=surrogate.ATan()),
            layer.MaxPool2d(2, 2),
            layer.Conv2d(8, 8, 3, padding=1, bias=False),
            layer.BatchNorm2d(8),
            neuron.IFNode(surrogate_function=surrogate.ATan()),
            layer.MaxPool2d(2, 2),
            layer.Flatten(),
            layer.Linear(128, 20, bias=False),
            neuron.IFNode(),
            layer.VotingLayer(10),
        )
        functional.set_step_mode(self, "m")
        stronger(self)

    def forward(self, x: Tensor) -> Tensor:
        rates: Tensor = self.conv_fc(x.unsqueeze(0).repeat(self.T, 1, 1, 1, 1)).mean(0)
        return rates


class StaticFirst(nn.Module):
    """The first layers once, then repeated in place; a container of plain layers."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.rest = nn.Sequential(
            neuron.IFNode(),
            layer.SeqToANNContainer(nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)),
            neuron.IFNode(),
            layer.Flatten(),
            layer.Linear(2048, 10),
            neuron.LIFNode(tau=2.0, decay_input=False),
        )
        functional.set_step_mode(self.rest, "m")
        stronger(self, 6)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.conv(x))
        x.unsqueeze_(0)
        rates: Tensor = self.rest(x.repeat(STEPS, 1, 1, 1, 1)).mean(0)
        return rates


class OwnLoop(nn.Module):
    """Single-step nodes in a loop of its own, which resets them."""

    def __init__(self) -> None:
        super().__init__()
        self.flat, self.fc1, self.lif1 = layer.Flatten(), layer.Linear(768, 30), neuron.LIFNode(decay_input=False)
        self.fc2, self.lif2 = layer.Linear(30, 10), neuron.LIFNode(decay_input=False)
        stronger(self)

    def forward(self, x: Tensor) -> Tensor:
        functional.reset_net(self)
        rates = torch.zeros(x.size(0), 10)
        for _ in range(STEPS):
            rates += self.lif2(self.fc2(self.lif1(self.fc1(self.flat(x)))))
        return rates / STEPS


class Folding(nn.Module):
    """Takes trains and folds steps and images together itself, around plain torch layers."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.first = nn.Conv2d(3, 8, 3, padding=1), neuron.IFNode(step_mode="m")
        self.fc, self.second = nn.Linear(2048, 10), neuron.IFNode(step_mode="m")
        stronger(self)

    def forward(self, x: Tensor) -> Tensor:
        steps, n, colours, height, width = x.shape
        y = self.conv(x.view(steps * n, colours, height, width))
        y = self.first(y.view(steps, n, 8, height, width))
        answer: Tensor = self.second(self.fc(y.flatten(2)))
        return answer


class Filtered(nn.Module):
    """A layer with a state that is no neuron's."""

    def __init__(self) -> None:
        super().__init__()
        self.flat, self.fc1, self.lif1 = layer.Flatten(), layer.Linear(768, 30), neuron.IFNode()
        self.filter, self.fc2, self.lif2 = layer.SynapseFilter(tau=3.0), layer.Linear(30, 10), neuron.IFNode()
        stronger(self)

    def forward(self, x: Tensor) -> Tensor:
        answer: Tensor = self.lif2(self.fc2(self.filter(self.lif1(self.fc1(self.flat(x))))))
        return answer


def container() -> nn.Module:
    """Single-step layers, run over trains by a container."""
    first, last = layer.Conv2d(3, 8, 3), layer.Linear(1568, 10)
    return stronger(layer.MultiStepContainer(first, neuron.IFNode(), layer.Flatten(), last, neuron.IFNode()))


def recurrent() -> nn.Module:
    """A container that feeds spikes back."""
    inner = layer.LinearRecurrentContainer(neuron.IFNode(), in_features=20, out_features=20, bias=True)
    return stronger(nn.Sequential(layer.Flatten(), layer.Linear(768, 20), inner, layer.Linear(20, 10), neuron.IFNode()))


def stronger(network: nn.Module, factor: float = 2.5) -> nn.Module:
    """With larger weights, so that spikes reach the last layer."""
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                module.weight.mul_(factor)
    return network


def _reset_first(run: Run) -> Run:
    def called(network: nn.Module, images: Tensor, steps: int) -> None:
        functional.reset_net(network)
        run(network, images, steps)

    return called


STEP, ONCE, TRAINS = (_reset_first(run) for run in (step_by_step, at_once, with_trains))
CASES = {
    "if step": Case(lambda: chain("s", neuron.IFNode, v_reset=None), STEP),
    "if trains": Case(lambda: chain("m", neuron.IFNode, v_reset=-0.1, v_threshold=0.7), TRAINS),
    "lif step": Case(lambda: chain("s", neuron.LIFNode, tau=2.0, v_threshold=0.5), STEP),
    "lif trains": Case(lambda: chain("m", neuron.LIFNode, tau=3.0, v_reset=None, v_threshold=0.3), TRAINS),
    "lif undecayed": Case(lambda: chain("m", neuron.LIFNode, tau=3.0, decay_input=False), TRAINS),
    "plif step": Case(lambda: chain("s", neuron.ParametricLIFNode, init_tau=2.5, v_threshold=0.4), STEP),
    "plif undecayed": Case(
        lambda: chain("m", neuron.ParametricLIFNode, init_tau=2.5, decay_input=False, v_reset=0.1), TRAINS
    ),
    "eif": Case(lambda: chain("m", neuron.EIFNode, tau=2.0, v_threshold=0.4, v_reset=0.0, v_rest=0.0), TRAINS),
    "tutorial": Case(Tutorial, ONCE),
    "static first": Case(StaticFirst, ONCE),
    "own loop": Case(OwnLoop, ONCE),
    "folding": Case(Folding, TRAINS),
    "filtered": Case(Filtered, STEP, traced=False),
    "container": Case(container, TRAINS, traced=False),
    "recurrent": Case(recurrent, STEP, traced=False),
}


def build(name: str) -> nn.Module:
    """A network of ``CASES`` with its weights from one seed."""
    torch.manual_seed(0)
    return CASES[name].build()
