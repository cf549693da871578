"""A plain convolutional network for small images (Simonyan and Zisserman 2015, arXiv 1409.1556), without shortcuts.

Four stages of two 3 x 3 convolutions, each with batch normalisation and ReLU; max-pooling between the stages.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


class VGG(nn.Module):
    """Normalised images ``(n, 3, h, w)`` to logits ``(n, classes)``.

    Args:
        width: channels of the first stage; the others have 2, 4 and 8 times as many.
        classes: logits.

    Attributes:
        layers: names of the larger ones, from the image to the logits.
    """

    layers = ("stage1", "stage2", "stage3", "stage4", "output")

    def __init__(self, width: int = 32, classes: int = 10) -> None:
        super().__init__()
        fan_in = 3
        for stage in range(1, 5):
            fan_out = width * 2 ** (stage - 1)
            self.add_module(f"stage{stage}", nn.Sequential(_unit(fan_in, fan_out), _unit(fan_out, fan_out)))
            fan_in = fan_out
        self.output = nn.Linear(fan_in, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``(n, classes)``."""
        features = images
        for number, stage in enumerate(self.layers[:-1]):
            features = self.get_submodule(stage)(features if number == 0 else F.max_pool2d(features, 2))
        logits: Tensor = self.output(features.amax((2, 3)))
        return logits


def _unit(fan_in: int, fan_out: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(fan_in, fan_out, 3, padding=1, bias=False), nn.BatchNorm2d(fan_out), nn.ReLU())
