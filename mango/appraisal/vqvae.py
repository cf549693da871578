"""A VQ-VAE's worth: how well test images come back, how much of the code book they use, and random codes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn

from mango.appraisal import frechet
from mango.appraisal.images import batches, load_test
from mango.generators.pixels import to_stimuli
from mango.networks.vqvae import VQVAE


@torch.no_grad()
def figures(network: nn.Module, data: Path) -> dict[str, float]:
    """``mse`` of the test images on the [0, 1] scale, ``perplexity`` of all their codes, and two Frechet distances.

    ``frechet_reconstructions`` and ``frechet_random_codes`` are those of the reconstructions, and of as many images of
    labels that are drawn uniformly, to the test images.

    Args:
        network: a `VQVAE`.
        data: folder that holds CIFAR-10.
    """
    assert isinstance(network, VQVAE)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    images, _ = load_test(data)
    size = len(network.quantizer.codebook)
    error, counts, rng = 0.0, torch.zeros(size), np.random.default_rng(0)
    back, random = [], []
    for x in batches(images, 500, torch.device("cpu")):
        labels = network.encode(x)
        counts += torch.bincount(labels.flatten(), minlength=len(counts))
        decoded = network.decode(labels)
        error += float((decoded.clamp(0, 1) - x).square().mean((1, 2, 3)).sum())
        back.append(to_stimuli(decoded.numpy()))
        drawn = torch.from_numpy(rng.integers(size, size=tuple(labels.shape)))
        random.append(to_stimuli(network.decode(drawn).numpy()))
    share = counts / counts.sum()
    perplexity = float(torch.exp(-(share * torch.log(share.clamp_min(1e-12))).sum()))
    return {
        "mse": error / len(images),
        "perplexity": perplexity,
        "frechet_reconstructions": frechet.to_test(np.concatenate(back), data),
        "frechet_random_codes": frechet.to_test(np.concatenate(random), data),
    }
