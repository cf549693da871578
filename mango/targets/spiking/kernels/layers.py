"""A layer of neurons behind a convolution of packed spikes, with max-pooling between them, in one go.

Where many neurons below have equal trains, as behind a current that does not change, the compiled kernel adds up the
weights of equal trains first. That is several times faster, but sums come out in another order than torch's. So each
potential carries a bound on what the order can have changed, and a neuron that comes so near its threshold that a spike
is in doubt is computed again in torch's order: the spikes are torch's.

The bound is probabilistic (Higham & Mary 2019, SIAM J. Sci. Comput. 41, A2815, theorem 2.4): with rounding errors that
are independent and of mean zero, a sum with the partial sums s_k is off by more than ``lambda u sqrt(sum s_k^2)`` with
a probability below ``2 exp(-lambda^2 / 2)``, u = 2^-24. The partial sums are those of a random share p of the window's
inputs, p being the largest that the image shows, with twice their standard deviation added to their mean. Where the
currents are larger than that lets one expect, because the neurons below do not spike at random, the bound grows in
proportion.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mango.errors import InputError
from mango.targets.spiking.kernels.backend import kernels
from mango.targets.spiking.kernels.convolution import Prepared, place_of, spike_convolution
from mango.targets.spiking.kernels.dynamics import Charge, Dynamics, Reset
from mango.targets.spiking.kernels.trains import expect, groups_of, integrate

ROUNDED = 2.0**-24  # u: the most by which an operation rounds, relatively
LAMBDA = 8.0  # 2 exp(-lambda^2 / 2) = 3e-14
DEVIATIONS = 2.0  # of the partial sums
FINAL = 32.0  # terms as large as the whole sum that folding adds, at the most usual
MEMORY = 2**23  # bytes of currents that are held at a time where nothing is folded


@dataclass(frozen=True)
class Layer:
    """Convolution of spikes, max-pooling, neurons.

    Attributes:
        prepared: weights of the convolution.
        dynamics: of the neurons, alike or per output channel.
        stride: of the convolution.
        padding: of the convolution.
        pool: size of the pooled windows; (1, 1): none.
        pool_stride: from one to the next.
    """

    prepared: Prepared
    dynamics: Dynamics
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    pool: tuple[int, int] = (1, 1)
    pool_stride: tuple[int, int] = (1, 1)

    @cached_property
    def bounds(self) -> NDArray[np.float32]:
        """``(8, outputs)``: what the kernel needs for its bound on a current, and on a potential after a step.

        With p the share of inputs that spike: the square of the first is ``((b0 p + b1) p + b2) p + b3``, where the
        currents are at most ``b5 p + b6 sqrt(p) + b7``; an earlier difference of the potential is multiplied by b4.
        """
        prepared, (rate, *_) = self.prepared, self.dynamics.over(self.prepared.outputs).astype(np.float64)
        tiles, blocks, *_, width = prepared.weights.shape
        weights = prepared.weights.reshape(tiles, blocks, -1, width).transpose(1, 2, 0, 3)
        weights = weights.reshape(blocks, -1, tiles * width)[..., : prepared.outputs].astype(np.float64)
        bias = np.abs(prepared.bias[: prepared.outputs].astype(np.float64))
        rows = np.zeros((8, prepared.outputs))
        mean, square = np.zeros_like(bias), np.zeros_like(bias)
        spread = DEVIATIONS**2
        for block in weights:  # the sums of squares of p mean + deviations sqrt(p square), by powers of p
            rows[0] += 2 * (np.cumsum(block, 0) ** 2).sum(0)
            rows[1] += 2 * spread * np.cumsum(block**2, 0).sum(0)
            mean, square = mean + block.sum(0), square + (block**2).sum(0)
            rows[1:4] += 3 * np.stack([mean**2, spread * square, bias**2])
        rows[1:4] += 3 * FINAL * np.stack([mean**2, spread * square, bias**2])
        keep, gain = _slopes(self.dynamics.charge, rate)
        rows[:4] *= 2 * (LAMBDA * ROUNDED * gain) ** 2  # 2: both sums are rounded
        rows[4:] = keep, np.abs(mean), 2 * DEVIATIONS * np.sqrt(square), bias
        return np.ascontiguousarray(rows, np.float32)


def fire(words: NDArray[np.uint16], layer: Layer) -> NDArray[np.uint16]:
    """Spikes of the layer: words ``(T, n, H', W', groups')`` of those below, ``(T, n, H, W, groups)``.

    Raises:
        InputError: spikes of another kind or of other channels, or windows that do not fit.
    """
    expect("words", words, np.uint16, 5)
    prepared, dynamics = layer.prepared, layer.dynamics
    convolved = place_of(words, prepared, layer.stride, layer.padding)
    if min(layer.pool) < 1 or min(layer.pool_stride) < 1:
        raise InputError(f"expected pooling of at least 1; got {layer.pool} every {layer.pool_stride}")
    place = [(n - k) // step + 1 for n, k, step in zip(convolved, layer.pool, layer.pool_stride, strict=True)]
    if min(place) < 1:
        raise InputError(f"a pooled window of {layer.pool} does not fit into {convolved}")
    steps, images = words.shape[:2]
    out = np.empty((steps, images, *place, groups_of(prepared.outputs)), np.uint16)
    folded = np.zeros(images, np.uint8)
    if dynamics.reset != Reset.BOTH_ZERO:  # which doubles what a potential is off by
        kernels().fold(
            words,
            prepared.weights,
            prepared.bias,
            prepared.order.bias_first,
            layer.stride,
            layer.padding,
            (*layer.pool, *layer.pool_stride),
            int(dynamics.charge),
            int(dynamics.reset),
            dynamics.over(prepared.outputs),
            layer.bounds,
            out,
            folded,
        )
    others = np.flatnonzero(folded == 0)
    size = max(1, MEMORY // (4 * steps * convolved[0] * convolved[1] * prepared.outputs))
    for begin in range(0, len(others), size):
        some = others[begin : begin + size]
        currents = spike_convolution(np.ascontiguousarray(words[:, some]), prepared, layer.stride, layer.padding)
        out[:, some] = integrate(_largest(currents, layer), steps, dynamics)
    return out


def _largest(currents: NDArray[np.float32], layer: Layer) -> NDArray[np.float32]:
    """Of each pooled window, contiguous."""
    (kh, kw), (sy, sx) = layer.pool, layer.pool_stride
    if (kh, kw, sy, sx) == (1, 1, 1, 1):
        return currents
    down, right = ((n - k) // s * s + 1 for n, k, s in zip(currents.shape[2:4], (kh, kw), (sy, sx), strict=True))
    first, *others = (currents[:, :, i : i + down : sy, j : j + right : sx] for i, j in np.ndindex(kh, kw))
    largest = np.array(first, order="C")
    for other in others:
        np.maximum(largest, other, out=largest)
    return largest


def _slopes(charge: Charge, rate: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """By how much the charged potential moves with the potential before, and with the current."""
    one = np.ones_like(rate)
    if charge == Charge.DECAY:
        return np.abs(rate), one
    if charge in (Charge.RELAX_BY, Charge.RELAX_ALL_BY):
        rate = 1 / rate
    return np.abs(1 - rate), np.abs(rate) if charge in (Charge.RELAX_ALL, Charge.RELAX_ALL_BY) else one
