"""Value beside naturalness: which trials no other one beats in both, and their picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from string import ascii_lowercase
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mango.analysis.findings import Findings, Floats, Plausibility, Shown, number, picture
from mango.analysis.sheet import DARK, DPI, LIGHT, Palette, as_png
from mango.errors import InputError
from mango.naturalness import BAND, naturalness

MOST = 5  # stimuli of the front that are drawn, after the best
APART = 0.03  # of the axes, between two of them


@dataclass(frozen=True)
class Shape:
    """Of a picture: its size in inches, and in shares of it where things lie; boxes are left, bottom, width, height."""

    size: tuple[float, float]
    axes: tuple[float, float, float, float]
    tiles: tuple[float, float, float, float]
    title: tuple[float, float]  # left, middle of the line
    line: float  # from one to the next
    legend: float  # its bottom


WIDE = Shape((8.4, 4.6), (0.075, 0.225, 0.475, 0.565), (0.605, 0.11, 0.385, 0.68), (0.014, 0.955), 0.05, 0.015)
NARROW = Shape((4.2, 7.0), (0.14, 0.505, 0.82, 0.31), (0.04, 0, 0.94, 0.325), (0.028, 0.97), 0.028, 0.345)


def pareto_front(values: Floats, others: Floats) -> list[int]:
    """Indices of the points that no other point beats: none is at least as high in both and higher in one.

    Args:
        values: ``(n,)``; NaN is never on the front.
        others: ``(n,)``, the second number of each point, NaN where the first is.

    Returns:
        Highest value first; of equal points the earliest alone.
    """
    front: list[int] = []
    highest = -np.inf
    for i in np.lexsort((-others, -values)).tolist():  # stable, and NaN last
        if others[i] > highest:
            front.append(i)
            highest = others[i]
    return front


def naturalness_png(findings: Findings, *, dark: bool = False, narrow: bool = False) -> bytes:
    """Value against naturalness of every trial and of natural stimuli, the Pareto front, and a few stimuli on it.

    Args:
        findings: of a search with a `Plausibility`.
        dark: light on dark.
        narrow: the shape for a phone.

    Raises:
        InputError: the findings have none.
    """
    plausibility = findings.plausibility
    if plausibility is None:
        raise InputError("expected findings with a plausibility; these are of a search without a log prior or response")
    palette, shape = DARK if dark else LIGHT, NARROW if narrow else WIDE
    figure = Figure(figsize=shape.size, dpi=DPI, facecolor=palette.paper)
    axes = figure.add_axes(shape.axes, facecolor=palette.paper)
    _points(axes, palette, findings, plausibility)
    _frame(axes, palette, findings.nature.maximum)
    chosen = _front(axes, palette, findings, plausibility)
    _words(figure, axes, palette, findings, shape)
    tiles = [
        (letter, plausibility.shown[i], plausibility.front[i])
        for letter, i in zip(ascii_lowercase, chosen, strict=False)
    ]
    if plausibility.best not in [trial for _, _, trial in tiles]:
        best = replace(findings.found[0], value=float(plausibility.values[plausibility.best]))
        tiles.insert(0, ("best", best, plausibility.best))
    _tiles(figure, palette, plausibility, tiles, shape.tiles)
    return as_png(figure)


def apart(x: Floats, y: Floats) -> list[int]:
    """Up to `MOST` of some points, ascending: the first, the last, then whichever lies farthest from all before.

    Args:
        x: ``(n,)`` places, in shares of the axes.
        y: the same.
    """
    points = np.stack([x, y], axis=1)
    chosen = [0]
    distance = np.linalg.norm(points - points[0], axis=1)
    while len(chosen) < MOST and distance.max() > APART:
        chosen.append(int(distance.argmax()) if len(chosen) > 1 or distance[-1] <= APART else len(x) - 1)
        distance = np.minimum(distance, np.linalg.norm(points - points[chosen[-1]], axis=1))
    return sorted(chosen)


def _points(axes: Axes, palette: Palette, findings: Findings, plausibility: Plausibility) -> None:
    natural = naturalness(plausibility.natural_percentiles), plausibility.natural_values
    if len(natural[0]):
        kind = findings.nature.kind
        axes.scatter(*natural, s=9, color=palette.muted, alpha=0.5, linewidths=0, zorder=2, label=kind)
    found = naturalness(plausibility.percentiles), plausibility.values
    size = float(np.clip(9000 / max(len(findings.values), 1), 4, 16))
    axes.scatter(*found, s=size, color=palette.point, alpha=0.6, linewidths=0, zorder=3, label=_each(findings))


def _frame(axes: Axes, palette: Palette, maximum: float | None) -> None:
    edge = float(naturalness(100 * BAND[0]))
    axes.axvspan(0, edge, color=palette.rule, alpha=0.6, linewidth=0, zorder=0)
    style: dict[str, Any] = {"transform": axes.get_xaxis_transform(), "color": palette.muted}
    axes.text(0, 1.015, "\N{BLACK DOWN-POINTING SMALL TRIANGLE} outside the natural band", fontsize=7, **style)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(palette.rule)
    axes.grid(axis="y", color=palette.rule, linewidth=0.8, zorder=0)
    axes.set_axisbelow(True)
    axes.tick_params(colors=palette.muted, labelsize=8, length=0, pad=5)
    axes.set_xlim(-2, 103)
    low, high = axes.get_ylim()
    low, high = (low, high) if maximum is None else (min(low, maximum), max(high, maximum))
    axes.set_ylim(low, high + 0.06 * (high - low))
    axes.set_xticks([0, edge, 50, 100], ["0\nbeyond all", f"{edge:g}\n ", "50\n ", "100 %\ntypical"])
    axes.set_xlabel("naturalness", color=palette.muted, fontsize=8.5, labelpad=-9)


def _front(axes: Axes, palette: Palette, findings: Findings, plausibility: Plausibility) -> list[int]:
    """Draws the front, the best and the natural maximum; returns which of the front are lettered."""
    maximum = findings.nature.maximum
    if maximum is not None:
        axes.axhline(maximum, color=palette.natural, linewidth=1.3, dashes=(7, 3), zorder=3.5)
        style: dict[str, Any] = {"xycoords": axes.get_yaxis_transform(), "textcoords": "offset points", "ha": "right"}
        box = {"facecolor": palette.paper, "alpha": 0.75, "edgecolor": "none", "pad": 1.0}
        words = f"natural maximum {number(maximum)}"
        axes.annotate(words, (1, maximum), (0, 3), fontsize=7.5, color=palette.natural, bbox=box, zorder=6, **style)
    front = list(plausibility.front)
    x, y = naturalness(plausibility.percentiles[front]), plausibility.values[front]
    line: dict[str, Any] = {"color": palette.found, "drawstyle": "steps-pre", "linewidth": 1.8}
    axes.plot([0, *x], [y[0], *y], zorder=4, label=f"Pareto front: no {_each(findings)[5:]} beats it in both", **line)
    axes.scatter(x, y, s=16, color=palette.found, linewidths=0, zorder=5)
    best = float(naturalness(plausibility.percentiles[plausibility.best])), plausibility.values[plausibility.best]
    ring: dict[str, Any] = {"facecolors": "none", "edgecolors": palette.ink, "linewidths": 1.4}
    axes.scatter(*best, s=90, zorder=6, label="best stimulus found", **ring)
    low, high = axes.get_ylim()
    chosen = apart(x / 100, (y - low) / (high - low))
    for letter, i in zip(ascii_lowercase, chosen, strict=False):
        near: dict[str, Any] = {"textcoords": "offset points", "fontsize": 8, "weight": "bold", "color": palette.found}
        axes.annotate(letter, (float(x[i]), float(y[i])), (5, 5), zorder=7, **near)
    return chosen


def _each(findings: Findings) -> str:
    """What a point is."""
    return "each code" if findings.noisy else "each trial"


def _words(figure: Figure, axes: Axes, palette: Palette, findings: Findings, shape: Shape) -> None:
    """Title, what naturalness is, and the legend."""
    left, top = shape.title
    narrow = shape is NARROW
    style: dict[str, Any] = {"va": "center", "parse_math": False}
    figure.text(left, top, findings.unit, fontsize=10.5, weight="bold", color=palette.ink, **style)
    what = "100 % where half of the natural codes are likelier, 0 % beyond them all: too plain, or too random"
    notes = [f"{findings.quantity} against naturalness{'' if narrow else f', {what}'}"]
    notes += [part.strip() for part in what.partition(",")[::2]] if narrow else []
    notes += ["of each code what is expected of it by all of its presentations"] if findings.noisy else []
    notes += [findings.criterion] if findings.weight else []
    for i, note in enumerate(notes, 1):
        figure.text(left, top - i * shape.line, note, fontsize=7.5, color=palette.muted, **style)
    legend: dict[str, Any] = {"frameon": False, "fontsize": 7.5, "labelcolor": palette.muted, "borderaxespad": 0}
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, shape.legend), bbox_transform=figure.transFigure,
                ncols=1 if narrow else 4, handletextpad=0.5, columnspacing=1.6, **legend)  # fmt: skip


def _tiles(
    figure: Figure,
    palette: Palette,
    plausibility: Plausibility,
    tiles: Sequence[tuple[str, Shown, int]],
    room: tuple[float, float, float, float],
) -> None:
    """Stimuli in rows of three, each with its letter, its value and its naturalness."""
    left, bottom, width, height = room
    across, down = figure.get_size_inches()
    cell = width / 3
    side = min(0.86 * cell * across, height / 2 * down - 0.42)  # inches; two lines of text below
    line = 0.17 / down
    for place, (letter, shown, trial) in enumerate(tiles):
        percent = float(naturalness(plausibility.percentiles[trial]))
        x, top = left + place % 3 * cell, bottom + height - place // 3 * height / 2
        axes = figure.add_axes((x, top - side / down, side / across, side / down))
        axes.set_axis_off()
        axes.imshow(picture(shown.stimulus), interpolation="nearest", aspect="auto")
        words: dict[str, Any] = {"va": "top", "parse_math": False}
        value = f"{letter}{', best' if letter != 'best' and trial == plausibility.best else ''}   {number(shown.value)}"
        below = top - side / down - line / 2
        figure.text(x, below, value, color=palette.found, fontsize=8.5, weight="bold", **words)
        figure.text(x, below - line, f"naturalness {percent:.0f} %", color=palette.muted, fontsize=7, **words)
