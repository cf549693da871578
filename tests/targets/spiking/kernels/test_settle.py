from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mango.errors import InputError
from mango.targets.spiking.affine import affine_of
from mango.targets.spiking.kernels import (
    Affine,
    Layer,
    Order,
    fire,
    integrate,
    layers,
    leaky,
    order_of,
    prepare,
    relaxing,
    spike_convolution,
    unpack,
)

NEURONS = {
    "leaky": leaky(0.9, 1.0),
    "both": leaky(0.9, 1.0, delayed=False),
    "integrate and fire": relaxing(1.0, None),
    "lif of 3": relaxing(0.5, -0.1, tau=3.0),
    "per channel": leaky(np.linspace(0.5, 1, 24), np.linspace(0.5, 1.5, 24)),
}
GEOMETRY = {  # size, kernel, stride, padding, pool and its stride
    "not pooled": ((6, 7), (3, 3), (1, 1), (1, 1), (1, 1), (1, 1)),
    "halves": ((8, 8), (3, 3), (1, 1), (1, 1), (2, 2), (2, 2)),
    "overlapping": ((9, 8), (3, 2), (1, 1), (0, 0), (3, 2), (2, 1)),
    "strided": ((11, 12), (3, 3), (2, 1), (1, 0), (2, 3), (2, 2)),
    "padding only": ((4, 4), (2, 2), (1, 1), (3, 3), (2, 2), (2, 2)),
    "the whole": ((5, 5), (1, 1), (1, 1), (0, 0), (5, 5), (1, 1)),
}


def case(geometry: str, neuron: str, steps: int, *, normed: bool = True, fused: bool = False, outputs: int = 24):
    """Spikes, and a layer whose sums often come to the threshold."""
    size, kernel, stride, padding, pool, pool_stride = GEOMETRY[geometry]
    rng = np.random.default_rng(0)
    currents = rng.choice([0.0, 0.11, 0.15, 0.3, 0.6], (1, 3, *size, 20)).astype(np.float32)
    words = integrate(currents, steps, leaky(0.9, 1.0))
    weight = (rng.integers(-3, 5, (outputs, 20, *kernel)) * np.float32(0.05)).astype(np.float32)
    bias = (rng.integers(-1, 2, outputs) * np.float32(0.1)).astype(np.float32)
    table = np.stack([rng.choice([0.5, 1.0, 1.1, -0.7], outputs), rng.choice([0.0, 0.1, -0.3], outputs)])
    affine = Affine(table.astype(np.float32), fused) if normed else None
    prepared = prepare(weight, bias, Order(16, True))
    return words, Layer(prepared, NEURONS[neuron], stride, padding, pool, pool_stride, True, affine)


def one_after_another(words: np.ndarray, layer: Layer) -> np.ndarray:
    currents = torch.from_numpy(spike_convolution(words, layer.prepared, layer.stride, layer.padding))
    steps, images = currents.shape[:2]
    means = F.avg_pool2d(currents.flatten(0, 1).permute(0, 3, 1, 2), layer.pool, layer.pool_stride)
    given = means.permute(0, 2, 3, 1).unflatten(0, (steps, images)).numpy()
    if layer.affine is not None:
        scale, shift = layer.affine.table
        if layer.affine.fused:
            given = (given.astype(np.float64) * scale + shift).astype(np.float32)
        else:
            given = given * scale + shift
    return integrate(np.ascontiguousarray(given), steps, layer.dynamics)


@pytest.fixture
def seen(implementation, monkeypatch):
    """How many neurons were in doubt."""
    seen = SimpleNamespace(doubts=0)

    def settle(*arguments):
        seen.doubts += implementation.settle(*arguments)

    monkeypatch.setattr(layers, "kernels", lambda: SimpleNamespace(settle=settle))
    return seen


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("neuron", NEURONS)
def test_spikes_are_those_of_one_operation_after_another(neuron, fused):
    words, layer = case("halves", neuron, 40, fused=fused)
    expected = one_after_another(words, layer)
    assert 0.01 < unpack(expected, 24).mean() < 0.95
    np.testing.assert_array_equal(fire(words, layer), expected)


@pytest.mark.parametrize("normed", [True, False])
@pytest.mark.parametrize("geometry", GEOMETRY)
def test_windows_of_all_kinds(geometry, normed):
    words, layer = case(geometry, "leaky", 50, normed=normed)
    np.testing.assert_array_equal(fire(words, layer), one_after_another(words, layer))


@pytest.mark.parametrize("steps", [1, 8, 9, 31, 32, 33, 129])
def test_trains_of_any_length(steps):
    words, layer = case("halves", "leaky", steps)
    np.testing.assert_array_equal(fire(words, layer), one_after_another(words, layer))


