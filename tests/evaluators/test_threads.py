"""What uses threads, asked in fresh processes: the libraries loaded before, and in which order, decide."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from threadpoolctl import threadpool_info

from mango.evaluators.threads import one_thread

ROOT = Path(__file__).parents[2]
COUNTS = """
import json, sys, threading
from threadpoolctl import threadpool_info
from mango.evaluators.threads import one_thread, pin_one_thread

def counts():
    import numba, torch
    mkl = [line.split()[-1] for line in torch.__config__.parallel_info().splitlines() if "mkl_get_max" in line]
    pools = [library["num_threads"] for library in threadpool_info()]
    return {"torch": torch.get_num_threads(), "numba": numba.get_num_threads(), "mkl": mkl, "pools": pools}

def elsewhere():
    found = []
    thread = threading.Thread(target=lambda: found.append(counts()))
    thread.start()
    thread.join()
    return found[0]
"""


def run(code, **environment):
    """What a fresh process prints, where four threads are the default."""
    usual = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    four = {"OMP_NUM_THREADS": "4", "NUMBA_NUM_THREADS": "4", **environment}
    given = {**usual, **{name: value for name, value in four.items() if value}}
    command = [sys.executable, "-c", COUNTS + code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=given, cwd=ROOT)
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_one_thread_holds_inside_and_only_inside():
    def threads():
        return [library["num_threads"] for library in threadpool_info()]

    before = threads()
    assert before, "numpy brings a BLAS that threadpoolctl knows"
    with one_thread():
        assert set(threads()) == {1}
    assert threads() == before


@pytest.mark.slow
def test_torch_with_its_own_mkl_and_numba_are_held_too():
    before, within, after = run(
        """
import torch
counts()  # loads all that there is
torch.set_num_threads(4)  # from here on MKL has a number of its own, which OpenMP's does not change
print(json.dumps(counts()))
with one_thread():
    print(json.dumps(counts()))
print(json.dumps(counts()))
"""
    )
    assert (before["torch"], before["numba"]) == (4, 4)
    assert (within["torch"], within["numba"], set(within["mkl"]) | {"1"}) == (1, 1, {"1"})
    assert set(within["pools"]) == {1}
    assert after == before


@pytest.mark.slow
def test_one_thread_holds_for_what_is_first_imported_within():
    code = """
from os import environ
with one_thread():
    import torch
    print(torch.get_num_threads())
print(json.dumps([torch.get_num_threads(), environ.get("OMP_NUM_THREADS"), environ.get("MKL_NUM_THREADS")]))
"""
    assert run(code) == [1, [4, "4", None]]
    assert run(code, OMP_NUM_THREADS="") == [1, [os.cpu_count(), None, None]]


@pytest.mark.slow
def test_one_thread_holds_for_each_of_two_that_overlap():
    first_alone, both, last_alone, after = run(
        """
counts()
entered, left, done = threading.Event(), threading.Event(), threading.Event()

def other():
    entered.wait()
    with one_thread():
        print(json.dumps(counts()))
        left.set()
        done.wait()
        print(json.dumps(counts()))

thread = threading.Thread(target=other)
thread.start()
with one_thread():
    print(json.dumps(counts()))
    entered.set()
    left.wait()
done.set()
thread.join()
print(json.dumps(counts()))
"""
    )
    for found in (first_alone, both, last_alone):
        assert (found["torch"], found["numba"]) == (1, 1)
        assert set(found["mkl"]) <= {"1"}
        assert set(found["pools"]) == {1}
    assert after["numba"] == 4
    assert set(after["mkl"]) <= {"4"}
    assert 4 in after["pools"]


@pytest.mark.slow
@pytest.mark.parametrize("when", ["", "import numba, torch; counts()"])
def test_a_pinned_process_stays_so_in_all_its_threads(when):
    here, there = run(f"{when}\npin_one_thread()\nprint(json.dumps(counts()))\nprint(json.dumps(elsewhere()))\n")
    for found in (here, there):
        assert found["torch"] == 1
        assert set(found["mkl"]) <= {"1"}
    assert here["numba"] == 1
    assert there["numba"] == (4 if when else 1), "numba counts for each thread; evaluations ask for one once more"
