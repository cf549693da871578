"""Measures the service over HTTP on this machine, beside Optuna's and Vizier's, and prints the figures.

python -m experiments.benchmarks.service [--smoke] [--only blocks|growth|clients|peers] [--storage URL]
    [--vizier PYTHON] [--out DIR]
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from experiments.benchmarks.conditions import machine, versions
from experiments.benchmarks.service import blocks, compared, report

PACKAGES = (
    "mango-neuro",
    "numpy",
    "fastapi",
    "uvicorn",
    "pydantic",
    "sqlalchemy",
    "psycopg",
    "optuna",
    "cmaes",
    "grpcio",
)
MARKS = (100, 10_000, 100_000)  # past trials
FULL: dict[str, dict[str, Any]] = {
    "blocks": {"optimizers": ("random", "auto", "cma"), "rounds": 200},
    "growth": {"optimizer": "auto", "marks": MARKS, "rounds": 200},
    "clients": {"optimizer": "auto", "clients": 16, "rounds": 40},
    "peers": {"trials": 3, "rounds": 25},
}
SMOKE: dict[str, dict[str, Any]] = {
    "blocks": {"optimizers": ("random",), "rounds": 4, "dim": 8},
    "growth": {"optimizer": "random", "marks": (40, 1100), "rounds": 4, "dim": 8},
    "clients": {"optimizer": "random", "clients": 3, "rounds": 2, "dim": 8},
    "peers": {"trials": 1, "rounds": 2, "dim": 4},
}


def main(arguments: list[str] | None = None) -> None:
    """Runs the benchmark from the command line."""
    parser = argparse.ArgumentParser(prog="python -m experiments.benchmarks.service", description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="seconds instead of minutes; the figures mean nothing")
    parser.add_argument("--only", choices=list(FULL), help="one part instead of all")
    parser.add_argument("--storage", help="URL of an empty database; by default SQLite in a folder of its own")
    parser.add_argument("--vizier", default=sys.executable, help="Python that has google-vizier, which wants numpy 1")
    parser.add_argument("--out", type=Path, help="folder for service.json")
    chosen = parser.parse_args(arguments)
    sizes = SMOKE if chosen.smoke else FULL
    measured: dict[str, Any] = {"machine": machine(), "versions": versions(PACKAGES)}
    print(f"{measured['machine']}; {', '.join(f'{k} {v}' for k, v in measured['versions'].items())}\n")
    parts: dict[str, tuple[Callable[..., Any], Callable[[Any], str]]] = {
        "blocks": (blocks.measure, report.rows),
        "growth": (blocks.grow, report.rows),
        "clients": (blocks.many, lambda found: report.rows([found])),
        "peers": (compared.measure, report.peers),
    }
    for name, (measure, said) in parts.items():
        if chosen.only not in (None, name):
            continue
        with tempfile.TemporaryDirectory() as folder:
            storage = chosen.storage or f"sqlite:///{folder}/mango.db"
            more = {"vizier": chosen.vizier} if name == "peers" else {}
            before = os.getloadavg()[0]
            found = measure(storage, Path(folder), **sizes[name], **more)
        measured[name] = {"found": found, "load": [round(before, 1), round(os.getloadavg()[0], 1)]}
        print(f"{said(found)}\n\n(Load: {before:.1f} before, {os.getloadavg()[0]:.1f} after.)\n", flush=True)
    if chosen.out is not None:
        chosen.out.mkdir(parents=True, exist_ok=True)
        (chosen.out / "service.json").write_text(json.dumps(measured, indent=1) + "\n")


if __name__ == "__main__":
    main()
