"""What a network's forward does, as torch.fx sees it when it calls it with symbols instead of numbers."""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import fx, nn

from mango.targets.spiking.copies import copied
from mango.targets.spiking.packages import Package


class NotAGraph(Exception):
    """The network cannot be written as a feed-forward graph; the message says why."""


def traced(network: nn.Module, package: Package) -> tuple[fx.Graph, nn.Module]:
    """A trace of one call, and the copy of the network whose modules it names.

    Modules are opened as far as they can be read: those that hold no neuron need not be.

    Args:
        network: called with images or trains of them; further arguments must have defaults.
        package: whose neurons it holds.

    Raises:
        NotAGraph: its forward cannot be read, or a second call does not do what the first did.
    """
    reason: Exception | None = None
    for opened in (True, False):
        own = copied(network)
        try:
            with _symbolic_sizes():
                first, second = (_Tracer(package, opened).trace(own, _defaults(own)) for _ in range(2))
        except Exception as error:  # whatever the user's forward raises when it meets a symbol
            reason = error
            continue
        if _described(first, own) != _described(second, own):
            raise NotAGraph("a call goes on from what an earlier one left in the network")
        return first, own
    raise NotAGraph(f"its forward cannot be traced ({type(reason).__name__}: {reason})") from reason


def label(node: fx.Node, places: Mapping[fx.Node, Hashable], network: nn.Module) -> Hashable:
    """What a node does, up to the names that fx gave.

    Args:
        node: of a trace.
        places: what stands for each node that it may take.
        network: that was traced.
    """
    arguments = fx.node.map_arg((node.args, node.kwargs), lambda source: repr(places.get(source)))
    target: Hashable = node.target
    if node.op == "get_attr" and str(target).startswith("_tensor_constant"):  # made anew by each call
        value = value_of(network, str(target))
        target = ("constant", str(value.dtype), tuple(value.shape), tuple(value.flatten().tolist()))
    return node.op, target, repr(arguments)


def value_of(network: nn.Module, path: str) -> Any:
    """The attribute that a path such as ``"block.0.weight"`` names."""
    value: Any = network
    for part in path.split("."):
        value = getattr(value, part)
    return value


class _Proxy(fx.Proxy):
    """A symbol into whose parts a forward may write, as ``record[step] = spikes`` does."""

    def __setitem__(self, place: Any, value: Any) -> None:
        self.tracer.create_proxy("call_function", operator.setitem, (self, place, value), {})


class _Tracer(fx.Tracer):
    """Neurons, torch's and the package's modules are leaves; others too where they hold no neuron, unless opened."""

    def __init__(self, package: Package, opened: bool) -> None:
        super().__init__()
        self._package, self._opened = package, opened

    def proxy(self, node: fx.Node) -> fx.Proxy:
        return _Proxy(node, self)

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:  # noqa: ARG002 (fx's signature)
        if self._package.is_neuron(m):
            return True
        if type(m).forward is nn.Sequential.forward:
            return False
        if any(self._package.is_neuron(inner) for inner in m.modules()):
            return False
        library = type(m).__module__.split(".")[0]
        return not self._opened or library in ("torch", "torchvision", self._package.name)


@contextmanager
def _symbolic_sizes() -> Iterator[None]:
    """Within it ``torch.zeros(x.size(0), 10)`` and the like take a symbol in any place; torch itself does in some."""
    originals = {name: getattr(torch, name) for name in ("zeros", "ones", "empty", "full")}
    try:
        for name, function in originals.items():
            setattr(torch, name, _of_symbols(function))
        yield
    finally:
        for name, function in originals.items():
            setattr(torch, name, function)


def _of_symbols(function: Callable[..., Any]) -> Callable[..., Any]:
    def called(*args: Any, **kwargs: Any) -> Any:
        sizes = [size for given in args for size in (given if isinstance(given, (tuple, list)) else (given,))]
        symbol = next((size for size in sizes if isinstance(size, fx.Proxy)), None)
        if symbol is None:
            return function(*args, **kwargs)
        return symbol.tracer.create_proxy("call_function", function, args, kwargs)

    return called


def _defaults(network: nn.Module) -> dict[str, Any]:
    """The arguments of forward after the first, at their defaults, for a trace with concrete values."""
    parameters = list(inspect.signature(network.forward).parameters.values())[1:]
    named = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    return {p.name: p.default for p in named if p.default is not p.empty}


def _described(trace: fx.Graph, network: nn.Module) -> Sequence[Hashable]:
    places: dict[fx.Node, Hashable] = {node: i for i, node in enumerate(trace.nodes)}
    return [label(node, places, network) for node in trace.nodes]
