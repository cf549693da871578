"""An ordered study has the same trials, bit for bit, in whatever order its chunks finish and wherever it is cut off."""

import numpy as np
import pytest

from mango.evaluators import LocalEvaluator, evaluate
from mango.evaluators.base import Chunks
from mango.running import run
from mango.study import Study, verify
from tests.studies import BOX, Described, content

BUDGET = 60


class Mates:
    """Values that depend on which stimuli share a call."""

    def respond(self, stimuli):
        return -np.square(stimuli).sum(1) + 1e-3 * stimuli.mean() + 1e-4 * len(stimuli)


class Shuffling:
    """Like several workers: finishes waiting chunks in random order, and is cut off after some."""

    def __init__(self, chunk, room, rng, collects):
        self.chunks, self.waiting = Chunks(chunk), []
        self.capacity, self.rng, self.left = chunk * room, rng, collects
        self.seconds_target = 0.0

    def free(self):
        return max(0, self.capacity - self.chunks.taken)

    def submit(self, trials):
        self.waiting += self.chunks.add(trials)

    def collect(self, _=None):
        if not self.left:
            raise KeyboardInterrupt
        self.left -= 1
        if not self.waiting:
            self.waiting += self.chunks.rest()
        if not self.waiting:
            return []
        trials = self.waiting.pop(self.rng.integers(len(self.waiting)))
        self.chunks.done(len(trials))
        return evaluate(Described(BOX), Mates(), trials)


AGAIN = {"leaders": 0.3, "confirm": 24}  # four candidates, in three rounds


@pytest.mark.parametrize(
    ("batch", "chunk", "again"),
    [
        (20, 10, {}),
        (12, 5, {}),
        (3, 10, {}),
        (7, 3, {}),
        (1, 4, {}),
        (25, 1, {}),
        (7, 3, AGAIN),
        (1, 4, AGAIN),
        (4, 5, {**AGAIN, "repeats": 2}),
    ],
)
def test_order_and_interruptions_do_not_show(batch, chunk, again, learner, url):
    configuration = {"budget": BUDGET, "batch": batch, "optimizer": learner, "seed": 5, **again}
    whole = Study(Described(BOX), **configuration)
    run(whole, LocalEvaluator(Described(BOX), Mates(), chunk=chunk))
    for trial in range(5):
        rng, name = np.random.default_rng(trial), f"study {trial}"
        study = Study(Described(BOX), storage=url, name=name, **configuration)
        while not study.finished:
            try:
                run(study, Shuffling(chunk, int(rng.integers(1, 9)), rng, int(rng.integers(1, 12)) * -(-10 // chunk)))
            except KeyboardInterrupt:
                study.close()
                study = Study.resume(Described(BOX), storage=url, name=name)
        assert content(study) == content(whole)
        assert repr(study.confirmed()) == repr(whole.confirmed())
        study.close()
        assert verify(None, storage=url, name=name) is None


def test_one_evaluator_for_several_studies(learner):
    evaluator, contents = LocalEvaluator(Described(BOX), Mates(), chunk=5), []
    for _ in range(2):
        study = Study(Described(BOX), budget=31, batch=12, optimizer=learner, seed=5)
        run(study, evaluator)
        contents.append(content(study))
    assert contents[0] == contents[1]
