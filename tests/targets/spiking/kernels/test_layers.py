from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from mango.errors import InputError
from mango.targets.spiking.kernels import (
    Layer,
    Order,
    fire,
    integrate,
    layers,
    leaky,
    pack,
    prepare,
    relaxing,
    spike_convolution,
    unpack,
)

NEURONS = {
    "leaky": leaky(0.9, 1.0),
    "zero": leaky(0.7, 0.8, "zero"),
    "none": leaky(0.5, 1.5, "none"),
    "both": leaky(0.9, 1.0, delayed=False),
    "both zero": leaky(0.9, 1.0, "zero", delayed=False),
    "integrate and fire": relaxing(1.0, None),
    "lif": relaxing(1.0, 0.0, tau=2.0),
    "lif of 3": relaxing(0.5, -0.1, tau=3.0),
    "lif of 3, input apart": relaxing(1.0, None, tau=3.0, decay_input=False),
    "plif": relaxing(1.0, None, rate=0.3),
    "per channel": leaky(np.linspace(0.5, 1, 24), np.linspace(0.5, 1.5, 24)),
}
GEOMETRY = {  # size, kernel, stride, padding, pool and its stride
    "plain": ((6, 7), (3, 3), (1, 1), (0, 0), (1, 1), (1, 1)),
    "pooled": ((8, 8), (3, 3), (1, 1), (1, 1), (2, 2), (2, 2)),
    "overlapping pools": ((9, 8), (3, 2), (1, 1), (0, 0), (3, 2), (2, 1)),
    "strided": ((9, 10), (3, 3), (2, 2), (1, 0), (1, 1), (1, 1)),
    "padding only": ((4, 4), (2, 2), (1, 1), (3, 3), (2, 2), (2, 2)),
    "features": ((1, 1), (1, 1), (1, 1), (0, 0), (1, 1), (1, 1)),
}


def case(geometry: str, neuron: str, steps: int, *, inputs: int = 20, order: Order | None = None, seed: int = 0):
    """Spikes of neurons with few different currents, and weights whose sums often come to the threshold."""
    size, kernel, stride, padding, pool, pool_stride = GEOMETRY[geometry]
    rng = np.random.default_rng(seed)
    currents = rng.choice([0.0, 0.11, 0.15, 0.3, 0.6], (1, 3, *size, inputs)).astype(np.float32)
    words = integrate(currents, steps, leaky(0.9, 1.0))
    weight = (rng.integers(-3, 5, (24, inputs, *kernel)) * np.float32(0.05)).astype(np.float32)
    bias = (rng.integers(-1, 2, 24) * np.float32(0.1)).astype(np.float32)
    prepared = prepare(weight, bias, order or Order(16, True))
    return words, Layer(prepared, NEURONS[neuron], stride, padding, pool, pool_stride)


def by_events(words: np.ndarray, layer: Layer) -> np.ndarray:
    currents = torch.from_numpy(spike_convolution(words, layer.prepared, layer.stride, layer.padding))
    steps, images = currents.shape[:2]
    pooled = F.max_pool2d(currents.flatten(0, 1).permute(0, 3, 1, 2), layer.pool, layer.pool_stride)
    last = pooled.permute(0, 2, 3, 1).unflatten(0, (steps, images)).contiguous().numpy()
    return integrate(last, steps, layer.dynamics)


@pytest.fixture
def seen(implementation, monkeypatch):
    """What the kernel folded: images, and neurons in doubt."""
    seen = SimpleNamespace(folded=0, doubts=0)

    def fold(*arguments):
        seen.doubts += implementation.fold(*arguments)
        seen.folded += arguments[-1].sum()

    monkeypatch.setattr(layers, "kernels", lambda: SimpleNamespace(fold=fold))
    return seen


@pytest.mark.parametrize("neuron", NEURONS)
@pytest.mark.parametrize("steps", [40, 150])
def test_spikes_are_those_of_the_order_of_torch(seen, neuron, steps):
    words, layer = case("pooled", neuron, steps)
    expected = by_events(words, layer)
    assert 0.01 < unpack(expected, 24).mean() < 0.95
    np.testing.assert_array_equal(fire(words, layer), expected)
    assert seen.folded == (0 if neuron == "both zero" else 3)


