"""The adversarial networks: shapes, bounds, and spectral norms that are one."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mango.networks.sngan import SNGAN, normalise, settle

SMALL = {"latent": 6, "generator": (8, 6, 5, 4), "discriminator": (4, 6, 8, 8)}


@pytest.fixture
def network() -> SNGAN:
    torch.manual_seed(0)
    return SNGAN(**SMALL)  # type: ignore[arg-type]


def test_shapes_and_bounds(network: SNGAN) -> None:
    images = network(10 * torch.randn(3, 6))
    assert images.shape == (3, 3, 32, 32)
    assert 0 <= images.min() < images.max() <= 1
    assert network.score(images).shape == (3,)


def test_every_part_learns(network: SNGAN) -> None:
    network.score(network(torch.randn(4, 6))).sum().backward()  # type: ignore[no-untyped-call]
    for name, weights in network.named_parameters():
        assert weights.grad is not None, name
        assert weights.grad.isfinite().all(), name
    assert all(w.grad.abs().sum() > 0 for n, w in network.named_parameters() if n.endswith("weight"))  # type: ignore[union-attr]


def test_settled_layers_have_spectral_norm_one_and_say_the_same(network: SNGAN) -> None:
    images = torch.rand(5, 3, 32, 32)
    discriminator = network.discriminator
    normalise(discriminator)
    discriminator.train()
    for _ in range(300):  # of the power iteration
        discriminator(images)
    discriminator.eval()
    before = discriminator(images)
    settle(discriminator)
    assert torch.equal(discriminator(images), before)
    layers = [layer for layer in discriminator.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    assert len(layers) == 13
    for layer in layers:
        assert float(torch.linalg.matrix_norm(layer.weight.detach().flatten(1), 2)) == pytest.approx(1, abs=1e-3)
    assert network.state_dict().keys() == SNGAN(**SMALL).state_dict().keys()  # type: ignore[arg-type]
