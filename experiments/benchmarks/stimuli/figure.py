"""Four pictures of each noise and batch: convergence, performance profiles, ranks, expected running times.

A panel for each class of information. `auto` and its arms are blue, others have other colours, and what is not among
the best is grey; paper and ink as in ``mango.analysis``.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from experiments.benchmarks.stimuli.methods import TABLE
from experiments.benchmarks.stimuli.scores import TARGETS, Case, band, interval, load
from mango.analysis.sheet import DPI, LIGHT

TITLES = {
    "labels": "Labels alone",
    "chart": "Code book and its map, no data",
    "natural": "Natural codes too",
    "latent": "The SN-GAN's vector",
}
OURS = {"auto": "#0067a3", "tt": "#56b4e9", "cma": "#003a5d", "evolution": "#00808a"}
OUR, THEIR = "#0067a3", "#b84a00"
OTHERS = ("#b84a00", "#c99700", "#8a3b8f", "#4d7a2a", "#d1495b", "#7a5230", "#8a8f94")
COLOURED = 7  # methods of a panel; the others are grey
BANDS = 3  # methods with a band: `auto` and the best others
WIDTH, PANEL = 12.6, 3.9  # inches


def drawn(folder: Path) -> dict[str, bytes]:
    """PNGs by file name."""
    pictures = {}
    for case in load(folder):
        name = f"{case.network}-{case.generator}-{case.noise}-batch{case.batch}"
        pictures[f"convergence-{name}.png"] = convergence_png(case)
        pictures[f"profiles-{name}.png"] = profiles_png(case)
        pictures[f"ranks-{name}.png"] = ranks_png(case)
        pictures[f"running-{name}.png"] = running_png(case)
    return pictures


def convergence_png(case: Case) -> bytes:
    """Mean score over the evaluations with its band; a method that plans by its budget has a mark for each."""
    figure, panels = _figure(case, "Score of the recommendation", PANEL)
    for axes, information in zip(panels, case.classes(), strict=True):
        colours = _colours(case, information)
        ends = []
        for method in case.methods(information):
            colour = colours.get(method)
            style: dict[str, Any] = {
                "color": colour or LIGHT.rule,
                "zorder": 3 if colour else 2,
                "linewidth": 1.8 if colour else 1.0,
            }
            if TABLE[method].plans:
                budgets = sorted(case.at[method])
                mean, low, high = np.array([interval(case.at[method][b]) for b in budgets]).T
                x = np.array(budgets)
                axes.plot(x, mean, marker="o", markersize=4.5, **style)
            else:
                mean, low, high = band(case.paths[method])
                there = ~np.isnan(mean)
                x, mean, low, high = case.marks[there], mean[there], low[there], high[there]
                axes.plot(x, mean, **style)
            if colour and len(x):
                if method in list(colours)[:BANDS]:
                    axes.fill_between(x, low, high, color=colour, alpha=0.12, linewidth=0, zorder=1)
                ends.append((float(mean[-1]), method.partition("/")[2], colour))
        ours = [b for b in case.budgets if any(b in case.at[m] for m in case.methods(information))]
        best = [(b, s.mean()) for b in ours if (s := case.hindsight(information, b)) is not None]
        if best:
            x, y = zip(*best, strict=True)
            axes.plot(x, y, color=LIGHT.ink, linewidth=1.2, dashes=(4, 2), zorder=4)
            ends.append((float(y[-1]), "best arm, hindsight", LIGHT.ink))
        _evaluations(axes)
        axes.set_xlim(10, max(max(case.at[m]) for m in case.methods(information)))
        axes.set_ylim(min(0.0, axes.get_ylim()[0]), None)
        _end_labels(axes, ends)
    return _png(figure)


def profiles_png(case: Case) -> bytes:
    """Share of units on which a method reaches a share of the best one's score, where half of the methods still ran."""
    last = _shared(case, list(case.at))
    figure, panels = _figure(
        case, f"Share of units on which a method has this share of the best one's score, {last:,} evaluations", PANEL
    )
    x = np.linspace(1, 0, 201)
    for axes, information in zip(panels, case.classes(), strict=True):
        colours = _colours(case, information)
        for method, shares in case.profile(information, last).items():
            colour = colours.get(method)
            y = (shares[:, None] >= x - 1e-12).mean(0)
            axes.step(x, y, where="post", color=colour or LIGHT.rule, linewidth=1.8 if colour else 1.0,
                      zorder=3 if colour else 2, label=method.partition("/")[2] if colour else None)  # fmt: skip
        axes.set_xlim(1.0, 0.0)
        axes.set_ylim(0, 1.02)
        axes.set_xlabel("share of the best score", fontsize=8, color=LIGHT.muted)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(frameon=False, fontsize=7.5, loc="center left", bbox_to_anchor=(1.0, 0.5), labelcolor=LIGHT.ink)
    return _png(figure)


def ranks_png(case: Case) -> bytes:
    """Mean rank over units, one mark for each budget, darker for larger ones."""
    names = {information: _by_rank(case, information) for information in case.classes()}
    figure, panels = _figure(
        case, "Mean rank over units (1 is best), darker for larger budgets", _height(names), rows=True
    )
    for axes, information in zip(panels, case.classes(), strict=True):
        methods = names[information]
        for step, budget in enumerate(case.budgets):
            ranks = case.ranks(information, budget)
            shade = 0.25 + 0.75 * (step + 1) / len(case.budgets)
            for place, method in enumerate(methods):
                if method in ranks:
                    colour = OUR if TABLE[method].package == "mango" else THEIR
                    axes.scatter(ranks[method], place, s=34, color=colour, alpha=shade, linewidths=0, zorder=3)
        _rows(axes, methods)
        axes.set_xlim(0.5, None)
    return _png(figure)


