import contextlib
import os

import numpy as np
import pytest

from mango.errors import InputError, OptionError, TargetError, UnknownName
from mango.evaluators import LocalEvaluator, RayEvaluator
from mango.trial import TrialState
from tests.evaluators.subjects import (
    Bowl,
    Deadly,
    DeadlyAtFirst,
    Hanging,
    Held,
    Layer,
    Plain,
    Raising,
    Threaded,
    Threads,
    Unreadable,
    Unsendable,
    answer_all,
    outcome,
    trials,
)

pytestmark = pytest.mark.usefixtures("ray_here")


def locally(target, asked):
    return answer_all(LocalEvaluator(Plain(), target), asked)[0]


def test_the_same_results_as_local_in_whole_chunks():
    asked = trials(45, repeats=2)
    with RayEvaluator(Plain(), Bowl()) as evaluator:
        results, together = answer_all(evaluator, asked)
        assert evaluator.seconds_target == pytest.approx(sum(r.seconds for r in results))
        assert evaluator.free() == 2 * 2 * 10
    assert outcome(results) == outcome(locally(Bowl(), asked))
    for numbers in together:
        chunks = [n // 10 for n in numbers]
        assert all(chunks.count(c) == (5 if c == 4 else 10) for c in set(chunks))


@pytest.mark.slow  # imports torch in a worker
def test_one_thread_here_and_there_gives_the_same_bits():
    with RayEvaluator(Plain(), Layer(), workers=1) as evaluator:
        results, _ = answer_all(evaluator, trials(30))
    assert outcome(results) == outcome(locally(Layer(), trials(30)))


@pytest.mark.slow  # imports torch and numba in workers
@pytest.mark.parametrize("concurrency", [1, 3])
def test_a_worker_has_one_thread_for_each_evaluation(concurrency):
    with RayEvaluator(Plain(), Threads(), workers=1, concurrency=concurrency) as evaluator:
        results, _ = answer_all(evaluator, trials(60))
    assert {r.value for r in results} == {1.0}
    assert {r.key for r in results} == {float(os.nice(0))}, "workers have the priority of who started them"


def test_workers_say_what_they_do(tmp_path):
    with RayEvaluator(Plain(), Held(tmp_path / "go"), workers=2, chunk=1) as evaluator:
        assert [w.number for w in evaluator.workers()] == [1, 2]
        assert {w.doing for w in evaluator.workers()} == {"starting"}
        while not all(worker.built for worker in evaluator._workers):
            evaluator.submit(trials(1, marked=[0]))  # is answered at once
            evaluator.collect()
        done = sum(w.trials for w in evaluator.workers())
        assert {w.doing for w in evaluator.workers()} == {"idle"}
        evaluator.submit(trials(4, start=10))
        assert {(w.doing, w.running, w.slots) for w in evaluator.workers()} == {("busy", 1, 1)}
        (tmp_path / "go").touch()
        results, _ = answer_all(evaluator, [])
        states = evaluator.workers()
    assert {r.value for r in results} <= {float(w.pid) for w in states}
    assert sum(w.trials for w in states) == done + 4
    assert all(w.rate > 0 for w in states if w.trials)
    assert {(w.doing, w.running, w.deaths) for w in states} == {("idle", 0, 0)}
    assert evaluator.workers() == []


def test_a_death_is_counted_and_the_number_stays(tmp_path):
    (tmp_path / "once").touch()
    with RayEvaluator(Plain(), DeadlyAtFirst(tmp_path), workers=1) as evaluator:
        answer_all(evaluator, trials(10, marked=[3]))
        (worker,) = evaluator.workers()
    assert (worker.number, worker.deaths, worker.trials) == (1, 1, 10)


def test_chunks_are_of_the_targets_best_size_by_name_too():
    for target in (Threaded(), "tests.evaluators.subjects:Threaded"):
        with RayEvaluator(Plain(), target, concurrency=1, workers=1) as evaluator:
            results, _ = answer_all(evaluator, trials(12))
        assert [r.key for r in results] == [5.0] * 10 + [2.0] * 2


def test_free_counts_down_to_nothing():
    with RayEvaluator(Plain(), Bowl(), workers=1, chunk=4) as evaluator:
        assert evaluator.free() == 8
        evaluator.submit(trials(7))
        assert evaluator.free() == 1
        evaluator.submit(trials(1, start=7))
        assert evaluator.free() == 0
        results, _ = answer_all(evaluator, [])
    assert [r.number for r in results] == list(range(8))


def test_names_are_made_in_the_workers_from_the_current_folder(tmp_path, monkeypatch):
    (tmp_path / "ray_subject.py").write_text(
        "import numpy as np\n"
        "class Here:\n"
        "    def respond(self, stimuli):\n"
        "        return np.full(len(stimuli), float(open('value.txt').read()))\n"
    )
    (tmp_path / "value.txt").write_text("0.25")
    monkeypatch.chdir(tmp_path)
    with RayEvaluator("identity:box:6", "ray_subject:Here", workers=1) as evaluator:
        results, _ = answer_all(evaluator, trials(3))
    assert [r.values for r in results] == [(0.25,)] * 3


def test_a_worker_that_dies_is_replaced_and_its_chunk_evaluated_again(tmp_path):
    for death in range(2):
        (tmp_path / str(death)).touch()
    with RayEvaluator(Plain(), DeadlyAtFirst(tmp_path)) as evaluator:
        results, _ = answer_all(evaluator, trials(40, marked=[13]))
    assert not list(tmp_path.iterdir())
    assert [r.number for r in results] == list(range(40))
    assert {r.status for r in results} == {TrialState.DONE}
    assert len({r.values for r in results[10:20]}) == 1, "the chunk stays whole"


@pytest.mark.slow
def test_a_trial_that_always_kills_has_failed_alone():
    with RayEvaluator(Plain(), Deadly()) as evaluator:
        results, together = answer_all(evaluator, trials(40, marked=[13]))
    failed = [r for r in results if r.status is TrialState.FAILED]
    assert [r.number for r in failed] == [13]
    assert failed[0].reason.startswith("given up after the death of 4 workers: The actor is dead")
    assert "\n" not in failed[0].reason
    assert [r.number for r in results] == list(range(40))
    numbers = next(numbers for numbers in together if 13 in numbers)
    assert numbers[numbers.index(10) :][:10] == list(range(10, 20)), "its chunk comes back whole"


def test_idle_workers_that_died_cost_a_chunk_one_death_in_all():
    with RayEvaluator(Plain(), Bowl(), chunk=1) as evaluator:
        while not all(worker.built for worker in evaluator._workers):  # one alone may answer everything
            answer_all(evaluator, trials(8))
        for worker in evaluator._workers:
            kill(worker.actor)
        evaluator.submit(trials(1, start=8))
        (call,) = [call for worker in evaluator._workers for call in worker.calls.values()]
        (result,) = evaluator.collect()
        assert result.status is TrialState.DONE
        assert call.deaths == 1


def kill(actor):
    """Ends an actor, and returns once Ray knows: until then it may still take and answer a call."""
    import ray

    ray.kill(actor)
    with contextlib.suppress(ray.exceptions.RayActorError):
        while True:
            ray.get(actor.ready.remote())


@pytest.mark.slow
def test_a_trial_over_the_time_limit_has_failed():
    # What answers at once must do so within the limit in one of three tries, on however busy a machine.
    with RayEvaluator(Plain(), Hanging(), workers=1, chunk=1, time_limit=5.0) as evaluator:
        results, _ = answer_all(evaluator, trials(3, marked=[1]))
    assert [r.status for r in results] == [TrialState.DONE, TrialState.FAILED, TrialState.DONE]
    assert results[1].reason == "given up after the death of 3 workers: it took longer than 5 s"


def test_collect_waits_no_longer_than_asked_and_close_ends_what_hangs():
    evaluator = RayEvaluator(Plain(), Hanging(), workers=1, chunk=2)
    evaluator.submit(trials(4, marked=[2]))
    assert [r.number for r in evaluator.collect()] == [0, 1]
    assert evaluator.collect(timeout=0.0) == []
    assert evaluator.collect(timeout=0.1) == []
    evaluator.close()
    evaluator.close()
    assert evaluator.collect() == []


def test_a_raising_target_ends_the_run_after_what_was_finished():
    with RayEvaluator(Plain(), Raising(ValueError("no signal")), workers=1) as evaluator:
        evaluator.submit(trials(20))
        for _ in range(2):  # and stays ended
            with pytest.raises(TargetError, match=r"\(Raising\) raised ValueError on trials .*: no signal") as caught:
                evaluator.collect()
        assert "raise self.error" in caught.value.__notes__[0]


def test_what_cannot_be_made_in_a_worker_is_raised_here_as_itself():
    with RayEvaluator("vqvae-cifar1", Bowl(), workers=1) as evaluator:
        evaluator.submit(trials(1))
        with pytest.raises(UnknownName, match="unknown generator 'vqvae-cifar1'; did you mean vqvae-cifar10"):
            evaluator.collect()


def test_an_object_that_cannot_travel():
    with pytest.raises(InputError, match=r"the target \(Unsendable\) cannot be sent to Ray workers: .*module:factory"):
        RayEvaluator(Plain(), Unsendable(), workers=1)
    with RayEvaluator(Plain(), Unreadable(), workers=1) as evaluator:
        evaluator.submit(trials(1))
        with pytest.raises(InputError, match="target cannot be used in a Ray worker: OSError: no weights here"):
            evaluator.collect()


@pytest.mark.slow
def test_workers_that_die_before_they_are_ready():
    with RayEvaluator(Plain(), "tests.evaluators.subjects:dying_factory", workers=1) as evaluator:
        evaluator.submit(trials(1))
        for _ in range(2):
            with pytest.raises(TargetError, match="3 workers in a row died while making generator and target: "):
                evaluator.collect()


def test_more_workers_than_cpus_and_two_evaluators_at_once():
    with RayEvaluator(Plain(), Bowl(), workers=3, chunk=2) as one, RayEvaluator(Plain(), Bowl(), workers=1) as other:
        for evaluator in (one, other):
            assert len(answer_all(evaluator, trials(20))[0]) == 20


def test_objects_in_a_worker_may_be_written_to():
    target = Counting()
    with RayEvaluator(Plain(), target, workers=1, chunk=1) as evaluator:
        results, _ = answer_all(evaluator, trials(3))
    assert [r.value for r in results] == [1.0, 2.0, 3.0]
    assert target.calls[0] == 0, "the worker has its own"


class Counting:
    def __init__(self):
        self.calls = np.zeros(100_000)

    def respond(self, stimuli):
        self.calls += 1
        return np.full(len(stimuli), self.calls[0])


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"workers": 0}, "workers must be a whole number >= 1; got 0"),
        ({"chunk": 0}, "chunk must be a whole number >= 1; got 0"),
        ({"concurrency": 0}, "concurrency must be a whole number >= 1; got 0"),
        ({"gpus": -0.5}, "gpus must be a share of one GPU, such as 0.5, or a whole number; got -0.5"),
        ({"gpus": 1.5}, "gpus must be a share of one GPU, such as 0.5, or a whole number; got 1.5"),
        ({"gpus": float("nan")}, "gpus must be .* got nan"),
        ({"time_limit": 0.0}, "time_limit must be a number of seconds > 0; got 0.0"),
        ({"time_limit": float("nan")}, "time_limit must be a number of seconds > 0; got nan"),
    ],
)
def test_bad_options(options, says):
    with pytest.raises(OptionError, match=says):
        RayEvaluator(Plain(), Bowl(), **options)


