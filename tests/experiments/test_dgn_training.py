"""The training of the inverse: what it costs, a classifier that stays, statistics of the weights that are kept."""

from __future__ import annotations

import pytest
import torch

from experiments.train import dgn, loop
from mango import zoo
from mango.networks.dgn import DGN
from mango.networks.vgg import VGG

IMAGES = torch.rand(6, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def small() -> DGN:
    torch.manual_seed(0)
    return dgn.of_classifier(DGN(width=2, generator=(6, 5, 4, 3)), VGG(2))


def test_equal_images_cost_nothing_and_others_their_share_of_the_variance() -> None:
    losses = dgn.Losses(small())
    assert losses.of(IMAGES, IMAGES) == 0
    model = small()
    other = IMAGES.flip(0)
    expected = float((IMAGES - other).square().mean()) / dgn.VARIANCE
    for own, wanted in zip(model.maps(other)[1:], model.maps(IMAGES)[1:], strict=True):
        expected += float((own - wanted).square().mean() / wanted.var())
    assert float(losses.of(other, IMAGES)) == pytest.approx(expected, rel=1e-5)


def test_a_new_batch_has_its_own_maps() -> None:
    losses = dgn.Losses(small())
    losses.of(IMAGES, IMAGES)
    assert losses.of(IMAGES.flip(0), IMAGES.flip(0)) == 0


def test_the_discriminator_and_the_generator_are_given_the_same_images() -> None:
    model = small()
    losses = dgn.Losses(model)
    with torch.no_grad():
        against = losses.draw(model.generator, IMAGES, torch.Generator())
    drawn = losses.draw(model.generator, IMAGES, torch.Generator())
    assert torch.equal(against, drawn)
    assert drawn.requires_grad
    assert not against.requires_grad
    assert not torch.equal(losses.draw(model.generator, IMAGES.flip(0), torch.Generator()), drawn)


def test_the_generator_learns_and_the_classifier_stays() -> None:
    model = small()
    losses = dgn.Losses(model)
    drawn = losses.draw(model.generator, IMAGES, torch.Generator())
    losses.of(drawn, IMAGES).backward()
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in model.generator.parameters())
    assert all(weight.grad is None for weight in model.encoder.parameters())
    assert not any(stage.training for stage in model.encoder.values())


def test_it_inverts_a_copy_of_the_classifier() -> None:
    classifier = zoo.load("vgg-cifar10")
    model = dgn.of_classifier(DGN(), classifier)
    kept = {
        f"{stage}.{name}": weight
        for stage in model.encoder
        for name, weight in model.encoder[stage].state_dict().items()
    }
    assert all(torch.equal(classifier.state_dict()[name], weight) for name, weight in kept.items())


def test_statistics_are_those_of_the_features() -> None:
    model = small()
    features = dgn.features_of(model, (IMAGES.repeat(50, 1, 1, 1) * 255).byte())
    assert features.shape == (300, 32)
    with loop.statistics_taken(model.generator):
        for part in features.split(100):
            model(part)
    assert not model.generator.training
    norm = model.generator.blocks[0].norm1
    with torch.no_grad():
        given = model.generator.first(model.scaled(features)).view(300, -1, 16)
    assert torch.allclose(norm.running_mean, given.mean((0, 2)), atol=1e-4)
    assert int(norm.num_batches_tracked) == 3
