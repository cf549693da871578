"""Neurons over all their steps in numba; the operations and their order are those of `dynamics`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mango.targets.spiking.kernels.dynamics import Charge, Reset
from mango.targets.spiking.kernels.portable_lanes import (
    LANES,
    above,
    compiled,
    drop,
    inlined,
    keep,
    load,
    part,
    spread,
    store,
)

POTENTIALS = 4096  # that are stepped together, half a usual first cache

DECAY, RELAX, RELAX_BY, RELAX_ALL = (int(c) for c in (Charge.DECAY, Charge.RELAX, Charge.RELAX_BY, Charge.RELAX_ALL))
LATE_SUBTRACT, LATE_ZERO, SUBTRACT, REPLACE, BOTH_SUBTRACT, BOTH_ZERO = (int(r) for r in list(Reset)[1:])


def integrate(  # type: ignore[no-untyped-def]
    currents: NDArray[np.float32],
    charge: int,
    reset: int,
    parameters: NDArray[np.float32],
    words: NDArray[np.uint16],
    potentials: NDArray[np.float32],
):
    """Spikes of currents ``(T or 1, positions, channels)`` into words ``(T, positions, groups)``.

    ``potentials`` is ``(T, positions, channels)``, or empty where nobody asks for them.
    """
    filled = np.zeros((5, words.shape[2] * LANES), np.float32)
    filled[:, : parameters.shape[1]] = parameters
    u = np.empty(POTENTIALS, np.float32)
    flat = currents.reshape(-1), words.reshape(-1), potentials.reshape(-1)
    shape = (len(currents) == 1, *words.shape, currents.shape[2])
    _integrate(*flat, shape, charge, reset, filled.reshape(-1), u, np.zeros(LANES, np.float32))


@inlined
def step(u, current, charge, reset, rate, rest, top, amount):  # type: ignore[no-untyped-def]
    """One step of 16 neurons: the potential after it, the charged one, and the spikes as bits."""
    one = spread(np.float32(1), LANES)
    before = above(u, top)
    if reset == LATE_ZERO or reset == BOTH_ZERO:
        u = drop(before, one) * u
    if charge == DECAY:
        h = rate * u + current
    elif charge == RELAX:
        h = (u - (u - rest) * rate) + current
    elif charge == RELAX_BY:
        h = (u - (u - rest) / rate) + current
    elif charge == RELAX_ALL:
        h = u + (current - (u - rest)) * rate
    else:
        h = u + (current - (u - rest)) / rate
    if reset == LATE_SUBTRACT or reset == BOTH_SUBTRACT:
        h = h - keep(before, amount)
    now = above(h, top)
    after = h
    if reset == SUBTRACT:
        after = h - keep(now, amount)
    elif reset == REPLACE:
        after = keep(now, amount) + drop(now, one) * h
    elif reset == BOTH_SUBTRACT:
        after = h - (keep(now, one) - keep(before, one)) * amount
    elif reset == BOTH_ZERO:
        after = h - (keep(now, one) - keep(before, one)) * h
    return after, h, now


@compiled
def _integrate(  # type: ignore[no-untyped-def]
    currents, words, potentials, shape, charge, reset, rows, u, edge
):
    still, steps, positions, groups, channels = shape
    none = spread(np.float32(0), LANES)
    for first in range(0, positions, POTENTIALS // LANES):
        n = min(POTENTIALS // LANES, positions - first)
        for g in range(groups):
            left = min(LANES, channels - g * LANES)
            for i in range(n):
                store(u, i * LANES, load(rows, (4 * groups + g) * LANES, none))
            for t in range(steps):
                begin = ((0 if still else t * positions) + first) * channels + g * LANES
                at = (t * positions + first) * groups + g
                last = begin + (n - 1) * channels
                whole = n - (last + LANES > len(currents))  # else what follows the last is not there
                _together(u, 0, currents, begin, channels, whole, charge, reset, rows, groups, g, left, words, at)
                if whole < n:
                    for c in range(left):
                        edge[c] = currents[last + c]
                    at += whole * groups
                    _together(u, whole * LANES, edge, 0, 0, 1, charge, reset, rows, groups, g, left, words, at)
                if len(potentials):
                    for i in range(n):
                        for c in range(left):
                            at = (t * positions + first + i) * channels + g * LANES + c
                            potentials[at] = u[i * LANES + c]


@part
def _together(  # type: ignore[no-untyped-def]
    u, first, currents, begin, channels, n, charge, reset, rows, groups, g, left, words, at
):
    """One step of one group of n positions."""
    none = spread(np.float32(0), LANES)
    rate, rest = load(rows, g * LANES, none), load(rows, (groups + g) * LANES, none)
    top, amount = load(rows, (2 * groups + g) * LANES, none), load(rows, (3 * groups + g) * LANES, none)
    mask = 0xFFFF >> (LANES - left)
    for i in range(n):
        current = load(currents, begin + i * channels, none)
        after, _, spikes = step(load(u, first + i * LANES, none), current, charge, reset, rate, rest, top, amount)
        store(u, first + i * LANES, after)
        words[at + i * groups] = spikes & mask
