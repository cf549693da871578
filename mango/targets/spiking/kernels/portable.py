"""The kernels in numba, for machines on which no compiler built the C extension; the same bits.

Every function writes into arrays that its caller has checked and made; shapes as in the package's docstring.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import intrinsic

from mango.targets.spiking.kernels.dynamics import Charge, Reset

LANES = 16  # channels of a word
NAME = "numba"
BYTE = 8
_BITS = [[bit for bit in range(BYTE) if byte >> bit & 1] for byte in range(256)]
COUNTS = np.array([len(bits) for bits in _BITS])  # of the bits that are set
PLACES = np.array([bits + [0] * (BYTE - len(bits)) for bits in _BITS])  # where they are, first

DECAY, RELAX, RELAX_BY, RELAX_ALL = (int(c) for c in (Charge.DECAY, Charge.RELAX, Charge.RELAX_BY, Charge.RELAX_ALL))
LATE_SUBTRACT, LATE_ZERO, SUBTRACT, REPLACE, BOTH_SUBTRACT, BOTH_ZERO = (int(r) for r in list(Reset)[1:])


def _compiled(function: Callable[..., Any]) -> Any:
    """Compiled once for this machine where some cache folder is writable, else once for each process."""
    try:
        return njit(cache=True, nogil=True, error_model="numpy")(function)
    except RuntimeError:  # numba found no folder it may write to
        return njit(nogil=True, error_model="numpy")(function)


@intrinsic
def _fma(_context, a, b, c):  # type: ignore[no-untyped-def]
    """``a * b + c`` rounded once."""

    def code(_context, builder, _signature, arguments):  # type: ignore[no-untyped-def]
        return builder.fma(*arguments)

    return types.float32(a, b, c), code


@_compiled
def integrate(currents, charge, reset, parameters, words, potentials):  # type: ignore[no-untyped-def]
    """Spikes of currents ``(T or 1, positions, channels)`` into words ``(T, positions, groups)``.

    ``potentials`` is ``(T, positions, channels)``, or empty where nobody asks for them.
    """
    steps, positions, groups = words.shape
    channels = currents.shape[2]
    late = reset in (LATE_SUBTRACT, LATE_ZERO, BOTH_SUBTRACT, BOTH_ZERO)
    above, initial = parameters[2], parameters[4]
    u = np.empty(channels, np.float32)
    before = np.zeros(channels, np.float32)  # P
    spikes = np.zeros(groups * LANES, np.float32)  # S
    for q in range(positions):
        for c in range(channels):
            u[c] = initial[c]
        for t in range(steps):
            if late:
                for c in range(channels):
                    before[c] = np.float32(u[c] > above[c])
            _charge(u, currents[t if len(currents) > 1 else 0, q], before, charge, reset, parameters)
            for c in range(channels):
                spikes[c] = np.float32(u[c] > above[c])
            _reset(u, before, spikes, reset, parameters[3])
            _pack(spikes, words[t, q])
            if potentials.size:
                for c in range(channels):
                    potentials[t, q, c] = u[c]


@_compiled
def _charge(u, current, before, charge, reset, parameters):  # type: ignore[no-untyped-def]
    """U to H, in place."""
    rate, rest, amount = parameters[0], parameters[1], parameters[3]
    one = np.float32(1)
    if reset in (LATE_ZERO, BOTH_ZERO):
        for c in range(len(u)):
            u[c] = (one - before[c]) * u[c]
    if charge == DECAY:
        for c in range(len(u)):
            u[c] = rate[c] * u[c] + current[c]
    elif charge == RELAX:
        for c in range(len(u)):
            u[c] = (u[c] - (u[c] - rest[c]) * rate[c]) + current[c]
    elif charge == RELAX_BY:
        for c in range(len(u)):
            u[c] = (u[c] - (u[c] - rest[c]) / rate[c]) + current[c]
    elif charge == RELAX_ALL:
        for c in range(len(u)):
            u[c] = u[c] + (current[c] - (u[c] - rest[c])) * rate[c]
    else:
        for c in range(len(u)):
            u[c] = u[c] + (current[c] - (u[c] - rest[c])) / rate[c]
    if reset in (LATE_SUBTRACT, BOTH_SUBTRACT):
        for c in range(len(u)):
            u[c] = u[c] - before[c] * amount[c]


@_compiled
def _reset(u, before, spikes, reset, amount):  # type: ignore[no-untyped-def]
    """H to U', in place."""
    one = np.float32(1)
    if reset == SUBTRACT:
        for c in range(len(u)):
            u[c] = u[c] - spikes[c] * amount[c]
    elif reset == REPLACE:
        for c in range(len(u)):
            u[c] = spikes[c] * amount[c] + (one - spikes[c]) * u[c]
    elif reset == BOTH_SUBTRACT:
        for c in range(len(u)):
            u[c] = u[c] - (spikes[c] - before[c]) * amount[c]
    elif reset == BOTH_ZERO:
        for c in range(len(u)):
            u[c] = u[c] - (spikes[c] - before[c]) * u[c]


