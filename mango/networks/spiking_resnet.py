"""A residual spiking classifier of small images on SpikingJelly's neurons (Fang et al. 2023), which must be installed.

The structure of ``spikingjelly.activation_based.model.spiking_resnet18`` (the sum before the second neuron of a block)
without its first stride and pooling, and with neurons after the last layer. It is written here because that module
needs a torchvision built for the same torch. Each neuron follows ``V <- V + (I - V) / 2`` and is set to 0 by its spike,
threshold 1. Direct coding: the normalised image is the same input current at every step.
"""

from __future__ import annotations

from torch import Tensor, nn

from mango.errors import OptionError

try:
    from spikingjelly.activation_based import layer, neuron, surrogate
except ModuleNotFoundError as error:
    raise OptionError("this network needs the package spikingjelly: pip install 'mango-neuro[spikingjelly]'") from error


class SpikingResNet18(nn.Module):
    """A stem, four stages of two blocks, and a read-out; called once a step, or with trains in multi-step mode.

    Neurons are ``sn1``, ``layer1.0.sn1`` to ``layer4.1.sn2``, and ``output``.

    Args:
        width: channels of the first stage; each other stage has twice as many as the one before.
        classes: neurons of the read-out.

    Attributes:
        steps: T, for which it is meant.
    """

    steps = 4

    def __init__(self, width: int = 64, classes: int = 10) -> None:
        super().__init__()
        self.stem = nn.Sequential(layer.Conv2d(3, width, 3, padding=1, bias=False), layer.BatchNorm2d(width))
        self.sn1 = _neuron()
        stages = []
        for i, channels in enumerate(width * 2**i for i in range(4)):
            before, stride = (width, 1) if i == 0 else (channels // 2, 2)
            stages.append(nn.Sequential(_Block(before, channels, stride), _Block(channels, channels, 1)))
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.avgpool = layer.AdaptiveAvgPool2d((1, 1))
        self.flatten = layer.Flatten()
        self.fc = layer.Linear(8 * width, classes)
        self.output = _neuron()

    def forward(self, images: Tensor) -> Tensor:
        """Spikes of one step, or of all in multi-step mode."""
        return self.after(self.stem(images))

    def after(self, current: Tensor) -> Tensor:
        """The same, of the first neuron's current."""
        spikes: Tensor = self.output(self.read_out(current))
        return spikes

    def read_out(self, current: Tensor) -> Tensor:
        """The read-out's current, of the first neuron's."""
        signal = self.layer4(self.layer3(self.layer2(self.layer1(self.sn1(current)))))
        currents: Tensor = self.fc(self.flatten(self.avgpool(signal)))
        return currents


class _Block(nn.Module):
    def __init__(self, before: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = layer.Conv2d(before, channels, 3, stride=stride, padding=1, bias=False)
        self.bn1, self.sn1 = layer.BatchNorm2d(channels), _neuron()
        self.conv2 = layer.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2, self.sn2 = layer.BatchNorm2d(channels), _neuron()
        self.downsample = None
        if stride > 1:
            shortcut = layer.Conv2d(before, channels, 1, stride=stride, bias=False)
            self.downsample = nn.Sequential(shortcut, layer.BatchNorm2d(channels))

    def forward(self, signal: Tensor) -> Tensor:
        out = self.bn2(self.conv2(self.sn1(self.bn1(self.conv1(signal)))))
        out += signal if self.downsample is None else self.downsample(signal)
        spikes: Tensor = self.sn2(out)
        return spikes


def _neuron() -> neuron.LIFNode:
    return neuron.LIFNode(tau=2.0, surrogate_function=surrogate.ATan(alpha=2.0), detach_reset=True)
