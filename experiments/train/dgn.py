"""Trains the inverse of a classifier's hidden layer: ``python -m experiments.train.dgn --data DIR --out DIR``.

Three losses (Dosovitskiy and Brox 2016, arXiv 1602.02644): of the image, of the classifier's features, and that of a
small discriminator with spectral norm (`experiments.train.adversarial`); mirrored images, without a shift. The image's
loss alone is learned from first, for it is the cheapest and the others say little of what is no image yet. The
classifier is `vgg-cifar10` of the zoo and does not change. At the end the batch statistics are measured anew over
training images, and weights are rounded to float16 before anything else is measured. The iterations are those of a CPU;
a GPU has time for ``--image-iterations 10000 --iterations 40000``.
"""

from __future__ import annotations

import copy

import numpy as np
import torch
from torch import Tensor, nn

from experiments.train import adversarial, loop
from mango import appraisal, zoo
from mango.appraisal.images import batches
from mango.datasets import load_cifar10
from mango.networks.dgn import DGN, pooled
from mango.networks.sngan import Discriminator, normalise
from mango.targets.preprocess import PREPROCESS

NAME, INVERTED = "dgn-cifar10", "vgg-cifar10"
DISCRIMINATOR = (24, 48, 64, 64)
BATCH = 32
VARIANCE = 0.06  # of CIFAR-10's pixels on the [0, 1] scale: the image's error is weighed as a share of it
ADVERSARIAL = 0.1  # weight of the discriminator beside an image and a feature loss that are shares of a variance
RATE = 2e-3  # of the generator at first
RATES = (5e-4, 4e-4)  # then, of generator and discriminator
NATURAL = 2_000  # training images whose features the zoo holds
MEASURED = 5_000  # training images whose features give means, deviations and batch statistics


def main(argv: list[str] | None = None) -> None:
    """Trains, measures on the test images, and publishes weights and card into the output folder."""
    options = loop.arguments(__doc__ or "", image_iterations=2_000, iterations=1_500).parse_args(argv)
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    device = loop.device_of(options.device)
    images, labels = (torch.from_numpy(part[: options.limit]) for part in load_cifar10(options.data, "train"))
    built = {"pixel_mean": PREPROCESS.mean, "pixel_std": PREPROCESS.std} | zoo.card(INVERTED).options
    model = of_classifier(DGN(**built), zoo.load(INVERTED)).to(device, memory_format=torch.channels_last)
    features = features_of(model, images[:MEASURED])
    model.mean.copy_(features.mean(0))
    model.deviation.copy_(features.std(0, correction=0))
    losses = Losses(model)
    phase = loop.Phase("image", options.image_iterations, RATE, losses.of_image, batch=BATCH, shift=0)
    first = options.out / "image"
    loop.train(model.generator, images, labels, [phase], seed=options.seed, out=first, every=options.every)
    discriminator = Discriminator(DISCRIMINATOR)
    normalise(discriminator)
    discriminator.to(device, memory_format=torch.channels_last)
    average = copy.deepcopy(model.generator)
    duel = adversarial.Duel(
        model.generator,
        average,
        discriminator,
        losses.draw,
        iterations=options.iterations,
        other=losses.of,
        batch=BATCH,
        rates=RATES,
        decay=0.99,
        weight=ADVERSARIAL,
    )
    adversarial.train(duel, images, seed=options.seed, out=options.out, every=options.every)
    model.generator = average
    model.cpu()
    zoo.round_to_half(model)
    with loop.statistics_taken(model.generator):
        for part in torch.split(features, 100):
            model(part)
    zoo.round_to_half(model)
    passes = (options.image_iterations + options.iterations) * BATCH / len(images)
    worth = appraisal.figures(NAME, model, options.data)
    card = loop.card(
        NAME,
        "generator that inverts the third stage of vgg-cifar10, averaged over quarters (Nguyen et al. 2016)",
        options,
        worth,
        f"Trained on {device.type} for {passes:.1f} passes over the training "
        "images. Inverts vgg-cifar10 as it is, of which it holds a copy.",
        module="dgn",
        network=built,
    )
    zoo.publish(card, model, {"natural_features": features[:NATURAL].numpy().astype(np.float16)}, options.out)
    print(worth)


class Losses:
    """What a batch costs beside the discriminator's loss; what is made of a batch is computed once."""

    def __init__(self, model: DGN) -> None:
        self._model = model
        self._natural: Tensor | None = None  # of the last batch
        self._maps: list[Tensor] = []
        self._drawn: Tensor | None = None

    def draw(self, generator: nn.Module, natural: Tensor, _random: torch.Generator) -> Tensor:
        """Images of the natural ones' features: of the generator as it was when the batch was first seen."""
        maps = self._maps_of(natural)
        if self._drawn is None:
            with torch.enable_grad():
                self._drawn = generator(self._model.scaled(pooled(maps[-1])))
        return self._drawn if torch.is_grad_enabled() else self._drawn.detach()

    def of_image(self, natural: Tensor, _labels: Tensor) -> Tensor:
        """Error of the image alone, as a share of the variance."""
        drawn = self._model(self._model.encode(natural))
        return (drawn - natural).square().mean() / VARIANCE

    def of(self, drawn: Tensor, natural: Tensor) -> Tensor:
        """Error of the image, and of the second and third stage's maps, each as a share of the variance."""
        total = (drawn - natural).square().mean() / VARIANCE
        for own, wanted in list(zip(self._model.maps(drawn), self._maps_of(natural), strict=True))[1:]:
            total = total + (own - wanted).square().mean() / wanted.var()
        return total

    @torch.no_grad()
    def _maps_of(self, natural: Tensor) -> list[Tensor]:
        if self._natural is not natural:
            self._natural, self._maps, self._drawn = natural, self._model.maps(natural), None
        return self._maps


def of_classifier(model: DGN, classifier: nn.Module) -> DGN:
    """The network with a copy of a classifier's stages, which stay as they are; in place."""
    for name, stage in model.encoder.items():
        stage.load_state_dict(classifier.get_submodule(name).state_dict())
    model.encoder.requires_grad_(False).eval()
    return model


@torch.no_grad()
def features_of(model: DGN, images: Tensor) -> Tensor:
    """Features ``(n, features)`` of images, uint8, on the CPU."""
    return torch.cat([model.encode(x).cpu() for x in batches(images, 100, model.mean.device)])


if __name__ == "__main__":
    main()
