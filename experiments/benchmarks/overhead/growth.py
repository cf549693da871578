"""Time and memory per proposal against the number of axes and of past trials, beside pycma, cmaes and nevergrad."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

from experiments.benchmarks.overhead.lifelong import METHODS, QUADRATIC

AXES = (64, 128, 1024, 4096)
LONG = 128  # axes at which past trials go to 100,000; elsewhere to 10,000
BRIEF = ("auto", "pycma", "cmaes separable", "nevergrad DiagonalCMA")  # one method of each package
PACKAGE = {"pycma": "cma", "cmaes": "cmaes", "nevergrad": "nevergrad"}


def measure(
    *,
    methods: Sequence[str] = tuple(METHODS),
    axes: Sequence[int] = AXES,
    trials: int = 10_000,
    long: int = 100_000,
    seconds: float = 60.0,
) -> dict[str, Any]:
    """One row for each method, number of axes and mark that it reached; and what nevergrad could not run.

    Args:
        methods: in ``METHODS``.
        axes: of the box.
        trials: of each run.
        long: of the runs on `LONG` axes.
        seconds: of CPU time after which a run ends.
    """
    rows, failed = [], []
    for method in methods:
        if find_spec(PACKAGE.get(method.split()[0], "mango")) is None:
            continue
        for dim in axes:
            if dim > QUADRATIC.get(method, dim):
                continue
            command = [sys.executable, "-m", "experiments.benchmarks.overhead.lifelong", method]
            command += map(str, (dim, long if dim == LONG else trials, seconds))
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode and method.startswith("nevergrad"):  # some of its choices cannot be asked for a batch
                failed.append({"method": method, "axes": dim, "reason": done.stderr.strip().splitlines()[-1]})
                continue
            if done.returncode:
                raise RuntimeError(f"{' '.join(command[1:])} failed:\n{done.stderr}")
            rows += [{"method": method, "axes": dim, **mark} for mark in json.loads(done.stdout)]
    return {"seconds": seconds, "rows": rows, "failed": failed}


def table(measured: dict[str, Any]) -> str:
    """Milliseconds per proposal as a Markdown table; what was not reached in time stays empty."""
    rows = measured["rows"]
    columns = sorted({(row["axes"], row["past"]) for row in rows})
    lines = [f"| ms per proposal | {' | '.join(f'{dim} axes, {past:,}' for dim, past in columns)} | MB of state |"]
    lines.append("|---" * (len(columns) + 2) + "|")
    for method in dict.fromkeys(row["method"] for row in rows):
        own = {(row["axes"], row["past"]): row for row in rows if row["method"] == method}
        cells = [f"{own[column]['ms']:.3f}" if column in own else "" for column in columns]
        last = own[max(own)]
        lines.append(f"| {method} | {' | '.join(cells)} | {last['state_mb']:.2f} at {last['axes']} axes |")
    lines += [f"\n{row['method']} failed at {row['axes']} axes." for row in measured["failed"]]
    return "\n".join(lines)
