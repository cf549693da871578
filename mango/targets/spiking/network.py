"""A user's spiking network, ready to be evaluated fast: traced, checked against its own loop, and fed with images."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from mango.errors import OptionError, TargetError, UnknownName
from mango.targets.spiking import encoders
from mango.targets.spiking.engine import Engine
from mango.targets.spiking.graph import Graph, NotAGraph, trace
from mango.targets.spiking.loop import OwnLoop, Watched
from mango.targets.spiking.packages import package_of
from mango.targets.spiking.preprocess import Preprocess
from mango.targets.spiking.readouts import Activity

PROBES = 4  # images in the check at load
Index = tuple[int | None, ...]


@dataclass(frozen=True)
class Check:
    """How the fast evaluation compared with the network's own loop on probe images, over all layers.

    Attributes:
        flipped: spikes that differ.
        spikes: compared.
        currents_equal: whether every input current is equal to the last bit.
    """

    flipped: int
    spikes: int
    currents_equal: bool

    @property
    def per_million(self) -> float:
        """Flipped spikes per million."""
        return 1e6 * self.flipped / max(1, self.spikes)


class SpikingNetwork:
    """A feed-forward spiking network of snnTorch, SpikingJelly or Norse, as it is.

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
        device: where the network runs.

    Attributes:
        layers: name of a neuron layer, as in ``named_modules`` -> shape for one image, ``(channels, height, width)`` or
            ``(features,)``.
        check: what was seen at load; None where the network's own loop serves.

    Raises:
        InputError: no spiking neurons in it, or it cannot be called with such stimuli.
        OptionError: steps < 1.
        UnknownName: no such encoder.
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
    ) -> None:
        if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
            raise OptionError(f"steps must be a whole number >= 1; got {steps!r}")
        if encoder not in encoders.TABLE:
            raise UnknownName("encoder", encoder, encoders.TABLE)
        self.steps, self.stimulus_shape = steps, tuple(stimulus_shape)
        self._encoder, self._preprocess = encoder, preprocess or Preprocess()
        self._device = torch.device(device)
        self._package = package_of(network)
        wrapped = nn.Sequential(network) if self._package.is_neuron(network) else network
        self._network = copy.deepcopy(wrapped).eval().requires_grad_(False).to(self._device)
        self._channels_last = _is_channels_last(self._network)
        with _one_thread():
            probes = self._inputs(_probes(self.stimulus_shape), np.arange(PROBES))
            self._loop = OwnLoop(self._network, self._package, steps, probes[0])
            own = self._loop.run(probes, self._loop.layers)
            self.layers = {name: tuple(watched.currents.shape[2:]) for name, watched in own.items()}
            self._neurons = {
                name: self._package.neuron(self._network.get_submodule(name), shape)
                for name, shape in self.layers.items()
            }
            self._engine: Engine | None = None
            self.check: Check | None = None
            try:
                self._engine, self.check = self._checked(trace(self._network, self._package.is_neuron), probes, own)
            except NotAGraph as reason:
                warnings.warn(
                    f"{type(network).__name__} is evaluated by its own loop over the steps, which is slower: {reason}",
                    RuntimeWarning,
                    stacklevel=2,
                )

    @property
    def stochastic(self) -> bool:
        """Whether a stimulus is encoded at random, so that every evaluation needs a seed."""
        return self._encoder in encoders.STOCHASTIC

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
        with _one_thread():
            activity = self._activity(self._inputs(self._stimuli(stimuli), seeds), layer, index)
            answers = [activity.read(readout) for readout in readouts]
        if self._neurons[layer].alike:
            return answers
        return [np.ascontiguousarray(answer[(slice(None), *_place(index))]) for answer in answers]

    def _activity(self, inputs: Tensor, layer: str, index: Index) -> Activity:
        """Of the neurons of interest where the layer's are alike, for each follows its own current; else of all."""
        neuron, place = self._neurons[layer], _place(index)
        if self._engine is None:
            watched = self._loop.run(inputs, (layer,))[layer]
            currents, spikes = watched.currents, watched.spikes
            if neuron.alike:
                currents, spikes = (values[(slice(None), slice(None), *place)] for values in (currents, spikes))
            return Activity(neuron, currents, self.steps, known=spikes)
        if neuron.alike and index and index[0] is not None:
            currents = self._engine.current_of(inputs, layer, index[0])[(slice(None), slice(None), 0, *place[1:])]
        else:
            currents = self._engine.currents(inputs, layer)
            currents = currents[(slice(None), slice(None), *place)] if neuron.alike else currents
        return Activity(neuron, currents, self.steps, packed=self._engine.kernels)

    def _stimuli(self, stimuli: NDArray[np.float32]) -> Tensor:
        images = np.array(stimuli, np.float32)
        if images.shape[1:] != self.stimulus_shape:
            wanted = ", ".join(map(str, self.stimulus_shape))
            raise TargetError(f"the network is shown stimuli (n, {wanted}) in [0, 1]; got shape {images.shape}")
        return torch.from_numpy(images)

    def _inputs(self, images: Tensor, seeds: encoders.Seeds) -> Tensor:
        """What the network sees, ``(steps or 1, n, ...)``."""
        prepared = self._preprocess(images.to(self._device))
        inputs = encoders.TABLE[self._encoder](prepared, self.steps, seeds)
        if inputs.dim() == 5:
            layout = torch.channels_last if self._channels_last else torch.contiguous_format
            inputs = inputs.flatten(0, 1).contiguous(memory_format=layout).view(inputs.shape)
        return inputs

    def _checked(self, graph: Graph, probes: Tensor, own: dict[str, Watched]) -> tuple[Engine, Check]:
        """The fastest evaluation that gives the currents of the network's own loop to the last bit, or its spikes."""
        takes_time = self._package.takes_time(self._network)
        if graph.steps not in (1, self.steps):
            raise NotAGraph(f"its trace makes {graph.steps} steps, not {self.steps}")
        missing = [name for name in self._loop.layers if name not in {node.name for node in graph.nodes}]
        if missing:
            raise NotAGraph(f"its trace does not reach {', '.join(missing)}")
        repeats = graph.repeats(probes[0], self.steps) if takes_time and self._loop.style == "loop" else ()
        check = Check(0, 0, currents_equal=False)
        for kernels in (True, False) if self._device.type == "cpu" else (False,):
            engine = Engine(
                graph,
                self._neurons,
                self.steps,
                time_axis=takes_time,
                repeats=repeats,
                kernels=kernels,
                channels_last=self._channels_last,
                probes=probes,
            )
            check = self._compared(engine, probes, own)
            if check.currents_equal or (not kernels and not check.flipped):
                return engine, check
        raise NotAGraph(f"{check.per_million:.3g} spikes per million differ on probe images")

    def _compared(self, engine: Engine, probes: Tensor, own: dict[str, Watched]) -> Check:
        flipped, spikes, equal = 0, 0, True
        for name, watched in own.items():
            try:
                currents = engine.currents(probes, name)
                found = Activity(self._neurons[name], currents, self.steps, packed=engine.kernels).spikes
                equal &= bool((currents == watched.currents).all())
                flipped += int((found != watched.spikes).sum())
            except Exception as error:  # an operation of the user's network that does not take many steps at once
                raise NotAGraph(
                    f"{name} cannot be evaluated over all steps: {type(error).__name__}: {error}"
                ) from error
            spikes += found.numel()
        return Check(flipped, spikes, equal)


def _is_channels_last(network: nn.Module) -> bool:
    """Whether a convolution's weights lie in memory with the channels last."""
    weights = [m.weight for m in network.modules() if isinstance(m, nn.Conv2d) and 1 not in m.weight.shape[1:]]
    last = torch.channels_last
    return any(w.is_contiguous(memory_format=last) and not w.is_contiguous() for w in weights)


def _place(index: Index) -> tuple[int | slice, ...]:
    return tuple(slice(None) if i is None else i for i in index)


def _probes(shape: Sequence[int]) -> Tensor:
    """Noise, fine and coarse, and a uniform stimulus, in whole multiples of 1/255."""
    generator = torch.Generator().manual_seed(0)
    images = torch.rand((PROBES, *shape), generator=generator)
    if len(shape) == 3:
        coarse = torch.rand((1, shape[0], 4, 4), generator=generator)
        images[1] = F.interpolate(coarse, tuple(shape[1:]), mode="bilinear")[0]
    images[2] = 0.5
    return (images * 255).round() / 255


@contextmanager
def _one_thread() -> Iterator[None]:
    """Within it torch uses one thread: spikes must not depend on the number of cores."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
