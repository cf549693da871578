"""Trains the residual spiking classifier: ``python -m experiments.train.spiking_resnet --data DIR --out DIR``.

Surrogate gradients (arctangent, Fang et al. 2021, arXiv 2007.05785) through all time steps from the first iteration
on; none flows through the reset. The neurons are SpikingJelly's equations over a whole train at once, for its own save
the intermediate results of each step. States of the training are kept for the developmental study: the initialization,
and then each 2.5 times as late as the one before, up to the end.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from typing import Any

import torch
from spikingjelly.activation_based import functional, neuron
from torch import Tensor, nn

from experiments.train import loop
from experiments.train.spiking import loss, normalise, responses
from mango import appraisal, zoo
from mango.appraisal.images import batches, load_test
from mango.appraisal.spiking import accuracy
from mango.datasets import load_cifar10
from mango.networks.spiking_resnet import SpikingResNet18
from mango.targets.spiking.cifar10 import evaluated
from mango.targets.spiking.stepping import over_time

NAME = "snn-resnet-cifar10"
ONSET = 1.0  # current from which on a neuron spikes at all
KEPT = 8  # states of the training, with the first and the last
APART = 2.5
SHOWN = 2_000  # training images of which a state's statistics of normalisation are taken; test images that it is shown


def main(argv: list[str] | None = None) -> None:
    """Trains, measures on the test images, and publishes weights, states and card into the output folder."""
    parser = loop.arguments(__doc__ or "", iterations=2_000, width=12)
    options = parser.parse_args(argv)
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    device = loop.device_of(options.device)
    images, labels = (torch.from_numpy(part[: options.limit]) for part in load_cifar10(options.data, "train"))
    network = SpikingResNet18(width=options.width)
    nn.init.constant_(network.fc.bias, ONSET + 0.2)
    model = over_trains(network).to(device, memory_format=torch.channels_last)

    def fit(x: Tensor, y: Tensor) -> Tensor:
        with torch.autocast(device.type, torch.bfloat16):
            currents = model.read_out(model.stem(normalise(x)[None])).mean(0)
        return loss(currents.float(), y, ONSET)

    warmup = min(50, options.iterations // 10)
    phase = loop.Phase("spikes", options.iterations, 4e-3, fit, batch=64, weight_decay=0.01, warmup=warmup)
    kept = moments(options.iterations)
    loop.train(model, images, labels, [phase], seed=options.seed, out=options.out, every=options.every, kept=kept)
    states, accuracies = {}, []
    for after in kept:
        model.load_state_dict(loop.kept_state(options.out, after))
        take_statistics(model, images[:SHOWN])
        network = SpikingResNet18(width=options.width)
        network.load_state_dict(model.state_dict())
        zoo.round_to_half(network)
        states[after] = network.state_dict()
        shown = (part[:SHOWN] for part in load_test(options.data))
        accuracies.append(accuracy(evaluated(network.eval()), *shown))
    worth = appraisal.figures(NAME, network, options.data)
    card = loop.card(
        NAME,
        f"ResNet-18 of LIF neurons, {options.width} to {8 * options.width} channels, direct coding, "
        f"T = {network.steps}, SpikingJelly",
        options,
        worth,
        f"Trained on {device.type} for {options.iterations * phase.batch / len(images):.1f} passes over the training "
        "images"
        + ("; without a GPU width, time steps and schedule were cut" if device.type == "cpu" else "")
        + f". States of the training after {', '.join(map(str, kept))} iterations are kept; of the first "
        f"{SHOWN} test images they tell {', '.join(f'{share:.1%}' for share in accuracies)} right.",
        module="spiking_resnet",
        network={"width": options.width},
    )
    card = replace(card, versions=card.versions | {"spikingjelly": version("spikingjelly")})
    zoo.publish(card, network, responses(network, load_test(options.data)[0], singly=0), options.out, states)
    print(worth)


def moments(iterations: int) -> Sequence[int]:
    """After how many iterations the state of a training is kept."""
    spread = {round(iterations / APART**k) for k in range(KEPT - 1)}
    return sorted({0} | spread)


def take_statistics(model: SpikingResNet18, images: Tensor) -> None:
    """Sets what is normalised by to the statistics of images, uint8 ``(n, 3, h, w)``; in place.

    The running averages of the first iterations are mostly those of the initialization, of no batch at all.
    """
    with loop.statistics_taken(model):
        for x in batches(images, 100, next(model.parameters()).device):
            model.read_out(model.stem(normalise(x)[None]))


def over_trains(model: SpikingResNet18) -> SpikingResNet18:
    """The network in multi-step mode, with `Neurons` in place of SpikingJelly's; in place."""
    functional.set_step_mode(model, "m")
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if isinstance(child, neuron.LIFNode):
                setattr(parent, name, Neurons(model.steps))
    return model


class Neurons(nn.Module):
    """A layer of SpikingJelly's LIF neurons, tau 2, threshold 1, hard reset to 0, as `SpikingResNet18` has them."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self._steps = steps

    def forward(self, currents: Tensor) -> Tensor:
        """Spikes ``(steps, n, ...)`` of currents ``(steps or 1, n, ...)``."""
        spikes: Tensor = _Spiking.apply(currents, self._steps)
        return spikes


class _Spiking(torch.autograd.Function):
    """Membranes before the reset ``H <- V + (I - V) / 2``, spikes ``H >= 1``, ``V <- H (1 - S)``."""

    @staticmethod
    def forward(ctx: Any, currents: Tensor, steps: int) -> Tensor:
        membranes, spikes = over_time(currents[0], steps), over_time(currents[0], steps)
        after = torch.zeros_like(currents[0])
        for t in range(steps):
            torch.lerp(after, currents[t if len(currents) > 1 else 0], 0.5, out=membranes[t])
            torch.ge(membranes[t], 1.0, out=spikes[t])
            torch.addcmul(membranes[t], membranes[t], spikes[t], value=-1, out=after)
        ctx.save_for_backward(membranes)
        ctx.constant = len(currents) == 1
        return spikes

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (membranes,) = ctx.saved_tensors
        (gradient,) = gradients
        kept = (membranes < 1.0).to(membranes.dtype)
        above = membranes - 1
        direct = gradient / torch.addcmul(torch.ones_like(above[:1]), above, above, value=math.pi**2)  # alpha = 2
        for t in range(len(direct) - 2, -1, -1):
            direct[t].addcmul_(direct[t + 1], kept[t], value=0.5)
        direct *= 0.5
        return (direct.sum(0, keepdim=True) if ctx.constant else direct), None


if __name__ == "__main__":
    main()
