"""Makes targets of networks that a user brings: as an object, or from a factory."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from torch import nn

from mango.errors import InputError, OptionError
from mango.plugins import build_from_factory
from mango.targets import advice
from mango.targets.classifier import OUTPUT, Classifier, ClassifierTarget
from mango.targets.places import parse_place
from mango.targets.spiking.network import SpikingNetwork
from mango.targets.spiking.target import SpikingTarget

OF_TARGET = ("layer", "unit", "readout")


def of_network(
    network: nn.Module | SpikingNetwork | Classifier, options: Mapping[str, Any]
) -> SpikingTarget | ClassifierTarget:
    """A unit of a network.

    Raises:
        OptionError: an option that neither the target nor the network takes; no ``steps``.
        InputError: no spiking network.
    """
    place = {name: value for name, value in options.items() if name in OF_TARGET}
    rest = {name: value for name, value in options.items() if name not in OF_TARGET}
    if isinstance(network, SpikingNetwork | Classifier):
        if rest:
            raise OptionError(f"a {type(network).__name__} has its options already; got {', '.join(rest)}")
        return _unit(network, **place)
    if not isinstance(network, nn.Module):
        raise InputError(f"expected the name of a target or a spiking network (a torch module); got {network!r}")
    known = list(inspect.signature(SpikingNetwork).parameters)[1:]
    unknown = [name for name in rest if name not in known]
    if unknown or "steps" not in rest:
        raise OptionError(
            f"a target of a network takes {', '.join((*OF_TARGET, *known))}, of which steps is needed; "
            f"got {', '.join(options) or 'none'}"
        )
    return SpikingTarget(SpikingNetwork(network, **rest), **place)


@lru_cache(maxsize=1)  # all units of a search are those of one network, which takes a while to load and check
def _network(spec: str, known: tuple[str, ...]) -> SpikingNetwork | Classifier:
    network: SpikingNetwork | Classifier = build_from_factory(
        "network", spec, "read", known, lambda built: advice(built, spec)
    )
    return network


def of_factory(spec: str, place: str, known: Iterable[str]) -> SpikingTarget | ClassifierTarget:
    """A unit, ``LAYER/UNIT@READOUT``, of the `SpikingNetwork` or `Classifier` that ``module:factory`` returns.

    Raises:
        UnknownName: no such module, factory, layer or read-out.
        InputError: the factory returned something else; a unit out of range.
    """
    network = _network(spec, tuple(known))
    classes = network.classes if isinstance(network, Classifier) else ()
    layer, unit, readout = parse_place(place, {OUTPUT: classes}, default="")
    target = _unit(network, layer, unit, **({"readout": readout} if readout else {}))
    target.name = f"{spec}:{target.name}"
    return target


def _unit(network: SpikingNetwork | Classifier, *place: Any, **options: Any) -> SpikingTarget | ClassifierTarget:
    if isinstance(network, Classifier):
        return ClassifierTarget(network, *place, **options)
    return SpikingTarget(network, *place, **options)
