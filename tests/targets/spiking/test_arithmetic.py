"""Devices and precisions: what is refused, what is switched and restored, and which spikes flip."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import snntorch
import torch
from torch import nn

from mango.errors import OptionError, UnknownName
from mango.targets import make_target
from mango.targets.spiking import SpikingNetwork, arithmetic
from mango.targets.spiking.arithmetic import check_precision, device_of, maps, reference
from tests.targets.spiking.examples import SHAPE, Deciding, convolutional, leaky, stimuli

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
STEPS = 40


def test_names_of_devices() -> None:
    assert device_of("cpu") == device_of(CPU) == CPU
    assert device_of("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    for name in ("mps", "gpu", "", 3, None):
        with pytest.raises(OptionError, match="device must be cpu, cuda or auto; got"):
            device_of(name)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match=r"torch sees .* GPUs; take device='auto'"):
        device_of("cuda:99")


def test_names_of_precisions() -> None:
    for name in ("float32", "tf32", "bfloat16", "float16"):
        check_precision(name, CUDA)
    with pytest.raises(OptionError, match="precision='tf32' needs a GPU; this network is on the cpu"):
        check_precision("tf32", CPU)
    with pytest.raises(UnknownName, match="did you mean bfloat16"):
        make_target(convolutional(), steps=3, stimulus_shape=SHAPE, precision="bflot16")


NEW = hasattr(getattr(torch.backends.cudnn, "conv", None), "fp32_precision")  # torch 2.9 renamed the switches
OWNERS = (torch.backends.cuda.matmul, torch.backends.cudnn.conv if NEW else torch.backends.cudnn)
TF32 = {True: "tf32", False: "ieee"} if NEW else {True: True, False: False}


def switches() -> tuple[object, ...]:
    tf32 = (getattr(owner, "fp32_precision" if NEW else "allow_tf32") for owner in OWNERS)
    cudnn = torch.backends.cudnn
    return (*tf32, cudnn.deterministic, cudnn.benchmark, torch.get_num_threads(), torch.is_autocast_enabled("cuda"))


def test_switches_of_a_gpu_are_set_and_restored() -> None:
    kept = switches()
    exact, loose = ((TF32[on], TF32[on], True, False, 1, False) for on in (False, True))
    with reference(CUDA):
        assert switches() == exact
        with maps(CUDA, "float32"):
            assert switches() == exact
        with maps(CUDA, "tf32"):
            assert switches() == loose
        assert switches() == exact
    assert switches() == kept
    with pytest.raises(ZeroDivisionError), reference(CUDA), maps(CUDA, "tf32"):
        raise ZeroDivisionError
    assert switches() == kept


def test_half_precision_is_of_maps_alone() -> None:
    x, weight = torch.rand(4, 8), torch.rand(3, 8)
    for name in ("bfloat16", "float16"):
        with reference(CPU), maps(CPU, name):
            assert nn.functional.linear(x, weight).dtype == getattr(torch, name)
            assert (0.9 * x + x).dtype == torch.float32
    assert not torch.is_autocast_enabled("cpu")


def exact() -> nn.Module:
    """Maps whose sums half precision holds exactly where the images are black and white."""
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(2, 8, 3, stride=2, bias=False),
        leaky(),
        nn.Conv2d(8, 4, 3, bias=False),
        nn.Flatten(),
        snntorch.RLeaky(beta=0.87, threshold=0.77, linear_features=36, init_hidden=True),
    )
    for i in (0, 2):
        weight = network[i].weight
        network[i].weight = nn.Parameter(torch.randint(-3, 5, weight.shape) / 4)
    return network


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_neurons_stay_in_float32(precision: str) -> None:
    with pytest.warns(RuntimeWarning, match="spikes per million differ"):
        half = SpikingNetwork(exact(), steps=STEPS, stimulus_shape=SHAPE, precision=precision)
    full = SpikingNetwork(exact(), steps=STEPS, stimulus_shape=SHAPE)
    images = stimuli(6).round()
    for layer in full.layers:
        for readout in ("rate", "latency", "current"):
            assert np.array_equal(half.read(images, layer, (), readout), full.read(images, layer, (), readout))
            assert full.read(images, layer, (), readout).std() > 0


def test_flipped_spikes_are_told() -> None:
    with pytest.warns(RuntimeWarning, match=r"Sequential on cpu in bfloat16: \S+ spikes per million differ") as told:
        half = SpikingNetwork(convolutional(), steps=STEPS, stimulus_shape=SHAPE, precision="bfloat16")
    assert half.check is not None
    assert half.check.flipped > 0
    assert f"{half.check.per_million:.3g} spikes" in str(told[0].message)
    full = SpikingNetwork(convolutional(), steps=STEPS, stimulus_shape=SHAPE)
    assert full.check is not None
    assert full.check.flipped == 0
    images = stimuli(8)
    rates, exact = (network.read(images, "4", (), "rate") for network in (half, full))
    assert 0 < np.abs(rates - exact).max()
    assert np.abs(rates - exact).mean() < 0.01


def test_the_own_loop_has_no_other_precision() -> None:
    with pytest.raises(OptionError, match=r"precision='bfloat16' is for networks .* Deciding is evaluated by its own"):
        SpikingNetwork(Deciding(), steps=3, stimulus_shape=SHAPE, precision="bfloat16")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("precision", ["float32", "tf32", "bfloat16"])
def test_a_gpu_answers_as_the_cpu_does(precision: str) -> None:
    expected = SpikingNetwork(convolutional(), steps=STEPS, stimulus_shape=SHAPE).read(stimuli(70), "4", (), "rate")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*spikes per million differ")
        there = SpikingNetwork(convolutional(), steps=STEPS, stimulus_shape=SHAPE, device="cuda", precision=precision)
    rates = there.read(stimuli(70), "4", (), "rate")
    assert np.abs(rates - expected).mean() < (1e-4 if precision == "float32" else 0.01)
    assert np.array_equal(there.read(stimuli(70), "4", (), "rate"), rates)


def test_where_rounding_depends_on_rows_a_row_does_not_depend_on_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arithmetic, "rows_matter", lambda: True)
    linear = nn.functional.linear
    generator = torch.Generator().manual_seed(1)
    rows, weight = (torch.randn((n, 4096), generator=generator) for n in (50, 10))
    bias = torch.randn(10, generator=generator)
    with reference(CPU, stepwise=True):
        whole = linear(rows, weight, bias)
        for n in (1, 3, 4, 7, 50):
            assert torch.equal(linear(rows[:n], weight, bias), whole[:n])
        assert linear(rows[:0], weight, bias).shape == (0, 10)
        tokens = linear(rows.view(5, 10, 4096), weight, bias=bias)
    with reference(CPU):
        torch.testing.assert_close(whole, linear(rows, weight, bias), rtol=0, atol=1e-3)
        assert torch.equal(tokens, linear(rows.view(5, 10, 4096), weight, bias))
