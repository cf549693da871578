"""Ascent by differences: a quasi-Newton method that estimates slopes from nearby evaluations.

For smooth targets without noise it needs far fewer evaluations than a population. From a base point it asks one point a
little further along each axis (forward differences), then a few points along the direction that the last slopes
suggest: limited-memory BFGS (Nocedal 1980, "Updating quasi-Newton matrices with limited storage"; Nocedal and Wright
2006, algorithm 7.4), projected onto the bounds (Bertsekas 1982). A parabola through what is known chooses the next step
(Nocedal and Wright, section 3.5). Nothing but values is used, and no matrix is kept: only `MEMORY` pairs of steps.

**Smoothness first.** Spike counts are quantised and recordings are noisy; differences then mean nothing. A run begins
with three points on a short line: where their differences do not double with the distance, the run is over, and after
`TRIES` such runs in a row the method is `closed`: it wants no more evaluations.

**Runs** end where no step along the slopes gains. The next one starts from the best foreign point if that is better
than every base so far, from a draw of the prior otherwise.

While answers are awaited, proposals are fillers: steps of every size along the present direction, or about the base. An
answer that is lost, or that does not come, is asked again; on the way along a direction a lost one counts as no gain.
Work is done in units of the box's width.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

from mango.errors import InputError
from mango.optimizers.base import Floats, Ids, Learned, Optimizer, State, ranking
from mango.space import Codes, SearchSpace

SHORT = 1e-7  # of differences, in widths of the box
FIRST = 0.1  # length of a run's first step, in widths
MEMORY = 60  # pairs of steps and changes of slope
SUFFICIENT = 1e-4  # of the gain that the slope promises (Armijo)
LONGEST = 4.0  # times the last step along a direction
TRIALS = 8  # points along one direction
TRIES = 3  # runs in a row that begin on no smooth ground before the method closes
ROUNDING = 1e-13  # a smaller gain, of the value, is none
PROBE, SLOPES, LINE = range(3)  # what the plan at hand is


class QuasiNewton(Optimizer):
    """Limited-memory BFGS on finite differences, with restarts, in a box.

    Raises:
        InputError: a space that is no box.
    """

    SUMMARY: ClassVar[str] = "quasi-Newton ascent by finite differences; smooth targets without noise, in a box"

    def __init__(self, space: SearchSpace, **settings: Any) -> None:
        super().__init__(space, **settings)
        if not self.domain.is_box:
            raise InputError("quasi-newton needs continuous axes: it takes differences; try evolution, or give a chart")
        self._low, self._width = self.domain.lower, self.domain.upper - self.domain.lower
        dim = self.domain.dim
        self._top_value = -math.inf  # of the best base of all runs
        self._guest, self._guest_value = np.zeros(dim), -math.inf  # best foreign point
        self._rough = 0  # runs in a row without smooth ground
        self.runs = 0  # that have ended
        self._near_value: float = -math.inf  # of the best filler of the run
        middle = np.zeros(dim) if self.domain.prior == "normal" else (self.domain.lower + self.domain.upper) / 2
        self._begin(self._scaled(middle))

    @property
    def closed(self) -> bool:
        """Whether it has found that this target has no slopes."""
        return self._rough >= TRIES

    @property
    def wanted(self) -> int:
        """Proposals that would not be fillers."""
        return 0 if self.closed else len(self._queue)

    # -- ask and tell ----------------------------------------------------------------------------------------------

    def _propose(self, ids: Ids) -> tuple[Codes, list[str]]:
        self._queue += [self._rows.pop(number) for number in self._overdue() if number in self._rows]
        points = np.empty((len(ids), self.domain.dim))
        origins = []
        for row, number in enumerate(ids.tolist()):
            if self._queue:
                place = self._queue.pop(0)
                self._rows[number] = place
                points[row] = self._planned(place)
                origins.append(("probe", "slope", "line")[self._phase])
            else:
                points[row] = self._filler()
                origins.append("filler")
        return np.clip(self._low + self._width * points, self._low, self.domain.upper), origins

    def _learn(self, batch: Learned) -> None:
        for number, point, value in zip(batch.ids.tolist(), batch.points, batch.values.tolist(), strict=True):
            place = self._rows.pop(number, None)
            if place is None:  # a filler, or a late answer of an earlier plan
                if value > self._near_value:
                    self._near, self._near_value = self._scaled(point), value
            elif math.isnan(value) and self._phase != LINE:
                self._queue.append(place)
            else:
                self._answers[place] = -math.inf if math.isnan(value) else value
        if not np.isnan(self._answers).any():
            (self._after_probe, self._after_slopes, self._after_line)[self._phase]()

    def _observe(self, batch: Learned) -> None:
        first = ranking(batch.values, batch.keys)[0]
        if batch.values[first] > self._guest_value:
            self._guest, self._guest_value = self._scaled(batch.points[first]), float(batch.values[first])

    # -- what is asked ---------------------------------------------------------------------------------------------

    def _ask_for(self, phase: int, points: int) -> None:
        self._phase = phase
        self._answers = np.full(points, np.nan)
        self._queue = list(range(points))
        self._rows: dict[int, int] = {}  # open trial -> place in the plan

    def _planned(self, place: int) -> Floats:
        """A point ``(dim,)`` of the plan at hand, in widths of the box."""
        point: Floats
        if self._phase == PROBE:
            point = self._base + place * SHORT * self._direction
        elif self._phase == SLOPES:
            point = self._base.copy()
            point[place] += self._side[place]
        else:
            point = self._base + self._length * self._direction
        return np.clip(point, 0.0, 1.0)

    def _filler(self) -> Floats:
        scale = 10.0 ** -self.rng.uniform(0, 4)
        towards = self._direction * self._length if self._phase == LINE else self.rng.standard_normal(len(self._base))
        point: Floats = np.clip(self._base + scale * towards, 0.0, 1.0)
        return point

    def _scaled(self, point: Floats) -> Floats:
        scaled: Floats = np.clip((point - self._low) / self._width, 0.0, 1.0)
        return scaled

    # -- a run -----------------------------------------------------------------------------------------------------

    def _begin(self, base: Floats) -> None:
        """A new run from a base ``(dim,)`` in widths of the box."""
        dim = len(base)
        self._base = self._last_base = base
        self._value = -math.inf
        self._leader, self._leader_value = base, -math.inf  # best point of the line at hand
        self._near, self._near_value = base, -math.inf
        self._slope, self._side = np.zeros(dim), np.where(base + SHORT > 1, -SHORT, SHORT)
        self._length, self._promise, self._tried = 0.0, 0.0, 0
        self._forget()
        self._direction = np.sign(self._side) * self.rng.uniform(0.1, 1.0, dim)
        self._ask_for(PROBE, 3)

    def _forget(self) -> None:
        self._steps = self._changes = np.empty((0, self.domain.dim))

    def _after_probe(self) -> None:
        near, far = self._answers[1:] - self._answers[0]
        if near == 0 or abs(far - 2 * near) > 0.5 * abs(near):
            self._rough += 1
            self._restart()
            return
        self._rough = 0
        self._value = float(self._answers[0])
        self._ask_for(SLOPES, self.domain.dim)

    def _after_slopes(self) -> None:
        slope = (self._answers - self._value) / self._side
        step, change = self._base - self._last_base, self._slope - slope
        if step @ change > 1e-10 * np.linalg.norm(step) * np.linalg.norm(change):  # else there is no maximum that way
            self._steps = np.concatenate([self._steps, step[None]])[-MEMORY:]
            self._changes = np.concatenate([self._changes, change[None]])[-MEMORY:]
        self._slope = slope
        self._set_out()

    def _set_out(self) -> None:
        """Begins a line along the direction that the slopes suggest."""
        held = ((self._base <= 0) & (self._slope < 0)) | ((self._base >= 1) & (self._slope > 0))
        slope = np.where(held, 0.0, self._slope)
        if not slope.any():
            self._restart()
            return
        direction = np.where(held, 0.0, self._newton(slope))
        if not len(self._steps) or direction @ slope <= 0:
            self._forget()
            direction = slope * (FIRST / np.linalg.norm(slope))
        self._direction, self._length, self._tried = direction, 1.0, 0
        self._promise = float(direction @ slope)
        self._leader, self._leader_value = self._base, self._value
        self._ask_for(LINE, 1)

    def _newton(self, slope: Floats) -> Floats:
        """The inverse Hessian's estimate applied to the slope (Nocedal and Wright 2006, algorithm 7.4)."""
        direction = slope.copy()
        scales = np.einsum("ij,ij->i", self._steps, self._changes)
        shares = np.empty(len(scales))
        for row in range(len(scales))[::-1]:
            shares[row] = self._steps[row] @ direction / scales[row]
            direction -= shares[row] * self._changes[row]
        if len(scales):
            direction *= (scales / np.square(self._changes).sum(1)).max()  # the flattest seen, not the latest
        for row in range(len(scales)):
            direction += (shares[row] - self._changes[row] @ direction / scales[row]) * self._steps[row]
        return direction

    def _after_line(self) -> None:
        length, value = self._length, float(self._answers[0])
        point = self._planned(0)
        self._tried += 1
        if value <= self._leader_value and self._leader is not self._base:  # one step further lost again
            self._move()
            return
        # the parabola through the base, its slope and this point, where it has a maximum
        bend = self._promise * length - (value - self._value)
        vertex = self._promise * length**2 / (2 * bend) if bend > 0 else math.inf
        enough = value >= self._value + SUFFICIENT * length * self._promise
        if value > self._leader_value:
            self._leader, self._leader_value = point, value
        if enough:
            further = min(vertex, LONGEST * length)
            ahead = np.clip(self._base + further * self._direction, 0.0, 1.0)
            stays = further < 2 * length or bool((ahead == point).all())
        else:
            further, stays = float(np.clip(vertex, 0.1 * length, 0.5 * length)), False
        if stays or self._tried >= TRIALS:
            self._move()
            return
        self._length = further
        self._ask_for(LINE, 1)

    def _move(self) -> None:
        """Ends a line: its best point is the next base; a line without gain ends the memory, then the run."""
        if self._near_value > self._leader_value:
            self._leader, self._leader_value = self._near, self._near_value
        if self._leader_value - self._value > ROUNDING * abs(self._value):
            self._last_base, self._base, self._value = self._base, self._leader, self._leader_value
            self._side = np.where(self._base + SHORT > 1, -SHORT, SHORT)
            self._ask_for(SLOPES, self.domain.dim)
        elif len(self._steps):
            self._forget()
            self._set_out()
        else:
            self._restart()

    def _restart(self) -> None:
        self.runs += 1
        self._top_value = max(self._top_value, self._value)
        if self._guest_value > self._top_value:
            self._top_value = self._guest_value
            self._begin(self._guest)
        else:
            self._begin(self._scaled(self.domain.sample(1, self.rng)[0]))

    # -- state -----------------------------------------------------------------------------------------------------

    def _state(self) -> State:
        state: State = {name: getattr(self, f"_{name}") for name in (*ARRAYS, *NUMBERS, *COUNTS)}
        return state | {
            "runs": self.runs,
            "queue": np.array(self._queue, np.int64),
            "open": np.array(list(self._rows.items()), np.int64).reshape(-1, 2),
            "led": self._leader is not self._base,
        }

    def _restore(self, state: State) -> None:
        for names, kind in ((ARRAYS, np.asarray), (NUMBERS, float), (COUNTS, int)):
            for name in names:
                setattr(self, f"_{name}", kind(state[name]))
        self.runs = int(state["runs"])
        self._queue = [int(place) for place in state["queue"]]
        self._rows = {int(number): int(place) for number, place in state["open"]}
        if not state["led"]:
            self._leader = self._base


ARRAYS = ("guest", "base", "last_base", "leader", "near", "slope", "side", "direction", "steps", "changes", "answers")
NUMBERS = ("top_value", "guest_value", "value", "leader_value", "near_value", "length", "promise")
COUNTS = ("rough", "phase", "tried")
