"""One optimizer asked and told for many trials in a process of its own, on one core; prints its costs as JSON.

    python -m experiments.benchmarks.overhead.lifelong METHOD AXES TRIALS SECONDS

Batches of 20 on a box with a normal prior; the values are those of a sphere with a little noise, so that no method
comes to its end. Written down at 100, 1,000, 10,000 and 100,000 past trials, as far as TRIALS and SECONDS of CPU time
reach: milliseconds of CPU time per proposal, ask and tell, over the batches before that mark, and bytes of state:
what mango stores for a resume, a pickle for the others.
"""

from __future__ import annotations

import json
import pickle
import resource
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from experiments.benchmarks.overhead.peers import one_core

BATCH, SEED = 20, 0
MARKS = (100, 1_000, 10_000, 100_000)
WINDOW = 10  # batches that are timed before each mark

Round = Callable[[Callable[[Any], Any]], None]  # asks for a batch, gives it to the target, tells the values
Size = Callable[[], int]


def mango(name: str) -> Callable[[int, int], tuple[Round, Size]]:
    """One of mango's; `tt` and `quasi-newton` take the box as it is."""

    def make(dim: int, trials: int) -> tuple[Round, Size]:
        from mango import SearchSpace, make_optimizer

        space = SearchSpace.box(dim, -3.0, 3.0, prior="normal")
        optimizer = make_optimizer(name, space, seed=SEED, budget=trials)

        def go(target: Callable[[Any], Any]) -> None:
            ids, codes, _ = optimizer.ask(BATCH)
            optimizer.tell(ids, -target(codes))

        def size() -> int:
            return sum(np.asarray(part).nbytes for part in optimizer.state_dict().values())

        return go, size

    return make


def pycma(dim: int, trials: int, *, diagonal: bool = False) -> tuple[Round, Size]:
    """pycma, told whole generations of 20."""
    import cma

    options = {"popsize": BATCH, "seed": SEED + 1, "verbose": -9, "CMA_diagonal": diagonal, "maxfevals": trials}
    strategy = cma.CMAEvolutionStrategy(np.zeros(dim), 0.8, options)

    def go(target: Callable[[Any], Any]) -> None:
        asked = strategy.ask()
        strategy.tell(asked, target(np.array(asked)).tolist())

    return go, lambda: len(pickle.dumps(strategy))


def pycma_diagonal(dim: int, trials: int) -> tuple[Round, Size]:
    """The same with a diagonal covariance."""
    return pycma(dim, trials, diagonal=True)


def cmaes(dim: int, trials: int) -> tuple[Round, Size]:  # noqa: ARG001 (it plans by no budget)
    """The package cmaes, separable."""
    from cmaes import SepCMA

    strategy = SepCMA(mean=np.zeros(dim), sigma=0.8, seed=SEED, population_size=BATCH)

    def go(target: Callable[[Any], Any]) -> None:
        asked = [strategy.ask() for _ in range(BATCH)]
        strategy.tell(list(zip(asked, target(np.array(asked)).tolist(), strict=True)))

    return go, lambda: len(pickle.dumps(strategy))


def nevergrad(name: str) -> Callable[[int, int], tuple[Round, Size]]:
    """One of nevergrad's."""

    def make(dim: int, trials: int) -> tuple[Round, Size]:
        import nevergrad as ng

        parametrization = ng.p.Array(init=np.zeros(dim)).set_bounds(-3.0, 3.0)
        parametrization.random_state = np.random.RandomState(SEED)
        optimizer = ng.optimizers.registry[name](parametrization, budget=trials, num_workers=BATCH)

        def go(target: Callable[[Any], Any]) -> None:
            asked = [optimizer.ask() for _ in range(BATCH)]
            values = target(np.array([candidate.value for candidate in asked]))
            for candidate, value in zip(asked, values.tolist(), strict=True):
                optimizer.tell(candidate, value)

        return go, lambda: len(pickle.dumps(optimizer))

    return make


METHODS: dict[str, Callable[[int, int], tuple[Round, Size]]] = {
    "auto": mango("auto"),
    "tt": mango("tt"),
    "cma-diagonal": mango("cma-diagonal"),
    "pycma": pycma,
    "pycma diagonal": pycma_diagonal,
    "cmaes separable": cmaes,
    "nevergrad NGOpt": nevergrad("NGOpt"),
    "nevergrad DiagonalCMA": nevergrad("DiagonalCMA"),
}
QUADRATIC = {"pycma": 1024}  # most axes of methods that keep a matrix of all axes


def lives(method: str, dim: int, trials: int, seconds: float) -> list[dict[str, float]]:
    """What it costs at each mark."""
    go, size = METHODS[method](dim, trials)
    rng, spent, start = np.random.default_rng(SEED), 0.0, time.process_time()

    def target(codes: Any) -> Any:
        nonlocal spent
        before = time.process_time()
        values = np.square(codes - 1).sum(1) + rng.normal(size=len(codes))
        spent += time.process_time() - before
        return values

    marks: list[dict[str, float]] = []
    window: list[float] = []
    for batch in range(1, trials // BATCH + 1):
        before = time.process_time() - spent
        go(target)
        window = [*window, time.process_time() - spent - before][-WINDOW:]
        if batch * BATCH in MARKS:
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            median = float(np.median(window[1:] if batch == MARKS[0] // BATCH else window))
            marks.append(
                {"past": batch * BATCH, "ms": 1e3 * median / BATCH, "state_mb": size() / 1e6, "rss_mb": memory}
            )
        if time.process_time() - start > seconds:
            break
    return marks


if __name__ == "__main__":
    one_core()
    warnings.simplefilter("ignore")
    print(json.dumps(lives(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))))
