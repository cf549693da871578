"""What served best where we measured it, for each kind of space; see experiments/benchmarks/stimuli for the figures.

On continuous axes quasi-Newton ascent where the target turns out to be smooth, then in turn with CMA-ES, which is
diagonal where axes are many and has all of a rough target's budget; where many axes have a unit-normal prior, as those
of an adversarial network have, and the budget allows five evaluations for each, CMA-ES stays on the sphere on which
such codes lie. On grids mutation of the best found. On a code book, uniform codes are looked at first, and few natural
ones, but as soon as answers tell which kind leads that one alone. Then CMA-ES in a chart and mutation of the best
found, which finishes what smooth coordinates cannot express, take turns; mutation alone where nothing but labels is
known, which has no chart. The chart is that of low spatial frequencies; where codes lie on no map, of principal
components of natural codes, where there are enough. (Both charts in turns found no more.) Every answer reaches all of
them. Under noise the incumbent is the code of which most is expected, see `leaders`.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mango.charts import Chart, make_chart
from mango.errors import InputError
from mango.optimizers import uniform
from mango.optimizers.base import Ids, Learned, Optimizer, State, part_of
from mango.optimizers.cma import CMA
from mango.optimizers.cma_sphere import SphereCMA
from mango.optimizers.evolution import Evolution
from mango.optimizers.leaders import Leaders
from mango.optimizers.natural import Natural
from mango.optimizers.quasi_newton import QuasiNewton
from mango.space import Codes, SearchSpace

COORDINATES = 64  # of each chart
MANY = 100  # continuous axes from which on CMA-ES is the diagonal one
TURNS = 5  # evaluations for each axis from which on the fall of a sphere's angle pays
SLOPES = 10  # evaluations for each axis from which on differences are worth their price
PROBES = 32  # first codes of one kind, uniform or natural
RARE = 5  # of codes of both kinds every so many is a natural one, on top
LOOK = 0.25  # share of the budget that they may take
TRIED = 0.4  # share of them after which the kind that found less is dropped
PROBERS: dict[str, type[Optimizer]] = {"uniform": uniform.Uniform, "natural": Natural}


class Auto(Optimizer):
    """Chooses the method and the chart; a chart that the user names is kept. It has no options of its own."""

    SUMMARY: ClassVar[str] = "the best that was measured for the kind of space; needs no tuning"

    def __init__(self, space: SearchSpace, *, seed: int, chart: Chart | str | None = None, **settings: Any) -> None:
        super().__init__(space, seed=seed, **settings)
        common: dict[str, Any] = {"natural": self.natural, "budget": self.budget}
        self._arms: dict[str, Optimizer] = {}
        self._charted = self._chart_of(chart)  # name of its arm, and the chart
        if self._charted is not None:
            name, coordinates = self._charted
            diagonal = coordinates is None and space.dim >= MANY
            self._arms[name] = (
                SphereCMA(space, seed=seed, **common)
                if name == "sphere"
                else CMA(space, seed=seed, chart=coordinates, diagonal=diagonal, **common)
            )
        if space.is_box and (self.budget is None or self.budget >= SLOPES * space.dim):
            self._arms["slopes"] = QuasiNewton(space, seed=seed + len(self._arms), chart=chart, **common)
        elif not space.is_box:
            self._arms["mutation"] = Evolution(space, seed=seed + len(self._arms), **common)
            for name, probes in self._probes(chart).items():
                self._arms[name] = probes(space, seed=seed + len(self._arms), **common)
        probers = [name for name in PROBERS if name in self._arms]
        self._found = {name: Leaders(space.dim, space.dtype) for name in probers}  # by each kind of first codes
        self._owner: dict[int, tuple[str, int]] = {}  # open trial -> arm, its number there

    def _chart_of(self, chart: Chart | str | None) -> tuple[str, Chart | str | None] | None:
        """The chart that CMA-ES searches, after the arm's name; None in it is the space itself. None: no such arm."""
        space = self.space
        if chart is not None or space.is_box:
            return ("sphere" if chart is None and self._on_a_sphere() else "cma"), chart
        if space.embedding is None:
            return None
        for name in ("frequencies", "principal"):
            try:
                return name, make_chart(f"{name}:{min(COORDINATES, space.dim)}", space, self.natural)
            except InputError:  # no map, labels or natural codes that are too few or too much alike
                continue
        return None

    def _on_a_sphere(self) -> bool:
        """Whether codes lie near a sphere that the bounds leave whole enough, and the angle's fall can be planned."""
        space, budget = self.space, self.budget
        held = bool((space.lower <= -1).all() and (space.upper >= 1).all())
        planned = budget is not None and budget >= TURNS * space.dim
        return planned and space.prior == "normal" and space.dim >= MANY and held

    def _probes(self, chart: Chart | str | None) -> dict[str, type[Optimizer]]:
        """What is looked at first, where there is enough of it and it is not the user's chart that is searched."""
        known = {"uniform": int(self.space.levels[0]), "natural": 0 if self.natural is None else len(self.natural)}
        ordered = self._charted is None and self.space.ordered.any()
        if chart is not None or ordered or not uniform.suits(self.space):
            return {}
        return {name: kind for name, kind in PROBERS.items() if known[name] >= PROBES}

    def _turns(self, ids: Ids) -> list[str]:
        """Which arm asks for each trial."""
        if self.space.is_box:
            return self._turns_in_a_box(ids)
        later = ["mutation"] if self._charted is None else [self._charted[0], "mutation"]
        probes = [name for name in PROBERS if name in self._arms]
        most = LOOK * (self.budget or math.inf)
        look = min(PROBES if len(probes) == 1 else PROBES * RARE / (RARE - 1), most) if probes else 0.0
        turns = []
        for number in ids.tolist():
            turn = self._kinds(probes, number >= TRIED * look) if number < look else later
            turns.append(turn[number % len(turn)])
        return turns

    def _kinds(self, probes: list[str], tried: bool) -> list[str]:
        """Whose turn it is among first codes, in a circle."""
        if len(probes) == 1:
            return probes
        if tried and all(self._found[name].best for name in probes):
            return [max(probes, key=lambda name: self._found[name].peak)]
        common, rare = probes
        return [common] * (RARE - 1) + [rare]

    def _turns_in_a_box(self, ids: Ids) -> list[str]:
        """Slopes while their first run lasts, every other turn later, and only where they know what to ask."""
        slopes, population = self._arms.get("slopes"), next(iter(self._arms))
        if not isinstance(slopes, QuasiNewton):
            return [population] * len(ids)
        wanted = slopes.wanted
        turns = []
        for number in ids.tolist():
            if wanted and (not slopes.runs or number % 2):
                turns.append("slopes")
                wanted -= 1
            else:
                turns.append(population)
        return turns

    def _propose(self, ids: Ids) -> tuple[Codes, list[str]]:
        for number in self._overdue():
            name, own = self._owner.pop(number)
            self._arms[name].tell([own], [math.nan])
        turns = np.array(self._turns(ids))
        codes = np.empty((len(ids), self.space.dim), self.space.dtype)
        origins = [""] * len(ids)
        for name in self._arms:
            self._fill(name, np.flatnonzero(turns == name), ids, codes, origins)
        return codes, origins

    def _fill(self, name: str, rows: NDArray[np.intp], ids: Ids, codes: Codes, origins: list[str]) -> None:
        """Asks an arm for these rows; first codes may be known all by now, then mutation asks."""
        if not len(rows):
            return
        proposals = self._arms[name].ask(len(rows))
        asked = rows[: len(proposals.ids)]
        codes[asked] = proposals.codes
        for row, number, origin in zip(asked.tolist(), proposals.ids.tolist(), proposals.origins, strict=True):
            self._owner[int(ids[row])] = name, number
            origins[row] = name if origin == name else f"{name}:{origin}"
        self._fill("mutation", rows[len(asked) :], ids, codes, origins)

    def _learn(self, batch: Learned) -> None:
        owners = [self._owner.pop(int(number), ("", -1)) for number in batch.ids]  # none: it was overdue
        for name, arm in self._arms.items():
            own = np.array([owner == name for owner, _ in owners], np.bool_)
            numbers = np.array([number for owner, number in owners if owner == name], np.int64)
            if name in self._found:
                self._found[name].note(batch.points[own], batch.values[own], batch.keys[own], batch.errors[own])
            arm.tell(numbers, batch.values[own], keys=batch.keys[own], errors=batch.errors[own])
            self._show(arm, batch, ~own)

    def _observe(self, batch: Learned) -> None:
        for found in self._found.values():
            found.refine(batch.points, batch.values, batch.keys, batch.errors)
        for arm in self._arms.values():
            self._show(arm, batch, np.ones(len(batch.values), np.bool_))

    def _show(self, arm: Optimizer, batch: Learned, rows: NDArray[np.bool_]) -> None:
        arm.observe(batch.points[rows], batch.values[rows], keys=batch.keys[rows], errors=batch.errors[rows])

    def _state(self) -> State:
        open_ids = sorted(self._owner)
        names = list(self._arms)
        state: State = {
            "owner_ids": np.array(open_ids, np.int64),
            "owner_arms": np.array([names.index(self._owner[i][0]) for i in open_ids], np.int64),
            "owner_numbers": np.array([self._owner[i][1] for i in open_ids], np.int64),
        }
        for name, found in self._found.items():
            state |= {f"{name}.found.{key}": part for key, part in found.state().items()}
        for name, arm in self._arms.items():
            state |= {f"{name}.{key}": part for key, part in arm.state_dict().items()}
        return state

    def _restore(self, state: State) -> None:
        names = list(self._arms)
        columns = (state[f"owner_{part}"] for part in ("ids", "arms", "numbers"))
        rows = zip(*(np.asarray(column, np.int64).tolist() for column in columns), strict=True)
        self._owner = {number: (names[arm], own) for number, arm, own in rows}
        for name, found in self._found.items():
            found.restore(part_of(state, f"{name}.found."))
        for name, arm in self._arms.items():
            arm.load_state_dict(part_of(state, f"{name}."))
