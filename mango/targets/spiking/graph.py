"""A feed-forward spiking network as a graph: what happens to an image within one time step, module by module.

The graph is found by tracing the network symbolically (torch.fx). A network that runs all its steps itself is traced
through all of them; every step must do the same, or the network is recurrent and has no such graph.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn

from mango.targets.spiking.packages import Package
from mango.targets.spiking.tracing import NotAGraph, label, traced, value_of

__all__ = ["IMAGE", "Graph", "Node", "NotAGraph", "trace"]

IMAGE = "image"
_NOT_IN_PLACE: dict[Any, Any] = {  # ``out += identity`` must not write to what others still read
    operator.iadd: operator.add,
    operator.isub: operator.sub,
    operator.imul: operator.mul,
    operator.itruediv: operator.truediv,
}
_PARTS = (operator.setitem, "__setitem__")  # write a part of what they are given
_ZEROS = (torch.zeros, torch.zeros_like, "new_zeros")
_KEEP_VALUES = ("clone", "contiguous", "detach", "detach_", "requires_grad_")
_KEEP_ZERO = (*_KEEP_VALUES, "to", "float")


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
        sized: whether it is another thing that a tensor's size says, such as ``x.shape[:2]``.
    """

    name: str
    inputs: tuple[str, ...]
    call: Callable[..., Any]
    module: nn.Module | None = None
    neuron: bool = False
    counts: bool = False
    sized: bool = False


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
                and value.shape[:2] == (steps, len(images))
                and bool((value == value[:1]).all())
            ):
                found.append(node.name)
            else:
                values[node.name] = value
        if not found:
            raise NotAGraph("its input is not the same at every step")
        return tuple(found)


def trace(network: nn.Module, package: Package, *, trains: bool = False) -> Graph:
    """The graph of one time step.

    Args:
        network: called with images, or with trains of them; further arguments must have defaults.
        package: whose neurons it holds.
        trains: whether it takes ``(steps, n, ...)``.

    Raises:
        NotAGraph: control flow that depends on values, feedback from an earlier step, a neuron that is used twice.
    """
    found, own = traced(network, package)
    try:
        return _Reader(found, own, package, trains).graph()
    except RecursionError as error:
        raise NotAGraph("each of its steps goes on from the one before (recurrence)") from error


