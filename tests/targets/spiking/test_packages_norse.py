"""Networks of Norse, whatever their style: the trains of their own loop, to the last bit."""

from __future__ import annotations

import warnings
from functools import cache

import numpy as np
import pytest
import torch
from torch import nn

from mango.errors import InputError
from mango.targets.spiking import SpikingNetwork, SpikingTarget
from mango.targets.spiking.packages import package_of
from tests.targets.spiking import reference
from tests.targets.spiking.norse_networks import CASES, SHAPE, STEPS, build, easily, norse

CELLS = (norse.LIFCell, norse.LIFBoxCell, norse.IAFCell, norse.LIFExCell, norse.LIF)
CELLS += (norse.LIFRecurrentCell, norse.LICell, norse.LI, norse.LILinearCell)
INTEGRATORS = {"cells": "8", "over time": "5", "recurrent": "4", "tutorial": "out"}


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
    own = reference.own(build(name), images, STEPS, CASES[name].run, CELLS)
    fired = set()
    for layer in network(name).layers:
        currents, spikes = reference.of_mango(network(name), images, layer)
        assert torch.equal(currents, own[layer][0]), layer
        assert torch.equal(spikes, own[layer][1]), layer
        fired |= {layer} if spikes.any() and not spikes.all() else set()
    assert fired | {INTEGRATORS.get(name)} >= set(network(name).layers) == set(own)
    assert network(name).layers == {layer: tuple(spikes.shape[2:]) for layer, (_, spikes) in own.items()}


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.traced])
def test_what_is_feed_forward_is_evaluated_over_all_steps(name: str) -> None:
    check = network(name).check
    assert check is not None
    assert (check.flipped, check.currents_equal) == (0, True)


def test_feedback_is_evaluated_by_the_own_loop() -> None:
    with pytest.warns(RuntimeWarning, match="second feeds a neuron of another step"):
        SpikingNetwork(build("feedback"), steps=STEPS, stimulus_shape=SHAPE)


def test_one_step_without_a_state_is_no_way_to_be_called() -> None:
    class Forgetful(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc, self.lif = nn.Linear(768, 5), norse.LIFCell()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            spikes: torch.Tensor = self.lif(self.fc(x.flatten(1)))[0]
            return spikes

    with pytest.raises(InputError, match="makes 1 time steps by itself, where steps=6"):
        SpikingNetwork(Forgetful(), steps=STEPS, stimulus_shape=SHAPE)


@pytest.mark.parametrize(("name", "layer"), INTEGRATORS.items())
def test_an_integrator_is_read_by_its_potential(name: str, layer: str) -> None:
    images = reference.pictures("natural", 4, SHAPE)
    own = reference.own(build(name), images, STEPS, CASES[name].run, CELLS)[layer][1]
    potential = network(name).read(images, layer, (), "membrane")
    assert potential == pytest.approx(own.double().mean(0).numpy(), rel=1e-6)
    assert np.ptp(potential) > 0
    with pytest.raises(InputError, match=f"{layer} gives its potential and no spikes: read it as {layer}@membrane"):
        SpikingTarget(network(name), layer)


def test_weights_inside_a_cell_hide_its_currents() -> None:
    images = reference.pictures("noise", 4, SHAPE)
    values = SpikingTarget(network("recurrent"), "1", 3).respond(images)
    assert isinstance(values, np.ndarray)
    with pytest.raises(InputError, match="1 weights its input inside"):
        SpikingTarget(network("recurrent"), "1", readout="current")
    with pytest.raises(InputError, match="potential without reset of 1"):
        SpikingTarget(network("recurrent"), "1", readout="membrane")


def test_a_potential_without_reset_is_that_of_the_same_cell_that_never_spikes() -> None:
    mine = norse.LIFCell(p=easily())
    free, never = package_of(mine).neuron(mine, (5,)).without_reset(), norse.LIFCell(p=easily(1e9))
    state = None
    torch.manual_seed(0)
    for _ in range(8):
        current = 3 * torch.rand(3, 5)
        _, potential = free.step(current)
        _, state = never(current, state)
        assert torch.equal(potential, state.v)
    assert potential.max() > 0.2
