"""What the tests of studies share: spaces, a generator, deterministic answers, and what must be equal."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mango.space import SearchSpace
from mango.study import Study
from mango.trial import Result, Trial

NAN = math.nan
BOX = SearchSpace.box(3, -2.0, 2.0)
LABELS = SearchSpace.codebook(4, 9)


class Described:
    """A generator with everything a study may use."""

    def __init__(self, space: SearchSpace = BOX) -> None:
        self.space = space
        self.stimulus_shape = (space.dim,)

    def decode(self, codes: np.ndarray) -> np.ndarray:
        return codes

    def natural(self, n: int, rng: np.random.Generator) -> np.ndarray:
        return self.space.sample(n, rng)

    def log_prior(self, codes: np.ndarray) -> np.ndarray:
        return -np.square(codes).sum(1).astype(np.float64)


def value_of(trial: Trial) -> float:
    """Deterministic, with ties, losses and zeros among its values."""
    if trial.number % 11 == 5:
        return NAN
    return float(np.round(np.sin(7.0 * trial.code.sum()) * 4)) / 4


def answer(trial: Trial, value: float | None = None, **more: Any) -> Result:
    told = value_of(trial) if value is None else value
    keys = None if math.isnan(told) else (float(trial.code[0]),) * len(trial.seeds)
    return Result(trial.number, trial.attempt, (told,) * len(trial.seeds), **{"keys": keys, **more})


def finish(study: Study, size: int = 4, *, order: Callable[[list[Trial]], Sequence[Trial]] = lambda t: t) -> None:
    out: list[Trial] = []
    while not study.finished:
        out += study.ask(size)
        told = list(order(out))[:size]
        study.tell([answer(trial) for trial in told])
        out = [trial for trial in out if trial not in told]


def content(study: Study) -> list[tuple[Any, ...]]:
    """What must be equal, bit for bit, however often a study was interrupted."""
    return [
        (r.number, r.code.tobytes(), r.origin, r.state, repr(r.values), repr(r.value), repr(r.log_prior), r.reason)
        for r in study.trials()
    ]
