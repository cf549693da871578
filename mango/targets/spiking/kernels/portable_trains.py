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
    bits, octets = s.bits, s.octets
    count, size = height * width * groups, bits.shape[1] * OCTET
    bits[:] = 0
    for octet in range((steps + OCTET - 1) // OCTET):
        for i in range(count):
            low, high = np.uint64(0), np.uint64(0)
            for t in range(min(OCTET, steps - octet * OCTET)):
                word = np.uint64(flat[((octet * OCTET + t) * images + image) * count + i])
                low |= (word & np.uint64(255)) << np.uint64(OCTET * t)
                high |= (word >> np.uint64(OCTET)) << np.uint64(OCTET * t)
            if low:
                _scatter(_exchanged(low), octets, i * LANES * size + octet, size)
            if high:
                _scatter(_exchanged(high), octets, (i * LANES + OCTET) * size + octet, size)


@part
def list_entries(s, inputs, block, row, block_row):  # type: ignore[no-untyped-def]
    """Lists the neurons that spike; returns how many trains they have."""
    bits, table, patterns, entries, starts = s.bits, s.table, s.patterns, s.entries, s.starts
    places, blocks = starts.shape[0], starts.shape[1] - 1
    channels = bits.shape[0] // places
    count = trains = 0
    table[:] = -1
    for place in range(places):
        for b in range(blocks):
            starts[place, b] = count
            for c in range(b * block, min((b + 1) * block, inputs)):
                train = _number_of(bits, place * channels + c, table, patterns, trains)
                if train >= 0:
                    entries[count, 0] = b * block_row + (c - b * block) * row
                    entries[count, 1] = train
                    count += 1
                    trains += train == trains
        starts[place, blocks] = count
    return trains


@part
def list_slots(s, trains):  # type: ignore[no-untyped-def]
    """Lists the bytes of the trains that differ, and those that have the bit of a step."""
    patterns, slots, slot_of, starts, listed = s.patterns, s.slots, s.slot_of, s.step_starts, s.step_slots
    steps, count = len(starts) - 1, 0
    for octet in range(len(slots)):
        known = 1
        slot_of[:] = -1
        slot_of[0] = 0
        for train in range(trains):
            pattern = patterns[train, octet // OCTET] >> np.uint64(octet % OCTET * OCTET)
            here = np.int64(pattern & np.uint64(255))
            if slot_of[here] < 0:
                slot_of[here] = known
                known += 1
            slots[octet, train] = slot_of[here]
        s.slot_counts[octet] = known
        for t in range(octet * OCTET, min((octet + 1) * OCTET, steps)):
            starts[t] = count
            for byte in range(256):
                if byte >> t % OCTET & 1 and slot_of[byte] >= 0:
                    listed[count] = slot_of[byte]
                    count += 1
    starts[steps] = count


@part
def count_spikes(words, image, counts, kernel, steps_pads):  # type: ignore[no-untyped-def]
    """All spikes of an image, and the most of one window in one step."""
    steps, _, height, width, groups = words.shape
    (kh, kw), (sy, sx, py, px) = kernel, steps_pads
    total = most = 0
    for t in range(steps):
        for y in range(height):
            for x in range(width):
                spikes = 0
                for g in range(groups):
                    spikes += ones(words[t, image, y, x, g])
                counts[y + 1, x + 1] = spikes + counts[y + 1, x] + counts[y, x + 1] - counts[y, x]
        total += counts[height, width]
        for top in range(-py, height + py - kh + 1, sy):
            for left in range(-px, width + px - kw + 1, sx):
                y0, y1, x0, x1 = max(top, 0), min(top + kh, height), max(left, 0), min(left + kw, width)
                if y0 < y1 and x0 < x1:
                    here = counts[y1, x1] - counts[y1, x0] - counts[y0, x1] + counts[y0, x0]
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


@inlined
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
