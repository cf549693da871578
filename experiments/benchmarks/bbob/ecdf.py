"""The share of targets reached against evaluations, from the files that COCO's and ioh's loggers wrote.

On BBOB the targets are COCO's 51 differences from the optimum, 100 to 1e-8, equally spaced in the logarithm; on PBO 51
values, equally spaced, from the median first value to the best that any method found. The area under the curve is taken
over the logarithm of evaluations / axes, from 1 to the budget, as a share of the whole: 1 means that every target was
reached within as many evaluations as there are axes. Functions count alike; intervals are over them.
"""

from __future__ import annotations

import io
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.benchmarks.bbob.binary import BITS
from experiments.benchmarks.bbob.binary import DONE as MARK

Floats = NDArray[np.float64]
Run = Floats  # (k, 2): evaluations, best so far (difference from the optimum, or value); improvements only
Results = dict[str, dict[str, dict[int, list[Run]]]]  # suite and axes -> method -> function -> runs

TARGETS = 10.0 ** np.linspace(2, -8, 51)
SHARES = np.linspace(0, 1, 52)[1:]  # of the way from the median first value to the best found
OURS = "auto"  # what the others are compared with
SPAN = 2.0  # decades of evaluations / axes
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#000000")


def collected(out: Path) -> Results:
    """All complete cells below a folder."""
    results: Results = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    for mark in sorted((out / "exdata").glob(f"*/f*/{MARK}")):
        function, dim = (int(part[1:]) for part in mark.parent.name.split("_"))
        for file in mark.parent.glob("data_*/*.dat"):
            results[f"BBOB, {dim} axes"][mark.parts[-3]][function] += runs(file, "%", 2)
    for mark in sorted((out / "ioh").glob(f"*/f*/{MARK}")):
        for file in mark.parent.glob("data/data_*/*.dat"):
            results[f"PBO, {BITS} bits"][mark.parts[-3]][int(mark.parent.name[1:])] += runs(file, "evaluations", 1)
    return results


def runs(file: Path, header: str, column: int) -> list[Run]:
    """The runs of a logger's file, each of which begins with a header line."""
    found: list[list[tuple[float, float]]] = []
    for line in file.read_text().splitlines():
        if line.startswith(header):
            found.append([])
        else:
            cells = line.split()
            found[-1].append((float(cells[0]), float(cells[column])))
    return [np.array(run) for run in found if run]


def hits(results: dict[str, dict[int, list[Run]]], continuous: bool) -> dict[str, dict[int, Floats]]:
    """Evaluations ``(runs, 51)`` until each target, infinite where it was missed; method -> function."""
    reached: dict[str, dict[int, Floats]] = {}
    for method, functions in results.items():
        reached[method] = {}
        for function, each in functions.items():
            if continuous:
                reached[method][function] = np.array([_first(run, -TARGETS, -1) for run in each])
                continue
            every = [run for other in results.values() for run in other.get(function, [])]
            low, high = np.median([run[0, 1] for run in every]), max(run[:, 1].max() for run in every)
            reached[method][function] = np.array([_first(run, low + (high - low) * SHARES, 1) for run in each])
    return reached


def _first(run: Run, targets: Floats, sign: int) -> Floats:
    best = np.maximum.accumulate(sign * run[:, 1])
    place = np.searchsorted(best, targets - 1e-12 * np.abs(targets))
    return np.where(place < len(run), run[np.minimum(place, len(run) - 1), 0], np.inf)


def area(reached: Floats, dim: int) -> float:
    """Under the curve of some runs' hits, as a share; see above."""
    decades = np.clip(np.log10(np.maximum(reached, 1) / dim), 0, SPAN)
    return float(1 - decades.mean() / SPAN)


