"""The methods compared: `tt` and `tt-surrogate` as they are, each with one part changed, and peers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from mango.optimizers import Optimizer, make_optimizer
from mango.optimizers.base import Floats, Learned
from mango.optimizers.tt import TensorTrain
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


class NaturalMosaic(TensorTrain):
    """Begins with mosaics of natural codes, a train of rank 6 that keeps what neighbouring axes do together."""

    def _first(self) -> Train:
        assert self.natural is not None
        points = self.natural if self.chart is None else self.chart.to_coordinates(self.natural)
        chosen = self._axes.to_digits(points[self.rng.choice(len(points), self.PARENTS, replace=False)])
        states: Floats = np.stack([self._only(parent) for parent in chosen])
        weights = np.full(self.PARENTS, 1 / self.PARENTS)
        return Train(states, weights, self.CROSSING, self._prior.sizes, None)


class AllArms(TensorTrain):
    """The three kinds of train take turns from the start: rank 6 at once."""

    PATIENCE: ClassVar[int] = -1_000_000


class ConsensusAlone(TensorTrain):
    """Rank 1 for good, stalled or not."""

    def _turns(self, n: int) -> Any:
        return np.zeros(n, np.int64)


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
    "begins with mosaics of natural codes": NaturalMosaic,
    "first step 0.4, not fitted to natural codes": Unfitted,
    "the step stays": StepStays,
    "surrogate: no ALS, ANOVA alone": _changed(TensorTrainSurrogate, SWEEPS=0),
    "surrogate: every proposal explores, no beams": _changed(TensorTrainSurrogate, EXPLORE=1),
}
DISCRETE: dict[str, Make] = {
    **{name: PEERS[name] for name in ("tt", "published")},
    **{name: PARTS[name] for name in ("no tilt by the additive model", "rank 6 from the start")},
    "rank 1 for good": ConsensusAlone,
}
"""What is run on problems without a chart."""
