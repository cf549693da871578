"""Convolution of spikes, event by event, in the order in which torch adds: the same bits as ``F.conv2d``.

A spike adds its weights to the outputs around it and no spike adds nothing, so that a sum over few spikes is exactly
the sum that torch makes over all inputs, as long as the terms come in the same order. torch (oneDNN) takes the input
channels in blocks; within a block it goes over kernel row, kernel column and channel; the sums of the blocks, each
from 0, are added one after another. How long a block is and where the bias enters depends on processor and layout:
`orders` finds out on probes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mango.errors import InputError
from mango.targets.spiking.kernels.backend import kernels
from mango.targets.spiking.kernels.trains import LANES, expect, groups_of

LINE = 16  # floats of a line of the cache
WIDEST = 4  # groups of 16 output channels whose sums are held in registers


@dataclass(frozen=True)
class Order:
    """In which a sum over a window is made.

    Attributes:
        block: input channels that are summed before the next ones.
        bias_first: whether the bias is added to the first block's sum, or after the last.
    """

    block: int
    bias_first: bool


@dataclass(frozen=True)
class Prepared:
    """A layer's weights, laid out for the kernels.

    Attributes:
        weights: ``(tiles, blocks, KH, KW, block, width)``, width output channels at a time; zeros fill up.
        bias: ``(tiles * width,)``.
        inputs, outputs: channels.
        order: of the sums.
    """

    weights: NDArray[np.float32]
    bias: NDArray[np.float32]
    inputs: int
    outputs: int
    order: Order


def prepare(weight: NDArray[np.float32], bias: NDArray[np.float32] | None, order: Order) -> Prepared:
    """Lays out weights ``(Cout, Cin, KH, KW)`` and bias ``(Cout,)``, once per layer; a copy.

    Raises:
        InputError: other shapes, or weights that are not finite, for which no spike is not nothing.
    """
    if weight.ndim != 4 or (bias is not None and bias.shape != weight.shape[:1]):
        raise InputError(
            "expected weights (Cout, Cin, KH, KW) and bias (Cout,); "
            f"got {weight.shape}{'' if bias is None else f' and {bias.shape}'}"
        )
    if not np.isfinite(weight).all() or not (bias is None or np.isfinite(bias).all()):
        raise InputError("expected finite weights; these hold NaN or infinity")
    if order.block < 1:
        raise InputError(f"expected a block of at least 1 input channel; got {order.block}")
    outputs, inputs, kh, kw = weight.shape
    block = min(order.block, inputs)
    groups = groups_of(outputs)
    tiles = -(-groups // WIDEST)
    width = -(-groups // tiles) * LANES
    blocks = -(-inputs // block)
    padded = np.zeros((tiles * width, blocks * block, kh, kw), np.float32)
    padded[:outputs, :inputs] = weight
    laid = _aligned((tiles, blocks, kh, kw, block, width))
    laid[...] = padded.reshape(tiles, width, blocks, block, kh, kw).transpose(0, 2, 4, 5, 3, 1)
    biases = np.zeros(tiles * width, np.float32)
    biases[:outputs] = 0 if bias is None else bias
    return Prepared(laid, biases, inputs, outputs, order)


def unprepared(prepared: Prepared) -> NDArray[np.float32]:
    """The weights ``(Cout, Cin, KH, KW)`` that were prepared; a copy."""
    tiles, blocks, kh, kw, block, width = prepared.weights.shape
    weights = prepared.weights.transpose(0, 5, 1, 4, 2, 3).reshape(tiles * width, blocks * block, kh, kw)
    return np.ascontiguousarray(weights[: prepared.outputs, : prepared.inputs])


def spike_convolution(
    words: NDArray[np.uint16],
    prepared: Prepared,
    stride: tuple[int, int] = (1, 1),
    padding: tuple[int, int] = (0, 0),
) -> NDArray[np.float32]:
    """Convolution of packed spikes ``(T, n, H, W, groups)``: ``(T, n, H', W', Cout)``.

    Raises:
        InputError: spikes of another kind or of other channels, or a kernel larger than the padded image.
    """
    expect("words", words, np.uint16, 5)
    steps, images, *size, groups = words.shape
    place = place_of(words, prepared, stride, padding)
    out = _aligned((steps * images, *place, prepared.outputs))
    kernels().convolve(
        words.reshape(-1, *size, groups),
        prepared.weights,
        prepared.bias,
        prepared.order.bias_first,
        stride,
        padding,
        out,
    )
    return out.reshape(steps, images, *place, prepared.outputs)


def _aligned(shape: tuple[int, ...]) -> NDArray[np.float32]:
    """An array that begins where a line of the cache does: half as fast where each vector lies on two lines."""
    size = int(np.prod(shape))
    room = np.empty(size + LINE, np.float32)
    begin = -room.ctypes.data // room.itemsize % LINE
    return room[begin : begin + size].reshape(shape)


def place_of(
    inputs: NDArray[np.generic], prepared: Prepared, stride: tuple[int, int], padding: tuple[int, int]
) -> tuple[int, int]:
    """Rows and columns of the convolution of ``(..., H, W, groups)``.

    Raises:
        InputError: inputs of other channels, or a kernel larger than the padded image.
    """
    *_, height, width, groups = inputs.shape
    if groups != groups_of(prepared.inputs):
        raise InputError(f"expected words of {groups_of(prepared.inputs)} groups of 16 channels; got {groups}")
    if min(stride) < 1 or min(padding) < 0:
        raise InputError(f"expected stride >= 1 and padding >= 0; got {stride} and {padding}")
    kernel = prepared.weights.shape[2:4]
    rows, columns = (
        (n + 2 * pad - k) // step + 1 for n, k, step, pad in zip((height, width), kernel, stride, padding, strict=True)
    )
    if min(rows, columns) < 1:
        raise InputError(f"a kernel of {kernel} does not fit images of {(height, width)} padded by {padding}")
    return rows, columns
