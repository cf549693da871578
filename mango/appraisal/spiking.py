"""A spiking classifier's worth: how many test images it tells right by its spikes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from mango.appraisal.images import batches, load_test
from mango.targets.spiking.cifar10 import evaluated
from mango.targets.spiking.network import SpikingNetwork

BATCH = 100  # images through the network at once


def figures(network: nn.Module, data: Path) -> dict[str, float]:
    """Test ``accuracy``.

    Args:
        network: that `evaluated` takes.
        data: folder that holds CIFAR-10.
    """
    return {"accuracy": accuracy(evaluated(network), *load_test(data))}


def accuracy(network: SpikingNetwork, images: Tensor, labels: Tensor) -> float:
    """Share of images told right by spike count, equal counts decided by the mean input current.

    Args:
        network: whose last layer is ``output``, a neuron for each class.
        images: uint8 ``(n, 3, h, w)``.
        labels: int64 ``(n,)``.
    """
    right = 0
    for x, y in zip(batches(images, BATCH, torch.device("cpu")), torch.split(labels, BATCH), strict=True):
        count, current = network.read_several(x.numpy(), "output", (), ("count", "current"))
        chosen = (count + 1e-3 * np.tanh(current)).argmax(1)
        right += int((chosen == y.numpy()).sum())
    return right / len(images)
