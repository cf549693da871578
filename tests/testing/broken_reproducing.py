"""For each rule on what decides the proposals and what is kept, optimizers that break it."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from mango.optimizers import Optimizer, Proposals
from mango.optimizers.base import Codes, Ids, Learned
from mango.space import SearchSpace
from tests.testing.climber import Climber


class SeedsItselfAnew(Climber):
    def __init__(self, space: SearchSpace, *, seed: int, **options: Any) -> None:
        super().__init__(space, seed=seed, **options)
        self.rng = np.random.default_rng()


class IgnoresItsSeed(Climber):
    def __init__(self, space: SearchSpace, *, seed: int, **options: Any) -> None:
        super().__init__(space, seed=0 * seed, **options)


class DrawsGlobally(Climber):
    def _propose(self, ids: Ids) -> tuple[Codes, list[str]]:
        shift = np.random.random()  # noqa: NPY002 (the very fault)
        points, origins = super()._propose(ids)
        return np.clip(points + shift * 1e-3, self.domain.lower, self.domain.upper), origins


class SeedsGlobally(Climber):
    def __init__(self, space: SearchSpace, *, seed: int, **options: Any) -> None:
        super().__init__(space, seed=seed, **options)
        np.random.seed(seed)  # noqa: NPY002 (the very fault)


class SharesItsMoves(Climber):
    shared: ClassVar[list[int]] = []

    def _learn(self, batch: Learned) -> None:
        self.shared.append(len(batch.values))
        super()._learn(batch)
        self.moves = len(self.shared) % 7


class SortsInPlace(Climber):
    def tell(self, ids: Any, values: Any, **more: Any) -> None:
        if isinstance(values, np.ndarray) and values.flags.writeable:
            order = np.argsort(values)
            super().tell(np.asarray(ids)[order], values[order], **more)
            values.sort()
        else:
            super().tell(ids, values, **more)


class NeedsWriteable(Climber):
    def tell(self, ids: Any, values: Any, **more: Any) -> None:
        if isinstance(values, np.ndarray):
            values[:] = values + 0.0
        super().tell(ids, values, **more)


class SharesItsCodes(Climber):
    def ask(self, n: int) -> Proposals:
        proposals = super().ask(n)
        self._open.update(zip(proposals.ids.tolist(), proposals.codes, strict=True))
        return proposals


class KeepsTheAnswers(Climber):
    kept: Any = None

    def tell(self, ids: Any, values: Any, **more: Any) -> None:
        super().tell(ids, values, **more)
        self.kept = np.asarray(values)

    def _state(self) -> dict[str, Any]:
        return super()._state() | ({} if self.kept is None else {"kept": self.kept.copy()})


class SharesItsState(Climber):
    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"method.center": self.center}


class SharesItsBest(Climber):
    def recommend(self) -> Codes:
        best = super().recommend()
        return next(code for code in self._leaders._codes if (code == best).all())


class StateInState(Climber):
    def _state(self) -> dict[str, Any]:
        return {"all": super()._state()}

    def _restore(self, state: dict[str, Any]) -> None:
        super()._restore(state["all"])


class StateOfObjects(Climber):
    def _state(self) -> dict[str, Any]:
        return super()._state() | {"objects": np.array([self], object)}


class StateOfNumpyScalars(Climber):
    def _state(self) -> dict[str, Any]:
        return super()._state() | {"moves": np.int64(self.moves)}


class StateAdvances(Climber):
    def state_dict(self) -> dict[str, Any]:
        self.rng.random()
        return super().state_dict()


class ForgetsItsMoves(Climber):
    def _state(self) -> dict[str, Any]:
        state = super()._state()
        del state["moves"]
        return state

    def _restore(self, state: dict[str, Any]) -> None:
        super()._restore(state | {"moves": 0})


class KeepsItsOwnRandomness(Climber):
    def load_state_dict(self, state: dict[str, Any]) -> None:
        own = self.rng.bit_generator.state
        super().load_state_dict(state)
        self.rng.bit_generator.state = own


class ForgetsOpenTrials(Climber):
    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self._open.clear()


class RemembersInASecret(Climber):
    """Its state looks complete, but a number outside it decides."""

    secret = 0

    def _propose(self, ids: Ids) -> tuple[Codes, list[str]]:
        points, origins = super()._propose(ids)
        return np.clip(points + self.secret * 1e-3, self.domain.lower, self.domain.upper), origins

    def _learn(self, batch: Learned) -> None:
        self.secret += 1
        super()._learn(batch)


class LoadsWithoutCopying(Climber):
    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self.center = state["method.center"]


class WritesIntoWhatItLoads(Climber):
    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        state["method.center"] += 0.0


BROKEN_REPRODUCING: dict[str, tuple[type[Optimizer], ...]] = {
    "seed": (SeedsItselfAnew, IgnoresItsSeed),
    "global randomness": (DrawsGlobally, SeedsGlobally),
    "independence": (SharesItsMoves,),
    "read-only": (SortsInPlace, NeedsWriteable),
    "aliasing": (SharesItsCodes, KeepsTheAnswers, SharesItsState, SharesItsBest),
    "state types": (StateInState, StateOfObjects, StateOfNumpyScalars, StateAdvances),
    "state round trip": (
        ForgetsItsMoves,
        KeepsItsOwnRandomness,
        ForgetsOpenTrials,
        RemembersInASecret,
        LoadsWithoutCopying,
        WritesIntoWhatItLoads,
    ),
}
