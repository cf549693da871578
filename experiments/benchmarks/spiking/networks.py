"""The networks that are measured: untrained but for the zoo's, of the sizes that users have; each seeded with 0.

Where a network normalises batches, its statistics are taken from 64 generated images, so that every layer spikes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn

from experiments.benchmarks.spiking import images
from mango.targets.preprocess import PREPROCESS, Preprocess

GREY = (1, 28, 28)
COLOUR = (3, 32, 32)


@dataclass(frozen=True)
class Case:
    """A network and how it is shown images.

    Attributes:
        words: what it is.
        package: whose neurons it has.
        steps: T.
        make: the network, in eval mode.
        middle: a layer of interest inside, its channel 0.
        shape: of a stimulus.
        preprocess: before the network.
        batches: at which it is timed.
        channels_last: whether mango is given it so.
        gain: on the weights of the default initialisation, so that every layer spikes.
    """

    words: str
    package: str
    steps: int
    make: Callable[[], nn.Module]
    middle: str
    shape: tuple[int, int, int] = COLOUR
    preprocess: Preprocess = Preprocess()  # noqa: RUF009 (frozen)
    batches: tuple[int, ...] = (1, 16, 64)
    channels_last: bool = False
    gain: float = 1.0

    def build(self) -> nn.Module:
        """The network, the same at every call.

        Raises:
            ModuleNotFoundError: its package is not installed.
        """
        torch.manual_seed(0)
        network = self.make().eval().requires_grad_(False)
        for module in network.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)) and self.gain != 1:
                module.weight *= self.gain
        norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
        if norms and self.package != "zoo":
            self._take_statistics(network, norms)
        return network

    def shown(self, kind: str, n: int, data: str | None) -> Tensor:
        """Stimuli in [0, 1], ``(n, *shape)``."""
        return images.KINDS[kind](n, self.shape, data)

    def _take_statistics(self, network: nn.Module, norms: Sequence[nn.BatchNorm2d]) -> None:
        from experiments.benchmarks.spiking.ways import reset

        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # the mean over what is shown
            norm.train()
        stimuli = self.preprocess(images.generated(64, self.shape, None))
        reset(network, self.package)
        with torch.no_grad():
            for _ in range(min(self.steps, 4)):
                network(stimuli)
        reset(network, self.package)
        network.eval()


def available() -> dict[str, Case]:
    """The cases whose packages are installed."""
    modules = {"snntorch": "snntorch", "zoo": "snntorch", "spikingjelly": "spikingjelly", "norse": "norse"}
    return {name: case for name, case in TABLE.items() if find_spec(modules[case.package])}


def _leaky(beta: float = 0.9, **options: Any) -> nn.Module:
    import snntorch

    return snntorch.Leaky(beta=beta, init_hidden=True, **options)


def _t128() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 200, 5),
        nn.MaxPool2d(2),
        _leaky(),
        nn.Conv2d(200, 64, 5),
        nn.MaxPool2d(2),
        _leaky(),
        nn.Flatten(),
        nn.Linear(1600, 100),
        _leaky(),
        nn.Linear(100, 10),
        _leaky(output=True),
    )


def _zoo() -> nn.Module:
    from mango import zoo

    return zoo.load("snn-cifar10")


def _connected() -> nn.Module:
    return nn.Sequential(
        nn.Flatten(), nn.Linear(784, 1000), _leaky(0.95), nn.Linear(1000, 10), _leaky(0.95, output=True)
    )


def _synaptic() -> nn.Module:
    import snntorch

    return nn.Sequential(
        nn.Conv2d(3, 32, 5),
        nn.MaxPool2d(2),
        snntorch.Synaptic(alpha=0.9, beta=0.8, init_hidden=True),
        nn.Conv2d(32, 64, 5),
        nn.MaxPool2d(2),
        snntorch.Alpha(alpha=0.9, beta=0.8, init_hidden=True),
        nn.Flatten(),
        nn.Linear(1600, 10),
        snntorch.Synaptic(alpha=0.9, beta=0.8, init_hidden=True, output=True),
    )


def _residual() -> nn.Module:
    from experiments.benchmarks.spiking.residual import Residual

    return Residual()


def _jelly_resnet() -> nn.Module:
    from mango.networks.spiking_resnet import SpikingResNet18

    return SpikingResNet18()


def _jelly_conv() -> nn.Module:
    from spikingjelly.activation_based import layer, neuron

    c = 128
    return nn.Sequential(
        *_jelly_block(layer, neuron, 1, c),
        *_jelly_block(layer, neuron, c, c),
        layer.Flatten(),
        layer.Linear(c * 49, c * 16, bias=False),
        neuron.IFNode(),
        layer.Linear(c * 16, 10, bias=False),
        neuron.IFNode(),
    )


def _jelly_block(layer: Any, neuron: Any, inputs: int, outputs: int) -> Sequence[nn.Module]:
    return (
        layer.Conv2d(inputs, outputs, 3, padding=1, bias=False),
        layer.BatchNorm2d(outputs),
        neuron.IFNode(),
        layer.MaxPool2d(2, 2),
    )


def _norse() -> nn.Module:
    import norse.torch as norse

    return norse.SequentialState(
        nn.Conv2d(1, 20, 5),
        norse.LIFCell(),
        nn.MaxPool2d(2, 2),
        nn.Conv2d(20, 50, 5),
        norse.LIFCell(),
        nn.MaxPool2d(2, 2),
        nn.Flatten(),
        nn.Linear(800, 500),
        norse.LIFCell(),
        nn.Linear(500, 10),
        norse.LIFCell(),
    )


TABLE: dict[str, Case] = {
    "t128": Case("snnTorch, conv 200 k5 - conv 64 k5 - 100 - 10, T 128, images in [0, 1]", "snntorch", 128, _t128, "5"),
    "snn-cifar10": Case(
        "the zoo's, snnTorch, conv 64 - 128 - 256 k3 - 10, trained, T 32", "zoo", 32, _zoo, "lif2",
        preprocess=PREPROCESS, channels_last=True,
    ),
    "fc": Case("snnTorch, 784 - 1000 - 10, T 100", "snntorch", 100, _connected, "2", GREY),
    "synaptic": Case("snnTorch, Synaptic and Alpha, conv 32 - 64 k5 - 10, T 32", "snntorch", 32, _synaptic, "5",
                     preprocess=PREPROCESS),
    "residual": Case("snnTorch, two residual blocks of 64 channels, T 32", "snntorch", 32, _residual, "blocks.0.lif2",
                     preprocess=PREPROCESS),
    "jelly-conv": Case("SpikingJelly, its Fashion-MNIST example, 128 channels, IF, T 4", "spikingjelly", 4, _jelly_conv,
                       "6", GREY, gain=3),
    "jelly-resnet18": Case("SpikingJelly's ResNet-18 at CIFAR's size, LIF, T 8", "spikingjelly", 8, _jelly_resnet,
                           "layer2.0.sn2", preprocess=PREPROCESS, batches=(1, 16),
                           gain=24),
    "norse-conv": Case("Norse, conv 20 - 50 k5 - 500 - 10, LIF, T 32", "norse", 32, _norse, "4", GREY, gain=3),
    "t128-normalised": Case(
        "the same, images normalised", "snntorch", 128, _t128, "5", preprocess=PREPROCESS, batches=(1, 16)
    ),
}  # fmt: skip
