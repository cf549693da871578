"""Benchmark functions of the code itself, negated so that larger is better and 0 the best of the continuous ones.

Sources: Hansen et al. 2009 (BBOB, RR-6829) for the continuous four; Rudolph 1997 for LeadingOnes; QUBO as in Glover,
Kochenberger, Du 2018 (arXiv 1811.11538) with a symmetric matrix of unit-normal entries drawn from seed 0.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mango.errors import InputError, TargetError

Floats = NDArray[np.float64]


class Function:
    """One function of the code; stimuli ``(n, dim)`` are codes."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._function = FUNCTIONS[name]

    def respond(self, stimuli: NDArray[np.floating], seeds: NDArray[np.int64] | None = None) -> Floats:  # noqa: ARG002
        """Values ``(n,)``.

        Raises:
            TargetError: stimuli of another shape, or not binary where the function is.
        """
        x = np.asarray(stimuli, np.float64)
        if x.ndim != 2:
            raise TargetError(f"{self.name} answers codes (n, dim), not stimuli of shape {x.shape}; use identity:...")
        if self.name in ("leadingones", "qubo") and not np.isin(x, (0, 1)).all():
            raise TargetError(f"{self.name} answers binary codes; use identity:grid:{x.shape[1]}:2")
        return self._function(x)


def make_function(name: str, detail: str) -> Function:
    """The function of that name, which takes no further detail."""
    if detail:
        raise InputError(f"{name} takes no units or read-outs; got {detail!r}")
    return Function(name)


def _sphere(x: Floats) -> Floats:
    values: Floats = -np.square(x).sum(1)
    return values


def _ellipsoid(x: Floats) -> Floats:
    weights = 10.0 ** (6 * np.arange(x.shape[1]) / max(x.shape[1] - 1, 1))
    values: Floats = -(np.square(x) * weights).sum(1)
    return values


def _rastrigin(x: Floats) -> Floats:
    values: Floats = -(np.square(x) - 10 * np.cos(2 * np.pi * x) + 10).sum(1)
    return values


def _rosenbrock(x: Floats) -> Floats:
    values: Floats = -(100 * np.square(x[:, 1:] - np.square(x[:, :-1])) + np.square(1 - x[:, :-1])).sum(1)
    return values


def _leading_ones(x: Floats) -> Floats:
    values: Floats = np.cumprod(x, axis=1).sum(1)
    return values


def _qubo(x: Floats) -> Floats:
    drawn = np.random.default_rng(0).standard_normal((x.shape[1],) * 2)
    values: Floats = -np.einsum("ni,ij,nj->n", x, (drawn + drawn.T) / 2, x)
    return values


FUNCTIONS: dict[str, Callable[[Floats], Floats]] = {
    "sphere": _sphere,
    "ellipsoid": _ellipsoid,
    "rastrigin": _rastrigin,
    "rosenbrock": _rosenbrock,
    "leadingones": _leading_ones,
    "qubo": _qubo,
}
