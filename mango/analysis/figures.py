"""The pictures of a search: the best stimuli beside nature, the way there, several units at a glance.

Each function returns the bytes of a PNG and touches no global state of matplotlib. Stimuli are enlarged without
smoothing, and everything is labelled where it stands.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from mango.analysis.findings import Findings, Floats, Shown, number
from mango.analysis.sheet import DARK, DPI, LIGHT, Palette, Sheet, as_png

TILE = 160  # a small stimulus: five times the 32 pixels of CIFAR-10
HERO = 384  # the best one: twelve times
STEP = HERO - TILE  # from one row of small ones to the next; two rows end where the large one ends
GAP = 48
PANEL = HERO + 2 * (GAP + TILE)
COLUMNS = (0, STEP, HERO + GAP, HERO + 2 * GAP + TILE)
BETWEEN = 96  # panels
MARGIN = 56
PER_PANEL = 9  # one large, eight small


@dataclass(frozen=True, eq=False)
class Row:
    """One unit of a summary.

    Attributes:
        unit: its name.
        found: the best of each seed, None where a seed found no response.
        labels: one short word for each of ``found``, such as ``"seed 0"``.
        natural: the best natural stimulus, where there is one.
        maximum: the natural maximum, where known.
    """

    unit: str
    found: Sequence[Shown | None]
    labels: Sequence[str]
    natural: Shown | None = None
    maximum: float | None = None


def best_png(findings: Findings, *, dark: bool = False) -> bytes:
    """The best stimuli found beside the best natural ones, each with its response."""
    sheet = Sheet(dark)
    panels = [("Best stimuli found", list(findings.found)[:PER_PANEL], sheet.palette.found)]
    if findings.nature.shown:
        panels.append((f"Best {findings.nature.kind}", list(findings.nature.shown)[:PER_PANEL], sheet.palette.natural))
    most = max(len(shown) for _, shown, _ in panels)
    top = 200
    body = 3 * STEP if most > 5 else HERO + 50 if most else 60
    sheet.start(2 * MARGIN + len(panels) * (PANEL + BETWEEN) - BETWEEN, top + body + 40)
    room = sheet.width - 2 * MARGIN
    sheet.text(MARGIN, 68, findings.unit, 15, weight="bold", room=room)
    sheet.text(MARGIN, 108, _compared(findings), 9.5, color=sheet.palette.muted, room=room)
    for column, (title, shown, colour) in enumerate(panels):
        left = MARGIN + column * (PANEL + BETWEEN)
        sheet.line(left, 140, PANEL, colour)
        sheet.text(left, top - 20, title, 11, color=colour, weight="bold")
        if shown:
            _panel(sheet, shown, left, top, colour)
        else:
            sheet.text(left, top + 40, "none", 10, color=sheet.palette.muted)
    return sheet.png()


def convergence_png(findings: Findings, *, dark: bool = False, narrow: bool = False) -> bytes:
    """Every value and the best so far over the evaluations, with the natural maximum as a line.

    Args:
        findings: of one search.
        dark: light on dark.
        narrow: the shape for a phone.
    """
    palette = DARK if dark else LIGHT
    figure = Figure(figsize=(4.2, 4.0) if narrow else (8.4, 4.6), dpi=DPI, facecolor=palette.paper)
    left, right = (0.15, 0.76) if narrow else (0.085, 0.845)
    axes = figure.add_axes((left, 0.125, right - left, 0.73), facecolor=palette.paper)
    values = findings.values
    at = np.arange(1, len(values) + 1)
    measured = ~np.isnan(values)
    size = float(np.clip(9000 / max(len(values), 1), 3, 16))
    axes.scatter(at[measured], values[measured], s=size, color=palette.point, alpha=0.55, linewidths=0, zorder=2)
    levels: list[tuple[float, str, str]] = []
    if findings.responded:
        best = findings.best_so_far
        axes.step(at, best, where="post", color=palette.found, linewidth=2.2, zorder=4)
        levels.append((float(best[-1]), "highest trial" if findings.noisy else "best found", palette.found))
    if findings.confirmed is not None:
        axes.axhline(findings.confirmed.value, color=palette.found, linewidth=1.3, dashes=(4, 2), zorder=3)
        levels.append((findings.confirmed.value, "confirmed", palette.found))
    maximum, p999 = findings.nature.maximum, findings.nature.p999
    known = [*values[measured], *(() if maximum is None else (maximum,))]
    if maximum is not None and p999 is not None and maximum - p999 < 0.02 * (max(known) - min(known)):
        p999 = None  # one line, not two on top of one another
    for value, name, dashes in ((maximum, "natural maximum", (7, 3)), (p999, "natural, 99.9 %", (1.5, 2.5))):
        if value is not None:
            axes.axhline(value, color=palette.natural, linewidth=1.3, dashes=dashes, zorder=3)
            levels.append((value, name, palette.natural))
    _frame(axes, palette, values, levels)
    _end_labels(axes, levels)
    inset = 0.028 if narrow else 0.014
    figure.text(
        inset, 0.955, findings.unit, fontsize=10.5, weight="bold", color=palette.ink, va="center", parse_math=False
    )
    unit = "evaluation" if findings.repeats == 1 else "trial"
    lost = int((~measured).sum())
    note = f"each dot one {unit}{f', {lost} lost or failed' if lost else ''}"
    note += f"; {findings.criterion}" if findings.weight and not narrow else ""
    figure.text(inset, 0.903, f"{findings.quantity}; {note}", fontsize=8, color=palette.muted, va="center")
    axes.set_xlabel(f"{unit}s", color=palette.muted, fontsize=8.5)
    return as_png(figure)


def summary_png(rows: Sequence[Row], title: str, *, dark: bool = False) -> bytes:
    """Several units at a glance: for each the best found (one for each seed) and the best natural stimulus."""
    sheet = Sheet(dark)
    palette = sheet.palette
    seeds = max(len(row.found) for row in rows)
    natural = any(row.natural is not None for row in rows)
    tiles = seeds + natural
    step = TILE + 22
    card = tiles * step - 22
    across = max(1, min(len(rows), round(8 / tiles), 4)) if len(rows) > 1 else 1
    down = math.ceil(len(rows) / across)
    card_height = 74 + TILE + 76
    width = max(2 * MARGIN + across * card + (across - 1) * 72, 900)
    sheet.start(width, 150 + down * card_height + MARGIN - 20)
    sheet.text(MARGIN, 66, title, 14, weight="bold", room=width - 2 * MARGIN)
    each = " for each seed" if seeds > 1 else ""
    beside = "; at the right the best natural stimulus" if natural else ""
    sheet.text(MARGIN, 104, f"best stimulus found{each}{beside}", 9, color=palette.muted, room=width - 2 * MARGIN)
    for place, row in enumerate(rows):
        left = MARGIN + (place % across) * (card + 72)
        top = 140 + (place // across) * card_height
        sheet.line(left, top, card, palette.rule)
        sheet.text(left, top + 34, row.unit, 9.5, weight="bold", room=card / (2 if tiles > 2 else 1))
        if row.maximum is not None and tiles > 2:
            words = f"natural maximum {number(row.maximum)}"
            sheet.text(left + card, top + 34, words, 8, color=palette.natural, align="right")
        for column, (found, label) in enumerate(zip(row.found, row.labels, strict=True)):
            _cell(sheet, found, left + column * step, top + 62, palette.found, label if seeds > 1 else "found")
        if row.natural is not None:
            label = row.natural.caption or "natural"
            _cell(sheet, row.natural, left + seeds * step, top + 62, palette.natural, label)
    return sheet.png()


def _panel(sheet: Sheet, shown: Sequence[Shown], left: float, top: float, colour: str) -> None:
    """One large stimulus, four beside it, four below."""
    muted = sheet.palette.muted
    sheet.image(left, top, HERO, shown[0].stimulus)
    sheet.text(left, top + HERO + 38, number(shown[0].value), 13, color=colour, weight="bold")
    sheet.text(left + HERO, top + HERO + 38, shown[0].caption, 8.5, color=muted, align="right")
    places = [(2, 0), (3, 0), (2, 1), (3, 1), (0, 2), (1, 2), (2, 2), (3, 2)]
    for item, (column, row) in zip(shown[1:], places, strict=False):
        x, y = left + COLUMNS[column], top + row * STEP
        sheet.image(x, y, TILE, item.stimulus)
        sheet.text(x, y + TILE + 28, number(item.value), 8.5, color=colour, weight="bold")
        sheet.text(x, y + TILE + 51, item.caption, 6.5, color=muted, room=TILE + GAP - 8)


def _cell(sheet: Sheet, shown: Shown | None, x: float, y: float, colour: str, label: str) -> None:
    if shown is None:
        sheet.block(x, y, TILE, TILE, sheet.palette.rule)
        sheet.text(x + TILE / 2, y + TILE / 2 + 8, "no response", 8, color=sheet.palette.muted, align="center")
        sheet.text(x, y + TILE + 30, number(None), 9, color=sheet.palette.muted)
    else:
        sheet.image(x, y, TILE, shown.stimulus)
        sheet.text(x, y + TILE + 30, number(shown.value), 9, color=colour, weight="bold")
    sheet.text(x, y + TILE + 54, label, 7, color=sheet.palette.muted, room=TILE)


def _compared(findings: Findings) -> str:
    """One line on how the best found stands beside nature."""
    count = f"{findings.effort}; {findings.criterion}" if findings.weight else findings.effort
    nature = findings.nature
    if not findings.responded:
        return f"no response was found in {findings.effort}: no value ever differed"
    if nature.maximum is None:
        return f"{findings.quantity}; {count}"
    over = f" over {nature.source}" if nature.source else ""
    return f"{findings.quantity}; {count}; natural maximum {number(nature.maximum)}{over}"


def _frame(axes: Axes, palette: Palette, values: Floats, levels: list[tuple[float, str, str]]) -> None:
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(palette.rule)
    axes.grid(axis="y", color=palette.rule, linewidth=0.8, zorder=0)
    axes.set_axisbelow(True)
    axes.tick_params(colors=palette.muted, labelsize=8, length=0, pad=5)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(6))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    shown = [*values[~np.isnan(values)].tolist(), *(level for level, *_ in levels)]
    low, high = (min(shown), max(shown)) if shown else (0.0, 1.0)
    room = 0.05 * (high - low) or 0.5
    axes.set_ylim(low - room, high + room)
    axes.set_xlim(0 if len(values) > 1 else 0.5, max(len(values), 1) * 1.005 + 0.5)


def _end_labels(axes: Axes, levels: list[tuple[float, str, str]]) -> None:
    """Value and name at the right end of each line, moved apart where they would touch."""
    low, high = axes.get_ylim()
    levels = sorted(levels)
    true = [(value - low) / (high - low) for value, *_ in levels]
    for at, place, (value, name, colour) in zip(true, spread(true, 0.115, 0.97), levels, strict=True):
        style: dict[str, Any] = {"transform": axes.transAxes, "color": colour}
        axes.plot([1.0, 1.022], [at, place], linewidth=0.9, clip_on=False, zorder=5, **style)
        axes.text(1.03, place + 0.002, number(value), fontsize=9.5, weight="bold", va="bottom", **style)
        axes.text(1.03, place - 0.008, name, fontsize=7.5, va="top", **style)


def spread(places: Sequence[float], apart: float, top: float) -> list[float]:
    """Ascending places moved as little as needed to lie ``apart`` from one another and not above ``top``."""
    moved = list(places)
    for i in range(1, len(moved)):
        moved[i] = max(moved[i], moved[i - 1] + apart)
    ceiling = top
    for i in reversed(range(len(moved))):
        moved[i] = min(moved[i], ceiling)
        ceiling = moved[i] - apart
    return moved
