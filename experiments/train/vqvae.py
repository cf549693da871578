"""Trains the VQ-VAE of CIFAR-10: ``python -m experiments.train.vqvae --data DIR --out runs/vqvae``.

Settings of the published system (Pospelov et al., arXiv 2401.10748) but for the schedule: Adam 1e-3 falling by a
cosine, batch 128, mirrored images. Commitment .25, EMA .99.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from experiments.train import loop
from mango import appraisal, zoo
from mango.appraisal.frechet import NOTE
from mango.appraisal.images import batches
from mango.datasets import load_cifar10
from mango.networks.vqvae import VQVAE

VARIANCE = 0.06  # of CIFAR-10's pixels on the [0, 1] scale: the reconstruction error is weighed as a share of it

NATURAL = 5_000  # natural codes that the zoo holds


def main(argv: list[str] | None = None) -> None:
    """Trains, measures on the test images, and publishes weights and card into the output folder."""
    options = loop.arguments(__doc__ or "", iterations=9_000).parse_args(argv)
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    device = loop.device_of(options.device)
    images, labels = (torch.from_numpy(part[: options.limit]) for part in load_cifar10(options.data, "train"))
    model = VQVAE().to(device, memory_format=torch.channels_last)

    def loss(x: Tensor, _labels: Tensor) -> Tensor:
        with torch.autocast(device.type, torch.bfloat16):
            out = model(x)
        return nn.functional.mse_loss(out.reconstruction.float(), x) / VARIANCE + 0.25 * out.commitment

    phase = loop.Phase("vqvae", options.iterations, 1e-3, loss, shift=0)
    loop.train(model, images, labels, [phase], seed=options.seed, out=options.out, every=options.every)
    worth = appraisal.figures("vqvae-cifar10", model, options.data)
    card = loop.card(
        "vqvae-cifar10",
        "8 x 8 labels of 512, embedding 64 (Pospelov et al. 2024)",
        options,
        worth,
        f"bfloat16 training. {NOTE}",
        module="vqvae",
    )
    zoo.publish(card, model, {"natural_codes": codes(model, images[:NATURAL])}, options.out)
    print(worth)


@torch.no_grad()
def codes(model: VQVAE, images: Tensor) -> NDArray[np.uint16]:
    """Labels ``(n, 64)`` of images."""
    device = next(model.parameters()).device
    labels = [model.encode(x).flatten(1).cpu() for x in batches(images, 500, device)]
    return torch.cat(labels).numpy().astype(np.uint16)


if __name__ == "__main__":
    main()
