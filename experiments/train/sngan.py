"""Trains the SN-GAN of CIFAR-10: ``python -m experiments.train.sngan --data DIR --out DIR``.

Hinge loss, spectral norm in the discriminator, one step of either in turn, an average of the generator's weights
(`experiments.train.adversarial`); mirrored images. At the end the average's batch statistics are measured anew over
drawn images, and weights are rounded to float16 before anything else is measured. Widths and iterations are those of a
CPU; a GPU has time for ``--iterations 100000 --width 256``, the published generator of 256 channels and discriminator of
128.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from experiments.train import adversarial, loop
from mango import appraisal, zoo

from mango.datasets import load_cifar10
from mango.networks.sngan import SNGAN, spectrally_normalised

NAME = "sngan-cifar10"
NARROW = {"generator": (256, 128, 64, 32), "discriminator": (48, 96, 128, 128)}
BATCH = 32
MEASURED = 100  # batches from which the average's batch statistics are measured


def main(argv: list[str] | None = None) -> None:
    """Trains, measures on the test images, and publishes weights and card into the output folder."""
    parser = loop.arguments(__doc__ or "", iterations=16_000)
    parser.add_argument("--width", type=int, help="channels at every resolution; default: narrower where there is more of it")
    options = parser.parse_args(argv)
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    device = loop.device_of(options.device)
    images, _ = load_cifar10(options.data, "train")
    built = NARROW
    if options.width is not None:
        built = {"generator": (options.width,) * 4, "discriminator": (max(1, options.width // 2),) * 4}
    model = SNGAN(**built).to(device, memory_format=torch.channels_last)
    spectrally_normalised(model.discriminator)
    average = copy.deepcopy(model.generator)

    def draw(generator: nn.Module, natural: Tensor, random: torch.Generator) -> Tensor:
        z = torch.randn(len(natural), model.latent, generator=random).to(device)
        images: Tensor = generator(z)
        return images

    duel = adversarial.Duel(
        model.generator, average, model.discriminator, draw, iterations=options.iterations, batch=BATCH
    )
    adversarial.train(
        duel, torch.from_numpy(images[: options.limit]), seed=options.seed, out=options.out, every=options.every
    )
    model.generator = average

    ...


if __name__ == "__main__":
    main()
