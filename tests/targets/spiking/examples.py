"""Small networks with random weights that spike neither never nor always, and stimuli for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import snntorch
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mango.space import SearchSpace

SHAPE = (2, 12, 12)


def stimuli(n: int, shape: Sequence[int] = SHAPE, seed: int = 0) -> NDArray[np.float32]:
    """Uniform noise in steps of 1/255, each of another contrast."""
    rng = np.random.default_rng(seed)
    noise = rng.integers(0, 256, (n, *shape)) * rng.uniform(0.2, 1, (n, *[1] * len(shape)))
    return (noise.round() / 255).astype(np.float32)


class Intensities:
    """Decodes a code in [0, 1] to itself."""

    space = SearchSpace.box(6, 0.0, 1.0)
    stimulus_shape = (6,)

    def decode(self, codes: NDArray[np.float64]) -> NDArray[np.float64]:
        return self.space.validate(codes)


def leaky(**options: Any) -> snntorch.Leaky:
    return snntorch.Leaky(**{"beta": 0.9, "threshold": 0.6, "init_hidden": True, **options})


def convolutional(colours: int = SHAPE[0], **options: Any) -> nn.Sequential:
    """Layers ``"2"`` (6, 5, 5), ``"4"`` (8, 3, 3) and ``"7"`` (5,); options are those of the second one's neurons."""
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(colours, 6, 3),
        nn.AvgPool2d(2),
        leaky(threshold=0.3),
        nn.Conv2d(6, 8, 3),
        leaky(**options),
        nn.Flatten(),
        nn.Linear(72, 5),
        leaky(threshold=0.2),
    )
    with torch.no_grad():
        for module in (network[0], network[3], network[6]):
            module.weight.mul_(2)
    return network


class Deciding(nn.Module):
    """The same, with a decision that depends on values: it can only be evaluated by its own loop."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = convolutional()

    def forward(self, images: Tensor) -> Tensor:
        if images.sum() < 0:
            return images
        answer: Tensor = self.inner(images)
        return answer


class Looping(nn.Module):
    """Makes its own steps."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.steps, self.linear, self.neurons = steps, nn.Linear(20, 4), leaky(init_hidden=False)

    def forward(self, x: Tensor) -> Tensor:
        membrane, spikes = self.neurons.reset_mem(), []
        for _ in range(self.steps):
            spike, membrane = self.neurons(self.linear(x), membrane)
            spikes.append(spike)
        return torch.stack(spikes)
