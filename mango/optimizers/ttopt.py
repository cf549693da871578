"""TTOpt: the index sets of a tensor-train cross approximation, driven towards the largest values.

Source: Sozykin, Chertkov, Schutski, Phan, Cichocki and Oseledets (2022), TTOpt: a maximum volume quantized tensor
train-based optimization and its application to reinforcement learning, arXiv 2205.00293. Their transform of values to
minimise, pi/2 - arctan(y - y_min) (section 3), is made here of ranks, so that the scale of a target does not matter and
keys can order equal values: see `worth`.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mango.optimizers.axes import Digits, GridAxes, whole
from mango.optimizers.base import Floats, Ids, Learned, Optimizer, State, merit, ranking
from mango.optimizers.ttopt_sweep import CrossSweep
from mango.space import Codes

NAME = np.int32  # of the digits by which a point is looked up
SWEEPS = 2  # there and back, that one answer may set off where every value is known already
TRIES = 10  # mutations drawn for a filler before one that repeats a known point is asked all the same


class TTOpt(Optimizer):
    """Measures the blocks of a cross approximation one after the other, and keeps what spans the largest values.

    A block is heads x points of one axis x tails, at most ``rank * levels * rank`` points; those measured before are
    not asked again. An answer that is lost, or that does not come, counts as the worst of its block, and is asked again
    if a later block needs it. While a block waits for its last answers, and once the whole grid is known, fillers are
    asked: the best point so far with one axis changed. When sweeps find nothing new, they start again from random tails
    and the best point. A foreign point is where fillers and new starts begin, if it is the best; no block has it.

    Options:
        binary: whether each axis of 2^m points becomes m binary axes (quantised tensor train, as in the paper).
        levels: points of a continuous axis.
        rank: most heads and tails of a block. The paper's 4 asks 16,000 points on one way over 64 axes of 16 points;
            with up to 3,000 answers, 2 served best of the ranks tried.

    Raises:
        OptionError: a bad value.
        InputError: binary axes in a space whose axes have no power of two of points.
    """

    OPTIONS: ClassVar[dict[str, Any]] = {"binary": False, "levels": 16, "rank": 2}
    SUMMARY: ClassVar[str] = "sweeps of a tensor-train cross with maximum-volume index sets (TTOpt)"

    def __init__(self, *args: Any, **keywords: Any) -> None:
        super().__init__(*args, **keywords)
        self._axes = GridAxes(self.domain, self.options["levels"], self.options["binary"])
        self._rank = whole("rank", self.options["rank"])
        self._known: dict[bytes, tuple[float, float]] = {}  # point -> value, key
        self._top: Digits | None = None
        self._top_merit = (-math.inf, -math.inf)
        self._barren = 0  # blocks in a row that had nothing to ask
        self._sweep = CrossSweep(self._axes.sizes, self._rank, self._drawn(self._rank))
        self._open_block()

    def _propose(self, ids: Ids) -> tuple[Codes, list[str]]:
        overdue = [self._open[number][0] for number in self._overdue()]
        if overdue:
            self._missing.difference_update(map(_name, self._axes.to_digits(np.stack(overdue))))
            self._advance()
        rows: list[Digits] = []
        while len(rows) < len(ids) and self._to_ask:
            digits = self._to_ask.pop(0)
            if _name(digits) in self._missing:  # else a filler was it, and was answered
                rows.append(digits)
        fillers = len(ids) - len(rows)
        origins = ["cross"] * len(rows) + ["filler"] * fillers
        rows += [self._filler() for _ in range(fillers)]
        return self._axes.to_points(np.stack(rows)), origins

    def _learn(self, batch: Learned) -> None:
        for digits, value, key in zip(self._axes.to_digits(batch.points), batch.values, batch.keys, strict=True):
            self._missing.discard(_name(digits))
            if not math.isnan(value):
                self._known[_name(digits)] = (float(value), float(key))
                self._note(digits, float(value), float(key))
        self._advance()

    def _observe(self, batch: Learned) -> None:
        for digits, value, key in zip(self._axes.to_digits(batch.points), batch.values, batch.keys, strict=True):
            if not math.isnan(value):
                self._note(digits, float(value), float(key))

    def _note(self, digits: Digits, value: float, key: float) -> None:
        if merit(value, key) > self._top_merit:
            self._top, self._top_merit = digits, merit(value, key)

    # -- blocks ----------------------------------------------------------------------------------------------------

    def _open_block(self) -> None:
        """Notes what is to be asked of the block at hand."""
        self._block = self._sweep.block()
        self._to_ask = [digits for digits in self._block if _name(digits) not in self._known]
        self._missing = {_name(digits) for digits in self._to_ask}

    def _advance(self) -> None:
        """Closes blocks until one has something to ask, or until some sweeps' worth of them had nothing."""
        turn = 2 * len(self._axes.sizes)
        for _ in range(SWEEPS * turn):
            if self._missing:
                return
            unknown = (math.nan, math.nan)
            answers = np.array([self._known.get(_name(digits), unknown) for digits in self._block])
            self._sweep.advance(worth(answers[:, 0], answers[:, 1]))
            self._open_block()
            self._barren = 0 if self._missing else self._barren + 1
            if self._barren and self._barren % turn == 0:  # a whole turn, there and back, found nothing new
                starts = self._drawn(self._rank)
                if self._top is not None and self._rank > 1:
                    starts[-1] = self._top
                self._sweep.restart(starts)
                self._open_block()

    def _drawn(self, count: int) -> Digits:
        return self._axes.to_digits(self.domain.sample(count, self.rng))

    def _filler(self) -> Digits:
        """The best point with one axis changed, if possible to an unknown point; before there is a best, any point."""
        free = np.flatnonzero(self._axes.sizes > 1)
        digits: Digits = self._drawn(1)[0] if self._top is None else self._top
        if self._top is None or not len(free):
            return digits
        for _ in range(TRIES):
            digits, axis = self._top.copy(), int(self.rng.choice(free))
            digits[axis] = (digits[axis] + self.rng.integers(1, self._axes.sizes[axis])) % self._axes.sizes[axis]
            if _name(digits) not in self._known:
                break
        return digits

    # -- state -----------------------------------------------------------------------------------------------------

    def _state(self) -> State:
        d = len(self._axes.sizes)
        state: State = {
            "known_digits": np.frombuffer(b"".join(self._known), NAME).reshape(-1, d),
            "known_answers": np.array(list(self._known.values()), np.float64).reshape(-1, 2),
            "to_ask": np.array(self._to_ask, np.int64).reshape(-1, d),
            "missing": np.frombuffer(b"".join(sorted(self._missing)), NAME).reshape(-1, d),
            "barren": self._barren,
            **{f"sweep_{name}": part for name, part in self._sweep.state().items()},
        }
        if self._top is not None:
            state |= {"top": self._top, "top_value": self._top_merit[0], "top_key": self._top_merit[1]}
        return state

    def _restore(self, state: State) -> None:
        answers = (tuple(row) for row in state["known_answers"].tolist())
        self._known = dict(zip(map(_name, state["known_digits"]), answers, strict=True))
        self._to_ask = list(state["to_ask"])
        self._missing = set(map(_name, state["missing"]))
        self._barren = int(state["barren"])
        self._sweep.restore({k.removeprefix("sweep_"): v for k, v in state.items() if k.startswith("sweep_")})
        self._block = self._sweep.block()
        if "top" in state:
            self._top = state["top"]
            self._top_merit = (float(state["top_value"]), float(state["top_key"]))


def worth(values: Floats, keys: Floats) -> Floats:
    """pi/2 - arctan(rank), in (0, pi/2]; rank 0 is the best, equals share theirs, lost answers have the worst's.

    Args:
        values: ``(n,)``; NaN is lost.
        keys: ``(n,)``, which order equal values.
    """
    order = ranking(values, keys)
    pairs = [merit(value, key) for value, key in zip(values[order].tolist(), keys[order].tolist(), strict=True)]
    changes = [not math.isnan(after[0]) and after != before for before, after in pairwise(pairs)]
    ranks = np.empty(len(values))
    ranks[order] = np.concatenate([[0], np.cumsum(changes)])
    return np.pi / 2 - np.arctan(ranks)


def _name(digits: NDArray[Any]) -> bytes:
    name: bytes = digits.astype(NAME).tobytes()
    return name
