"""Trains the spiking classifier of the published shape.

    python -m experiments.train.spiking_t128 --data DIR --out DIR

As `experiments.train.spiking`: settled rates first, then few steps of spikes. What differs is why a network without
batch norm that is shown for 128 steps can be had on a CPU:

- Each layer's currents are normalised in training, after the pooling, by positive gains; these go into the weights and
  biases at the end, which changes nothing, for a positive gain and a maximum may be exchanged.
- Neurons start at half their threshold in training, so that a rate over few steps is nearly that over many (Bu et al.
  2022, arXiv 2202.01440); in use they start at 0.
- Currents beyond what a rate can follow cost in every layer: hidden units keep room to be excited more.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from experiments.train import loop
from experiments.train.spiking import LEAK, integrate, loss, normalise, responses
from mango import appraisal, zoo
from mango.appraisal.images import load_test
from mango.datasets import load_cifar10
from mango.networks.spiking_maxpool import SpikingMaxPoolNet

NAME = "snn-t128-cifar10"
START = 0.5  # membrane potential before the first step, in thresholds
ROOM = 0.8  # current from which on more of it costs
GAIN, OFFSET = 0.3, 0.15  # of the normalised currents at first: most neurons then follow them


def main(argv: list[str] | None = None) -> None:
    """Trains and measures on the test images."""
    parser = loop.arguments(__doc__ or "", rate_iterations=1_800, spike_iterations=700, steps=8)
    options = parser.parse_args(argv)
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    device = loop.device_of(options.device)
    images, labels = (torch.from_numpy(part[: options.limit]) for part in load_cifar10(options.data, "train"))
    model = Normalised(SpikingMaxPoolNet()).to(device, memory_format=torch.channels_last)

    def fit(steps: int | None, x: Tensor, y: Tensor) -> Tensor:
        with torch.autocast(device.type, torch.bfloat16):
            currents, beyond = forward(model, normalise(x), steps)
        return loss(currents.float(), y) + beyond

    phases = [
        loop.Phase("rates", options.rate_iterations, 2e-3, partial(fit, None), batch=64, weight_decay=0.01),
        loop.Phase("spikes", options.spike_iterations, 5e-4, partial(fit, options.steps), batch=32, weight_decay=0.01),
    ]
    loop.train(model, images, labels, phases, seed=options.seed, out=options.out, every=options.every)
    network = model.folded()
    zoo.round_to_half(network)
    worth = appraisal.figures(NAME, network, options.data)
    card = loop.card(
        NAME,
        "conv 200 k5, conv 64 k5, 100 and 10 LIF neurons, max-pooling, direct coding, T = 128, snnTorch",
        options,
        worth,
        f"Trained on {device.type} with {options.steps} time steps, evaluated with {network.steps}. The shape is that "
        "of Pospelov et al. 2024, the weights are not.",
        module="spiking_t128",
    )
    zoo.publish(card, network, responses(network, load_test(options.data)[0]), options.out)
    print(worth)


class Normalised(nn.Module):
    """A network whose hidden currents are normalised over the batch while it learns."""

    def __init__(self, network: SpikingMaxPoolNet) -> None:
        super().__init__()
        self.network = network
        widths = (network.conv1.out_channels, network.conv2.out_channels, network.linear3.out_features)
        self.norms = nn.ModuleList(_PositiveNorm(width) for width in widths)
        nn.init.constant_(network.linear4.bias, OFFSET + LEAK)

    def currents(self, layer: int, spikes: Tensor) -> Tensor:
        """As the network's, normalised but for the read-out's."""
        current = self.network.currents(layer, spikes)
        return current if layer == 4 else self.norms[layer - 1](current)

    @torch.no_grad()
    def folded(self) -> SpikingMaxPoolNet:
        """The network with what was normalised in its weights and biases."""
        layers = (self.network.conv1, self.network.conv2, self.network.linear3)
        for layer, norm in zip(layers, self.norms, strict=True):
            gain = norm.weight.abs() / (norm.running_var + norm.eps).sqrt()
            layer.weight *= gain.view(-1, *[1] * (layer.weight.dim() - 1))
            layer.bias.copy_((layer.bias - norm.running_mean) * gain + norm.bias)
        return self.network


class _PositiveNorm(nn.BatchNorm1d):
    """Batch norm of ``(n, width, ...)`` by the size of its gains, whatever their sign."""

    def __init__(self, width: int) -> None:
        super().__init__(width)
        nn.init.constant_(self.weight, GAIN)
        nn.init.constant_(self.bias, OFFSET)

    def forward(self, x: Tensor) -> Tensor:
        gains = self.weight.abs()
        return F.batch_norm(x, self.running_mean, self.running_var, gains, self.bias, self.training, 0.1, self.eps)


def forward(model: Normalised, x: Tensor, steps: int | None) -> tuple[Tensor, Tensor]:
    """Read-out currents ``(n, classes)``, and what the hidden ones cost that leave no room to be excited more.

    Args:
        model: in training.
        x: normalised images.
        steps: that neurons make, or None where each is replaced by the rate it settles at.
    """
    currents = model.currents(1, x)[None]
    beyond = excess(currents)
    for layer in (2, 3, 4):
        if steps is None:
            signal = (currents - LEAK).clamp(0, 1)
        else:
            signal = integrate(currents, steps, START)
        currents = model.currents(layer, signal.flatten(0, 1)).unflatten(0, (-1, len(x)))
        if layer < 4:
            beyond = beyond + excess(currents)
    return currents.mean(0), beyond


def excess(currents: Tensor) -> Tensor:
    """Mean square by which mean currents ``(steps or 1, n, ...)`` pass `ROOM`."""
    return F.relu(currents.mean(0).float() - ROOM).square().mean()


if __name__ == "__main__":
    main()
