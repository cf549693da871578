"""The genetic algorithm of closed-loop experiments, with the settings it is compared by.

Ponce et al. (2019), "Evolving images for visual neurons using a deep generative network ...", Cell 177; settings as in
Wang and Ponce (2022), arXiv 2204.06765: population 40, mutation rate .25, mutation size .75, kT 2, 10 conserved,
parental skew .75. A parent is drawn with probability proportional to

    exp((value - best value) / (kT * standard deviation of the population's values)),

each axis of a child comes from its first parent with the probability `skew`, from its second otherwise, and is then
mutated with the probability `rate`: a continuous axis by a Gaussian step of `size` spreads, mirrored at the bounds; a
grid point or label by another one, uniformly.

Ours: the conserved keep their answers and are not shown again, so that a generation is 30 children. Children are made
from the population as it is when asked, any number of them; a generation closes once `population` less `conserved`
answers are in. The new population is the best of the old ones and these, as many as are conserved, and the best others
of these. Late answers, and foreign points, are simply further individuals; lost ones are none; one that is refined by
repeats takes its newest value. Where all values are equal, keys take their place. The first generation consists of
natural codes where they are given, of draws from the prior otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mango.errors import OptionError
from mango.optimizers.base import Floats, Ids, Learned, Optimizer, State, ranking
from mango.optimizers.bounds import mirrored
from mango.space import Codes, SearchSpace


class Genetic(Optimizer):
    """Soft selection, crossover and mutation of a population, in any space.

    Options: ``population``, ``rate``, ``size``, ``temperature`` (kT), ``conserved`` and ``skew``, as above.

    Raises:
        OptionError: an option out of range.
    """

    OPTIONS: ClassVar[Mapping[str, Any]] = {
        "population": 40,
        "rate": 0.25,
        "size": 0.75,
        "temperature": 2.0,
        "conserved": 10,
        "skew": 0.75,
    }
    SUMMARY: ClassVar[str] = "the genetic algorithm of closed-loop experiments, Wang & Ponce's settings; any space"

    def __init__(self, space: SearchSpace, **settings: Any) -> None:
        super().__init__(space, **settings)
        self._check_options()
        domain = self.domain
        widest = 1.0 if domain.prior == "normal" else math.inf
        self._spread = np.minimum((domain.upper - domain.lower) / math.sqrt(12), widest)
        self._population = Learned.empty(domain.dim, domain.dtype)
        self._waiting = Learned.empty(domain.dim, domain.dtype)

    def _propose(self, ids: Ids) -> tuple[Codes, list[str]]:
        n = len(ids)
        if not len(self._population.points):
            return self._start(n)
        fitness = self._fitness()
        mothers, fathers = (self._population.points[self.rng.choice(len(fitness), n, p=fitness)] for _ in range(2))
        children = np.where(self.rng.random(mothers.shape) < self.options["skew"], mothers, fathers)
        return self._mutated(children), ["child"] * n

    def _learn(self, batch: Learned) -> None:
        measured = ~np.isnan(batch.values)
        self._waiting = self._waiting.joined(batch.only(measured))
        size, conserved = self.options["population"], self.options["conserved"]
        if len(self._waiting.values) < (size - conserved if len(self._population.values) else size):
            return
        both = self._population.joined(self._waiting)
        fresh = np.arange(len(both.values)) >= len(self._population.values)
        order = ranking(both.values, both.keys)
        elite, rest = order[:conserved], order[conserved:]
        kept = np.concatenate([elite, rest[fresh[rest]][: size - len(elite)]])
        self._population = both.only(kept)
        self._waiting = Learned.empty(self.domain.dim, self.domain.dtype)

    def _observe(self, batch: Learned) -> None:
        fresh = np.ones(len(batch.values), np.bool_)
        for group in (self._population, self._waiting):
            for row in np.flatnonzero(~np.isnan(batch.errors) & ~np.isnan(batch.values)):
                same = (group.points == batch.points[row]).all(1)
                group.values[same], group.keys[same] = batch.values[row], batch.keys[row]
                group.errors[same] = batch.errors[row]
                fresh[row] &= not same.any()
        self._learn(batch.only(fresh))

    def _fitness(self) -> Floats:
        """Probability ``(population,)`` of each to become a parent."""
        _, _, values, keys, _ = self._population
        if (values == values[0]).all() and not np.isnan(keys).any():
            values = keys
        temperature = max(self.options["temperature"] * float(values.std()), 1e-8)
        weights = np.exp((values - values.max()) / temperature)
        probabilities: Floats = weights / weights.sum()
        return probabilities

    def _mutated(self, children: NDArray[Any]) -> NDArray[Any]:
        domain = self.domain
        mutate = self.rng.random(children.shape) < self.options["rate"]
        if domain.continuous.any():
            real = domain.continuous
            steps = (
                self.options["size"] * self._spread[real] * self.rng.standard_normal((len(children), int(real.sum())))
            )
            moved = mirrored(children[:, real] + steps, domain.lower[real], domain.upper[real])
            children[:, real] = np.where(mutate[:, real], moved, children[:, real])
        discrete = ~domain.continuous
        if discrete.any():
            levels = domain.levels[discrete]
            shift = self.rng.integers(1, np.maximum(levels, 2), (len(children), len(levels)))
            other = (children[:, discrete].astype(np.int64) + shift) % levels
            children[:, discrete] = np.where(mutate[:, discrete], other, children[:, discrete])
        return children

    def _check_options(self) -> None:
        for name, least in (("population", 2), ("conserved", 0)):
            value = self.options[name]
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise OptionError(f"{name} must be a whole number >= {least}; got {value!r}")
        if self.options["conserved"] >= self.options["population"]:
            raise OptionError(
                f"conserved must be less than the population of {self.options['population']}; "
                f"got {self.options['conserved']}"
            )
        for name, most in (("rate", 1.0), ("size", math.inf), ("temperature", math.inf), ("skew", 1.0)):
            value = self.options[name]
            if (
                isinstance(value, bool)
                or not isinstance(value, (int, float))
                or not 0 <= value <= most
                or value == math.inf
            ):
                raise OptionError(f"{name} must be a number from 0 to {most}; got {value!r}")

    def _state(self) -> State:
        groups = (("population", self._population), ("waiting", self._waiting))
        return {f"{name}_{column}": part for name, group in groups for column, part in group._asdict().items()}

    def _restore(self, state: State) -> None:
        self._population, self._waiting = (
            Learned(*(state[f"{name}_{column}"] for column in Learned._fields)) for name in ("population", "waiting")
        )
