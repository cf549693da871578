import warnings
from dataclasses import replace

import pytest

from mango.search.evaluator import make_evaluator, warn_of_idle, with_chunk
from mango.search.settings import Settings
from tests.evaluators.subjects import Plain, Threaded

SETTINGS = Settings(generator="identity:box:6", target="tests.evaluators.subjects:Threaded", batch=20)
LARGE = type("Large", (), {"batch_size": 64})()


def test_the_chunk_is_fixed_from_target_batch_and_wish():
    assert with_chunk(SETTINGS, Threaded()).chunk == 5
    assert with_chunk(SETTINGS, object()).chunk == 10
    assert with_chunk(replace(SETTINGS, chunk=3), Threaded()).chunk == 3
    assert with_chunk(SETTINGS, LARGE).chunk == 20, "two batches are under way, so that two workers have a chunk each"
    assert with_chunk(replace(SETTINGS, ordered=False), LARGE).chunk == 64


def test_workers_that_will_never_be_busy_are_told():
    fixed = with_chunk(SETTINGS, object())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_idle(replace(fixed, workers=4), object())
        warn_of_idle(replace(fixed, workers=9, ordered=False), object())
        warn_of_idle(replace(fixed, workers=0), Threaded())
    with pytest.warns(RuntimeWarning, match=r"4 chunks of 10: of 6 evaluations at a time, 2 .* --batch 30 or more"):
        warn_of_idle(replace(fixed, workers=6), object())
    with pytest.warns(RuntimeWarning, match=r"2 chunks of 20: of 4 evaluations at a time, 2 .* --batch 40 or more"):
        warn_of_idle(replace(fixed, chunk=20, workers=1), Threaded())


@pytest.mark.usefixtures("ray_here")
def test_workers_are_made_as_the_target_says():
    with make_evaluator(with_chunk(SETTINGS, Threaded()), Plain(), Threaded()) as evaluator:
        assert [worker.slots for worker in evaluator.workers()] == [4]
        assert evaluator.free() == 2 * 4 * 5
