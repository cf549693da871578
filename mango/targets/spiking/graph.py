"""A feed-forward spiking network as a graph: what happens to an image within one time step, module by module.

The graph is found by tracing the network symbolically (torch.fx). A network that runs all its steps itself is traced
through all of them; every step must do the same, or the network is recurrent and has no such graph.
"""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, fx, nn

IMAGE = "image"
_NOT_IN_PLACE: dict[Any, Any] = {  # ``out += identity`` must not write to what others still read
    operator.iadd: operator.add,
    operator.isub: operator.sub,
    operator.imul: operator.mul,
    operator.itruediv: operator.truediv,
}


class NotAGraph(Exception):
    """The network cannot be written as a feed-forward graph; the message says why."""


@dataclass(frozen=True)
class Node:
    """One operation.

    Attributes:
        name: unique; of a neuron, its name in ``named_modules``.
        inputs: names of the nodes whose outputs it takes.
        module: what is called, where the operation is a module.
        call: what is called with the inputs' tensors.
        neuron: whether it has a state.
        counts: whether it is the number of images, ``x.size(0)`` or ``x.shape[0]``.
    """

    name: str
    inputs: tuple[str, ...]
    call: Callable[..., Any]
    module: nn.Module | None = None
    neuron: bool = False
    counts: bool = False


@dataclass(frozen=True)
class Graph:
    """Operations in an order in which each comes after its inputs; the image is named ``"image"``.

    Attributes:
        nodes: the operations that some neuron's current needs, and the neurons.
        steps: time steps that one call of the network makes; 1 where it makes one at a time.
    """

    nodes: tuple[Node, ...]
    steps: int

    def up_to(self, layer: str) -> tuple[Node, ...]:
        """The operations that the input current of a neuron needs, in order, without the neuron itself."""
        by_name = {node.name: node for node in self.nodes}
        wanted, queue = set[str](), list(by_name[layer].inputs)
        while queue:
            name = queue.pop()
            if name != IMAGE and name not in wanted:
                wanted.add(name)
                queue += by_name[name].inputs
        return tuple(node for node in self.nodes if node.name in wanted)

    def repeats(self, images: Tensor, steps: int) -> tuple[str, ...]:
        """Operations that turn images ``(n, ...)`` into ``(steps, n, ...)`` with the same in every step.

        Raises:
            NotAGraph: nothing does.
        """
        values, found = {IMAGE: images}, list[str]()
        for node in self.nodes:
            if node.neuron or not values.keys() >= set(node.inputs):
                continue
            value = node.call(*(values[name] for name in node.inputs))
            if (
                isinstance(value, Tensor)
                and value.dim() > 1
                and len(value) == steps
                and bool((value == value[:1]).all())
            ):
                found.append(node.name)
            else:
                values[node.name] = value
        if not found:
            raise NotAGraph("its input is not the same at every step")
        return tuple(found)


def trace(network: nn.Module, is_neuron: Callable[[nn.Module], bool]) -> Graph:
    """The graph of one time step.

    Args:
        network: called with images; further arguments must have defaults.
        is_neuron: which modules have a state.

    Raises:
        NotAGraph: control flow that depends on values, feedback from an earlier step, a neuron that is used twice.
    """
    try:
        traced = _Tracer(is_neuron).trace(network, _defaults(network))
    except Exception as error:  # whatever the user's forward raises when it meets a proxy
        raise NotAGraph(f"its forward cannot be traced ({type(error).__name__}: {error})") from error
    return _Reader(traced, network, is_neuron).graph()


class _Tracer(fx.Tracer):
    """Neurons, torch's own modules and whatever holds no neuron are leaves."""

    def __init__(self, is_neuron: Callable[[nn.Module], bool]) -> None:
        super().__init__()
        self._is_neuron = is_neuron

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:  # noqa: ARG002 (fx's signature)
        if self._is_neuron(m):
            return True
        if isinstance(m, nn.Sequential):
            return False
        return not any(self._is_neuron(inner) for inner in m.modules())


