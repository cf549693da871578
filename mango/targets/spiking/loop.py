"""A network's own loop over the time steps, watched: the reference, and what serves where there is no other way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from mango.errors import InputError
from mango.targets.spiking.arithmetic import ROWS
from mango.targets.spiking.copies import copied
from mango.targets.spiking.packages import Package


@dataclass(frozen=True)
class Watched:
    """What one neuron layer got and gave: input currents and spikes, both ``(steps, n, ...)``."""

    currents: Tensor
    spikes: Tensor


class OwnLoop:
    """Runs a network as its author would, each time on a fresh copy.

    Args:
        network: in eval mode.
        package: whose neurons it holds.
        steps: T.
        probe: images ``(n, ...)`` to find out how the network is called.

    Attributes:
        style: ``"step"``: called once a step with ``(n, ...)``; ``"time"``: once with ``(steps, n, ...)``; ``"loop"``:
            once with ``(n, ...)``, and it makes the steps itself.
        layers: names of the neuron layers, as in ``named_modules``; ``lif#1`` and ``lif#2`` are two places of a step at
            which the same ``lif`` is called. Layers that are called in some of the steps only are left out.
        takes_time: whether all of them take whole trains ``(steps, n, ...)``.

    Raises:
        InputError: the network can be called in none of these ways, makes another number of steps by itself, or gives
            another answer to the same images.
    """

    def __init__(self, network: nn.Module, package: Package, steps: int, probe: Tensor) -> None:
        self._network, self._package, self._steps = network, package, steps
        neurons = {name: module for name, module in network.named_modules() if package.is_neuron(module)}
        self._whole = {name for name, module in neurons.items() if package.takes_time(module)}
        self.layers = tuple(neurons)
        self.takes_time = len(self._whole) == len(neurons)
        self.style, seen = self._found(probe)
        self._places, self._first = dict[str, int](), dict[str, Tensor]()  # in each step; currents of the first
        for name, (currents, _) in seen.items():
            calls = 1 if name in self._whole or self.style == "step" else steps
            self._places[name], missing = divmod(len(currents), calls)
            for place in range(0 if missing else self._places[name]):
                layer = f"{name}#{place + 1}" if self._places[name] > 1 else name
                self._first[layer] = currents[place][0] if name in self._whole else currents[place]
        self.layers = tuple(self._first)

    @torch.inference_mode()
    def run(self, inputs: Tensor, layers: Sequence[str]) -> dict[str, Watched]:
        """What the layers got and gave.

        Args:
            inputs: ``(1, n, ...)`` where the input is the same at every step, else ``(steps, n, ...)``.
            layers: of interest.
        """
        n = inputs.shape[1]
        if n < ROWS:  # so that the answer does not depend on what an image is shown with
            inputs = inputs[:, torch.arange(ROWS, device=inputs.device) % n]
        seen = self._called(inputs, self.style, [module_of(layer) for layer in layers])
        return {layer: self._joined(layer, *seen[module_of(layer)], n) for layer in layers}

    def check_repeats(self, probed: dict[str, Watched]) -> None:
        """Compares a run on the images by which the style was found.

        Raises:
            InputError: it differs.
        """
        for name, before in self._first.items():
            if not torch.allclose(before, probed[name].currents[0], rtol=0, atol=0, equal_nan=True):
                raise InputError(
                    f"{type(self._network).__name__} gives {name} other currents when it is shown the same images "
                    "again: it seems to draw random numbers. Take that out; encoder='rate' draws spikes with a seed"
                )

    def _called(self, inputs: Tensor, style: str, modules: Sequence[str]) -> _Seen:
        network = copied(self._network)
        self._package.reset(network)
        if style == "loop" and len(inputs) > 1:
            raise InputError("the network makes its time steps itself, so it can only be shown constant input")
        with _watching({name: network.get_submodule(name) for name in modules}) as seen:
            if style == "step":
                state: object = None
                for t in range(self._steps):
                    state = self._package.call(network, inputs[t if len(inputs) > 1 else 0].clone(), state)
            elif style == "time":
                trains = inputs.expand(self._steps, *inputs.shape[1:])
                self._package.call(network, trains.clone(memory_format=torch.contiguous_format), None)
            else:
                self._package.call(network, inputs[0].clone(), None)
        return seen

    @torch.inference_mode()
    def _found(self, probe: Tensor) -> tuple[str, _Seen]:
        """How the network is called, and what was seen of one call."""
        reasons = []
        for style in ("time", "loop") if self._whole else ("loop", "time"):
            try:
                seen = self._called(probe[None], style, self.layers)
            except Exception as error:  # whatever the user's network raises
                what = "images" if style == "loop" else "trains of them"
                reasons.append(f"with {what} {type(error).__name__}: {error}")
                continue
            seen = {name: calls for name, calls in seen.items() if calls[0]}
            made = self._steps_made(seen, len(probe))
            if made == 1 and style == "loop" and not self._whole and self._package.keeps_state(self._network):
                return "step", seen
            if made == self._steps:
                return style, seen
            if made and style == "loop":
                reasons.append(
                    f"with images it makes {made} time steps by itself, where steps={self._steps} was given (or a "
                    "neuron serves at several places of a step: give each a neuron of its own)"
                )
            elif made is not None:
                reasons.append(f"with {'images' if style == 'loop' else 'trains of them'} its neurons saw other shapes")
        raise InputError(
            f"{type(self._network).__name__} can be called neither with images {tuple(probe.shape)} nor with trains "
            f"{(self._steps, *probe.shape)}: {'; '.join(reasons)}"
        )

    def _steps_made(self, seen: _Seen, images: int) -> int | None:
        """In one call; 0 where a neuron saw something else than so many images, None where none was called."""
        made = []
        for name, (currents, _) in seen.items():
            whole = name in self._whole
            if currents[0].dim() < 2 + whole or currents[0].shape[int(whole)] != images:
                return 0
            made.append(len(currents[0]) if whole else len(currents))
        return min(made, default=None)

    def _joined(self, layer: str, currents: list[Tensor], spikes: list[Tensor], images: int) -> Watched:
        name, _, number = layer.partition("#")
        place, places = int(number or 1) - 1, self._places[name]
        if name in self._whole:
            return Watched(currents[place][:, :images], spikes[place][:, :images])
        return Watched(*(torch.stack(calls[place::places])[:, :images] for calls in (currents, spikes)))


def module_of(layer: str) -> str:
    """The name of the module that serves a layer."""
    return layer.partition("#")[0]


_Seen = dict[str, tuple[list[Tensor], list[Tensor]]]  # input currents and spikes of each call of each layer


@contextmanager
def _watching(neurons: dict[str, nn.Module]) -> Iterator[_Seen]:
    seen: _Seen = {name: ([], []) for name in neurons}

    def note(name: str) -> Any:
        def hook(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
            seen[name][0].append((args[0] if args else next(iter(kwargs.values()))).detach().clone())
            seen[name][1].append((output[0] if isinstance(output, tuple) else output).detach().clone())

        return hook

    hooks = [module.register_forward_hook(note(name), with_kwargs=True) for name, module in neurons.items()]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()
