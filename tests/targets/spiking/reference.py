"""What the neurons of a network get and give when its author runs it: written without mango, to compare with it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mango.targets.spiking import SpikingNetwork

Trains = dict[str, tuple[Tensor, Tensor]]  # input currents and spikes of each layer, (steps, n, ...)
Run = Callable[[nn.Module, Tensor, int], None]


def own(network: nn.Module, images: NDArray[np.float32], steps: int, run: Run, kinds: tuple[type, ...]) -> Trains:
    """Of every module of some kinds, over all steps of one run on a copy of the network, in one thread."""
    alone = copy.deepcopy(network).eval()
    seen: dict[str, tuple[list[Tensor], list[Tensor]]] = {}
    for name, module in alone.named_modules():
        if isinstance(module, kinds):
            seen[name] = ([], [])
            module.register_forward_hook(_noting(*seen[name]))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # more would share out the rows of a matrix product, and round it otherwise
    with torch.no_grad():
        run(alone, torch.from_numpy(images), steps)
    torch.set_num_threads(threads)
    return {
        name: (_over_time(currents, steps), _over_time(spikes, steps))
        for name, (currents, spikes) in seen.items()
        if currents
    }


def of_mango(network: SpikingNetwork, images: NDArray[np.float32], layer: str) -> tuple[Tensor, Tensor]:
    """The same of one layer, as mango evaluates it."""
    with torch.inference_mode(), network._reference():
        activity = network._activity(network._inputs(torch.from_numpy(images), None), layer, ())
        return activity.currents.expand(network.steps, *activity.currents.shape[1:]), activity.spikes


def step_by_step(network: nn.Module, images: Tensor, steps: int) -> None:
    """Called once a step with the image."""
    for _ in range(steps):
        network(images.clone())


def at_once(network: nn.Module, images: Tensor, steps: int) -> None:  # noqa: ARG001 (as all of Run)
    """Makes the steps itself."""
    network(images.clone())


def with_trains(network: nn.Module, images: Tensor, steps: int) -> None:
    """Called once with trains ``(steps, n, ...)``."""
    network(images.repeat(steps, *[1] * images.dim()))


def handing_on(network: nn.Module, images: Tensor, steps: int) -> None:
    """Called once a step with the image and the state that it returned."""
    state = None
    for _ in range(steps):
        _, state = network(images.clone(), state)


def pictures(kind: str, n: int, shape: tuple[int, int, int], seed: int = 0) -> NDArray[np.float32]:
    """Images in [0, 1] in steps of 1/255: ``noise``, ``smooth`` or ``natural``, with the spectrum 1/f of nature."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((n, *shape))
    if kind != "noise":
        frequency = np.hypot(np.fft.fftfreq(shape[1])[:, None], np.fft.rfftfreq(shape[2])[None])
        if kind == "smooth":
            weight = (frequency < 0.15).astype(float)
        else:
            weight = 1 / np.maximum(frequency, 1 / max(shape))
        noise = np.fft.irfft2(np.fft.rfft2(noise) * weight, s=shape[1:])
    noise -= noise.min((1, 2, 3), keepdims=True)
    return (np.round(255 * noise / noise.max((1, 2, 3), keepdims=True)) / 255).astype(np.float32)


def _noting(currents: list[Tensor], spikes: list[Tensor]) -> Any:
    def hook(_module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        currents.append(args[0].clone())
        spikes.append((output[0] if isinstance(output, tuple) else output).clone())

    return hook


def _over_time(calls: list[Tensor], steps: int) -> Tensor:
    return calls[0] if len(calls) == 1 and len(calls[0]) == steps else torch.stack(calls)
