"""Targets that wait: one worker of many threads, with the same results, deaths and limits as many workers of one."""

import os

import pytest

from mango.evaluators import LocalEvaluator, RayEvaluator
from mango.trial import TrialState
from tests.evaluators.subjects import (
    Alone,
    Gathering,
    Held,
    Plain,
    Threaded,
    ThreadedDeadly,
    ThreadedDeadlyAtFirst,
    ThreadedHanging,
    answer_all,
    trials,
)

pytestmark = pytest.mark.usefixtures("ray_here")


def test_as_many_calls_as_the_target_says_wait_in_one_process():
    with RayEvaluator(Plain(), Gathering(), workers=2) as evaluator:
        results, _ = answer_all(evaluator, trials(24))
        (worker,) = evaluator.workers()
    assert [r.value for r in results] == [8.0] * 24
    assert {r.key for r in results} == {worker.pid}
    assert worker.pid != os.getpid()


def test_a_target_given_by_name_is_asked():
    with RayEvaluator(Plain(), "tests.evaluators.subjects:Gathering", workers=2) as evaluator:
        assert evaluator.free() == 2 * 8
        assert [(w.number, w.slots) for w in evaluator.workers()] == [(1, 8)]
        assert {r.value for r in answer_all(evaluator, trials(16))[0]} == {8.0}


def test_what_the_user_says_wins():
    target = "tests.evaluators.subjects:Threaded"
    for named in (target, Threaded()):
        with RayEvaluator(Plain(), named, workers=2, chunk=3, concurrency=1) as evaluator:
            assert evaluator.free() == 2 * 2 * 3
            assert len(evaluator.workers()) == 2
    with RayEvaluator(Plain(), target, workers=2, chunk=3) as evaluator:
        assert evaluator.free() == 2 * 4 * 3
    with RayEvaluator(Plain(), target, workers=2, concurrency=1) as evaluator:
        assert evaluator.free() == 2 * 2 * 5


def test_no_more_is_handed_over_than_was_free(tmp_path):
    with RayEvaluator(Plain(), Held(tmp_path / "go"), chunk=2, concurrency=3) as evaluator:
        assert evaluator.free() == 2 * 3 * 2
        evaluator.submit(trials(12))
        assert evaluator.free() == 0
        evaluator.submit(trials(8, start=12))  # more than it asked for waits here
        while evaluator.workers()[0].running == 0:
            assert evaluator.collect(timeout=0.1) == []
        (worker,) = evaluator._workers
        assert [len(call.trials) for call in worker.calls.values()] == [2] * 6
        (tmp_path / "go").touch()
        results, _ = answer_all(evaluator, [])
        assert [r.number for r in results] == list(range(20))
        assert evaluator.free() == 2 * 3 * 2


def test_the_generator_is_used_by_one_thread_at_a_time():
    with RayEvaluator(Alone(), Threaded(), chunk=1) as evaluator:
        assert len(answer_all(evaluator, trials(40))[0]) == 40


def test_a_death_costs_the_other_threads_nothing(tmp_path):
    (tmp_path / "once").touch()
    with RayEvaluator(Plain(), ThreadedDeadlyAtFirst(tmp_path)) as evaluator:
        results, _ = answer_all(evaluator, trials(60, marked=[13]))
        assert evaluator.workers()[0].deaths == 1
    assert [r.number for r in results] == list(range(60))
    assert {r.status for r in results} == {TrialState.DONE}
    assert {r.key for r in results} == {5.0}, "chunks stay whole"


@pytest.mark.slow
def test_a_trial_that_always_kills_is_found_among_many():
    with RayEvaluator(Plain(), ThreadedDeadly()) as evaluator:
        results, together = answer_all(evaluator, trials(60, marked=[13]))
    failed = [r for r in results if r.status is TrialState.FAILED]
    assert [r.number for r in failed] == [13]
    assert failed[0].reason.startswith("given up after the death of 4 workers: The actor is dead")
    assert [r.number for r in results] == list(range(60))
    assert {r.key for r in results if r.number // 5 != 2} == {5.0}, "other chunks stay whole"
    assert any(numbers[n : n + 5] == list(range(10, 15)) for numbers in together for n in range(len(numbers)))


@pytest.mark.slow
def test_a_trial_over_the_time_limit_has_failed_alone():
    # What answers at once must do so within the limit in one of three tries, on however busy a machine.
    with RayEvaluator(Plain(), ThreadedHanging(), time_limit=5.0) as evaluator:
        results, _ = answer_all(evaluator, trials(20, marked=[1]))
    assert [r.number for r in results if r.status is TrialState.FAILED] == [1]
    assert results[1].reason == "given up after the death of 3 workers: it took longer than 5 s"
    assert len(results) == 20


def test_locally_one_call_follows_the_other():
    class Once(Threaded):
        running = False

        def respond(self, stimuli):
            assert not self.running
            self.running = True
            values = super().respond(stimuli)
            self.running = False
            return values

    with LocalEvaluator(Plain(), Once()) as evaluator:
        assert evaluator.free() == 5
        results, together = answer_all(evaluator, trials(12))
    assert [len(numbers) for numbers in together] == [5, 5, 2]
    assert {r.value for r in results} == {float(os.getpid())}
