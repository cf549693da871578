"""What of a spike train is the response; a line of ``TABLE`` each."""

from __future__ import annotations

import torch
from torch import Tensor

TABLE: dict[str, str] = {
    "rate": "spikes per step",
    "count": "spikes",
    "current": "mean input current",
    "membrane": "mean membrane potential without reset",
    "latency": "minus the step of the first spike; -(T + 1) where there is none",
}
OF_SPIKES = frozenset({"rate", "count", "latency"})  # these tie; the mean input current orders equal values


def read_spikes(spikes: Tensor, readout: str) -> Tensor:
    """Rate, count or latency per neuron, ``(n, ...)``, of spikes ``(steps, n, ...)``.

    A spike is anything above zero; graded spikes count with their size in rate and count.
    """
    if readout == "latency":
        steps = len(spikes)
        step = torch.arange(1, steps + 1, dtype=spikes.dtype, device=spikes.device)
        return -torch.where(spikes > 0, step.view(-1, *[1] * (spikes.dim() - 1)), steps + 1.0).amin(0)
    return spikes.mean(0) if readout == "rate" else spikes.sum(0)
