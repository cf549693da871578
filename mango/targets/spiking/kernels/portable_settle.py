"""Neurons whose currents were summed in another order than torch's, in numba: what `_settle.h` does in C.

They lie behind a convolution of spikes, an average over windows and a batch norm, joined into one convolution. A neuron
in doubt is computed again as torch does it, one after another.
"""

from __future__ import annotations

import numpy as np

from mango.targets.spiking.kernels.portable_fold import add_again, fire, room_of, set_bounds
from mango.targets.spiking.kernels.portable_lanes import LANES, compiled, fused, load, part, spread, store
from mango.targets.spiking.kernels.portable_trains import count_spikes, list_entries, read


def settle(  # type: ignore[no-untyped-def]
    words,
    weights,
    bias,
    bias_first,
    stride,
    padding,
    pool,
    affine,
    is_fused,
    charge,
    reset,
    parameters,
    bounds,
    currents,
    out,
) -> int:
    """Spikes of currents ``(T, n, H, W, outputs)`` into ``out``, ``(T, n, H, W, groups)``.

    Words ``(T, n, H', W', groups')`` are those below. Returns how many neurons were in doubt.
    """
    shape, layer, trains, room = room_of(words, weights, stride, padding, pool, parameters)
    flat = words.reshape(-1), weights.reshape(-1), bias, bool(bias_first)
    spikes = currents.reshape(-1), out.reshape(-1), out.shape
    return int(
        _settle(words, *flat, shape, layer, affine, bool(is_fused), charge, reset, bounds, *spikes, trains, room)
    )


@compiled
def _settle(  # type: ignore[no-untyped-def]
    words,
    flat,
    weights,
    bias,
    bias_first,
    shape,
    layer,
    affine,
    is_fused,
    charge,
    reset,
    bounds,
    currents,
    out,
    size,
    s,
    room,
):
    inputs, kh, kw, block, lanes = shape[2], shape[4], shape[5], shape[6], shape[7]
    steps, images, rows, columns, groups = size
    pool_y, pool_x, down, right, sy, sx, py, px = layer
    height, width = kh + (pool_y - 1) * sy, kw + (pool_x - 1) * sx  # of all that a neuron sees
    places = rows * columns
    outputs, doubts = bounds.shape[1], 0
    for image in range(images):
        _, wide = count_spikes(words, image, s.counts, (height, width), (down * sy, right * sx, py, px))
        _, most = count_spikes(words, image, s.counts, (kh, kw), (sy, sx, py, px))
        share = max(wide / (inputs * height * width), most / (inputs * kh * kw))
        set_bounds(bounds, share, room.neurons)
        listed = False
        for place in range(places):
            for channel in range(0, outputs, LANES):
                left = min(LANES, outputs - channel)
                at, stride = (image * places + place) * outputs + channel, images * places * outputs
                _take(currents, at, stride, left, room.currents, channel % lanes, lanes)
                at, stride = (image * places + place) * groups + channel // LANES, images * places * groups
                doubtful = fire(room, channel, lanes, left, charge, reset, steps, out, at, stride)
                if not doubtful:
                    continue
                if not listed:
                    read(flat, words.shape, image, s)
                    list_entries(s, inputs, block, lanes, kh * kw * block * lanes)
                    listed = True
                for c in range(left):
                    if doubtful >> c & 1:
                        doubts += 1
                        row, column = place // columns, place % columns
                        add_again(s, room, weights, channel + c, bias, bias_first, shape, layer, row, column, True)
                        _normalise(
                            room.currents,
                            (channel + c) % lanes,
                            lanes,
                            pool_y * pool_x,
                            affine[:, channel + c],
                            is_fused,
                        )
                fire(room, channel, lanes, left, charge, reset, steps, out, at, stride)
    return doubts


@part
def _take(currents, begin, stride, left, to, lane, lanes):  # type: ignore[no-untyped-def]
    """The currents of a group of neurons to where they are fired from."""
    none = spread(np.float32(0), LANES)
    for at in range(lane, len(to), lanes):
        if left == LANES:
            store(to, at, load(currents, begin, none))
        else:
            for c in range(left):
                to[at + c] = currents[begin + c]
        begin += stride


@part
def _normalise(currents, lane, lanes, windows, affine, is_fused):  # type: ignore[no-untyped-def]
    """Sums of windows to what follows them, an average and a batch norm."""
    for at in range(lane, len(currents), lanes):
        mean = currents[at] / np.float32(windows)
        if is_fused:
            currents[at] = fused(mean, affine[0], affine[1])
        else:
            currents[at] = mean * affine[0] + affine[1]
