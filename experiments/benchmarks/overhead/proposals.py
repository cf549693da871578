"""Milliseconds per proposal, ask and tell, of `tt` beside the JAX implementation (package protes), side by side.

Each repetition runs both, one after the other, in fresh processes on one core; the first rounds, in which both compile,
are left out. Times are CPU times, which on an idle core are wall-clock times and on a shared one leave the neighbours
out; wall-clock times are kept beside them.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np

SIZES = ((576, 2), (64, 512), (128, 64))  # axes, points of each
BATCHES = ((10, 1), (100, 10))  # proposals of a batch, elites: those of the published settings
DEMANDED = 6.0  # times faster at batches of ten
WALL, CPU = 0, 1


def measure(
    *, repetitions: int = 5, rounds: int = 60, warm_up: int = 10, sizes: Sequence[tuple[int, int]] = SIZES
) -> dict[str, Any]:
    """Rows of figures, one for each size and batch.

    Args:
        repetitions: of each pair.
        rounds: counted in each.
        warm_up: rounds before them.
        sizes: axes, and points of each.
    """
    peers = ("mango", "protes") if find_spec("protes") else ("mango",)
    rows = []
    for d, n in sizes:
        for k, elites in BATCHES:
            times = [
                {peer: _times(peer, d, n, k, elites, rounds + warm_up) for peer in peers} for _ in range(repetitions)
            ]
            rows.append({"axes": d, "points": n, "batch": k, "elites": elites, **_figures(times, k, warm_up)})
    return {"repetitions": repetitions, "rounds": rounds, "warm_up": warm_up, "rows": rows}


def table(measured: dict[str, Any]) -> str:
    """The figures as a Markdown table."""
    lines = [
        "| axes x points | batch | mango ms | protes ms | times faster (range) | first batch: mango, protes s |",
        "|---|---|---|---|---|---|",
    ]
    for row in measured["rows"]:
        mango, protes = row["mango"], row.get("protes")
        cells = [f"{row['axes']} x {row['points']}", str(row["batch"]), f"{mango['cpu_ms']:.3f}"]
        if protes is None:
            cells += ["not installed", "", f"{mango['first_s']:.1f}"]
        else:
            middle, least, most = row["faster"]
            cells += [f"{protes['cpu_ms']:.3f}", f"{middle:.1f} ({least:.1f} to {most:.1f})"]
            cells += [f"{mango['first_s']:.1f}, {protes['first_s']:.1f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def verdict(measured: dict[str, Any]) -> str:
    """Whether the demand is met, in words."""
    small = [row["faster"][0] for row in measured["rows"] if row["batch"] == 10 and "faster" in row]
    if not small:
        return "protes is not installed, so there is no comparison: pip install 'mango-neuro[bench]'"
    return (
        f"At batches of ten mango is at least {min(small):.1f} times faster; demanded: {DEMANDED:g}: "
        f"{'met' if min(small) >= DEMANDED else 'NOT met'}."
    )


def _times(peer: str, d: int, n: int, k: int, elites: int, rounds: int) -> np.ndarray[Any, Any]:
    """Wall and CPU seconds of each round, ``(rounds, 2)``."""
    command = [
        sys.executable,
        "-m",
        "experiments.benchmarks.overhead.peers",
        peer,
        *map(str, (d, n, k, elites, rounds)),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[1:])} failed:\n{done.stderr}")
    return np.array(json.loads(done.stdout))


def _figures(times: list[dict[str, np.ndarray[Any, Any]]], k: int, warm_up: int) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    for peer in times[0]:
        steady = np.array([np.median(pair[peer][warm_up:], axis=0) for pair in times]) / k * 1e3
        figures[peer] = {
            "cpu_ms": float(np.median(steady[:, CPU])),
            "cpu_ms_each": steady[:, CPU].tolist(),
            "wall_ms_each": steady[:, WALL].tolist(),
            "first_s": float(np.median([pair[peer][0, WALL] for pair in times])),
        }
    if "protes" in figures:
        ratios = np.divide(figures["protes"]["cpu_ms_each"], figures["mango"]["cpu_ms_each"])
        figures["faster"] = [float(f(ratios)) for f in (np.median, np.min, np.max)]
    return figures
