"""Tensor-Train search: proposals are drawn from trains that are built anew from an archive of the best answers.

Our own. PROTES (Batsheva et al. 2023; `mango.optimizers.tt_protes`) climbs to a train by gradients of its last batch;
here every core is written down in closed form (`tt_cores`) from what a bounded archive holds, at a width that adapts:

- ``consensus``, rank 1: around the weighted mean of the elites on ordered axes, their weighted shares on labels;
- ``mosaic``, rank up to `PARENTS`: mosaics of the elites, each axis widened;
- ``local``, rank 1: the best, few axes changed.

An additive model of the whole archive (`tt_anova`) tilts each of them towards what it predicts to be better. The
consensus goes alone; only while it has stalled do all three take equal turns, so that the rank grows where one center
does not do. Once these have stalled too, the search begins anew from the prior, and nothing but the recommendation
remembers what was before. experiments/benchmarks/tt_ablation shows what each part brings.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

from mango.optimizers import tt_anova
from mango.optimizers.axes import Digits, GridAxes
from mango.optimizers.base import Floats, Ids, Learned, Optimizer, State
from mango.optimizers.tt_archive import Archive
from mango.optimizers.tt_cores import Train
from mango.optimizers.tt_prior import Prior
from mango.space import Codes

FIRST = 20  # measured answers before there are elites
REFIT = 10  # answers after which the additive model is fitted anew
REST = 0.1  # step of the axes that a first draw leaves near the middle
TRIES = 3  # draws of a point that is known
MOST_GROWTH = 10.0  # of a step's logarithm at once, more than between its bounds
ARMS = ("consensus", "mosaic", "local")


class TensorTrain(Optimizer):
    """Draws from tensor trains around the elites of a bounded archive; foreign points enter it like its own.

    The step of each kind of train follows its successes, answers that reach the elites: fewer than `SUCCESS` of them
    narrow it, more widen it again, never beyond the first. Equal values are ordered by their keys. Natural codes fit
    the first step on ordered axes, and on axes of labels how often each is proposed.

    Options:
        levels: points of a continuous axis.

    Raises:
        OptionError: a bad value.
    """

    OPTIONS: ClassVar[dict[str, Any]] = {"levels": 16}
    SUMMARY: ClassVar[str] = "draws from tensor trains around the elites of an archive, tilted by an additive model"

    # Not options: the values that served best, which the ablation changes.
    ELITES: ClassVar[int] = 6
    PARENTS: ClassVar[int] = 6  # of a mosaic, the highest rank
    CROSSING: ClassVar[float] = 0.1
    STEP: ClassVar[float] = 0.4  # the first, in units of the prior's spread, where no natural codes are given
    LEADING: ClassVar[tuple[int, ...]] = (4, 16)  # axes of a chart; a share of first draws is wide along these alone
    NATURAL_STEP: ClassVar[float] = 0.75  # the first, in units of the natural codes' median spread over ordered axes
    STEPS: ClassVar[tuple[float, float]] = (0.02, 1.5)  # the least of all, and the largest first one
    SUCCESS: ClassVar[float] = 0.2
    TILT: ClassVar[float] = 0.25
    BEST: ClassVar[int] = 256
    PATIENCE: ClassVar[int] = 100  # answers without a new best, and one for each axis, until the consensus has stalled
    ENDURANCE: ClassVar[int] = 2  # times this patience until all trains have stalled, and the search begins anew

    def __init__(self, *args: Any, **keywords: Any) -> None:
        super().__init__(*args, **keywords)
        self._axes = GridAxes(self.domain, self.options["levels"], binary=False)
        natural = None
        if self.natural is not None:
            natural = self._axes.to_digits(
                self.natural if self.chart is None else self.chart.to_coordinates(self.natural)
            )
        self._prior = Prior(self._axes, natural)
        self._first_step = self.STEP
        if natural is not None and self._prior.ordered.any():
            spreads = self._prior.places(natural).std(0)[self._prior.ordered]
            self._first_step = float(np.clip(self.NATURAL_STEP * np.median(spreads), *self.STEPS))
        self._patience = self.PATIENCE + len(self._axes.sizes)
        self._begin()

    def _begin(self) -> None:
        """A search of which nothing is known yet, and which hears nothing of trials that are still under way."""
        self._begun = self._next  # its first trial
        self._archive = Archive(len(self._axes.sizes), self.BEST)
        self._steps = np.full(len(ARMS), self._first_step)
        self._owner: dict[int, int] = {}  # open trial -> arm
        self._since = 0  # own answers since the last new best
        self._fresh = 0  # answers since the model was fitted
        self._model: tt_anova.Additive | None = None

    # -- ask -------------------------------------------------------------------------------------------------------

    def _propose(self, ids: Ids) -> tuple[Codes, list[str]]:
        n = len(ids)
        if len(self._archive) < FIRST:
            return self._axes.to_points(self._draw(self._first(), n)), ["prior"] * n
        arms = self._turns(n)
        digits = np.empty((n, len(self._axes.sizes)), np.int64)
        for arm in np.unique(arms):
            rows = arms == arm
            digits[rows] = self._draw(self._train(int(arm)), int(rows.sum()))
        self._owner.update(zip(ids.tolist(), arms.tolist(), strict=True))
        return self._axes.to_points(digits), [ARMS[arm] for arm in arms]

    def _turns(self, n: int) -> Digits:
        """Which arm draws each of ``n`` proposals."""
        if self._since < self._patience:
            return np.zeros(n, np.int64)
        return self.rng.permutation(np.arange(n) + self.rng.integers(len(ARMS))) % len(ARMS)

    def _first(self) -> Train:
        """The prior, a normal one narrowed to the first step; in a chart also its leading axes alone, at full width."""
        prior = self._prior
        axes = np.arange(len(prior.sizes))
        center = np.zeros(len(axes))
        near = np.where(prior.normal[:, None], prior.around(center, self._first_step), prior.density)
        leading = [] if self.chart is None else [m for m in self.LEADING if m < len(axes)]
        wide = [prior.around(center, np.where(axes < m, 1.0, REST)) for m in leading]
        states = np.stack([near, *wide])
        return Train(states, np.full(len(states), 1 / len(states)), 0.0, prior.sizes, None)

    def _train(self, arm: int) -> Train:
        """The train of an arm, tilted."""
        prior, step = self._prior, float(self._steps[arm])
        shares = self._archive.shares(self.ELITES)
        elites = self._archive.points[: len(shares)]
        if ARMS[arm] == "consensus":
            states, weights = self._consensus(elites, shares, step)[None], np.ones(1)
        elif ARMS[arm] == "local":
            states, weights = self._neighbours(elites[0], step)[None], np.ones(1)
        else:
            parents = elites[: self.PARENTS]
            states = np.stack([self._widened(parent, step) for parent in parents])
            weights = shares[: len(parents)] / shares[: len(parents)].sum()
        return Train(states, weights, self.CROSSING, prior.sizes, self._tilt(np.tensordot(weights, states, 1)))

    def _consensus(self, elites: Digits, shares: Floats, step: float) -> Floats:
        """Densities ``(d, n)`` of the weighted elites, axis by axis."""
        prior = self._prior
        votes = np.zeros(prior.density.shape)
        for elite, share in zip(elites, shares, strict=True):
            votes[np.arange(len(elite)), elite] += share
        mean = prior.around(shares @ prior.places(elites), np.maximum(step, prior.least))
        density: Floats = np.where(prior.ordered[:, None], mean, self._mutated(votes, step))
        return density

    def _widened(self, point: Digits, step: float) -> Floats:
        """Densities ``(d, n)`` around one point."""
        prior = self._prior
        near = prior.around(prior.places(point[None])[0], np.maximum(step, prior.least))
        return np.where(prior.ordered[:, None], near, self._mutated(self._only(point), step))

    def _neighbours(self, point: Digits, step: float) -> Floats:
        """Densities ``(d, n)`` that change few axes of a point, at least one on average."""
        prior = self._prior
        near = prior.around(prior.places(point[None])[0], max(step, 0.3))
        changed = np.where(prior.ordered[:, None], near, prior.density)
        rate = min(max(0.1 * step, 1 / len(point)), 0.5)
        mixed: Floats = (1 - rate) * self._only(point) + rate * changed
        return mixed

    def _mutated(self, shares: Floats, step: float) -> Floats:
        """Shares ``(d, n)`` of labels, mixed with the prior: half of it at a step of 1."""
        rate = np.maximum(min(step, 1.0) / 2, self._prior.least)[:, None]
        mixed: Floats = (1 - rate) * shares + rate * self._prior.density
        return mixed

    def _only(self, point: Digits) -> Floats:
        """Densities ``(d, n)`` that hold one point."""
        one: Floats = (np.arange(self._prior.density.shape[1]) == point[:, None]).astype(np.float64)
        return one

    def _tilt(self, density: Floats) -> Floats | None:
        """The model's terms ``(d, n)``, so scaled that its mean rises by `TILT` sqrt(d) skill of its spreads."""
        if self._model is None:
            return None
        terms = self._model.terms - (density * self._model.terms).sum(1, keepdims=True)
        spread = math.sqrt((density * np.square(terms)).sum())
        return terms * (self.TILT * math.sqrt(len(terms)) * self._model.skill / spread) if spread > 0 else None

    def _draw(self, train: Train, n: int) -> Digits:
        """Grid points ``(n, d)``; known ones are drawn again, at last by axes from the prior until they are new."""
        known = {row.tobytes() for row in self._archive.points}
        d = len(self._axes.sizes)
        digits = np.empty((n, d), np.int64)
        missing = np.arange(n)
        for _ in range(TRIES):
            digits[missing] = train.draw(self.rng.random((len(missing), d)))
            repeated = []
            for row in missing.tolist():
                name = digits[row].tobytes()
                repeated += [row] if name in known else []
                known.add(name)
            missing = np.array(repeated, np.int64)
        for row in missing.tolist():
            for axis in self.rng.permutation(d).tolist():
                digits[row, axis] = self.rng.choice(self._prior.density.shape[1], p=self._prior.density[axis])
                if digits[row].tobytes() not in known:
                    break
            known.add(digits[row].tobytes())
        return digits

    # -- tell ------------------------------------------------------------------------------------------------------

    def _learn(self, batch: Learned) -> None:
        owners = np.array([self._owner.pop(int(number), -1) for number in batch.ids], np.int64)
        measured = ~np.isnan(batch.values) & (batch.ids >= self._begun)
        self._adapt(batch.only(measured), owners[measured])
        improved = self._take(batch.only(measured))
        self._since = 0 if improved else self._since + int(measured.sum())
        if self._since >= self.ENDURANCE * self._patience:
            self._begin()

    def _observe(self, batch: Learned) -> None:
        if self._take(batch.only(~np.isnan(batch.values))):
            self._since = 0

    def _adapt(self, batch: Learned, owners: Digits) -> None:
        """Steps: the logarithm grows by (successes - `SUCCESS` n) / (1 - `SUCCESS`) d, of each arm's n answers."""
        good = self._archive.successes(self.ELITES, batch.values, batch.keys)
        for arm in range(len(ARMS)):
            own = owners == arm
            excess = good[own].sum() - self.SUCCESS * own.sum()
            growth = excess / (1 - self.SUCCESS) / len(self._axes.sizes)
            self._steps[arm] *= math.exp(min(growth, MOST_GROWTH))
        self._steps = np.clip(self._steps, self.STEPS[0], self._first_step)

    def _take(self, batch: Learned) -> bool:
        """Into the archive, and whether one is a new best; the model is fitted anew after `REFIT` answers."""
        archive = self._archive
        improved = archive.add(self._axes.to_digits(batch.points), batch.values, batch.keys)
        self._fresh += len(batch.values)
        if len(archive) >= FIRST and self._fresh >= REFIT and self.TILT:
            self._model = tt_anova.fit(self._prior, archive.points, archive.values, archive.keys)
            self._fresh = 0
        return improved

    # -- state -----------------------------------------------------------------------------------------------------

    def _state(self) -> State:
        owned = sorted(self._owner)
        state: State = {
            "steps": self._steps,
            "owner_ids": np.array(owned, np.int64),
            "owner_arms": np.array([self._owner[number] for number in owned], np.int64),
            "begun": self._begun,
            "since": self._since,
            "fresh": self._fresh,
            **{f"archive_{name}": part for name, part in self._archive.state().items()},
        }
        if self._model is not None:
            state |= {"terms": self._model.terms, "skill": self._model.skill}
        return state

    def _restore(self, state: State) -> None:
        self._steps = state["steps"]
        self._owner = dict(zip(state["owner_ids"].tolist(), state["owner_arms"].tolist(), strict=True))
        self._begun, self._since, self._fresh = (int(state[name]) for name in ("begun", "since", "fresh"))
        self._archive.restore({k.removeprefix("archive_"): v for k, v in state.items() if k.startswith("archive_")})
        if "terms" in state:
            self._model = tt_anova.Additive(state["terms"], float(state["skill"]))
