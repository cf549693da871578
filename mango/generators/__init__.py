"""Generators turn codes into stimuli: the table of names, the protocol, and `make_generator`.

A new generator is one module and one line of ``TABLE``; modules load when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mango.plugins import build_from_factory
from mango.space import Codes, SearchSpace

TABLE: dict[str, tuple[str, str]] = {
    "vqvae-cifar10": ("vqvae:VQVAEGenerator", "8 x 8 code-book labels decoded by a VQ-VAE of CIFAR-10"),
    "sngan-cifar10": (
        "sngan:make_sngan",
        "128 unit-normal axes, drawn by an SN-GAN of CIFAR-10; sngan-cifar10:BOUND truncates them",
    ),
    "dgn-cifar10": ("dgn:DGNGenerator", "384 features of a layer of vgg-cifar10, inverted by a deep generator network"),
    "pixels": ("pixels:Pixels", "the 3 x 32 x 32 pixels themselves"),
    "series": ("series:make_series", "series, N points: series:identity:N, series:smoothed:N, series:bandlimited:N:K"),
    "identity": ("identity:make_identity", "the code itself: identity:box:DIM, identity:grid:DIM:LEVELS"),
}

DETAILED = ("sngan-cifar10", "series", "identity")  # whose names say more after a colon


class Generator(Protocol):
    """Decodes codes of its space to stimuli.

    Optional methods: ``encode(stimuli) -> codes``, ``natural(n, rng) -> codes`` of natural stimuli (and
    ``natural_count``, how many it has at most), ``log_prior(codes) -> (n,)`` in nats (where there is no likelihood,
    another score that grows with how natural the codes' stimuli are), ``sample_prior(n, rng) -> codes`` drawn from that
    distribution. Optional beside a log prior: ``log_prior_quantiles``, ``(q,)`` ascending, of the log prior among test
    codes at equally spaced shares from 0 to 1, by which `mango.naturalness` tells percentile and naturalness; without
    them the log priors of natural codes serve.
    """

    @property
    def space(self) -> SearchSpace:
        """Of the codes."""
        ...

    @property
    def stimulus_shape(self) -> tuple[int, ...]:
        """Of one stimulus; ``(channels, height, width)`` for images."""
        ...

    def decode(self, codes: Codes) -> NDArray[Any]:
        """Stimuli ``(n, *stimulus_shape)``; images are float32 in [0, 1], whole multiples of 1/255."""
        ...


def natural_codes(generator: Any, n: int, rng: np.random.Generator) -> Codes:
    """Natural codes of a generator that has them: ``n``, or as many as there are.

    Args:
        generator: with ``natural``.
        n: at most so many.
        rng: that draws them.
    """
    codes: Codes = generator.natural(min(n, getattr(generator, "natural_count", n)), rng)
    return codes


def make_generator(name: str) -> Generator:
    """The generator of that name, with its trained weights, or a user's own ``module:factory``.

    Raises:
        UnknownName: no such generator; the message suggests the nearest.
    """
    family, _, detail = name.partition(":")
    if family not in TABLE or (detail and family not in DETAILED):
        built: Generator = build_from_factory("generator", name, "decode", TABLE)
        return built
    module, _, factory = TABLE[family][0].partition(":")
    make = getattr(import_module(f"mango.generators.{module}"), factory)
    made: Generator = make(detail) if family in DETAILED else make()
    return made
