"""The code book: nearest entries, moving averages, entries brought back into use."""

from __future__ import annotations

import torch

from mango.networks.vqvae import VQVAE, EMAQuantizer


def test_nearest_is_nearest() -> None:
    torch.manual_seed(0)
    quantizer = EMAQuantizer(7, 3)
    features = torch.randn(2, 3, 4, 5)
    distance = (features.permute(0, 2, 3, 1)[..., None, :] - quantizer.codebook).square().sum(-1)
    assert torch.equal(quantizer.nearest(features), distance.argmin(-1))


def test_lookup_inverts_nearest_for_the_entries_themselves() -> None:
    quantizer = EMAQuantizer(5, 3)
    labels = torch.arange(5).view(1, 1, 5)
    assert torch.equal(quantizer.nearest(quantizer.lookup(labels)), labels)


def test_entries_follow_the_mean_of_what_is_assigned_to_them() -> None:
    torch.manual_seed(0)
    quantizer = EMAQuantizer(2, 2)
    features = torch.tensor([[0.0, 0.0], [10.0, 10.0]]).repeat_interleave(8, 0).T.reshape(1, 2, 4, 4)
    for _ in range(600):
        quantizer.update(features, quantizer.nearest(features))
    assert torch.allclose(quantizer.codebook.sort(0).values, torch.tensor([[0.0, 0.0], [10.0, 10.0]]), atol=0.05)


def test_dead_entries_come_back() -> None:
    torch.manual_seed(0)
    quantizer = EMAQuantizer(16, 2)
    quantizer.codebook[1:] = 1e6
    features = torch.randn(4, 2, 8, 8)
    for _ in range(50):
        quantizer.update(features, quantizer.nearest(features))
    assert len(quantizer.nearest(features).unique()) >= 12


def test_gradients_pass_straight_through() -> None:
    torch.manual_seed(0)
    model = VQVAE(labels=8, embedding=4, hidden=8, residual=4)
    images = torch.rand(2, 3, 32, 32)
    out = model(images)
    assert out.reconstruction.shape == images.shape
    assert out.labels.shape == (2, 8, 8)
    out.reconstruction.mean().backward()
    first = model.encoder[0].weight.grad
    assert first is not None
    assert first.abs().sum() > 0
