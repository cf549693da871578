"""Runs mango's `auto` and its peers on BBOB and PBO, and draws the share of targets reached against evaluations.

    python -m experiments.benchmarks.bbob [--smoke] [--only bbob|pbo] [--methods NAME ...]
                                           [--instances I ...] [--workers N] [--out DIR]

Each cell (method, function, axes) is kept as soon as it is complete; another run with the same --out measures only what
is missing, and draws everything. Below --out, exdata/ is COCO's format and ioh/ IOHprofiler's; draw the first with
cocopp: python -m cocopp -o DIR/ppdata DIR/exdata/auto DIR/exdata/pycma DIR/exdata/NGOpt
"""

from __future__ import annotations

import argparse
import json
import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from experiments.benchmarks.bbob import binary, continuous, ecdf
from experiments.benchmarks.conditions import machine, versions

PACKAGES = ("mango-neuro", "coco-experiment", "cocopp", "ioh", "cma", "nevergrad", "numpy")
OUT = Path("runs/benchmarks/bbob")
PARTS = ("bbob", "pbo")


def main(arguments: list[str] | None = None) -> None:
    """Runs the benchmark from the command line."""
    parser = argparse.ArgumentParser(prog="python -m experiments.benchmarks.bbob", description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="seconds instead of an hour; the figures mean nothing")
    parser.add_argument("--only", choices=PARTS, help="one part instead of both")
    parser.add_argument("--methods", nargs="+", help="some instead of all; the figures have all that are complete")
    parser.add_argument("--instances", nargs="+", type=int, help="of BBOB's functions, instead of 1 to 5")
    parser.add_argument("--workers", type=int, default=1, help="processes, each on one core (1)")
    parser.add_argument("--out", type=Path, help=f"folder for the results ({OUT}; with --smoke {OUT}-smoke)")
    chosen = parser.parse_args(arguments)
    out = (chosen.out or (Path(f"{OUT}-smoke") if chosen.smoke else OUT)).resolve()
    out.mkdir(parents=True, exist_ok=True)
    about = out / "about.json"
    if not about.exists():
        about.write_text(json.dumps({"machine": machine(), "versions": versions(PACKAGES)}, indent=1) + "\n")
    jobs: list[tuple[Any, ...]] = []
    if chosen.only != "pbo":
        size: dict[str, Any] = {"functions": (1, 8), "dimensions": (20,)} if chosen.smoke else {}
        which = tuple(chosen.instances or ((1,) if chosen.smoke else continuous.INSTANCES))
        evaluations = 5 if chosen.smoke else continuous.EVALUATIONS
        names = [name for name in continuous.CONTINUOUS if name in (chosen.methods or continuous.CONTINUOUS)]
        grid = {"functions": continuous.FUNCTIONS, "dimensions": continuous.DIMENSIONS} | size
        jobs += [(continuous.measure, out, cell, which, evaluations) for cell in continuous.cells(names, **grid)]
    if chosen.only != "bbob":
        problems, quick = ((1, 2), ((1,), 50)) if chosen.smoke else (binary.PROBLEMS, ())
        names = [name for name in binary.BINARY if name in (chosen.methods or binary.BINARY)]
        jobs += [(binary.measure, out, (name, problem), *quick) for name in names for problem in problems]
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = "1"  # for the processes to come
    with ProcessPoolExecutor(chosen.workers, mp_context=get_context("spawn")) as pool:
        for done, future in enumerate([pool.submit(*job) for job in jobs], 1):
            future.result()
            print(f"\r{done} of {len(jobs)} cells", end="", flush=True)
    print("\n")
    results = ecdf.collected(out)
    print(ecdf.table(results))
    ecdf.written(results, out)


if __name__ == "__main__":
    main()
