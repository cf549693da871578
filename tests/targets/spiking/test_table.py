from __future__ import annotations

import numpy as np
import pytest
import snntorch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from mango.targets.spiking import SpikingNetwork, engine, kernels
from mango.targets.spiking.kernels import Charge, Dynamics, Reset, leaky, relaxing
from mango.targets.spiking.table import MONOTONE, Table, is_monotone

CPU = torch.device("cpu")
EDGES = [0.0, -0.0, 1e-45, -1e-45, 1e-38, 1.0, -1.0, 3e38, -3e38]


def stepped(currents: Tensor, dynamics: Dynamics, steps: int) -> Tensor:
    """Spikes ``(T, n)`` of constant currents ``(n,)``, by the kernels."""
    driven = np.ascontiguousarray(currents.numpy().reshape(1, 1, 1, 1, -1))
    return torch.from_numpy(kernels.unpack(kernels.integrate(driven, steps, dynamics), len(currents))).view(steps, -1)


@settings(max_examples=60)
@given(
    rate=st.floats(0, 1, width=32),
    threshold=st.floats(0.0625, 4, width=32),
    amount=st.floats(-2, 4, width=32),
    initial=st.floats(-1, 1, width=32),
    reset=st.sampled_from(MONOTONE),
    steps=st.integers(1, 20),
    seed=st.integers(0, 2**16),
)
def test_every_current_has_the_train_of_its_steps(rate, threshold, amount, initial, reset, steps, seed):
    parameters = np.array([[rate], [0], [threshold], [amount], [initial]], np.float32)
    dynamics = Dynamics(Charge.DECAY, reset, parameters)
    table = Table(lambda few: stepped(few, dynamics, steps), CPU)
    changes = table.currents.numpy()
    around = np.concatenate([changes, *(np.nextafter(changes, np.float32(end)) for end in (-np.inf, np.inf))])
    drawn = np.random.default_rng(seed).normal(0, 1.5 * threshold, 500)
    currents = torch.from_numpy(np.concatenate([around, drawn, EDGES]).astype(np.float32))
    spikes = torch.empty(steps, len(currents))
    table.look_up(currents, spikes)
    assert torch.equal(spikes, stepped(currents, dynamics, steps))


def test_trains_as_many_as_the_literature_s_neuron_has():
    counts = [len(Table(lambda few: stepped(few, leaky(0.9, 1.0), t), CPU).currents) + 1 for t in (32, 64, 128)]  # noqa: B023
    assert counts == [453, 1597, 5420]


@pytest.mark.parametrize(
    ("dynamics", "monotone"),
    [
        (leaky(0.9, 1.0), True),
        (leaky([0.5, 0.9], 1.0, "zero"), True),
        (leaky(0.9, 1.0, delayed=False), False),
        (leaky(0.9, 1.0, "zero", delayed=False), False),
        (relaxing(1.0, 0.0), True),
        (relaxing(1.0, None, tau=2.0), False),
        (Dynamics(Charge.DECAY, Reset.NONE, np.array([[-0.5], [0], [1], [1], [0]], np.float32)), False),
        (None, False),
    ],
)
def test_only_neurons_that_rise_with_their_current_are_tabled(dynamics, monotone):
    assert is_monotone(dynamics) == monotone


def network(layout: torch.memory_format) -> nn.Module:
    torch.manual_seed(0)
    neurons = [snntorch.Leaky(beta=0.8, init_hidden=True, threshold=0.3) for _ in range(2)]
    return nn.Sequential(nn.Conv2d(3, 8, 3), neurons[0], nn.Flatten(), nn.Linear(8 * 36, 5), neurons[1]).to(
        memory_format=layout  # type: ignore[call-overload]
    )


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_the_engine_on_torch_alone_looks_up_what_it_would_step(monkeypatch, layout):
    made = SpikingNetwork(network(layout), steps=24, stimulus_shape=(3, 8, 8))
    assert made._engine is not None
    made._engine.kernels = False
    inputs = torch.rand(1, 5, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    inputs = inputs[0].contiguous(memory_format=layout)[None]
    expected = made._engine.currents(inputs, "4")
    assert not made._engine._tables
    monkeypatch.setattr(engine, "TABLED", 1)
    assert torch.equal(made._engine.currents(inputs, "4"), expected)
    assert set(made._engine._tables) == {"1"}


def test_a_current_that_is_lost_is_stepped(monkeypatch):
    made = SpikingNetwork(network(torch.contiguous_format), steps=4, stimulus_shape=(3, 8, 8))
    assert made._engine is not None
    made._engine.kernels = False
    inputs = torch.rand(1, 2, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    inputs[0, 1, 0, 2, 2] = torch.nan
    expected = made._engine.currents(inputs, "4")
    monkeypatch.setattr(engine, "TABLED", 1)
    assert torch.equal(made._engine.currents(inputs, "4"), expected)
