"""Images as networks take them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from mango.datasets import load_cifar10


def load_test(data: Path) -> tuple[Tensor, Tensor]:
    """The test images ``(n, 3, 32, 32)`` as uint8 and their labels ``(n,)`` as int64.

    Raises:
        DataError: the folder holds none.
    """
    images, labels = (torch.from_numpy(part) for part in load_cifar10(data, "test"))
    return images, labels


def batches(images: Tensor, size: int, device: torch.device) -> Iterator[Tensor]:
    """All images in order, as float in [0, 1] on the device."""
    for begin in range(0, len(images), size):
        yield images[begin : begin + size].to(device).float() / 255
