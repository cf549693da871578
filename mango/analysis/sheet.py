"""What every picture is made on: colours, and a sheet on which things are placed by pixels.

Colours are after Okabe and Ito (2008): found is blue, natural is orange, which colour-blind readers tell apart.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from mango.analysis.findings import picture

DPI = 200  # lengths in pixels are at this resolution


@dataclass(frozen=True)
class Palette:
    """Colours of one appearance."""

    paper: str
    ink: str
    muted: str
    rule: str
    found: str
    natural: str
    point: str


LIGHT = Palette("#ffffff", "#1b1f24", "#5a646e", "#dde2e7", "#0067a3", "#b84a00", "#6f9fc4")
DARK = Palette("#15181c", "#eceff2", "#a3adb8", "#333a42", "#56b4e9", "#f0a030", "#3f7397")


class Sheet:
    """A figure in which things are placed by pixels from the top left corner; `start` says how large it is."""

    def __init__(self, dark: bool) -> None:
        self.palette = DARK if dark else LIGHT
        self.figure = Figure(dpi=DPI, facecolor=self.palette.paper)
        self.width = self.height = 0

    def start(self, width: int, height: int) -> None:
        """Sets the size in pixels."""
        self.width, self.height = width, height
        self.figure.set_size_inches(width / DPI, height / DPI)

    def text(
        self, x: float, y: float, words: str, size: float, *, align: str = "left", room: float = math.inf, **style: Any
    ) -> None:
        """Words with their base line at ``y``, smaller where they would need more than ``room`` pixels."""
        style = {"color": self.palette.ink, **style}
        wide = (0.72 if style.get("weight") else 0.62) * size * DPI / 72  # pixels of a letter of DejaVu Sans
        size = min(size, size * room / (wide * len(words))) if words else size
        place = (x / self.width, 1 - y / self.height)
        self.figure.text(*place, words, fontsize=size, va="baseline", ha=align, parse_math=False, **style)

    def line(self, x: float, y: float, length: float, colour: str) -> None:
        """A horizontal rule."""
        self.block(x, y, length, 3, colour)

    def block(self, x: float, y: float, width: float, height: float, colour: str) -> None:
        """A filled rectangle with its top left corner at (x, y)."""
        place = (x / self.width, 1 - (y + height) / self.height, width / self.width, height / self.height)
        self.figure.add_artist(Rectangle(place[:2], *place[2:], facecolor=colour, transform=self.figure.transFigure))

    def image(self, x: float, y: float, side: int, stimulus: Any) -> None:
        """A stimulus in a square with its top left corner at (x, y), enlarged without smoothing."""
        pixels = picture(stimulus)
        tall, wide = pixels.shape[0] / max(pixels.shape[:2]), pixels.shape[1] / max(pixels.shape[:2])
        x, y = x + side * (1 - wide) / 2, y + side * (1 - tall) / 2
        place = (
            x / self.width,
            1 - (y + side * tall) / self.height,
            side * wide / self.width,
            side * tall / self.height,
        )
        axes = self.figure.add_axes(place)
        axes.set_axis_off()
        axes.imshow(pixels, interpolation="nearest", aspect="auto")

    def png(self) -> bytes:
        """The bytes of a PNG."""
        return as_png(self.figure)


def as_png(figure: Figure) -> bytes:
    """The bytes of a PNG."""
    buffer = io.BytesIO()
    FigureCanvasAgg(figure)
    figure.savefig(buffer, format="png", metadata={"Software": "mango"})
    return buffer.getvalue()
