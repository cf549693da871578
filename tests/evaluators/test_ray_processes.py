"""Ray beside whole processes: what a run prints, what ends it, and a cluster that loses a node."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow  # each starts a Ray of its own

ROOT = Path(__file__).parents[2]
PATIENCE = 300  # seconds; a machine may be busy

DYING = """
from mango.evaluators import RayEvaluator
from tests.evaluators.subjects import DeadlyAtFirst, Plain, answer_all, trials
import ray  # after mango, which tells it not to print

with RayEvaluator(Plain(), DeadlyAtFirst({folder!r}), workers=1) as evaluator:
    results, _ = answer_all(evaluator, trials(20, marked=[3]))
print(len(results), ray.is_initialized())
"""

GPUS = """
import ray
from mango.errors import OptionError
from mango.evaluators import RayEvaluator
from tests.evaluators.subjects import Plain, Visible, answer_all, trials

while not ray.is_initialized():  # it gives itself 30 seconds, too few where much else runs
    try:
        ray.init(num_cpus=2, num_gpus=1, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    except Exception:
        ray.shutdown()
for share in ({"workers": 2, "gpus": 0.5}, {"workers": 1, "gpus": 1}, {"workers": 2, "gpus": 1}, {"gpus": 2}):
    try:
        with RayEvaluator(Plain(), Visible(), chunk=1, **share) as evaluator:
            results, _ = answer_all(evaluator, trials(4))
            while any(worker.doing == "starting" for worker in evaluator.workers()):
                results, _ = answer_all(evaluator, trials(4))
            print([result.value for result in results])
    except OptionError as error:
        print(error)
"""

HANGING = """
import os
from mango.evaluators import RayEvaluator
from tests.evaluators.subjects import Hanging, Plain, trials

evaluator = RayEvaluator(Plain(), Hanging(), workers=1, chunk=1)
evaluator.submit(trials(2, marked=[1]))
worker = int(evaluator.collect()[0].value)
try:
    print(worker, flush=True)  # from here on a Ctrl-C may come
    evaluator.collect()
except KeyboardInterrupt:
    evaluator.close()
    print("closed", flush=True)
"""

NODES = """
import os, time
import ray
from ray.cluster_utils import Cluster
from mango.evaluators import LocalEvaluator, RayEvaluator
from tests.evaluators.subjects import Bowl, Plain, answer_all, outcome, trials

small = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
cluster = Cluster(initialize_head=True, head_node_args={**small, "include_dashboard": False})
second = cluster.add_node(**small)
cluster.wait_for_nodes(timeout=PATIENCE)

class OnNode(Bowl):
    def respond(self, stimuli, seeds=None):
        node = ray.get_runtime_context().get_node_id()
        open(os.path.join(FOLDER, node), "a").close()
        while len(os.listdir(FOLDER)) < 2:  # or the first node might answer everything before the second has begun
            time.sleep(0.01)
        return super().respond(stimuli, seeds)

asked = trials(200, repeats=2)
with RayEvaluator(Plain(), OnNode(), workers=2, address=cluster.address) as evaluator:
    left, results, used = list(asked), [], []
    while True:
        free = evaluator.free()
        now, left = left[:free], left[free:]
        evaluator.submit(now)
        if second is not None and len(results) >= 40:
            cluster.remove_node(second, allow_graceful=False)
            second, killed_at = None, len(results)
        if not (collected := evaluator.collect()):
            break
        results += collected
print("killed after", killed_at, "with", len(results), "of", len(asked))
expected, _ = answer_all(LocalEvaluator(Plain(), Bowl()), asked)
assert outcome(sorted(results, key=lambda r: r.number)) == outcome(expected)
print("same", ray.is_initialized())
cluster.shutdown()
"""


@contextlib.contextmanager
def running(code):
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def finish(process):
    """Its output, errors and exit code."""
    return *process.communicate(timeout=PATIENCE), process.returncode


def ends(pid):
    """Whether the process ends before long."""
    for _ in range(10 * PATIENCE):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False


def test_a_dead_worker_leaves_nothing_on_the_terminal(tmp_path):
    (tmp_path / "once").touch()
    with running(DYING.format(folder=str(tmp_path))) as process:
        assert finish(process) == ("20 False\n", "", 0)
    assert not list(tmp_path.iterdir())


def test_gpus_are_shared_among_workers():
    with running(GPUS) as process:
        output, errors, code = finish(process)
    assert code == 0, errors
    halves, whole, many, large = output.splitlines()
    assert halves == whole == "[0.0, 0.0, 0.0, 0.0]", "all see the first GPU"
    assert many.startswith("2 workers with gpus=1 each do not fit: Ray counts 1 GPU(s) here, enough for 1; ask for")
    assert large.startswith("2 workers with gpus=2 each do not fit: Ray counts 1 GPU(s) here, enough for 0; ask for")


def test_ctrl_c_closes_at_once():
    with running(HANGING) as process:
        worker = int(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        assert finish(process) == ("closed\n", "", 0)
    assert ends(worker)


def test_a_killed_run_takes_its_workers_with_it():
    with running(HANGING) as process:
        worker = int(process.stdout.readline())
        process.kill()
    assert ends(worker)


def test_a_node_of_a_cluster_is_killed_and_the_run_completes(tmp_path):
    with running(f"FOLDER, PATIENCE = {str(tmp_path)!r}, {PATIENCE}\n{NODES}") as process:
        output, errors, code = finish(process)
    assert code == 0, errors
    killed, same = output.splitlines()[-2:]
    assert killed.endswith("with 200 of 200")
    assert same == "same False"
