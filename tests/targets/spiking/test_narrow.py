"""One channel alone has the bits that it has within its layer."""

from __future__ import annotations

import numpy as np
import pytest
import snntorch
import torch
from torch import Tensor, nn

from mango.targets.spiking import SpikingNetwork
from mango.targets.spiking.graph import trace
from mango.targets.spiking.narrow import narrowed
from mango.targets.spiking.packages.snntorch import SnnTorch

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 3, 16, 16)).astype(np.float32) / np.float32(255)


def leaky() -> snntorch.Leaky:
    return snntorch.Leaky(beta=0.9, init_hidden=True)


def stack() -> nn.Sequential:
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 20, 3, padding=1),
        leaky(),
        nn.Conv2d(20, 24, 3, padding=1),
        nn.AvgPool2d(2),
        nn.BatchNorm2d(24),
        leaky(),
    )
    for module in network:
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.weight.data.uniform_(2, 4)
    return network


class Residual(nn.Module):
    """The second layer is driven by a sum, which is not one convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.lif1 = nn.Conv2d(3, 20, 3, padding=1), leaky()
        self.second, self.lif2 = nn.Conv2d(20, 20, 3, padding=1), leaky()

    def forward(self, x: Tensor) -> Tensor:
        spikes = self.lif1(self.first(x))
        return self.lif2(self.second(spikes) + spikes)  # type: ignore[no-any-return]


@pytest.mark.parametrize("network", [stack(), Residual()], ids=["stack", "residual"])
def test_a_channel_is_its_part_of_the_layer(network: nn.Module) -> None:
    spiking = SpikingNetwork(network, steps=12, stimulus_shape=(3, 16, 16))
    layer = list(spiking.layers)[-1]
    for readout in ("rate", "current"):
        whole = spiking.read(IMAGES, layer, (), readout)
        assert whole.max() > 0
        for channel in (0, 7, len(whole[0]) - 1):
            assert (spiking.read(IMAGES, layer, (channel,), readout) == whole[:, channel]).all()
            assert (spiking.read(IMAGES, layer, (channel, 3, 4), readout) == whole[:, channel, 3, 4]).all()


def test_what_is_cut_down() -> None:
    graph = trace(stack(), SnnTorch())
    full = graph.up_to("5")
    plan = narrowed(full, full[-1].name, 4)
    assert plan is not None
    assert [node.name for node in plan] == [node.name for node in full]
    changed = [type(after.module) for before, after in zip(full, plan, strict=True) if before is not after]
    assert changed == [nn.Conv2d, nn.BatchNorm2d]
    sum_ = trace(Residual(), SnnTorch()).up_to("lif2")
    assert narrowed(sum_, sum_[-1].name, 4) is None
