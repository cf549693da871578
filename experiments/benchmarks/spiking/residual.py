"""Networks with residual sums: a small one of snnTorch's neurons, and SpikingJelly's ResNet-18 at CIFAR's size.

The latter has the structure of ``spikingjelly.activation_based.model.spiking_resnet18`` (the sum before the second
neuron of a block) without its first stride and pooling, and with neurons after the last layer. It is written here
because that module needs a torchvision built for the same torch.
"""

from __future__ import annotations

from typing import Any

import snntorch
from torch import Tensor, nn

BETA = 0.9


class Residual(nn.Module):
    """A stem and two residual blocks on snnTorch's neurons."""

    def __init__(self, channels: int = 64) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels))
        self.lif0 = _leaky()
        self.pool = nn.AvgPool2d(2)
        self.blocks = nn.ModuleList(_Block(channels) for _ in range(2))
        self.flatten = nn.Flatten()
        self.linear = nn.Linear(channels * 64, 10)
        self.output = _leaky()

    def forward(self, images: Tensor) -> Tensor:
        """Spikes of one step."""
        return self.after(self.stem(images))

    def after(self, current: Tensor) -> Tensor:
        """Spikes of one step, of the first neuron's current."""
        signal = self.pool(self.lif0(current))
        for block in self.blocks:
            signal = block(signal)
        spikes: Tensor = self.output(self.linear(self.flatten(self.pool(signal))))
        return spikes


class _Block(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm1, self.lif1 = nn.BatchNorm2d(channels), _leaky()
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm2, self.lif2 = nn.BatchNorm2d(channels), _leaky()

    def forward(self, signal: Tensor) -> Tensor:
        inner = self.norm2(self.conv2(self.lif1(self.norm1(self.conv1(signal)))))
        spikes: Tensor = self.lif2(inner + signal)
        return spikes


def _leaky() -> nn.Module:
    return snntorch.Leaky(beta=BETA, init_hidden=True)


class JellyResNet18(nn.Module):
    """A stem and four stages of two blocks each, 64 to 512 channels, on SpikingJelly's LIF."""

    def __init__(self) -> None:
        from spikingjelly.activation_based import layer, neuron

        super().__init__()
        self.stem = nn.Sequential(layer.Conv2d(3, 64, 3, padding=1, bias=False), layer.BatchNorm2d(64))
        self.sn1 = neuron.LIFNode()
        stages = []
        for i, channels in enumerate((64, 128, 256, 512)):
            before, stride = (64, 1) if i == 0 else (channels // 2, 2)
            stages.append(
                nn.Sequential(
                    _JellyBlock(before, channels, stride, layer, neuron),
                    _JellyBlock(channels, channels, 1, layer, neuron),
                )
            )
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.avgpool = layer.AdaptiveAvgPool2d((1, 1))
        self.flatten = layer.Flatten()
        self.fc = layer.Linear(512, 10)
        self.output = neuron.LIFNode()

    def forward(self, images: Tensor) -> Tensor:
        """Spikes of one step, or of all in multi-step mode."""
        return self.after(self.stem(images))

    def after(self, current: Tensor) -> Tensor:
        """The same, of the first neuron's current."""
        signal = self.layer4(self.layer3(self.layer2(self.layer1(self.sn1(current)))))
        spikes: Tensor = self.output(self.fc(self.flatten(self.avgpool(signal))))
        return spikes


class _JellyBlock(nn.Module):
    def __init__(self, before: int, channels: int, stride: int, layer: Any, neuron: Any) -> None:
        super().__init__()
        self.conv1 = layer.Conv2d(before, channels, 3, stride=stride, padding=1, bias=False)
        self.bn1, self.sn1 = layer.BatchNorm2d(channels), neuron.LIFNode()
        self.conv2 = layer.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2, self.sn2 = layer.BatchNorm2d(channels), neuron.LIFNode()
        self.downsample = None
        if stride > 1:
            shortcut = layer.Conv2d(before, channels, 1, stride=stride, bias=False)
            self.downsample = nn.Sequential(shortcut, layer.BatchNorm2d(channels))

    def forward(self, signal: Tensor) -> Tensor:
        out = self.bn2(self.conv2(self.sn1(self.bn1(self.conv1(signal)))))
        out += signal if self.downsample is None else self.downsample(signal)
        spikes: Tensor = self.sn2(out)
        return spikes
