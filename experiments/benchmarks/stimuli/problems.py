"""What a search sees of a unit: the space of codes, and noisy values; and what it never sees, the noise-free ones."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.benchmarks.stimuli.units import Unit
from mango import make_generator, make_target
from mango.charts import Chart, make_chart
from mango.space import Codes, SearchSpace

GENERATOR = "vqvae-cifar10"
ADVERSARIAL = "sngan-cifar10"
NATURAL = 1_000  # natural codes that a method of the third class is given
NATURE_SEED = 0  # of their draw: the same for every run
CHUNK = 40  # codes that are decoded and shown together
SPIKES = 10.0  # expected at the natural maximum, under Poisson noise
NOISES: dict[str, float] = {"none": 0.0, "poisson": SPIKES, "gain-0.2": 0.2, "gain-0.5": 0.5}

Floats = NDArray[np.float64]


class Problem:
    """The stimuli of a generator and one unit.

    Values only are told to methods, never the input currents by which mango orders equal ones: no peer takes them.

    Args:
        unit: that is excited.
        generator: `GENERATOR` or `ADVERSARIAL`.

    Attributes:
        space: of the codes: a code book with embedding and layout, or a box.
    """

    def __init__(self, unit: Unit, generator: str = GENERATOR) -> None:
        self.unit = unit
        self._generator = _generator(generator)
        self._target: Any = make_target(unit.target)
        self.space: SearchSpace = self._generator.space

    @property
    def labels(self) -> SearchSpace:
        """The codes of the code book as bare labels, of which nothing is known."""
        return SearchSpace.codebook(self.space.dim, int(self.space.levels[0]))

    @property
    def steps(self) -> int:
        """Of the network, for one stimulus."""
        return int(self._target.network.steps)

    @property
    def natural(self) -> Codes:
        """Codes ``(NATURAL, dim)`` of natural training images."""
        return natural(NATURAL)

    def values(self, codes: Codes) -> Floats:
        """Noise-free values ``(n,)`` of codes ``(n, dim)``, in spikes per step."""
        parts = [codes[first : first + CHUNK] for first in range(0, len(codes), CHUNK)]
        answers = [self._target.respond(self._generator.decode(part)) for part in parts]
        return np.concatenate([answer[0] if isinstance(answer, tuple) else answer for answer in answers])


@cache
def natural(n: int) -> Codes:
    """Codes ``(n, dim)`` of natural training images, in the order in which they are tried."""
    return _generator().natural(n, np.random.default_rng(NATURE_SEED))  # type: ignore[no-any-return]


def noisy(values: Floats, kind: str, maximum: float, seed: int, first: int) -> Floats:
    """Values ``(n,)`` as they are measured; the noise of a trial follows from the seed and its number alone.

    ``poisson``: counts with `SPIKES` expected at the natural maximum, in the units of the value. ``gain-S``: the value
    times ``max(0, 1 + S N)``, N standard normal.

    Args:
        values: noise-free.
        kind: in `NOISES`.
        maximum: natural, of the unit.
        seed: of the run.
        first: number of the first trial.
    """
    if kind == "none":
        return values
    rngs = [np.random.default_rng((seed, first + row)) for row in range(len(values))]
    if kind == "poisson":
        unit = maximum / SPIKES
        return np.array([unit * rng.poisson(value / unit) for rng, value in zip(rngs, values, strict=True)])
    strength = NOISES[kind]
    return np.array([v * max(0.0, 1 + strength * rng.standard_normal()) for rng, v in zip(rngs, values, strict=True)])


@cache
def chart(name: str) -> Chart:
    """The chart of that name, such as ``"principal:64"``, of the natural codes that every method gets."""
    return make_chart(name, _generator().space, natural(NATURAL))


@cache
def _generator(name: str = GENERATOR) -> Any:
    return make_generator(name)
