"""Spherical CMA-ES: a search over directions, with an angular step that falls by a schedule.

Wang and Ponce (2022), "High-performance Evolutionary Algorithms for Online Neuron Control", GECCO, arXiv 2204.06765,
with the authors' settings: a generation has 40 answers; the better half, weighted by ln(mu + 1/2) - ln(rank), mu their
number, is averaged and brought back to the sphere; the center moves along the great circle 1.5 times as far as that;
samples lie around it at an angle that falls exponentially from 50 to 7.33 degrees over 75 generations. Despite the name
no covariance is learnt.

A code with a unit-normal prior lies near the sphere of radius sqrt(dim), which is searched. A sample is a Gaussian
vector in the tangent space at the center, its length about the angle, carried along the great circle. The schedule is
stretched to the budget: the angle follows the share of trials told, lost ones included; without a budget 3,000 trials
are assumed.

Ours:

* **Bounds.** A point of the sphere may exceed a bound on some axes. Those are set to their bounds and the others scaled
  up so that the norm stays, until none exceeds. The point so moved is what is asked and learned. It exists where every
  bound is at least 1 away from 0; other boxes are refused.
* **Generations** close as `mango.optimizers.generation` says. The way of an answer to the last center is measured from
  the middle between that center and the present one. Equal answers share their weights; a generation of equal answers
  moves nothing.
* **Foreign points** that beat everything seen: before the first generation such a point becomes the center; later it
  joins one generation.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from mango.errors import InputError, OptionError
from mango.optimizers.base import Floats, Ids, Learned, Optimizer, State, merit, ranking
from mango.optimizers.generation import Generation, shared_weights
from mango.space import Codes, SearchSpace

FIRST_ANGLE, LAST_ANGLE = 50.0, 7.33  # degrees
STRIDE = 1.5  # of the way to the mean direction
BUDGET = 3000  # 75 generations of 40, where none is known


class SphereCMA(Optimizer):
    """Search over the directions of a unit-normal space at the radius sqrt(dim).

    Options: ``popsize``, answers of a generation (40).

    Raises:
        InputError: a space without a radius, or a box that does not hold the sphere.
        OptionError: a population below 2.
    """

    OPTIONS: ClassVar[Mapping[str, Any]] = {"popsize": 40}
    SUMMARY: ClassVar[str] = (
        "directions at fixed norm, falling angle (Wang & Ponce 2022); unit-normal priors and charts"
    )

    def __init__(self, space: SearchSpace, **settings: Any) -> None:
        super().__init__(space, **settings)
        domain = self.domain
        if not domain.is_box or domain.prior != "normal":
            kind = "a uniform prior" if domain.is_box else "grid points or labels"
            raise InputError(
                f"cma-sphere needs a unit-normal prior, whose codes lie near a sphere; this space has {kind}: "
                "give it a chart, such as chart='frequencies:64'"
            )
        if domain.dim < 2:
            raise InputError("cma-sphere needs at least 2 axes: a sphere in 1 axis is two points")
        if (domain.lower > -1).any() or (domain.upper < 1).any():
            raise InputError(
                "cma-sphere needs bounds of -1 or less and 1 or more on every axis to hold the sphere of radius "
                f"sqrt(dim); got {domain.lower.max():g} to {domain.upper.min():g}"
            )
        popsize = self.options["popsize"]
        if isinstance(popsize, bool) or not isinstance(popsize, int) or popsize < 2:
            raise OptionError(f"popsize must be a whole number >= 2; got {popsize!r}")
        self._popsize = popsize
        self._radius = math.sqrt(domain.dim)
        self._generation = Generation(domain.dim)
        self._center = np.zeros(domain.dim)  # zero until the first generation: any direction
        self._peak = (-math.inf, -math.inf)  # best value and key seen
        self._guest: tuple[Floats, float, float] | None = None  # a foreign point to include: point, value, key
        self._record()

    @property
    def angle(self) -> float:
        """Of the samples around the center, in degrees; falls as trials are told."""
        steps = (self.budget or BUDGET) - self._popsize
        progress = min(1.0, len(self._told) / steps) if steps > 0 else 0.0
        return float(FIRST_ANGLE * (LAST_ANGLE / FIRST_ANGLE) ** progress)

    def _propose(self, ids: Ids) -> tuple[Codes, list[str]]:
        drawn = self.rng.standard_normal((len(ids), self.domain.dim))
        if self._center.any():
            center = self._center / self._radius
            drawn = drawn - np.outer(drawn @ center, center)
            scale = math.radians(self._angle) / math.sqrt(self.domain.dim - 1)
            drawn = _carried(center, scale * drawn)
        return self._on_sphere(drawn), ["sphere"] * len(ids)

    def _learn(self, batch: Learned) -> None:
        taken = self._generation.add(batch)
        self._peak = max([self._peak, *map(merit, taken.values.tolist(), taken.keys.tolist())])
        self._overdue()
        if self._generation.complete(self._popsize, self._awaited):
            self._close()

    def _observe(self, batch: Learned) -> None:
        first = ranking(batch.values, batch.keys)[0]
        value, key = float(batch.values[first]), float(batch.keys[first])
        point = batch.points[first]
        if math.isnan(value) or merit(value, key) <= self._peak or not point.any():
            return
        self._peak = merit(value, key)
        point = self._on_sphere(point[None])[0]
        if self._center.any():
            self._guest = (point, value, key)
        else:
            self._center = point
            self._record()

    def _close(self) -> None:
        ids, points, values, keys, _ = self._generation.close()
        bases = (self._generation.origins(ids)[0] + self._center) / 2
        if self._guest is not None:
            point, value, key = self._guest
            points, bases = np.concatenate([points, point[None]]), np.concatenate([bases, self._center[None]])
            values, keys = np.append(values, value), np.append(keys, key)
            self._guest = None
        better = len(values) // 2
        by_rank = np.zeros(len(values))
        by_rank[:better] = math.log(better + 0.5) - np.log(np.arange(1, better + 1))
        weights = shared_weights(values, keys, by_rank / by_rank.sum())
        if weights is not None:
            mean, base = _unit(weights @ points), _unit(weights @ bases)
            center = _unit(self._center)
            if not base.any() or not center.any():
                center = mean
            else:
                way = mean - (mean @ base) * base  # along the great circle from the base to the mean
                turn = math.atan2(float(np.linalg.norm(way)), float(mean @ base))
                way = _unit(way - (way @ center) * center)
                center = _carried(center, STRIDE * turn * way[None])[0]
            self._center = self._on_sphere(center[None])[0]
        self._record()

    def _record(self) -> None:
        """Notes the distribution that trials are drawn from, from now on."""
        self._angle = self.angle
        self._generation.drawn_from(self._next, self._center, self._angle)

    def _on_sphere(self, points: Floats) -> Floats:
        """Points ``(n, dim)`` of that direction at the radius; see the bounds above."""
        domain = self.domain
        scaled: Floats = points * (self._radius / np.linalg.norm(points, axis=1, keepdims=True))
        for point in scaled:
            fixed = np.zeros(domain.dim, np.bool_)
            while ((point < domain.lower) | (point > domain.upper)).any():
                fixed |= (point <= domain.lower) | (point >= domain.upper)
                point[fixed] = np.clip(point[fixed], domain.lower[fixed], domain.upper[fixed])
                left = math.sqrt(max(0.0, domain.dim - float(np.square(point[fixed]).sum())))
                rest = float(np.linalg.norm(point[~fixed]))
                if rest > 0:
                    point[~fixed] *= left / rest
                else:
                    point[~fixed] = left / math.sqrt(max(1, int((~fixed).sum())))
        return scaled

    def _state(self) -> State:
        state: State = {"center": self._center, "angle": self._angle, "peak": np.array(self._peak)}
        if self._guest is not None:
            state |= {"guest_point": self._guest[0], "guest_merit": np.array(self._guest[1:])}
        return state | {f"generation_{name}": part for name, part in self._generation.state().items()}

    def _restore(self, state: State) -> None:
        self._center, self._angle = state["center"], float(state["angle"])
        self._peak = (float(state["peak"][0]), float(state["peak"][1]))
        self._guest = None
        if "guest_point" in state:
            value, key = (float(part) for part in state["guest_merit"])
            self._guest = (state["guest_point"], value, key)
        prefix = "generation_"
        self._generation.restore({k.removeprefix(prefix): part for k, part in state.items() if k.startswith(prefix)})


def _unit(vector: Floats) -> Floats:
    """The direction ``(dim,)``; zero stays zero."""
    length = float(np.linalg.norm(vector))
    direction: Floats = vector / length if length > 1e-12 else np.zeros_like(vector)
    return direction


def _carried(center: Floats, tangents: Floats) -> Floats:
    """Unit vectors ``(n, dim)`` reached from a unit ``center`` along great circles by ``tangents``, in radians."""
    angles = np.linalg.norm(tangents, axis=1, keepdims=True)
    arrived: Floats = np.cos(angles) * center + np.sinc(angles / np.pi) * tangents
    return arrived
