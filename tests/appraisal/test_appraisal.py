"""The figures of a card are what the network does to the test images of a folder, and nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from mango import appraisal, zoo
from mango.appraisal import frechet, spiking
from mango.appraisal.images import batches, load_test
from mango.datasets import load_cifar10
from mango.errors import DataError, UnknownName
from mango.networks.spiking import SpikingConvNet
from mango.networks.vqvae import VQVAE
from mango.targets.preprocess import PREPROCESS


def apart(images: torch.Tensor, natural: torch.Tensor) -> float:
    """The Frechet distance between what is shown of images, rounded to 1/255, and natural ones."""
    shown = np.rint(np.clip(images.numpy(), 0, 1) * 255).astype(np.float32) / np.float32(255)
    return frechet.distance(frechet.features(shown), frechet.features(natural.numpy()))


def test_every_model_of_the_zoo_can_be_appraised() -> None:
    assert set(appraisal.TABLE) == set(zoo.TABLE)


def test_images_come_in_order_and_whole(data: Path) -> None:
    images, labels = load_test(data)
    assert len(images) == len(labels) == 25
    parts = list(batches(images, 20, torch.device("cpu")))
    assert [len(part) for part in parts] == [20, 5]
    assert np.array_equal(torch.cat(parts).numpy() * np.float32(255), images.numpy())


def test_figures_of_a_vqvae(data: Path) -> None:
    found = appraisal.appraise("vqvae-cifar10", data)
    network = zoo.load("vqvae-cifar10")
    assert isinstance(network, VQVAE)
    x = load_test(data)[0].float() / 255
    labels = torch.cat([network.encode(image[None]) for image in x])
    error = float((network.decode(labels).clamp(0, 1) - x).square().mean())
    share = np.bincount(labels.flatten().numpy()) / labels.numel()
    entropy = -sum(p * np.log(p) for p in share if p)
    drawn = np.random.default_rng(0).integers(512, size=(25, 8, 8))
    expected = {
        "mse": error,
        "perplexity": np.exp(entropy),
        "frechet_reconstructions": apart(network.decode(labels), x),
        "frechet_random_codes": apart(network.decode(torch.from_numpy(drawn)), x),
    }
    assert found == pytest.approx(expected, rel=1e-3)


def test_figures_of_a_prior(data: Path) -> None:
    found = appraisal.appraise("vqvae-cifar10-prior", data)
    autoencoder, network = zoo.load("vqvae-cifar10"), zoo.load("vqvae-cifar10-prior")
    assert isinstance(autoencoder, VQVAE)
    x = load_test(data)[0].float() / 255
    nats = [-float(network(autoencoder.encode(image[None]).flatten(1)).sum()) for image in x]
    assert found["nats_per_code"] == pytest.approx(np.mean(nats), rel=1e-5)
    assert found["bits_per_label"] == pytest.approx(np.mean(nats) / 64 / np.log(2), rel=1e-5)
    drawn = network.sample(torch.from_numpy(np.random.default_rng(0).random((25, 64, 2))))  # type: ignore[operator]
    assert found["frechet_samples"] == pytest.approx(apart(autoencoder.decode(drawn.view(-1, 8, 8)), x), rel=1e-3)


def test_figures_of_an_adversarial_network(data: Path) -> None:
    found = appraisal.appraise("sngan-cifar10", data)
    network = zoo.load("sngan-cifar10")
    z = torch.from_numpy(np.random.default_rng(0).standard_normal((25, 128), np.float32))
    test = load_test(data)[0].float() / 255
    train = torch.from_numpy(load_cifar10(data, "train").images).float() / 255
    expected = {"frechet": apart(network(z), test), "frechet_floor": apart(train, test)}
    assert found == pytest.approx(expected, rel=1e-3)


def test_figures_of_a_spiking_network(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spiking, "BATCH", 10)
    found = appraisal.appraise("snn-cifar10", data)
    network = zoo.load("snn-cifar10")
    assert isinstance(network, SpikingConvNet)
    images, labels = load_test(data)
    counts = network(PREPROCESS(images.float() / 255)).sum(0)
    best, second = counts.topk(2).values.T
    clear = best > second  # where counts differ, the current has no say
    right = int((counts.argmax(1) == labels)[clear].sum())
    assert 0 < right <= round(found["accuracy"] * 25) <= right + int((~clear).sum())


def test_a_network_may_be_any_of_that_kind(data: Path) -> None:
    torch.manual_seed(0)
    network = VQVAE(labels=4, hidden=8, residual=4, blocks=1)
    found = appraisal.figures("vqvae-cifar10", network, data)
    assert 1 <= found["perplexity"] <= 4
    assert not network.training


def test_a_model_that_is_not_there(data: Path) -> None:
    with pytest.raises(UnknownName, match="vqvae-cifar10"):
        appraisal.appraise("vqvae-cifar", data)


def test_a_folder_without_images(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no test images"):
        appraisal.appraise("vqvae-cifar10", tmp_path)
