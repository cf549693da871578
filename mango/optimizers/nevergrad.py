"""Nevergrad's optimizers by name, such as ``nevergrad:NGOpt`` (Rapin and Teytaud 2018).

A space becomes one array of numbers with bounds, cast to whole numbers on grid points and labels: over a hundred times
quicker than a choice per axis. Mixed spaces are two such arrays. The first guess and step of a continuous axis are the
middle and a sixth of the range of a uniform prior, 0 and 1 of a normal one. With that prior nevergrad is not told
bounds, which such codes rarely reach, and points beyond them are asked at the bound. Told them, its CMA, and with it
NGOpt, begin with .15 of that step.

Nevergrad minimises: it is told minus the value, never a key. Losses beyond 1e18 are compressed logarithmically, which
keeps their order, since nevergrad would clip those beyond 5e20. Lost answers are not told: its methods were made for
parallel workers, some of whom never answer.

**State.** Its objects cannot be saved without pickles, so the state is the history of calls, replayed on a fresh
object; that takes as long as the calls took. **Randomness.** Some of its methods draw from numpy's global generator:
while nevergrad runs, that generator goes on from a state of this optimizer's own, and is put back afterwards.

Refused, with the reason: methods that hand the loop to another package's thread or are strictly sequential, methods
whose definition is random at import, and those that fail a short trial in the space. Where a method has ended (one-shot
designs, beyond their budget), draws from the prior, marked ``filler``, go on. Foreign points are told as not asked,
where the method takes such.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mango.errors import InputError, OptionError, UnknownName
from mango.optimizers.base import Ids, Learned, Optimizer, State
from mango.space import Codes, SearchSpace

BUDGET = 1000  # where none is known; many methods plan by it
UNREPEATABLE = {"PolyLN"}  # draws its own settings from the global generator while nevergrad is imported
LARGEST = 1e18
ASKED, TOLD, SEEN = range(3)  # kinds of calls

Call = tuple[int, int, float]  # kind, trial or place among the points seen, value


class Nevergrad(Optimizer):
    """One of nevergrad's optimizers.

    Options: ``method``, the name behind the colon; ``workers``, how many answers it should expect to be under way (20).

    Raises:
        UnknownName: no method of that name; the message suggests the nearest.
        InputError: a method that cannot run in this space, or not ask and tell, with the reason.
        OptionError: no method named, or a number of workers below 1.
    """

    OPTIONS: ClassVar[Mapping[str, Any]] = {"method": "", "workers": 20}
    SUMMARY: ClassVar[str] = "any of Nevergrad's optimizers by its name, as in nevergrad:NGOpt"

    def __init__(self, space: SearchSpace, **settings: Any) -> None:
        super().__init__(space, **settings)
        self._method, self._workers = self.options["method"], self.options["workers"]
        if not isinstance(self._method, str) or not self._method:
            raise OptionError("nevergrad needs the name of a method behind a colon, such as nevergrad:NGOpt")
        if isinstance(self._workers, bool) or not isinstance(self._workers, int) or self._workers < 1:
            raise OptionError(f"workers must be a whole number >= 1; got {self._workers!r}")
        self._seed = int(self.rng.integers(2**32))
        self._global: Any = None  # state of numpy's global generator while nevergrad runs
        self._try()
        self._restart()

    # -- ask and tell ----------------------------------------------------------------------------------------------

    def _propose(self, ids: Ids) -> tuple[Codes, list[str]]:
        self._run([(ASKED, number, math.nan) for number in ids.tolist()])
        points = self.domain.sample(len(ids), self.rng)
        origins = ["filler"] * len(ids)
        for row, number in enumerate(ids.tolist()):
            if number in self._candidates:
                points[row], origins[row] = self._point(self._candidates[number]), self._method
        return points, origins

    def _learn(self, batch: Learned) -> None:
        own = np.array([number in self._candidates for number in batch.ids.tolist()])
        self._run([(TOLD, *told) for told in zip(batch.ids[own].tolist(), batch.values[own].tolist(), strict=True)])
        self._observe(batch.only(~own))  # fillers

    def _observe(self, batch: Learned) -> None:
        measured = batch.only(~np.isnan(batch.values))
        first = len(self._seen)
        self._seen.extend(measured.points)
        self._run([(SEEN, first + row, value) for row, value in enumerate(measured.values.tolist())])

    # -- calls of nevergrad ----------------------------------------------------------------------------------------

    def _run(self, calls: Iterable[Call]) -> None:
        """Makes calls and notes them in the history."""
        with self._borrowed_randomness():
            for call in calls:
                self._calls.append(call)
                self._make_call(*call)

    def _make_call(self, kind: int, number: int, value: float) -> None:
        if kind == ASKED:
            try:
                self._candidates[number] = self._inner.ask()
            except Exception:  # each of its 500 methods ends in its own way; a filler takes the place
                return
        elif kind == TOLD:
            candidate = self._candidates.pop(number)
            if not math.isnan(value):
                self._inner.tell(candidate, _loss(value))
        else:
            from nevergrad.common.errors import TellNotAskedNotSupportedError

            foreign = self._inner.parametrization.spawn_child(new_value=self._parts(self._seen[number]))
            with suppress(TellNotAskedNotSupportedError):  # it has no use for points it did not ask
                self._inner.tell(foreign, _loss(value))

    @contextmanager
    def _borrowed_randomness(self) -> Iterator[None]:
        """Numpy's global generator in a state of our own, put back afterwards; without nevergrad's warnings."""
        before = np.random.get_state()  # noqa: NPY002
        np.random.set_state(self._global)  # noqa: NPY002
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield
        finally:
            self._global = np.random.get_state()  # noqa: NPY002
            np.random.set_state(before)  # noqa: NPY002

    def _restart(self) -> None:
        """A fresh nevergrad object and an empty history."""
        self._calls: list[Call] = []
        self._seen: list[NDArray[Any]] = []
        self._candidates: dict[int, Any] = {}
        self._global = np.random.RandomState(self._seed).get_state()
        with self._borrowed_randomness():
            self._inner = self._make()

    def _make(self) -> Any:
        import nevergrad

        registry = nevergrad.optimizers.registry
        if self._method not in registry:
            raise UnknownName("nevergrad method", self._method, registry)
        kind = registry[self._method]
        if kind.recast or kind.no_parallelization or self._method in UNREPEATABLE:
            reason = (
                "its settings are random at import"
                if self._method in UNREPEATABLE
                else "it evaluates one point at a time in a loop of its own"
            )
            raise InputError(
                f"nevergrad:{self._method} cannot be asked and told repeatably: {reason}; try nevergrad:NGOpt"
            )
        parametrization = self._parametrization(nevergrad.p)
        parametrization.random_state = np.random.RandomState(self._seed)
        budget = self.budget or BUDGET
        return kind(parametrization, budget=budget, num_workers=min(self._workers, budget))

    def _try(self) -> None:
        """Refuses a method that fails in this space.

        Raises:
            InputError: with nevergrad's own reason.
        """
        self._global = np.random.RandomState(self._seed).get_state()
        with self._borrowed_randomness():
            try:
                inner = self._make()
                first, _ = inner.ask(), inner.ask()
                inner.tell(first, 0.0)
                inner.ask()
            except InputError:
                raise
            except Exception as error:
                raise InputError(
                    f"nevergrad:{self._method} cannot run in this space: {type(error).__name__}: {error}"
                ) from error

    # -- points ----------------------------------------------------------------------------------------------------

    def _parametrization(self, p: Any) -> Any:
        domain = self.domain
        arrays = []
        for where in (domain.continuous, ~domain.continuous):
            if not where.any():
                continue
            whole = not domain.continuous[where].any()
            margin = 0.5 - 1e-6 if whole else 0.0  # so that each point gets an equal share of the range
            low, high = domain.lower[where] - margin, domain.upper[where] + margin
            normal = domain.prior == "normal" and not whole
            middle = np.clip(0.0, low, high) if normal else (low + high) / 2
            step = np.ones(len(low)) if normal else (high - low) / 6
            array = p.Array(init=middle)
            if not normal:
                array.set_bounds(low, high, full_range_sampling=True)
            array.set_mutation(sigma=step)
            arrays.append(array.set_integer_casting() if whole else array)
        return arrays[0] if len(arrays) == 1 else p.Tuple(*arrays)

    def _parts(self, point: NDArray[Any]) -> Any:
        """A point ``(dim,)`` as nevergrad's value."""
        where = self.domain.continuous
        if where.all():
            return point
        whole = np.rint(point[~where]).astype(np.int64)
        return (point[where], whole) if where.any() else whole

    def _point(self, candidate: Any) -> NDArray[Any]:
        """The inverse of `_parts`, at the bound where it lies beyond one."""
        domain = self.domain
        where = domain.continuous
        values = candidate.value if isinstance(candidate.value, tuple) else (candidate.value,)
        point = np.empty(domain.dim)
        for mask, part in zip((m for m in (where, ~where) if m.any()), values, strict=True):
            point[mask] = part
        return np.clip(np.where(where, point, np.rint(point)), domain.lower, domain.upper)

    # -- state -----------------------------------------------------------------------------------------------------

    def _state(self) -> State:
        kinds, numbers, values = zip(*self._calls, strict=True) if self._calls else ((), (), ())
        return {
            "seed": self._seed,
            "kinds": np.array(kinds, np.int64),
            "numbers": np.array(numbers, np.int64),
            "values": np.array(values, np.float64),
            "seen": np.array(self._seen, self.domain.dtype).reshape(-1, self.domain.dim),
        }

    def _restore(self, state: State) -> None:
        self._seed = int(state["seed"])
        self._restart()
        self._seen = list(state["seen"])
        columns = (state[name].tolist() for name in ("kinds", "numbers", "values"))
        self._run(zip(*columns, strict=True))


def _loss(value: float) -> float:
    size = abs(value)
    if size > LARGEST:
        value = math.copysign(LARGEST * (1 + math.log10(size / LARGEST)), value)
    return -value
