"""How well a deep generator network inverts: the image, the features, and what classifiers still see in it."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from mango import zoo
from mango.appraisal.images import batches, load_test
from mango.networks.dgn import DGN
from mango.targets.preprocess import PREPROCESS

BATCH = 100  # images through the networks at once
EVERY = 5  # of so many test images one is looked at; four networks take long
JUDGES = {"same_vgg": "vgg-cifar10", "same_resnet18": "resnet18-cifar10"}  # the inverted one, and one that is not


@torch.no_grad()
def figures(network: nn.Module, data: Path) -> dict[str, float]:
    """What every fifth test image comes back as, of its features cut to those that are natural.

    ``mse`` on the [0, 1] scale; ``feature_distance``, the mean distance of the reconstructions' features as a share of
    the features' norm; ``same_vgg`` and ``same_resnet18``, the share of images whose reconstruction that classifier
    puts into the class that it puts the image into.

    Args:
        network: a `DGN`, in eval mode.
        data: folder that holds CIFAR-10.
    """
    assert isinstance(network, DGN)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    judges = {name: zoo.load(model).to(memory_format=torch.channels_last) for name, model in JUDGES.items()}  # type: ignore[call-overload]
    images = load_test(data)[0][::EVERY]
    sums = dict.fromkeys(("mse", "feature_distance", *judges), 0.0)
    for x in batches(images, BATCH, torch.device("cpu")):
        features = network.encode(x)
        back = network(torch.minimum(features, network.highest.float()))
        sums["mse"] += float((back - x).square().mean((1, 2, 3)).sum())
        sums["feature_distance"] += float(((network.encode(back) - features).norm(dim=1) / features.norm(dim=1)).sum())
        for name, judge in judges.items():
            sums[name] += int((_class(judge, back) == _class(judge, x)).sum())
    return {name: total / len(images) for name, total in sums.items()}


def _class(judge: nn.Module, images: Tensor) -> Tensor:
    chosen: Tensor = judge(PREPROCESS(images)).argmax(1)
    return chosen
