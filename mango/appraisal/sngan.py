"""An SN-GAN's worth: how far what it draws lies from natural images; and what its discriminator says of these."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mango.appraisal import frechet
from mango.appraisal.images import batches, load_test
from mango.datasets import load_cifar10
from mango.generators.pixels import to_stimuli
from mango.networks.sngan import SNGAN

BATCH = 100  # images through the networks at once


@torch.no_grad()
def figures(network: nn.Module, data: Path) -> dict[str, float]:
    """``frechet`` distance of drawn images to as many test images, and, as its floor, that of training images.

    Args:
        network: an `SNGAN`, in eval mode.
        data: folder that holds CIFAR-10.
    """
    assert isinstance(network, SNGAN)
    count = len(load_test(data)[0])
    train, _ = load_cifar10(data, "train")
    some = np.linspace(0, len(train) - 1, min(count, len(train))).astype(int)
    z = np.random.default_rng(0).standard_normal((count, network.latent), np.float32)
    drawn = np.concatenate([to_stimuli(network(part).numpy()) for part in torch.split(torch.from_numpy(z), BATCH)])
    return {
        "frechet": frechet.to_test(drawn, data),
        "frechet_floor": frechet.to_test(frechet.as_floats(torch.from_numpy(train[some])), data),
    }


@torch.no_grad()
def scores(network: SNGAN, images: Tensor) -> NDArray[np.float64]:
    """What the discriminator says, ``(n,)``, of images, uint8 ``(n, 3, 32, 32)``."""
    parts = [network.score(x).double() for x in batches(images, BATCH, torch.device("cpu"))]
    return torch.cat(parts).numpy()
