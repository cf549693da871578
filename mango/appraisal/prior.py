"""A prior's worth: how probable it holds the codes of the test images to be."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import Tensor, nn

from mango import zoo
from mango.appraisal.images import batches, load_test
from mango.networks.prior import CodePrior
from mango.networks.vqvae import VQVAE

BATCH = 500  # images, or maps of labels, at once


def figures(network: nn.Module, data: Path) -> dict[str, float]:
    """Negative log likelihood of the test images' codes: ``nats_per_code``, of 64 labels, and ``bits_per_label``.

    Args:
        network: a `CodePrior` of the codes of the zoo's ``vqvae-cifar10``.
        data: folder that holds CIFAR-10.
    """
    assert isinstance(network, CodePrior)
    maps = encoded(load_test(data)[0])
    nats = -float(log_probabilities(network, maps).mean())
    return {"nats_per_code": nats, "bits_per_label": nats / maps.shape[1] / math.log(2)}


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
