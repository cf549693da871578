"""Deep generator network: turns features of a classifier's hidden layer back into the image that has them.

The features are the third stage of a `VGG`, averaged over the quarters of the image; the generator is that of
`mango.networks.sngan`, with features in place of ``z`` (Dosovitskiy and Brox 2016, arXiv 1602.02644; as a prior of
preferred stimuli Nguyen et al. 2016, arXiv 1605.09304, whose layer was a fully connected one).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mango.networks.sngan import Generator
from mango.networks.vgg import VGG

STAGES = ("stage1", "stage2", "stage3")  # of the classifier; the last is inverted
SIDE = 2  # places along a side over which its channels are averaged
REACH = 3.0  # standard deviations above the mean up to which a feature is natural (Nguyen et al. 2016)


class DGN(nn.Module):
    """A classifier up to a hidden layer, and a generator that inverts it.

    Args:
        pixel_mean, pixel_std: of every colour, by which the classifier's images are normalised.
        width: channels of the classifier's first stage.
        generator: channels at 4 x 4, 8 x 8, 16 x 16 and 32 x 32.

    Attributes:
        mean, deviation: ``(features,)`` of training images; the generator is given features in units of these.
    """

    pixel_mean: Tensor
    pixel_std: Tensor
    mean: Tensor
    deviation: Tensor

    def __init__(
        self,
        pixel_mean: Sequence[float] = (0.5, 0.5, 0.5),
        pixel_std: Sequence[float] = (0.25, 0.25, 0.25),
        width: int = 24,
        generator: Sequence[int] = (112, 96, 48, 24),
    ) -> None:
        super().__init__()
        classifier, features = VGG(width), 4 * width * SIDE**2
        self.encoder = nn.ModuleDict({stage: classifier.get_submodule(stage) for stage in STAGES})
        self.generator = Generator(features, generator)
        for name, values in (("pixel_mean", pixel_mean), ("pixel_std", pixel_std)):
            self.register_buffer(name, torch.tensor(values).view(3, 1, 1), persistent=False)
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("deviation", torch.ones(features))

    def forward(self, features: Tensor) -> Tensor:
        """Images ``(n, 3, 32, 32)`` in [0, 1] of ``(n, features)``."""
        images: Tensor = self.generator(self.scaled(features))
        return images

    def scaled(self, features: Tensor) -> Tensor:
        """Features as the generator takes them; one that no training image moves stays as it is, less its mean."""
        spread = torch.where(self.deviation > 0, self.deviation, torch.ones_like(self.deviation))
        return (features - self.mean) / spread

    def encode(self, images: Tensor) -> Tensor:
        """Features ``(n, features)``, none below 0, of images ``(n, 3, 32, 32)`` in [0, 1]."""
        return pooled(self.maps(images)[-1])

    def maps(self, images: Tensor) -> list[Tensor]:
        """What each stage makes of images: ``(n, width, 32, 32)``, then twice the channels and half the side."""
        maps = [(images - self.pixel_mean) / self.pixel_std]
        for stage in STAGES:
            maps.append(self.encoder[stage](maps[-1] if stage == STAGES[0] else F.max_pool2d(maps[-1], 2)))
        return maps[1:]

    @property
    def highest(self) -> Tensor:
        """``(features,)`` up to which features are natural, in float64."""
        return self.mean.double() + REACH * self.deviation.double()


def pooled(maps: Tensor) -> Tensor:
    """The last stage's ``(n, channels, h, w)``, averaged over places, as ``(n, features)``: by channel, row, column."""
    return F.adaptive_avg_pool2d(maps, SIDE).flatten(1)
