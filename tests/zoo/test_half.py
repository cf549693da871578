"""Float16 where it loses nothing, and only there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import Tensor, nn

from mango import zoo
from mango.errors import InputError
from mango.networks.vqvae import VQVAE

OPTIONS = {"labels": 8, "hidden": 8, "residual": 4, "blocks": 1}


def published(network: nn.Module, folder: Path) -> dict[str, Tensor]:
    card = zoo.Card("vqvae-cifar10", "", OPTIONS, "", "", 0, "cpu", {}, "", "MIT", {}, "", {})
    zoo.publish(card, network, {"natural_codes": np.zeros((1, 64))}, folder)
    return load_file(folder / "vqvae-cifar10.safetensors")


def small() -> VQVAE:
    torch.manual_seed(0)
    return VQVAE(**OPTIONS)


def test_a_rounded_network_is_stored_in_half_and_comes_back_the_same(tmp_path: Path) -> None:
    network = small()
    before = network.decoder[0].weight.clone()
    zoo.round_to_half(network)
    assert not torch.equal(network.decoder[0].weight, before)
    assert torch.allclose(network.decoder[0].weight, before, rtol=2**-11, atol=2**-25)
    stored = published(network, tmp_path)
    assert {value.dtype for value in stored.values()} == {torch.float16}
    back = zoo.load("vqvae-cifar10", tmp_path)
    for name, value in back.state_dict().items():
        assert value.dtype == torch.float32
        assert torch.equal(value, network.state_dict()[name])
    image = torch.rand(1, 3, 32, 32)
    assert torch.equal(back(image).reconstruction, network.eval()(image).reconstruction)


def test_other_weights_are_stored_as_they_are(tmp_path: Path) -> None:
    network = small()
    stored = published(network, tmp_path)
    assert stored["decoder.0.weight"].dtype == torch.float32
    assert torch.equal(stored["decoder.0.weight"], network.decoder[0].weight)


def test_whole_numbers_stay_whole() -> None:
    network = nn.BatchNorm1d(2)
    network.num_batches_tracked.fill_(4097)  # no number of float16
    zoo.round_to_half(network)
    assert int(network.num_batches_tracked) == 4097


@given(value=st.floats(width=32))
def test_a_number_is_rounded_to_the_nearest_or_refused(value: float) -> None:
    network = nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        network.weight.fill_(value)
    if abs(value) <= 65504:
        zoo.round_to_half(network)
        assert network.weight.item() == float(np.float16(value))
    else:
        with pytest.raises(InputError, match="float16 holds numbers up to 65504"):
            zoo.round_to_half(network)


def test_nothing_is_rounded_where_one_number_is_refused() -> None:
    network = nn.Linear(1, 1)
    with torch.no_grad():
        network.weight.fill_(0.1)
        network.bias.fill_(1e5)
    with pytest.raises(InputError, match="bias holds 100000"):
        zoo.round_to_half(network)
    assert network.weight.item() == float(np.float32(0.1))
