"""Read-outs against leaky integrate-and-fire neurons that are stepped by hand, and packed ones against plain ones."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import snntorch
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mango.errors import InputError
from mango.targets.spiking import SpikingNetwork, SpikingTarget
from mango.targets.spiking.packages.snntorch import SnnTorch
from mango.targets.spiking.readouts import OF_SPIKES, TABLE, Activity
from tests.targets.spiking.examples import SHAPE, Deciding, convolutional, leaky, stimuli

STEPS = 12
IMAGES = stimuli(5)
UNITS = {  # of the layers
    "2": [(), (3,), (3, 4, 0), (None, 1, 2), (2, None, 4), (1, 2)],
    "4": [(), (7,), (0, 2, 2)],
    "7": [(), (4,)],
}


@cache
def by_hand() -> dict[str, dict[str, NDArray[np.float64]]]:
    """Of every layer and read-out: one number for each neuron, ``(n, ...)``."""
    network = convolutional()
    before = {"2": network[:2], "4": network[3], "7": network[5:7]}
    threshold = {"2": 0.3, "4": 0.6, "7": 0.2}
    membrane: dict[str, Tensor] = {}
    free: dict[str, Tensor] = {}
    seen: dict[str, tuple[list[Tensor], ...]] = {name: ([], [], []) for name in before}
    with torch.no_grad():
        for _ in range(STEPS):
            x = torch.from_numpy(IMAGES)
            for name, modules in before.items():
                current = modules(x)
                u = membrane.get(name, torch.zeros_like(current))
                u = 0.9 * u + current - (u > threshold[name]) * threshold[name]
                x = (u > threshold[name]).float()
                membrane[name] = u
                free[name] = 0.9 * free.get(name, torch.zeros_like(current)) + current
                for kept, value in zip(seen[name], (x, current, free[name]), strict=True):
                    kept.append(value)
    answers = {}
    for name, kept in seen.items():
        spikes, currents, potentials = (np.stack([step.numpy() for step in steps]).astype(float) for steps in kept)
        first = np.where(spikes.any(0), spikes.argmax(0) + 1, STEPS + 1)
        answers[name] = {
            "rate": spikes.sum(0) / STEPS,
            "count": spikes.sum(0),
            "latency": -first,
            "current": currents.mean(0),
            "membrane": potentials.mean(0),
        }
    return answers


def expected(layer: str, unit: tuple[int | None, ...], readout: str) -> NDArray[np.float64]:
    picked = by_hand()[layer][readout][(slice(None), *(slice(None) if i is None else i for i in unit))]
    return picked.reshape(len(IMAGES), -1).mean(1)


@cache
def network(kind: str) -> SpikingNetwork:
    if kind == "traced":
        return SpikingNetwork(convolutional(), steps=STEPS, stimulus_shape=SHAPE)
    with pytest.warns(RuntimeWarning, match="own loop"):
        return SpikingNetwork(Deciding(), steps=STEPS, stimulus_shape=SHAPE)


def test_the_example_spikes_neither_never_nor_always() -> None:
    for answers in by_hand().values():
        assert 0.02 < answers["rate"].mean() < 0.9
        assert len(np.unique(answers["rate"])) > 5
        assert len(np.unique(answers["latency"])) > 3


@pytest.mark.parametrize("kind", ["traced", "own loop"])
@pytest.mark.parametrize("readout", TABLE)
@pytest.mark.parametrize("layer", UNITS)
def test_of_any_unit_as_by_hand(layer: str, readout: str, kind: str) -> None:
    name = layer if kind == "traced" else f"inner.{layer}"
    for unit in UNITS[layer]:
        answer = SpikingTarget(network(kind), name, unit, readout).respond(IMAGES)
        values, keys = answer if isinstance(answer, tuple) else (answer, None)
        exact = readout in OF_SPIKES
        assert values == pytest.approx(expected(layer, unit, readout), abs=1e-12 if exact else 1e-5)
        assert (keys is not None) == exact
        if keys is not None:
            assert keys == pytest.approx(expected(layer, unit, "current"), abs=1e-5)


def test_keys_order_what_the_values_leave_equal() -> None:
    dim = IMAGES * np.linspace(0, 0.05, 5, dtype=np.float32)[:, None, None, None]
    silent = SpikingNetwork(nn.Sequential(nn.Flatten(), positive(), leaky()), steps=STEPS, stimulus_shape=SHAPE)
    for readout, value in {"rate": 0, "count": 0, "latency": -(STEPS + 1)}.items():
        values, keys = SpikingTarget(silent, unit=0, readout=readout).respond(dim)
        assert (values == value).all()
        assert len(set(keys)) == len(dim)


def positive() -> nn.Linear:
    linear = nn.Linear(288, 2)
    nn.init.constant_(linear.weight, 0.002)
    nn.init.zeros_(linear.bias)
    return linear


@pytest.mark.parametrize("shape", [(4,), (7, 3, 2), (7, 3), (20,), ()])
@pytest.mark.parametrize("steps", [1, 9])
@pytest.mark.parametrize("reset", ["subtract", "zero", "none"])
def test_packed_neurons_are_read_as_the_package_s_own(shape: tuple[int, ...], steps: int, reset: str) -> None:
    neuron = SnnTorch().neuron(leaky(reset_mechanism=reset), (4,))
    currents = torch.randn((9, 3, *shape), generator=torch.Generator().manual_seed(0))[:steps]
    packed, plain = (Activity(neuron, currents, 9, packed=p) for p in (True, False))
    assert torch.equal(packed.spikes, plain.spikes)
    for readout in TABLE:
        assert packed.read(readout).shape == (3, *shape)
        assert np.array_equal(packed.read(readout), plain.read(readout))


def test_what_lies_beside_a_neuron_does_not_change_its_sums() -> None:
    neuron = SnnTorch().neuron(leaky(), (4,))
    currents = torch.randn((50, 6, 33), generator=torch.Generator().manual_seed(0))
    for packed in (True, False):
        for readout in TABLE:
            together = Activity(neuron, currents, 50, packed=packed).read(readout)
            alone = Activity(neuron, currents[:, 2:3, 5], 50, packed=packed).read(readout)
            assert alone[0] == together[2, 5]


def test_channels_with_parameters_of_their_own() -> None:
    beta = torch.linspace(0.1, 0.95, 8)[:, None, None]
    several = SpikingNetwork(convolutional(beta=beta), steps=STEPS, stimulus_shape=SHAPE)
    for channel in (0, 7):
        same = SpikingNetwork(convolutional(beta=float(beta[channel])), steps=STEPS, stimulus_shape=SHAPE)
        for readout in TABLE:
            first, second = (SpikingTarget(n, "4", channel, readout).respond(IMAGES) for n in (several, same))
            assert np.array_equal(first, second)


def test_graded_spikes_count_with_their_size() -> None:
    whole, half = (
        SpikingNetwork(nn.Sequential(nn.Flatten(), positive(), leaky(threshold=0.1, graded_spikes_factor=f)),
                       steps=STEPS, stimulus_shape=SHAPE)
        for f in (1.0, 0.5)
    )  # fmt: skip
    for readout, factor in {"rate": 0.5, "count": 0.5, "latency": 1}.items():
        (one, _), (other, _) = (SpikingTarget(n, unit=1, readout=readout).respond(IMAGES) for n in (whole, half))
        assert one.any()
        assert np.array_equal(other, factor * one)


def test_what_cannot_be_read_is_refused_at_once() -> None:
    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = snntorch.RLeaky(beta=0.9, linear_features=4, init_hidden=True)
            self.second = snntorch.SLSTM(4, 3, init_hidden=True)

        def forward(self, x: Tensor) -> Tensor:
            answer: Tensor = self.second(self.first(x))
            return answer

    network = SpikingNetwork(Recurrent(), steps=STEPS, stimulus_shape=(4,))
    with pytest.raises(InputError, match=r"the potential without reset of first .* read its current instead"):
        SpikingTarget(network, "first", readout="membrane")
    with pytest.raises(InputError, match="second weights its input inside"):
        SpikingTarget(network, "second", readout="current")
    assert not isinstance(SpikingTarget(network, "second").respond(stimuli(2, (4,))), tuple)
