"""An ordered study has the same trials, bit for bit, however many workers evaluate it."""

import random
import time

import numpy as np
import pytest

from mango.evaluators import LocalEvaluator, RayEvaluator
from mango.running import run
from mango.study import Study
from tests.studies import BOX, Described, content

BUDGET, CHUNK = 90, 5


class Mates:
    """Values that depend on which stimuli share a call, after a while that depends on nothing."""

    def respond(self, stimuli, seeds):
        time.sleep(random.SystemRandom().uniform(0.0, 0.02))
        own = -np.square(stimuli).sum(1) + np.asarray(seeds) % 7 / 70
        return own + 1e-3 * stimuli.mean() + 1e-4 * len(stimuli), stimuli[:, 0]


def answered(evaluator, batch, learner):
    study = Study(Described(BOX), budget=BUDGET, batch=batch, optimizer=learner, seed=3)
    with study:
        run(study, evaluator)
        assert study.counts()["done"] == BUDGET
        return content(study)


@pytest.mark.usefixtures("ray_here")
@pytest.mark.parametrize("size", [{"workers": 1}, {"workers": 2}, {"workers": 4}, {"concurrency": 4}])
def test_any_number_of_workers_gives_the_same_trials(size, learner):
    """In batches of whole chunks, of chunks and a part, and of less than a chunk."""
    with RayEvaluator(Described(BOX), Mates(), chunk=CHUNK, **size) as workers:
        for batch in (10, 12, 3):
            expected = answered(LocalEvaluator(Described(BOX), Mates(), chunk=CHUNK), batch, learner)
            assert answered(workers, batch, learner) == expected, f"batches of {batch}"
