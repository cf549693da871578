"""Neurons behind a convolution of spikes many of which have equal trains, in numba: what `_fold.h` does in C.

The weights of equal trains are added up first, these sums for equal bytes of the trains, and each step adds up the
bytes that have its bit. `layers` says how it is known which neurons must be summed again in torch's order.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mango.targets.spiking.kernels.dynamics import Reset
from mango.targets.spiking.kernels.portable_lanes import (
    LANES,
    above,
    aligned,
    compiled,
    fetch,
    inlined,
    keep,
    larger,
    load,
    part,
    size,
    spread,
    store,
)
from mango.targets.spiking.kernels.portable_neurons import step
from mango.targets.spiking.kernels.portable_trains import (
    AHEAD,
    LONG,
    OCTET,
    Trains,
    count_spikes,
    list_entries,
    list_slots,
    read,
    room_for,
)

PARAMETERS, BOUNDS = 5, 3  # rows of a neuron's
TWICE_ROUNDED = np.float32(1.2e-7)  # by how much an operation's result may differ where it is made twice
ULPS = 3 * TWICE_ROUNDED  # the same for a step
LEAST = float(np.finfo(np.float32).tiny)  # so that nothing is divided by 0
BOTH_SUBTRACT = int(Reset.BOTH_SUBTRACT)
BYTES = 256  # the most slots of an octet


class Room(NamedTuple):
    """Memory for one place of the layer; in rows of as many floats as a tile has outputs.

    Attributes:
        places: ``(trains,)``, where the sum of a train is, -1: nowhere.
        present: the trains of the window.
        sums: a row for each of them.
        bytes: a row for each slot of an octet.
        currents: a row for each step.
        again: currents of one neuron.
        neurons: ``(8 outputs,)``: parameters; what bounds the doubt in this image.
    """

    places: NDArray[np.int32]
    present: NDArray[np.int32]
    sums: NDArray[np.float32]
    bytes: NDArray[np.float32]
    currents: NDArray[np.float32]
    again: NDArray[np.float32]
    neurons: NDArray[np.float32]


def fold(  # type: ignore[no-untyped-def]
    words, weights, bias, bias_first, stride, padding, pool, charge, reset, parameters, bounds, out, folded
) -> int:
    """Spikes of words ``(T, n, H', W', groups')`` into ``out``, ``(T, n, H, W, groups)``.

    Only of the images for which that is fast; ``folded`` tells which. Returns how many neurons were in doubt.
    """
    shape, layer, trains, room = room_of(words, weights, stride, padding, pool, parameters)
    flat = weights.reshape(-1), bias, bool(bias_first)
    spikes = out.reshape(-1), out.shape
    return int(
        _fold(words, words.reshape(-1), *flat, shape, layer, charge, reset, bounds, *spikes, folded, trains, room)
    )


def room_of(  # type: ignore[no-untyped-def]
    words, weights, stride, padding, pool, parameters
) -> tuple[tuple[int, ...], tuple[int, ...], Trains, Room]:
    """The layer's shape, its windows, and memory for its trains and sums, which has the neurons' parameters."""
    steps, _, height, width, groups = words.shape
    tiles, blocks, kh, kw, block, lanes = weights.shape
    inputs = min(groups * LANES, blocks * block)
    trains = room_for(steps, height, width, groups, blocks)
    neurons = np.zeros((PARAMETERS + BOUNDS, tiles * lanes), np.float32)
    neurons[:PARAMETERS, : parameters.shape[1]] = parameters
    room = Room(
        places=np.full(len(trains.bits), -1, np.int32),
        present=np.empty(kh * kw * inputs, np.int32),
        sums=aligned(kh * kw * inputs * lanes),
        bytes=aligned(BYTES * lanes),
        currents=aligned(steps * lanes),
        again=aligned(LONG),
        neurons=neurons.reshape(-1),
    )
    return (height, width, inputs, blocks, kh, kw, block, lanes), (*pool, *stride, *padding), trains, room


@part
def set_bounds(bounds, p, neurons):  # type: ignore[no-untyped-def]
    """Of the neurons in an image of which a share p of a window's inputs spikes at once; returns how many there are."""
    outputs, row = bounds.shape[1], len(neurons) // (PARAMETERS + BOUNDS)
    for o in range(outputs):
        square = ((bounds[0, o] * p + bounds[1, o]) * p + bounds[2, o]) * p + bounds[3, o]
        usual = bounds[5, o] * p + bounds[6, o] * math.sqrt(p) + bounds[7, o]
        neurons[PARAMETERS * row + o] = math.sqrt(square)
        neurons[(PARAMETERS + 1) * row + o] = bounds[4, o]
        neurons[(PARAMETERS + 2) * row + o] = 1 / (usual + LEAST)
    return outputs


@part
def add_again(  # type: ignore[no-untyped-def]
    s, room, weights, channel, bias, bias_first, shape, layer, row, column, averaged
):
    """The currents of one neuron in torch's order, 64 steps at a time: of several windows the largest, or their sum."""
    lanes, steps, again, currents = shape[-1], len(s.step_starts) - 1, room.again, room.currents
    for w in range(layer[0] * layer[1]):
        top, left = _corner(layer, row, column, w)
        for t in range(0, steps, LONG):
            _sum_again(s, t // LONG, weights, channel, bias[channel], bias_first, shape, top, left, again)
            for i in range(min(LONG, steps - t)):
                at, here = (t + i) * lanes + channel % lanes, again[i]
                before = here if w == 0 else currents[at]
                currents[at] = before + here if averaged and w else max(before, here)


@part
def fire(  # type: ignore[no-untyped-def]
    room, channel, lanes, left, charge, reset, steps, words, to, stride
):
    """Spikes of a group of neurons driven by the currents; returns as bits those of them that are in doubt."""
    currents, first, rows = room.currents, channel % lanes, room.neurons
    none, row = spread(np.float32(0), LANES), len(rows) // (PARAMETERS + BOUNDS)
    rate, rest = load(rows, channel, none), load(rows, row + channel, none)
    top, amount = load(rows, 2 * row + channel, none), load(rows, 3 * row + channel, none)
    u, bound = load(rows, 4 * row + channel, none), load(rows, 5 * row + channel, none)
    slope, usual = load(rows, 6 * row + channel, none), load(rows, 7 * row + channel, none)
    ulps, doubt = spread(ULPS, LANES), none
    each = spread(np.float32(1), LANES)  # how much larger the currents are than expected, so are the partial sums
    for t in range(steps):
        each = larger(each, size(load(currents, t * lanes + first, none)) * usual)
    each = each * bound + ulps * (size(rest) + size(amount))
    mask, doubtful = 0xFFFF >> (LANES - left), 0
    for t in range(steps):
        before, current = u, load(currents, t * lanes + first, none)
        u, h, spikes = step(before, current, charge, reset, rate, rest, top, amount)
        words[to + t * stride] = spikes & mask
        doubt = slope * doubt + each + ulps * (size(before) + size(h))
        sure = above(size(h - top), doubt)
        if reset == BOTH_SUBTRACT:  # which looks at the potential after the reset too
            sure &= above(size(u - top), doubt)
        doubtful |= ~sure
    return doubtful & mask


@compiled
def _fold(  # type: ignore[no-untyped-def]
    words, flat, weights, bias, bias_first, shape, layer, charge, reset, bounds, out, size_out, folded, s, room
):
    height, width, inputs, _, kh, kw, block, lanes = shape
    steps, images, rows, columns, groups = size_out
    stride = images * rows * columns * groups
    doubts = 0
    for image in range(images):
        read(flat, words.shape, image, s)
        trains = list_entries(s, inputs, block, lanes, kh * kw * block * lanes)
        list_slots(s, trains)
        spikes, most = count_spikes(words, image, s.counts, (kh, kw), layer[4:])
        folded[image] = _pays(s, trains, spikes, kh * kw / (height * width))
        if not folded[image]:
            continue
        outputs = set_bounds(bounds, most / (inputs * kh * kw), room.neurons)
        for first in range(0, outputs, lanes):
            for row in range(rows):
                for column in range(columns):
                    _add_windows(s, room, weights, first, bias, shape, layer, row, column)
                    to = ((image * rows + row) * columns + column) * groups
                    for channel in range(first, min(first + lanes, outputs), LANES):
                        left, at = min(LANES, outputs - channel), to + channel // LANES
                        doubtful = fire(room, channel, lanes, left, charge, reset, steps, out, at, stride)
                        if not doubtful:
                            continue
                        for c in range(left):
                            if doubtful >> c & 1:
                                doubts += 1
                                add_again(
                                    s, room, weights, channel + c, bias, bias_first, shape, layer, row, column, False
                                )
                        fire(room, channel, lanes, left, charge, reset, steps, out, at, stride)
    return doubts


@part
def _pays(s, trains, spikes, share):  # type: ignore[no-untyped-def]
    """Whether to fold is likely to be faster than to convolve; in additions, fitted to measured times."""
    neurons = share * s.starts[-1, -1]  # of a window
    octets = min(trains, neurons) * len(s.slots)
    return 4 * neurons + octets + 4 * s.step_starts[-1] < 1.6 * share * spikes


@part
def _add_windows(s, room, weights, first, bias, shape, layer, row, column):  # type: ignore[no-untyped-def]
    """The currents of a tile of outputs; of several windows the largest."""
    places, present, sums, octets, currents = room.places, room.present, room.sums, room.bytes, room.currents
    slots, counts, starts, listed, lanes = s.slots, s.slot_counts, s.step_starts, s.step_slots, shape[-1]
    for w in range(layer[0] * layer[1]):
        top, left = _corner(layer, row, column, w)
        known = _add_trains(s.entries, s.starts, places, present, sums, weights, first, shape, top, left)
        for place in range(known):
            places[present[place]] = -1
        for octet in range(len(slots)):
            end = min((octet + 1) * OCTET, len(starts) - 1)
            _add_bytes(slots[octet], counts[octet], present, known, sums, octets, lanes)
            _add_steps(listed, starts, octet * OCTET, end, octets, bias, first, lanes, w > 0, currents)


@inlined
def _corner(layer, row, column, w):  # type: ignore[no-untyped-def]
    """Where the window w of a place of the layer begins in the image."""
    _, kw, down, right, sy, sx, py, px = layer
    return (row * down + w // kw) * sy - py, (column * right + w % kw) * sx - px


@part
def _add_trains(  # type: ignore[no-untyped-def]
    entries, starts, places, present, sums, weights, first, shape, top, left
):
    """The weights of a window by trains; returns how many trains, listed as present."""
    height, width, _, blocks, kh, kw, block, lanes = shape
    known = 0
    for i in range(max(0, -top), min(kh, height - top)):
        for j in range(max(0, -left), min(kw, width - left)):
            place = (top + i) * width + left + j
            base = (first * blocks * kh * kw + (i * kw + j) * lanes) * block
            begin, end = starts[place, 0], starts[place, blocks]
            known = _add_entries(entries, begin, end, weights, base, lanes, places, present, sums, known)
    return known


@part
def _add_entries(  # type: ignore[no-untyped-def]
    entries, begin, end, weights, base, lanes, places, present, sums, known
):
    none = spread(np.float32(0), LANES)
    for e in range(begin, end):
        row, train = base + entries[e, 0], entries[e, 1]
        ahead = base + entries[e + AHEAD, 0]
        for v in range(0, lanes, LANES):  # weights come from afar, and not in a pattern
            fetch(weights, ahead + v)
        place = places[train]
        if place < 0:
            places[train] = known
            present[known] = train
            for v in range(0, lanes, LANES):
                store(sums, known * lanes + v, load(weights, row + v, none))
            known += 1
        else:
            for v in range(0, lanes, LANES):
                at = place * lanes + v
                store(sums, at, load(sums, at, none) + load(weights, row + v, none))
    return known


@part
def _add_bytes(slots, count, present, known, sums, octets, lanes):  # type: ignore[no-untyped-def]
    """The sums of the trains to those of their bytes in one octet, few enough to stay in the first cache."""
    none = spread(np.float32(0), LANES)
    for at in range(0, count * lanes, LANES):
        store(octets, at, none)
    for place in range(known):
        to = slots[present[place]] * lanes
        for v in range(0, lanes, LANES):
            store(octets, to + v, load(octets, to + v, none) + load(sums, place * lanes + v, none))


@part
def _add_steps(  # type: ignore[no-untyped-def]
    slots, starts, begin, end, octets, bias, first, lanes, others, currents
):
    """The bytes to the currents of the octet's steps."""
    none = spread(np.float32(0), LANES)
    for t in range(begin, end):
        for v in range(0, lanes, LANES):
            sum_, other = load(bias, first + v, none), none  # two, so that one need not wait for the other
            for i in range(starts[t], starts[t + 1] - 1, 2):
                sum_ = sum_ + load(octets, slots[i] * lanes + v, none)
                other = other + load(octets, slots[i + 1] * lanes + v, none)
            if (starts[t + 1] - starts[t]) % 2:
                sum_ = sum_ + load(octets, slots[starts[t + 1] - 1] * lanes + v, none)
            sum_ = sum_ + other
            at = t * lanes + v
            store(currents, at, larger(sum_, load(currents, at, none)) if others else sum_)


@part
def _sum_again(  # type: ignore[no-untyped-def]
    s, long, weights, channel, bias, bias_first, shape, top, left, sums
):
    entries, starts, patterns = s.entries, s.starts, s.patterns  # once: numba counts references to them
    height, width, _, blocks, kh, kw, block, lanes = shape
    none, offset = spread(np.float32(0), LONG), spread(bias, LONG)
    total = none
    for b in range(blocks):
        sum_ = none
        for i in range(max(0, -top), min(kh, height - top)):
            for j in range(max(0, -left), min(kw, width - left)):
                place = (top + i) * width + left + j
                base = (channel // lanes * lanes * blocks * kh * kw + (i * kw + j) * lanes) * block + channel % lanes
                for e in range(starts[place, b], starts[place, b + 1]):
                    weight = spread(weights[base + entries[e, 0]], LONG)
                    sum_ = sum_ + keep(patterns[entries[e, 1], long], weight)
        if b:
            total = sum_ + total
        else:
            total = sum_ + offset if bias_first else sum_
    store(sums, 0, total if bias_first else total + offset)
