"""The grid: unit x noise x batch x method x seed, and for methods that plan by their budget also x budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from experiments.benchmarks.stimuli.methods import Method
from experiments.benchmarks.stimuli.units import Unit

BUDGETS = (100, 300, 1_000, 3_000)
BATCHES = (40, 1)
SEEDS = (0, 1, 2, 3, 4)
PER_DECADE = 20  # evaluations at which a trajectory is kept


@dataclass(frozen=True)
class Task:
    """One run.

    Attributes:
        unit: that is searched.
        noise: in `problems.NOISES`.
        batch: codes asked at a time.
        method: in `methods.TABLE`.
        seed: of method and noise.
        planned: evaluations; a method that plans by its budget is told so many.
        budgets: those at which it is scored.
    """

    unit: Unit
    noise: str
    batch: int
    method: str
    seed: int
    planned: int
    budgets: tuple[int, ...]

    @property
    def key(self) -> str:
        """That names it among all."""
        u = self.unit
        return f"{u.network}:{u.name} {self.noise} {self.batch} {self.method} {self.seed} {self.planned}"

    def row(self) -> dict[str, Any]:
        """As it is kept beside its results."""
        about = {**asdict(self.unit), "unit": self.unit.name, "information": self.method.partition("/")[0]}
        del about["name"]
        return {"key": self.key, **asdict(self), **about}


def grid(
    units: Sequence[Unit],
    methods: Sequence[Method],
    *,
    noises: Sequence[str] = ("none",),
    batches: Sequence[int] = BATCHES,
    budgets: Sequence[int] = BUDGETS,
    seeds: Sequence[int] = SEEDS,
) -> list[Task]:
    """All runs; seeds outermost, so that a part of the grid is one seed of everything.

    A method that does not know its budget runs once, to the largest; what it had at the smaller ones is read off. One
    that plans by it runs once for each. Slow methods stop at their own largest budget and see the first unit of each
    layer alone; those that measure codes again run under noise alone.
    """
    layers = [unit.name.partition("/")[0] for unit in units]
    first = {units[layers.index(layer)] for layer in layers}
    tasks = []
    for seed in seeds:
        for noise in noises:
            for batch in batches:
                for method in methods:
                    own = sorted(b for b in budgets if method.most is None or b <= method.most)
                    if not own or (method.slow and batch == 1) or (method.repeats and noise == "none"):
                        continue
                    shares = [(b,) for b in own] if method.plans else [tuple(own)]
                    for unit in units:
                        if method.slow and unit not in first:
                            continue
                        tasks += [Task(unit, noise, batch, method.name, seed, max(b), b) for b in shares]
    return tasks


def checkpoints(budgets: Sequence[int]) -> list[int]:
    """Evaluations after which the recommendation is kept: `PER_DECADE` in each decade from 10 on, and the budgets."""
    most = max(budgets)
    decades = np.arange(PER_DECADE, PER_DECADE * np.log10(most) + 1e-9)
    spread = np.rint(10 ** (decades / PER_DECADE)).astype(int).tolist()
    return sorted({n for n in spread if n <= most} | set(budgets))
