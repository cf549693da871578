"""Trains the spiking classifier of CIFAR-10: ``python -m experiments.train.spiking --data DIR --out runs/snn``.

Two phases, so that a CPU suffices. First each neuron is replaced by the rate it settles at, which costs one pass for
each image in place of one for each time step: averaging ``U <- beta U + I - S`` over time gives
``rate = I - (1 - beta) mean(U)``, so a rate follows its current, less a little, between 0 and 1. Then the neurons
spike, for fewer steps than they will be used with, and learn by surrogate gradients (fast sigmoid, slope 10).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from experiments.train import loop
from mango import appraisal, zoo
from mango.appraisal.images import batches, load_test
from mango.datasets import load_cifar10
from mango.networks.spiking import BETA, SpikingConvNet
from mango.targets.preprocess import PREPROCESS
from mango.targets.spiking.cifar10 import evaluated
from mango.targets.spiking.stepping import over_time

SLOPE = 10.0
LEAK = 0.07  # (1 - beta) times the mean membrane potential of a neuron that spikes, about 0.7
SCALE = 20.0  # of read-out rates to logits: with smoothed labels a difference of rates near 0.25 suffices


def main(argv: list[str] | None = None) -> None:
    """Trains and measures on the test images."""
    parser = loop.arguments(__doc__ or "", rate_iterations=3_500, spike_iterations=1_200, steps=6)
    options = parser.parse_args(argv)
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    device = loop.device_of(options.device)
    images, labels = (torch.from_numpy(part[: options.limit]) for part in load_cifar10(options.data, "train"))
    model = SpikingConvNet().to(device, memory_format=torch.channels_last)

    def rate_loss(x: Tensor, y: Tensor) -> Tensor:
        with torch.autocast(device.type, torch.bfloat16):
            currents = settled(model, normalise(x))
        return loss(currents.float(), y)

    def spike_loss(x: Tensor, y: Tensor) -> Tensor:
        with torch.autocast(device.type, torch.bfloat16):
            currents = spiking(model, normalise(x), options.steps)
        return loss(currents.float(), y)

    phases = [
        loop.Phase("rates", options.rate_iterations, 2e-3, rate_loss, weight_decay=0.01),
        loop.Phase("spikes", options.spike_iterations, 5e-4, spike_loss, batch=64, weight_decay=0.01),
    ]
    loop.train(model, images, labels, phases, seed=options.seed, out=options.out, every=options.every)
    worth = appraisal.figures("snn-cifar10", model, options.data)
    card = loop.card(
        "snn-cifar10",
        "three convolutional LIF layers and a spiking read-out, direct coding, T = 32, snnTorch",
        options,
        worth,
        f"Trained on {device.type} with {options.steps} time steps, evaluated with {model.steps}."
        + (" Without a GPU the schedule was cut: 65 % is its bar, not 72 %." if device.type == "cpu" else ""),
        module="spiking",
    )
    zoo.publish(card, model, responses(model, load_test(options.data)[0]), options.out)
    print(worth)


def normalise(images: Tensor) -> Tensor:
    """Images in [0, 1] to zero mean and unit deviation per colour."""
    return PREPROCESS(images).contiguous(memory_format=torch.channels_last)


def loss(currents: Tensor, y: Tensor, onset: float = LEAK) -> Tensor:
    """Cross-entropy of the rates that the read-out's mean currents ``(n, classes)`` settle at, 0 up to the onset.

    Rates are drawn towards 0, and currents that leave the range of a rate are drawn back: natural images then leave
    the read-out room to be excited more.
    """
    rates = (currents - onset).clamp(0, 1)
    beyond = currents - onset - rates
    fit = F.cross_entropy(SCALE * rates, y, label_smoothing=0.1)
    return fit + rates.square().mean() + beyond.square().mean()


def settled(model: SpikingConvNet, x: Tensor) -> Tensor:
    """Read-out currents ``(n, classes)`` with every neuron replaced by the rate it settles at."""
    for layer in (1, 2, 3):
        x = (model.currents(layer, x) - LEAK).clamp(0, 1)
    return model.currents(4, x)


def spiking(model: SpikingConvNet, x: Tensor, steps: int) -> Tensor:
    """Mean read-out currents ``(n, classes)`` of the spiking network, layer by layer over the steps."""
    currents = model.currents(1, x)[None]
    for layer in (2, 3, 4):
        spikes = integrate(currents, steps)
        currents = model.currents(layer, spikes.flatten(0, 1)).unflatten(0, (steps, len(x)))
    return currents.mean(0)


def integrate(currents: Tensor, steps: int, start: float = 0.0) -> Tensor:
    """Spikes ``(steps, n, ...)`` of neurons driven by currents ``(steps or 1, n, ...)`` from a potential on."""
    spikes: Tensor = _Spiking.apply(currents, steps, start)
    return spikes


class _Spiking(torch.autograd.Function):
    """`integrate` with snnTorch's fast-sigmoid gradient; as there, none flows through the reset."""

    @staticmethod
    def forward(ctx: Any, currents: Tensor, steps: int, start: float) -> Tensor:
        membrane, spike = torch.full_like(currents[0], start), torch.zeros_like(currents[0])
        membranes = over_time(membrane, steps)
        for t in range(steps):
            membrane = membrane * BETA + currents[t if len(currents) > 1 else 0] - spike
            membranes[t] = membrane
            spike = (membrane > 1.0).to(currents.dtype)
        ctx.save_for_backward(membranes)
        ctx.constant = len(currents) == 1
        return (membranes > 1.0).to(currents.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (membranes,) = ctx.saved_tensors
        (gradient,) = gradients
        direct = gradient / (1 + SLOPE * (membranes - 1).abs()).square()
        for t in range(len(direct) - 2, -1, -1):
            direct[t] += BETA * direct[t + 1]
        return (direct.sum(0, keepdim=True) if ctx.constant else direct), None, None


READOUTS = ("rate", "current", "membrane", "latency")  # whose figures the zoo keeps


def responses(model: nn.Module, images: Tensor, singly: int = 20_000) -> dict[str, NDArray[np.float32]]:
    """What images do to every channel and every neuron, for each read-out.

    Args:
        model: that `evaluated` takes.
        images: uint8 ``(n, 3, h, w)``.
        singly: neurons of a convolutional layer up to which those of each are told, beside the channels'.

    Returns:
        ``LAYER.channel.READOUT`` (averaged over space) and ``LAYER.neuron.READOUT``: rows are the maximum, the 99.9th
        percentile, the median, and the share of images without any spike.
    """
    network = evaluated(model, next(model.parameters()).device)
    parts: dict[str, list[NDArray[np.float32]]] = {}
    for x in batches(images, 10, torch.device("cpu")):
        for layer, answers in network.read_layers(x.numpy(), READOUTS).items():
            for readout, values in zip(READOUTS, answers, strict=True):
                if values.ndim > 2:
                    if math.prod(values.shape[1:]) <= singly:
                        parts.setdefault(f"{layer}.neuron.{readout}", []).append(values.astype(np.float32))
                    values = values.reshape(*values.shape[:2], -1).mean(2)
                parts.setdefault(f"{layer}.channel.{readout}", []).append(values.astype(np.float32))
    everything = {name: np.concatenate(part) for name, part in parts.items()}
    silent = {name: (rates == 0).mean(0) for name, rates in everything.items() if name.endswith(".rate")}
    return {
        name: np.stack(
            [
                values.max(0),
                np.quantile(values, 0.999, axis=0, method="linear"),
                np.median(values, axis=0),
                silent[f"{name.rpartition('.')[0]}.rate"],
            ]
        ).astype(np.float32)
        for name, values in everything.items()
    }


if __name__ == "__main__":
    main()
