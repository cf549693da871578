"""The spikes of an image as trains, in numba: which neurons have equal ones, which bytes (eight steps) those have."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mango.targets.spiking.kernels.portable_lanes import LANES, inlined, ones, part

AHEAD = 12  # entries whose weights are fetched before they are needed
OCTET = 8  # steps of a byte
LONG = 64  # steps of an integer
SEED, SHIFT = np.uint64(0x9E3779B97F4A7C15), np.uint64(29)


class Trains(NamedTuple):
    """What is known of the trains of an image; memory for the largest case.

    Attributes:
        bits: ``(neurons, longs)``, the train of each.
        octets: the same memory as bytes.
        table: numbers of trains by hash, -1: none.
        patterns: ``(trains, longs)``, the trains that differ.
        entries: ``(entries, 2)``, neurons that spike, by place, then channel: where their weights lie, in floats from
            the first of a kernel position, and the number of their train.
        starts: ``(places, blocks + 1)`` of entries.
        slots: ``(octets, trains)``; a slot is a byte that some train has there, 0 where no spike is.
        slot_counts: ``(octets,)``, with slot 0.
        step_starts: ``(steps + 1,)``.
        step_slots: slots that have the bit of a step.
        slot_of: ``(256,)``, of the bytes of one octet, -1: none.
        counts: ``(height + 1, width + 1)``, spikes of a step at all places above and to the left.
    """

    bits: NDArray[np.uint64]
    octets: NDArray[np.uint8]
    table: NDArray[np.int32]
    patterns: NDArray[np.uint64]
    entries: NDArray[np.int32]
    starts: NDArray[np.int32]
    slots: NDArray[np.int32]
    slot_counts: NDArray[np.int32]
    step_starts: NDArray[np.int32]
    step_slots: NDArray[np.int32]
    slot_of: NDArray[np.int32]
    counts: NDArray[np.int32]


def room_for(steps: int, height: int, width: int, groups: int, blocks: int) -> Trains:
    """Memory for images of that many words, whose channels come in blocks."""
    places, octets, longs = height * width, -(-steps // OCTET), -(-steps // LONG)
    neurons = places * groups * LANES
    bits = np.empty((neurons, longs), np.uint64)
    return Trains(
        bits=bits,
        octets=bits.reshape(-1).view(np.uint8),
        table=np.empty(1 << max(10, (2 * neurons - 1).bit_length()), np.int32),
        patterns=np.empty((neurons, longs), np.uint64),
        entries=np.zeros((neurons + AHEAD, 2), np.int32),
        starts=np.empty((places, blocks + 1), np.int32),
        slots=np.empty((octets, neurons), np.int32),
        slot_counts=np.empty(octets, np.int32),
        step_starts=np.empty(steps + 1, np.int32),
        step_slots=np.empty(steps * 128, np.int32),
        slot_of=np.empty(256, np.int32),
        counts=np.zeros((height + 1, width + 1), np.int32),
    )


@part
def read(flat, shape, image, s):  # type: ignore[no-untyped-def]
    """The bits of an image of words ``(T, images, H, W, groups)``."""
    steps, images, height, width, groups = shape
    count, size = height * width * groups, s.bits.shape[1] * OCTET
    s.bits[:] = 0
    for octet in range((steps + OCTET - 1) // OCTET):
        for i in range(count):
            low, high = np.uint64(0), np.uint64(0)
            for t in range(min(OCTET, steps - octet * OCTET)):
                word = np.uint64(flat[((octet * OCTET + t) * images + image) * count + i])
                low |= (word & np.uint64(255)) << np.uint64(OCTET * t)
                high |= (word >> np.uint64(OCTET)) << np.uint64(OCTET * t)
            if low:
                _scatter(_exchanged(low), s.octets, i * LANES * size + octet, size)
            if high:
                _scatter(_exchanged(high), s.octets, (i * LANES + OCTET) * size + octet, size)


@part
def list_entries(s, inputs, block, row, block_row):  # type: ignore[no-untyped-def]
    """Lists the neurons that spike; returns how many trains they have."""
    places, blocks = s.starts.shape[0], s.starts.shape[1] - 1
    channels = s.bits.shape[0] // places
    entries = trains = 0
    s.table[:] = -1
    for place in range(places):
        for b in range(blocks):
            s.starts[place, b] = entries
            for c in range(b * block, min((b + 1) * block, inputs)):
                train = _number_of(s.bits, place * channels + c, s.table, s.patterns, trains)
                if train >= 0:
                    s.entries[entries, 0] = b * block_row + (c - b * block) * row
                    s.entries[entries, 1] = train
                    entries += 1
                    trains += train == trains
        s.starts[place, blocks] = entries
    return trains


@part
def list_slots(s, trains):  # type: ignore[no-untyped-def]
    """Lists the bytes of the trains that differ, and those that have the bit of a step."""
    steps, count = len(s.step_starts) - 1, 0
    for octet in range(len(s.slots)):
        slots = 1
        s.slot_of[:] = -1
        s.slot_of[0] = 0
        for train in range(trains):
            part = s.patterns[train, octet // OCTET] >> np.uint64(octet % OCTET * OCTET)
            here = np.int64(part & np.uint64(255))
            if s.slot_of[here] < 0:
                s.slot_of[here] = slots
                slots += 1
            s.slots[octet, train] = s.slot_of[here]
        s.slot_counts[octet] = slots
        for t in range(octet * OCTET, min((octet + 1) * OCTET, steps)):
            s.step_starts[t] = count
            for byte in range(256):
                if byte >> t % OCTET & 1 and s.slot_of[byte] >= 0:
                    s.step_slots[count] = s.slot_of[byte]
                    count += 1
    s.step_starts[steps] = count


@part
def count_spikes(words, image, s, kh, kw, steps_pads):  # type: ignore[no-untyped-def]
    """All spikes of an image, and the most of one window in one step."""
    steps, _, height, width, groups = words.shape
    sy, sx, py, px = steps_pads
    total = most = 0
    for t in range(steps):
        for y in range(height):
            for x in range(width):
                spikes = 0
                for g in range(groups):
                    spikes += ones(words[t, image, y, x, g])
                s.counts[y + 1, x + 1] = spikes + s.counts[y + 1, x] + s.counts[y, x + 1] - s.counts[y, x]
        total += s.counts[height, width]
        for top in range(-py, height + py - kh + 1, sy):
            for left in range(-px, width + px - kw + 1, sx):
                y0, y1, x0, x1 = max(top, 0), min(top + kh, height), max(left, 0), min(left + kw, width)
                if y0 < y1 and x0 < x1:
                    here = s.counts[y1, x1] - s.counts[y1, x0] - s.counts[y0, x1] + s.counts[y0, x0]
                    most = max(most, here)
    return total, most


@inlined
def _exchanged(x):  # type: ignore[no-untyped-def]
    """Eight rows of eight bits, rows and columns exchanged (Warren 2013, Hacker's Delight, section 7-3)."""
    t = (x ^ x >> np.uint64(7)) & np.uint64(0x00AA00AA00AA00AA)
    x ^= t ^ t << np.uint64(7)
    t = (x ^ x >> np.uint64(14)) & np.uint64(0x0000CCCC0000CCCC)
    x ^= t ^ t << np.uint64(14)
    t = (x ^ x >> np.uint64(28)) & np.uint64(0x00000000F0F0F0F0)
    return x ^ t ^ t << np.uint64(28)


@inlined
def _scatter(octets, to, at, size):  # type: ignore[no-untyped-def]
    for c in range(OCTET):
        to[at + c * size] = octets >> np.uint64(OCTET * c) & np.uint64(255)


@part
def _number_of(bits, neuron, table, patterns, trains):  # type: ignore[no-untyped-def]
    """The number of a neuron's train, the next one where it was not seen before; -1: it is silent."""
    longs = bits.shape[1]
    hash_, any_ = np.uint64(0), np.uint64(0)
    for i in range(longs):
        any_ |= bits[neuron, i]
        hash_ = (hash_ ^ bits[neuron, i]) * SEED
        hash_ ^= hash_ >> SHIFT
    if not any_:
        return -1
    at = np.int64(hash_ >> np.uint64(20)) & (len(table) - 1)
    while table[at] >= 0:
        same = True
        for i in range(longs):
            same &= patterns[table[at], i] == bits[neuron, i]
        if same:
            return table[at]
        at = (at + 1) & (len(table) - 1)
    table[at] = trains
    for i in range(longs):
        patterns[trains, i] = bits[neuron, i]
    return trains
