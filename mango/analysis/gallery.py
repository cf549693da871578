"""Pictures of a model: rows of stimuli that it makes, or what natural stimuli do to its units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from mango.analysis.sheet import DPI, LIGHT, Sheet, as_png

SIDE = 128  # of a stimulus: four times the 32 pixels of CIFAR-10
GAP = 16
ACROSS = 10
MARGIN = 48
TOP = 120
HEADING = 64
CAPTION = 26
PANELS = 3  # beside one another
CURVES = (("maximum", LIGHT.natural, 2.2), ("99.9 %", LIGHT.found, 1.6), ("median", LIGHT.muted, 1.2))


def gallery_png(
    title: str, rows: Mapping[str, Sequence[NDArray[Any]]], captions: Mapping[str, Sequence[str]] | None = None
) -> bytes:
    """Stimuli under headings, ten in a line, enlarged without smoothing.

    Args:
        title: of the picture.
        rows: heading -> stimuli, as `mango.analysis.findings.picture` takes them.
        captions: heading -> a few words under each stimulus.
    """
    sheet, step = Sheet(dark=False), SIDE + GAP
    down = step + (CAPTION if captions else 0)
    lines = {heading: -(-len(stimuli) // ACROSS) for heading, stimuli in rows.items()}
    height = TOP + sum(HEADING + count * down for count in lines.values()) + MARGIN
    sheet.start(2 * MARGIN + ACROSS * step - GAP, height)
    room = sheet.width - 2 * MARGIN
    sheet.text(MARGIN, 72, title, 14, weight="bold", room=room)
    top = TOP
    for heading, stimuli in rows.items():
        sheet.line(MARGIN, top, room, sheet.palette.rule)
        sheet.text(MARGIN, top + 38, heading, 9.5, room=room)
        for i, stimulus in enumerate(stimuli):
            x, y = MARGIN + i % ACROSS * step, top + HEADING + i // ACROSS * down
            sheet.image(x, y, SIDE, stimulus)
            if captions:
                sheet.text(x, y + SIDE + CAPTION, captions[heading][i], 7, room=SIDE)
        top += HEADING + lines[heading] * down
    return sheet.png()


def answers_png(title: str, layers: Mapping[str, NDArray[Any]]) -> bytes:
    """For each layer what natural stimuli do to its units, these in the order of their maximum.

    Args:
        title: of the picture.
        layers: name -> maximum, 99.9th percentile and median of the responses, perhaps more, ``(3 or more, units)``.
    """
    across, down = min(PANELS, len(layers)), -(-len(layers) // PANELS)
    figure = Figure(figsize=(max(3.2 * across, 5), 2.6 * down + 0.7), dpi=DPI, facecolor=LIGHT.paper)
    figure.subplots_adjust(0.08, 0.16 / down**0.5, 0.98, 1 - 0.85 / (2.6 * down + 0.7), 0.28, 0.5)
    left = 0.1 / figure.get_figwidth()
    figure.text(left, 1 - 0.27 / figure.get_figheight(), title, fontsize=11, weight="bold", color=LIGHT.ink)
    for place, (name, table) in enumerate(layers.items()):
        axes = figure.add_subplot(down, across, place + 1, facecolor=LIGHT.paper)
        order = np.argsort(-table[0], kind="stable")
        for (label, colour, width), values in zip(CURVES, table, strict=False):
            axes.plot(np.arange(len(order)), values[order], color=colour, linewidth=width, label=label)
        axes.set_title(f"{name}: {len(order)} units", fontsize=8.5, loc="left", color=LIGHT.ink)
        axes.tick_params(colors=LIGHT.muted, labelsize=7, length=0)
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.grid(axis="y", color=LIGHT.rule, linewidth=0.8)
        for side in ("top", "right", "left"):
            axes.spines[side].set_visible(False)
        axes.spines["bottom"].set_color(LIGHT.rule)
        if place == 0:
            axes.legend(fontsize=7, frameon=False, labelcolor=LIGHT.ink)
    return as_png(figure)
