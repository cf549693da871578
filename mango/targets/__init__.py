"""Targets answer stimuli with values, larger being better: the table of names, the protocol, and `make_target`.

A new target is one module and one line of ``TABLE``; modules load when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mango.errors import OptionError
from mango.plugins import build_from_factory

if TYPE_CHECKING:
    from torch import nn

    from mango.targets.classifier import Classifier
    from mango.targets.spiking import SpikingNetwork

TABLE: dict[str, tuple[str, str]] = {
    "snn-cifar10": ("spiking.cifar10:make_spiking", "a spiking classifier of CIFAR-10: snn-cifar10:LAYER/UNIT@READOUT"),
    "snn-t128-cifar10": ("spiking.cifar10:make_spiking", "one of the published shape, shown images for 128 steps"),
    "snn-resnet-cifar10": ("spiking.cifar10:make_spiking", "a residual one; after=N:LAYER/UNIT, N iterations trained"),
    "resnet18-cifar10": ("cifar10:make_classifier", "a residual classifier of CIFAR-10: NAME:LAYER/UNIT@READOUT"),
    "vgg-cifar10": ("cifar10:make_classifier", "a plain convolutional one, likewise"),
    "vit-cifar10": ("cifar10:make_classifier", "a vision transformer, likewise"),
    "series-trace": ("series:make_series", "a classifier of Trace, 4 classes of 275 points: series-trace:LAYER/UNIT"),
    "series-gunpoint": ("series:make_series", "the same of GunPoint, 150 points: series-gunpoint:output/gun"),
    "simulated": ("simulated:make_simulated", "a target's answer as spikes: simulated:TARGET, simulated:fano=2:TARGET"),
    "sphere": ("functions:make_function", "-sum x^2"),
    "ellipsoid": ("functions:make_function", "-sum 10^(6 i/(d-1)) x_i^2"),
    "rastrigin": ("functions:make_function", "-sum (x^2 - 10 cos 2 pi x + 10)"),
    "rosenbrock": ("functions:make_function", "-sum 100 (x_(i+1) - x_i^2)^2 + (1 - x_i)^2"),
    "leadingones": ("functions:make_function", "length of the leading run of ones of a binary code"),
    "qubo": ("functions:make_function", "-x^T Q x for binary x, Q a fixed random matrix"),
}
SUMMARY = ("natural_maximum", "natural_p999", "natural_median", "silent_share")  # rows of the zoo's tables of responses


class Target(Protocol):
    """Answers stimuli; it needs no gradient.

    Optional: ``record(stimuli) -> (n, units)`` for all units of the layer, ``summary``, a dict of what natural images
    do to it (``natural_maximum natural_p999 natural_median silent_share``), ``natural_source``, which images these
    were; ``stochastic``, True where it needs seeds;
    ``stimulus_shape``, of the stimuli that it takes.
    """

    def respond(
        self, stimuli: NDArray[Any], seeds: NDArray[np.int64] | None = None
    ) -> NDArray[np.float64] | tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Values ``(n,)``, or values and keys that order equal values; seeds ``(n,)`` are for targets with noise."""
        ...


def make_target(spec: str | nn.Module | SpikingNetwork | Classifier, **options: Any) -> Target:
    """The target that a text names, or a unit of a network that is given as an object.

    Args:
        spec: a text such as ``"snn-cifar10:lif2/17@rate"``; a user's own ``"module:factory"``, where the factory
            returns a target, or ``"module:factory:LAYER/UNIT@READOUT"``, where it returns a `SpikingNetwork` or a
            `Classifier`; or one of these; or a spiking network of snnTorch, SpikingJelly or Norse itself.
        options: with a network, ``layer``, ``unit`` and ``readout`` (see `SpikingTarget` and `ClassifierTarget`); with
            a spiking one itself also what `SpikingNetwork` takes: ``steps``, ``stimulus_shape``, ``preprocess``,
            ``encoder``, ``device``, ``precision``. With ``"simulated:..."``, those of
            `mango.targets.simulated.SimulatedNeuron`, which the text may hold as well.

    Raises:
        UnknownName: no such target, layer, unit class or read-out; the message suggests the nearest.
        InputError: a unit out of range; the message says the range. A network that cannot be evaluated.
        OptionError: options with another text, or unknown ones.
    """
    if not isinstance(spec, str):
        from mango.targets.networks import of_network

        return of_network(spec, options)
    family, _, detail = spec.partition(":")
    if options and family != "simulated":
        raise OptionError(f"a target named by a text takes no options; got {', '.join(options)} with {spec!r}")
    if family in TABLE:
        module, _, factory = TABLE[family][0].partition(":")
        made: Target = getattr(import_module(f"mango.targets.{module}"), factory)(family, detail, **options)
        return made
    factory_name, _, place = detail.partition(":")
    if place:
        from mango.targets.networks import of_factory

        return of_factory(f"{family}:{factory_name}", place, TABLE)
    built: Target = build_from_factory("target", spec, "respond", TABLE, lambda built: advice(built, spec))
    return built


def advice(built: Any, spec: str) -> str:
    """What to say to a user whose factory returned a network in place of a target, or the other way round."""
    if hasattr(built, "layers"):
        return f". Name a unit of the network: {spec}:LAYER/UNIT, with a layer of {', '.join(built.layers)}"
    if any(kind.__module__.startswith("torch.nn") for kind in type(built).__mro__):
        return (
            ". Wrap it: mango.SpikingNetwork(network, steps=...), or mango.Classifier(network) where nothing spikes, "
            "and name a unit: module:factory:LAYER/UNIT"
        )
    return f". A target is named without a unit: {spec}" if hasattr(built, "respond") else ""
