"""What every optimizer shares: numbering, open trials, checks, the chart, the best so far, and its state.

A method is one class with three methods to write: `_propose`, `_learn` and, where it can use them, `_observe`; plus
`_state` and `_restore` for whatever it keeps. It works in `self.domain`, the chart's box where there is a chart and the
study's space otherwise, and never sees the difference.
"""

from __future__ import annotations

import abc
import math
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from mango.charts import Chart, make_chart
from mango.errors import InputError, OptionError, StudyError, TellError
from mango.optimizers.leaders import Leaders
from mango.optimizers.ordering import Floats as Floats  # what every method imports from here
from mango.optimizers.ordering import merit as merit
from mango.optimizers.ordering import ranking as ranking
from mango.space import Codes, SearchSpace
from mango.trial import EXPECTED, LARGEST

OVERDUE = 100  # answers to later asks after which an open trial is not waited for
Ids = NDArray[np.int64]
State = dict[str, Any]  # flat: name -> array, whole number, float or string


class Proposals(NamedTuple):
    """Trial numbers ``(n,)``, codes ``(n, dim)`` of the study's space, and one short word each on why."""

    ids: Ids
    codes: Codes
    origins: list[str]


class Learned(NamedTuple):
    """A batch of answers as a method receives it, in the order of the trial numbers within one tell.

    Attributes:
        ids: ``(n,)`` own trials; -1 for foreign points.
        points: ``(n, domain.dim)`` as they were drawn, or projected for foreign points.
        values: ``(n,)`` larger is better; NaN is lost.
        keys: ``(n,)`` order equal values; NaN where there is none.
        errors: ``(n,)`` standard errors; NaN where unknown.
    """

    ids: Ids
    points: Codes
    values: Floats
    keys: Floats
    errors: Floats

    @classmethod
    def empty(cls, dim: int, dtype: DTypeLike = np.float64) -> Learned:
        """No answers."""
        return cls(np.empty(0, np.int64), np.empty((0, dim), dtype), np.empty(0), np.empty(0), np.empty(0))

    def only(self, rows: NDArray[Any]) -> Learned:
        """The answers at these indices, or where a mask holds."""
        return Learned(self.ids[rows], self.points[rows], self.values[rows], self.keys[rows], self.errors[rows])

    def joined(self, other: Learned) -> Learned:
        """These answers, then others."""
        return Learned(*(np.concatenate(pair) for pair in zip(self, other, strict=True)))


