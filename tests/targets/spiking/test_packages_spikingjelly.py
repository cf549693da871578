"""Networks of SpikingJelly, whatever their style: the trains of their own loop, to the last bit."""

from __future__ import annotations

import sys
import warnings
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn

from mango.errors import InputError
from mango.targets.spiking import SpikingNetwork, SpikingTarget
from mango.targets.spiking.packages import package_of
from tests.optional import optional
from tests.targets.spiking import reference
from tests.targets.spiking.jelly_networks import CASES, SHAPE, STEP, STEPS, TRAINS, build, functional, neuron, stronger
from tests.targets.spiking.jelly_networks import layer as layers

NODES = (neuron.BaseNode,)


@cache
def network(name: str) -> SpikingNetwork:
    with warnings.catch_warnings():
        warnings.simplefilter("error" if CASES[name].traced else "ignore", RuntimeWarning)
        return SpikingNetwork(build(name), steps=STEPS, stimulus_shape=SHAPE)


@pytest.mark.parametrize("n", [4, 7])
@pytest.mark.parametrize("kind", ["noise", "smooth", "natural"])
@pytest.mark.parametrize("name", CASES)
def test_every_layer_is_that_of_the_own_loop(name: str, kind: str, n: int) -> None:
    images = reference.pictures(kind, n, SHAPE)
    own = reference.own(build(name), images, STEPS, CASES[name].run, NODES)
    fired = set()
    for layer in network(name).layers:
        currents, spikes = reference.of_mango(network(name), images, layer)
        assert torch.equal(currents, own[layer][0]), layer
        assert torch.equal(spikes, own[layer][1]), layer
        fired |= {layer} if spikes.any() and not spikes.all() else set()
    assert fired == set(network(name).layers) == set(own)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.traced])
def test_what_is_feed_forward_is_evaluated_over_all_steps(name: str) -> None:
    check = network(name).check
    assert check is not None
    assert (check.flipped, check.currents_equal) == (0, True)
    assert network(name)._engine is not None
    assert network(name)._engine.kernels


@pytest.mark.parametrize(
    ("name", "why"), [("filtered", "filter keeps a state"), ("container", "traced"), ("recurrent", "traced")]
)
def test_what_is_not_is_evaluated_by_its_own_loop_and_says_why(name: str, why: str) -> None:
    with pytest.warns(RuntimeWarning, match=f"is evaluated by its own loop .*{why}"):
        assert SpikingNetwork(build(name), steps=STEPS, stimulus_shape=SHAPE).check is None


@pytest.mark.parametrize("name", ["if trains", "tutorial", "own loop", "folding", "recurrent"])
def test_evaluations_do_not_depend_on_those_before(name: str) -> None:
    images = reference.pictures("natural", 9, SHAPE)
    layer = list(network(name).layers)[-1]
    first = network(name).read(images, layer, (), "count")
    network(name).read(images[:2], layer, (), "count")
    assert (network(name).read(images, layer, (), "count") == first).all()


def test_trains_are_told_from_images_of_one_colour() -> None:
    """Four grey images (4, 1, 28, 28) look like four steps of one image of 28 rows."""
    torch.manual_seed(0)
    mine = nn.Sequential(layers.Flatten(), layers.Linear(784, 10), neuron.IFNode())
    functional.set_step_mode(mine, "m")
    found = SpikingNetwork(mine, steps=4, stimulus_shape=(1, 28, 28))
    images = reference.pictures("noise", 5, (1, 28, 28))
    own = reference.own(mine, images, 4, TRAINS, NODES)
    assert found.layers == {"2": (10,)}
    assert torch.equal(reference.of_mango(found, images, "2")[1], own["2"][1])


def test_the_user_s_network_is_left_as_it_was() -> None:
    mine: Any = build("lif trains").train()
    mine(torch.rand(STEPS, 5, *SHAPE)).sum().backward()
    potential, mean = mine[2].v, mine[1].running_mean.clone()
    assert not potential.is_leaf
    images = reference.pictures("noise", 4, SHAPE)
    used = SpikingNetwork(mine, steps=STEPS, stimulus_shape=SHAPE).read(images, "11", (), "rate")
    assert mine.training
    assert mine[2].v is potential
    assert mine[2].step_mode == "m"
    assert torch.equal(mine[1].running_mean, mean)
    functional.reset_net(mine)
    again = SpikingNetwork(mine, steps=STEPS, stimulus_shape=SHAPE).read(images, "11", (), "rate")
    assert (used == again).all()


