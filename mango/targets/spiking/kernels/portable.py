"""The kernels in numba, for machines on which no compiler built the C extension; the same bits.

Every function writes into arrays that its caller has checked and made; shapes as in the package's docstring.
"""

from __future__ import annotations

import numpy as np

from mango.targets.spiking.kernels.portable_fold import fold
from mango.targets.spiking.kernels.portable_lanes import LANES, compiled, lanes_of, load, part, spread, store
from mango.targets.spiking.kernels.portable_neurons import integrate
from mango.targets.spiking.kernels.portable_settle import settle

__all__ = ["NAME", "convolve", "flatten", "fold", "integrate", "settle"]

NAME = "numba"
BYTE = 8
WIDEST = 64  # the most outputs of a tile
_BITS = [[bit for bit in range(BYTE) if byte >> bit & 1] for byte in range(256)]
COUNTS = np.array([len(bits) for bits in _BITS])  # of the bits that are set
PLACES = np.array([bits + [0] * (BYTE - len(bits)) for bits in _BITS])  # where they are, first


def convolve(words, weights, bias, bias_first, stride, padding, out):  # type: ignore[no-untyped-def]
    """Convolution of spikes ``(images, H, W, groups)`` into ``(images, H', W', Cout)``.

    ``weights``: ``(tiles, blocks, KH, KW, block, width)``, see `Prepared`.
    """
    _, height, width, _ = words.shape
    events = np.empty((height, width * weights.shape[4] + BYTE), np.int32)
    starts = np.empty((height, width + 1), np.int32)
    window = (*weights.shape[2:], *stride, *padding)
    edge = np.zeros(WIDEST, np.float32)
    flat = weights.reshape(-1), bias, bool(bias_first), weights.shape[1]
    _convolve(words, *flat, window, out.reshape(-1), out.shape, events, starts, edge)


@compiled
def flatten(words, channels, out):  # type: ignore[no-untyped-def]
    """Words ``(images, places, groups)`` to ``(images, groups of all neurons)``, channel by channel."""
    images, places, _ = words.shape
    out[:] = 0
    for n in range(images):
        for place in range(places):
            for c in range(channels):
                if words[n, place, c // LANES] >> (c % LANES) & 1:
                    at = c * places + place
                    out[n, at // LANES] |= 1 << (at % LANES)


@compiled
def _convolve(  # type: ignore[no-untyped-def]
    words, weights, bias, bias_first, blocks, window, out, shape, events, starts, edge
):
    kh, kw, block, lanes = window[:4]
    images, rows, columns, outputs = shape
    end = words.shape[3] * LANES
    for n in range(images):
        for b in range(blocks):
            _find_events(words[n], b * block, min((b + 1) * block, end), block, events, starts)
            others, biased = b > 0, b == (0 if bias_first else blocks - 1)
            base, channel = b * kh * kw * block * lanes, 0
            size = (n, rows, columns, outputs)
            while channel < outputs:
                at = channel // lanes * blocks * kh * kw * block * lanes + base + channel % lanes
                if lanes == WIDEST:
                    none = spread(np.float32(0), WIDEST)
                    _add(events, starts, weights, at, window, bias, biased, others, out, size, channel, edge, none)
                    channel += WIDEST
                else:
                    some = spread(np.float32(0), LANES)
                    _add(events, starts, weights, at, window, bias, biased, others, out, size, channel, edge, some)
                    channel += LANES


@part
def _find_events(words, begin, end, block, events, starts):  # type: ignore[no-untyped-def]
    """Per row of the image where the spikes of a block lie, as ``x * block + channel``, in order."""
    height, width, _ = words.shape
    whole = begin % BYTE == 0 and (end - begin) % BYTE == 0
    for y in range(height):
        count = 0
        for x in range(width):
            starts[y, x] = count
            if not whole:
                for c in range(begin, end):
                    events[y, count] = x * block + c - begin
                    count += (words[y, x, c // LANES] >> (c % LANES)) & 1
                continue
            for c in range(begin, end, BYTE):
                byte = (words[y, x, c // LANES] >> (c % LANES)) & 255
                if byte:
                    for i in range(BYTE):  # all eight places, of which the first few count
                        events[y, count + i] = x * block + c - begin + PLACES[byte, i]
                    count += COUNTS[byte]
        starts[y, width] = count


@part
def _add(  # type: ignore[no-untyped-def]
    events, starts, weights, base, window, bias, biased, others, out, size, channel, edge, none
):
    """The sums over a block of input channels to those of the blocks before, for as many outputs as the vector has.

    The sums of a window stay in registers.
    """
    kh, kw, block, lanes, sy, sx, py, px = window
    image, rows, columns, outputs = size
    height, width = starts.shape[0], starts.shape[1] - 1
    left = min(lanes_of(none), outputs - channel)
    for oy in range(rows):
        for ox in range(columns):
            top, x0 = oy * sy - py, ox * sx - px
            x1, x2 = max(x0, 0), min(x0 + kw, width)
            sum_ = none
            if x1 < x2:
                for i in range(max(0, -top), min(kh, height - top)):
                    row = base + (i * kw - x0) * block * lanes
                    for e in range(starts[top + i, x1], starts[top + i, x2]):
                        sum_ = sum_ + load(weights, row + events[top + i, e] * lanes, none)
            at = ((image * rows + oy) * columns + ox) * outputs + channel
            if left == lanes_of(none):
                sum_ = sum_ + load(out, at, none) if others else sum_
                store(out, at, sum_ + load(bias, channel, none) if biased else sum_)
            else:
                for c in range(left):
                    edge[c] = out[at + c]
                sum_ = sum_ + load(edge, 0, none) if others else sum_
                store(edge, 0, sum_ + load(bias, channel, none) if biased else sum_)
                for c in range(left):
                    out[at + c] = edge[c]
