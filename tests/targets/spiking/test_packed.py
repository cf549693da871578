from __future__ import annotations

import numpy as np
import pytest
import snntorch
import torch
from torch import nn

from mango.targets.spiking import SpikingNetwork
from mango.targets.spiking.affine import affine_of
from mango.targets.spiking.arithmetic import reference
from mango.targets.spiking.kernels import Order, leaky, pack, prepare
from mango.targets.spiking.packed import Convolution, Convolved, Packed


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


def test_linear_layers_are_those_of_torch() -> None:
    torch.manual_seed(0)
    images = (torch.rand(6, 20, 5, 4) < 0.2).float()
    packed = Packed(pack(images.permute(0, 2, 3, 1).numpy())[None], 20, flat=False).flattened()
    assert torch.equal(packed.tensor[0], images.flatten(1))
    linear = nn.Linear(400, 33).requires_grad_(False)
    with reference(torch.device("cpu")):  # on several threads torch adds otherwise
        convolution = Convolution.of(linear, packed, 4, channels_last=False)
        if convolution is None:
            pytest.skip("torch adds in an order of its own on this machine")
        expected = linear(images.flatten(1))
    convolved = Convolved(packed, convolution)
    assert torch.equal(convolved.tensor[0], expected)
    dynamics = leaky(0.9, 0.3)
    layer = convolved.layer(dynamics)
    assert layer is not None
    fired = convolved.fired(layer)
    assert fired.flat
    assert torch.equal(fired.tensor, Packed.of(convolved.tensor, dynamics, 1).tensor)


@pytest.mark.parametrize("linear", [nn.Linear(402, 8), nn.Linear(2048, 1024)], ids=["askew", "large"])
def test_linear_layers_that_are_left_to_torch(linear: nn.Linear) -> None:
    features = linear.in_features
    packed = Packed(pack(torch.zeros(1, 4, 1, 1, features).numpy()), features, flat=True)
    assert Convolution.of(linear, packed, 4, channels_last=False) is None


def test_what_follows_a_convolution() -> None:
    words = pack(torch.zeros(1, 1, 8, 8, 4).numpy())
    conv = nn.Conv2d(4, 3, 3).requires_grad_(False)
    assert conv.bias is not None
    order = Order(16, bias_first=True)
    made = Convolution(conv.weight.numpy(), conv.bias.numpy(), prepare(conv.weight.numpy(), conv.bias.numpy(), order),
                       (1, 1), (0, 0))  # fmt: skip
    convolved = Convolved(Packed(words, 4, flat=False), made)
    norm = nn.BatchNorm2d(3).eval().requires_grad_(False)
    affine = affine_of(norm)
    assert affine is not None
    averaged = convolved.pooled(nn.AvgPool2d(2))
    assert averaged is not None
    largest = convolved.pooled(nn.MaxPool2d(2))
    assert largest is not None
    assert averaged.pooled(nn.MaxPool2d(2)) is None
    assert convolved.pooled(nn.AvgPool2d(2, padding=1)) is None
    assert convolved.pooled(nn.ReLU()) is None
    assert largest.normalised(norm, affine) is None
    assert averaged.normalised(norm, None) is None
    both = averaged.normalised(norm, affine)
    assert both is not None
    assert both.normalised(norm, affine) is None
    assert both.layer(leaky(0.9, 1.0, "zero", delayed=False)) is None
    assert largest.layer(leaky(0.9, 1.0, "zero", delayed=False)) is not None
    expected = norm(nn.AvgPool2d(2)(conv(torch.zeros(1, 4, 8, 8))))
    assert torch.equal(both.tensor[0], expected)


def test_a_batch_norm_that_computes_something_else() -> None:
    assert affine_of(nn.BatchNorm2d(3)) is None  # in training it takes the statistics of the batch
    assert affine_of(nn.BatchNorm2d(3, track_running_stats=False).eval()) is None
