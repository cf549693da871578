"""Trains a classifier of CIFAR-10: ``python -m experiments.train.classifier --network resnet18 --data DIR --out DIR``.

Mirrored and shifted images, smoothed labels (0.1), a rate that rises and then falls by a cosine, bfloat16. Weights are
rounded to float16 before anything is measured. A warm restart (Loshchilov and Hutter 2017, arXiv 1608.03983) goes on
where a schedule was too short. Widths and iterations are those of a CPU; a GPU has time for
``--network resnet18 --width 64 --iterations 39000 --restart``, ``--network vit --width 192 --iterations 78000``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from experiments.train import loop
from mango import zoo
from mango.appraisal.classifier import figures, responses
from mango.appraisal.images import load_test
from mango.datasets import load_cifar10
from mango.networks.resnet import ResNet18
from mango.networks.vgg import VGG
from mango.networks.vit import ViT
from mango.targets.cifar10 import evaluated
from mango.targets.preprocess import PREPROCESS

SMOOTHING = 0.1


@dataclass(frozen=True)
class Recipe:
    """How one kind of network is built and trained."""

    model: str
    summary: str
    network: type[nn.Module]
    width: str  # the option of the network that says how wide it is
    options: dict[str, Any]
    iterations: int
    phase: dict[str, Any]
    restarts: tuple[int, ...] = ()


DESCENT = {"rate": 0.1, "momentum": 0.9, "weight_decay": 5e-4}
RECIPES = {
    "resnet18": Recipe(
        "resnet18-cifar10", "ResNet-18 of small images", ResNet18, "width", {"width": 24}, 2_600, DESCENT, (800, 1_600)
    ),
    "vgg": Recipe("vgg-cifar10", "eight plain convolutions, VGG-like", VGG, "width", {"width": 24}, 1_200, DESCENT),
    "vit": Recipe(
        "vit-cifar10",
        "vision transformer, patches of 4 x 4 pixels",
        ViT,
        "features",
        {"features": 96, "depth": 6, "heads": 3},
        3_000,
        {"rate": 1e-3, "weight_decay": 0.05},
    ),
}


def main(argv: list[str] | None = None) -> None:
    """Trains, measures on the test images, and publishes weights and card into the output folder."""
    parser = loop.arguments(__doc__ or "")
    parser.add_argument("--network", choices=RECIPES, required=True)
    parser.add_argument("--width", type=int, help="channels of the first stage, or features of a token")
    parser.add_argument("--iterations", type=int, help="batches of 128 images")
    parser.add_argument(
        "--restart", type=int, nargs="*", help="batches of further phases, each from three tenths of the rate"
    )
    options = parser.parse_args(argv)
    recipe = RECIPES[options.network]
    options.width = options.width or recipe.options[recipe.width]  # the card says them, whatever becomes the default
    options.iterations = options.iterations or recipe.iterations
    restarts = recipe.restarts if options.restart is None else options.restart
    options.restart = " ".join(map(str, restarts))  # as the card says it
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    device = loop.device_of(options.device)
    images, labels = (torch.from_numpy(part[: options.limit]) for part in load_cifar10(options.data, "train"))
    built = recipe.options | {recipe.width: options.width}
    model = recipe.network(**built).to(device, memory_format=torch.channels_last)

    def loss(x: Tensor, y: Tensor) -> Tensor:
        with torch.autocast(device.type, torch.bfloat16):
            logits = model(PREPROCESS(x).contiguous(memory_format=torch.channels_last))
        return F.cross_entropy(logits.float(), y, label_smoothing=SMOOTHING)

    first = loop.Phase("classifier", options.iterations, loss=loss, warmup=options.iterations // 5, **recipe.phase)
    again = replace(first, name="restart", rate=0.3 * first.rate, warmup=0)
    phases = [first, *(replace(again, iterations=iterations) for iterations in restarts)]
    loop.train(model, images, labels, phases, seed=options.seed, out=options.out, every=options.every)
    zoo.round_to_half(model)
    model.cpu()
    worth = figures(model, options.data)
    passes = sum(phase.iterations * phase.batch for phase in phases) / len(images)
    notes = f"Trained on {device.type} for {passes:.1f} passes over the training images."
    card = loop.card(recipe.model, recipe.summary, options, worth, notes, network=built, module="classifier")
    nature = responses(evaluated(recipe.model, model), model.layers, load_test(options.data)[0])
    zoo.publish(card, model, nature, options.out)
    print(worth)


if __name__ == "__main__":
    main()
