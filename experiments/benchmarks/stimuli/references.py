"""What is known to be reachable for each unit, found before any run that is scored, from other seeds.

    python -m experiments.benchmarks.stimuli.references [--units tune|report|NAME ...] [--budget N] [--methods ...]
        [--workers N] [--out DIR]

R of a unit is the largest noise-free value that any part of the budget found: all codes of one label everywhere,
natural images, long searches by many methods, and surrogate-gradient ascent, which looks inside the network. Every part
is kept in references.jsonl under --out as soon as it is done, and another call does what is missing; at the end
references.json, beside this file, gets the units whose parts are complete.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import track

from experiments.benchmarks.stimuli import gradient, results
from experiments.benchmarks.stimuli.methods import ALL_NATURAL, TABLE
from experiments.benchmarks.stimuli.parallel import finished
from experiments.benchmarks.stimuli.problems import Problem, natural
from experiments.benchmarks.stimuli.search import search
from experiments.benchmarks.stimuli.tasks import Task
from experiments.benchmarks.stimuli.units import NETWORK, PARTS, Unit, load
from mango.evaluators.threads import one_thread

FILE = Path(__file__).with_name("references.json")
OUT = Path("runs/benchmarks/stimuli-references")
RUNS = "references.jsonl"
BUDGET = 30_000
SEED = 1_000  # the benchmark's seeds are small
BATCH = 40
METHODS = (
    "natural/auto",
    "chart/auto",
    "natural/cma",
    "chart/cma",
    "chart/cma-diagonal",
    "chart/tt",
    "natural/evolution",
    "natural/genetic",
)
UNIFORM, NATURAL, GRADIENT = "uniform codes", "natural images", "gradient"
ASCENT = 50  # steps of one ascent
SHARES = {NATURAL: 1 / 6, GRADIENT: 1 / 15}  # of the budget; methods have the rest


@dataclass(frozen=True)
class Part:
    """Some of a unit's budget.

    Attributes:
        unit: that is searched.
        name: a method, or one of the three others.
        evaluations: of it.
    """

    unit: Unit
    name: str
    evaluations: int

    @property
    def key(self) -> str:
        """That names it among all."""
        return f"{self.unit.target} {self.name} {self.evaluations}"


def parts(unit: Unit, labels: int, budget: int = BUDGET, methods: Sequence[str] = METHODS) -> list[Part]:
    """How the budget is spent; natural images are at most as many as there are."""
    ascents = max(1, round(SHARES[GRADIENT] * budget / (ASCENT * gradient.ROWS))) * ASCENT * gradient.ROWS
    spent = {UNIFORM: labels, NATURAL: min(ALL_NATURAL, int(SHARES[NATURAL] * budget)), GRADIENT: ascents}
    each = max(1, (budget - sum(spent.values())) // len(methods))
    return [Part(unit, name, n) for name, n in (spent | dict.fromkeys(methods, each)).items()]


def find(part: Part) -> dict[str, Any]:
    """The part's largest noise-free value."""
    if part.name in TABLE:
        task = Task(part.unit, "none", BATCH, part.name, SEED, part.evaluations, (part.evaluations,))
        value = search(task)["value"][-1]
    else:
        with one_thread():
            value = _found(part)
    return {"key": part.key, "value": value}


def load_references(network: str = NETWORK, file: Path = FILE) -> dict[str, float]:
    """R by unit."""
    rows = json.loads(file.read_text()) if file.exists() else []
    return {row["unit"]: row["reference"] for row in rows if row["network"] == network}


def main(arguments: list[str] | None = None) -> None:
    """Finds what is missing."""
    parser = argparse.ArgumentParser(prog="python -m experiments.benchmarks.stimuli.references", description=__doc__)
    parser.add_argument("--network", default=NETWORK)
    parser.add_argument("--units", nargs="+", default=list(PARTS))
    parser.add_argument("--budget", type=int, default=BUDGET, help=f"evaluations for each unit ({BUDGET:,})")
    parser.add_argument("--methods", nargs="+", choices=list(TABLE), default=list(METHODS), metavar="NAME")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="0: in this process, without Ray")
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--file", type=Path, default=FILE, help="that gets the references")
    chosen = parser.parse_args(arguments)
    chosen.out.mkdir(parents=True, exist_ok=True)
    units = [u for u in load(chosen.network) if u.part in chosen.units or u.name in chosen.units]
    if not units or (unknown := set(chosen.units) - set(PARTS) - {u.name for u in units}):
        names = ", ".join(sorted(unknown)) if units else " ".join(chosen.units)
        raise SystemExit(f"unknown units: {names}; expected tune, report, or names in units.json")
    labels = len(Problem(units[0]).space.embedding)  # type: ignore[arg-type]
    wanted = {unit: parts(unit, labels, chosen.budget, chosen.methods) for unit in units}
    kept = chosen.out / RUNS
    known = {row["key"]: row["value"] for row in results.read(kept)}
    missing = [part for some in wanted.values() for part in some if part.key not in known]
    for row in track(finished(find, missing, chosen.workers), description="references", total=len(missing)):
        results.append(kept, row)
        known[row["key"]] = row["value"]
    rows = [_row(some, known) for some in wanted.values()]
    replaced = {(row["network"], row["unit"]) for row in rows}
    before = json.loads(chosen.file.read_text()) if chosen.file.exists() else []
    rows += [row for row in before if (row["network"], row["unit"]) not in replaced]
    rows.sort(key=lambda row: (row["network"], row["unit"]))
    chosen.file.write_text("[\n" + ",\n".join(f" {json.dumps(row)}" for row in rows) + "\n]\n")


def _found(part: Part) -> float:
    problem = Problem(part.unit)
    dim = problem.space.dim
    if part.name == UNIFORM:
        codes = np.repeat(np.arange(part.evaluations)[:, None], dim, axis=1)
        return float(problem.values(codes).max())
    if part.name == NATURAL:
        return float(problem.values(natural(part.evaluations)).max())
    shown = natural(ALL_NATURAL)[-1_000:]  # not counted; other ones than methods begin with
    best = shown[np.argsort(-problem.values(shown), kind="stable")]
    ascents = part.evaluations // (ASCENT * gradient.ROWS)
    starts = [best[gradient.ROWS * i :][: gradient.ROWS] for i in range(ascents)]
    return max(gradient.ascend(problem, start, ASCENT) for start in starts)


def _row(some: Sequence[Part], known: dict[str, float]) -> dict[str, Any]:
    """What is written down for a unit."""
    values = {part.name: known[part.key] for part in some}
    best = max(values, key=lambda name: values[name])
    unit = some[0].unit
    return {
        "network": unit.network,
        "unit": unit.name,
        "reference": values[best],
        "by": best,
        "evaluations": sum(part.evaluations for part in some),
        "parts": {part.name: [part.evaluations, round(values[part.name], 6)] for part in some},
    }


if __name__ == "__main__":
    main()
