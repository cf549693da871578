"""One optimizer on one problem in a process of its own, on one core; prints the time of each round as JSON.

    python -m experiments.benchmarks.overhead.peers {mango,protes} D N K ELITES ROUNDS

A round is all that is not the target: learning from K values and handing out K new proposals as numpy arrays.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

import numpy as np

RATE, RANK, SEED = 0.05, 5, 0
Rounds = list[tuple[float, float]]  # wall and CPU seconds of each


def mango(d: int, n: int, k: int, elites: int, rounds: int) -> Rounds:
    """Ask and tell of the same method in `mango` (`tt-exp`), all of it."""
    from mango import SearchSpace, make_optimizer

    values = np.random.default_rng(SEED)
    space = SearchSpace.grid(d, n)
    optimizer = make_optimizer(
        "tt-exp", space, seed=SEED, binary=False, rank=RANK, batch=k, elites=elites, rate=RATE, steps=1
    )
    proposals = optimizer.ask(k)
    times: Rounds = []
    for _ in range(rounds):
        told = values.random(k)
        wall, cpu = time.perf_counter(), time.process_time()
        optimizer.tell(proposals.ids, told)
        proposals = optimizer.ask(k)
        times.append((time.perf_counter() - wall, time.process_time() - cpu))
    return times


def protes(d: int, n: int, k: int, elites: int, rounds: int) -> Rounds:
    """The authors' implementation in JAX, between the end of one call of its target and the proposals of the next."""
    from protes import protes as search

    values = np.random.default_rng(SEED)
    times: Rounds = []
    since: list[tuple[float, float]] = []

    def target(proposals: Any) -> Any:
        np.asarray(proposals)  # waits until they are there
        now = time.perf_counter(), time.process_time()
        if since:
            times.append((now[0] - since[-1][0], now[1] - since[-1][1]))
        told = values.random(k)
        since.append((time.perf_counter(), time.process_time()))
        return told

    search(target, d, n, m=k * (rounds + 1), k=k, k_top=elites, k_gd=1, lr=RATE, r=RANK, seed=SEED)
    return times


PEERS = {"mango": mango, "protes": protes}


def one_core() -> None:
    """Keeps this process, and the threads that it will start, on one core, where the system can."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


if __name__ == "__main__":
    one_core()
    print(json.dumps(PEERS[sys.argv[1]](*map(int, sys.argv[2:]))))
