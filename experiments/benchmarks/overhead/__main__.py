"""Measures mango's own costs and prints them.

python -m experiments.benchmarks.overhead [--smoke] [--only proposals|loop|growth] [--out DIR]
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from experiments.benchmarks.conditions import machine, versions
from experiments.benchmarks.overhead import growth, loop, proposals

PACKAGES = ("mango-neuro", "numpy", "numba", "protes", "jax", "ray", "torch", "cma", "cmaes", "nevergrad")


def main(arguments: list[str] | None = None) -> None:
    """Runs the benchmark from the command line."""
    parser = argparse.ArgumentParser(prog="python -m experiments.benchmarks.overhead", description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="seconds instead of minutes; the figures mean nothing")
    parser.add_argument("--only", choices=("proposals", "loop", "growth"), help="one part instead of all")
    parser.add_argument("--out", type=Path, help="folder for overhead.json")
    chosen = parser.parse_args(arguments)
    measured: dict[str, Any] = {"machine": machine(), "versions": versions(PACKAGES)}
    print(f"{measured['machine']}; {', '.join(f'{k} {v}' for k, v in versions(PACKAGES).items())}\n")
    if chosen.only in (None, "proposals"):
        quick: dict[str, Any] = {"repetitions": 1, "rounds": 3, "warm_up": 2, "sizes": [(20, 4)]}
        each = proposals.measure(**(quick if chosen.smoke else {}))
        print(f"{proposals.table(each)}\n\n{proposals.verdict(each)}\n")
        measured["proposals"] = each
    if chosen.only in (None, "loop"):
        small: dict[str, Any] = {"evaluations": 40, "workers": 0, "generator": "identity:box:20", "target": "sphere"}
        whole = loop.measure(**(small if chosen.smoke else {"evaluations": 2000}))
        print(f"{loop.table(whole)}\n\n{loop.verdict(whole)}")
        measured["loop"] = whole
    if chosen.only in (None, "growth"):
        brief: dict[str, Any] = {"methods": growth.BRIEF, "axes": (64,), "trials": 100, "seconds": 1.0}
        lives = growth.measure(**(brief if chosen.smoke else {}))
        print(f"\n{growth.table(lives)}")
        measured["growth"] = lives
    if chosen.out is not None:
        chosen.out.mkdir(parents=True, exist_ok=True)
        (chosen.out / "overhead.json").write_text(json.dumps(measured, indent=1) + "\n")


if __name__ == "__main__":
    main()
