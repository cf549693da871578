"""An ordered study has the same trials, bit for bit, however many workers evaluate it."""

import random
import time

import numpy as np
import pytest

from mango.evaluators import LocalEvaluator, RayEvaluator
from mango.running import run
from mango.study import Study
from tests.studies import BOX, Described, content

BUDGET = 90


class Mates:
    """Values that depend on which stimuli share a call, after a while that depends on nothing."""

    def respond(self, stimuli, seeds):
        time.sleep(random.SystemRandom().uniform(0.0, 0.02))
        own = -np.square(stimuli).sum(1) + np.asarray(seeds) % 7 / 70
        return own + 1e-3 * stimuli.mean() + 1e-4 * len(stimuli), stimuli[:, 0]


def answered(evaluator, batch, learner):
    study = Study(Described(BOX), budget=BUDGET, batch=batch, optimizer=learner, seed=3)
    with study, evaluator:
        run(study, evaluator)
        assert study.counts()["done"] == BUDGET
        return content(study)


@pytest.mark.usefixtures("ray_here")
@pytest.mark.parametrize(
    ("batch", "chunk"),
    [(10, 5), pytest.param(12, 5, marks=pytest.mark.slow), pytest.param(3, 10, marks=pytest.mark.slow)],
)
def test_any_number_of_workers_gives_the_same_trials(batch, chunk, learner):
    expected = answered(LocalEvaluator(Described(BOX), Mates(), chunk=chunk), batch, learner)
    for workers in (1, 2, 4):
        evaluator = RayEvaluator(Described(BOX), Mates(), workers=workers, chunk=chunk)
        assert answered(evaluator, batch, learner) == expected, f"{workers} workers"
    threads = RayEvaluator(Described(BOX), Mates(), chunk=chunk, concurrency=4)
    assert answered(threads, batch, learner) == expected, "4 threads"
