"""The scores as Markdown tables."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from experiments.benchmarks.stimuli import results
from experiments.benchmarks.stimuli.methods import TABLE
from experiments.benchmarks.stimuli.scores import (
    TARGETS,
    Case,
    Interval,
    Running,
    difference,
    interval,
    load,
    whole,
    without_reference,
)

MISSING = "\N{EN DASH}"  # no unit has all seeds


def text(folder: Path) -> str:
    """Everything that the folder holds."""
    parts = [made_with(folder)]
    left_out = without_reference(folder)
    if left_out:
        parts.append(f"Without a reference, and so without a score: {', '.join(left_out)}.")
    for case in load(folder):
        noise = "no noise" if case.noise == "none" else case.noise
        parts.append(f"## {case.network} by {case.generator}, {noise}, batch {case.batch}")
        parts.append(f"{len(case.units)} units: {', '.join(case.units)}; seeds {', '.join(map(str, case.seeds))}.")
        for information in case.classes():
            parts += [f"### Class {information}", score_table(case, information), running_table(case, information)]
            if f"{information}/auto" in case.at:
                parts.append(differences_table(case, information))
    return "\n\n".join(parts) + "\n"


def made_with(folder: Path) -> str:
    """Machines, commits and versions of the runs."""
    runs = results.read_folder(folder)
    packages = sorted({f"{run['package']} {run['version']}" for run in runs})
    machines, commits = (sorted({run[name] for run in runs if run[name]}) for name in ("machine", "commit"))
    hours = sum(run["seconds"] for run in runs) / 3600
    made = [f"{len(runs)} runs, {hours:.1f} CPU hours", *machines, *(f"commit {name}" for name in commits)]
    return f"{'; '.join(made)}; {', '.join(packages)}."


def score_table(case: Case, information: str) -> str:
    """Mean score with its interval at each budget, and the mean rank at the largest."""
    last = max(case.budgets)
    ranks = case.ranks(information, last)
    head = [*(f"{budget:,}" for budget in case.budgets), f"rank at {last:,}", "settings"]
    lines = [f"| method | {' | '.join(head)} |", "|---" * (len(head) + 1) + "|"]
    for method in case.methods(information):
        cells = [_interval(interval(case.at[method][b])) if b in case.at[method] else "" for b in case.budgets]
        rank = f"{ranks[method]:.1f}" if method in ranks else ""
        units, seeds = np.max([whole(scores).shape for scores in case.at[method].values()], axis=0).tolist()
        few = "" if units == len(case.units) else f"; {units} of {len(case.units)} units"
        few += "" if seeds == len(case.seeds) else f"; {seeds} of {len(case.seeds)} seeds"
        name = method.partition("/")[2]
        lines.append(f"| {name} | {' | '.join(cells)} | {rank} | {TABLE[method].settings}{few} |")
    best = [case.hindsight(information, budget) for budget in case.budgets]
    if any(scores is not None for scores in best):
        cells = ["" if scores is None else f"{scores.mean():.3f}" for scores in best]
        lines.append(f"| *best arm of each unit, in hindsight* | {' | '.join(cells)} | | |")
    return "\n".join(lines)


def running_table(case: Case, information: str) -> str:
    """Expected evaluations to fixed scores, failed runs included."""
    head = [f"to {target:g}" for target in TARGETS]
    lines = [f"| expected evaluations | {' | '.join(head)} |", "|---" * (len(head) + 1) + "|"]
    for method in case.methods(information):
        cells = [_running(case.running(method, target)) for target in TARGETS]
        lines.append(f"| {method.partition('/')[2]} | {' | '.join(cells)} |")
    return "\n".join(lines)


def differences_table(case: Case, information: str) -> str:
    """`auto` less each other method, on the units that both ran on."""
    ours = case.at[f"{information}/auto"]
    lines = [f"| auto less | {' | '.join(f'{b:,}' for b in case.budgets)} |", "|---" * (len(case.budgets) + 1) + "|"]
    for method in case.methods(information):
        theirs = case.at[method]
        if method != f"{information}/auto":
            cells = [
                _verdict(difference(ours[b], theirs[b])) if b in ours and b in theirs else "" for b in case.budgets
            ]
            lines.append(f"| {method.partition('/')[2]} | {' | '.join(cells)} |")
    shares = []
    for budget in case.budgets:
        best = case.hindsight(information, budget)
        shares.append("" if best is None or budget not in ours else f"{interval(ours[budget]).mean / best.mean():.2f}")
    if any(shares):
        lines.append(f"| *share of the best arm in hindsight* | {' | '.join(shares)} |")
    return "\n".join(lines)


def _interval(value: Interval) -> str:
    if math.isnan(value.mean):
        return MISSING
    return f"{value.mean:.3f} ({value.low:.3f} to {value.high:.3f})"


def _verdict(value: Interval) -> str:
    if math.isnan(value.mean):
        return MISSING
    if value.low == value.high:  # one run of each, of which no interval can be made
        return f"{value.mean:+.3f}"
    said = "tie" if value.low <= 0 <= value.high else "better" if value.low > 0 else "worse"
    return f"{value.mean:+.3f} ({value.low:+.3f} to {value.high:+.3f}) {said}"


def _running(value: Running) -> str:
    return f"{value.evaluations:,.0f} ({value.hits}/{value.runs})" if value.hits else f"- (0/{value.runs})"
