"""Spectrally normalised adversarial network of small images (Miyato et al. 2018, arXiv 1802.05957).

A generator draws an image ``(3, 32, 32)`` from unit-normal ``z``; a discriminator whose layers have spectral norm 1
tells it from natural ones. Both are residual, with four resolutions, 4 x 4 to 32 x 32. In a block the convolution that
changes the number of channels works at the lower resolution, which costs a quarter of the arithmetic and is ours.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm
from torch.nn.utils.parametrize import remove_parametrizations

LEAST = 4  # pixels along a side of the smallest map


class SNGAN(nn.Module):
    """Generator and discriminator.

    Args:
        latent: length of ``z``.
        generator: channels at 4 x 4, 8 x 8, 16 x 16 and 32 x 32; (256, 256, 256, 256) as published.
        discriminator: channels at 16 x 16, 8 x 8, 4 x 4 and inside the last block; (128, 128, 128, 128) as published.

    The discriminator's weights are those that its forward pass uses, already divided by their norm; see `normalise`.
    """

    def __init__(
        self,
        latent: int = 128,
        generator: Sequence[int] = (256, 128, 64, 32),
        discriminator: Sequence[int] = (48, 96, 128, 128),
    ) -> None:
        super().__init__()
        self.latent = latent
        self.generator = Generator(latent, generator)
        self.discriminator = Discriminator(discriminator)

    def forward(self, z: Tensor) -> Tensor:
        """Images ``(n, 3, 32, 32)`` in [0, 1] of ``z`` ``(n, latent)``."""
        images: Tensor = self.generator(z)
        return images

    def score(self, images: Tensor) -> Tensor:
        """How natural the discriminator holds images ``(n, 3, 32, 32)`` in [0, 1] to be, ``(n,)``: larger is more."""
        scores: Tensor = self.discriminator(images)
        return scores


class Generator(nn.Module):
    """``z`` ``(n, latent)`` to images ``(n, 3, 32, 32)`` in [0, 1], which a hyperbolic tangent bounds."""

    def __init__(self, latent: int, channels: Sequence[int]) -> None:
        super().__init__()
        self.first = nn.Linear(latent, channels[0] * LEAST**2)
        self.blocks = nn.Sequential(*map(UpBlock, channels[:-1], channels[1:]))
        self.norm = nn.BatchNorm2d(channels[-1])
        self.last = nn.Conv2d(channels[-1], 3, 3, padding=1)

    def forward(self, z: Tensor) -> Tensor:
        """Images."""
        features = self.first(z).view(len(z), -1, LEAST, LEAST).contiguous(memory_format=torch.channels_last)
        images: Tensor = (torch.tanh(self.last(F.relu(self.norm(self.blocks(features))))) + 1) / 2
        return images


class UpBlock(nn.Module):
    """Batch norm, ReLU, convolution, twice, on the way to twice the side; added to a 1 x 1 convolution of its input."""

    def __init__(self, fan_in: int, fan_out: int) -> None:
        super().__init__()
        self.norm1, self.conv1 = nn.BatchNorm2d(fan_in), nn.Conv2d(fan_in, fan_out, 3, padding=1)
        self.norm2, self.conv2 = nn.BatchNorm2d(fan_out), nn.Conv2d(fan_out, fan_out, 3, padding=1)
        self.shortcut = nn.Conv2d(fan_in, fan_out, 1)

    def forward(self, features: Tensor) -> Tensor:
        """``(n, fan_in, h, w)`` to ``(n, fan_out, 2h, 2w)``."""
        inner = self.conv1(F.relu(self.norm1(features)))
        inner = self.conv2(F.interpolate(F.relu(self.norm2(inner)), scale_factor=2.0))
        out: Tensor = inner + F.interpolate(self.shortcut(features), scale_factor=2.0)
        return out


class Discriminator(nn.Module):
    """Images ``(n, 3, 32, 32)`` in [0, 1] to scores ``(n,)``."""

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        self.blocks = nn.Sequential(
            DownBlock(3, channels[0], first=True),
            DownBlock(channels[0], channels[1]),
            DownBlock(channels[1], channels[2]),
            DownBlock(channels[2], channels[3], shrinks=False),
        )
        self.last = nn.Linear(channels[3], 1)

    def forward(self, images: Tensor) -> Tensor:
        """Scores."""
        scores: Tensor = self.last(F.relu(self.blocks(2 * images - 1)).sum((2, 3)))[:, 0]
        return scores


class DownBlock(nn.Module):
    """ReLU and convolution, twice, on the way to half the side; added to a 1 x 1 convolution of its input."""

    def __init__(self, fan_in: int, fan_out: int, *, first: bool = False, shrinks: bool = True) -> None:
        super().__init__()
        inner = fan_out // 2 if first else fan_in
        self.first, self.shrinks = first, shrinks
        self.conv1 = nn.Conv2d(fan_in, inner, 3, padding=1)
        self.conv2 = nn.Conv2d(inner, fan_out, 3, padding=1)
        self.shortcut = nn.Conv2d(fan_in, fan_out, 1)

    def forward(self, features: Tensor) -> Tensor:
        """``(n, fan_in, h, w)`` to ``(n, fan_out, h / 2, w / 2)``."""
        inner = F.relu(self.conv1(features if self.first else F.relu(features)))
        if self.shrinks:
            inner, features = F.avg_pool2d(inner, 2), F.avg_pool2d(features, 2)
        out: Tensor = self.conv2(inner) + self.shortcut(features)
        return out


def normalise(network: nn.Module) -> None:
    """From now on divides the weights of every convolution and linear layer by their largest singular value.

    One power iteration in each training pass estimates it (Miyato et al. 2018, algorithm 1), as torch has it.
    """
    for layer in _layers(network):
        spectral_norm(layer)


def settle(network: nn.Module) -> None:
    """Leaves the layers of `normalise` as they are in eval mode, with weights that nothing changes any more."""
    for layer in _layers(network.eval()):
        remove_parametrizations(layer, "weight")


def _layers(network: nn.Module) -> list[nn.Module]:
    return [layer for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
