"""Neurons stepped by their package's own code, and room for what they give at each step."""

from __future__ import annotations

import torch
from torch import Tensor

from mango.targets.spiking.packages import Neuron


def integrate(neuron: Neuron, currents: Tensor, steps: int) -> Tensor:
    """Spikes ``(steps, n, ...)`` by the package's own code.

    Args:
        neuron: is reset before and after.
        currents: ``(steps or 1, n, ...)``.
        steps: T.
    """
    neuron.reset()
    spikes = None
    with torch.autocast(currents.device.type, enabled=False):
        for t in range(steps):
            current = currents[t if len(currents) > 1 else 0]
            spike, _ = neuron.step(current if neuron.alike else current.clone())  # aligned, for weights inside
            if spikes is None:
                spikes = over_time(spike, steps)
            spikes[t] = spike
    neuron.reset()
    assert spikes is not None
    return spikes


def over_time(like: Tensor, steps: int) -> Tensor:
    """An empty ``(steps, *like.shape)`` in which every step lies in memory as ``like`` does, channels last or first."""
    if like.dim() == 4 and like.is_contiguous(memory_format=torch.channels_last):
        n, channels, height, width = like.shape
        return like.new_empty((steps, n, height, width, channels)).permute(0, 1, 4, 2, 3)
    return like.new_empty((steps, *like.shape))
