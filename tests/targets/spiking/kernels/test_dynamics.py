from __future__ import annotations

import numpy as np
import pytest
import snntorch
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mango.errors import InputError
from mango.targets.spiking.kernels import integrate, leaky, relaxing, unpack

STEPS, CHANNELS = 12, 19
HARD = [0.0, -0.0, 1.0, -1.0, 0.5, 0.1, 1e-45, -1e-40, 1.1754944e-38, np.nextafter(np.float32(1), 2), 3.0, 1e30]
FIXTURES = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=10, derandomize=True
)

KINDS = ["if", "lif 2", "lif 3", "lif own 2", "lif own 3", "plif", "plif own", "simple", "half"]

currents = st.lists(
    st.one_of(st.sampled_from(HARD), st.floats(-4, 4, width=32)), min_size=CHANNELS, max_size=STEPS * CHANNELS
)


def train(values: list[float]) -> np.ndarray:
    """Currents ``(T, 1, 1, 1, C)``: the drawn values over and over."""
    return np.resize(np.asarray(values, np.float32), (STEPS, 1, 1, 1, CHANNELS))


def loop_of_snntorch(neuron: snntorch.Leaky, given: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    with torch.inference_mode():
        membrane, spikes, membranes = torch.zeros(given.shape[1:]), [], []
        for current in torch.from_numpy(given):
            spike, membrane = neuron(current, membrane)
            spikes.append(spike)
            membranes.append(membrane)
    return torch.stack(spikes).numpy(), torch.stack(membranes).numpy()


@pytest.mark.parametrize("delayed", [True, False])
@pytest.mark.parametrize("reset", ["subtract", "zero", "none"])
@FIXTURES
@given(values=currents, beta=st.sampled_from([0.9, 1.0, 0.0, 0.37]), threshold=st.sampled_from([1.0, 0.3, 0.0, -0.2]))
def test_leaky_is_snntorchs(reset, delayed, values, beta, threshold):
    given_currents = train(values)
    potentials = np.empty_like(given_currents)
    words = integrate(given_currents, STEPS, leaky(beta, threshold, reset, delayed=delayed), potentials=potentials)
    neuron = snntorch.Leaky(beta=beta, threshold=threshold, reset_mechanism=reset, reset_delay=delayed)
    spikes, membranes = loop_of_snntorch(neuron, given_currents)
    np.testing.assert_array_equal(unpack(words, CHANNELS), spikes)
    np.testing.assert_array_equal(potentials, membranes)


def test_leaky_per_channel():
    rng = np.random.default_rng(0)
    beta, threshold = rng.uniform(0, 1.2, CHANNELS), rng.uniform(0.2, 1, CHANNELS)  # some beta above 1: clamped
    given_currents = rng.uniform(-0.5, 1, (STEPS, 2, 3, 4, CHANNELS)).astype(np.float32)
    words = integrate(given_currents, STEPS, leaky(beta, threshold))
    neuron = snntorch.Leaky(beta=torch.tensor(beta).float(), threshold=torch.tensor(threshold).float())
    spikes, _ = loop_of_snntorch(neuron, given_currents)
    np.testing.assert_array_equal(unpack(words, CHANNELS), spikes)
    assert 0.05 < spikes.mean() < 0.9


@pytest.mark.parametrize("mode", ["s", "m"])
@pytest.mark.parametrize("v_reset", [None, 0.0, -0.3])
@pytest.mark.parametrize(
    "kind", ["if", "lif 2", "lif 3", "lif own 2", "lif own 3", "plif", "plif own", "simple", "half"]
)
@FIXTURES
@given(values=currents, threshold=st.sampled_from([1.0, 0.3]))
def test_relaxing_is_spikingjellys(kind, v_reset, mode, values, threshold):
    neuron = pytest.importorskip("spikingjelly.activation_based.neuron")
    decay_input = "own" not in kind
    common = {"v_threshold": threshold, "v_reset": v_reset, "step_mode": mode}
    if kind == "if":
        node, dynamics = neuron.IFNode(**common), relaxing(threshold, v_reset)
    elif kind == "half":
        node = neuron.HalfThresholdIFNode(threshold, step_mode=mode)
        dynamics = relaxing(threshold, None, initial=threshold / 2)
    elif kind == "simple":
        node = neuron.SimpleIFNode(**common)
        dynamics = relaxing(threshold, v_reset, initial=0)
    elif kind.startswith("plif"):
        node = neuron.ParametricLIFNode(3.3, decay_input, **common)
        dynamics = relaxing(threshold, v_reset, rate=node.w.sigmoid().item(), decay_input=decay_input)
    else:
        tau = float(kind[-1])
        node = neuron.LIFNode(tau, decay_input, **common)
        dynamics = relaxing(threshold, v_reset, tau=tau, decay_input=decay_input)
    given_currents = train(values)
    with torch.inference_mode():
        whole = torch.from_numpy(given_currents)
        spikes = node(whole) if mode == "m" else torch.stack([node(current) for current in whole])
    words = integrate(given_currents, STEPS, dynamics)
    np.testing.assert_array_equal(unpack(words, CHANNELS), spikes.numpy())


@FIXTURES
@given(values=currents)
def test_a_current_that_does_not_change_is_given_once(values):
    once = train(values)[:1]
    always = np.ascontiguousarray(np.broadcast_to(once, (STEPS, *once.shape[1:])))
    dynamics = leaky(0.9, 1.0)
    np.testing.assert_array_equal(integrate(once, STEPS, dynamics), integrate(always, STEPS, dynamics))


def test_at_the_threshold_snntorch_is_silent_and_spikingjelly_spikes():
    at = np.ones((1, 1, 1, 1, 1), np.float32)
    assert not integrate(at, 1, leaky(0.9, 1.0)).any()
    assert integrate(at, 1, relaxing(1.0, None)).all()
    at[...] = np.nextafter(np.float32(1), np.float32(2))
    assert integrate(at, 1, leaky(0.9, 1.0)).all()
    at[...] = np.nextafter(np.float32(1), np.float32(0))
    assert not integrate(at, 1, relaxing(1.0, None)).any()


def test_without_reset_spikes_leave_the_potential_alone():
    current = np.full((1, 1, 1, 1, 3), 1.5, np.float32)
    potentials = np.empty((5, 1, 1, 1, 3), np.float32)
    words = integrate(current, 5, leaky(1.0, 1.0).without_reset(), potentials=potentials)
    assert words.tolist() == [[[[[7]]]]] * 5
    np.testing.assert_array_equal(potentials[..., 0].ravel(), 1.5 * np.arange(1, 6))


def test_parameters_that_cannot_be_used():
    with pytest.raises(InputError, match="expected reset subtract, zero or none; got 'sub'"):
        leaky(0.9, 1.0, "sub")
    with pytest.raises(InputError, match="finite parameters"):
        leaky(0.9, np.inf)
    with pytest.raises(InputError, match="one per channel; got parameters of lengths 2"):
        leaky([0.9, 0.8], [1.0, 1.0, 1.0])
    with pytest.raises(InputError, match="tau or rate"):
        relaxing(1.0, None, tau=2.0, rate=0.5)
    with pytest.raises(InputError, match="parameters for 2 channels; its currents have 3"):
        integrate(np.zeros((1, 1, 1, 1, 3), np.float32), 4, leaky([0.9, 0.8], 1.0))
