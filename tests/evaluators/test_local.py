import subprocess
import sys

import pytest

from mango.errors import OptionError, TargetError, UnknownName
from mango.evaluators import LocalEvaluator, evaluate
from tests.evaluators.subjects import Answering, Bowl, Plain, Raising, answer_all, outcome, trials


def test_chunks_come_back_whole_and_in_order():
    with LocalEvaluator(Plain(), Bowl(), chunk=10) as evaluator:
        results, together = answer_all(evaluator, trials(25))
    assert together == [list(range(10)), list(range(10, 20)), list(range(20, 25))]
    parts = (trials(25)[:10], trials(25)[10:20], trials(25)[20:])
    assert outcome(results) == outcome([r for part in parts for r in evaluate(Plain(), Bowl(), part)])


def test_free_counts_what_is_held_and_what_waits():
    evaluator = LocalEvaluator(Plain(), Bowl(), chunk=4)
    assert evaluator.free() == 4
    evaluator.submit(trials(3))
    assert evaluator.free() == 1
    evaluator.submit(trials(1, start=3))
    assert evaluator.free() == 0
    assert len(evaluator.collect(timeout=0.0)) == 4
    assert evaluator.free() == 4
    assert evaluator.collect() == []


def test_the_chunk_is_the_targets_batch_size_unless_another_is_given():
    target = Answering(0.5)
    assert LocalEvaluator(Plain(), target).free() == 10
    target.batch_size = 7
    assert LocalEvaluator(Plain(), target).free() == 7
    assert LocalEvaluator(Plain(), target, chunk=3).free() == 3
    target.batch_size = None
    assert LocalEvaluator(Plain(), target).free() == 10
    target.batch_size = 0
    with pytest.raises(OptionError, match="batch_size of the target must be a whole number >= 1; got 0"):
        LocalEvaluator(Plain(), target)


def test_seconds_are_summed():
    evaluator = LocalEvaluator(Plain(), Bowl())
    results, _ = answer_all(evaluator, trials(25))
    assert evaluator.seconds_target == pytest.approx(sum(r.seconds for r in results))
    assert evaluator.seconds_target > 0


def test_a_raising_target_is_raised_by_collect():
    evaluator = LocalEvaluator(Plain(), Raising(RuntimeError("no signal")))
    evaluator.submit(trials(2))
    with pytest.raises(TargetError, match="RuntimeError on trials 0 to 1: no signal"):
        evaluator.collect()


def test_close_forgets_and_may_be_repeated():
    evaluator = LocalEvaluator(Plain(), Bowl(), chunk=4)
    evaluator.submit(trials(6))
    evaluator.close()
    evaluator.close()
    assert evaluator.collect() == []
    assert evaluator.free() == 4


def test_names_and_bad_options():
    evaluator = LocalEvaluator("identity:box:6", "sphere")
    assert evaluator.generator.space.dim == 6
    evaluator.submit(trials(1))
    assert evaluator.collect()[0].value == pytest.approx(-(trials(1)[0].code ** 2).sum())
    with pytest.raises(UnknownName, match="unknown generator 'vqvae-cifar1'; did you mean vqvae-cifar10"):
        LocalEvaluator("vqvae-cifar1", "sphere")
    with pytest.raises(OptionError, match="chunk must be a whole number >= 1; got 0"):
        LocalEvaluator(Plain(), Answering(0.0), chunk=0)


def test_importing_the_local_evaluator_imports_neither_ray_nor_torch():
    code = "import sys; from mango.evaluators import LocalEvaluator; print({'ray', 'torch'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