def running_png(case: Case) -> bytes:
    """Expected evaluations to fixed scores; hollow where not every run got there, nothing where none did."""
    names = {information: _by_rank(case, information) for information in case.classes()}
    title = (
        f"Expected evaluations to a score of {', '.join(f'{t:g}' for t in TARGETS)} (darker); hollow: some runs failed"
    )
    figure, panels = _figure(case, title, _height(names), rows=True)
    for axes, information in zip(panels, case.classes(), strict=True):
        methods = names[information]
        for place, method in enumerate(methods):
            colour = OUR if TABLE[method].package == "mango" else THEIR
            for step, target in enumerate(TARGETS):
                found = case.running(method, target)
                if found.hits:
                    face = colour if found.hits == found.runs else LIGHT.paper
                    shade = 0.25 + 0.75 * (step + 1) / len(TARGETS)
                    axes.scatter(
                        found.evaluations, place, s=34, facecolors=face, edgecolors=colour, alpha=shade, zorder=3
                    )
        _evaluations(axes)
        _rows(axes, methods)
    return _png(figure)


def _colours(case: Case, information: str) -> Mapping[str, str]:
    """Of `auto` and the best others at the largest budget to which half of the methods ran, in their order."""
    methods = case.methods(information)
    last = _shared(case, methods)
    final = {m: interval(case.at[m][last]).mean for m in methods if last in case.at[m]}
    ordered = sorted((m for m in final if not np.isnan(final[m])), key=lambda m: -final[m])
    always = [m for m in methods if m.partition("/")[2] == "auto"]
    others = iter(OTHERS)
    return {
        method: OURS.get(method.partition("/")[2]) or next(others)
        for method in list(dict.fromkeys([*always, *ordered]))[:COLOURED]
    }


def _shared(case: Case, methods: Sequence[str]) -> int:
    """The largest budget to which half of the methods ran."""
    reached = sorted(max(case.at[method]) for method in methods)
    return reached[len(reached) // 2]


def _by_rank(case: Case, information: str) -> list[str]:
    """Methods that ran on all units, best first."""
    ranks = case.ranks(information, _shared(case, case.methods(information)))
    return sorted(ranks, key=lambda method: ranks[method])


def _height(names: Mapping[str, Sequence[str]]) -> float:
    return 1.0 + 0.2 * max(map(len, names.values()))


def _figure(case: Case, title: str, height: float, rows: bool = False) -> tuple[Figure, list[Axes]]:
    """Panels for the classes side by side."""
    figure = Figure(figsize=(WIDTH, height + 0.9), dpi=DPI * 0.6, facecolor=LIGHT.paper)
    whole = height + 0.9
    classes = case.classes()
    figure.text(0.012, 1 - 0.22 / whole, title, fontsize=10.5, weight="bold", color=LIGHT.ink, va="center")
    noise = "no noise" if case.noise == "none" else case.noise
    seeds = f"up to {len(case.seeds)} seeds" if len(case.seeds) > 1 else "1 seed"
    note = f"{case.network} by {case.generator}, {len(case.units)} units, {seeds}, {noise}, batch {case.batch}"
    figure.text(0.012, 1 - 0.45 / whole, note, fontsize=8, color=LIGHT.muted, va="center")
    panels = []
    for place, information in enumerate(classes):
        left = (place + (0.38 if rows else 0.11)) / len(classes)
        width = (0.58 if rows else 0.585) / len(classes)
        axes = figure.add_axes((left, 0.5 / whole, width, 1 - 1.35 / whole), facecolor=LIGHT.paper)
        axes.set_title(TITLES[information], fontsize=9, color=LIGHT.ink, loc="left")
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        for side in ("left", "bottom"):
            axes.spines[side].set_color(LIGHT.rule)
        axes.grid(color=LIGHT.rule, linewidth=0.6, zorder=0)
        axes.set_axisbelow(True)
        axes.tick_params(colors=LIGHT.muted, labelsize=7.5, length=0, pad=4)
        panels.append(axes)
    return figure, panels


def _evaluations(axes: Axes) -> None:
    """A logarithmic axis with a few plain numbers."""
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.set_xlabel("evaluations", fontsize=8, color=LIGHT.muted)


def _rows(axes: Axes, methods: Sequence[str]) -> None:
    axes.set_yticks(np.arange(len(methods)), [method.partition("/")[2] for method in methods])
    axes.set_ylim(max(len(methods), 1) - 0.5, -0.5)


def _end_labels(axes: Axes, ends: Sequence[tuple[float, str, str]]) -> None:
    """Names at the ends of their lines, moved apart where they would lie on one another."""
    low, high = axes.get_ylim()
    gap = 0.052 * (high - low)
    ordered = sorted(ends)
    places = [value for value, *_ in ordered]
    for _ in range(200):
        for i in range(1, len(places)):
            close = gap - (places[i] - places[i - 1])
            if close > 1e-9:
                places[i - 1], places[i] = places[i - 1] - close / 2, places[i] + close / 2
    for place, (_, name, colour) in zip(places, ordered, strict=True):
        axes.annotate(name, (1.02, (place - low) / (high - low)), xycoords="axes fraction", fontsize=7.5, color=colour,
                      va="center", annotation_clip=False)  # fmt: skip


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    FigureCanvasAgg(figure)
    figure.savefig(buffer, format="png", metadata={"Software": "mango"})
    return buffer.getvalue()
