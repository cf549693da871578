"""Reads feed-forward networks from NIR files (Pedersen et al. 2024, doi 10.1038/s41467-024-52259-9).

NIR describes neurons in continuous time; a step of dt is taken by explicit Euler, the synapse before the membrane. With
dt = 1e-4 s, in which snnTorch and SpikingJelly write their own, networks of Leaky(reset_mechanism="zero",
reset_delay=False), Synaptic, IF and LIF nodes come back with their own equations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mango.errors import DataError, InputError, OptionError
from mango.targets.spiking.packages.nir import Cell, fitting

DT = 1e-4  # seconds


def read_nir(path: str | Path, dt: float = DT) -> NirNetwork:
    """The network of a file, to be called once a step.

    Args:
        path: of the file.
        dt: seconds of one step.

    Raises:
        DataError: the file is missing or damaged.
        InputError: the network is recurrent, has several inputs, or a node that mango does not know.
        OptionError: dt is not shorter than a time constant; the package nir is not installed.
    """
    try:
        import nir
    except ImportError as error:
        raise OptionError("NIR files need the package nir: pip install 'mango-neuro[nir]'") from error
    if not Path(path).is_file():
        raise DataError(f"there is no NIR file {path}")
    try:
        graph = nir.read(str(path), type_check=False)
    except Exception as error:  # whatever h5py and nir raise at a damaged file
        raise DataError(f"{path} cannot be read as a NIR file: {type(error).__name__}: {error}") from error
    return NirNetwork(graph.nodes, graph.edges, dt)


class NirNetwork(nn.Module):
    """The nodes of a NIR graph as modules of the same names, a point in a name written as ``_``.

    Args:
        nodes: by name.
        edges: ``(from, to)``; what several nodes give to one is added.
        dt: seconds of one step.

    Attributes:
        stimulus_shape: of one stimulus, as the graph's input says; None where it does not.
    """

    def __init__(self, nodes: Mapping[str, Any], edges: Sequence[tuple[str, str]], dt: float) -> None:
        super().__init__()
        inputs = [name for name, node in nodes.items() if type(node).__name__ == "Input"]
        if len(inputs) != 1:
            raise InputError(f"expected a NIR graph with one input; it has {len(inputs)}")
        self._input, self._plan = inputs[0], list[tuple[str, list[str], list[str]]]()
        shape = next(iter(nodes[self._input].input_type.values()), None)
        self.stimulus_shape = None if shape is None else tuple(int(size) for size in shape)
        for name in _ordered(nodes, edges):
            kind = type(nodes[name]).__name__
            if kind == "Input":
                continue
            if kind not in _MAKERS:
                raise InputError(
                    f"the NIR graph has a node {name!r} of kind {kind}; mango reads feed-forward graphs of "
                    f"{', '.join(sorted(_MAKERS))}"
                )
            place = name.replace(".", "_")
            place = f"{place}_" if hasattr(self, place) else place
            *before, module = _MAKERS[kind](nodes[name], dt)
            for scaling in before:
                self.add_module(f"{place}_input", scaling)
            self.add_module(place, module)
            places = [f"{place}_input" for _ in before] + [place]
            self._plan.append((name, places, [source for source, target in edges if target == name]))

    def forward(self, x: Tensor) -> Tensor:
        """What the last node gives in one step."""
        values = {self._input: x}
        for name, places, sources in self._plan:
            value, *others = (values[source] for source in dict.fromkeys(sources))
            for other in others:
                value = value + other
            for place in places:
                value = self.get_submodule(place)(value)
            values[name] = value
        return values[self._plan[-1][0]]


class Scaling(nn.Module):
    """``gain x + shift``; a number, or one per channel or neuron."""

    gain: Tensor
    shift: Tensor

    def __init__(self, gain: Tensor, shift: Tensor) -> None:
        super().__init__()
        self.register_buffer("gain", gain)
        self.register_buffer("shift", shift)

    def forward(self, x: Tensor) -> Tensor:
        """Of ``(n, ...)``."""
        return fitting(self.gain, x) * x + fitting(self.shift, x)


class Threshold(nn.Module):
    """1 above the threshold, else 0, without a state."""

    threshold: Tensor

    def __init__(self, threshold: Tensor) -> None:
        super().__init__()
        self.register_buffer("threshold", threshold)

    def forward(self, x: Tensor) -> Tensor:
        """Of ``(n, ...)``."""
        return (x > fitting(self.threshold, x)).to(x.dtype)


def _affine(node: Any, dt: float) -> list[nn.Module]:  # noqa: ARG001 (as all of _MAKERS)
    weight = np.asarray(node.weight)
    if weight.ndim != 2:
        raise InputError(f"expected the weight of a NIR {type(node).__name__} node as (out, in); got {weight.shape}")
    bias = getattr(node, "bias", None)
    module = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    return [_with(module, weight, bias)]


def _conv2d(node: Any, dt: float) -> list[nn.Module]:  # noqa: ARG001
    weight, groups = np.asarray(node.weight), int(node.groups)
    padding = node.padding if isinstance(node.padding, str) else _pair(node.padding)
    module = nn.Conv2d(
        weight.shape[1] * groups,
        weight.shape[0],
        (weight.shape[2], weight.shape[3]),
        stride=_pair(node.stride),
        padding=padding,
        dilation=_pair(node.dilation),
        groups=groups,
    )
    return [_with(module, weight, node.bias)]


def _flatten(node: Any, dt: float) -> list[nn.Module]:  # noqa: ARG001
    start, end = (int(axis) + (int(axis) >= 0) for axis in (node.start_dim, node.end_dim))  # NIR has no batch axis
    return [nn.Flatten(start, end)]


def _pool(node: Any, dt: float) -> list[nn.Module]:  # noqa: ARG001
    divisor = 1 if type(node).__name__ == "SumPool2d" else None
    size, stride, padding = _pair(node.kernel_size), _pair(node.stride), _pair(node.padding)
    return [nn.AvgPool2d(size, stride, padding, divisor_override=divisor)]


def _scale(node: Any, dt: float) -> list[nn.Module]:  # noqa: ARG001
    return [Scaling(_reduced(node.scale), torch.tensor(0.0))]


def _threshold(node: Any, dt: float) -> list[nn.Module]:  # noqa: ARG001
    return [Threshold(_reduced(node.threshold))]


def _output(node: Any, dt: float) -> list[nn.Module]:  # noqa: ARG001
    return [nn.Identity()]


def _membrane(node: Any, dt: float) -> list[nn.Module]:
    """I, LI, IF and LIF: what scales their input, and the cell."""
    tau = getattr(node, "tau", None)
    share = dt if tau is None else _share(tau, dt)
    leak = np.asarray(getattr(node, "v_leak", 0.0), np.float64)
    gain, shift = share * np.asarray(node.r, np.float64), (0.0 if tau is None else share) * leak
    cell = Cell(_reduced(1 - (0.0 if tau is None else share)), _reduced(leak), *_spiking(node))
    return [*_scaling(gain, shift), cell]


def _with_synapse(node: Any, dt: float) -> list[nn.Module]:
    """CubaLI and CubaLIF: the weight of the synapse, and the cell."""
    fast, slow = _share(node.tau_syn, dt), _share(node.tau_mem, dt)
    leak = np.asarray(node.v_leak, np.float64)
    gain = slow * np.asarray(node.r, np.float64)
    synapse = 1 - fast, np.ones(()) if np.allclose(gain, 1, rtol=1e-6, atol=0) else gain, slow * leak
    parts = tuple(_reduced(part) for part in synapse)
    cell = Cell(_reduced(1 - slow), _reduced(leak), *_spiking(node), synapse=parts)  # type: ignore[arg-type]
    return [*_scaling(fast * np.asarray(node.w_in, np.float64), np.zeros(())), cell]


_MAKERS: dict[str, Callable[[Any, float], list[nn.Module]]] = {
    "Affine": _affine,
    "AvgPool2d": _pool,
    "Conv2d": _conv2d,
    "CubaLI": _with_synapse,
    "CubaLIF": _with_synapse,
    "Flatten": _flatten,
    "I": _membrane,
    "IF": _membrane,
    "LI": _membrane,
    "LIF": _membrane,
    "Linear": _affine,
    "Output": _output,
    "Scale": _scale,
    "SumPool2d": _pool,
    "Threshold": _threshold,
}


def _scaling(gain: NDArray[np.float64], shift: NDArray[np.float64]) -> list[nn.Module]:
    """What scales the input of a cell; nothing where the file's float32 numbers mean a gain of 1."""
    plain = np.allclose(gain, 1, rtol=1e-6, atol=0) and np.all(shift == 0)
    return [] if plain else [Scaling(_reduced(gain), _reduced(shift))]


