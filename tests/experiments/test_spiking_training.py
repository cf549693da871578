"""What the trainings of spiking networks replace their networks' neurons and norms with is the same network."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from experiments.train import spiking_t128
from experiments.train.spiking import integrate, loss
from experiments.train.spiking_t128 import Normalised
from mango.networks.spiking import BETA
from mango.networks.spiking_maxpool import SpikingMaxPoolNet

STEPS = 5


def small() -> SpikingMaxPoolNet:
    return SpikingMaxPoolNet(channels=(6, 5), hidden=7, size=16)


@pytest.mark.parametrize("start", [0.0, 0.5])
def test_spikes_are_those_of_the_equation(start: float) -> None:
    currents = torch.rand((STEPS, 3, 4), generator=torch.Generator().manual_seed(0))
    spikes = integrate(currents, STEPS, start)
    membrane, before = np.full((3, 4), start, np.float32), np.zeros((3, 4), np.float32)
    for t in range(STEPS):
        membrane = np.float32(BETA) * membrane + currents[t].numpy() - before
        before = (membrane > 1).astype(np.float32)
        assert (spikes[t].numpy() == before).all()
    assert 0 < spikes.mean() < 1


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**31), signs=st.lists(st.booleans(), min_size=6, max_size=6))
def test_folded_norms_change_nothing(seed: int, signs: list[bool]) -> None:
    torch.manual_seed(seed)
    model = Normalised(small())
    with torch.no_grad():
        model.norms[0].weight *= torch.where(torch.tensor(signs), 1.0, -1.0)  # of which the size alone counts
    images = torch.randn(4, 3, 16, 16)
    for _ in range(3):
        spiking_t128.forward(model.train(), images, STEPS)
    signals = [images, torch.rand(4, 6, 6, 6).round(), torch.rand(4, 5, 1, 1).round()]
    model.eval()
    with torch.no_grad():
        before = [model.currents(layer, signal) for layer, signal in enumerate(signals, start=1)]
        network = model.folded()
        after = [network.currents(layer, signal) for layer, signal in enumerate(signals, start=1)]
    for one, other in zip(before, after, strict=True):
        assert one.std() > 0
        assert torch.allclose(one, other, rtol=1e-4, atol=1e-5)


def test_settled_and_spiking_currents_are_near_each_other() -> None:
    torch.manual_seed(0)
    model = Normalised(small()).eval()
    images = torch.randn(4, 3, 16, 16)
    with torch.no_grad():
        settled, _ = spiking_t128.forward(model, images, None)
        few, _ = spiking_t128.forward(model, images, 8)
        many, _ = spiking_t128.forward(model, images, 128)
    assert 0 < (many - few).abs().mean() < 0.02
    assert (many - settled).abs().mean() < 0.05


def test_currents_that_leave_no_room_cost() -> None:
    y = torch.tensor([0, 1])
    inside, outside = torch.full((2, 10), 0.3), torch.full((2, 10), 3.0)
    assert loss(outside, y) > loss(inside, y) + 1
    assert spiking_t128.excess(torch.full((1, 2, 4), spiking_t128.ROOM - 0.1)) == 0
    assert spiking_t128.excess(torch.full((1, 2, 4), spiking_t128.ROOM + 1)) == pytest.approx(1)


def test_gradients_reach_every_weight() -> None:
    torch.manual_seed(0)
    model = Normalised(small())
    currents, _ = spiking_t128.forward(model, torch.randn(8, 3, 16, 16), STEPS)
    loss(currents, torch.arange(8)).backward()
    gradients: dict[str, Tensor | None] = {name: weight.grad for name, weight in model.named_parameters()}
    assert {name for name, gradient in gradients.items() if gradient is None or not gradient.abs().any()} <= {
        f"network.{layer}.bias" for layer in ("conv1", "conv2", "linear3")
    }  # which normalisation takes out
