"""Neurons driven by constant currents, as a table: the whole spike train is a quantised function of the current.

Given equal spikes, each operation of a leaky neuron's step rises with the current, in floating point too. So two
currents with equal trains have that train between them, and bisection over the floats finds every current at which it
changes.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from mango.targets.spiking.kernels import Charge, Dynamics, Reset

LARGEST = torch.finfo(torch.float32).max
MONOTONE = (Reset.NONE, Reset.LATE_SUBTRACT, Reset.LATE_ZERO, Reset.SUBTRACT, Reset.REPLACE)


def is_monotone(dynamics: Dynamics | None) -> bool:
    """Whether a train follows from the trains of a lower and a higher current, where these are equal.

    Others use the potential twice in a step, or spikes that the train does not show.
    """
    if dynamics is None or dynamics.charge != Charge.DECAY or dynamics.reset not in MONOTONE:
        return False
    return bool((dynamics.parameters[0] >= 0).all())


class Table:
    """Every train of a neuron.

    Args:
        trains_of: gives the spikes ``(T, n)`` of constant currents ``(n,)`` of float32.
        device: of both.

    Attributes:
        currents: ``(k,)`` ascending, the lowest of each train but the first.
        trains: ``(T, k + 1)``.
    """

    def __init__(self, trains_of: Callable[[Tensor], Tensor], device: torch.device) -> None:
        ends = torch.tensor([-LARGEST, LARGEST], device=device)
        ordinals, of_ends = _ordinals(ends), trains_of(ends)
        low, high, below, above = ordinals[:1], ordinals[1:], of_ends[:, :1], of_ends[:, 1:]
        first, found, trains = below, list[Tensor](), list[Tensor]()
        while True:
            differ = (below != above).any(0)
            close = high - low == 1
            found.append(high[differ & close])
            trains.append(above[:, differ & close])
            apart = differ & ~close
            low, high, below, above = low[apart], high[apart], below[:, apart], above[:, apart]
            if not len(low):
                break
            middle = (low + high) // 2
            between = trains_of(_floats(middle))
            low, high = torch.cat([low, middle]), torch.cat([middle, high])
            below, above = torch.cat([below, between], 1), torch.cat([between, above], 1)
        ordinals, order = torch.cat(found).sort()
        self.currents = _floats(ordinals)
        self.trains = torch.cat([first, torch.cat(trains, 1)[:, order]], 1).contiguous()

    def look_up(self, currents: Tensor, out: Tensor) -> None:
        """Writes the spikes ``(T, ...)`` of finite currents ``(...)``, both contiguous."""
        rows = torch.bucketize(currents, self.currents, right=True).flatten()
        for spikes, train in zip(out, self.trains, strict=True):
            torch.index_select(train, 0, rows, out=spikes.view(-1))


def _ordinals(floats: Tensor) -> Tensor:
    """Whole numbers in the order of the floats, neighbours one apart; both zeros are 0."""
    bits = floats.view(torch.int32).long()
    return torch.where(bits < 0, -(bits + 2**31), bits)


def _floats(ordinals: Tensor) -> Tensor:
    """The inverse of `_ordinals`."""
    bits = torch.where(ordinals < 0, -ordinals - 2**31, ordinals)
    return bits.int().view(torch.float32)