@pytest.mark.parametrize("outputs", [1, 16, 40, 130])
def test_outputs_of_any_number(outputs):
    words, layer = case("halves", "leaky", 20, outputs=outputs)
    np.testing.assert_array_equal(fire(words, layer), one_after_another(words, layer))


def test_without_the_bound_some_spikes_would_be_wrong(seen):
    words, layer = case("halves", "integrate and fire", 128, normed=False)
    expected = one_after_another(words, layer)
    np.testing.assert_array_equal(fire(words, layer), expected)
    assert seen.doubts > 0
    careless = replace(layer)
    careless.__dict__["bounds"] = np.zeros_like(layer.bounds)
    assert not np.array_equal(fire(words, careless), expected)


@pytest.mark.parametrize("normed", [True, False])
def test_the_bound_covers_what_the_order_changes(normed):
    rng = np.random.default_rng(3)
    weight = (rng.standard_normal((24, 64, 3, 3)) * 0.1).astype(np.float32)
    bias = rng.standard_normal(24).astype(np.float32)
    scale, shift = rng.uniform(0.3, 3, 24).astype(np.float32), -rng.uniform(0, 3, 24).astype(np.float32)
    affine = Affine(np.stack([scale, shift]), fused=False) if normed else None
    for mean in (0.0, 0.05):
        prepared = prepare(weight + np.float32(mean), bias, Order(16, True))
        layer = Layer(prepared, leaky(0.9, 1.0), (1, 1), (1, 1), (2, 2), (2, 2), True, affine)
        currents = rng.choice([0.0, 0.11, 0.15, 0.3, 0.6], (1, 2, 8, 8, 64)).astype(np.float32)
        words = integrate(currents, 40, leaky(0.9, 1.0))
        joined = spike_convolution(words, layer.joined, (2, 2), (1, 1))
        sums = torch.from_numpy(spike_convolution(words, prepared, (1, 1), (1, 1))).flatten(0, 1)
        apart = F.avg_pool2d(sums.permute(0, 3, 1, 2), 2).permute(0, 2, 3, 1).unflatten(0, (40, 2)).numpy()
        if normed:
            apart = apart * scale + shift
        spikes = torch.from_numpy(unpack(words, 64).sum(-1)).flatten(0, 1)[:, None]
        share = F.conv2d(spikes, torch.ones(1, 1, 3, 3)).max().item() / (9 * 64)
        b = layer.bounds.astype(np.float64)
        bound = np.sqrt(((b[0] * share + b[1]) * share + b[2]) * share + b[3])
        largest = np.abs(joined - apart).max((0, 1, 2, 3))
        assert (largest > 0).all()
        assert (largest < bound / 4).all()
        assert (largest > bound / 400).all()


def test_behind_a_batch_norm_of_torch():
    torch.manual_seed(1)
    conv, pool, norm = nn.Conv2d(20, 40, 3, padding=1), nn.AvgPool2d(2), nn.BatchNorm2d(40).eval()
    norm.running_mean.uniform_(-1, 1)
    norm.running_var.uniform_(0.1, 2)
    nn.init.uniform_(norm.weight)
    nn.init.uniform_(norm.bias)
    words, _ = case("halves", "leaky", 30)
    spikes = torch.from_numpy(unpack(words, 20)).flatten(0, 1).permute(0, 3, 1, 2)
    weight, bias = conv.weight.detach(), conv.bias.detach()
    order = order_of(weight, bias, (8, 8), (1, 1), (1, 1), images=4)
    affine = affine_of(norm)
    if order is None or affine is None:
        pytest.skip("torch computes in an order of its own on this machine")
    with torch.no_grad():
        currents = norm(pool(conv(spikes.contiguous()).contiguous(memory_format=torch.channels_last)))
    given = currents.permute(0, 2, 3, 1).unflatten(0, words.shape[:2]).numpy()
    prepared = prepare(weight.numpy(), bias.numpy(), order)
    layer = Layer(prepared, leaky(0.9, 0.5), (1, 1), (1, 1), (2, 2), (2, 2), True, affine)
    expected = integrate(np.ascontiguousarray(given), 30, layer.dynamics)
    assert unpack(expected, 40).mean() > 0.01
    np.testing.assert_array_equal(fire(words, layer), expected)


def test_what_cannot_be_fired():
    words, layer = case("halves", "leaky", 8)
    with pytest.raises(InputError, match="reset to zero without delay"):
        fire(words, replace(layer, dynamics=leaky(0.9, 1.0, "zero", delayed=False)))
    with pytest.raises(InputError, match="averaged before a batch norm; got their largest"):
        fire(words, replace(layer, averaged=False))
