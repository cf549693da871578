"""Scores of all runs, and what is computed of them.

A score is ``(value - natural median) / (R - natural median)``: 0 is what a middling natural image does, 1 the most that
is known to be reachable. Scores above 1 stay. Intervals are bootstrapped: units are drawn with replacement, then seeds
within each; 95 %, percentiles.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from scipy.stats import rankdata

from experiments.benchmarks.stimuli import results
from experiments.benchmarks.stimuli.methods import BOOK, CLASSES, GENERATORS, LATENT, TABLE
from experiments.benchmarks.stimuli.problems import NOISES
from experiments.benchmarks.stimuli.references import load_references

KIND = ("network", "generator", "noise", "batch")  # of runs that are compared
DRAWS = 4_000
TARGETS = (0.25, 0.5, 0.75, 0.9)  # scores of which the running time is expected

Floats = NDArray[np.float64]


class Interval(NamedTuple):
    """A mean with its 95 % interval."""

    mean: float
    low: float
    high: float


class Running(NamedTuple):
    """Expected evaluations to a target, failed runs included: all evaluations of all runs over the hits."""

    evaluations: float
    hits: int
    runs: int


@dataclass(frozen=True)
class Case:
    """The scores under one noise and batch.

    Attributes:
        network, generator, noise, batch: that it is.
        units, seeds: of the second and third axis below.
        budgets: at which runs were scored.
        marks: ``(m,)`` evaluations of the trajectories.
        at: method -> budget -> ``(units, seeds)``, NaN where it did not run.
        paths: method -> ``(units, seeds, m)``, of its runs to the budget that most went to, the largest of such, and
            of longer ones up to there; NaN beyond.
    """

    network: str
    generator: str
    noise: str
    batch: int
    units: list[str]
    seeds: list[int]
    budgets: list[int]
    marks: NDArray[np.int64]
    at: Mapping[str, Mapping[int, Floats]]
    paths: Mapping[str, Floats]

    def methods(self, information: str) -> list[str]:
        """Of one class, in the order of the table."""
        return [name for name in TABLE if name in self.at and TABLE[name].information == information]

    def classes(self) -> list[str]:
        """Of which any method ran."""
        return [information for information in CLASSES if self.methods(information)]

    def hindsight(self, information: str, budget: int) -> Floats | None:
        """Mean scores ``(units,)`` of the arm that was best on each unit, known afterwards; None without arms.

        Arms that need to know less count too.
        """
        known = (LATENT,) if information == LATENT else BOOK[: BOOK.index(information) + 1]
        arms = [self.at[m][budget] for m in self.at if TABLE[m].arm and TABLE[m].information in known
                and budget in self.at[m]]  # fmt: skip
        means = [mean for scores in arms if (mean := _each(scores)) is not None]
        return np.max(means, 0) if means else None

    def ranks(self, information: str, budget: int) -> dict[str, float]:
        """Mean rank over units of the methods that ran on all, 1 the best; equal ones share."""
        means = self._means(information, budget)
        if not means:
            return {}
        ranks = rankdata(-np.array(list(means.values())), axis=0).mean(1)
        return dict(zip(means, ranks.tolist(), strict=True))

    def profile(self, information: str, budget: int) -> dict[str, Floats]:
        """Of each method that ran on all units: its mean score on each, over that of the best method there."""
        means = self._means(information, budget)
        best = np.max(list(means.values()), 0) if means else np.zeros(0)
        return {m: np.clip(s / np.maximum(best, 1e-12), 0, None) for m, s in means.items()}

    def _means(self, information: str, budget: int) -> dict[str, Floats]:
        """Over seeds ``(units,)``, of the methods that ran on all units."""
        found = {m: _each(self.at[m][budget]) for m in self.methods(information) if budget in self.at[m]}
        return {method: means for method, means in found.items() if means is not None}

    def running(self, method: str, target: float) -> Running:
        """Expected running time to a score."""
        paths = self.paths[method]
        paths = paths.reshape(-1, paths.shape[-1])
        paths = paths[~np.isnan(paths).all(1)]
        spent, hits = 0, 0
        for path in paths:
            reached = np.flatnonzero(path >= target)
            hits += len(reached) > 0
            spent += int(self.marks[reached[0] if len(reached) else np.flatnonzero(~np.isnan(path))[-1]])
        return Running(spent / hits if hits else np.inf, hits, len(paths))


def load(folder: Path) -> list[Case]:
    """Every `KIND` in the folder's ``results.parquet``; units without a reference are left out."""
    table = pq.read_table(folder / results.TABLE)
    columns = {name: np.asarray(table[name].to_pylist()) for name in table.column_names}
    columns["score"] = np.full(len(table), np.nan)
    for network in sorted(set(columns["network"].tolist())):
        for unit, reference in load_references(network).items():
            own = (columns["network"] == network) & (columns["unit"] == unit)
            median = columns["natural_median"][own]
            columns["score"][own] = (columns["value"][own] - median) / (reference - median)
    scored = np.isin(columns["unit"], _known(columns))
    columns = {name: column[scored] for name, column in columns.items()}
    columns["generator"] = np.array([GENERATORS[information] for information in columns["information"].tolist()])
    kinds = set(zip(*(columns[name].tolist() for name in KIND), strict=True))
    return [_case(columns, *kind) for kind in sorted(kinds, key=_place)]