class _Reader:
    """Reads nodes backwards from the neurons of one step."""

    def __init__(self, traced: fx.Graph, network: nn.Module, is_neuron: Callable[[nn.Module], bool]) -> None:
        self._modules = dict(network.named_modules())
        self._network = network
        self._calls: dict[str, list[fx.Node]] = {}  # of each neuron, in the order of the steps
        self._order = {node: place for place, node in enumerate(traced.nodes)}
        self._images = [node for node in traced.nodes if node.op == "placeholder"][:1]
        for node in traced.nodes:
            if node.op == "call_module" and is_neuron(self._modules[str(node.target)]):
                self._calls.setdefault(str(node.target), []).append(node)
        self._occurrence = {call: (name, i) for name, calls in self._calls.items() for i, call in enumerate(calls)}

    def graph(self) -> Graph:
        counts = {name: len(calls) for name, calls in self._calls.items()}
        if not counts:
            raise NotAGraph("it holds no neuron that mango knows")
        if len(set(counts.values())) > 1:
            raise NotAGraph(f"its neurons are called differently often in one pass: {counts}")
        steps = next(iter(counts.values()))
        first = self._step(0)
        if steps > 1 and _shape_of(self._step(1)) != _shape_of(first):
            raise NotAGraph("a step uses what an earlier one computed (recurrence)")
        return Graph(tuple(first), steps)

    def _step(self, step: int) -> list[Node]:
        """The nodes that the step's neurons need."""
        found: dict[fx.Node, Node] = {}
        for calls in self._calls.values():
            self._visit(calls[step], step, found)
        ordered = sorted(found, key=lambda node: self._order[node])
        return [found[node] for node in ordered]

    def _visit(self, node: fx.Node, step: int, found: dict[fx.Node, Node]) -> str:
        """Adds the node and what it needs; its name."""
        if node in self._images:
            return IMAGE
        if node in found:
            return found[node].name
        if _is_first_output(node) and node.args[0] in self._occurrence:  # the spikes of (spikes, membrane)
            return self._visit(node.args[0], step, found)  # type: ignore[arg-type]
        if node in self._occurrence:
            name, when = self._occurrence[node]
            if when != step:
                raise NotAGraph(f"{name} feeds a neuron of another step (recurrence)")
            source = node.args[0] if node.args else next(iter(node.kwargs.values()))
            if not isinstance(source, fx.Node):
                raise NotAGraph(f"{name} is not driven by a tensor")
            drive = self._visit(source, step, found)
            found[node] = Node(name, (drive,), self._modules[name], self._modules[name], neuron=True)
            return name
        sources = list(dict.fromkeys(node.all_input_nodes))
        if any(_is_membrane(source, self._occurrence) for source in sources):
            raise NotAGraph(f"{node.name} uses a membrane potential")
        inputs = tuple(self._visit(source, step, found) for source in sources)
        module = self._modules[str(node.target)] if node.op == "call_module" else None
        call = _caller(node, sources, self._network)
        found[node] = Node(node.name, inputs, call, module, counts=_counts_images(node))
        return found[node].name


def _caller(node: fx.Node, sources: Sequence[fx.Node], network: nn.Module) -> Callable[..., Any]:
    """The node's operation as a function of its sources' tensors."""
    target: Any = _NOT_IN_PLACE.get(node.target, node.target)

    def call(*tensors: Any) -> Any:
        values = dict(zip(sources, tensors, strict=True))
        args: Any = fx.node.map_arg(node.args, values.__getitem__)
        kwargs: Any = fx.node.map_arg(node.kwargs, values.__getitem__)
        if node.op == "call_module":
            return network.get_submodule(target)(*args, **kwargs)
        if node.op == "call_function":
            return target(*args, **kwargs)
        if node.op == "call_method":
            return getattr(args[0], target)(*args[1:], **kwargs)
        if node.op == "get_attr":
            return _attribute(network, target)
        raise NotAGraph(f"its trace has an operation {node.op}")

    return call


def _attribute(network: nn.Module, path: str) -> Any:
    value: Any = network
    for part in path.split("."):
        value = getattr(value, part)
    return value


def _counts_images(node: fx.Node) -> bool:
    if node.op == "call_method" and node.target == "size":
        return bool(node.args[1:] == (0,))
    if not _is_first_output(node) or not isinstance(source := node.args[0], fx.Node):
        return False
    return source.target == "size" or (source.target is getattr and bool(source.args[1] == "shape"))


def _is_first_output(node: fx.Node) -> bool:
    return node.target is operator.getitem and bool(node.args[1] == 0)


def _is_membrane(node: fx.Node, neurons: dict[fx.Node, Any]) -> bool:
    return node.target is operator.getitem and bool(node.args[1] != 0) and node.args[0] in neurons


def _defaults(network: nn.Module) -> dict[str, Any]:
    """The arguments of forward after the first, at their defaults, for a trace with concrete values."""
    parameters = list(inspect.signature(network.forward).parameters.values())[1:]
    named = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    return {p.name: p.default for p in named if p.default is not p.empty}


def _shape_of(nodes: Sequence[Node]) -> list[tuple[str, tuple[int, ...], int]]:
    """What a step does, up to the names that fx gave: which neurons and modules, fed from where."""
    place = {node.name: i for i, node in enumerate(nodes)}
    places = [tuple(place.get(name, -1) for name in node.inputs) for node in nodes]
    labels = [node.name if node.neuron else "" for node in nodes]
    return [(label, inputs, id(node.module)) for label, inputs, node in zip(labels, places, nodes, strict=True)]