@pytest.mark.parametrize("v_reset", [None, 0.0, -0.2])
def test_a_potential_without_reset_is_that_of_the_same_node_that_never_spikes(v_reset: float | None) -> None:
    mine = neuron.LIFNode(tau=2.5, v_reset=v_reset)
    free = package_of(mine).neuron(mine, (5,)).without_reset()
    never = neuron.LIFNode(tau=2.5, v_reset=v_reset, v_threshold=1e9)
    torch.manual_seed(0)
    for _ in range(8):
        current = 3 * torch.rand(3, 5)
        _, potential = free.step(current)
        never(current)
        assert torch.equal(potential, never.v)
    assert potential.max() > 1


def test_a_node_that_mango_cannot_step_is_read_from_the_own_loop() -> None:
    torch.manual_seed(0)
    mine = nn.Sequential(
        nn.Flatten(2), nn.Linear(768, 10), neuron.SlidingPSN(k=2, step_mode="m"), neuron.IFNode(step_mode="m")
    )
    with pytest.warns(RuntimeWarning, match="keeps a state of its own"):
        found = SpikingNetwork(stronger(mine), steps=STEPS, stimulus_shape=SHAPE)
    images = reference.pictures("noise", 4, SHAPE)
    own = reference.own(mine, images, STEPS, TRAINS, NODES)
    assert torch.equal(reference.of_mango(found, images, "3")[1], own["3"][1])


def test_the_potential_of_an_unknown_node_says_what_to_read_instead() -> None:
    with pytest.raises(InputError, match="read its current instead"):
        SpikingTarget(network("eif"), readout="membrane")


def test_what_the_package_writes_as_nir_is_the_same_network(tmp_path: Path) -> None:
    nir = optional("nir")
    export = optional("spikingjelly.activation_based.nir_exchange").export_to_nir
    torch.manual_seed(0)
    mine = nn.Sequential(
        layers.Conv2d(2, 4, 3),
        neuron.LIFNode(tau=2.0, v_threshold=0.1),
        layers.AvgPool2d(2, 2),
        layers.Flatten(),
        layers.Linear(36, 5),
        neuron.IFNode(v_threshold=0.2),
    )
    nir.write(str(tmp_path / "model.nir"), export(mine, torch.rand(1, 2, 8, 8)))
    found = SpikingNetwork.from_nir(tmp_path / "model.nir", steps=9)
    images = reference.pictures("noise", 5, (2, 8, 8))
    own = reference.own(mine, images, 9, STEP, NODES)
    assert list(found.layers.values()) == [(4, 6, 6), (5,)]
    for written, (_, spikes) in zip(found.layers, own.values(), strict=True):
        assert torch.equal(reference.of_mango(found, images, written)[1], spikes)
        assert 0 < spikes.mean() < 1


def residual_network(monkeypatch: pytest.MonkeyPatch, name: str, **options: Any) -> nn.Module:
    """One of SpikingJelly's own, which ask torchvision for nothing but a way to download weights."""
    for place in ("torchvision", "torchvision.models", "torchvision.models.utils"):
        monkeypatch.setitem(sys.modules, place, ModuleType(place))
    sys.modules["torchvision.models.utils"].load_state_dict_from_url = None  # type: ignore[attr-defined]
    from spikingjelly.activation_based.model import sew_resnet, spiking_resnet

    torch.manual_seed(0)
    kind = getattr(sew_resnet, name, None) or getattr(spiking_resnet, name)
    made: nn.Module = kind(num_classes=10, spiking_neuron=neuron.IFNode, **options)
    functional.set_step_mode(made, "m")
    return stronger(made, 2)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "options"), [("spiking_resnet18", {}), ("sew_resnet18", {"cnf": "ADD"})])
def test_residual_networks_of_the_package(monkeypatch: pytest.MonkeyPatch, name: str, options: dict[str, Any]) -> None:
    mine = residual_network(monkeypatch, name, **options)
    found = SpikingNetwork(mine, steps=8, stimulus_shape=(3, 32, 32))
    assert found.check is not None
    images = reference.pictures("natural", 4, (3, 32, 32))
    own = reference.own(mine, images, 8, TRAINS, NODES)
    assert list(found.layers) == list(own)
    assert len(own) >= 17
    for layer in found.layers:
        currents, spikes = reference.of_mango(found, images, layer)
        assert torch.equal(currents, own[layer][0]), layer
        assert torch.equal(spikes, own[layer][1]), layer
    assert all(spikes.any() for _, spikes in own.values())
