"""In which order torch makes the sums of a layer on this machine: found out on probes, to the last bit."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from mango.targets.spiking.kernels.convolution import Order, prepare, spike_convolution
from mango.targets.spiking.kernels.trains import pack

if TYPE_CHECKING:
    from torch import Tensor

DENSITIES = (0.02, 0.2, 0.7)  # shares of spikes of the probes
BLOCKS = (16, 8, 32, 64)  # lengths of a block of input channels that are tried, beside the whole
LINEAR_BLOCKS = (192, 384, 128, 256, 336, 448, 512)  # likewise of features, beside the whole and its half


def order_of(
    weight: Tensor,
    bias: Tensor | None,
    size: tuple[int, int],
    stride: tuple[int, int] = (1, 1),
    padding: tuple[int, int] = (0, 0),
    *,
    images: int = 2,
    channels_last: bool = False,
) -> Order | None:
    """The order in which torch adds in this convolution; None where none of the known ones fits.

    Args:
        weight: of the layer.
        bias: of the layer.
        size: height and width of its input.
        stride: of the layer.
        padding: of the layer.
        images: in a batch; torch may add otherwise for one image.
        channels_last: whether torch is given its input so.
    """
    import torch  # here alone: the kernels themselves do without
    from torch.nn.functional import conv2d

    layout = torch.channels_last if channels_last else torch.contiguous_format
    weights = weight.contiguous(memory_format=layout)

    def torchs(spikes: Tensor) -> Tensor:
        return conv2d(spikes.contiguous(memory_format=layout), weights, bias, stride, padding)

    return _fitting(BLOCKS, weight, bias, (images, weight.shape[1], *size), torchs, stride, padding)


def linear_order_of(weight: Tensor, bias: Tensor | None, rows: int) -> Order | None:
    """The same of a linear layer: a convolution of images of one place, with weights ``(Cout, Cin, 1, 1)``.

    Args:
        weight: of the layer, ``(Cout, Cin)``.
        bias: of the layer.
        rows: that torch is given at a time; it may add otherwise for few.
    """
    from torch.nn.functional import linear

    def torchs(spikes: Tensor) -> Tensor:
        return linear(spikes[:, :, 0, 0], weight, bias)[:, :, None, None]

    inputs = weight.shape[1]
    blocks = (-(-inputs // 2), *LINEAR_BLOCKS)
    return _fitting(blocks, weight[:, :, None, None], bias, (rows, inputs, 1, 1), torchs, (1, 1), (0, 0))


def _fitting(
    blocks: Iterable[int],
    weight: Tensor,
    bias: Tensor | None,
    shape: tuple[int, ...],
    torchs: Callable[[Tensor], Tensor],
    stride: tuple[int, int],
    padding: tuple[int, int],
) -> Order | None:
    """The first order with one of these blocks, or a single one, that gives torch's answers to probes ``shape``."""
    import torch

    generator = torch.Generator().manual_seed(0)
    probes = [(torch.rand(shape, generator=generator) < density).float() for density in DENSITIES]
    answers = [torchs(probe).permute(0, 2, 3, 1).numpy() for probe in probes]
    words = [pack(probe.permute(0, 2, 3, 1).numpy())[None] for probe in probes]
    weights, biases = weight.numpy(), None if bias is None else bias.numpy()
    inputs = weight.shape[1]
    for block, first in product(dict.fromkeys([*(b for b in blocks if b < inputs), inputs]), (True, False)):
        prepared = prepare(weights, biases, Order(block, first))
        if all(
            np.array_equal(spike_convolution(probe, prepared, stride, padding)[0], answer)
            for probe, answer in zip(words, answers, strict=True)
        ):
            return prepared.order
    return None