class _Reader:
    """Reads nodes backwards from the neurons of each step."""

    def __init__(self, found: fx.Graph, network: nn.Module, package: Package, trains: bool) -> None:
        self._network, self._package = network, package
        self._modules = dict(network.named_modules())
        self._calls: dict[str, list[fx.Node]] = {}  # of each neuron, in the order of the steps
        self._order = {node: place for place, node in enumerate(found.nodes)}
        self._images = [node for node in found.nodes if node.op == "placeholder"][:1]
        for node in found.nodes:
            if node.op == "call_module" and package.is_neuron(self._modules[str(node.target)]):
                self._calls.setdefault(str(node.target), []).append(node)
        self._occurrence = {call: (name, i) for name, calls in self._calls.items() for i, call in enumerate(calls)}
        self._writers: dict[object, list[fx.Node]] = {}  # operations that change something in place, in order
        for node in found.nodes:
            if (written := self._written_by(node)) is not None:
                self._writers.setdefault(written, []).append(node)
        for module in self._modules.values():
            if getattr(module, "inplace", False) is True:
                module.inplace = False  # of the trace's own copy
        self._trains = trains and not any(package.takes_time(self._modules[name]) for name in self._calls)

    def graph(self) -> Graph:
        counts = {name: len(calls) for name, calls in self._calls.items()}
        if not counts:
            raise NotAGraph("none of its neurons is called")
        if len(set(counts.values())) > 1:
            raise NotAGraph(f"its neurons are called differently often in one pass: {counts}")
        steps = next(iter(counts.values()))
        first = self._step(0)
        shape = self._described(first)
        if any(self._described(self._step(step)) != shape for step in range(1, steps)):
            raise NotAGraph("its steps differ, or one uses what an earlier one computed (recurrence)")
        return Graph(tuple(first.values()), steps)

    def _step(self, step: int) -> dict[fx.Node, Node]:
        """The nodes that the step's neurons need."""
        found: dict[fx.Node, Node] = {}
        for calls in self._calls.values():
            self._visit(calls[step], step, found)
        return {node: found[node] for node in sorted(found, key=self._order.__getitem__)}

    def _visit(self, node: fx.Node, step: int, found: dict[fx.Node, Node]) -> str:
        """Adds the node and what it needs; its name."""
        if node in self._images or (self._trains and _is_item(node, step) and node.args[0] in self._images):
            return IMAGE
        if node in found:
            return found[node].name
        source = node.args[0] if node.args else None
        if isinstance(source, fx.Node) and source in self._occurrence and self._gives_state(source):
            if not _is_item(node, 0):
                raise NotAGraph(f"{node.name} uses the state of {self._occurrence[source][0]}")
            return self._visit(source, step, found)  # the spikes of (spikes, membrane)
        found[node] = (
            self._neuron(node, step, found) if node in self._occurrence else self._operation(node, step, found)
        )
        return found[node].name

    def _neuron(self, call: fx.Node, step: int, found: dict[fx.Node, Node]) -> Node:
        name, when = self._occurrence[call]
        if when != step:
            raise NotAGraph(f"{name} feeds a neuron of another step (recurrence)")
        current, *state = [*call.args, *call.kwargs.values()]
        if not isinstance(current, fx.Node):
            raise NotAGraph(f"{name} is not driven by a tensor")
        self._expect_own_state(name, step, [given for given in state if given is not None])
        drive = self._visit(self._seen_by(call, current), step, found)
        return Node(name, (drive,), self._modules[name], self._modules[name], neuron=True)

    def _operation(self, node: fx.Node, step: int, found: dict[fx.Node, Node]) -> Node:
        module = self._modules[str(node.target)] if node.op == "call_module" else None
        if module is not None and any(self._package.is_stateful(inner) for inner in module.modules()):
            raise NotAGraph(f"{node.target} keeps a state of its own")
        sources = list(dict.fromkeys(node.all_input_nodes))
        inputs = tuple(self._visit(self._seen_by(node, source), step, found) for source in sources)
        counts = _is_size(node) and _counts_images(node)
        sized = _is_size(node) and not counts
        return Node(node.name, inputs, _caller(node, sources, self._network), module, counts=counts, sized=sized)

    def _expect_own_state(self, name: str, step: int, given: Sequence[Any]) -> None:
        """A neuron may be given what it returned one step before, from zero on."""
        if not given:
            return
        calls = self._calls[name]
        if len(calls) == 1:
            raise NotAGraph(f"{name} is given its state by each call")
        if step == 0:
            if not all(_is_zero(state, self._network) for state in given):
                raise NotAGraph(f"{name} starts from a state that is not known to be zero")
            return
        kept = [_unchanged(state) for state in given]
        places = [state.args[1] if _is_item(state) and state.args[0] is calls[step - 1] else -1 for state in kept]
        if -1 in places or places != sorted(set(places)):
            raise NotAGraph(f"{name} is given another state than the one that it returned (recurrence)")

    def _seen_by(self, user: fx.Node, source: fx.Node) -> fx.Node:
        """What a source is when its user reads it: itself, or what the last operation before wrote in its place."""
        writers = self._writers.get(_place(source), ())
        before = [writer for writer in writers if self._order[writer] < self._order[user]]
        if source.op == "get_attr" and writers:
            raise NotAGraph(f"{source.target} is written in place")
        if not before:
            return source
        if before[-1].target in _PARTS:
            raise NotAGraph(f"a part of {source.name} is written in place")
        return self._seen_by(user, before[-1])

    def _written_by(self, node: fx.Node) -> object:
        """What an operation changes in place, as `_place` names it; None for most."""
        target, first = node.target, node.args[0] if node.args else None
        method = node.op == "call_method" and str(target).endswith("_")
        inside = node.op == "call_module" and getattr(self._modules[str(target)], "inplace", False) is True
        writes = method or inside or target in _NOT_IN_PLACE or target in _PARTS or node.kwargs.get("inplace") is True
        return _place(first) if writes and isinstance(first, fx.Node) else None

    def _gives_state(self, call: fx.Node) -> bool:
        return self._package.gives_state(self._modules[self._occurrence[call][0]])

    def _described(self, step: dict[fx.Node, Node]) -> list[object]:
        """What a step does, up to the names that fx gave."""
        place: dict[fx.Node, Any] = {node: i for i, node in enumerate(step)}
        place |= {
            node: place[call] for call in step if call in self._occurrence for node in call.users if _is_item(node, 0)
        }
        inputs = {found.name: i for i, found in enumerate(step.values())}
        return [
            (
                found.name if found.neuron else label(node, place, self._network),
                [inputs.get(i, -1) for i in found.inputs],
            )
            for node, found in step.items()
        ]


