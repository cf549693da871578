"""What an operation gives over all time steps, in the form in which it was made and in those that others take."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mango.targets.spiking.packed import Convolved, Packed


class Value:
    """What an operation gave: a tensor ``(steps or 1, n, ...)``, the number of images, or what has no time axis.

    Args:
        tensor: ``(steps or 1, n, ...)``.
        still: what has no time axis.
        packed, convolved: the tensor as the kernels keep it.
        counts: whether it is the number of images.
    """

    def __init__(
        self,
        tensor: Tensor | None = None,
        *,
        still: Any = None,
        packed: Packed | None = None,
        convolved: Convolved | None = None,
        counts: bool = False,
    ) -> None:
        self._tensor, self.still, self.packed, self.convolved, self.counts = tensor, still, packed, convolved, counts

    @property
    def tensor(self) -> Tensor | None:
        """``(steps or 1, n, ...)``, made where the kernels keep it; None for what has no time axis."""
        made = self.packed or self.convolved
        return self._tensor if made is None else made.tensor

    @property
    def over_time(self) -> Tensor:
        """What drives a neuron, in full precision where the maps have less."""
        currents = self.still if self.tensor is None else self.tensor
        if not isinstance(currents, Tensor) or currents.dim() < 2:
            raise TypeError("a neuron is driven by something that does not follow the images")
        return currents.float() if torch.is_autocast_enabled(currents.device.type) else currents

    def expanded(self, steps: int) -> Any:
        """With so many steps."""
        tensor = self.tensor
        if tensor is None or len(tensor) == steps:
            return self.still if tensor is None else tensor
        return tensor.expand(steps, *tensor.shape[1:])

    def folded(self, steps: int, rows: int) -> Any:
        """With the steps as further images."""
        if self.counts:
            return rows
        return self.still if self.tensor is None else self.expanded(steps).flatten(0, 1)

    def images(self, begin: int, end: int) -> Value:
        """Of some images only."""
        return self if self._tensor is None else Value(self._tensor[:, begin:end])


def leads(answer: Any, rows: int) -> bool:
    """Whether the first axis of an answer has so many rows."""
    return isinstance(answer, Tensor) and answer.dim() > 0 and len(answer) == rows
