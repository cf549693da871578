"""Spike trains, packed: words ``(T, n, H, W, groups)`` of 16 channels each; made from currents, read, unpacked.

Bit ``c % 16`` of word ``c // 16`` is channel c; bits past the last channel are 0. Linear layers have H = W = 1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mango.errors import InputError
from mango.targets.spiking.kernels.backend import kernels
from mango.targets.spiking.kernels.dynamics import Dynamics

LANES = 16  # channels of a word
_NOWHERE = np.empty((0, 0, 0), np.float32)


def integrate(
    currents: NDArray[np.float32],
    steps: int,
    dynamics: Dynamics,
    *,
    potentials: NDArray[np.float32] | None = None,
) -> NDArray[np.uint16]:
    """Spikes of neurons driven by currents ``(T or 1, n, H, W, C)``: words ``(T, n, H, W, groups)``.

    Args:
        currents: contiguous; one step of them stands for a current that does not change.
        steps: T.
        dynamics: of the neurons.
        potentials: where to write the potential after each step, ``(T, n, H, W, C)``.

    Raises:
        InputError: arrays of another kind or shape.
    """
    expect("currents", currents, np.float32, 5)
    if steps < 1 or len(currents) not in (1, steps):
        raise InputError(f"expected currents of 1 or {steps} steps; got {len(currents)}")
    *place, channels = currents.shape[1:]
    positions = int(np.prod(place))
    words = np.empty((steps, *place, groups_of(channels)), np.uint16)
    flat = _NOWHERE
    if potentials is not None:
        expect("potentials", potentials, np.float32, 5)
        if potentials.shape != (steps, *currents.shape[1:]):
            raise InputError(f"expected potentials {(steps, *currents.shape[1:])}; got {potentials.shape}")
        flat = potentials.reshape(steps, positions, channels)
    if not currents.size:
        return words
    kernels().integrate(
        currents.reshape(len(currents), positions, channels),
        int(dynamics.charge),
        int(dynamics.reset),
        dynamics.over(channels),
        words.reshape(steps, positions, -1),
        flat,
    )
    return words


def groups_of(channels: int) -> int:
    """Words that hold so many channels."""
    return -(-channels // LANES)


def pack(spikes: NDArray[np.generic]) -> NDArray[np.uint16]:
    """Words ``(..., groups)`` of spikes ``(..., C)``, one wherever they are not 0."""
    channels = spikes.shape[-1]
    padded = np.zeros((*spikes.shape[:-1], groups_of(channels) * LANES), bool)
    np.not_equal(spikes, 0, out=padded[..., :channels])
    return np.packbits(padded, axis=-1, bitorder="little").view("<u2").astype(np.uint16, copy=False)


def unpack(words: NDArray[np.uint16], channels: int) -> NDArray[np.float32]:
    """Spikes ``(..., channels)`` as 0 and 1, of words ``(..., groups)``."""
    octets = np.ascontiguousarray(words).astype("<u2", copy=False).view(np.uint8)
    return np.unpackbits(octets, axis=-1, count=channels, bitorder="little").astype(np.float32)


def flatten(words: NDArray[np.uint16], channels: int) -> NDArray[np.uint16]:
    """Spikes ``(T, n, H, W, groups)`` as features, channel by channel as torch has them: ``(T, n, 1, 1, groups')``.

    Raises:
        InputError: spikes of another kind or of other channels.
    """
    expect("words", words, np.uint16, 5)
    steps, images, height, width, groups = words.shape
    if groups != groups_of(channels):
        raise InputError(f"expected words of {groups_of(channels)} groups of 16 channels; got {groups}")
    out = np.empty((steps * images, groups_of(channels * height * width)), np.uint16)
    kernels().flatten(words.reshape(steps * images, height * width, groups), channels, out)
    return out.reshape(steps, images, 1, 1, -1)


def count(words: NDArray[np.uint16], channels: int) -> NDArray[np.int32]:
    """Spikes of each neuron over time, ``(n, H, W, channels)``."""
    total = np.zeros((*words.shape[1:-1], channels), np.int32)
    for step in words:
        octets = np.ascontiguousarray(step).astype("<u2", copy=False).view(np.uint8)
        total += np.unpackbits(octets, axis=-1, count=channels, bitorder="little")
    return total


def first_spike(words: NDArray[np.uint16], channels: int) -> NDArray[np.int32]:
    """The step of each neuron's first spike, counted from 1, or T + 1 where there is none: ``(n, H, W, channels)``."""
    first = np.full((*words.shape[1:-1], channels), len(words) + 1, np.int32)
    seen = np.zeros(words.shape[1:], np.uint16)
    for step, here in enumerate(words, start=1):
        new = here & ~seen
        if new.any():
            first[unpack(new, channels) > 0] = step
            seen |= here
    return first


def expect(name: str, array: NDArray[np.generic], kind: type[np.generic], dimensions: int) -> None:
    """Raises an InputError unless the array is contiguous and of this kind."""
    if not isinstance(array, np.ndarray) or array.dtype != kind or array.ndim != dimensions:
        came = f"{array.dtype} of {array.ndim}" if isinstance(array, np.ndarray) else type(array).__name__
        raise InputError(f"expected {name} as {kind.__name__} of {dimensions} dimensions; got {came}")
    if not array.flags.c_contiguous:
        raise InputError(f"expected {name} contiguous in memory; got strides {array.strides}; copy them first")
