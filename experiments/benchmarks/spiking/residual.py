"""A small network of snnTorch's neurons with residual sums."""

from __future__ import annotations

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
