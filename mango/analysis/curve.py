"""A time series as a picture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

SIDE = 384  # pixels; a whole multiple of most sizes at which pictures are shown
ROOM = 28  # around the curve
WIDTH = 5  # of the curve: it stays visible where the picture is shown small
FINER = 2  # drawn so many times larger first, for smooth edges
PAPER, RULE, INK = "#f4f6f8", "#c3ccd4", "#0b3c5d"


def curve(series: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Pixels ``(height, width, 3)`` of a curve through the points ``(length,)``, from their lowest to their highest.

    A grey line lies at 0 where the series passes it.
    """
    low, high = float(series.min()), float(series.max())
    side, room = SIDE * FINER, ROOM * FINER
    image = Image.new("RGB", (side, side), PAPER)
    draw = ImageDraw.Draw(image)

    def height(values: NDArray[np.float64]) -> NDArray[np.float64]:
        share = (values - low) / (high - low) if high > low else np.full(len(values), 0.5)
        return side - room - (side - 2 * room) * share

    if low < 0 < high:
        (zero,) = height(np.zeros(1)).tolist()
        draw.line((0, zero, side, zero), fill=RULE, width=FINER * 2)
    across = np.linspace(room, side - room, len(series))
    points = list(zip(across.tolist(), height(series).tolist(), strict=True))
    draw.line(points, fill=INK, width=WIDTH * FINER, joint="curve")
    return np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BOX))
