"""Trains the prior of the VQ-VAE's codes: ``python -m experiments.train.vqvae_prior --data DIR --out runs/prior``.

It learns the codes of the training images and of their mirror images, as the zoo's ``vqvae-cifar10`` encodes them; no
label is given. Biases and tables start at what counting says, so that little is left to learn. Weights are rounded to
float16 before anything is measured.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from experiments.train import loop
from mango import appraisal, zoo
from mango.appraisal.frechet import NOTE
from mango.appraisal.images import load_test
from mango.appraisal.prior import encoded, log_probabilities
from mango.datasets import load_cifar10
from mango.networks.prior import CodePrior
from mango.networks.vqvae import VQVAE

NAME = "vqvae-cifar10-prior"
QUANTILES = 1_001  # of the log prior of the test codes


def main(argv: list[str] | None = None) -> None:
    """Trains, measures on the test images' codes, and publishes weights and card into the output folder."""
    options = loop.arguments(__doc__ or "", iterations=1_000).parse_args(argv)
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    device = loop.device_of(options.device)
    images, labels = (torch.from_numpy(part[: options.limit]) for part in load_cifar10(options.data, "train"))
    maps = torch.stack([encoded(images), encoded(images.flip(-1))], 1)  # (n, 2, 64)
    autoencoder, network = zoo.load("vqvae-cifar10"), CodePrior()
    assert isinstance(autoencoder, VQVAE)
    network.start(autoencoder.quantizer.codebook, maps.flatten(0, 1))
    network.to(device)

    def loss(x: Tensor, _labels: Tensor) -> Tensor:
        negative: Tensor = -network(x).mean()
        return negative

    phase = loop.Phase(
        "prior", options.iterations, 4e-3, loss, batch=64, weight_decay=0.01, warmup=50, augment=either_way
    )
    loop.train(network, maps, labels, [phase], seed=options.seed, out=options.out, every=options.every)
    network.cpu()
    zoo.round_to_half(network)
    worth = appraisal.figures(NAME, network, options.data)
    card = loop.card(
        NAME,
        "autoregressive over the 8 x 8 labels of vqvae-cifar10: a masked convolution, gated blocks, full tables",
        options,
        worth,
        "Codes of the training images and their mirror images. A mixture of the frequencies of neighbours, which the "
        f"generator had before, gave 348.8 nats a code. {NOTE}",
        module="vqvae_prior",
    )
    prior = log_probabilities(network, encoded(load_test(options.data)[0])).numpy()
    zoo.publish(card, network, {"log_prior_quantiles": np.quantile(prior, np.linspace(0, 1, QUANTILES))}, options.out)
    print(worth)


def either_way(maps: Tensor, generator: torch.Generator) -> Tensor:
    """The code of each image or of its mirror image, ``(n, 2, 64) -> (n, 64)``, with probability one half."""
    mirrored = torch.randint(0, 2, (len(maps),), generator=generator)
    return maps[torch.arange(len(maps)), mirrored]


if __name__ == "__main__":
    main()
