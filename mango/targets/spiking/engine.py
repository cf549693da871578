"""A feed-forward spiking network evaluated layer by layer over all its time steps, with the spikes of its own loop.

A layer needs only the whole spike train of the layer below, so each operation is called once for all steps. What lies
before the first neuron sees the same input at every step and is computed once. Nothing is computed that the layer of
interest does not need.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mango.targets.spiking.affine import affine_of
from mango.targets.spiking.arithmetic import ROWS
from mango.targets.spiking.graph import IMAGE, Graph, Node
from mango.targets.spiking.kernels import Affine, Layer
from mango.targets.spiking.narrow import narrowed
from mango.targets.spiking.packages import Neuron
from mango.targets.spiking.packed import Convolution, Convolved, Packed
from mango.targets.spiking.pooling import is_plain, largest
from mango.targets.spiking.stepping import integrate, over_time
from mango.targets.spiking.table import Table, is_monotone
from mango.targets.spiking.values import Value, leads

ALIGNED = 16  # bytes
TABLED = 2**15  # neurons that take about as long to step as a table of all trains takes to make
MEMORY = {"cpu": 16 * 2**20, "cuda": 2**30}  # bytes of one operation's output over all steps, which split the images


class Engine:
    """Evaluates a graph.

    Args:
        graph: of one time step.
        neurons: by name.
        steps: T.
        time_axis: whether the operations take ``(steps, n, ...)`` rather than ``(n, ...)``.
        repeats: names of operations that repeat the image over the steps, where the network does so itself.
        spread: whether the input is shown at every step, for networks that fold steps and images together themselves.
        kernels: whether spikes are kept packed and convolved event by event, where that gives the same bits.
        channels_last: how the network's own loop lays out images in memory.
        probes: inputs ``(1, n, ...)`` on which a single channel must equal its part of the layer.
    """

    def __init__(
        self,
        graph: Graph,
        neurons: Mapping[str, Neuron],
        steps: int,
        *,
        time_axis: bool = False,
        repeats: Sequence[str] = (),
        spread: bool = False,
        kernels: bool = False,
        channels_last: bool = False,
        probes: Tensor | None = None,
    ) -> None:
        self._neurons, self._steps, self._time_axis, self._repeats = neurons, steps, time_axis, frozenset(repeats)
        self._nodes = graph.nodes
        self._plans = {node.name: graph.up_to(node.name) for node in graph.nodes if node.neuron}
        self._input = {node.name: node.inputs[0] for node in graph.nodes if node.neuron}
        self._spread, self.kernels, self._channels_last = spread, kernels, channels_last
        self._convolutions: dict[Node, Convolution | None] = {}  # None: torch does it
        self._affines: dict[nn.Module, Affine | None] = {}  # of batch norms; None: they compute something else
        self._tables: dict[str, Table] = {}  # of neurons that were driven by constant currents
        self._layers: dict[str, Layer | None] = {}  # of neurons, fired with the convolution before them
        self._narrow: dict[tuple[str, int], tuple[Node, ...] | None] = {}  # by layer and channel; None: all of it
        self._probes = probes
        self._elements = 1  # of the largest output per image and step, as far as seen

    @torch.inference_mode()
    def currents(self, inputs: Tensor, layer: str) -> Tensor:
        """Input currents of a layer, ``(steps, n, ...)``, or ``(1, n, ...)`` where they do not change.

        Args:
            inputs: ``(1, n, ...)`` where the input is the same at every step, else ``(steps, n, ...)``.
            layer: name of a neuron.
        """
        return self._evaluated(inputs, layer, self._plans[layer])

    @torch.inference_mode()
    def watch(self, inputs: Tensor, seen: Callable[[str, Tensor], None]) -> None:
        """Tells the input currents of every layer in one go, one after another.

        Args:
            inputs: as for `currents`; of as few images as memory holds at all steps.
            seen: is told the layer and its currents.
        """
        n = inputs.shape[1]
        values = {IMAGE: self._shown(self._spread_out(inputs))}
        self._run(self._nodes, values, set(), lambda layer, value: seen(layer, value.over_time[:, :n]))

    @torch.inference_mode()
    def current_of(self, inputs: Tensor, layer: str, channel: int) -> Tensor:
        """Input currents of one channel or feature of a layer, ``(steps or 1, n, 1, ...)``.

        The others are not computed where that can be helped.
        """
        key = layer, channel
        if key not in self._narrow:
            self._narrow[key] = self._narrowed(layer, channel)
        plan = self._narrow[key]
        if plan is None:
            return self.currents(inputs, layer)[:, :, channel : channel + 1]
        return self._evaluated(inputs, layer, plan)

    def _narrowed(self, layer: str, channel: int) -> tuple[Node, ...] | None:
        """The operations for one channel alone, where they were seen to give the same bits."""
        full = self._plans[layer]
        plan = narrowed(full, self._input[layer], channel)
        if plan is None or self._probes is None:
            return None
        before, after = next((a, b) for a, b in zip(full, plan, strict=True) if a is not b and is_convolution(a))
        whole = self._convolutions.get(before)
        if whole is None:
            return None
        self._convolutions[after] = whole.only(channel)
        one = self._evaluated(self._probes, layer, plan)
        return plan if torch.equal(one[:, :, 0], self.currents(self._probes, layer)[:, :, channel]) else None

    def _evaluated(self, inputs: Tensor, layer: str, plan: tuple[Node, ...]) -> Tensor:
        n = inputs.shape[1]
        if self._spread or (self._time_axis and any(node.counts or node.sized for node in plan)):
            return self._evaluated_at_once(inputs, layer, plan)
        prefix, rest = _split(plan) if len(inputs) == 1 else ((), plan)
        values = {IMAGE: self._shown(inputs)}
        needed = {name for node in rest for name in node.inputs} | {self._input[layer]}
        self._run(prefix, values, needed)
        if not rest:
            return values[self._input[layer]].over_time[:, :n]
        kept = {name: value for name, value in values.items() if name in needed}
        parts = []
        for begin, end in self._spans(max(n, _least(self._steps)), MEMORY[inputs.device.type], _alignment(rest)):
            some = {name: value.images(begin, end) for name, value in kept.items()}
            self._run(rest, some, {self._input[layer]})
            parts.append(some[self._input[layer]].over_time)
        return (torch.cat(parts, 1) if len(parts) > 1 else parts[0])[:, :n]

    def _evaluated_at_once(self, inputs: Tensor, layer: str, plan: tuple[Node, ...]) -> Tensor:
        """Every operation on all steps of some images; what a size says holds for all of these operations."""
        n, inputs, parts = inputs.shape[1], self._spread_out(inputs), []
        for begin, end in self._spans(max(n, ROWS), MEMORY[inputs.device.type]):
            shown = inputs[:, torch.arange(begin, end, device=inputs.device) % n]
            values = {IMAGE: Value(still=shown[0]) if self._repeats else Value(shown)}
            self._run(plan, values, {self._input[layer]})
            parts.append(values[self._input[layer]].over_time)
        return (torch.cat(parts, 1) if len(parts) > 1 else parts[0])[:, :n]

    def _spread_out(self, inputs: Tensor) -> Tensor:
        return inputs.expand(self._steps, *inputs.shape[1:]) if self._spread and not self._repeats else inputs

    def _shown(self, inputs: Tensor) -> Value:
        """Inputs, with further images where so few would be rounded otherwise."""
        n, least = inputs.shape[1], _least(len(inputs))
        if n < least:
            inputs = inputs[:, torch.arange(least) % n]
        return Value(still=inputs[0]) if self._repeats else Value(inputs)

    def _spans(self, n: int, memory: int, alignment: int = 1) -> list[tuple[int, int]]:
        """Images that are evaluated together: as many as memory allows, and about as many in each part."""
        size = max(2 * _least(self._steps), memory // (4 * self._steps * self._elements))
        parts = -(-n // size)
        bounds = {n * part // parts // alignment * alignment for part in range(parts)} | {n}
        return list(pairwise(sorted(bounds)))

    def _run(
        self,
        nodes: Sequence[Node],
        values: dict[str, Value],
        keep: set[str],
        seen: Callable[[str, Value], None] = lambda layer, value: None,  # noqa: ARG005
    ) -> None:
        """Adds the nodes' outputs, forgets what nobody needs but for those to keep, and tells what drives neurons."""
        last = {name: i for i, node in enumerate(nodes) for name in node.inputs}
        for i, node in enumerate(nodes):
            given = [values[name] for name in node.inputs]
            if node.neuron:
                seen(node.name, given[0])
            values[node.name] = self._fired(node, given[0]) if node.neuron else self._called(node, given)
            for name in set(node.inputs):
                if last[name] == i and name not in keep:
                    del values[name]

    def _called(self, node: Node, given: Sequence[Value]) -> Value:
        """An operation's output over all steps."""
        if self.kernels and isinstance(node.module, nn.Conv2d | nn.Linear) and given[0].packed is not None:
            convolution = self._convolution(node, given[0].packed)
            if convolution is not None:
                convolved = Convolved(given[0].packed, convolution)
                self._elements = max(self._elements, convolved.elements)
                return Value(convolved=convolved)
        if self.kernels and isinstance(node.module, nn.Module):
            value = given[0]
            if value.packed is not None and self._flattens(node.module) and not value.packed.flat:
                return Value(packed=value.packed.flattened())
            if value.packed is not None and (pooled := value.packed.pooled(node.module)) is not None:
                return Value(packed=pooled)
            if value.convolved is not None and (further := self._further(value.convolved, node.module)) is not None:
                return Value(convolved=further)
        steps = max((len(value.tensor) for value in given if value.tensor is not None), default=0)
        if node.counts and not self._time_axis:
            return Value(counts=True)
        if not steps:
            answer = self._answer(node, [value.still for value in given])
            if node.name in self._repeats:
                return Value(answer if self._spread else answer[:1])
            return answer if isinstance(answer, Value) else Value(still=answer)  # a part, see below
        if self._time_axis:
            answer = self._answer(node, [value.expanded(steps) for value in given])
            return Value(answer) if leads(answer, steps) else Value(still=answer)
        if steps > 1 and isinstance(node.module, nn.Linear) and (more := _misaligned(given[0].over_time)):
            features, n = given[0].over_time, given[0].over_time.shape[1]
            padded = Value(F.pad(features, (0, 0) * (features.dim() - 2) + (0, more)))
            return Value(self._called(node, [padded]).over_time[:, :n])
        rows = steps * next(value.tensor.shape[1] for value in given if value.tensor is not None)
        answer = self._answer(node, [value.folded(steps, rows) for value in given])
        if isinstance(answer, tuple) and isinstance(answer[0], Tensor):  # as of chunk: the next operation takes a part
            return Value(still=tuple(self._unfolded(part, steps, rows) for part in answer))
        return self._unfolded(answer, steps, rows)

    def _unfolded(self, answer: Any, steps: int, rows: int) -> Value:
        return self._grown(answer.unflatten(0, (steps, -1))) if leads(answer, rows) else Value(still=answer)

    def _answer(self, node: Node, given: list[Any]) -> Any:
        """What torch makes of it.

        Images are laid out as the own loop has them: packed spikes lie channels last, and torch adds otherwise.
        """
        if isinstance(node.module, nn.MaxPool2d) and is_plain(node.module) and isinstance(given[0], Tensor):
            return largest(given[0], node.module)
        if self.kernels and is_convolution(node):
            layout = torch.channels_last if self._channels_last else torch.contiguous_format
            images = given[0].flatten(0, -4).contiguous(memory_format=layout)
            given = [images.view(given[0].shape) if given[0].dim() > 4 else images]
        return node.call(*given)

    def _grown(self, tensor: Tensor) -> Value:
        self._elements = max(self._elements, tensor[0, 0].numel())
        return Value(tensor)

    def _convolution(self, node: Node, spikes: Packed) -> Convolution | None:
        """The convolution of spikes, found out when it is first needed; None where torch has to do it."""
        if node not in self._convolutions:
            self._convolutions[node] = Convolution.of(node.module, spikes, ROWS, self._channels_last)
        return self._convolutions[node]

    def _flattens(self, module: nn.Module) -> bool:
        """Whether it makes one row of features of each image."""
        first = 2 if self._time_axis and type(module) is nn.Flatten else 1  # SpikingJelly's sees single steps
        return isinstance(module, nn.Flatten) and (module.start_dim, module.end_dim) == (first, -1)

    def _further(self, convolved: Convolved, module: nn.Module) -> Convolved | None:
        """With what follows it, where the kernels do that; None: torch does."""
        if not isinstance(module, nn.BatchNorm2d):
            return convolved.pooled(module)
        if module not in self._affines:
            self._affines[module] = affine_of(module)
        return convolved.normalised(module, self._affines[module])

    def _fired(self, node: Node, given: Value) -> Value:
        """A neuron's spikes, ``(steps, n, ...)``."""
        neuron = self._neurons[node.name]
        if given.convolved is not None and neuron.dynamics is not None:
            if node.name not in self._layers:
                self._layers[node.name] = given.convolved.layer(neuron.dynamics)
            if (layer := self._layers[node.name]) is not None:
                return Value(packed=given.convolved.fired(layer))
        currents = given.over_time
        self._elements = max(self._elements, currents[0, 0].numel())
        if self.kernels and neuron.dynamics is not None and currents.dim() in (3, 5):
            return Value(packed=Packed.of(currents, neuron.dynamics, self._steps))
        if self._tabled(node, currents):
            return Value(self._looked_up(node, currents[0]))
        return Value(integrate(neuron, currents, self._steps))

    def _tabled(self, node: Node, currents: Tensor) -> bool:
        """Whether the spikes are looked up; the kernels step as fast as they would look up."""
        neuron = self._neurons[node.name]
        if len(currents) > 1 or currents.dtype != torch.float32 or not (neuron.alike and is_monotone(neuron.dynamics)):
            return False
        return (node.name in self._tables or currents.numel() >= TABLED) and bool(currents.isfinite().all())

    def _looked_up(self, node: Node, currents: Tensor) -> Tensor:
        """Spikes ``(steps, n, ...)`` of constant currents ``(n, ...)``."""
        if node.name not in self._tables:
            neuron = self._neurons[node.name]
            self._tables[node.name] = Table(lambda few: integrate(neuron, few[None], self._steps), currents.device)
        spikes = over_time(currents, self._steps)
        last = currents.dim() == 4 and currents.is_contiguous(memory_format=torch.channels_last)
        as_stored = (spikes.permute(0, 1, 3, 4, 2), currents.permute(0, 2, 3, 1)) if last else (spikes, currents)
        self._tables[node.name].look_up(as_stored[1].contiguous(), as_stored[0])
        return spikes


