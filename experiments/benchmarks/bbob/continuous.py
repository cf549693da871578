"""BBOB: 24 functions through coco-experiment, written in COCO's own format by its observer.

One cell is a method, a function and a number of axes, with all instances; it has a folder of its own and is marked when
it is complete, so that a run may be stopped at any time and goes on where it was. Hansen et al. (2021), "COCO: a
platform for comparing continuous optimizers in a black-box setting", Optimization Methods and Software.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.benchmarks.bbob.methods import CONTINUOUS

FUNCTIONS = tuple(range(1, 25))
DIMENSIONS = (20, 40)
INSTANCES = (1, 2, 3, 4, 5)  # reported; what was developed was developed on instances above 100
EVALUATIONS = 100  # times the number of axes
DONE = "done.json"

Cell = tuple[str, int, int]  # method, function, axes


def cells(methods: Sequence[str], functions: Sequence[int], dimensions: Sequence[int]) -> list[Cell]:
    """All of them, method by method."""
    return [(method, f, dim) for method in methods for dim in dimensions for f in functions]


def folder(out: Path, cell: Cell) -> Path:
    """Where the observer of a cell writes; cocopp takes the folder above as one algorithm."""
    method, function, dim = cell
    return out / "exdata" / method / f"f{function:02d}_d{dim}"


def measure(out: Path, cell: Cell, instances: Sequence[int] = INSTANCES, evaluations: int = EVALUATIONS) -> None:
    """Runs a cell unless these instances of it are there.

    Args:
        out: of the benchmark.
        cell: method, function, axes.
        instances: of the function.
        evaluations: times the number of axes.
    """
    import cocoex

    out = out.resolve()
    cocoex.log_level("warning")
    place = folder(out, cell)
    mark = place / DONE
    if mark.exists() and set(instances) <= set(json.loads(mark.read_text())["instances"]):
        return
    shutil.rmtree(place, ignore_errors=True)
    place.parent.mkdir(parents=True, exist_ok=True)
    method, function, dim = cell
    before, seconds = Path.cwd(), time.process_time()
    os.chdir(out)  # the observer writes below exdata/ of the working directory
    try:
        relative = place.relative_to(out / "exdata")
        observer = cocoex.Observer("bbob", f"result_folder: {relative} algorithm_name: {method}")
        which = ",".join(map(str, instances))
        suite = cocoex.Suite("bbob", f"instances: {which}", f"dimensions: {dim} function_indices: {function}")
        for problem in suite:
            problem.observe_with(observer)
            CONTINUOUS[method](problem, dim, evaluations * dim, 1000 * function + problem.id_instance)
    finally:
        os.chdir(before)
    note: dict[str, Any] = {"instances": list(instances), "evaluations": evaluations * dim}
    mark.write_text(json.dumps(note | {"cpu_s": time.process_time() - seconds}) + "\n")
