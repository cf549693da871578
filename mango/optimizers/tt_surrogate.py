"""Search by a tensor train that models the values, not a distribution: its largest entries are asked next.

The values' ranks are fitted by a functional tensor train: the first-order ANOVA decomposition in Chebyshev polynomials,
then alternating least squares, which add what the axes do together. Its entries on a small grid around the elites are
searched by beams. All three are teneva's (Chertkov, Ryzhakov, Novikov and Oseledets 2022, TT-ANOVA; Chertkov et al.
2022, optima_tt_beam, arXiv 2209.14808).
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np
import teneva

from mango.charts import Chart
from mango.errors import InputError
from mango.optimizers.axes import Digits
from mango.optimizers.base import Floats, Ids, Learned, Optimizer, State
from mango.optimizers.generation import shared_weights
from mango.optimizers.relaxed import relaxed
from mango.optimizers.tt_archive import Archive
from mango.space import Codes, SearchSpace

FIRST = 20  # measured answers before the first model
REFIT = 20  # answers after which it is fitted anew
POINTS = np.linspace(-1.0, 1.0, 5)  # of the grid on each axis, in units of the step
MOST_GROWTH = 10.0  # of the step's logarithm at once, more than between its bounds
ABOVE = 100.0  # added to the model, of unit variance, since beams look for the largest modulus


class TensorTrainSurrogate(Optimizer):
    """Asks the largest entries of a tensor-train model near the elites; a share of proposals explores instead.

    Exploration is said: every `EXPLORE`-th proposal is drawn from a normal distribution around the elites' mean and has
    the origin ``explore``. The others, ``beam``, are entries found by beams, each differing from the earlier ones in as
    many axes as possible; a share `JITTER` of their axes is drawn as well, since a model of so few answers is not to be
    followed on all axes at once. The step, by which both leave the mean, narrows while few answers reach the elites and
    widens again, to no more than the first, while many do.

    Raises:
        InputError: labels, which have no coordinates.
    """

    SUMMARY: ClassVar[str] = "the largest entries of a tensor-train model of the values (TT-ANOVA, ALS, beams)"

    # Not options: the values that served best, which the ablation changes.
    ELITES: ClassVar[int] = 6
    STEP: ClassVar[float] = 0.4  # the first, in units of the prior's spread
    LEAST_STEP: ClassVar[float] = 0.02
    SUCCESS: ClassVar[float] = 0.2
    BEST: ClassVar[int] = 256
    TERMS: ClassVar[int] = 2  # polynomials of each axis, the constant included
    RIDGE: ClassVar[float] = 0.1
    SWEEPS: ClassVar[int] = 2  # of alternating least squares
    BEAMS: ClassVar[int] = 100
    EXPLORE: ClassVar[int] = 2
    JITTER: ClassVar[float] = 0.5  # share of a beam's axes that are drawn

    def __init__(self, space: SearchSpace, *, chart: Chart | str | None = None, **settings: Any) -> None:
        if chart is None and not space.is_box:
            if space.embedding is not None or (chart := relaxed(space)) is None:
                raise InputError(
                    "tt-surrogate needs continuous axes or ordered grids; this space has labels: "
                    "give it a chart, such as chart='frequencies:64'"
                )
        super().__init__(space, chart=chart, **settings)
        low, high = self.domain.lower, self.domain.upper
        normal = self.domain.prior == "normal"
        self._middle, self._half = (low + high) / 2, np.maximum(high - low, 1e-300) / 2
        self._center = np.clip(0.0, low, high) if normal else self._middle
        self._unit = np.ones(len(low)) if normal else (high - low) / math.sqrt(12)
        self._archive = Archive(self.domain.dim, self.BEST)
        self._step = self.STEP
        self._fresh = 0  # answers since the last fit
        self._beams: Digits = np.empty((0, self.domain.dim), np.int64)  # not yet asked, the next first

    # -- ask -------------------------------------------------------------------------------------------------------

    def _propose(self, ids: Ids) -> tuple[Codes, list[str]]:
        n, d = len(ids), self.domain.dim
        noise = self.rng.standard_normal((n, d))
        if len(self._archive) < FIRST:
            if self.domain.prior == "normal":
                return self._inside(self._center + self.STEP * self._unit * noise), ["prior"] * n
            return self.domain.sample(n, self.rng), ["prior"] * n
        mean = self._mean()
        points = mean + self._step * self._unit * noise
        explores = (ids % self.EXPLORE == 0) | (np.cumsum(ids % self.EXPLORE != 0) > len(self._beams))
        drawn = self.rng.random((n, d)) < self.JITTER
        rows = np.flatnonzero(~explores)
        asked, self._beams = self._beams[: len(rows)], self._beams[len(rows) :]
        entries = mean + self._step * self._unit * POINTS[asked]
        points[rows] = np.where(drawn[rows], points[rows], entries)
        return self._inside(points), ["explore" if explore else "beam" for explore in explores]

    def _mean(self) -> Floats:
        shares = self._archive.shares(self.ELITES)
        mean: Floats = shares @ self._archive.points[: len(shares)]
        return mean

    def _inside(self, points: Floats) -> Floats:
        return np.clip(points, self.domain.lower, self.domain.upper)

    # -- tell ------------------------------------------------------------------------------------------------------

    def _learn(self, batch: Learned) -> None:
        measured = batch.only(~np.isnan(batch.values))
        good = self._archive.successes(self.ELITES, measured.values, measured.keys)
        if len(self._archive) >= FIRST:
            excess = good.sum() - self.SUCCESS * len(good)
            self._step *= math.exp(min(excess / (1 - self.SUCCESS) / self.domain.dim, MOST_GROWTH))
            self._step = min(max(self._step, self.LEAST_STEP), self.STEP)
        self._take(measured)

    def _observe(self, batch: Learned) -> None:
        self._take(batch.only(~np.isnan(batch.values)))

    def _take(self, batch: Learned) -> None:
        """Into the archive; the model is fitted anew when there is enough that it does not know."""
        self._archive.add(batch.points, batch.values, batch.keys)
        self._fresh += len(batch.values)
        if len(self._archive) >= FIRST and self._fresh >= REFIT:
            self._beams = self._searched()
            self._fresh = 0

    def _searched(self) -> Digits:
        """Entries of a new model ``(k, d)``, as indices of `POINTS`: the largest first, then each the farthest."""
        archive, d = self._archive, self.domain.dim
        m = len(archive)
        utilities = shared_weights(archive.values, archive.keys, np.log(m + 0.5) - np.log(np.arange(1, m + 1)))
        if utilities is None or d == 1:  # nothing to learn from equals; teneva's trains have two axes at least
            return np.empty((0, d), np.int64)
        utilities = (utilities - utilities.mean()) / utilities.std()
        scaled = (archive.points - self._middle) / self._half
        model = teneva.anova_func(scaled, utilities, self.TERMS, -1.0, 1.0, lamb=self.RIDGE)
        if self.SWEEPS:
            model = teneva.als_func(scaled, utilities, model, -1.0, 1.0, nswp=self.SWEEPS, lamb=self.RIDGE)
        center, width = (self._mean() - self._middle) / self._half, self._step * self._unit / self._half
        cores = []
        for core, middle, reach in zip(model, center, width, strict=True):
            polynomials = teneva.func_basis(np.clip(middle + reach * POINTS, -1, 1), core.shape[1])
            cores.append(np.einsum("anb,nl->alb", core, polynomials))
        raised = teneva.add(cores, teneva.const([len(POINTS)] * d, ABOVE))
        return _spread(teneva.optima_tt_beam(raised, k=self.BEAMS, ret_all=True))

    # -- state -----------------------------------------------------------------------------------------------------

    def _state(self) -> State:
        archive = {f"archive_{name}": part for name, part in self._archive.state().items()}
        return {"step": self._step, "fresh": self._fresh, "beams": self._beams, **archive}

    def _restore(self, state: State) -> None:
        self._step, self._fresh, self._beams = float(state["step"]), int(state["fresh"]), state["beams"]
        self._archive.restore({k.removeprefix("archive_"): v for k, v in state.items() if k.startswith("archive_")})


def _spread(entries: Digits) -> Digits:
    """The same entries ``(k, d)`` from the first on, each next one that which differs most from all before."""
    order = [0]
    distance = (entries != entries[0]).sum(1)
    while len(order) < len(entries):
        order.append(int(distance.argmax()))
        distance = np.minimum(distance, (entries != entries[order[-1]]).sum(1))
        distance[order] = -1
    return entries[order]
