"""What a deep generator network is worth: computed image by image, and for one that inverts nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from mango import appraisal, zoo
from mango.appraisal.images import load_test
from mango.networks.dgn import DGN
from mango.targets.preprocess import PREPROCESS


@torch.no_grad()
def test_figures_are_those_of_every_fifth_image(data: Path) -> None:
    found = appraisal.appraise("dgn-cifar10", data)
    network, vgg, resnet = (zoo.load(name) for name in ("dgn-cifar10", "vgg-cifar10", "resnet18-cifar10"))
    assert isinstance(network, DGN)
    each = []
    for x in load_test(data)[0][::5][:, None].float() / 255:
        features = network.encode(x)
        back = network(torch.minimum(features, network.highest.float()))
        same = [float(judge(PREPROCESS(back)).argmax() == judge(PREPROCESS(x)).argmax()) for judge in (vgg, resnet)]
        distance = (network.encode(back) - features).norm() / features.norm()
        each.append([float((back - x).square().mean()), float(distance), *same])
    names = ("mse", "feature_distance", "same_vgg", "same_resnet18")
    assert found == pytest.approx(dict(zip(names, np.mean(each, 0), strict=True)), rel=1e-4)


def test_a_network_that_draws_grey_is_worth_as_much_as_grey(data: Path) -> None:
    network = zoo.load("dgn-cifar10")
    assert isinstance(network, DGN)
    for weight in network.generator.parameters():
        weight.zero_()
    found = appraisal.figures("dgn-cifar10", network, data)
    images = load_test(data)[0][::5].float() / 255
    assert found["mse"] == pytest.approx(float((images - 0.5).square().mean()), rel=1e-4)
    assert found["feature_distance"] > 0.8
