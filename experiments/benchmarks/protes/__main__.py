"""Runs mango's methods on PROTES's problems, 10,000 calls each, and prints them beside the published values.

    python -m experiments.benchmarks.protes [--smoke] [--methods NAME ...] [--out DIR]

Each run (method, problem, seed) is kept as soon as it is complete; another run with the same --out makes only what is
missing. Constraints are not told to any method: it starts from uniform draws, and a forbidden control is only a large
loss. (PROTES itself was given a constraint-aware starting tensor on P-18 to P-20.)
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from experiments.benchmarks.conditions import machine, versions
from experiments.benchmarks.protes.problems import PUBLISHED, Problem, problem
from mango import SearchSpace, make_optimizer

METHODS = ("evolution", "tt", "ttopt")  # on grids auto is evolution
PROBLEMS = tuple(range(11, 21))
SEEDS, CALLS, BATCH = (1, 2, 3, 4, 5), 10_000, 20
PACKAGES = ("mango-neuro", "teneva-bm", "qubogen", "gekko", "numpy")
OUT = Path("runs/benchmarks/protes")


def main(arguments: list[str] | None = None) -> None:
    """Runs the benchmark from the command line."""
    parser = argparse.ArgumentParser(prog="python -m experiments.benchmarks.protes", description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="seconds instead of minutes; the figures mean nothing")
    parser.add_argument("--methods", nargs="+", help=f"some or others instead of {' '.join(METHODS)}")
    parser.add_argument("--out", type=Path, help=f"folder for the results ({OUT}; with --smoke {OUT}-smoke)")
    chosen = parser.parse_args(arguments)
    out = chosen.out or (Path(f"{OUT}-smoke") if chosen.smoke else OUT)
    out.mkdir(parents=True, exist_ok=True)
    print(f"{machine()}; {', '.join(f'{k} {v}' for k, v in versions(PACKAGES).items())}\n")
    numbers, seeds, calls = ((11, 15), (1,), 200) if chosen.smoke else (PROBLEMS, SEEDS, CALLS)
    methods = chosen.methods or METHODS
    for number in numbers:
        task = problem(number)
        for method in methods:
            for seed in seeds:
                file = out / f"{method}-P{number}-{seed}.json"
                if not file.exists():
                    file.write_text(json.dumps(search(task, method, seed, calls)) + "\n")
    print(table(out, methods))


def search(task: Problem, method: str, seed: int, calls: int) -> dict[str, Any]:
    """One run: its best loss, confirmed by teneva-bm, and its CPU seconds."""
    started = time.process_time()
    optimizer = make_optimizer(method, SearchSpace.grid(task.dim, 2), seed=seed, budget=calls)
    for _ in range(calls // BATCH):
        ids, codes, _ = optimizer.ask(BATCH)
        optimizer.tell(ids, -task.losses(codes))
    best = optimizer.recommend()
    found, confirmed = float(task.losses(best[None])[0]), task.confirmed(best)
    note = {"method": method, "problem": task.number, "seed": seed, "calls": calls, "batch": BATCH}
    return {**note, "loss": confirmed, "found": found, "cpu_s": time.process_time() - started, "code": best.tolist()}


def table(out: Path, methods: tuple[str, ...] | list[str]) -> str:
    """Medians over seeds as a Markdown table, and on how many problems each is at least as good as published PROTES."""
    runs = [json.loads(file.read_text()) for file in sorted(out.glob("*-P*.json"))]
    lines = [
        f"| problem | {' | '.join(methods)} | {' | '.join(f'{name}, published' for name in PUBLISHED)} |",
        "|---" * (1 + len(methods) + len(PUBLISHED)) + "|",
    ]
    won = dict.fromkeys(methods, 0)
    numbers = sorted({run["problem"] for run in runs})
    for number in numbers:
        cells = []
        for method in methods:
            losses = [run["loss"] for run in runs if (run["method"], run["problem"]) == (method, number)]
            cells.append(f"{np.median(losses):.5g}" if losses else "")
            won[method] += bool(losses) and float(np.median(losses)) <= float(PUBLISHED["PROTES"][number] or np.inf)
        theirs = ["failed" if (value := column[number]) is None else f"{value:.5g}" for column in PUBLISHED.values()]
        lines.append(f"| P-{number} | {' | '.join(cells)} | {' | '.join(theirs)} |")
    counts = ", ".join(f"{method} {count}" for method, count in won.items())
    return "\n".join(lines) + f"\n\nAt least as good as PROTES's published value, of {len(numbers)}: {counts}."


if __name__ == "__main__":
    main()
