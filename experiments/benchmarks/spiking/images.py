"""Stimuli of three kinds, ``(n, *shape)`` in [0, 1], seeded: natural, generated and random ones."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import torch
from torch import Tensor

from mango import make_generator
from mango.datasets import load_cifar10

GENERATOR = "vqvae-cifar10"
Shape = tuple[int, int, int]


def natural(n: int, shape: Shape, data: str | None) -> Tensor:
    """CIFAR-10's test images; without a folder that holds them, the zoo's natural codes decoded."""
    if data is None:
        generator = make_generator(GENERATOR)
        pixels = generator.decode(generator.natural(n, np.random.default_rng(0)))
    else:
        pixels = _test_images(data)[:n].astype(np.float32) / 255
    return _shaped(torch.from_numpy(pixels), shape)


def generated(n: int, shape: Shape, data: str | None) -> Tensor:  # noqa: ARG001 (a kind's signature)
    """Random codes of the zoo's VQ-VAE, decoded."""
    generator = make_generator(GENERATOR)
    return _shaped(torch.from_numpy(generator.decode(generator.space.sample(n, np.random.default_rng(1)))), shape)


def random(n: int, shape: Shape, data: str | None) -> Tensor:  # noqa: ARG001 (a kind's signature)
    """Uniform noise."""
    return torch.rand((n, *shape), generator=torch.Generator().manual_seed(2))


KINDS: dict[str, Callable[[int, Shape, str | None], Tensor]] = {
    "natural": natural,
    "generated": generated,
    "random": random,
}


@cache
def _test_images(data: str) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return load_cifar10(data, "test").images


def _shaped(pixels: Tensor, shape: Shape) -> Tensor:
    """Grey where one colour is wanted, cut to the middle."""
    if shape[0] == 1:
        pixels = pixels.mean(1, keepdim=True)
    top, left = ((have - want) // 2 for have, want in zip(pixels.shape[2:], shape[1:], strict=True))
    return pixels[:, :, top : top + shape[1], left : left + shape[2]].contiguous()
