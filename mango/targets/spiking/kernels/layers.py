"""A layer of neurons behind a convolution of packed spikes, with pooling and batch norm between them, in one go.

Where many neurons below have equal trains, as behind a current that does not change, the weights of equal trains are
added up first. Where windows are averaged or a batch norm follows, these are joined with the convolution to a single
one: a spike then adds to each average once, not to each of its terms. Both are several times faster, but sums come out
in another order than torch's. So each potential carries a bound on what the order can have changed, and a neuron that
comes so near its threshold that a spike is in doubt is computed again in torch's order: the spikes are torch's.

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
from typing import Self

import numpy as np
from numpy.typing import NDArray

from mango.errors import InputError
from mango.targets.spiking.kernels.backend import kernels
from mango.targets.spiking.kernels.convolution import (
    Order,
    Prepared,
    place_of,
    prepare,
    spike_convolution,
    unprepared,
)
from mango.targets.spiking.kernels.dynamics import Charge, Dynamics, Reset
from mango.targets.spiking.kernels.trains import expect, groups_of, integrate

ROUNDED = 2.0**-24  # u: the most by which an operation rounds, relatively
LAMBDA = 8.0  # 2 exp(-lambda^2 / 2) = 3e-14
DEVIATIONS = 2.0  # of the partial sums
FINAL = 32.0  # terms as large as the whole sum that folding adds, at the most usual
AFTER = 3.0  # roundings of the whole sum by the division of an average and by a batch norm
MEMORY = 2**23  # bytes of currents that are held at a time where nothing is folded


@dataclass(frozen=True)
class Affine:
    """What a batch norm does to each channel: ``x scale + shift``.

    Attributes:
        table: ``(2, outputs)`` float32, scale and shift.
        fused: whether product and sum are rounded once, together.
    """

    table: NDArray[np.float32]
    fused: bool


@dataclass(frozen=True)
class Layer:
    """Convolution of spikes, pooling, batch norm, neurons.

    Attributes:
        prepared: weights of the convolution.
        dynamics: of the neurons, alike or per output channel.
        stride: of the convolution.
        padding: of the convolution.
        pool: size of the pooled windows; (1, 1): none.
        pool_stride: from one to the next.
        averaged: whether pooling takes the mean of a window rather than the largest.
        affine: what follows the pooling, unless that takes the largest.
    """

    prepared: Prepared
    dynamics: Dynamics
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    pool: tuple[int, int] = (1, 1)
    pool_stride: tuple[int, int] = (1, 1)
    averaged: bool = False
    affine: Affine | None = None

    @cached_property
    def joined(self) -> Prepared | None:
        """One convolution instead of convolution, average and batch norm, up to rounding; None where there is none."""
        if not (self.averaged or self.affine):
            return None
        if not self.averaged and self.pool != (1, 1):
            raise InputError("expected windows to be averaged before a batch norm; got their largest")
        prepared, (sy, sx), (py, px) = self.prepared, self.stride, self.pool
        weight = unprepared(prepared).astype(np.float64)
        outputs, inputs, kh, kw = weight.shape
        wide = np.zeros((outputs, inputs, kh + (py - 1) * sy, kw + (px - 1) * sx))
        for i, j in np.ndindex(py, px):
            wide[:, :, i * sy : i * sy + kh, j * sx : j * sx + kw] += weight / (py * px)
        scale, shift = self._affine
        bias = prepared.bias[:outputs] * scale + shift
        order = Order(block=inputs, bias_first=True)
        return prepare((wide * scale[:, None, None, None]).astype(np.float32), bias.astype(np.float32), order)

    @property
    def _affine(self) -> NDArray[np.float64]:
        outputs = self.prepared.outputs
        one = np.stack([np.ones(outputs), np.zeros(outputs)])
        return one if self.affine is None else self.affine.table.astype(np.float64)

    @cached_property
    def bounds(self) -> NDArray[np.float32]:
        """``(8, outputs)``: what the kernel needs for its bound on a current, and on a potential after a step.

        With p the share of inputs that spike: the square of the first is ``((b0 p + b1) p + b2) p + b3``, where the
        currents are at most ``b5 p + b6 sqrt(p) + b7``; an earlier difference of the potential is multiplied by b4.
        """
        rate = self.dynamics.over(self.prepared.outputs)[0].astype(np.float64)
        own = _Sums.of(self.prepared)
        if self.joined is None:
            squares, here = 2 * (own.squares + FINAL * own.last), own  # both sums are rounded
        else:
            area, (scale, shift) = self.pool[0] * self.pool[1], self._affine
            here = _Sums.of(self.joined)
            here.bias += np.abs(shift)  # which the scaled mean may cancel
            squares = here.squares + scale**2 / area * own.squares + (area + AFTER) * here.last
            squares[2] += here.square  # the joined weights are rounded
        keep, gain = _slopes(self.dynamics.charge, rate)
        rows = np.empty((8, len(rate)))
        rows[:4] = squares * (LAMBDA * ROUNDED * gain) ** 2
        rows[4:] = keep, np.abs(here.mean), 2 * DEVIATIONS * np.sqrt(here.square), here.bias
        return np.ascontiguousarray(rows, np.float32)


@dataclass
class _Sums:
    """Of the sums over a window a random share p of whose inputs spike, by powers of p (3, 2, 1, 0) and output.

    Attributes:
        squares: of all partial sums, added.
        mean: of the whole sum, divided by p.
        square: its variance, divided by p.
        bias: absolute.
    """

    squares: NDArray[np.float64]
    mean: NDArray[np.float64]
    square: NDArray[np.float64]
    bias: NDArray[np.float64]

    @classmethod
    def of(cls, prepared: Prepared) -> Self:
        """With twice their standard deviation added to the means of the partial sums."""
        tiles, blocks, *_, width = prepared.weights.shape
        weights = prepared.weights.reshape(tiles, blocks, -1, width).transpose(1, 2, 0, 3)
        weights = weights.reshape(blocks, -1, tiles * width)[..., : prepared.outputs].astype(np.float64)
        bias = np.abs(prepared.bias[: prepared.outputs].astype(np.float64))
        here = cls(np.zeros((4, prepared.outputs)), np.zeros_like(bias), np.zeros_like(bias), bias)
        for block in weights:  # the sums of squares of p mean + deviations sqrt(p square)
            here.squares[0] += 2 * (np.cumsum(block, 0) ** 2).sum(0)
            here.squares[1] += 2 * DEVIATIONS**2 * np.cumsum(block**2, 0).sum(0)
            here.mean, here.square = here.mean + block.sum(0), here.square + (block**2).sum(0)
            here.squares += here.last
        return here

    @property
    def last(self) -> NDArray[np.float64]:
        """The square of the whole sum so far."""
        zero = np.zeros_like(self.mean)
        return 3 * np.stack([zero, self.mean**2, DEVIATIONS**2 * self.square, self.bias**2])


def fire(words: NDArray[np.uint16], layer: Layer) -> NDArray[np.uint16]:
    """Spikes of the layer: words ``(T, n, H', W', groups')`` of those below, ``(T, n, H, W, groups)``.

    Raises:
        InputError: spikes of another kind or of other channels, or windows that do not fit.
    """
    expect("words", words, np.uint16, 5)
    prepared, dynamics = layer.prepared, layer.dynamics
    if layer.joined is not None and dynamics.reset == Reset.BOTH_ZERO:
        raise InputError("neurons that are reset to zero without delay are not fired behind an average or a batch norm")
    convolved = place_of(words, prepared, layer.stride, layer.padding)
    if min(layer.pool) < 1 or min(layer.pool_stride) < 1:
        raise InputError(f"expected pooling of at least 1; got {layer.pool} every {layer.pool_stride}")
    place = [(n - k) // step + 1 for n, k, step in zip(convolved, layer.pool, layer.pool_stride, strict=True)]
    if min(place) < 1:
        raise InputError(f"a pooled window of {layer.pool} does not fit into {convolved}")
    steps, images = words.shape[:2]
    out = np.empty((steps, images, *place, groups_of(prepared.outputs)), np.uint16)
    if layer.joined is not None:
        for begin, end in _spans(images, 4 * steps * place[0] * place[1] * prepared.outputs):
            out[:, begin:end] = _settled(np.ascontiguousarray(words[:, begin:end]), layer)
        return out
    folded = np.zeros(images, np.uint8)
    if dynamics.reset != Reset.BOTH_ZERO:  # which doubles what a potential is off by
        kernels().fold(
            words,
            *_of_convolution(layer),
            int(dynamics.charge),
            int(dynamics.reset),
            dynamics.over(prepared.outputs),
            layer.bounds,
            out,
            folded,
        )
    others = np.flatnonzero(folded == 0)
    for begin, end in _spans(len(others), 4 * steps * convolved[0] * convolved[1] * prepared.outputs):
        some = others[begin:end]
        currents = spike_convolution(np.ascontiguousarray(words[:, some]), prepared, layer.stride, layer.padding)
        out[:, some] = integrate(_largest(currents, layer), steps, dynamics)
    return out


def _of_convolution(
    layer: Layer,
) -> tuple[NDArray[np.float32], NDArray[np.float32], bool, tuple[int, int], tuple[int, int], tuple[int, int, int, int]]:
    """The convolution and the pooling as kernels take them."""
    prepared, pool = layer.prepared, (*layer.pool, *layer.pool_stride)
    return prepared.weights, prepared.bias, prepared.order.bias_first, layer.stride, layer.padding, pool


def _settled(words: NDArray[np.uint16], layer: Layer) -> NDArray[np.uint16]:
    """As `fire`, of currents from the joined convolution."""
    prepared, dynamics, affine = layer.prepared, layer.dynamics, layer.affine
    assert layer.joined is not None
    stride = layer.stride[0] * layer.pool_stride[0], layer.stride[1] * layer.pool_stride[1]
    currents = spike_convolution(words, layer.joined, stride, layer.padding)
    out = np.empty((*currents.shape[:-1], groups_of(prepared.outputs)), np.uint16)
    kernels().settle(
        words,
        *_of_convolution(layer),
        layer._affine.astype(np.float32),
        affine is not None and affine.fused,
        int(dynamics.charge),
        int(dynamics.reset),
        dynamics.over(prepared.outputs),
        layer.bounds,
        currents,
        out,
    )
    return out


def _spans(images: int, size: int) -> list[tuple[int, int]]:
    """So many images at a time that currents of a size in bytes each take little memory."""
    step = max(1, MEMORY // size)
    return [(begin, min(begin + step, images)) for begin in range(0, images, step)]


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
