from __future__ import annotations

import numpy as np
import pytest
import torch

from mango.errors import InputError
from mango.targets.spiking.kernels import count, first_spike, flatten, integrate, leaky, pack, unpack


@pytest.mark.parametrize("channels", [1, 10, 16, 17, 64, 200])
@pytest.mark.parametrize("density", [0.0, 0.1, 1.0])
def test_packed_and_unpacked(channels, density):
    rng = np.random.default_rng(0)
    spikes = (rng.random((9, 2, 3, 4, channels)) < density).astype(np.float32)
    words = pack(spikes)
    assert words.shape == (9, 2, 3, 4, -(-channels // 16))
    np.testing.assert_array_equal(unpack(words, channels), spikes)
    np.testing.assert_array_equal(count(words, channels), spikes.sum(0))
    expected = np.where(spikes.any(0), spikes.argmax(0) + 1, 10)
    np.testing.assert_array_equal(first_spike(words, channels), expected)


@pytest.mark.parametrize(("channels", "height", "width"), [(1, 1, 1), (20, 3, 5), (64, 5, 5), (33, 1, 1)])
def test_flattened_as_torch_does(channels, height, width):
    spikes = (np.random.default_rng(0).random((4, 2, height, width, channels)) < 0.3).astype(np.float32)
    words = flatten(pack(spikes), channels)
    expected = torch.from_numpy(spikes).permute(0, 1, 4, 2, 3).flatten(2).numpy()
    np.testing.assert_array_equal(unpack(words, expected.shape[2])[:, :, 0, 0], expected)
    np.testing.assert_array_equal(words, pack(unpack(words, expected.shape[2])))
    with pytest.raises(InputError, match="groups of 16 channels"):
        flatten(pack(spikes), channels + 16)


def test_bits_beyond_the_last_channel_are_zero():
    words = integrate(np.full((1, 1, 1, 1, 18), 9, np.float32), 3, leaky(0.9, 1.0))
    assert words.tolist() == [[[[[0xFFFF, 3]]]]] * 3


def test_currents_that_cannot_be_integrated():
    dynamics = leaky(0.9, 1.0)
    good = np.zeros((2, 1, 3, 3, 4), np.float32)
    with pytest.raises(InputError, match="currents as float32 of 5 dimensions; got float64 of 5"):
        integrate(good.astype(np.float64), 2, dynamics)
    with pytest.raises(InputError, match="got list"):
        integrate(good.tolist(), 2, dynamics)
    with pytest.raises(InputError, match="contiguous"):
        integrate(good.transpose(0, 1, 3, 4, 2), 2, dynamics)
    with pytest.raises(InputError, match="currents of 1 or 3 steps; got 2"):
        integrate(good, 3, dynamics)
    with pytest.raises(InputError, match=r"expected potentials \(2, 1, 3, 3, 4\); got \(3, 1, 3, 3, 4\)"):
        integrate(good, 2, dynamics, potentials=np.empty((3, 1, 3, 3, 4), np.float32))


@pytest.mark.parametrize("shape", [(1, 0, 2, 2, 3), (1, 2, 0, 2, 3), (4, 2, 2, 2, 0)])
def test_no_neurons_have_no_spikes(shape):
    words = integrate(np.zeros(shape, np.float32), 4, leaky(0.9, 1.0))
    assert words.shape == (4, *shape[1:-1], -(-shape[-1] // 16))
