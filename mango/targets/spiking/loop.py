"""A network's own loop over the time steps, watched: the reference, and what serves where there is no other way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from mango.errors import InputError
from mango.targets.spiking.packages import Package

STYLES = ("step", "time", "loop")


@dataclass(frozen=True)
class Watched:
    """What one neuron layer got and gave: input currents and spikes, both ``(steps, n, ...)``."""

    currents: Tensor
    spikes: Tensor


class OwnLoop:
    """Runs a network as its author would.

    Args:
        network: in eval mode.
        package: whose neurons it holds.
        steps: T.
        probe: images ``(n, ...)`` to find out how the network is called.

    Attributes:
        style: ``"step"``: called once a step with ``(n, ...)``; ``"time"``: once with ``(steps, n, ...)``; ``"loop"``:
            once with ``(n, ...)``, and it makes the steps itself.

    Raises:
        InputError: the network can be called in none of these ways, or makes another number of steps by itself.
    """

    def __init__(self, network: nn.Module, package: Package, steps: int, probe: Tensor) -> None:
        self._network, self._package, self._steps = network, package, steps
        self._neurons = {name: module for name, module in network.named_modules() if package.is_neuron(module)}
        self._takes_time = package.takes_time(network)
        self.style = self._find_style(probe)

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the neuron layers, as in ``named_modules``."""
        return tuple(self._neurons)

    @torch.inference_mode()
    def run(self, inputs: Tensor, layers: Sequence[str]) -> dict[str, Watched]:
        """What the layers got and gave.

        Args:
            inputs: ``(1, n, ...)`` where the input is the same at every step, else ``(steps, n, ...)``.
            layers: of interest.
        """
        with self._watch(layers) as seen:
            self._call(inputs, self.style)
        return {name: self._joined(name, *seen[name]) for name in layers}

    def _call(self, inputs: Tensor, style: str) -> None:
        self._package.reset(self._network)
        if style == "step":
            state: object = None
            for t in range(self._steps):
                state = self._package.step(self._network, inputs[t if len(inputs) > 1 else 0], state)
        elif style == "time":
            self._package.step(self._network, inputs.expand(self._steps, *inputs.shape[1:]).contiguous(), None)
        elif len(inputs) > 1:
            raise InputError("the network makes its time steps itself, so it can only be shown constant input")
        else:
            self._package.step(self._network, inputs[0], None)
        self._package.reset(self._network)

    @torch.inference_mode()
    def _find_style(self, probe: Tensor) -> str:
        reasons = []
        for style in STYLES:
            if (style == "time") > self._takes_time:
                continue
            try:
                if style != "time":
                    with self._watch(self.layers) as seen:
                        self._package.reset(self._network)
                        self._package.step(self._network, probe, None)
                    found = self._steps_of(seen)
                    if (found == 1) != (style == "step"):
                        continue
                    if style == "loop" and found != self._steps:
                        raise InputError(
                            f"{type(self._network).__name__} makes {found} time steps itself; got steps={self._steps}"
                        )
                else:
                    with self._watch(self.layers) as seen:
                        self._call(probe[None], style)
                return style
            except InputError:
                raise
            except Exception as error:  # whatever the user's network raises
                reasons.append(f"as {style}: {type(error).__name__}: {error}")
        raise InputError(
            f"{type(self._network).__name__} could be called neither with images {tuple(probe.shape)} nor with trains "
            f"of them: {'; '.join(reasons) or 'no neuron was reached'}"
        )

    def _steps_of(self, seen: dict[str, tuple[list[Tensor], list[Tensor]]]) -> int:
        counts = {len(currents) for currents, _ in seen.values()} - {0}
        if not counts:
            return 0
        if self._takes_time:
            return len(next(currents for currents, _ in seen.values() if currents)[0])
        return max(counts)

    def _joined(self, name: str, currents: list[Tensor], spikes: list[Tensor]) -> Watched:
        if not spikes:
            raise InputError(f"the network never calls its layer {name}")
        if self._takes_time:
            return Watched(currents[0], spikes[0])
        return Watched(torch.stack(currents), torch.stack(spikes))

    @contextmanager
    def _watch(self, layers: Sequence[str]) -> Iterator[dict[str, tuple[list[Tensor], list[Tensor]]]]:
        seen: dict[str, tuple[list[Tensor], list[Tensor]]] = {name: ([], []) for name in layers}

        def note(name: str) -> Any:
            def hook(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
                seen[name][0].append((args[0] if args else next(iter(kwargs.values()))).detach().clone())
                seen[name][1].append((output[0] if isinstance(output, tuple) else output).detach().clone())

            return hook

        hooks = [self._neurons[name].register_forward_hook(note(name), with_kwargs=True) for name in layers]
        try:
            yield seen
        finally:
            for hook in hooks:
                hook.remove()
