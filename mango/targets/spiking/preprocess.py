"""What happens to an image before the network sees it; it belongs to the target, never to the generator."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from mango.errors import OptionError


@dataclass(frozen=True)
class Preprocess:
    """Resizing, then normalisation per colour: ``(x - mean) / std``.

    Attributes:
        size: ``(height, width)`` to resize to, bilinear with antialiasing; None leaves the size.
        mean, std: one number per colour; None leaves the values in [0, 1].

    Raises:
        OptionError: only one of mean and std, of different lengths, or a std that is not positive.
    """

    size: tuple[int, int] | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if (self.mean is None) != (self.std is None) or len(self.mean or ()) != len(self.std or ()):
            raise OptionError(f"mean and std go together, a number per colour; got {self.mean} and {self.std}")
        if self.std is not None and not all(value > 0 for value in self.std):
            raise OptionError(f"std must be positive; got {self.std}")

    def __call__(self, images: Tensor) -> Tensor:
        """Images ``(n, colours, height, width)``, preprocessed."""
        if self.size is not None and tuple(images.shape[-2:]) != tuple(self.size):
            images = F.interpolate(images, self.size, mode="bilinear", antialias=True)
        if self.mean is not None and self.std is not None:
            mean, std = (torch.tensor(v, device=images.device).view(-1, 1, 1) for v in (self.mean, self.std))
            images = (images - mean) / std
        return images
