"""Runs the stimulus-search benchmark, or what is missing of it, and draws it.

    python -m experiments.benchmarks.stimuli [--smoke] [--units report|tune|NAME ...] [--methods NAME ...]
        [--noises ...] [--batches ...] [--budgets ...] [--seeds N] [--workers N] [--draw] [--out DIR]

Every finished run is kept at once in runs.jsonl under --out; another call with the same --out runs what is missing.
Then results.parquet, report.md and the pictures are written, of all that the folder holds. What results.parquet holds
is not run again either, so that a folder with nothing but a copy of it is gone on with. --workers 0 does without Ray,
--draw runs nothing.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from experiments.benchmarks.conditions import commit, machine
from experiments.benchmarks.stimuli import figure, report, results
from experiments.benchmarks.stimuli.methods import CLASSES, TABLE, Method
from experiments.benchmarks.stimuli.parallel import finished
from experiments.benchmarks.stimuli.problems import NOISES
from experiments.benchmarks.stimuli.search import search
from experiments.benchmarks.stimuli.tasks import BATCHES, BUDGETS, SEEDS, Task, grid
from experiments.benchmarks.stimuli.units import NETWORK, PARTS, Unit, load

OUT = Path("runs/benchmarks/stimuli")
SMOKE = ("labels/evolution", "chart/auto", "natural/natural images")


def main(arguments: list[str] | None = None) -> None:
    """Runs the benchmark from the command line."""
    parser = argparse.ArgumentParser(prog="python -m experiments.benchmarks.stimuli", description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="three methods, one unit, 40 evaluations")
    parser.add_argument("--network", default=NETWORK)
    parser.add_argument("--units", nargs="+", default=["report"], help="report (default), tune, or names: lif1/40")
    parser.add_argument("--methods", nargs="+", help="names or classes; all that are installed by default")
    parser.add_argument("--noises", nargs="+", choices=list(NOISES), default=["none"])
    parser.add_argument("--batches", nargs="+", type=int, default=list(BATCHES))
    parser.add_argument("--budgets", nargs="+", type=int, default=list(BUDGETS))
    parser.add_argument("--seeds", type=int, default=len(SEEDS), help="how many, from 0 on")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="0: in this process, without Ray")
    parser.add_argument("--draw", action="store_true", help="only report and pictures of what the folder holds")
    parser.add_argument("--out", type=Path, help=f"folder of the results ({OUT}; with --smoke {OUT}-smoke)")
    chosen = parser.parse_args(arguments)
    out = chosen.out or (Path(f"{OUT}-smoke") if chosen.smoke else OUT)
    out.mkdir(parents=True, exist_ok=True)
    if not chosen.draw:
        _run(_tasks(chosen), out, chosen.workers)
    if not (runs := results.read_folder(out)):
        raise SystemExit(f"{out} holds no runs; expected {results.RUNS} or {results.TABLE} there")
    results.write_table(out, runs)
    text = report.text(out)
    (out / "report.md").write_text(text)
    print(text)
    for name, png in figure.drawn(out).items():
        (out / name).write_bytes(png)


def _tasks(chosen: argparse.Namespace) -> list[Task]:
    """The grid that is asked for."""
    units = _units(chosen.network, chosen.units)
    if not chosen.smoke:
        methods = _methods(chosen.methods)
    else:
        units, methods = units[:1], _methods(chosen.methods or SMOKE)
        chosen.budgets, chosen.batches, chosen.seeds = [20, 40], [20], 1
    seeds = range(chosen.seeds)
    return grid(units, methods, noises=chosen.noises, batches=chosen.batches, budgets=chosen.budgets, seeds=seeds)


def _units(network: str, wanted: Sequence[str]) -> list[Unit]:
    units = load(network)
    unknown = set(wanted) - set(PARTS) - {unit.name for unit in units}
    if unknown:
        raise SystemExit(f"unknown units: {', '.join(sorted(unknown))}; expected tune, report, or names in units.json")
    return [unit for unit in units if unit.part in wanted or unit.name in wanted]


def _methods(wanted: Sequence[str] | None) -> list[Method]:
    """Those named, or all, as far as they are installed."""
    unknown = set(wanted or ()) - set(CLASSES) - set(TABLE)
    if unknown:
        raise SystemExit(f"unknown methods: {', '.join(sorted(unknown))}; known: {', '.join(TABLE)}")
    methods = [m for m in TABLE.values() if wanted is None or m.name in wanted or m.information in wanted]
    missing = sorted({m.package for m in methods if not m.installed})
    if missing:
        print(f"left out, for they are not installed: {', '.join(missing)}; pip install 'mango-neuro[bench]'")
    return [m for m in methods if m.installed]


def _run(tasks: Sequence[Task], out: Path, workers: int) -> None:
    done = {run["key"] for run in results.read_folder(out)}
    missing = [task for task in tasks if task.key not in done]
    about = {"machine": machine(), "commit": commit()}
    evaluations, best = 0, ""
    print(f"{len(missing)} of {len(tasks)} runs to do, {sum(t.planned for t in missing):,} evaluations", flush=True)
    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns) as progress:
        bar = progress.add_task("runs", total=len(missing), note="")
        top = -float("inf")
        for row in finished(search, missing, workers):
            method = TABLE[row["method"]]
            results.append(
                out / results.RUNS, {**row, **about, "package": method.package, "version": _version(method.package)}
            )
            evaluations += row["planned"]
            share = row["value"][-1] / row["natural_maximum"]
            if share > top:
                top, best = share, f"{share:.2f} x natural, {row['unit']} by {row['method']}"
            elapsed = progress.tasks[bar].elapsed or 0.0
            rate = evaluations / elapsed if elapsed else 0.0
            progress.update(bar, advance=1, note=f"{rate:.0f} evaluations/s, best {best}")


def _version(package: str) -> str:
    try:
        return version("mango-neuro" if package == "mango" else package)
    except PackageNotFoundError:
        return "unknown"


if __name__ == "__main__":
    main()
