"""A training that was killed goes on to the weights it would have had."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from experiments.train import checkpoint
from mango import zoo
from tests.experiments.trainings import Train, training
from tests.optional import optional

TRAININGS = {
    "vqvae": ["--iterations", "14"],
    "vqvae_prior": ["--iterations", "6"],
    "sngan": ["--iterations", "5", "--width", "8"],
    "dgn": ["--image-iterations", "2", "--iterations", "5"],
    "spiking": ["--rate-iterations", "6", "--spike-iterations", "6", "--steps", "2"],
    "spiking_t128": ["--rate-iterations", "4", "--spike-iterations", "2", "--steps", "2"],
    "spiking_resnet": ["--iterations", "6", "--width", "4"],
    "classifier": ["--network", "vgg", "--width", "2", "--iterations", "3", "--restart", "4"],
}
MODELS = {
    "vqvae": "vqvae-cifar10",
    "vqvae_prior": "vqvae-cifar10-prior",
    "sngan": "sngan-cifar10",
    "dgn": "dgn-cifar10",
    "spiking": "snn-cifar10",
    "spiking_t128": "snn-t128-cifar10",
    "spiking_resnet": "snn-resnet-cifar10",
    "classifier": "vgg-cifar10",
}


@pytest.fixture(scope="module")
def train() -> Iterator[Train]:
    with training() as run:
        yield run


def words(name: str, data: Path, out: Path) -> list[str]:
    common = ["--data", str(data), "--out", str(out), "--device", "cpu", "--every", "2"]
    return [*common, *TRAININGS[name]]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    for split, count in (("train", 30), ("test", 10)):
        for i in range(count):
            place = folder / split / str(i % 10)
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 256, (32, 32, 3), np.uint8)).save(place / f"{i:03}.png")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAININGS)
def test_killed_and_resumed_equals_never_killed(name: str, train: Train, data: Path, tmp_path: Path) -> None:
    if name == "spiking_resnet":
        optional("spikingjelly")
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert train(name, words(name, data, whole)) == 0
    assert train(name, words(name, data, killed), dying=True) == -signal.SIGKILL
    left = {file.name for file in killed.rglob("*.*") if not file.name.startswith("after-")}
    assert left == {"checkpoint.safetensors", "checkpoint.part"}
    model = MODELS[name]
    assert train(name, words(name, data, killed)) == 0
    one, other = (replace(zoo.card(model, folder), date="") for folder in (whole, killed))
    assert one == other
    assert zoo.load(model, killed).state_dict().keys() == zoo.load(model, whole).state_dict().keys()


def test_checkpoints_keep_nested_states(tmp_path: Path) -> None:
    state = {"model": {"w": torch.arange(3.0)}, "optimizer": {"groups": [{"lr": 0.1, "betas": (0.9, 0.99)}]}, "n": None}
    checkpoint.save(tmp_path / "c.safetensors", state)
    back = checkpoint.load(tmp_path / "c.safetensors")
    assert torch.equal(back["model"]["w"], state["model"]["w"])  # type: ignore[index, arg-type]
    assert back["optimizer"] == {"groups": [{"lr": 0.1, "betas": [0.9, 0.99]}]}
    assert back["n"] is None
