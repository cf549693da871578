"""A convolutional spiking classifier of small images on snnTorch neurons (Eshraghian et al. 2023, arXiv 2109.12894).

Direct coding: the normalised image is the same input current at every step. Each neuron follows
``U <- beta U + I - S`` with ``S`` the spike of the step before (reset by subtraction, threshold 1).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import snntorch
import torch
from snntorch import surrogate
from torch import Tensor, nn

BETA = 0.9
LAYERS = ("lif1", "lif2", "lif3", "output")


class LayeredNet(nn.Module):
    """Four spiking layers in a row, names as in `LAYERS`; a network says by `currents` what lies between them.

    Attributes:
        steps: T, for which it is meant.
    """

    steps: int

    def currents(self, layer: int, spikes: Tensor) -> Tensor:
        """Input current of spiking layer ``layer`` (1 to 4, 4 the read-out) from the spikes of the layer below."""
        raise NotImplementedError

    def forward(self, images: Tensor, steps: int | None = None) -> Tensor:
        """Read-out spikes ``(steps, n, classes)`` of normalised images ``(n, 3, size, size)``, step by step.

        Args:
            images: the input current at every step.
            steps: by default those that the network is meant for.
        """
        neurons: list[Any] = [self.get_submodule(name) for name in LAYERS]
        membranes = [neuron.reset_mem() for neuron in neurons]
        first = self.currents(1, images)
        spikes_out = []
        for _ in range(self.steps if steps is None else steps):
            signal = first
            for i, neuron in enumerate(neurons):
                current = signal if i == 0 else self.currents(i + 1, signal)
                signal, membranes[i] = neuron(current, membranes[i])
            spikes_out.append(signal)
        return torch.stack(spikes_out)


class SpikingConvNet(LayeredNet):
    """Three convolutional spiking layers and a spiking read-out, layer names ``lif1 lif2 lif3 output``.

    Args:
        channels: of the three convolutional layers.
        classes: neurons of the read-out.
        size: side of the square input image, a multiple of 8.
    """

    steps = 32

    def __init__(self, channels: Sequence[int] = (64, 128, 256), classes: int = 10, size: int = 32) -> None:
        super().__init__()
        widths = [3, *channels]
        for i, (fan_in, fan_out) in enumerate(pairwise(widths), start=1):
            self.add_module(f"conv{i}", nn.Conv2d(fan_in, fan_out, 3, padding=1, bias=False))
            self.add_module(f"pool{i}", nn.AvgPool2d(2))
            self.add_module(f"norm{i}", nn.BatchNorm2d(fan_out))
            self.add_module(f"lif{i}", leaky())
        self.flatten = nn.Flatten()
        self.linear = nn.Linear(widths[-1] * (size // 8) ** 2, classes)
        self.output = leaky()

    def currents(self, layer: int, spikes: Tensor) -> Tensor:
        """See `LayeredNet.currents`."""
        if layer == 4:
            current: Tensor = self.linear(self.flatten(spikes))
            return current
        block = (self.get_submodule(f"{kind}{layer}") for kind in ("conv", "pool", "norm"))
        for module in block:
            spikes = module(spikes)
        return spikes


def leaky() -> snntorch.Leaky:
    """A neuron of these networks."""
    return snntorch.Leaky(
        beta=BETA, threshold=1.0, reset_mechanism="subtract", spike_grad=surrogate.fast_sigmoid(slope=10)
    )
