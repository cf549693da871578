"""A folder of a few images, and a small model published with what it is worth on them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mango import appraisal, zoo
from mango.networks.vqvae import VQVAE


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    for i in range(35):
        place = folder / ("test" if i < 25 else "train") / str(i % 10)
        place.mkdir(parents=True, exist_ok=True)
        coarse = rng.integers(0, 256, (4, 4, 3), np.uint8)
        Image.fromarray(coarse.repeat(8, 0).repeat(8, 1)).save(place / f"{i:03}.png")
    return folder


@pytest.fixture
def model(data: Path, tmp_path: Path) -> Path:
    """The folder of a small ``vqvae-cifar10``."""
    options = {"labels": 8, "hidden": 8, "residual": 4, "blocks": 1}
    torch.manual_seed(0)
    network = VQVAE(**options)
    worth = appraisal.figures("vqvae-cifar10", network, data)
    card = zoo.Card("vqvae-cifar10", "small", options, "", "", 0, "cpu", {}, "2026-11-27", "MIT", worth, "", {})
    zoo.publish(card, network, {"natural_codes": np.zeros((1, 64))}, tmp_path)
    return tmp_path
