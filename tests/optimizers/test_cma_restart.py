"""The reasons for which a run of CMA-ES is over, one by one, and the two regimes of restarts."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mango.optimizers.cma_gaussian import Gaussian
from mango.optimizers.cma_restart import Progress, Regimes

DIM, POPSIZE = 4, 8
NONE = np.full(POPSIZE, np.nan)


def gaussian() -> Gaussian:
    return Gaussian(np.zeros(DIM), 0.3, diagonal=True)


def over(progress: Progress, of: Gaussian) -> str:
    return progress.over(of, 0.3, 1.0)


@pytest.mark.parametrize(
    ("sigma", "lengths", "reason"),
    [
        (0.3, np.ones(DIM), ""),
        (0.9e-11 * 0.3, np.ones(DIM), "tolx"),
        (10.1, np.ones(DIM), "tolupsigma"),
        (0.3, np.array([1, 1, 1, 0.9e-7]), "condition"),
    ],
)
def test_what_the_distribution_tells(sigma: float, lengths: np.ndarray, reason: str) -> None:
    of = gaussian()
    of.sigma, of.lengths = sigma, lengths
    progress = Progress(DIM, POPSIZE)
    progress.note(np.arange(8.0), NONE)
    assert over(progress, of) == reason


@pytest.mark.parametrize("scale", [1e-20, 1.0, 1e20])
def test_values_that_stand_still_end_a_run_whatever_their_scale(scale: float) -> None:
    progress, rng = Progress(DIM, POPSIZE), np.random.default_rng(0)
    progress.note(scale * rng.normal(size=POPSIZE), NONE)
    for _ in range(24):  # 10 + 30 * 4 / 8 generations, the last of which is the next
        progress.note(scale * (2 + 1e-15 * rng.normal(size=POPSIZE)), NONE)
        assert over(progress, gaussian()) == ""
    progress.note(scale * np.full(POPSIZE, 2.0), NONE)
    assert over(progress, gaussian()) == "tolfun"


def test_keys_that_improve_keep_a_run_of_equal_values_alive() -> None:
    alive, over_it = Progress(DIM, POPSIZE), Progress(DIM, POPSIZE)
    for generation in range(200):
        alive.note(np.zeros(POPSIZE), generation + np.arange(8.0))
        over_it.note(np.zeros(POPSIZE), NONE)
    assert over(alive, gaussian()) == ""
    assert over(over_it, gaussian()) == "tolfun"


def test_neither_best_nor_median_better_is_stagnation() -> None:
    rng = np.random.default_rng(0)
    still, slow = Progress(DIM, POPSIZE), Progress(DIM, POPSIZE)
    reasons = set()
    for generation in range(400):
        noise = rng.normal(size=POPSIZE)
        still.note(noise, NONE)
        slow.note(noise + 0.05 * generation, NONE)
        reasons.add(over(still, gaussian()))
        assert over(slow, gaussian()) == ""
        assert len(reasons) == 1 or generation >= still.patience - 1
    assert reasons == {"", "stagnation"}


def test_two_regimes_share_the_answers() -> None:
    regimes, rng = Regimes(POPSIZE), np.random.default_rng(0)
    spent = {"small": 0, "large": 0}
    large, last = POPSIZE, 0
    regimes.next(500, None, rng)
    for _ in range(30):
        if math.isinf(regimes.most):
            large *= 2
            assert (regimes.popsize, regimes.step) == (large, 1.0)
            answers = last = 60 * large
            kind = "large"
        else:
            assert POPSIZE <= regimes.popsize <= max(POPSIZE, large // 2)
            assert 0.01 <= regimes.step <= 1
            assert regimes.most == last / 2
            answers, kind = int(regimes.most), "small"
        spent[kind] += answers
        regimes.next(answers, None, rng)
    assert spent["small"] == pytest.approx(spent["large"], rel=0.7)


def test_the_budget_limits_the_population() -> None:
    regimes, rng = Regimes(POPSIZE), np.random.default_rng(0)
    for _ in range(20):
        regimes.next(100, 1000, rng)
        assert regimes.popsize <= 1000 / 20


def test_states_return() -> None:
    progress, regimes, rng = Progress(DIM, POPSIZE), Regimes(POPSIZE), np.random.default_rng(0)
    for _ in range(3):
        progress.note(rng.normal(size=POPSIZE), NONE)
        regimes.next(300, None, rng)
    others = Progress(DIM, POPSIZE), Regimes(1)
    for one, other in zip((progress, regimes), others, strict=True):
        other.restore({name: np.copy(part) for name, part in one.state().items()})
        for name, part in one.state().items():
            np.testing.assert_array_equal(other.state()[name], part)
