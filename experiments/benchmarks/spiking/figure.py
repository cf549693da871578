"""Two pictures: times faster than the package's own loop, and flipped spikes; colours as in ``mango.analysis``."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from experiments.benchmarks.spiking import exact, report, speed
from mango.analysis.sheet import DPI, LIGHT

SHOWN = {  # way -> colour, marker
    "dense": (LIGHT.muted, "|"),
    "hoisted": ("#8a8f94", "o"),
    "multi-step": ("#b84a00", "s"),
    "compile": ("#c99700", "D"),
    "engine": ("#6f9fc4", "o"),
    "numba": ("#0067a3", "o"),
    "c": ("#003a5d", "o"),
}
KINDS = {"natural": ("#b84a00", "o"), "generated": ("#0067a3", "s"), "random": (LIGHT.muted, "D")}


def drawn(folder: Path) -> dict[str, bytes]:
    """PNGs by file name, of what was measured."""
    timed, flipped = report.speeds(folder), report.flips(folder)
    pictures = {}
    if timed:
        pictures["speed.png"] = speed_png(timed)
    if flipped:
        pictures["exact.png"] = exact_png(flipped)
    return pictures


def speed_png(timed: Sequence[dict[str, Any]]) -> bytes:
    """A row for each network, a mark for each way, logarithmic."""
    figure, axes = _figure(len(timed), "Times faster than the package's own loop, batch 16, one core")
    for place, measured in enumerate(timed):
        for way, (colour, marker) in SHOWN.items():
            times = speed.faster(measured, way, report.BATCH)
            if times is not None:
                size = 130 if marker == "|" else 42
                label = report.NAMES[way]
                axes.scatter(times, place, s=size, color=colour, marker=marker, label=label, zorder=3, linewidths=1.6)
    axes.axvline(1, color=LIGHT.muted, linewidth=1)
    axes.set_xscale("log")
    axes.set_xlim(0.3, None)
    ticks = [t for t in (0.5, 1, 2, 4, 8, 16, 32, 64, 128) if t < 1.3 * axes.get_xlim()[1]]
    axes.set_xticks(ticks, [f"{t:g}" for t in ticks])
    axes.minorticks_off()
    _rows(axes, [measured["network"] for measured in timed])
    handles = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    figure.legend(handles.values(), handles.keys(), loc="lower center", ncol=3, frameon=False, fontsize=8,
                  labelcolor=LIGHT.ink)  # fmt: skip
    return _png(figure)


def exact_png(flipped: Sequence[dict[str, Any]]) -> bytes:
    """A row for each network: the layer in which it flips most, by mango (filled) and by the loop itself (hollow)."""
    names = list(dict.fromkeys(measured["network"] for measured in flipped))
    figure, axes = _figure(len(names), "Flipped spikes per million, worst layer")
    for measured in flipped:
        colour, marker = KINDS[measured["kind"]]
        place = names.index(measured["network"]) + 0.22 * (list(KINDS).index(measured["kind"]) - 1)
        own = max(exact.worst(row) for row in measured["rows"])
        ours = max(exact.per_million(row["mango"], row["compared"]) for row in measured["rows"])
        style: dict[str, Any] = {"marker": marker, "zorder": 3}
        kind = measured["kind"]
        axes.scatter(own, place, s=70, facecolors="none", edgecolors=colour, label=f"{kind}: loop by itself", **style)
        axes.scatter(ours, place, s=22, color=colour, label=f"{kind}: mango", linewidths=0, **style)
    axes.set_xscale("symlog", linthresh=0.1)
    axes.set_xlim(-0.03, None)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    _rows(axes, names)
    handles = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    figure.legend(handles.values(), handles.keys(), loc="lower center", ncol=3, frameon=False, fontsize=8,
                  labelcolor=LIGHT.ink)  # fmt: skip
    return _png(figure)


def _figure(rows: int, title: str) -> tuple[Figure, Axes]:
    height = 1.8 + 0.42 * rows
    figure = Figure(figsize=(8.4, height), dpi=DPI, facecolor=LIGHT.paper)
    bottom = 1.15 / height
    axes = figure.add_axes((0.17, bottom, 0.79, 1 - bottom - 0.55 / height), facecolor=LIGHT.paper)
    figure.text(0.02, 1 - 0.3 / height, title, fontsize=10.5, weight="bold", color=LIGHT.ink, va="center")
    return figure, axes


def _rows(axes: Axes, names: Sequence[str]) -> None:
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(LIGHT.rule)
    axes.set_yticks(np.arange(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.grid(color=LIGHT.rule, linewidth=0.8, zorder=0)
    axes.set_axisbelow(True)
    axes.tick_params(colors=LIGHT.muted, labelsize=8, length=0, pad=5)


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    FigureCanvasAgg(figure)
    figure.savefig(buffer, format="png", metadata={"Software": "mango"})
    return buffer.getvalue()