class Optimizer(abc.ABC):
    """Ask/tell search that maximises.

    Args:
        space: of the codes.
        seed: whole number >= 0; the same seed and the same numbered events give the same proposals.
        chart: coordinates to search in, a `Chart` or a text such as ``"frequencies:64"``.
        natural: ``(n, dim)`` codes of natural stimuli, for charts and priors that use them.
        budget: evaluations in all, where known; methods with a schedule use it.
        options: of the method, checked against its table `OPTIONS`.

    Raises:
        OptionError: an unknown option or a bad value.
        InputError: a space that the method cannot search.
    """

    OPTIONS: ClassVar[Mapping[str, Any]] = {}  # name -> default
    SUMMARY: ClassVar[str] = ""  # one line for `mango list`

    def __init__(
        self,
        space: SearchSpace,
        *,
        seed: int,
        chart: Chart | str | None = None,
        natural: ArrayLike | None = None,
        budget: int | None = None,
        **options: Any,
    ) -> None:
        name = type(self).__name__
        unknown = sorted(set(options) - set(self.OPTIONS))
        if unknown:
            known = ", ".join(sorted(self.OPTIONS)) or "none"
            raise OptionError(f"{name} has no option {', '.join(unknown)}; its options: {known}")
        if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
            raise OptionError(f"seed must be a whole number >= 0; got {seed!r}")
        whole = isinstance(budget, (int, np.integer)) and not isinstance(budget, bool)
        if budget is not None and (not whole or budget < 1):
            raise OptionError(f"budget must be a whole number of evaluations >= 1; got {budget!r}")
        self.space = space
        self.natural = None if natural is None else space.validate(natural)
        self.chart = make_chart(chart, space, self.natural) if isinstance(chart, str) else chart
        self.domain = space if self.chart is None else self.chart.space
        self.budget = budget
        self.options = {**self.OPTIONS, **options}
        self.rng = np.random.default_rng(seed)
        self._next = 0
        # Trial -> point of the domain, code. Made anew from other points at once, a code may differ in its last bits.
        self._open: dict[int, tuple[NDArray[Any], Codes]] = {}
        self._awaited: dict[int, int] = {}  # open trial that is waited for -> first trial of the next ask
        self._told: dict[int, float] = {}
        self._leaders = Leaders(space.dim, space.dtype)

    # -- what a study calls ----------------------------------------------------------------------------------------

    def ask(self, n: int) -> Proposals:
        """Up to ``n`` proposals; never waits. Fewer only from a finite design that has ended.

        Raises:
            InputError: ``n`` is no whole number >= 1.
        """
        if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 1:
            raise InputError(f"ask(n) needs a whole number n >= 1; got {n!r}")
        ids = np.arange(self._next, self._next + int(n), dtype=np.int64)
        points, origins = self._propose(ids)
        ids = ids[: len(points)]
        codes = self.space.validate(points if self.chart is None else self.chart.to_codes(points))
        self._next += len(ids)
        asked = points if self.chart is None else codes.copy()
        self._open.update(zip(ids.tolist(), zip(points, asked, strict=True), strict=True))
        self._awaited.update(dict.fromkeys(ids.tolist(), self._next))
        return Proposals(ids, codes, origins)

    def tell(
        self, ids: ArrayLike, values: ArrayLike, *, keys: ArrayLike | None = None, errors: ArrayLike | None = None
    ) -> None:
        """Answers to own trials: any subset, any order, each once; NaN is a lost measurement.

        Telling a trial again with the same value is nothing.

        Raises:
            TellError: never asked, told before with another value, beyond `mango.trial.LARGEST`, an error below 0, or
                of unequal lengths. Nothing changes.
        """
        numbers, told, key, error = self._checked(ids, values, keys, errors)
        fresh: list[int] = []
        seen: dict[int, float] = {}
        for row, (number, value) in enumerate(zip(numbers.tolist(), told.tolist(), strict=True)):
            before = self._told.get(number, seen.get(number))
            if before is not None:
                if before != value and not (math.isnan(before) and math.isnan(value)):
                    raise TellError(f"trial {number} was told {before}; it cannot be told {value} as well")
                continue
            if number not in self._open:
                raise TellError(f"trial {number} was never asked; asked so far: 0 to {self._next - 1}")
            seen[number] = value
            fresh.append(row)
        if not fresh:
            return
        rows = np.array(fresh)[np.argsort(numbers[fresh], kind="stable")]
        asked = [self._open.pop(number) for number in numbers[rows].tolist()]
        for number in seen:
            self._awaited.pop(number, None)
        points = np.stack([point for point, _ in asked])
        codes = points if self.chart is None else np.stack([code for _, code in asked])
        self._told.update(seen)
        self._leaders.note(codes, told[rows], key[rows], error[rows])
        self._learn(Learned(numbers[rows], points, told[rows], key[rows], error[rows]))

    def observe(
        self, codes: ArrayLike, values: ArrayLike, *, keys: ArrayLike | None = None, errors: ArrayLike | None = None
    ) -> None:
        """Points it did not ask: other arms', enqueued, natural. They may guide it.

        A code told before that comes with an error was refined by repeats: value and error take the place of the old.

        Raises:
            CodeError: codes that do not fit the space.
            TellError: values that do not fit the codes.
        """
        checked = self.space.validate(codes)
        _, told, key, error = self._checked(np.arange(len(checked)), values, keys, errors)
        if not len(checked):
            return
        self._leaders.note(checked, told, key, error)
        points = checked if self.chart is None else self.chart.to_coordinates(checked)
        self._observe(Learned(np.full(len(checked), -1, np.int64), points, told, key, error))

    def recommend(self) -> Codes:
        """Its best guess ``(dim,)``; here the best point measured, the earlier one of equals.

        Where errors were told, the best is best by what is expected of it, see `mango.optimizers.leaders`.

        Raises:
            StudyError: nothing was measured yet.
        """
        best = self._leaders.best
        if best is None:
            raise StudyError("nothing was measured yet, so there is nothing to recommend; tell at least one value")
        return best.code

    def state_dict(self) -> State:
        """Everything that decides what it asks next, as a flat dict of arrays, numbers and texts."""
        open_ids = sorted(self._open)
        told_ids = sorted(self._told)
        state: State = {
            "next": self._next,
            "rng": rng_state(self.rng),
            "open_ids": np.array(open_ids, np.int64),
            "open_points": _rows([self._open[i][0] for i in open_ids], self.domain),
            "awaited": np.array(list(self._awaited.items()), np.int64).reshape(-1, 2),
            "told_ids": np.array(told_ids, np.int64),
            "told_values": np.array([self._told[i] for i in told_ids], np.float64),
        }
        if self.chart is not None:
            state["open_codes"] = _rows([self._open[i][1] for i in open_ids], self.space)
        state |= {f"leaders.{name}": _own(part) for name, part in self._leaders.state().items()}
        return state | {f"method.{name}": _own(part) for name, part in self._state().items()}

    def load_state_dict(self, state: State) -> None:
        """Takes up the state of an optimizer of the same configuration."""
        self._next = int(state["next"])
        set_rng_state(self.rng, state["rng"])
        points = np.array(state["open_points"], self.domain.dtype)
        codes = points if self.chart is None else np.array(state["open_codes"], self.space.dtype)
        self._open = dict(zip((int(i) for i in state["open_ids"]), zip(points, codes, strict=True), strict=True))
        self._awaited = {int(number): int(later) for number, later in state["awaited"]}
        values = (float(v) for v in state["told_values"])
        self._told = dict(zip((int(i) for i in state["told_ids"]), values, strict=True))
        self._leaders.restore(part_of(state, "leaders."))
        self._restore({name: _own(part) for name, part in part_of(state, "method.").items()})

    # -- what a method writes --------------------------------------------------------------------------------------

    @abc.abstractmethod
    def _propose(self, ids: Ids) -> tuple[Codes, list[str]]:
        """Points of ``self.domain`` for these trial numbers, and their origins; fewer only once the design ends."""

    @abc.abstractmethod
    def _learn(self, batch: Learned) -> None:
        """Answers to own trials, lost ones (NaN) included."""

    def _observe(self, batch: Learned) -> None:  # noqa: B027 (a method may have no use for foreign points)
        """Foreign points, projected into ``self.domain``."""

    def _state(self) -> State:
        """What the method keeps, flat; arrays are copied on the way out."""
        return {}

    def _restore(self, state: State) -> None:  # noqa: B027 (a method may keep nothing)
        """Takes up what `_state` gave, arrays copied; always called on a freshly made object."""

    # -- what a method may use -------------------------------------------------------------------------------------

    def _overdue(self) -> list[int]:
        """Trials, in order, that are not waited for from now on; an answer that comes all the same is taken.

        They are those after which so many trials of later asks were told: `OVERDUE`, and twice as many as of these are
        open, for where many are under way an answer may come late and is not lost.
        """
        if self._next - min(self._awaited.values(), default=self._next) < OVERDUE:
            return []
        numbers = np.fromiter(self._open, np.int64, len(self._open))  # in order, as they were asked
        awaited = np.array(list(self._awaited.items()), np.int64)
        still_open = len(numbers) - np.searchsorted(numbers, awaited[:, 1])
        told = self._next - awaited[:, 1] - still_open
        overdue: list[int] = awaited[told >= np.maximum(OVERDUE, 2 * still_open), 0].tolist()
        for number in overdue:
            del self._awaited[number]
        return overdue

    def _start(self, n: int) -> tuple[Codes, list[str]]:
        """Points ``(n, domain.dim)`` to begin with, and their origins: natural codes if given, else from the prior."""
        if self.natural is None:
            return self.domain.sample(n, self.rng), ["prior"] * n
        chosen = self.natural[self.rng.choice(len(self.natural), n, replace=n > len(self.natural))]
        return chosen if self.chart is None else self.chart.to_coordinates(chosen), ["natural"] * n

    # -- private ---------------------------------------------------------------------------------------------------

    def _checked(
        self, ids: ArrayLike, values: ArrayLike, keys: ArrayLike | None, errors: ArrayLike | None
    ) -> tuple[Ids, Floats, Floats, Floats]:
        numbers = np.atleast_1d(np.asarray(ids))
        if numbers.ndim != 1 or (len(numbers) and numbers.dtype.kind not in "iu"):
            raise TellError(f"ids must be whole numbers (n,); got {numbers.dtype} of shape {numbers.shape}")
        columns: list[Floats] = []
        for name, given in (("values", values), ("keys", keys), ("errors", errors)):
            try:
                column = np.full(len(numbers), np.nan) if given is None else np.array(given, np.float64, ndmin=1)
            except (TypeError, ValueError) as error:
                raise TellError(f"{name} must be numbers: {error}") from error
            if column.shape != numbers.shape:
                raise TellError(f"{name} must have shape ({len(numbers)},), one for each trial; got {column.shape}")
            if (large := np.abs(column) > LARGEST).any():
                where = int(np.argmax(large))
                raise TellError(f"{name}: expected {EXPECTED}; got {column[where].item()!r} for trial {numbers[where]}")
            columns.append(column)
        if (below := columns[2] < 0).any():
            where = int(np.argmax(below))
            found = f"{columns[2][where].item()!r} for trial {numbers[where]}"
            raise TellError(f"errors: expected standard errors, which are 0 or more; got {found}")
        return numbers.astype(np.int64), columns[0], columns[1], columns[2]


