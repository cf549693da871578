"""Keeping real-valued proposals inside their box."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mango.charts import Chart
from mango.optimizers.base import Floats
from mango.space import Codes, SearchSpace


def mirrored(points: Floats, low: Floats, high: Floats) -> Floats:
    """Points ``(n, dim)`` reflected at the bounds ``(dim,)`` as often as needed; those inside stay as they are."""
    span = high - low
    phase = np.mod(points - low, 2 * span)
    reflected = np.clip(low + np.minimum(phase, 2 * span - phase), low, high)  # clip: rounding at the very bound
    inside: Floats = np.where((points >= low) & (points <= high), points, reflected)
    return inside


def nearest_image(point: Floats, center: Floats, low: Floats, high: Floats) -> Floats:
    """Of all points ``(dim,)`` that are mirrored to a point of the box, the one nearest to a center."""
    period = 2 * (high - low)
    images = np.stack([point, 2 * low - point])
    images += period * np.rint((center - images) / period)
    nearest: Floats = np.where(np.abs(images[0] - center) <= np.abs(images[1] - center), images[0], images[1])
    return nearest


class Unbounded:
    """A box continued without end by its mirror images: a chart for methods that know no bounds.

    Every point stands for the point of the box that it is mirrored to.

    Args:
        box: the bounds.
        chart: of the box, where there is one.
    """

    def __init__(self, box: SearchSpace, chart: Chart | None) -> None:
        self.space = box
        self._chart = chart

    def to_codes(self, coordinates: ArrayLike) -> Codes:
        """Codes of any points ``(n, k)``."""
        inside = mirrored(np.asarray(coordinates, np.float64), self.space.lower, self.space.upper)
        return inside if self._chart is None else self._chart.to_codes(inside)

    def to_coordinates(self, codes: ArrayLike) -> NDArray[np.float64]:
        """Points of the box."""
        return np.array(codes, np.float64) if self._chart is None else self._chart.to_coordinates(codes)
