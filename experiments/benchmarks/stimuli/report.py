"""The scores as Markdown tables."""

from __future__ import annotations

import math
from collections.abc import Sequence
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
    cases = load(folder)
    parts += ["## `auto` beside all others", summary_table(cases)]
    for case in cases:
        noise = "no noise" if case.noise == "none" else case.noise
        parts.append(f"## {case.network} by {case.generator}, {noise}, batch {case.batch}")
        parts.append(f"{len(case.units)} units: {', '.join(case.units)}; seeds {', '.join(map(str, case.seeds))}.")
        for information in case.classes():
            parts += [f"### Class {information}", score_table(case, information), running_table(case, information)]
    ran = {method for case in cases for method in case.at}
    settings = [f"| {name} | {method.settings} |" for name, method in TABLE.items() if name in ran]
    parts.append("\n".join(["## Settings", "", "| method | settings |", "|---|---|", *settings]))
    return "\n\n".join(parts) + "\n"


def made_with(folder: Path) -> str:
    """Machines, commits and versions of the runs."""
    runs = results.read_folder(folder)
    packages = sorted({f"{run['package']} {run['version']}" for run in runs})
    machines, commits = (sorted({run[name] for run in runs if run[name]}) for name in ("machine", "commit"))
    hours = sum(run["seconds"] for run in runs) / 3600
    made = [f"{len(runs)} runs, {hours:.1f} CPU hours", *machines, *(f"commit {name}" for name in commits)]
    return f"{'; '.join(made)}; {', '.join(packages)}."


def summary_table(cases: Sequence[Case]) -> str:
    """`auto` in every case and class: its mean score, the best other's, and how many it is above, ties with, is below.

    `auto` in a study that measures again is no other method.
    """
    budgets = sorted({budget for case in cases for budget in case.budgets})
    head = ["network, generator", "noise", "batch", "class", *(f"at {budget:,}" for budget in budgets)]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for case in cases:
        for information in case.classes():
            if f"{information}/auto" in case.at:
                cells = [_standing(case, information, budget) for budget in budgets]
                kind = f"{case.network}, {case.generator} | {case.noise} | {case.batch} | {information}"
                lines.append(f"| {kind} | {' | '.join(cells)} |")
    return "\n".join(lines)


def score_table(case: Case, information: str) -> str:
    """Mean scores and `auto` less each method, with intervals, and ranks, by the budget that most ran to."""
    at = {method: case.at[method] for method in case.methods(information)}
    budgets = [budget for budget in case.budgets if any(budget in found for found in at.values())]
    most = max(budgets, key=lambda budget: (sum(budget in found for found in at.values()), budget))
    ours = at.get(f"{information}/auto")
    compared = [budget for budget in budgets if ours is not None and budget in ours]
    ranks = case.ranks(information, most)
    means = {method: {budget: interval(scores) for budget, scores in found.items()} for method, found in at.items()}

    def place(method: str) -> float:
        mean = means[method][most].mean if most in means[method] else math.nan
        return math.inf if math.isnan(mean) else -mean

    head = ["method", *(f"{budget:,}" for budget in budgets)]
    head += [*(f"`auto` less it, at {budget:,}" for budget in compared), f"rank at {most:,}"]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for method in sorted(at, key=place):
        cells = [_interval(means[method][b]) if b in at[method] else "" for b in budgets]
        other = ours is not None and method != f"{information}/auto"
        cells += [_verdict(difference(ours[b], at[method][b])) if other and b in at[method] else "" for b in compared]  # type: ignore[index]
        cells.append(f"{ranks[method]:.1f}" if method in ranks else "")
        lines.append(f"| {_name(case, method)} | {' | '.join(cells)} |")
    shares = [_share(case, information, budget) for budget in compared]
    if any(shares):
        lines.append(f"| *share of the best arm in hindsight* |{' |' * len(budgets)} {' | '.join(shares)} | |")
    return "\n".join(lines)


def running_table(case: Case, information: str) -> str:
    """Expected evaluations to fixed scores, failed runs included."""
    head = [f"to {target:g}" for target in TARGETS]
    lines = [f"| expected evaluations | {' | '.join(head)} |", "|---" * (len(head) + 1) + "|"]
    for method in case.methods(information):
        cells = [_running(case.running(method, target)) for target in TARGETS]
        lines.append(f"| {method.partition('/')[2]} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _standing(case: Case, information: str, budget: int) -> str:
    """Such as ``0.770, tt 0.700; 11/1/0``: above eleven others, a tie with one, below none."""
    ours = case.at[f"{information}/auto"].get(budget)
    others = {m: case.at[m][budget] for m in case.methods(information) if budget in case.at[m] and _is_other(m)}
    if ours is None or not others:
        return ""
    means = {method: interval(scores).mean for method, scores in others.items()}
    best = max(means, key=lambda method: -math.inf if math.isnan(means[method]) else means[method])
    said = [_verdict(difference(ours, scores)).rpartition(" ")[2] for scores in others.values()]
    counts = "/".join(str(said.count(word)) for word in ("better", "tie", "worse"))
    return f"{interval(ours).mean:.3f}, {best.partition('/')[2]} {means[best]:.3f}; {counts}"


def _is_other(method: str) -> bool:
    return not (method.endswith("/auto") or TABLE[method].repeats)


def _name(case: Case, method: str) -> str:
    """With the units and seeds that it ran on, where it lacks any."""
    shapes = {budget: whole(scores).shape for budget, scores in sorted(case.at[method].items())}
    units, seeds = np.max(list(shapes.values()), axis=0).tolist()
    few = "" if units == len(case.units) else f", {units} unit{'s' * (units != 1)}"
    few += "" if seeds == len(case.seeds) else f", {seeds} seed{'s' * (seeds != 1)}"
    few += "".join(f", {shape[1]} at {budget:,}" for budget, shape in shapes.items() if shape[1] < seeds)
    return method.partition("/")[2] + few


def _share(case: Case, information: str, budget: int) -> str:
    """What `auto` has, over what its best arm has on each unit."""
    best = case.hindsight(information, budget)
    return "" if best is None else f"{interval(case.at[f'{information}/auto'][budget]).mean / best.mean():.2f}"


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
