"""The methods compared: `tt` and `tt-surrogate` as they are, each with one part changed, and peers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mango.optimizers import Optimizer, make_optimizer
from mango.optimizers.axes import Digits
from mango.optimizers.base import Floats, Learned
from mango.optimizers.tt import ARMS, TensorTrain
from mango.optimizers.tt_archive import Archive
from mango.optimizers.tt_cores import Train
from mango.optimizers.tt_surrogate import TensorTrainSurrogate

Make = Callable[..., Optimizer]


class LastBatch(TensorTrain):
    """Forgets all answers but those of the last tell, as PROTES does."""

    def _take(self, batch: Learned) -> bool:
        self._archive = Archive(len(self._axes.sizes), self.BEST)
        return super()._take(batch)


class Unfitted(TensorTrain):
    """Its first step is the same in every chart."""

    def __init__(self, *args: Any, **keywords: Any) -> None:
        super().__init__(*args, **keywords)
        self._first_step = self.STEP
        self._steps[:] = self.STEP


class StepStays(TensorTrain):
    """Keeps its first step."""

    def _adapt(self, batch: Learned, owners: Any) -> None:
        pass


class StepsWiden(TensorTrain):
    """Its steps may widen beyond the first, to the largest first one."""

    def _adapt(self, batch: Learned, owners: Any) -> None:
        first, self._first_step = self._first_step, self.STEPS[1]
        super()._adapt(batch, owners)
        self._first_step = first


class NaturalMosaic(TensorTrain):
    """Begins with mosaics of natural codes, a train of rank 6 that keeps what neighbouring axes do together."""

    def _first(self) -> Train:
        digits = _natural(self)
        chosen = digits[self.rng.choice(len(digits), self.PARENTS, replace=False)]
        states: Floats = np.stack([self._only(parent) for parent in chosen])
        weights = np.full(self.PARENTS, 1 / self.PARENTS)
        return Train(states, weights, self.CROSSING, self._prior.sizes, None)


class NaturalShares(TensorTrain):
    """Begins with the shares of natural codes at each point of each axis, a TT-ANOVA fit of the first order."""

    def _first(self) -> Train:
        density = self._prior.density
        shares = (_natural(self)[:, :, None] == np.arange(density.shape[1])).mean(0)
        return Train((0.9 * shares + 0.1 * density)[None], np.ones(1), 0.0, self._prior.sizes, None)


class NothingLocal(TensorTrain):
    """Where the consensus has stalled, it has the turns of the train that changes few axes too."""

    def _turns(self, n: int) -> Digits:
        turns: Digits = super()._turns(n) % ARMS.index("local")
        return turns


class AllArms(TensorTrain):
    """The three kinds of train take turns from the start: rank 6 at once."""

    def _turns(self, n: int) -> Digits:
        turns: Digits = self.rng.permutation(np.arange(n) + self.rng.integers(len(ARMS))) % len(ARMS)
        return turns


class ConsensusAlone(TensorTrain):
    """Rank 1 for good, stalled or not."""

    def _turns(self, n: int) -> Any:
        return np.zeros(n, np.int64)


def _natural(method: TensorTrain) -> Digits:
    """Natural codes ``(m, d)`` on the method's grid."""
    assert method.natural is not None
    points = method.natural if method.chart is None else method.chart.to_coordinates(method.natural)
    return method._axes.to_digits(points)


def _changed(base: type[Optimizer], **constants: Any) -> Make:
    """The class with other constants than its own."""
    return type(base.__name__, (base,), constants)


def _named(name: str, **options: Any) -> Make:
    def make(space: Any, **settings: Any) -> Optimizer:
        return make_optimizer(name, space, **settings, **options)

    return make


PEERS: dict[str, Make] = {
    "tt": TensorTrain,
    "tt-surrogate": TensorTrainSurrogate,
    "cma": _named("cma"),
    "published": _named("tt-exp"),
}
PARTS: dict[str, Make] = {
    "no tilt by the additive model": _changed(TensorTrain, TILT=0.0),
    "last batch in place of the archive": LastBatch,
    "one elite in place of six": _changed(TensorTrain, ELITES=1),
    "rank 6 from the start": AllArms,
    "no local refinement": NothingLocal,
    "begins with mosaics of natural codes": NaturalMosaic,
    "begins with the shares of natural codes": NaturalShares,
    "first step 0.4, not fitted to natural codes": Unfitted,
    "the step stays": StepStays,
    "steps may widen beyond the first": StepsWiden,
    "surrogate: no ALS, ANOVA alone": _changed(TensorTrainSurrogate, SWEEPS=0),
    "surrogate: a tenth of a beam's axes drawn, not half": _changed(TensorTrainSurrogate, JITTER=0.1),
    "surrogate: every proposal explores, no beams": _changed(TensorTrainSurrogate, EXPLORE=1),
}
DISCRETE: dict[str, Make] = {
    **{name: PEERS[name] for name in ("tt", "published")},
    **{name: PARTS[name] for name in ("no tilt by the additive model", "no local refinement", "rank 6 from the start")},
    "rank 1 for good": ConsensusAlone,
}
"""What is run on problems without a chart."""