@pytest.mark.parametrize("order", [Order(16, True), Order(8, False), Order(1000, True)])
@pytest.mark.parametrize("geometry", GEOMETRY)
def test_windows_of_all_kinds(seen, geometry, order):
    words, layer = case(geometry, "leaky", 100, inputs=20 if geometry != "features" else 300, order=order)
    np.testing.assert_array_equal(fire(words, layer), by_events(words, layer))
    assert seen.folded == 3


@pytest.mark.parametrize("steps", [1, 7, 8, 9, 16, 17, 64, 65, 129])
def test_trains_of_any_length(steps):
    words, layer = case("plain", "leaky", steps)
    np.testing.assert_array_equal(fire(words, layer), by_events(words, layer))


def test_without_the_bound_some_spikes_would_be_wrong(seen):
    words, layer = case("plain", "integrate and fire", 128)
    expected = by_events(words, layer)
    np.testing.assert_array_equal(fire(words, layer), expected)
    assert seen.doubts > 0
    careless = replace(layer)
    careless.__dict__["bounds"] = np.zeros_like(layer.bounds)
    assert not np.array_equal(fire(words, careless), expected)


@pytest.mark.parametrize("outputs", [1, 16, 40, 100, 130])
def test_outputs_of_any_number(outputs):
    words, layer = case("pooled", "leaky", 64)
    weight = np.random.default_rng(1).standard_normal((outputs, 20, 3, 3)).astype(np.float32) * np.float32(0.1)
    layer = replace(layer, prepared=prepare(weight, None, Order(16, True)))
    np.testing.assert_array_equal(fire(words, layer), by_events(words, layer))


def test_images_that_do_not_fold_go_the_other_way(seen):
    words, layer = case("pooled", "leaky", 64)
    noise = pack((np.random.default_rng(2).random((64, 1, 8, 8, 20)) < 0.05).astype(np.float32))
    mixed = np.ascontiguousarray(np.concatenate([words[:, :1], noise, words[:, 1:]], axis=1))
    np.testing.assert_array_equal(fire(mixed, layer), by_events(mixed, layer))
    assert seen.folded == 3


def test_the_bound_covers_what_the_order_changes():
    rng = np.random.default_rng(3)
    weight = (rng.standard_normal((24, 64, 3, 3)) * 0.1).astype(np.float32)
    for shift in (0.0, 0.05):  # weights of mean zero, and not
        one, other = (prepare(weight + np.float32(shift), None, Order(block, True)) for block in (16, 64))
        spikes = (rng.random((40, 2, 8, 8, 64)) < 0.3).astype(np.float32)
        sums = [spike_convolution(pack(spikes), prepared) for prepared in (one, other)]
        spikes_below = torch.from_numpy(spikes.sum(-1)).flatten(0, 1)[:, None]
        share = F.conv2d(spikes_below, torch.ones(1, 1, 3, 3)).max().item() / (9 * 64)
        b = Layer(one, leaky(0.9, 1.0)).bounds.astype(np.float64)
        bound = np.sqrt(((b[0] * share + b[1]) * share + b[2]) * share + b[3])
        largest = np.abs(sums[0] - sums[1]).max((0, 1, 2, 3))
        assert (largest > 0).all()
        assert (largest < bound / 4).all()
        assert (largest > bound / 400).all()


def test_layers_that_do_not_fit():
    words, layer = case("pooled", "leaky", 8)
    with pytest.raises(InputError, match="pooling of at least 1"):
        fire(words, replace(layer, pool=(0, 2)))
    with pytest.raises(InputError, match="does not fit into"):
        fire(words, replace(layer, pool=(9, 9)))
    with pytest.raises(InputError, match="groups of 16 channels"):
        fire(np.ascontiguousarray(words[..., :1]), layer)
    with pytest.raises(InputError, match="parameters for 3 channels"):
        fire(words, replace(layer, dynamics=leaky([0.9, 0.8, 0.7], 1.0)))
