"""A prior's worth: how probable it holds the codes of the test images to be."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mango import zoo
from mango.appraisal import frechet
from mango.appraisal.images import batches, load_test
from mango.generators.pixels import to_stimuli
from mango.networks.prior import CodePrior
from mango.networks.vqvae import VQVAE

BATCH = 500  # images, or maps of labels, at once


def figures(network: nn.Module, data: Path) -> dict[str, float]:
    """Negative log likelihood of the test images' codes: ``nats_per_code``, of 64 labels, and ``bits_per_label``.

    ``frechet_samples`` is the distance of as many images of drawn codes to the test images.

    Args:
        network: a `CodePrior` of the codes of the zoo's ``vqvae-cifar10``.
        data: folder that holds CIFAR-10.
    """
    assert isinstance(network, CodePrior)
    maps = encoded(load_test(data)[0])
    nats = -float(log_probabilities(network, maps).mean())
    return {
        "nats_per_code": nats,
        "bits_per_label": nats / maps.shape[1] / math.log(2),
        "frechet_samples": frechet.to_test(_drawn(network, maps.shape), data),
    }


@torch.no_grad()
def _drawn(network: CodePrior, shape: torch.Size) -> NDArray[np.float32]:
    """Images of so many codes, which the prior draws and the zoo's ``vqvae-cifar10`` decodes."""
    decoder, rng = zoo.load("vqvae-cifar10"), np.random.default_rng(0)
    assert isinstance(decoder, VQVAE)
    side = math.isqrt(shape[1])
    images = []
    for first in range(0, shape[0], BATCH):
        uniform = torch.from_numpy(rng.random((min(BATCH, shape[0] - first), shape[1], 2)))
        images.append(to_stimuli(decoder.decode(network.sample(uniform).view(-1, side, side)).numpy()))
    return np.concatenate(images)


@torch.no_grad()
def encoded(images: Tensor) -> Tensor:
    """Labels ``(n, 64)`` as int64 of images ``(n, 3, 32, 32)`` as uint8, by the zoo's ``vqvae-cifar10``."""
    network = zoo.load("vqvae-cifar10")
    assert isinstance(network, VQVAE)
    return torch.cat([network.encode(x).flatten(1) for x in batches(images, BATCH, torch.device("cpu"))])


@torch.no_grad()
def log_probabilities(network: CodePrior, maps: Tensor) -> Tensor:
    """Of whole maps ``(n, 64)``, in nats, ``(n,)`` as float64."""
    tables = network.tables()
    return torch.cat([network(part, tables).double().sum(1) for part in torch.split(maps, BATCH)])