def _spiking(node: Any) -> tuple[Tensor | None, Tensor | None]:
    """Threshold and reset potential; None for an integrator."""
    if not hasattr(node, "v_threshold"):
        return None, None
    return _reduced(node.v_threshold), _reduced(node.v_reset)


def _share(tau: Any, dt: float) -> NDArray[np.float64]:
    """How much of the way to its aim a quantity goes in one step, dt / tau."""
    taus = np.asarray(tau, np.float64)
    if not dt > 0 or np.any(taus < dt):
        raise OptionError(f"dt must lie above 0 and not above the shortest time constant {taus.min():g} s; got {dt:g}")
    return dt / taus


def _reduced(values: Any) -> Tensor:
    """As one number where all are equal, as one per channel where they are the same over space."""
    found = np.asarray(values, np.float32)
    if found.size and np.all(found == found.flat[0]):
        return torch.tensor(found.flat[0])
    if found.ndim == 3 and np.all(found == found[:, :1, :1]):
        found = found[:, 0, 0]
    return torch.from_numpy(np.ascontiguousarray(found))


def _with(module: Any, weight: NDArray[Any], bias: Any) -> nn.Module:
    module.weight.data = torch.from_numpy(np.ascontiguousarray(weight, np.float32))
    if bias is not None:
        module.bias.data = torch.from_numpy(np.ascontiguousarray(bias, np.float32))
    return module  # type: ignore[no-any-return]


def _pair(size: Any) -> tuple[int, int]:
    first, second = np.broadcast_to(np.asarray(size), (2,))
    return int(first), int(second)


def _ordered(nodes: Mapping[str, Any], edges: Sequence[tuple[str, str]]) -> list[str]:
    before: dict[str, set[str]] = {name: set() for name in nodes}
    for source, name in edges:
        if source not in nodes or name not in nodes:
            raise InputError(f"the NIR graph has an edge from {source!r} to {name!r}, of which one is no node")
        before[name].add(source)
    try:
        found = list(TopologicalSorter(before).static_order())
    except CycleError as error:
        raise InputError(f"the NIR graph is recurrent, along {' -> '.join(error.args[1])}") from error
    unfed = [name for name in found if not before[name] and type(nodes[name]).__name__ != "Input"]
    if unfed:
        raise InputError(f"nothing in the NIR graph leads to {', '.join(unfed)}")
    return found