def _place(kind: tuple[str, str, str, int]) -> tuple[int, str, int, int]:
    """Of a kind among all: code books first, then by network, large batches first, little noise first."""
    network, generator, noise, batch = kind
    return list(GENERATORS.values()).index(generator), network, -batch, list(NOISES).index(noise)


def without_reference(folder: Path) -> list[str]:
    """Units that were run and have no reference."""
    table = pq.read_table(folder / results.TABLE, columns=["network", "unit"])
    pairs = set(zip(table["network"].to_pylist(), table["unit"].to_pylist(), strict=True))
    return sorted(unit for network, unit in pairs if unit not in load_references(network))


def whole(scores: Floats) -> Floats:
    """Of scores ``(units, seeds)`` the seeds that any unit has, and the units that have all of these."""
    scores = scores[:, ~np.isnan(scores).all(0)]
    return scores[~np.isnan(scores).any(1)]


def interval(scores: Floats, seed: int = 0) -> Interval:
    """Mean over units of the means over seeds, of what is `whole` of scores ``(units, seeds)``."""
    scores = whole(scores)
    if not scores.size:
        return Interval(np.nan, np.nan, np.nan)
    low, high = np.percentile(_drawn(scores, seed), (2.5, 97.5))
    return Interval(float(scores.mean()), float(low), float(high))


def band(paths: Floats, seed: int = 0) -> tuple[Floats, Floats, Floats]:
    """Mean and interval ``(m,)`` of trajectories ``(units, seeds, m)``, NaN where one is."""
    each = [interval(paths[..., mark], seed) for mark in range(paths.shape[-1])]
    mean, low, high = np.array(each).T
    return mean, low, high


def difference(ours: Floats, theirs: Floats, seed: int = 0) -> Interval:
    """Of two methods on the same units and seeds; a tie where the interval includes zero."""
    return interval(ours - theirs, seed)


def _each(scores: Floats) -> Floats | None:
    """Means ``(units,)`` over the seeds that ran; None unless all units have them."""
    means: Floats = whole(scores).mean(1) if scores.size else np.zeros(0)
    return means if len(means) == len(scores) and len(means) else None


def _drawn(scores: Floats, seed: int) -> Floats:
    """Bootstrapped means ``(DRAWS,)``."""
    rng = np.random.default_rng(seed)
    units, seeds = scores.shape
    chosen = rng.integers(units, size=(DRAWS, units, 1))
    return scores[chosen, rng.integers(seeds, size=(DRAWS, units, seeds))].mean((1, 2))  # type: ignore[no-any-return]


def _known(columns: Mapping[str, NDArray[np.generic]]) -> list[str]:
    there = ~np.isnan(columns["score"].astype(np.float64))
    return sorted(set(columns["unit"][there].tolist()))


def _case(columns: Mapping[str, NDArray[np.generic]], *kind: Any) -> Case:
    own = np.all([columns[name] == value for name, value in zip(KIND, kind, strict=True)], axis=0)
    part = {name: column[own] for name, column in columns.items()}
    units, seeds, marks = (sorted(set(part[name].tolist())) for name in ("unit", "seed", "evaluations"))
    budgets = sorted(set(part["evaluations"][part["scored"]].tolist()))
    place = [{value: i for i, value in enumerate(values)} for values in (units, seeds, marks)]
    at: dict[str, dict[int, Floats]] = {}
    paths: dict[str, Floats] = {}
    longest: dict[str, int] = {}
    for method in set(part["method"].tolist()):
        mine = [part[name][part["method"] == method].tolist() for name in ("unit", "seed", "planned")]
        runs = Counter(planned for _, _, planned in set(zip(*mine, strict=True)))
        longest[method] = max(runs, key=lambda planned: (runs[planned], planned))
        paths[method] = np.full((len(units), len(seeds), len(marks)), np.nan)
        at[method] = {}
    names = ("method", "unit", "seed", "evaluations", "planned", "scored", "score")
    rows = zip(*(part[name].tolist() for name in names), strict=True)
    for method, unit, seed, evaluations, planned, scored, score in sorted(
        rows, key=lambda row: -row[4]
    ):  # longer first
        u, s, m = (where[value] for where, value in zip(place, (unit, seed, evaluations), strict=True))
        longer = planned > longest[method] and not TABLE[method].plans
        if (planned == longest[method] or longer) and evaluations <= longest[method]:
            paths[method][u, s, m] = score
        if scored:
            at[method].setdefault(evaluations, np.full((len(units), len(seeds)), np.nan))[u, s] = score
    return Case(*kind, units, seeds, budgets, np.array(marks), at, paths)
