"""Tables of the ablation, in Markdown."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

RESAMPLES = 2000


def text(rows: Sequence[dict[str, Any]], budgets: Sequence[int]) -> str:
    """One table for each place."""
    units = [row for row in rows if row["place"] != "discrete"]
    places = dict.fromkeys(row["place"] for row in units)
    parts = [charted([row for row in units if row["place"] == place], reference(units), budgets) for place in places]
    parts = [f"{place}\n\n{part}" for place, part in zip(places, parts, strict=True)]
    formulas = [row for row in rows if row["place"] == "discrete"]
    return "\n".join(parts + ([discrete(formulas, budgets)] if formulas else []))


def reference(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """R of each unit: the best value of any run here."""
    best: dict[str, float] = defaultdict(lambda: -np.inf)
    for row in rows:
        best[row["problem"]] = max(best[row["problem"]], row["curve"][-1])
    return dict(best)


def charted(rows: Sequence[dict[str, Any]], best: dict[str, float], budgets: Sequence[int]) -> str:
    """Scores (value - natural median) / (R - natural median), and the paired difference from `tt` at the end."""
    scores: dict[str, dict[tuple[str, int], list[float]]] = defaultdict(dict)
    costs = defaultdict(list)
    for row in rows:
        span = best[row["problem"]] - row["median"] or 1.0
        reached = [row["curve"][max(budget // row["batch"], 1) - 1] for budget in budgets]
        scores[row["method"]][row["problem"], row["seed"]] = [(value - row["median"]) / span for value in reached]
        costs[row["method"]].append(row["ms"])
    lines = [
        f"| method | runs | {' | '.join(map(str, budgets))} | less than `tt` by (95 %) | ms a proposal |",
        "|---" * (len(budgets) + 4) + "|",
    ]
    for method, own in scores.items():
        means = np.mean(list(own.values()), axis=0)
        behind = _difference(scores.get("tt", {}), own) if method != "tt" else ""
        cells = [method, str(len(own)), *(f"{mean:.3f}" for mean in means), behind, f"{np.median(costs[method]):.2f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _difference(ours: dict[tuple[str, int], list[float]], theirs: dict[tuple[str, int], list[float]]) -> str:
    """Mean over the runs both have, at the last budget, with a bootstrap interval over units, then seeds."""
    shared: dict[str, list[float]] = defaultdict(list)
    for (unit, seed), scores in theirs.items():
        if (unit, seed) in ours:
            shared[unit].append(ours[unit, seed][-1] - scores[-1])
    if not shared:
        return "-"
    rng = np.random.default_rng(0)
    groups = [np.array(group) for group in shared.values()]
    draws = [
        np.mean([rng.choice(groups[i], len(groups[i])).mean() for i in rng.integers(len(groups), size=len(groups))])
        for _ in range(RESAMPLES)
    ]
    low, high = np.quantile(draws, [0.025, 0.975])
    return f"{np.mean([group.mean() for group in groups]):.3f} ({low:.3f} to {high:.3f})"


def discrete(rows: Sequence[dict[str, Any]], budgets: Sequence[int]) -> str:
    """Best values, larger is better; medians over seeds."""
    found = defaultdict(list)
    for row in rows:
        reached = [row["curve"][max(budget // row["batch"], 1) - 1] for budget in budgets]
        found[row["problem"], row["method"]].append(reached)
    lines = [f"| problem | method | {' | '.join(map(str, budgets))} |", "|---" * (len(budgets) + 2) + "|"]
    for (problem, method), values in found.items():
        lines.append(f"| {problem} | {method} | {' | '.join(f'{m:.1f}' for m in np.median(values, axis=0))} |")
    return "\n".join(lines) + "\n"
