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
from mango.targets.spiking.kernels import Affine, Dynamics, Layer, Prepared, Reset
from mango.targets.spiking.kernels.convolution import place_of
from mango.targets.spiking.pooling import is_plain, pair

ALIGNED = 4  # floats
NEAR = 2**20  # weights of a linear layer that caches hold; with more, a dense product that reads them once is faster


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

    def flattened(self) -> Self:
        """As features, channel by channel."""
        words = kernels.flatten(self.words, self.channels)
        return replace(self, words=words, channels=self.channels * self.words[0, 0, :, :, 0].size, flat=True)

    def pooled(self, module: nn.Module) -> Packed | None:
        """The largest of each window, which is a spike where there is any; None where that is not all it gives."""
        if not isinstance(module, nn.MaxPool2d) or module.ceil_mode or module.return_indices:
            return None
        if self.flat or pair(module.dilation) != (1, 1):
            return None
        (kh, kw), (sy, sx), (py, px) = map(pair, (module.kernel_size, module.stride, module.padding))
        words = np.pad(self.words, ((0, 0), (0, 0), (py, py), (px, px), (0, 0))) if py or px else self.words
        down, right = (words.shape[2] - kh) // sy * sy + 1, (words.shape[3] - kw) // sx * sx + 1
        first, *others = (words[:, :, i : i + down : sy, j : j + right : sx] for i, j in np.ndindex(kh, kw))
        largest = np.array(first, order="C")
        for other in others:
            largest |= other
        return replace(self, words=largest)


@dataclass(frozen=True)
class Convolution:
    """A convolution or a linear layer of spikes, with the bits of torch's; features are images of one place."""

    weight: NDArray[np.float32]
    bias: NDArray[np.float32] | None
    prepared: Prepared
    stride: tuple[int, int]
    padding: tuple[int, int]

    @classmethod
    def of(cls, module: Any, spikes: Packed, rows: int, channels_last: bool) -> Self | None:
        """For a layer; None where the kernels cannot do what torch does."""
        if isinstance(module, nn.Linear):
            return cls._of_linear(module, spikes, rows)
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

    @classmethod
    def _of_linear(cls, module: nn.Linear, spikes: Packed, rows: int) -> Self | None:
        if not spikes.flat or module.weight.numel() > NEAR:
            return None
        if module.in_features % ALIGNED:  # torch adds otherwise in rows that lie askew
            return None
        weight, bias = module.weight.detach(), None if module.bias is None else module.bias.detach()
        order = kernels.linear_order_of(weight, bias, rows)
        if order is None:
            return None
        weights, biases = weight.numpy()[:, :, None, None], None if bias is None else bias.numpy()
        return cls(weights, biases, kernels.prepare(weights, biases, order), (1, 1), (0, 0))

    def only(self, channel: int) -> Self:
        """One output channel, added in the order of the whole."""
        weight = self.weight[channel : channel + 1]
        bias = None if self.bias is None else self.bias[channel : channel + 1]
        return replace(self, weight=weight, bias=bias, prepared=kernels.prepare(weight, bias, self.prepared.order))

    def __call__(self, spikes: Packed) -> Tensor:
        """``(steps, n, C, H, W)``, channels last in memory, or ``(steps, n, features)``."""
        out = torch.from_numpy(kernels.spike_convolution(spikes.words, self.prepared, self.stride, self.padding))
        return out[:, :, 0, 0] if spikes.flat else out.permute(0, 1, 4, 2, 3)


@dataclass(frozen=True)
class Convolved:
    """A convolution of spikes, perhaps pooled and normalised, or a linear layer, made when somebody needs its sums.

    Neurons do not: they are fired with it in one go.
    """

    spikes: Packed
    convolution: Convolution
    pool: nn.MaxPool2d | nn.AvgPool2d | None = None
    norm: nn.BatchNorm2d | None = None
    affine: Affine | None = None

    @property
    def elements(self) -> int:
        """Sums for one image and step, before pooling."""
        made = self.convolution
        height, width = place_of(self.spikes.words, made.prepared, made.stride, made.padding)
        return made.prepared.outputs * height * width

    @cached_property
    def tensor(self) -> Tensor:
        """``(steps, n, C, H, W)``, channels last in memory, or ``(steps, n, features)``."""
        sums = self.convolution(self.spikes)
        made, pool, norm = sums.flatten(0, 1), self.pool, self.norm
        if pool is not None:
            pooled = F.avg_pool2d if isinstance(pool, nn.AvgPool2d) else F.max_pool2d
            made = pooled(made, pool.kernel_size, pool.stride)
        if norm is not None:
            made = F.batch_norm(made, norm.running_mean, norm.running_var, norm.weight, norm.bias, False, 0.0, norm.eps)
        return made.view(*sums.shape[:2], *made.shape[1:])

    def pooled(self, module: nn.Module) -> Self | None:
        """With pooling; None where the module is something else, or of a kind that the kernels do not know."""
        if self.pool is not None or self.norm is not None or not isinstance(module, nn.MaxPool2d | nn.AvgPool2d):
            return None
        return replace(self, pool=module) if is_plain(module) else None

    def normalised(self, module: nn.BatchNorm2d, affine: Affine | None) -> Self | None:
        """With a batch norm that computes such a thing; None where the kernels cannot have it here."""
        if affine is None or self.norm is not None or isinstance(self.pool, nn.MaxPool2d):
            return None
        return replace(self, norm=module, affine=affine)

    def layer(self, dynamics: Dynamics) -> Layer | None:
        """With neurons behind it, as the kernels take it; None where they do not."""
        if (isinstance(self.pool, nn.AvgPool2d) or self.norm is not None) and dynamics.reset == Reset.BOTH_ZERO:
            return None
        made, pool = self.convolution, self.pool
        size, stride = ((1, 1), (1, 1)) if pool is None else (pair(pool.kernel_size), pair(pool.stride))
        averaged = isinstance(pool, nn.AvgPool2d)
        return Layer(made.prepared, dynamics, made.stride, made.padding, size, stride, averaged, self.affine)

    def fired(self, layer: Layer) -> Packed:
        """The neurons' spikes."""
        return Packed(kernels.fire(self.spikes.words, layer), self.convolution.prepared.outputs, self.spikes.flat)