def rng_state(rng: np.random.Generator) -> NDArray[np.uint64]:
    """The state of a PCG64 generator as six words."""
    state: Any = rng.bit_generator.state
    mask = 2**64 - 1
    numbers = (state["state"]["state"], state["state"]["inc"])
    words = [part for number in numbers for part in (number >> 64, number & mask)]
    return np.array([*words, state["has_uint32"], state["uinteger"]], np.uint64)


def set_rng_state(rng: np.random.Generator, words: ArrayLike) -> None:
    """The inverse of `rng_state`."""
    a, b, c, d, has, last = (int(w) for w in np.asarray(words, np.uint64))
    rng.bit_generator.state = {
        "bit_generator": "PCG64",
        "state": {"state": a << 64 | b, "inc": c << 64 | d},
        "has_uint32": has,
        "uinteger": last,
    }


def _rows(points: list[NDArray[Any]], space: SearchSpace) -> Codes:
    """Points of a space ``(n, dim)``, also where there are none."""
    return np.array(points, space.dtype).reshape(-1, space.dim)


def _own(part: Any) -> Any:
    """A state's part that shares no memory with anyone."""
    return np.array(part) if isinstance(part, np.ndarray) else part


def part_of(state: State, prefix: str) -> State:
    """The entries whose names begin with the prefix, without it."""
    return {name.removeprefix(prefix): part for name, part in state.items() if name.startswith(prefix)}
