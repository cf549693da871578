"""What a batch norm computes in evaluation, ``x scale + shift``, in the very operations of torch."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mango.targets.spiking.kernels import Affine

PLACES = 11  # probed rows and columns: odd, so that vectors end in the midst of them


def affine_of(norm: nn.BatchNorm2d) -> Affine | None:
    """Scale and shift of a batch norm of channels-last images; None where torch computes something else.

    Scale and shift are read off the norm's own answers to 1 and 0; on random probes it must then equal them bit by bit,
    with the product rounded before the sum or not.
    """
    mean, var = norm.running_mean, norm.running_var
    if norm.training or mean is None or var is None:
        return None
    weight = torch.ones_like(mean) if norm.weight is None else norm.weight.detach()
    bias = torch.zeros_like(mean) if norm.bias is None else norm.bias.detach()

    def answer(given: Tensor, mean: Tensor, bias: Tensor) -> Tensor:
        images = given.contiguous(memory_format=torch.channels_last)
        return F.batch_norm(images, mean, var, weight, bias, False, 0.0, norm.eps)

    channels, none = len(mean), torch.zeros_like(mean)
    scale = answer(torch.ones(1, channels, 2, 2), none, none)[0, :, 0, 0].numpy()
    shift = answer(torch.zeros(1, channels, 2, 2), mean, bias)[0, :, 0, 0].numpy()
    values = torch.randn((2, channels, PLACES, PLACES), generator=torch.Generator().manual_seed(0))
    x, y = (part.movedim(1, -1).numpy() for part in (values, answer(values, mean, bias)))
    table = np.stack([scale, shift])
    if not np.isfinite(table).all():
        return None
    if np.array_equal(y, x * scale + shift):
        return Affine(table, fused=False)
    together = x.astype(np.float64) * scale + shift  # the product is exact, and the sum all but exact
    if np.array_equal(y, together.astype(np.float32)):
        return Affine(table, fused=True)
    return None
