"""For each rule on asking and telling, optimizers that break it."""

from __future__ import annotations

from typing import Any

import numpy as np

from mango.errors import InputError, TellError
from mango.optimizers import Optimizer, Proposals
from mango.optimizers.base import Codes, Ids, Learned
from mango.space import SearchSpace
from mango.trial import LARGEST
from tests.testing.climber import Climber


class NumbersRepeat(Climber):
    def ask(self, n: int) -> Proposals:
        self._next = 0
        return super().ask(n)


class NumbersAsList(Climber):
    def ask(self, n: int) -> Proposals:
        ids, codes, origins = super().ask(n)
        return Proposals(ids.tolist(), codes, origins)  # type: ignore[arg-type]


class WordyOrigins(Climber):
    def ask(self, n: int) -> Proposals:
        return super().ask(n)._replace(origins=["a step from the center"] * n)


class TooFew(Climber):
    def ask(self, n: int) -> Proposals:
        return super().ask(min(n, 39))


class Outside(Climber):
    def ask(self, n: int) -> Proposals:
        proposals = super().ask(n)
        return proposals._replace(codes=proposals.codes * 3)


class OtherDtype(Climber):
    def ask(self, n: int) -> Proposals:
        proposals = super().ask(n)
        return proposals._replace(codes=proposals.codes.astype(np.float32))


class AnySize(Climber):
    def ask(self, n: int) -> Proposals:
        return super().ask(max(1, int(n or 1)))


class WastesANumber(Climber):
    def ask(self, n: int) -> Proposals:
        try:
            return super().ask(n)
        except InputError:
            self._next += 1
            raise


class WaitsForAnswers(Climber):
    def ask(self, n: int) -> Proposals:
        if len(self._open) > 100:
            raise RuntimeError("tell me something first")
        return super().ask(n)


class AsksNothingWhileWaiting(Climber):
    def _propose(self, ids: Ids) -> tuple[Codes, list[str]]:
        points, origins = super()._propose(ids)
        return (points[:0], []) if len(self._open) > 100 else (points, origins)


class RecommendsUnmeasured(Climber):
    def recommend(self) -> Codes:
        return self.space.sample(1, np.random.default_rng(0))[0]


class RecommendsARow(Climber):
    def recommend(self) -> Codes:
        return super().recommend()[None]


class RecommendsByDrawing(Climber):
    def recommend(self) -> Codes:
        self.rng.random()
        return super().recommend()


class RecommendsOutside(Climber):
    def recommend(self) -> Codes:
        return super().recommend() + 10.0


class AnySeed(Climber):
    def __init__(self, space: SearchSpace, *, seed: Any, **options: Any) -> None:
        super().__init__(space, seed=abs(int(seed or 0)), **options)


class AnyOption(Climber):
    def __init__(self, space: SearchSpace, *, seed: int, no_such_option: int = 0, **options: Any) -> None:  # noqa: ARG002
        super().__init__(space, seed=seed, **options)


class AnyBudget(Climber):
    def __init__(self, space: SearchSpace, *, seed: int, budget: Any = None, **options: Any) -> None:  # noqa: ARG002
        super().__init__(space, seed=seed, **options)


class WholeGenerationsOnly(Climber):
    def tell(self, ids: Any, values: Any, **more: Any) -> None:
        if not np.array_equal(np.asarray(ids), np.arange(self._next - len(ids), self._next)):
            raise ValueError("tell exactly what was asked, in its order")
        super().tell(ids, values, **more)


class NeedsAMeasurement(Climber):
    def _learn(self, batch: Learned) -> None:
        if np.isnan(batch.values).all():
            raise ValueError("All-NaN slice encountered")
        super()._learn(batch)


class LearnsNaN(Climber):
    def _learn(self, batch: Learned) -> None:
        if np.isnan(batch.values).any():
            self.center = self.center * np.nan
        super()._learn(batch)


class DividesBySpread(Climber):
    def _learn(self, batch: Learned) -> None:
        if len(batch.values) > 20:
            with np.errstate(invalid="ignore", divide="ignore"):
                weights = (batch.values - batch.values.mean()) / np.nanstd(batch.values)
            self.center = self.center + 0 * weights[0]


class NoErrors(Climber):
    def tell(self, ids: Any, values: Any, *, keys: Any = None) -> None:  # type: ignore[override]
        super().tell(ids, values, keys=keys)


