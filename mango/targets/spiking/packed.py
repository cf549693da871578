"""Spike trains as the kernels keep them, between the torch tensors that other operations want."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mango.targets.spiking import kernels
from mango.targets.spiking.kernels import Dynamics, Prepared


@dataclass(frozen=True)
class Packed:
    """Spikes of a layer.

    Attributes:
        words: ``(steps, n, H, W, groups)``; H = W = 1 for a layer of features.
        channels: or features.
        flat: whether the layer is one of features.
    """

    words: NDArray[np.uint16]
    channels: int
    flat: bool

    @classmethod
    def of(cls, currents: Tensor, dynamics: Dynamics, steps: int) -> Self:
        """Of neurons driven by currents ``(steps or 1, n, C, H, W)`` or ``(steps or 1, n, features)``."""
        flat = currents.dim() == 3
        last = currents[:, :, None, None] if flat else currents.permute(0, 1, 3, 4, 2)
        words = kernels.integrate(np.ascontiguousarray(last.numpy()), steps, dynamics)
        return cls(words, currents.shape[2], flat)

    @cached_property
    def tensor(self) -> Tensor:
        """As 0 and 1, ``(steps, n, C, H, W)``, channels last in memory, or ``(steps, n, features)``."""
        spikes = torch.from_numpy(kernels.unpack(self.words, self.channels))
        return spikes[:, :, 0, 0] if self.flat else spikes.permute(0, 1, 4, 2, 3)

    def pooled(self, module: nn.MaxPool2d) -> Packed | None:
        """The largest of each window, which is a spike where there is any; None where that is not all it gives."""
        if self.flat or module.ceil_mode or module.return_indices or _pair(module.dilation) != (1, 1):
            return None
        (kh, kw), (sy, sx), (py, px) = map(_pair, (module.kernel_size, module.stride, module.padding))
        words = np.pad(self.words, ((0, 0), (0, 0), (py, py), (px, px), (0, 0))) if py or px else self.words
        down, right = (words.shape[2] - kh) // sy * sy + 1, (words.shape[3] - kw) // sx * sx + 1
        first, *others = (words[:, :, i : i + down : sy, j : j + right : sx] for i, j in np.ndindex(kh, kw))
        largest = np.array(first, order="C")
        for other in others:
            largest |= other
        return replace(self, words=largest)


@dataclass(frozen=True)
class Convolution:
    """A convolution of spikes with the bits of torch's."""

    weight: NDArray[np.float32]
    bias: NDArray[np.float32] | None
    prepared: Prepared
    stride: tuple[int, int]
    padding: tuple[int, int]

    @classmethod
    def of(cls, module: Any, spikes: Packed, rows: int, channels_last: bool) -> Self | None:
        """For a layer; None where the kernels cannot do what torch does."""
        if module.groups != 1 or module.dilation != (1, 1) or module.padding_mode != "zeros":
            return None
        if isinstance(module.padding, str) or not isinstance(module, nn.Conv2d) or spikes.flat:
            return None
        height, width = spikes.words.shape[2:4]
        stride: Any = module.stride
        padding: Any = module.padding
        weight, bias = module.weight.detach(), None if module.bias is None else module.bias.detach()
        order = kernels.order_of(
            weight, bias, (height, width), stride, padding, images=rows, channels_last=channels_last
        )
        if order is None:
            return None
        weights, biases = weight.numpy(), None if bias is None else bias.numpy()
        return cls(weights, biases, kernels.prepare(weights, biases, order), stride, padding)

    def only(self, channel: int) -> Self:
        """One output channel, added in the order of the whole."""
        weight = self.weight[channel : channel + 1]
        bias = None if self.bias is None else self.bias[channel : channel + 1]
        return replace(self, weight=weight, bias=bias, prepared=kernels.prepare(weight, bias, self.prepared.order))

    def __call__(self, spikes: Packed) -> Tensor:
        """``(steps, n, C, H, W)``, channels last in memory."""
        out = kernels.spike_convolution(spikes.words, self.prepared, self.stride, self.padding)
        return torch.from_numpy(out).permute(0, 1, 4, 2, 3)


def _pair(size: int | tuple[int, ...]) -> tuple[int, ...]:
    return (size, size) if isinstance(size, int) else tuple(size)
