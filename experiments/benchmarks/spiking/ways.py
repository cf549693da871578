"""The ways in which a network is evaluated; each is a function from images ``(n, ...)`` to rates ``(n, outputs)``."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn

from experiments.benchmarks.spiking.networks import Case

Way = Callable[[Tensor], Tensor]
Parts = tuple[Callable[[Tensor], Tensor], Callable[[Tensor, Any], tuple[Tensor, Any]]]
MATRIX = 1536  # side of the matrices that show what the core can do


class NotPossible(Exception):
    """A way that this network has not; the message says why."""


def loop(case: Case) -> Way:
    """The network's own loop over the steps, as everybody writes it."""
    return own_loop(case, case.build())


def own_loop(case: Case, network: nn.Module) -> Way:
    """As `loop`, of a network already built."""
    if case.package == "zoo":  # it makes the steps itself
        return lambda shown: network(shown, case.steps).mean(0)
    if case.package == "norse":
        return _stepped(case, network, (_same, lambda shown, state: network(shown, state)))
    return _stepped(case, network, (_same, lambda shown, state: (_spikes(network(shown)), state)))


def hoisted(case: Case) -> Way:
    """The loop in channels_last, and what lies before the first neuron computed once for all steps."""
    network = case.build().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    once, step = parts(case, network)
    return _stepped(case, network, (lambda shown: once(_channels_last(shown)), step))


def compiled(case: Case) -> Way:
    """As `hoisted`, the step compiled by torch.compile."""
    network = case.build().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    once, step = parts(case, network)
    return _stepped(case, network, (lambda shown: once(_channels_last(shown)), torch.compile(step, dynamic=False)))


def multi_step(case: Case) -> Way:
    """SpikingJelly over all steps at once: the network itself, or the same layers with its LIF.

    SpikingJelly's soft reset decays with the potential and snnTorch's does not, so that the twin of an snnTorch network
    has as much to do, but not the same spikes.
    """
    try:
        from spikingjelly.activation_based import functional
    except ModuleNotFoundError as error:
        raise NotPossible("spikingjelly is not installed") from error
    network = case.build() if case.package == "spikingjelly" else _twin(case)
    functional.set_step_mode(network, "m")

    def rates(shown: Tensor) -> Tensor:
        functional.reset_net(network)
        train = network(shown[None].repeat(case.steps, *[1] * shown.dim()))
        functional.reset_net(network)
        return train.mean(0)

    return rates


def engine(case: Case) -> Way:
    """Mango's engine with torch's operations only."""
    from mango.targets.spiking import network

    class TorchOnly(network.Engine):
        def __init__(self, *graph: Any, **options: Any) -> None:
            super().__init__(*graph, **{**options, "kernels": False})

    with mock.patch.object(network, "Engine", TorchOnly):
        return mango(case)


def mango(case: Case) -> Way:
    """Mango as a user has it, with the kernels that MANGO_KERNELS names."""
    network = target(case)
    last = list(network.layers)[-1]
    return lambda stimuli: torch.from_numpy(network.read(stimuli.numpy(), last, (), "rate"))


def mango_middle(case: Case) -> Way:
    """As `mango`, one channel of a layer in the middle."""
    network = target(case)
    return lambda stimuli: torch.from_numpy(network.read(stimuli.numpy(), case.middle, (0,), "rate"))


def loop_middle(case: Case) -> Way:
    """As `loop`, the spikes of one channel of a layer in the middle noted at every step."""
    network = case.build()
    whole = own_loop(case, network)
    noted: list[Tensor] = []

    def note(_module: nn.Module, _given: Any, output: Any) -> None:
        noted.append(_spikes(output)[:, 0].clone())

    network.get_submodule(case.middle).register_forward_hook(note)

    def rates(shown: Tensor) -> Tensor:
        noted.clear()
        whole(shown)
        return torch.stack(noted).mean(0)

    return rates


def brought(case: Case) -> nn.Module:
    """The network as it is brought to mango."""
    network = case.build()
    return network.to(memory_format=torch.channels_last) if case.channels_last else network  # type: ignore[call-overload]


def target(case: Case) -> Any:
    """The network in mango."""
    from mango.targets.spiking import SpikingNetwork

    return SpikingNetwork(brought(case), steps=case.steps, stimulus_shape=case.shape, preprocess=case.preprocess)


