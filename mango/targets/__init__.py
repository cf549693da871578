"""Targets answer stimuli with values, larger being better: the table of names, the protocol, and `make_target`.

A new target is one module and one line of ``TABLE``; modules load when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mango.plugins import build_from_factory

TABLE: dict[str, tuple[str, str]] = {
    "snn-cifar10": ("spiking:make_spiking", "a spiking classifier of CIFAR-10: snn-cifar10:LAYER/UNIT@READOUT"),
    "sphere": ("functions:make_function", "-sum x^2"),
    "ellipsoid": ("functions:make_function", "-sum 10^(6 i/(d-1)) x_i^2"),
    "rastrigin": ("functions:make_function", "-sum (x^2 - 10 cos 2 pi x + 10)"),
    "rosenbrock": ("functions:make_function", "-sum 100 (x_(i+1) - x_i^2)^2 + (1 - x_i)^2"),
    "leadingones": ("functions:make_function", "length of the leading run of ones of a binary code"),
    "qubo": ("functions:make_function", "-x^T Q x for binary x, Q a fixed random matrix"),
}


class Target(Protocol):
    """Answers stimuli; it needs no gradient.

    Optional: ``record(stimuli) -> (n, units)`` for all units of the layer, ``summary``, a dict of what natural images
    do to it (``natural_maximum natural_p999 natural_median silent_share``).
    """

    def respond(
        self, stimuli: NDArray[Any], seeds: NDArray[np.int64] | None = None
    ) -> NDArray[np.float64] | tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Values ``(n,)``, or values and keys that order equal values; seeds ``(n,)`` are for targets with noise."""
        ...


def make_target(spec: str) -> Target:
    """The target that a text such as ``"snn-cifar10:lif2/17@rate"`` names, or a user's own ``module:factory``.

    Raises:
        UnknownName: no such target, layer, unit class or read-out; the message suggests the nearest.
        InputError: a unit out of range; the message says the range.
    """
    family, _, detail = spec.partition(":")
    if family not in TABLE:
        built: Target = build_from_factory("target", spec, "respond", TABLE)
        return built
    module, _, factory = TABLE[family][0].partition(":")
    made: Target = getattr(import_module(f"mango.targets.{module}"), factory)(family, detail)
    return made