def _caller(node: fx.Node, sources: Sequence[fx.Node], network: nn.Module) -> Callable[..., Any]:
    """The node's operation as a function of its sources' tensors, none of which it changes."""
    target: Any = _NOT_IN_PLACE.get(node.target, node.target)
    if node.op == "call_method" and str(target).endswith("_") and hasattr(Tensor, str(target)[:-1]):
        target = str(target)[:-1]
    if target == "view" and not any(isinstance(a, torch.dtype) for a in node.args):
        target = "reshape"  # the same, also where a step lies in memory otherwise than in the network's own loop
    named = {**node.kwargs, "inplace": False} if "inplace" in node.kwargs else node.kwargs

    def call(*tensors: Any) -> Any:
        values = dict(zip(sources, tensors, strict=True))
        args: Any = fx.node.map_arg(node.args, values.__getitem__)
        kwargs: Any = fx.node.map_arg(named, values.__getitem__)
        if node.op == "call_module":
            return network.get_submodule(target)(*args, **kwargs)
        if node.op == "call_function":
            return target(*args, **kwargs)
        if node.op == "call_method":
            return getattr(args[0], target)(*args[1:], **kwargs)
        if node.op == "get_attr":
            return value_of(network, target)
        raise NotAGraph(f"its trace has an operation {node.op}")

    return call


def _place(node: fx.Node) -> object:
    """The same for all nodes that read one attribute."""
    return ("get_attr", node.target) if node.op == "get_attr" else node


def _is_size(node: fx.Node) -> bool:
    """Whether the node is a size of a tensor, or part of one."""
    if node.target in ("size", "numel") or (node.target is getattr and node.args[1] == "shape"):
        return True
    return node.target is operator.getitem and isinstance(node.args[0], fx.Node) and _is_size(node.args[0])


def _counts_images(node: fx.Node) -> bool:
    if node.op == "call_method":
        return bool(node.args[1:] == (0,))
    source = node.args[0]
    return _is_item(node, 0) and isinstance(source, fx.Node) and source.target is not operator.getitem


def _is_item(node: Any, place: int | None = None) -> bool:
    """Whether the node is ``something[place]``; of any place where none is named."""
    item = isinstance(node, fx.Node) and node.target is operator.getitem and isinstance(node.args[1], int)
    return item and (place is None or node.args[1] == place)


def _is_zero(state: Any, network: nn.Module) -> bool:
    """Whether a state is zero for sure."""
    if not isinstance(state, fx.Node):
        return bool(state == 0)
    if state.op == "get_attr":
        value = value_of(network, str(state.target))
        return isinstance(value, Tensor) and not bool(value.any())
    if state.target in _ZEROS:
        return True
    return state.target in _KEEP_ZERO and _is_zero(state.args[0], network)


def _unchanged(state: Any) -> Any:
    """What a state is a copy of."""
    return _unchanged(state.args[0]) if isinstance(state, fx.Node) and state.target in _KEEP_VALUES else state
