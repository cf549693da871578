"""``python -m experiments.benchmarks.tt_ablation``: runs what is missing in the output folder, then prints the tables.

One process, one core; finished runs are kept, so that a run that was stopped goes on.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from experiments.benchmarks.tt_ablation import problems, report
from experiments.benchmarks.tt_ablation.variants import DISCRETE, PARTS, PEERS, Make
from mango.evaluators.threads import one_thread

BUDGETS = (100, 300, 1_000)
BATCH = 20
SEEDS = (0, 1)
DISCRETE_SEEDS = (0, 1, 2)
CHARTS = ("frequencies:64", "principal:64")
RAW = "raw labels"


class Run(NamedTuple):
    """One search: where, what, how, with which seed."""

    place: str
    problem: str
    method: str
    seed: int

    @property
    def name(self) -> str:
        """Of its file."""
        return "".join(c if c.isalnum() else "-" for c in f"{self.place} {self.problem} {self.method} {self.seed}")


def main(arguments: list[str] | None = None) -> None:
    """Runs the benchmark from the command line."""
    parser = argparse.ArgumentParser(prog="python -m experiments.benchmarks.tt_ablation", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/tt_ablation"))
    parser.add_argument("--smoke", action="store_true", help="one unit, one seed, 60 evaluations; figures mean nothing")
    parser.add_argument("--minutes", type=float, help="start no further run after so many minutes")
    chosen = parser.parse_args(arguments)
    chosen.out.mkdir(parents=True, exist_ok=True)
    budget, runs = (60, list(smoke())) if chosen.smoke else (BUDGETS[-1], list(grid()))
    end = time.monotonic() + 60 * chosen.minutes if chosen.minutes is not None else None
    files = {run: chosen.out / f"{run.name}{'-smoke' * chosen.smoke}.json" for run in runs}
    for run, kept in files.items():
        if kept.exists() or (end is not None and time.monotonic() > end):
            continue
        kept.write_text(json.dumps({**run._asdict(), **search(run, budget)}) + "\n")
    rows = [json.loads(kept.read_text()) for kept in files.values() if kept.exists()]
    print(report.text(rows, tuple(b for b in BUDGETS if b <= budget) or (budget,)))


def grid() -> Iterator[Run]:
    """All runs, the discrete problems first, the slow surrogates last within each seed."""
    for name, method, seed in product(problems.discrete(), DISCRETE, DISCRETE_SEEDS):
        yield Run("discrete", name, method, seed)
    surrogates = [method for method in (*PEERS, *PARTS) if "surrogate" in method]
    peers, parts = ([method for method in table if method not in surrogates] for table in (PEERS, PARTS))
    for seed in SEEDS:
        for chart, methods in (
            (CHARTS[0], peers),
            (RAW, ["published"]),
            (CHARTS[0], parts),
            (CHARTS[1], peers),
            (CHARTS[0], surrogates),
        ):
            for method, unit in product(methods, problems.UNITS):
                yield Run(chart, unit, method, seed)


def smoke() -> Iterator[Run]:
    """One run of every kind."""
    for method in (*PEERS, *PARTS):
        yield Run(CHARTS[0], problems.UNITS[1], method, 0)
    yield Run(RAW, problems.UNITS[1], "published", 0)
    yield Run("discrete", "QUBO, 60 x 2", "tt", 0)


def search(run: Run, budget: int) -> dict[str, Any]:
    """Best value after each batch, and milliseconds of ask and tell for each proposal."""
    problem = problems.discrete()[run.problem] if run.place == "discrete" else problems.unit(run.problem)
    make: Make = {**PEERS, **PARTS, **DISCRETE}[run.method]
    chart = run.place if run.place in CHARTS else None
    optimizer = make(problem.space, seed=run.seed, natural=problem.natural, chart=chart, budget=budget)
    best, curve, spent = -np.inf, [], 0.0
    with one_thread():
        for _ in range(budget // BATCH):
            start = time.process_time()
            ids, codes, _ = optimizer.ask(BATCH)
            spent += time.process_time() - start
            values, keys = problem.answer(codes)
            start = time.process_time()
            optimizer.tell(ids, values, keys=keys)
            spent += time.process_time() - start
            best = max(best, float(values.max()))
            curve.append(best)
    return {"batch": BATCH, "median": problem.median, "curve": curve, "ms": 1e3 * spent / budget}


if __name__ == "__main__":
    main()
