"""Trains the SN-GAN of CIFAR-10: ``python -m experiments.train.sngan --data DIR --out DIR``.

Hinge loss, spectral norm in the discriminator, one step of either in turn, an average of the generator's weights
(`experiments.train.adversarial`); mirrored images. At the end the average's batch statistics are measured anew over
drawn images, and weights are rounded to float16 before anything else is measured. Widths and iterations are those of a
CPU; a GPU has time for ``--width 256 --iterations 100000``, with a generator as wide as the published one.
"""

from __future__ import annotations

import copy

import numpy as np
import torch
from torch import Tensor, nn

from experiments.train import adversarial, loop
from mango import appraisal, zoo
from mango.appraisal.frechet import NOTE
from mango.appraisal.images import load_test
from mango.appraisal.sngan import scores
from mango.datasets import load_cifar10
from mango.networks.sngan import SNGAN, normalise, settle

NAME = "sngan-cifar10"
NARROW = {"generator": (256, 128, 64, 32), "discriminator": (48, 96, 128, 128)}
BATCH = 32
MEASURED = 10_000  # images from which the average's batch statistics are measured
QUANTILES = 1_001  # of the discriminator's scores of the test images


def main(argv: list[str] | None = None) -> None:
    """Trains, measures on the test images, and publishes weights and card into the output folder."""
    parser = loop.arguments(__doc__ or "", iterations=9_000)
    parser.add_argument("--width", type=int, help="channels at every resolution; by default fewer where it is higher")
    options = parser.parse_args(argv)
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    device = loop.device_of(options.device)
    images = torch.from_numpy(load_cifar10(options.data, "train")[0][: options.limit])
    wide = options.width is not None
    built = {part: (options.width,) * 4 for part in NARROW} if wide else NARROW
    model = SNGAN(**built).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    normalise(model.discriminator)
    average = copy.deepcopy(model.generator)

    def draw(generator: nn.Module, natural: Tensor, random: torch.Generator) -> Tensor:
        drawn: Tensor = generator(torch.randn(len(natural), model.latent, generator=random).to(device))
        return drawn

    duel = adversarial.Duel(
        model.generator, average, model.discriminator, draw, iterations=options.iterations, batch=BATCH
    )
    adversarial.train(duel, images, seed=options.seed, out=options.out, every=options.every)
    model.generator = average
    model.cpu()
    settle(model.discriminator)
    zoo.round_to_half(model)
    with loop.statistics_taken(model.generator):
        for i in range(0, MEASURED, BATCH):
            model(torch.randn(BATCH, model.latent, generator=loop.generator_of(options.seed, 1, i)))
    zoo.round_to_half(model)
    worth = appraisal.figures(NAME, model, options.data)
    passes = options.iterations * BATCH / len(images)
    card = loop.card(
        NAME,
        "SN-GAN, z of 128, residual (Miyato et al. 2018)",
        options,
        worth,
        f"Trained on {device.type} for {passes:.1f} passes over the training images. {NOTE}",
        module="sngan",
        network={part: list(channels) for part, channels in built.items()},
    )
    natural = scores(model, load_test(options.data)[0])
    quantiles = np.quantile(natural, np.linspace(0, 1, QUANTILES))
    zoo.publish(card, model, {"score_quantiles": quantiles}, options.out)
    print(worth)


if __name__ == "__main__":
    main()