def figures(results: Results) -> dict[str, Any]:
    """Areas of every method: over all functions, and function by function."""
    found: dict[str, Any] = {}
    for suite, methods in results.items():
        dim = int(suite.split()[1])
        found[suite] = {}
        for method, functions in hits(methods, suite.startswith("BBOB")).items():
            each = {function: area(reached, dim) for function, reached in sorted(functions.items())}
            draws = np.random.default_rng(0).choice(list(each.values()), (2000, len(each))).mean(1)
            low, high = np.percentile(draws, [2.5, 97.5]).tolist()
            count = sum(len(reached) for reached in functions.values())
            found[suite][method] = {"area": float(np.mean(list(each.values()))), "interval": [low, high], "runs": count}
            found[suite][method]["functions"] = each
    return found


def difference(ours: dict[int, float], theirs: dict[int, float]) -> tuple[float, float, float]:
    """Mean of the differences of areas over the functions that both have, and its 95 % bootstrap interval."""
    gaps = np.array([ours[function] - theirs[function] for function in sorted(set(ours) & set(theirs))])
    draws = np.random.default_rng(0).choice(gaps, (10_000, len(gaps))).mean(1)
    low, high = np.percentile(draws, [2.5, 97.5]).tolist()
    return float(gaps.mean()), low, high


def table(results: Results) -> str:
    """The areas as Markdown tables."""
    lines = []
    for suite, methods in figures(results).items():
        lines += [f"| {suite} | area (95 % over functions) | functions | runs |", "|---|---|---|---|"]
        for method, row in sorted(methods.items(), key=lambda item: -item[1]["area"]):
            low, high = row["interval"]
            cells = f"{row['area']:.3f} ({low:.3f} to {high:.3f}) | {len(row['functions'])} | {row['runs']}"
            lines.append(f"| {method} | {cells} |")
        lines.append("")
        for method in sorted(set(methods) - {OURS}) if OURS in methods else ():
            middle, low, high = difference(methods[OURS]["functions"], methods[method]["functions"])
            lines += [f"{OURS} less {method}: {middle:+.3f} ({low:+.3f} to {high:+.3f}).", ""]
        names = list(methods)
        lines += [f"| function | {' | '.join(names)} |", "|---" * (1 + len(names)) + "|"]
        for function in sorted({f for row in methods.values() for f in row["functions"]}):
            cells = [f"{row['functions'].get(function, np.nan):.3f}" for row in methods.values()]
            lines.append(f"| {function} | {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)


def drawn(results: Results) -> bytes:
    """The curves, one panel for each suite and number of axes, as PNG."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, len(results), figsize=(4.2 * len(results), 3.4), squeeze=False)
    for panel, (suite, methods) in zip(panels[0], sorted(results.items()), strict=True):
        dim = int(suite.split()[1])
        grid = np.logspace(-np.log10(dim), SPAN, 300)
        reached_by = sorted(hits(methods, suite.startswith("BBOB")).items(), key=lambda one: one[0] != OURS)
        for colour, (method, functions) in zip(COLOURS, reached_by, strict=False):
            each = [(reached.ravel()[None] <= (grid * dim)[:, None]).mean(1) for reached in functions.values()]
            share = np.mean(each, axis=0)
            panel.plot(grid, share, label=method, color=colour, lw=2 if method == OURS else 1.3)
        panel.set(xscale="log", xlabel="evaluations / axes", title=suite, xlim=(grid[0], grid[-1]))
        panel.set_ylim(0, None)
        panel.grid(alpha=0.3)
        panel.legend(fontsize=7, loc="best", framealpha=0.6)
    panels[0, 0].set_ylabel("share of targets reached")
    figure.tight_layout()
    png = io.BytesIO()
    figure.savefig(png, format="png", dpi=110)
    pyplot.close(figure)
    return png.getvalue()


def written(results: Results, out: Path) -> None:
    """Keeps the figures, as numbers and drawn."""
    (out / "ecdf.json").write_text(json.dumps(figures(results), indent=1) + "\n")
    (out / "ecdf.png").write_bytes(drawn(results))
