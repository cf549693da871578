"""Weights load only when they are those of their card, and the cards say what was reached."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from mango import zoo
from mango.errors import UnknownName, WeightsError
from tests.optional import optional

REACH = {
    "vqvae-cifar10": {
        "mse": (0, 0.0045),
        "perplexity": (300, 512),
        "frechet_reconstructions": (0, 2),
        "frechet_random_codes": (5, 20),
    },
    "vqvae-cifar10-prior": {"nats_per_code": (250, 320), "bits_per_label": (5, 7.3), "frechet_samples": (0, 5)},
    "sngan-cifar10": {"frechet": (0, 3), "frechet_floor": (0, 0.1)},
    "dgn-cifar10": {"mse": (0, 0.026), "feature_distance": (0, 0.4), "same_vgg": (0.75, 1), "same_resnet18": (0.65, 1)},
    "snn-cifar10": {"accuracy": (0.65, 1)},
    "snn-t128-cifar10": {"accuracy": (0.7, 1)},
    "snn-resnet-cifar10": {"accuracy": (0.55, 1)},
    "resnet18-cifar10": {"accuracy": (0.85, 1)},
    "vgg-cifar10": {"accuracy": (0.78, 1)},
    "vit-cifar10": {"accuracy": (0.65, 1)},
    "series-trace": {"accuracy": (0.98, 1)},
    "series-gunpoint": {"accuracy": (0.95, 1)},
}


@pytest.mark.parametrize("name", zoo.TABLE)
def test_cards_say_what_was_reached(name: str) -> None:
    card = zoo.card(name)
    for figure, (low, high) in REACH[name].items():
        assert low <= card.figures[figure] <= high
    training = {f"{name}.training.safetensors"} if zoo.moments(name) else set()
    assert set(card.sha256) == {f"{name}.safetensors", f"{name}.nature.safetensors"} | training
    assert f"--seed {card.seed}" in card.command


@pytest.mark.parametrize("name", zoo.TABLE)
def test_networks_load_in_eval_mode(name: str) -> None:
    if name == "snn-resnet-cifar10":
        optional("spikingjelly")
    network = zoo.load(name)
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_all_weights_together_are_small() -> None:
    assert sum(file.stat().st_size for file in zoo.FOLDER.glob("*.safetensors")) < 40e6


def test_unknown_model() -> None:
    with pytest.raises(UnknownName, match="snn-cifar10"):
        zoo.load("snn-cifar")


@pytest.mark.parametrize("part", ["safetensors", "nature.safetensors"])
def test_a_changed_byte_is_refused(tmp_path: Path, part: str) -> None:
    for file in zoo.FOLDER.glob("snn-cifar10.*"):
        shutil.copy(file, tmp_path)
    path = tmp_path / f"snn-cifar10.{part}"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="SHA-256"):
        zoo.load("snn-cifar10", tmp_path) if part == "safetensors" else zoo.nature("snn-cifar10", tmp_path)


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="cannot be read"):
        zoo.card("snn-cifar10", tmp_path)
    shutil.copy(zoo.FOLDER / "snn-cifar10.json", tmp_path)
    with pytest.raises(WeightsError, match="cannot be read"):
        zoo.load("snn-cifar10", tmp_path)
