"""The training of the residual spiking network: its neurons are SpikingJelly's, its states span the whole training."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch

from mango.targets.spiking import SpikingNetwork
from tests.optional import optional

neuron: Any = optional("spikingjelly.activation_based.neuron")
functional: Any = optional("spikingjelly.activation_based.functional")
surrogate: Any = optional("spikingjelly.activation_based.surrogate")
training: Any = optional("experiments.train.spiking_resnet")
networks: Any = optional("mango.networks.spiking_resnet")

STEPS = 4


def small() -> Any:
    torch.manual_seed(0)
    return networks.SpikingResNet18(width=4)


@pytest.mark.parametrize("given", [1, STEPS])
def test_neurons_and_their_gradients_are_those_of_spikingjelly(given: int) -> None:
    currents = 3 * torch.rand((given, 5, 6), generator=torch.Generator().manual_seed(1))
    weights = torch.randn((STEPS, 5, 6), generator=torch.Generator().manual_seed(2))
    ours, theirs = currents.clone().requires_grad_(), currents.clone().requires_grad_()
    node = neuron.LIFNode(surrogate_function=surrogate.ATan(), detach_reset=True, step_mode="m")
    spikes, expected = training.Neurons(STEPS)(ours), node(theirs.expand(STEPS, 5, 6))
    assert 0 < spikes.mean() < 1
    assert torch.equal(spikes, expected)
    (spikes * weights).sum().backward()
    (expected * weights).sum().backward()
    assert ours.grad is not None
    assert torch.allclose(ours.grad, theirs.grad, rtol=1e-5, atol=1e-6)


def test_what_is_trained_is_the_network() -> None:
    network = small()
    model = training.over_trains(copy.deepcopy(network))
    training.take_statistics(model, torch.randint(0, 256, (200, 3, 32, 32), dtype=torch.uint8))
    network.load_state_dict(model.state_dict())
    images = torch.randn(3, 3, 32, 32)
    functional.set_step_mode(network.eval(), "m")
    with torch.no_grad():
        trained, own = (net.read_out(net.stem(images.expand(STEPS, *images.shape))) for net in (model, network))
    assert trained.shape == (STEPS, 3, 10)
    assert trained.std() > 0
    assert torch.equal(trained, own)


def test_statistics_are_those_of_the_images() -> None:
    model = training.over_trains(small())
    images = torch.randint(0, 256, (200, 3, 32, 32), dtype=torch.uint8)
    training.take_statistics(model, images)
    assert not model.training
    norm = model.stem[1]
    with torch.no_grad():
        shown = model.stem[0](training.normalise(images.float() / 255)[None])
    assert torch.allclose(norm.running_mean, shown.mean((0, 1, 3, 4)), atol=1e-4)
    assert int(norm.num_batches_tracked) == 2


@pytest.mark.parametrize("iterations", [6, 100, 2_800])
def test_moments_are_spread_over_the_training(iterations: int) -> None:
    kept = training.moments(iterations)
    assert kept[0] == 0
    assert kept[-1] == iterations
    assert list(kept) == sorted(set(kept))
    assert len(kept) == training.KEPT or iterations < training.APART**training.KEPT


def test_it_is_evaluated_layer_by_layer() -> None:
    network = small().eval()
    assert network.steps == STEPS
    evaluated = SpikingNetwork(network, steps=STEPS)
    assert evaluated.check is not None
    assert list(evaluated.layers)[:2] == ["sn1", "layer1.0.sn1"]
    assert evaluated.layers["layer4.1.sn2"] == (32, 4, 4)