@pytest.mark.parametrize("gpus", [0.5, 1, 2])
def test_where_there_is_no_gpu_none_can_be_asked_for(gpus, monkeypatch):
    monkeypatch.setattr("ray.nodes", lambda: [{"Alive": True, "Resources": {"CPU": 2.0}}])
    says = f"gpus={gpus}, but Ray counts no GPU here; leave gpus out, or give the address of a cluster that has some"
    with pytest.raises(OptionError, match=f"each worker is to have {says}"):
        RayEvaluator(Plain(), Bowl(), gpus=gpus)


def test_another_cluster_than_the_connected_one_is_refused():
    with pytest.raises(InputError, match=r"Ray is already connected to .* workers cannot run at 10\.9\.8\.7:6379"):
        RayEvaluator(Plain(), Bowl(), address="10.9.8.7:6379")


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("127.0.0.1:1", r"Ray cannot be reached at '127\.0\.0\.1:1': .*refused; is its head node running\?"),
        ("somewhere", r"address of a Ray cluster is HOST:PORT, such as .*; got 'somewhere'"),
    ],
)
def test_an_address_without_a_cluster(address, says, monkeypatch):
    monkeypatch.setattr("ray.is_initialized", lambda: False)
    with pytest.raises(InputError, match=says):
        RayEvaluator(Plain(), Bowl(), address=address)


def test_closing_leaves_a_ray_that_was_there():
    import ray

    with RayEvaluator(Plain(), Bowl(), workers=1):
        pass
    assert ray.is_initialized()
