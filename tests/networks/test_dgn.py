"""The inverse of a classifier's layer: what it encodes, and in which units its generator is given features."""

from __future__ import annotations

import torch

from mango import zoo
from mango.networks.dgn import DGN, REACH, pooled
from mango.targets.preprocess import PREPROCESS


def small() -> DGN:
    torch.manual_seed(0)
    return DGN(width=2, generator=(6, 5, 4, 3)).eval()


def test_images_become_features_and_features_images() -> None:
    network, images = small(), torch.rand(3, 3, 32, 32)
    assert [tuple(maps.shape[1:]) for maps in network.maps(images)] == [(2, 32, 32), (4, 16, 16), (8, 8, 8)]
    features = network.encode(images)
    assert features.shape == (3, 32)
    assert features.min() >= 0
    drawn = network(features)
    assert drawn.shape == images.shape
    assert 0 <= drawn.min() < drawn.max() <= 1


def test_features_are_averages_over_quarters_by_channel_row_and_column() -> None:
    maps = torch.arange(2 * 8 * 8.0).view(1, 2, 8, 8)
    quarter = maps[0, 1, 4:, :4].mean()  # second channel, lower left
    assert pooled(maps)[0, 4 + 2] == quarter


def test_the_generator_sees_features_in_units_of_their_spread() -> None:
    network = small()
    network.mean.fill_(2.0)
    network.deviation.fill_(0.5)
    network.deviation[3] = 0  # of a feature that nothing moves
    scaled = network.scaled(torch.full((1, 32), 3.0))
    assert torch.equal(scaled[0, :3], torch.full((3,), 2.0))
    assert scaled[0, 3] == 1
    assert torch.equal(network.highest[:4], torch.tensor([2 + REACH / 2] * 3 + [2.0]).double())


def test_what_it_inverts_is_the_zoo_s_classifier() -> None:
    network, classifier = zoo.load("dgn-cifar10"), zoo.load("vgg-cifar10")
    assert isinstance(network, DGN)
    kept: list[torch.Tensor] = []
    classifier.get_submodule("stage3").register_forward_hook(lambda _module, _given, maps: kept.append(maps))
    images = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    classifier(PREPROCESS(images))
    assert torch.allclose(network.encode(images), pooled(kept[0]), rtol=1e-4, atol=1e-5)