class Dense:
    """The bound of dense arithmetic: what this core multiplies and adds in float32, over the network's operations."""

    def __init__(self, case: Case) -> None:
        self._macs = multiplications(case)
        self._matrix = torch.rand(MATRIX, MATRIX)

    def seconds(self, n: int) -> float:
        """CPU seconds that so many images would take."""
        begin = time.process_time()
        self._matrix @ self._matrix
        return n * self._macs * (time.process_time() - begin) / MATRIX**3


def multiplications(case: Case) -> int:
    """Of an image, in convolutions and linear layers, those before the first neuron counted once."""
    network = case.build()
    once, step = parts(case, network)
    found = [0]

    def count(module: nn.Module, _given: Any, output: Tensor) -> None:
        inputs = module.weight[0].numel()  # type: ignore[index, union-attr]
        found[0] += output.numel() * int(inputs)

    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            module.register_forward_hook(count)
    reset(network, case.package)
    with torch.no_grad():
        current = once(torch.zeros(1, *case.shape))
        before, found[0] = found[0], 0
        step(current, None)
    return before + case.steps * found[0]


def reset(network: nn.Module, package: str) -> None:
    """Every neuron to its state before the first step, by the package's own function."""
    if package == "snntorch":
        from snntorch import utils

        utils.reset(network)
    elif package == "spikingjelly":
        from spikingjelly.activation_based import functional

        functional.reset_net(network)


def parts(case: Case, network: Any) -> Parts:
    """What lies before the first neuron, and the rest of a step: ``(current, state)`` to ``(spikes, state)``."""
    if case.package == "zoo":
        return _zoo_parts(network)
    if hasattr(network, "after"):
        return network.stem, lambda current, state: (network.after(current), state)
    layers = list(network)
    first = next(i for i, layer in enumerate(layers) if not type(layer).__module__.startswith(STATELESS))
    if case.package == "norse":
        rest: Any = type(network)(*layers[first:])
        return nn.Sequential(*layers[:first]), lambda current, state: rest(current, state)
    rest = nn.Sequential(*layers[first:])
    return nn.Sequential(*layers[:first]), lambda current, state: (_spikes(rest(current)), state)


STATELESS = ("torch.nn", "spikingjelly.activation_based.layer")


def _zoo_parts(network: Any) -> Parts:
    from mango.networks.spiking import LAYERS

    neurons = [network.get_submodule(name) for name in LAYERS]

    def step(current: Tensor, state: Any) -> tuple[Tensor, Any]:
        state = [neuron.reset_mem() for neuron in neurons] if state is None else state
        signal, after = current, []
        for i, (neuron, membrane) in enumerate(zip(neurons, state, strict=True)):
            signal, membrane = neuron(signal if i == 0 else network.currents(i + 1, signal), membrane)
            after.append(membrane)
        return signal, after

    return lambda shown: network.currents(1, shown), step


def _twin(case: Case) -> nn.Module:
    """The layers of an snnTorch chain with SpikingJelly's neurons."""
    import snntorch
    from spikingjelly.activation_based import layer, neuron

    network = case.build()
    if case.package == "zoo":
        chain = list(network.children())
    elif isinstance(network, nn.Sequential) and case.package == "snntorch":
        chain = list(network)
    else:
        raise NotPossible("not a chain of snnTorch's layers")
    twins = nn.Sequential()
    for module in chain:
        if not isinstance(module, snntorch.SpikingNeuron):
            twins.append(layer.SeqToANNContainer(module))
        elif type(module) is snntorch.Leaky:
            tau = 1 / (1 - float(module.beta))
            twins.append(neuron.LIFNode(tau=tau, decay_input=False, v_reset=None))
        else:
            raise NotPossible(f"SpikingJelly has no {type(module).__name__}")
    return twins.eval()


def _stepped(case: Case, network: nn.Module, both: Parts) -> Way:
    once, step = both

    def rates(shown: Tensor) -> Tensor:
        reset(network, case.package)
        current, state, total = once(shown), None, torch.zeros(())
        for _ in range(case.steps):
            spikes, state = step(current, state)
            total = total + spikes
        reset(network, case.package)
        return total / case.steps

    return rates


def _spikes(output: Any) -> Tensor:
    spikes: Tensor = output[0] if isinstance(output, tuple) else output
    return spikes


def _same(shown: Tensor) -> Tensor:
    return shown


def _channels_last(shown: Tensor) -> Tensor:
    return shown.contiguous(memory_format=torch.channels_last)
