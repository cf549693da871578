"""Residual networks for small images: ResNet-18 (He et al. 2016, arXiv 1512.03385) with the stem of its CIFAR form.

The stem is one 3 x 3 convolution, without max-pooling; four stages of two basic blocks have ``width``, 2, 4 and 8 times
``width`` channels, and each stage but the first halves the side of the image.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


class ResNet18(nn.Module):
    """Normalised images ``(n, 3, h, w)`` to logits ``(n, classes)``.

    Args:
        width: channels of the stem and of the first stage; 64 as published.
        classes: logits.

    Attributes:
        layers: names of the larger ones, from the image to the logits.
    """

    layers = ("stem", "layer1", "layer2", "layer3", "layer4", "output")

    def __init__(self, width: int = 64, classes: int = 10) -> None:
        super().__init__()
        self.stem = nn.Sequential(_convolution(3, width), nn.BatchNorm2d(width), nn.ReLU())
        fan_in = width
        for stage in range(1, 5):
            fan_out = width * 2 ** (stage - 1)
            first = BasicBlock(fan_in, fan_out, stride=1 if stage == 1 else 2)
            self.add_module(f"layer{stage}", nn.Sequential(first, BasicBlock(fan_out, fan_out)))
            fan_in = fan_out
        self.output = nn.Linear(fan_in, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``(n, classes)``."""
        features = images
        for layer in self.layers[:-1]:
            features = self.get_submodule(layer)(features)
        logits: Tensor = self.output(features.mean((2, 3)))
        return logits


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions added to the input, which a 1 x 1 convolution brings to their shape where it differs."""

    def __init__(self, fan_in: int, fan_out: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1, self.norm1 = _convolution(fan_in, fan_out, stride), nn.BatchNorm2d(fan_out)
        self.conv2, self.norm2 = _convolution(fan_out, fan_out), nn.BatchNorm2d(fan_out)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or fan_in != fan_out:
            self.shortcut = nn.Sequential(nn.Conv2d(fan_in, fan_out, 1, stride, bias=False), nn.BatchNorm2d(fan_out))

    def forward(self, features: Tensor) -> Tensor:
        """``(n, fan_in, h, w)`` to ``(n, fan_out, h / stride, w / stride)``."""
        inner = F.relu(self.norm1(self.conv1(features)))
        return F.relu(self.norm2(self.conv2(inner)) + self.shortcut(features))


def _convolution(fan_in: int, fan_out: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(fan_in, fan_out, 3, stride, padding=1, bias=False)
