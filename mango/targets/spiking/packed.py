"""Spike trains as the kernels keep them, between the torch tensors that other operations want."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from mango.targets.spiking import kernels
from mango.targets.spiking.kernels import Dynamics, Layer, Prepared
from mango.targets.spiking.kernels.convolution import place_of


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


@dataclass(frozen=True)
class Convolved:
    """A convolution of spikes, perhaps max-pooled, that is made when somebody needs its sums.

    Neurons do not: they are fired with it in one go.
    """

    spikes: Packed
    convolution: Convolution
    pool: tuple[int, ...] = (1, 1)
    pool_stride: tuple[int, ...] = (1, 1)

    @property
    def elements(self) -> int:
        """Sums for one image and step, before pooling."""
        made = self.convolution
        height, width = place_of(self.spikes.words, made.prepared, made.stride, made.padding)
        return made.prepared.outputs * height * width

    @cached_property
    def tensor(self) -> Tensor:
        """``(steps, n, C, H, W)``, channels last in memory."""
        sums = self.convolution(self.spikes)
        if self.pool == (1, 1):
            return sums
        pooled = F.max_pool2d(sums.flatten(0, 1), self.pool, self.pool_stride)
        return pooled.view(*sums.shape[:2], *pooled.shape[1:])

    def pooled(self, module: nn.MaxPool2d) -> Self | None:
        """The largest of each window; None where the module does more than that, or there was pooling before."""
        plain = not module.ceil_mode and not module.return_indices
        if not plain or self.pool != (1, 1) or _pair(module.dilation) != (1, 1) or _pair(module.padding) != (0, 0):
            return None
        return replace(self, pool=_pair(module.kernel_size), pool_stride=_pair(module.stride))

    def layer(self, dynamics: Dynamics) -> Layer:
        """With neurons behind it, as the kernels take it."""
        made, pool, stride = self.convolution, self.pool, self.pool_stride
        return Layer(made.prepared, dynamics, made.stride, made.padding, (pool[0], pool[1]), (stride[0], stride[1]))

    def fired(self, layer: Layer) -> Packed:
        """The neurons' spikes."""
        return Packed(kernels.fire(self.spikes.words, layer), self.convolution.prepared.outputs, flat=False)


def _pair(size: int | tuple[int, ...]) -> tuple[int, ...]:
    return (size, size) if isinstance(size, int) else tuple(size)
