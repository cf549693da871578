"""What happens to a stimulus before the network sees it; it belongs to the target, never to the generator."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from mango.errors import OptionError, TargetError


@dataclass(frozen=True)
class Preprocess:
    """Resizing, then normalisation per colour: ``(x - mean) / std``.

    Attributes:
        size: ``(height, width)`` to resize to, bilinear with antialiasing; None leaves the size.
        mean, std: one number per colour, ``(0.5,)`` for grey images; None leaves the values in [0, 1].

    Raises:
        OptionError: a size that is not two whole numbers >= 1; only one of mean and std, of different lengths, not
            finite, or a std that is not positive.
    """

    size: tuple[int, int] | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if self.size is not None:
            size = _numbers("size", self.size)
            if len(size) != 2 or not all(side >= 1 and side == int(side) for side in size):
                raise OptionError(f"size must be (height, width), whole numbers >= 1; got {self.size}")
            object.__setattr__(self, "size", tuple(map(int, size)))
        if (self.mean is None) != (self.std is None):
            raise OptionError(f"mean and std go together, a number per colour; got {self.mean} and {self.std}")
        if self.mean is None or self.std is None:
            return
        mean, std = _numbers("mean", self.mean), _numbers("std", self.std)
        if len(mean) != len(std):
            raise OptionError(f"mean and std go together, a number per colour; got {self.mean} and {self.std}")
        if not all(value > 0 for value in std):
            raise OptionError(f"std must be positive; got {self.std}")
        object.__setattr__(self, "mean", mean)
        object.__setattr__(self, "std", std)

    def check_shape(self, stimulus_shape: Sequence[int]) -> None:
        """Whether such stimuli can be preprocessed.

        Raises:
            OptionError: they are no images, or not of as many colours as mean and std.
        """
        if self.size is None and self.mean is None:
            return
        if len(stimulus_shape) != 3:
            raise OptionError(f"preprocess takes images (colours, height, width); the stimuli are {stimulus_shape}")
        if self.mean is not None and len(self.mean) != stimulus_shape[0]:
            raise OptionError(
                f"mean and std need a number for each of the {stimulus_shape[0]} colours; got {len(self.mean)}"
            )

    def __call__(self, images: Tensor) -> Tensor:
        """Images ``(n, colours, height, width)`` in [0, 1], preprocessed."""
        if self.size is not None and tuple(images.shape[-2:]) != self.size:
            images = F.interpolate(images, self.size, mode="bilinear", antialias=True)
            images = images.clamp(0, 1)  # a mean of values in [0, 1], up to its rounding
        if self.mean is not None and self.std is not None:
            mean, std = (torch.tensor(v, device=images.device).view(-1, 1, 1) for v in (self.mean, self.std))
            images = (images - mean) / std
        return images


def checked_stimuli(stimuli: NDArray[Any], shape: Sequence[int]) -> Tensor:
    """A float32 copy of stimuli ``(n, *shape)``; nothing is clipped, what is wrong is refused.

    Raises:
        TargetError: no stimuli, of another shape, not finite, or images that leave [0, 1].
    """
    array = np.array(stimuli, np.float32)
    images = len(shape) == 3
    expected = f"stimuli (n, {', '.join(map(str, shape))}){' in [0, 1]' if images else ''}"
    if array.shape[1:] != tuple(shape) or not len(array):
        raise TargetError(f"the network is shown {expected}, at least one; got shape {array.shape}")
    if not np.isfinite(array).all():
        row = int(np.argmin(np.isfinite(array).reshape(len(array), -1).all(1)))
        raise TargetError(f"the network is shown {expected}; stimulus {row} holds NaN or infinity")
    if images and (array.min() < 0 or array.max() > 1):
        raise TargetError(
            f"the network is shown {expected}; got values from {array.min():g} to {array.max():g}: leave scaling to "
            "preprocess"
        )
    return torch.from_numpy(array)


def _numbers(name: str, given: Any) -> tuple[float, ...]:
    try:
        numbers = tuple(float(value) for value in given)
    except (TypeError, ValueError):
        raise OptionError(f"{name} must be several numbers, such as (0.5,); got {given!r}") from None
    if not numbers or not all(map(math.isfinite, numbers)):
        raise OptionError(f"{name} must be finite numbers; got {given}")
    return numbers


PREPROCESS = Preprocess(mean=(0.4914, 0.4822, 0.4465), std=(0.2470, 0.2435, 0.2616))  # of CIFAR-10's training pixels