class KeysMustBeKnown(Climber):
    def tell(self, ids: Any, values: Any, *, keys: Any = None, errors: Any = None) -> None:
        if keys is not None and np.isnan(keys).any():
            raise TellError("a key is NaN")
        super().tell(ids, values, keys=keys, errors=errors)


class TakesFourthPowers(Climber):
    def _learn(self, batch: Learned) -> None:
        super()._learn(batch)
        self.center = self.center + 0 * sum(value**4 for value in batch.values.tolist() if value == value)


class CutsInfinity(Climber):
    def tell(self, ids: Any, values: Any, **more: Any) -> None:
        super().tell(ids, np.clip(values, -LARGEST, LARGEST), **more)


class NoticesInfinityLate(Climber):
    def tell(self, ids: Any, values: Any, **more: Any) -> None:
        if len(ids) > 1:
            super().tell(ids[:1], values[:1])
        super().tell(ids, values, **more)


class AnyError(Climber):
    def tell(self, ids: Any, values: Any, *, errors: Any = None, **more: Any) -> None:
        super().tell(ids, values, errors=None if errors is None else np.abs(errors), **more)


class IgnoresUnknown(Climber):
    def tell(self, ids: Any, values: Any, **more: Any) -> None:
        known = [row for row, i in enumerate(np.asarray(ids).tolist()) if i in self._open or i in self._told]
        super().tell(np.asarray(ids)[known], np.asarray(values)[known], **more)


class LearnsBesideUnknown(Climber):
    def tell(self, ids: Any, values: Any, **more: Any) -> None:
        for row in range(len(ids)):
            super().tell(ids[row : row + 1], values[row : row + 1], **{k: v[row : row + 1] for k, v in more.items()})


class NothingTwice(Climber):
    def tell(self, ids: Any, values: Any, **more: Any) -> None:
        if any(i in self._told for i in np.asarray(ids).tolist()):
            raise TellError("told before")
        super().tell(ids, values, **more)


class LearnsTwice(Climber):
    def tell(self, ids: Any, values: Any, **more: Any) -> None:
        super().tell(ids, values, **more)
        self.moves += 1


class LastAnswerWins(Climber):
    def tell(self, ids: Any, values: Any, **more: Any) -> None:
        fresh = [row for row, i in enumerate(np.asarray(ids).tolist()) if i not in self._told]
        super().tell(np.asarray(ids)[fresh], np.asarray(values)[fresh], **more)


class CutsToTheShortest(Climber):
    def tell(self, ids: Any, values: Any, **more: Any) -> None:
        n = min(len(ids), len(values), *(len(v) for v in more.values()))
        super().tell(ids[:n], np.ravel(values)[:n], **{k: v[:n] for k, v in more.items()})


class NumbersForeignPoints(Climber):
    def observe(self, codes: Any, values: Any, **more: Any) -> None:
        super().observe(codes, values, **more)
        self._next += len(codes)


class ForeignMustBeMeasured(Climber):
    def observe(self, codes: Any, values: Any, **more: Any) -> None:
        if np.isnan(values).any():
            raise TellError("a foreign point without a value")
        super().observe(codes, values, **more)


class ClipsForeignPoints(Climber):
    def observe(self, codes: Any, values: Any, **more: Any) -> None:
        super().observe(np.clip(np.asarray(codes), self.space.lower, self.space.upper), values, **more)


BROKEN_EXCHANGE: dict[str, tuple[type[Optimizer], ...]] = {
    "numbering": (NumbersRepeat, NumbersAsList, WordyOrigins, TooFew),
    "codes": (Outside, OtherDtype),
    "ask size": (AnySize, WastesANumber),
    "patience": (WaitsForAnswers, AsksNothingWhileWaiting),
    "recommend": (RecommendsUnmeasured, RecommendsARow, RecommendsByDrawing, RecommendsOutside),
    "arguments": (AnySeed, AnyOption, AnyBudget),
    "any order": (WholeGenerationsOnly,),
    "lost": (NeedsAMeasurement, LearnsNaN),
    "equal values": (DividesBySpread,),
    "keys and errors": (NoErrors, KeysMustBeKnown),
    "largest": (TakesFourthPowers,),
    "infinity": (CutsInfinity, NoticesInfinityLate),
    "negative error": (AnyError,),
    "never asked": (IgnoresUnknown, LearnsBesideUnknown),
    "told twice": (NothingTwice, LearnsTwice, LastAnswerWins),
    "lengths": (CutsToTheShortest,),
    "observe": (NumbersForeignPoints, ForeignMustBeMeasured),
    "observe refusals": (ClipsForeignPoints,),
}
