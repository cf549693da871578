"""The spiking classifier of the published search, on snnTorch neurons (Pospelov et al. 2024, arXiv 2401.10748).

conv 3 -> 200 k5, max-pool, LIF, conv 200 -> 64 k5, max-pool, LIF, linear 1600 -> 100, LIF, linear 100 -> 10, LIF; the
neurons and the coding are those of `mango.networks.spiking`.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from mango.networks.spiking import LayeredNet, leaky

KERNEL = 5


class SpikingMaxPoolNet(LayeredNet):
    """Two convolutional spiking layers, a fully connected one and a read-out, named ``lif1 lif2 lif3 output``.

    Args:
        channels: of the two convolutional layers.
        hidden: neurons of the third layer.
        classes: neurons of the read-out.
        size: side of the square input image, so that both poolings come out even: 16 and a multiple of 4.
    """

    steps = 128

    def __init__(
        self, channels: Sequence[int] = (200, 64), hidden: int = 100, classes: int = 10, size: int = 32
    ) -> None:
        super().__init__()
        first, second = channels
        side = ((size - KERNEL + 1) // 2 - KERNEL + 1) // 2
        self.conv1, self.pool1, self.lif1 = nn.Conv2d(3, first, KERNEL), nn.MaxPool2d(2), leaky()
        self.conv2, self.pool2, self.lif2 = nn.Conv2d(first, second, KERNEL), nn.MaxPool2d(2), leaky()
        self.flatten = nn.Flatten()
        self.linear3, self.lif3 = nn.Linear(second * side**2, hidden), leaky()
        self.linear4, self.output = nn.Linear(hidden, classes), leaky()

    def currents(self, layer: int, spikes: Tensor) -> Tensor:
        """See `LayeredNet.currents`."""
        if layer <= 2:
            pooled: Tensor = self.get_submodule(f"pool{layer}")(self.get_submodule(f"conv{layer}")(spikes))
            return pooled
        current: Tensor = self.get_submodule(f"linear{layer}")(self.flatten(spikes))
        return current
