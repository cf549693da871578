"""States of a training are kept beside the trained weights, and nothing else is loaded in their place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from mango import zoo
from mango.errors import InputError, WeightsError
from mango.networks.vqvae import VQVAE

NAME = "vqvae-cifar10"
OPTIONS = {"labels": 8, "hidden": 8, "residual": 4, "blocks": 1}
MOMENTS = (0, 12, 3)


def network(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return VQVAE(**OPTIONS)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    card = zoo.Card(NAME, "", OPTIONS, "", "", 0, "cpu", {}, "", "MIT", {}, "", {})
    states = {after: network(after).state_dict() for after in MOMENTS}
    zoo.publish(card, network(99), {"natural_codes": np.zeros((1, 64))}, tmp_path, states)
    return tmp_path


def same(one: nn.Module, other: nn.Module) -> bool:
    return all(torch.equal(value, other.state_dict()[name]) for name, value in one.state_dict().items())


def test_each_moment_is_loaded_as_it_was(folder: Path) -> None:
    assert zoo.moments(NAME, folder) == sorted(MOMENTS)
    for after in MOMENTS:
        loaded = zoo.load(NAME, folder, after)
        assert same(loaded, network(after))
        assert not loaded.training
    assert same(zoo.load(NAME, folder), network(99))
    assert zoo.verify(NAME, folder) == 3


def test_another_moment_is_refused(folder: Path) -> None:
    with pytest.raises(InputError, match=r"after 0, 3, 12 iterations; got after=4"):
        zoo.load(NAME, folder, 4)


def test_a_model_without_states_says_so() -> None:
    assert zoo.moments(NAME) == []
    with pytest.raises(InputError, match="at the end of its training only"):
        zoo.load(NAME, after=0)


def test_a_damaged_file_is_refused(folder: Path) -> None:
    path = folder / f"{NAME}.training.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    for look in (lambda: zoo.moments(NAME, folder), lambda: zoo.load(NAME, folder, 3)):
        with pytest.raises(WeightsError, match="SHA-256"):
            look()