def is_convolution(node: Node) -> bool:
    """Whether the node is a convolution over images."""
    return isinstance(node.module, nn.Conv2d)


def _least(steps: int) -> int:
    """Images that make enough rows over so many steps."""
    return -(-ROWS // steps)


def _misaligned(features: Tensor) -> int:
    """Images that are missing until each step begins where memory is aligned, as it is in a loop over the steps.

    Matrix products with few outputs round a row otherwise where it begins at an address that 16 does not divide.
    """
    n, size = features.shape[1], features[0, 0].numel() * features.element_size()
    return next(more for more in range(ALIGNED) if (n + more) * size % ALIGNED == 0)


def _alignment(plan: Sequence[Node]) -> int:
    """In multiples of how many images parts begin, so that their features are aligned as in the whole."""
    odd = any(isinstance(node.module, nn.Linear) and node.module.in_features % 4 for node in plan)
    return ALIGNED // 4 if odd else 1


def _split(plan: Sequence[Node]) -> tuple[list[Node], list[Node]]:
    """Operations before the first neuron, whose outputs do not change over time, and the others."""
    prefix, rest, still = list[Node](), list[Node](), {IMAGE}
    for node in plan:
        if not (node.neuron or node.sized) and still.issuperset(node.inputs):
            still.add(node.name)
            prefix.append(node)
        else:
            rest.append(node)
    return prefix, rest
