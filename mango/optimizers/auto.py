"""What served best where we measured it, for each kind of space; see experiments/first_search for the figures.

On continuous axes quasi-Newton ascent where the target turns out to be smooth, then in turn with CMA-ES, which is
diagonal where axes are many and has all of a rough target's budget; on grids and labels mutation of the best found. On
a code book laid out on a map, uniform and natural codes are looked at first; then CMA-ES in two charts, low spatial
frequencies and principal components of natural codes, and mutation of the best found take turns; at last the chart that
found more and mutation, which finishes what smooth coordinates cannot express. Every answer reaches all of them. Under
noise a chart has found what is expected of its best, see `leaders`.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mango.charts import Chart
from mango.optimizers import uniform
from mango.optimizers.base import Ids, Learned, Optimizer, State, part_of
from mango.optimizers.cma import CMA
from mango.optimizers.evolution import Evolution
from mango.optimizers.leaders import Leaders
from mango.optimizers.natural import Natural
from mango.optimizers.quasi_newton import QuasiNewton
from mango.space import Codes, SearchSpace

COORDINATES = 64  # of each chart
MANY = 100  # continuous axes from which on CMA-ES is the diagonal one
SLOPES = 10  # evaluations for each axis from which on differences are worth their price
PROBES = 32  # first codes of a kind, uniform or natural
LOOK = 0.25  # share of the budget that they may take
COMPARE = 0.4  # share of the budget in which all charts take turns
BUDGET = 1_000  # assumed where none is known
PROBERS: dict[str, type[Optimizer]] = {"uniform": uniform.Uniform, "natural": Natural}


class Auto(Optimizer):
    """Chooses the method and the chart; a chart that the user names is kept. It has no options of its own."""

    SUMMARY: ClassVar[str] = "the best that was measured for the kind of space; needs no tuning"

    def __init__(self, space: SearchSpace, *, seed: int, chart: Chart | str | None = None, **settings: Any) -> None:
        super().__init__(space, seed=seed, **settings)
        common: dict[str, Any] = {"natural": self.natural, "budget": self.budget}
        self._arms: dict[str, Optimizer] = {}
        for name, coordinates in self._charts(chart).items():
            diagonal = coordinates is None and space.dim >= MANY
            self._arms[name] = CMA(space, seed=seed + len(self._arms), chart=coordinates, diagonal=diagonal, **common)
        self._leading = len(self._arms)  # of which one is chosen
        if space.is_box and (self.budget is None or self.budget >= SLOPES * space.dim):
            self._arms["slopes"] = QuasiNewton(space, seed=seed + len(self._arms), chart=chart, **common)
        elif not space.is_box:
            self._arms["mutation"] = Evolution(space, seed=seed + len(self._arms), **common)
            for name, probes in self._probes(chart).items():
                self._arms[name] = probes(space, seed=seed + len(self._arms), **common)
        self._found = {name: Leaders(space.dim, space.dtype) for name in self._arms}  # of own trials
        self._owner: dict[int, tuple[str, int]] = {}  # open trial -> arm, its number there

    def _charts(self, chart: Chart | str | None) -> dict[str, Chart | str | None]:
        """The charts that CMA-ES searches, by the arm's name; None is the space itself."""
        space = self.space
        if chart is not None or space.is_box:
            return {"cma": chart}
        if space.embedding is None or space.layout is None or len(space.layout) != 2:
            return {}
        size = min(COORDINATES, space.dim)
        charts: dict[str, Chart | str | None] = {"frequencies": f"frequencies:{size}"}
        if self.natural is not None and len(self.natural) > size:
            charts["principal"] = f"principal:{size}"
        return charts

    def _probes(self, chart: Chart | str | None) -> dict[str, type[Optimizer]]:
        """What is looked at first, where there is enough of it and it is not the user's chart that is searched."""
        known = {"uniform": int(self.space.levels[0]), "natural": 0 if self.natural is None else len(self.natural)}
        if chart is not None or not self._leading or not uniform.suits(self.space):
            return {}
        return {name: kind for name, kind in PROBERS.items() if known[name] >= PROBES}

    def _turns(self, ids: Ids) -> list[str]:
        """Which arm asks for each trial."""
        if self.space.is_box:
            return self._turns_in_a_box(ids)
        charts = list(self._arms)[: self._leading]
        if not charts:
            return ["mutation"] * len(ids)
        probes = [name for name in PROBERS if name in self._arms]
        budget = self.budget or BUDGET
        look = min(PROBES * len(probes), LOOK * budget)
        leader = max(charts, key=lambda name: self._found[name].peak)
        turns = []
        for number in ids.tolist():
            if number < look:
                turn = probes
            else:
                turn = [*charts, "mutation"] if number < COMPARE * budget else [leader, "mutation"]
            turns.append(turn[number % len(turn)])
        return turns

    def _turns_in_a_box(self, ids: Ids) -> list[str]:
        """Slopes while their first run lasts, every other turn later, and only where they know what to ask."""
        slopes = self._arms.get("slopes")
        if not isinstance(slopes, QuasiNewton):
            return ["cma"] * len(ids)
        wanted = slopes.wanted
        turns = []
        for number in ids.tolist():
            if wanted and (not slopes.runs or number % 2):
                turns.append("slopes")
                wanted -= 1
            else:
                turns.append("cma")
        return turns

    def _propose(self, ids: Ids) -> tuple[Codes, list[str]]:
        turns = np.array(self._turns(ids))
        codes = np.empty((len(ids), self.space.dim), self.space.dtype)
        origins = [""] * len(ids)
        for name, arm in self._arms.items():
            rows = np.flatnonzero(turns == name)
            if not len(rows):
                continue
            proposals = arm.ask(len(rows))
            codes[rows] = proposals.codes
            for row, number, origin in zip(rows.tolist(), proposals.ids.tolist(), proposals.origins, strict=True):
                self._owner[int(ids[row])] = name, number
                origins[row] = name if origin == name else f"{name}:{origin}"
        return codes, origins

    def _learn(self, batch: Learned) -> None:
        owners = [self._owner.pop(int(number)) for number in batch.ids]
        for name, arm in self._arms.items():
            own = np.array([owner == name for owner, _ in owners], np.bool_)
            numbers = np.array([number for owner, number in owners if owner == name], np.int64)
            self._found[name].note(batch.points[own], batch.values[own], batch.keys[own], batch.errors[own])
            arm.tell(numbers, batch.values[own], keys=batch.keys[own], errors=batch.errors[own])
            self._show(arm, batch, ~own)

    def _observe(self, batch: Learned) -> None:
        for name, arm in self._arms.items():
            self._found[name].refine(batch.points, batch.values, batch.keys, batch.errors)
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
        for name, arm in self._arms.items():
            state |= {f"{name}.found.{key}": part for key, part in self._found[name].state().items()}
            state |= {f"{name}.{key}": part for key, part in arm.state_dict().items()}
        return state

    def _restore(self, state: State) -> None:
        names = list(self._arms)
        columns = (state[f"owner_{part}"] for part in ("ids", "arms", "numbers"))
        rows = zip(*(np.asarray(column, np.int64).tolist() for column in columns), strict=True)
        self._owner = {number: (names[arm], own) for number, arm, own in rows}
        for name, arm in self._arms.items():
            self._found[name].restore(part_of(state, f"{name}.found."))
            arm.load_state_dict(part_of(state, f"{name}."))
