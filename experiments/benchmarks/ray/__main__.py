"""Measures Ray workers beside plain processes and prints the figures.

python -m experiments.benchmarks.ray [--smoke] [--only computing|waiting|trivial] [--out DIR]
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

from experiments.benchmarks.conditions import machine, versions
from experiments.benchmarks.ray import computing, trivial, waiting
from mango.evaluators.ray import connected

PACKAGES = ("mango-neuro", "ray", "torch", "numpy")
PARTS: dict[str, Any] = {"computing": computing, "waiting": waiting, "trivial": trivial}
SMOKE: dict[str, dict[str, Any]] = {
    "computing": {"repeats": 1, "batches": 4, "generator": "identity:box:20", "target": "sphere"},
    "waiting": {"repeats": 1, "rounds": 2, "many": False},
    "trivial": {"repeats": 1, "calls": 10},
}


def main(arguments: list[str] | None = None) -> None:
    """Runs the benchmark from the command line."""
    parser = argparse.ArgumentParser(prog="python -m experiments.benchmarks.ray", description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="seconds instead of minutes; the figures mean nothing")
    parser.add_argument("--only", choices=list(PARTS), help="one part instead of all")
    parser.add_argument("--out", type=Path, help="folder for ray.json")
    chosen = parser.parse_args(arguments)
    measured: dict[str, Any] = {"machine": machine(), "versions": versions(PACKAGES)}
    print(f"{measured['machine']}; {', '.join(f'{k} {v}' for k, v in measured['versions'].items())}\n")
    with connected():
        for name, part in PARTS.items():
            if chosen.only in (None, name):
                before = os.getloadavg()[0]
                figures = part.measure(**(SMOKE[name] if chosen.smoke else {}))
                measured[name] = {**figures, "load": [before, os.getloadavg()[0]]}
                print(f"{part.report(figures)}\n\n{part.verdict(figures)} (Load before: {before:.1f}.)\n", flush=True)
    if chosen.out is not None:
        chosen.out.mkdir(parents=True, exist_ok=True)
        (chosen.out / "ray.json").write_text(json.dumps(measured, indent=1) + "\n")


if __name__ == "__main__":
    main()
