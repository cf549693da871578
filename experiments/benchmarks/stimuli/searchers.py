"""What the benchmark asks of a method, mango's own among them.

A run is strictly one batch after the other: codes are asked, all of them are answered, the next are asked. `Searcher`
is all that a peer has to offer; `Charted` lets one that searches a box work in a chart.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mango import Study, make_optimizer
from mango.charts import Chart
from mango.configuration import WITHOUT_LEADERS
from mango.space import Codes, SearchSpace
from mango.trial import Result, Trial

Floats = NDArray[np.float64]


class Searcher(Protocol):
    """A search under way; values are maximised."""

    def ask(self, n: int) -> Codes:
        """At least one and at most ``n`` codes ``(m, dim)``; fewer where a generation ends, none where all is done."""
        ...

    def tell(self, values: Floats) -> None:
        """The answers ``(m,)`` to the codes asked last, in their order."""
        ...

    def recommend(self) -> Codes:
        """Its choice ``(dim,)`` by what it was told; never called before the first answers."""
        ...


@dataclass(frozen=True)
class Setting:
    """What a method is given.

    Attributes:
        space: that it searches: a box, or a code book.
        seed: of its draws.
        batch: codes that will be asked at a time.
        budget: evaluations, for a method that plans by them; else None.
        noisy: whether values are, for methods that can be told so.
        natural: codes of natural images, in the third class of information; else None.
    """

    space: SearchSpace
    seed: int
    batch: int
    budget: int | None = None
    noisy: bool = False
    natural: Codes | None = None


Make = Callable[[Setting], Searcher]


class Mango:
    """One of mango's optimizers, as `make_optimizer` makes it.

    Args:
        setting: of the run.
        name: of the optimizer.
        chart: that it searches in.
        options: of the optimizer.
    """

    def __init__(self, setting: Setting, name: str, chart: Chart | None = None, **options: Any) -> None:
        self._optimizer = make_optimizer(
            name,
            setting.space,
            seed=setting.seed,
            chart=chart,
            natural=setting.natural,
            budget=setting.budget,
            **options,
        )
        self._ids: NDArray[np.int64] = np.zeros(0, np.int64)

    def ask(self, n: int) -> Codes:
        """Exactly n codes."""
        proposals = self._optimizer.ask(n)
        self._ids = proposals.ids
        return proposals.codes

    def tell(self, values: Floats) -> None:
        """To the optimizer."""
        self._optimizer.tell(self._ids, values)

    def recommend(self) -> Codes:
        """The optimizer's."""
        return self._optimizer.recommend()


class Studied:
    """One of mango's optimizers in a study that shows leaders again and confirms its choice, within the same budget.

    Args:
        setting: of the run, with its budget.
        name: of the optimizer.
        leaders: share of the evaluations that show leading codes again.
        confirm: share of the budget that is kept for the final choice.
    """

    def __init__(self, setting: Setting, name: str, *, leaders: float, confirm: float) -> None:
        assert setting.budget is not None
        kept = round(confirm * setting.budget)
        some = (
            leaders * (setting.budget - kept - WITHOUT_LEADERS * setting.batch) >= 1
        )  # else a study refuses the share
        self._study = Study(
            setting.space,
            budget=setting.budget,
            optimizer=name,
            seed=setting.seed,
            batch=setting.batch,
            natural=setting.natural,
            ordered=False,  # as the others learn: each batch before the next is asked
            leaders=leaders if some else 0.0,
            confirm=kept,
        )
        self._trials: list[Trial] = []
        self._choice: Codes | None = None

    def ask(self, n: int) -> Codes:
        """At most n codes; fewer where a round of the final choice ends."""
        self._trials = self._study.ask(n)
        return np.stack([trial.code for trial in self._trials])

    def tell(self, values: Floats) -> None:
        """To the study, which is closed once its budget is spent."""
        pairs = zip(self._trials, values.tolist(), strict=True)
        self._study.tell([Result(trial.number, trial.attempt, (value,)) for trial, value in pairs])
        if self._study.finished:
            self._choice = self._study.recommend()
            self._study.close()

    def recommend(self) -> Codes:
        """The study's."""
        return self._study.recommend() if self._choice is None else self._choice


class Listed:
    """No search: codes one after the other.

    Args:
        codes: ``(n, dim)``.
    """

    def __init__(self, codes: Codes) -> None:
        self._codes = codes
        self._next = self._asked = 0
        self._best: tuple[float, int] | None = None

    def ask(self, n: int) -> Codes:
        """The next ones."""
        self._asked, self._next = self._next, min(self._next + n, len(self._codes))
        return self._codes[self._asked : self._next]

    def tell(self, values: Floats) -> None:
        """Keeps the best."""
        first = int(values.argmax())
        if self._best is None or values[first] > self._best[0]:
            self._best = float(values[first]), self._asked + first

    def recommend(self) -> Codes:
        """The best."""
        assert self._best is not None
        return self._codes[self._best[1]]


class Charted:
    """A searcher of a box whose points are coordinates of a chart.

    Args:
        make: of the searcher.
        setting: of the run, in the space of codes.
        chart: of that space.
    """

    def __init__(self, make: Make, setting: Setting, chart: Chart) -> None:
        self._chart = chart
        self._inner = make(replace(setting, space=chart.space))

    def ask(self, n: int) -> Codes:
        """Codes at the searcher's points."""
        points = self._inner.ask(n)
        return self._chart.to_codes(points) if len(points) else np.zeros((0, 0), np.int64)

    def tell(self, values: Floats) -> None:
        """To the searcher."""
        self._inner.tell(values)

    def recommend(self) -> Codes:
        """The code at the searcher's choice."""
        chosen: Codes = self._chart.to_codes(self._inner.recommend()[None])[0]
        return chosen


class Best:
    """The best point told so far, for peers that keep none."""

    def __init__(self) -> None:
        self._found: tuple[float, Any] | None = None

    def note(self, points: NDArray[Any], values: Floats) -> None:
        """Points ``(n, dim)`` with their values ``(n,)``; of equals the earlier stays."""
        first = int(values.argmax())
        if self._found is None or values[first] > self._found[0]:
            self._found = float(values[first]), np.array(points[first])

    @property
    def point(self) -> NDArray[Any]:
        """The best ``(dim,)``."""
        assert self._found is not None
        return self._found[1]  # type: ignore[no-any-return]