@_compiled
def _pack(spikes, words):  # type: ignore[no-untyped-def]
    for g in range(len(words)):
        word = 0
        for c in range(LANES):
            word |= int(spikes[g * LANES + c]) << c
        words[g] = word


@_compiled
def convolve(words, weights, bias, bias_first, stride, padding, out):  # type: ignore[no-untyped-def]
    """Convolution of spikes ``(images, H, W, groups)`` into ``(images, H', W', Cout)``.

    ``weights``: ``(tiles, blocks, KH, KW, block, width)``, see `Prepared`.
    """
    images, height, width, groups = words.shape
    tiles, blocks, kh, kw, block, lanes = weights.shape
    flat = weights.reshape(-1)
    events = np.empty((height, width * block + BYTE), np.int32)
    starts = np.empty((height, width + 1), np.int32)
    total = np.empty((out.shape[1], out.shape[2], tiles * lanes), np.float32)
    for n in range(images):
        for b in range(blocks):
            _find_events(words[n], b * block, min((b + 1) * block, groups * LANES), block, events, starts)
            _add_block(events, starts, flat, lanes, bias, bias_first, b, blocks, stride, padding, kh, kw, block, total)
        out[n] = total[:, :, : out.shape[3]]


@_compiled
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


@_compiled
def _add_block(  # type: ignore[no-untyped-def]
    events, starts, flat, lanes, bias, bias_first, b, blocks, stride, padding, kh, kw, block, total
):
    """The sum over one block of input channels, added to ``total``."""
    height, width = starts.shape[0], starts.shape[1] - 1
    tiles = total.shape[2] // lanes
    acc = np.empty(lanes, np.float32)
    for oy in range(total.shape[0]):
        for ox in range(total.shape[1]):
            x0 = ox * stride[1] - padding[1]
            left, right = max(x0, 0), min(x0 + kw, width)
            for tile in range(tiles):
                acc[:] = 0
                for i in range(kh):
                    y = oy * stride[0] - padding[0] + i
                    if y < 0 or y >= height or left >= right:
                        continue
                    base = ((tile * blocks + b) * kh * kw + i * kw - x0) * block
                    _add_rows(flat, base, events[y, starts[y, left] : starts[y, right]], acc)
                for o in range(lanes):
                    sum_ = acc[o]
                    if b > 0:
                        sum_ += total[oy, ox, tile * lanes + o]
                    elif bias_first:
                        sum_ += bias[tile * lanes + o]
                    if b == blocks - 1 and not bias_first:
                        sum_ += bias[tile * lanes + o]
                    total[oy, ox, tile * lanes + o] = sum_


@_compiled
def _add_rows(flat, base, events, acc):  # type: ignore[no-untyped-def]
    """The events' rows of weights to ``acc``, one after another; four in one sweep over it.

    Unsigned indices spare numba the check for negative ones, without which the loops become vector instructions.
    """
    lanes = np.uint64(len(acc))
    whole = len(events) - len(events) % 4
    for e in range(np.uint64(0), np.uint64(whole), np.uint64(4)):
        r0 = np.uint64(base + events[e]) * lanes
        r1 = np.uint64(base + events[e + np.uint64(1)]) * lanes
        r2 = np.uint64(base + events[e + np.uint64(2)]) * lanes
        r3 = np.uint64(base + events[e + np.uint64(3)]) * lanes
        for o in range(lanes):
            acc[o] = (((acc[o] + flat[r0 + o]) + flat[r1 + o]) + flat[r2 + o]) + flat[r3 + o]
    for e in range(np.uint64(whole), np.uint64(len(events))):
        r0 = np.uint64(base + events[e]) * lanes
        for o in range(lanes):
            acc[o] += flat[r0 + o]


@_compiled
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


def fold(*_arguments: object) -> int:
    """Folds nothing: every layer is convolved event by event."""
    return 0
