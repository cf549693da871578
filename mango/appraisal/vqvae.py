"""A VQ-VAE's worth: how well test images come back, and how much of the code book they use."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from mango.appraisal.images import batches, load_test
from mango.networks.vqvae import VQVAE


@torch.no_grad()
def figures(network: nn.Module, data: Path) -> dict[str, float]:
    """``mse`` of the test images on the [0, 1] scale, and ``perplexity`` of all their codes.

    Args:
        network: a `VQVAE`.
        data: folder that holds CIFAR-10.
    """
    assert isinstance(network, VQVAE)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    images, _ = load_test(data)
    error, counts = 0.0, torch.zeros(len(network.quantizer.codebook))
    for x in batches(images, 500, torch.device("cpu")):
        labels = network.encode(x)
        counts += torch.bincount(labels.flatten(), minlength=len(counts))
        error += float((network.decode(labels).clamp(0, 1) - x).square().mean((1, 2, 3)).sum())
    share = counts / counts.sum()
    perplexity = float(torch.exp(-(share * torch.log(share.clamp_min(1e-12))).sum()))
    return {"mse": error / len(images), "perplexity": perplexity}
