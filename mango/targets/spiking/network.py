"""A user's spiking network, ready to be evaluated fast: traced, checked against its own loop, and fed with images."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from mango.errors import InputError, OptionError, UnknownName
from mango.targets.places import Index, slices
from mango.targets.preprocess import Preprocess, checked_stimuli
from mango.targets.spiking import encoders
from mango.targets.spiking.arithmetic import ROWS, check_precision, device_of, maps, reference
from mango.targets.spiking.copies import copied
from mango.targets.spiking.engine import Engine
from mango.targets.spiking.graph import Graph, NotAGraph, trace
from mango.targets.spiking.loop import OwnLoop, Watched, module_of
from mango.targets.spiking.nir import DT, read_nir
from mango.targets.spiking.packages import package_of
from mango.targets.spiking.readouts import OF_SPIKES, Activity

PROBES = 4  # images in the check at load
ROUNDING = 1e-5  # of a layer's largest current, the most that sums in another order may differ
REORDERED = 100  # flipped spikes per million that sums in another order may cause on a GPU


@dataclass(frozen=True)
class Check:
    """How the fast evaluation compared with the network's own loop on probe images, over all layers.

    Attributes:
        flipped: spikes that differ.
        spikes: compared.
        currents_equal: whether every input current is equal to the last bit.
        deviation: largest difference of two input currents, in parts of the largest current of the layer.
    """

    flipped: int
    spikes: int
    currents_equal: bool
    deviation: float

    @property
    def per_million(self) -> float:
        """Flipped spikes per million."""
        return 1e6 * self.flipped / max(1, self.spikes)


class SpikingNetwork:
    """A feed-forward spiking network of snnTorch, SpikingJelly or Norse, as it is, or of a NIR file.

    The network is copied and put into eval mode. Where it can be written as a graph it is evaluated layer by layer over
    all steps, as soon as that was seen to give the spikes of the network's own loop; otherwise that loop serves, with a
    warning that says why. Every evaluation starts from reset neurons.

    Args:
        network: called once a step with images ``(n, ...)``, once with trains ``(steps, n, ...)``, or once with images
            where it makes the steps itself.
        steps: T.
        stimulus_shape: of one stimulus, before ``preprocess``.
        preprocess: resizing and normalisation.
        encoder: ``"direct"`` (the image at every step), ``"rate"`` (Bernoulli spikes, seeded) or ``"latency"``.
        device: ``"cpu"``, ``"cuda"`` or ``"auto"``, a GPU where there is one.
        precision: of convolutions and matrix products, ``"float32"``, or what flips spikes: ``"tf32"``, ``"bfloat16"``
            or ``"float16"``. Neurons are always in float32.

    Attributes:
        layers: name of a neuron layer, as in ``named_modules`` -> shape for one image, ``(channels, height, width)`` or
            ``(features,)``.
        device: where it runs.
        check: what was seen at load; None where the network's own loop serves.

    Raises:
        InputError: no spiking neurons in it, or it cannot be called with such stimuli.
        OptionError: steps < 1; no such device, or one without the precision; stimuli that preprocess does not take.
        UnknownName: no such encoder or precision.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        steps: int,
        stimulus_shape: Sequence[int] = (3, 32, 32),
        preprocess: Preprocess | None = None,
        encoder: str = "direct",
        device: str | torch.device = "cpu",
        precision: str = "float32",
    ) -> None:
        if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
            raise OptionError(f"steps must be a whole number >= 1; got {steps!r}")
        if encoder not in encoders.TABLE:
            raise UnknownName("encoder", encoder, encoders.TABLE)
        self._options: dict[str, Any] = {
            "steps": steps,
            "stimulus_shape": stimulus_shape,
            "preprocess": preprocess,
            "encoder": encoder,
            "device": device,
            "precision": precision,
        }
        self.steps, self.stimulus_shape = steps, tuple(stimulus_shape)
        self._encoder, self._preprocess = encoder, preprocess or Preprocess()
        self._preprocess.check_shape(self.stimulus_shape)
        self.device, self._precision = device_of(device), precision
        check_precision(precision, self.device)
        self._package = package_of(network)
        wrapped = nn.Sequential(network) if self._package.is_neuron(network) else network
        self._network = copied(wrapped, parameters=True).eval().requires_grad_(False).to(self.device)
        self._package.reset(self._network)
        self._dtype = next((p.dtype for p in self._network.parameters() if p.is_floating_point()), torch.float32)
        self._channels_last = _is_channels_last(self._network)
        with reference(self.device):
            probes = self._inputs(_probes(self.stimulus_shape), np.arange(PROBES))
            self._loop = OwnLoop(self._network, self._package, steps, probes[0])
            if encoder != "direct" and self._loop.style == "loop":
                raise InputError(
                    f"{type(network).__name__} makes its time steps itself and sees the same stimulus at each; "
                    f"encoder={encoder!r} needs a network that is called once a step, or with whole trains"
                )
        attentive = any(isinstance(module, nn.MultiheadAttention) for module in self._network.modules())
        self._stepwise = not (self._loop.takes_time or attentive)  # torch fuses attention, but for rows in groups
        with self._reference():
            own = self._loop.run(probes, self._loop.layers)
            self._loop.check_repeats(own)
            self.layers = {name: tuple(watched.spikes.shape[2:]) for name, watched in own.items()}
            self._driven = {name for name, watched in own.items() if watched.currents.shape == watched.spikes.shape}
            self._neurons = {
                name: self._package.neuron(self._network.get_submodule(module_of(name)), shape)
                for name, shape in self.layers.items()
            }
            apart = all(neuron.alike for neuron in self._neurons.values())  # else a step has matrix products within
            self._least = 1 if apart else ROWS  # images to be evaluated
            self._engine: Engine | None = None
            self.check: Check | None = None
            try:
                graph = trace(self._network, self._package, trains=self._loop.style == "time")
                self._engine, self.check = self._checked(graph, probes, own)
            except NotAGraph as reason:
                if precision != "float32":
                    raise OptionError(
                        f"precision={precision!r} is for networks that are evaluated over all steps at once; "
                        f"{type(network).__name__} is evaluated by its own loop: {reason}"
                    ) from reason
                warnings.warn(
                    f"{type(network).__name__} is evaluated by its own loop over the steps, which is slower: {reason}",
                    RuntimeWarning,
                    stacklevel=2,
                )
        if self.check is not None and self.check.flipped:
            warnings.warn(
                f"{type(network).__name__} on {self.device.type} in {precision}: {self.check.per_million:.3g} spikes "
                "per million differ from its own loop in float32, on probe images",
                RuntimeWarning,
                stacklevel=2,
            )

    @classmethod
    def from_nir(cls, path: str | Path, *, steps: int, dt: float = DT, **options: Any) -> SpikingNetwork:
        """The network of a NIR file, see `mango.targets.spiking.nir`.

        Args:
            path: of the file.
            steps: T.
            dt: seconds of one step, in which the file's time constants are taken; exporters mostly write 1e-4.
            options: as of `SpikingNetwork`; stimuli have by default the shape of the file's input.

        Raises:
            DataError: the file is missing or damaged.
            InputError: a recurrent network, or one with a node that mango does not know.
            OptionError: dt is longer than a time constant; the package nir is not installed.
        """
        network = read_nir(path, dt)
        shape = {} if network.stimulus_shape is None else {"stimulus_shape": network.stimulus_shape}
        return cls(network, steps=steps, **{**shape, **options})

    def __reduce__(self) -> tuple[object, ...]:
        """Traced and checked anew where it arrives, such as in a Ray worker."""
        return partial(SpikingNetwork, **self._options), (self._network,)

    @property
    def stochastic(self) -> bool:
        """Whether a stimulus is encoded at random, so that every evaluation needs a seed."""
        return self._encoder in encoders.STOCHASTIC

    def driven(self, layer: str) -> bool:
        """Whether the input current of each neuron of a layer can be seen, and is not weighted inside the layer."""
        return layer in self._driven

    def check_readout(self, layer: str, readout: str) -> None:
        """Tells whether the neurons of a layer can be read in some way.

        Raises:
            InputError: no.
        """
        neuron = self._neurons[layer]
        if readout in OF_SPIKES and not neuron.spiking:
            raise InputError(f"{layer} gives its potential and no spikes: read it as {layer}@membrane")
        if readout == "current" and not self.driven(layer):
            raise InputError(f"{layer} weights its input inside, where the currents of its neurons cannot be seen")
        if readout == "membrane":
            try:
                neuron.without_reset()
            except NotImplementedError as error:
                raise InputError(
                    f"the potential without reset of {layer} is not known to mango; read its current instead"
                ) from error

    def read(
        self, stimuli: NDArray[np.float32], layer: str, index: Index, readout: str, seeds: encoders.Seeds = None
    ) -> NDArray[np.float64]:
        """A read-out of the neurons that an index picks, ``(n, *picked)``.

        Args:
            stimuli: ``(n, *stimulus_shape)`` in [0, 1].
            layer: in `layers`.
            index: a number per axis of the layer, None for all of an axis; axes that are left out are taken whole.
            readout: in ``readouts.TABLE``.
            seeds: ``(n,)``, for a stochastic encoder.

        Raises:
            TargetError: stimuli of another shape.
            InputError: the neurons cannot be read in this way.
        """
        return self.read_several(stimuli, layer, index, (readout,), seeds)[0]

    @torch.inference_mode()
    def read_several(
        self,
        stimuli: NDArray[np.float32],
        layer: str,
        index: Index,
        readouts: Sequence[str],
        seeds: encoders.Seeds = None,
    ) -> list[NDArray[np.float64]]:
        """As `read`, several read-outs of one evaluation."""
        for readout in readouts:
            self.check_readout(layer, readout)
        images = checked_stimuli(stimuli, self.stimulus_shape)
        with self._reference():
            activity = self._activity(self._inputs(images, seeds, least=self._least), layer, index)
            answers = [activity.read(readout)[: len(images)] for readout in readouts]
        if self._neurons[layer].alike:
            return answers
        return [np.ascontiguousarray(answer[(slice(None), *slices(index))]) for answer in answers]

    @torch.inference_mode()
    def read_layers(
        self, stimuli: NDArray[np.float32], readouts: Sequence[str], seeds: encoders.Seeds = None
    ) -> dict[str, list[NDArray[np.float64]]]:
        """As `read_several` of every layer whole, in one evaluation; for as few images as memory holds at all steps."""
        for layer, readout in product(self.layers, readouts):
            self.check_readout(layer, readout)
        images, answers = checked_stimuli(stimuli, self.stimulus_shape), dict[str, list[NDArray[np.float64]]]()

        def read(layer: str, currents: Tensor, known: Tensor | None = None) -> None:
            packed = self._engine is not None and self._engine.kernels
            activity = Activity(self._neurons[layer], currents, self.steps, packed, known)
            answers[layer] = [activity.read(readout)[: len(images)] for readout in readouts]

        with self._reference():
            inputs = self._inputs(images, seeds, least=self._least)
            if self._engine is None:
                for layer, watched in self._loop.run(inputs, tuple(self.layers)).items():
                    read(layer, watched.currents, watched.spikes)
            else:
                with maps(self.device, self._precision):
                    self._engine.watch(inputs, read)
        return {layer: answers[layer] for layer in self.layers}

    def _activity(self, inputs: Tensor, layer: str, index: Index) -> Activity:
        """Of the neurons of interest where the layer's are alike, for each follows its own current; else of all."""
        neuron, place = self._neurons[layer], slices(index)
        if self._engine is None:
            watched = self._loop.run(inputs, (layer,))[layer]
            currents, spikes = watched.currents, watched.spikes
            if neuron.alike:
                currents, spikes = (values[(slice(None), slice(None), *place)] for values in (currents, spikes))
            return Activity(neuron, currents, self.steps, known=spikes)
        with maps(self.device, self._precision):
            if neuron.alike and index and index[0] is not None:
                currents = self._engine.current_of(inputs, layer, index[0])[(slice(None), slice(None), 0, *place[1:])]
            else:
                currents = self._engine.currents(inputs, layer)
                currents = currents[(slice(None), slice(None), *place)] if neuron.alike else currents
        return Activity(neuron, currents, self.steps, packed=self._engine.kernels)

    def _reference(self) -> AbstractContextManager[None]:
        return reference(self.device, stepwise=self._stepwise)

    def _inputs(self, images: Tensor, seeds: encoders.Seeds, least: int = 1) -> Tensor:
        """What the network sees, ``(steps or 1, n, ...)``; images are repeated until there are so many."""
        prepared = self._preprocess(images.to(self.device))
        inputs = encoders.TABLE[self._encoder](prepared, self.steps, seeds).to(self._dtype)
        if inputs.shape[1] < least:
            inputs = inputs[:, torch.arange(least) % inputs.shape[1]]
        if inputs.dim() == 5:
            layout = torch.channels_last if self._channels_last else torch.contiguous_format
            inputs = inputs.flatten(0, 1).contiguous(memory_format=layout).view(inputs.shape)
        return inputs

    def _checked(self, graph: Graph, probes: Tensor, own: dict[str, Watched]) -> tuple[Engine, Check]:
        """The fastest evaluation that gives the currents of the network's own loop to the last bit, or its spikes."""
        takes_time = self._loop.takes_time
        expected = 1 if takes_time or self._loop.style == "step" else self.steps
        if graph.steps != expected:
            raise NotAGraph(f"its trace calls each neuron {graph.steps} times, not {expected}")
        if set(self._loop.layers) != {node.name for node in graph.nodes if node.neuron}:
            raise NotAGraph("its trace reaches other neurons than its own loop does")
        repeats = graph.repeats(probes[0], self.steps) if takes_time and self._loop.style == "loop" else ()
        reason = NotAGraph()
        plain = self.device.type == "cpu" and self._precision == "float32"
        allowed = 0 if plain else REORDERED if self._precision == "float32" else math.inf
        ways = (True, False) if plain and self._dtype == torch.float32 else (False,)
        for spread, kernels in product((False, True) if takes_time else (False,), ways):
            engine = Engine(
                graph,
                self._neurons,
                self.steps,
                time_axis=takes_time,
                repeats=repeats,
                spread=spread,
                kernels=kernels,
                channels_last=self._channels_last,
                probes=probes,
            )
            try:
                check = self._compared(engine, probes, own)
            except NotAGraph as error:
                reason = error
                continue
            near = check.currents_equal or (not kernels and (check.deviation <= ROUNDING or not plain))
            if near and check.per_million <= allowed:
                return engine, check
            reason = NotAGraph(
                f"{check.per_million:.3g} spikes per million differ on probe images, and currents by "
                f"{check.deviation:.2g} of the largest"
            )
        raise reason

    def _compared(self, engine: Engine, probes: Tensor, own: dict[str, Watched]) -> Check:
        flipped, spikes, equal, deviation, reached = 0, 0, True, 0.0, "the image"

        def compare(layer: str, currents: Tensor) -> None:
            nonlocal flipped, spikes, equal, deviation, reached
            neuron, expected = self._neurons[layer], own[layer].currents
            equal &= bool((currents == expected).all())
            largest = expected.abs().max().clamp_min(torch.finfo(currents.dtype).tiny)
            deviation = max(deviation, float((currents - expected).abs().max() / largest))
            if neuron.spiking:
                found = Activity(neuron, currents, self.steps, packed=engine.kernels).spikes
                flipped += int((found != own[layer].spikes).sum())
                spikes += found.numel()
            reached = layer

        try:
            with maps(self.device, self._precision):
                engine.watch(probes, compare)
        except Exception as error:  # an operation of the user's network that does not take many steps at once
            raise NotAGraph(
                f"what follows {reached} cannot be evaluated over all steps: {type(error).__name__}: {error}"
            ) from error
        return Check(flipped, spikes, equal, deviation)


def _is_channels_last(network: nn.Module) -> bool:
    """Whether a convolution's weights lie in memory with the channels last."""
    weights = [m.weight for m in network.modules() if isinstance(m, nn.Conv2d) and 1 not in m.weight.shape[1:]]
    last = torch.channels_last
    return any(w.is_contiguous(memory_format=last) and not w.is_contiguous() for w in weights)


def _probes(shape: Sequence[int]) -> Tensor:
    """Noise, fine and coarse, and a uniform stimulus, in whole multiples of 1/255."""
    generator = torch.Generator().manual_seed(0)
    images = torch.rand((PROBES, *shape), generator=generator)
    if len(shape) == 3:
        coarse = torch.rand((1, shape[0], 4, 4), generator=generator)
        images[1] = F.interpolate(coarse, tuple(shape[1:]), mode="bilinear")[0]
    images[2] = 0.5
    return (images * 255).round() / 255
