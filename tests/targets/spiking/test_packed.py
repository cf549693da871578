from __future__ import annotations

import numpy as np
import pytest
import snntorch
import torch
from torch import nn

from mango.targets.spiking import SpikingNetwork
from mango.targets.spiking.kernels import pack
from mango.targets.spiking.packed import Packed


@pytest.mark.parametrize(
    ("kernel", "stride", "padding"), [(2, 2, 0), (3, 2, 1), ((2, 3), (1, 2), (1, 0)), (3, None, 0), (1, 2, 0)]
)
def test_pooled_spikes_are_torchs(kernel: int, stride: int | None, padding: int) -> None:
    spikes = (torch.rand(3, 2, 20, 7, 9, generator=torch.Generator().manual_seed(0)) < 0.2).float()
    packed = Packed(pack(np.ascontiguousarray(spikes.permute(0, 1, 3, 4, 2).numpy())), 20, False)
    module = nn.MaxPool2d(kernel, stride, padding)
    pooled = packed.pooled(module)
    assert pooled is not None
    assert torch.equal(pooled.tensor, module(spikes.flatten(0, 1)).unflatten(0, (3, 2)))


@pytest.mark.parametrize("options", [{"ceil_mode": True}, {"dilation": 2}, {"return_indices": True}])
def test_pooling_that_gives_more_is_left_to_torch(options: dict[str, int]) -> None:
    packed = Packed(np.zeros((1, 1, 5, 5, 1), np.uint16), 4, False)
    assert packed.pooled(nn.MaxPool2d(2, **options)) is None


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_kernels_and_torchs_convolutions_side_by_side(layout: torch.memory_format) -> None:
    """The mean of pooled spikes is convolved by torch, in the network's own layout, the others by the kernels."""
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 24, 3, padding=1),
        snntorch.Leaky(beta=0.9, init_hidden=True),
        nn.AvgPool2d(2),
        nn.Conv2d(24, 40, 3, padding=1),
        snntorch.Leaky(beta=0.9, init_hidden=True, threshold=0.2),
        nn.MaxPool2d(2),
        nn.Conv2d(40, 8, 3),
        snntorch.Leaky(beta=0.9, init_hidden=True, threshold=0.1),
    ).to(memory_format=layout)  # type: ignore[call-overload]
    evaluated = SpikingNetwork(network, steps=6, stimulus_shape=(3, 16, 16))
    assert evaluated._engine is not None
    assert evaluated._engine.kernels
    assert evaluated.check is not None
    assert evaluated.check.currents_equal
