"""PBO: 23 pseudo-Boolean problems of 64 bits through ioh, in IOHprofiler's format (JSON and .dat).

Doerr, Ye, Horesh, Wang, Shir and Bäck (2020), "Benchmarking discrete optimization heuristics with IOHprofiler", Applied
Soft Computing 88. One cell is a method and a problem, with all seeds.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.benchmarks.bbob.methods import BINARY

PROBLEMS = tuple(range(1, 24))
SEEDS = (1, 2, 3, 4, 5)
BITS = 64
EVALUATIONS = 100  # times the number of bits
DONE = "done.json"

Cell = tuple[str, int]  # method, problem


def folder(out: Path, cell: Cell) -> Path:
    """Where the logger of a cell writes."""
    return out / "ioh" / cell[0] / f"f{cell[1]:02d}"


def measure(out: Path, cell: Cell, seeds: Sequence[int] = SEEDS, evaluations: int = EVALUATIONS * BITS) -> None:
    """Runs a cell, one run for each seed, unless these are there."""
    import ioh

    method, number = cell
    place = folder(out, cell)
    mark = place / DONE
    if mark.exists() and set(seeds) <= set(json.loads(mark.read_text())["seeds"]):
        return
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    started = time.process_time()
    problem = ioh.get_problem(number, 1, BITS, ioh.ProblemClass.PBO)
    logger = ioh.logger.Analyzer(root=str(place), folder_name="data", algorithm_name=method)
    problem.attach_logger(logger)

    def loss(code: Any) -> float:
        return -float(problem([int(bit) for bit in code]))

    for seed in seeds:
        BINARY[method](loss, BITS, evaluations, seed, binary=True)
        problem.reset()
    logger.close()
    note = {"seeds": list(seeds), "evaluations": evaluations, "cpu_s": time.process_time() - started}
    mark.write_text(json.dumps(note) + "\n")
