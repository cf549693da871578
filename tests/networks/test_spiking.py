"""The network evaluated layer by layer gives the spikes of snnTorch's own step loop."""

from __future__ import annotations

import pytest
import torch

from mango.networks.spiking import BETA, SpikingConvNet, integrate


@pytest.fixture(scope="module")
def network() -> SpikingConvNet:
    torch.manual_seed(0)
    network = SpikingConvNet((4, 6, 8)).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(2.0)
        network.linear.bias.add_(0.3)
    return network


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_layer_by_layer_equals_step_by_step(network: SpikingConvNet, memory_format: torch.memory_format) -> None:
    images = torch.randn(5, 3, 32, 32, generator=torch.Generator().manual_seed(1)).contiguous(
        memory_format=memory_format
    )
    with torch.no_grad():
        stepwise = network(images, 16)
        *_, currents = network.layers(images, 16)
        spikes, _ = integrate(currents, 16)
    assert 0 < stepwise.mean() < 1
    assert torch.equal(spikes, stepwise)


def test_neurons_follow_their_equation() -> None:
    current = torch.tensor([0.05, 0.3, 0.9, 2.0])
    spikes, mean = integrate(current[None], 10)
    for i, drive in enumerate(current.tolist()):
        membrane, spike, total = 0.0, 0.0, 0.0
        for t in range(10):
            membrane = BETA * membrane + drive - spike
            spike = float(membrane > 1)
            total += membrane
            assert spikes[t, i] == spike
        assert mean[i] == pytest.approx(total / 10, rel=1e-5)


def test_without_reset_the_potential_only_leaks() -> None:
    _, mean = integrate(torch.tensor([[1.0]]), 3, reset=False)
    assert mean.item() == pytest.approx((1 + 1.9 + 2.71) / 3)
