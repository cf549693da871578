"""Measures how fast spiking networks are evaluated, and how exactly, and draws it.

    python -m experiments.benchmarks.spiking [--smoke] [--only speed|exact|search] [--data DIR] [--out DIR]

Each network's figures are kept as soon as they are there, in files speed-*.json, exact-*.json and search.json under
--out; another run with the same --out measures only what is missing, and prints everything.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from experiments.benchmarks.conditions import commit, machine, versions
from experiments.benchmarks.spiking import exact, figure, images, networks, report, search, speed

PACKAGES = ("mango-neuro", "torch", "snntorch", "spikingjelly", "norse", "numba", "numpy")
OUT = Path("runs/benchmarks/spiking")
PARTS = ("speed", "exact", "search")


def main(arguments: list[str] | None = None) -> None:
    """Runs the benchmark from the command line."""
    parser = argparse.ArgumentParser(prog="python -m experiments.benchmarks.spiking", description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="a minute instead of an hour; the figures mean nothing")
    parser.add_argument("--only", choices=PARTS, help="one part instead of all")
    parser.add_argument("--networks", nargs="+", choices=list(networks.TABLE), help="some instead of all")
    parser.add_argument("--data", help="folder that holds CIFAR-10; without it natural images are the zoo's")
    parser.add_argument("--out", type=Path, help=f"folder for the figures ({OUT}; with --smoke {OUT}-smoke)")
    chosen = parser.parse_args(arguments)
    out = chosen.out or (Path(f"{OUT}-smoke") if chosen.smoke else OUT)
    out.mkdir(parents=True, exist_ok=True)
    about = out / "about.json"
    if not about.exists():
        about.write_text(json.dumps({"machine": machine(), "versions": _versions(), "data": bool(chosen.data)}) + "\n")
    cases = list(networks.available())
    cases = [name for name in cases if name in (chosen.networks or (["fc"] if chosen.smoke else cases))]
    parts = PARTS if chosen.only is None else (chosen.only,)
    if "speed" in parts:
        quick: dict[str, Any] = {"rounds": (1, 1), "batches": (1, 16), "ways": ("loop", "numba", "dense")}
        for name in cases:
            file = out / f"speed-{name}.json"
            _once(file, lambda name=name: speed.measure(name, chosen.data, **(quick if chosen.smoke else {})))  # type: ignore[misc]
    if "exact" in parts:
        few: dict[str, Any] = {"images": 4, "small": (1,)}
        for name in cases:
            for kind in images.KINDS:
                file = out / f"exact-{name}-{kind}.json"
                _once(file, lambda n=name, k=kind: exact.measure(n, k, chosen.data, **(few if chosen.smoke else {})))  # type: ignore[misc]
    if "search" in parts:
        short = {"evaluations": 20, "batch": 10}
        _once(out / "search.json", lambda: search.measure(**(short if chosen.smoke else {})))
    print(report.text(out))
    for name, png in figure.drawn(out).items():
        (out / name).write_bytes(png)


def _versions() -> dict[str, str]:
    """Of what is measured, where installed; and the commit, where the folder has one."""
    return versions(PACKAGES) | ({"commit": made} if (made := commit()) else {})


def _once(file: Path, measure: Callable[[], dict[str, Any]]) -> None:
    """Measures and keeps it, unless that was done."""
    if not file.exists():
        text = json.dumps(measure(), indent=1) + "\n"
        file.with_suffix(".part").write_text(text)
        file.with_suffix(".part").replace(file)
        print(f"{file.name} is there", flush=True)


if __name__ == "__main__":
    main()
