"""The axes of Tensor-Train search as it sees them: where their points lie, and how likely each is beforehand."""

from __future__ import annotations

import math

import numpy as np

from mango.optimizers.axes import Digits, GridAxes
from mango.optimizers.base import Floats

SMOOTHING = 0.2  # share of the flat density in one that is counted from natural codes


class Prior:
    """Places and probabilities of the points of each axis, padded to the longest axis.

    Args:
        axes: the grid.
        natural: ``(m, d)`` digits of natural codes; on axes of labels their frequencies are the density, which is
            otherwise flat.

    Attributes:
        sizes: ``(d,)`` points of each axis.
        ordered: ``(d,)`` whether steps along an axis mean anything: a box or grid axis of more than two points.
        linear: ``(d,)`` whether a coordinate says all there is to learn at first order: ordered, or of two points.
        coordinates: ``(d, n)`` in units of the prior's spread: of a unit-normal axis as they are, of a uniform one or
            a grid centred, of unit variance. 0 on padding.
        density: ``(d, n)`` each row sums to 1; 0 on padding.
        normal: ``(d,)`` whether the density is a normal one.
        least: ``(d,)`` the step from which on a sample of steps along all axes changes one of them on average.
    """

    def __init__(self, axes: GridAxes, natural: Digits | None) -> None:
        space, self.sizes = axes.space, axes.sizes
        d, n = len(self.sizes), int(self.sizes.max())
        self.inside = np.arange(n) < self.sizes[:, None]
        self.ordered = space.ordered & (self.sizes > 2)
        self.linear = self.ordered | (self.sizes == 2)
        self.normal = space.continuous & (space.prior == "normal")
        self.coordinates = np.zeros((d, n))
        for k, size in enumerate(self.sizes.tolist()):
            places = np.linspace(space.lower[k], space.upper[k], size)
            if not self.normal[k]:
                places = (places - places.mean()) / (places.std() or 1.0)
            self.coordinates[k, :size] = places
        self.density = np.where(self.inside, 1.0, 0.0) / self.sizes[:, None]
        self.density[self.normal] = self.around(np.zeros(d), 1.0)[self.normal]
        if natural is not None:
            for k in np.flatnonzero(~self.ordered).tolist():
                shares = np.bincount(natural[:, k], minlength=n) / len(natural)
                self.density[k] = (1 - SMOOTHING) * shares + SMOOTHING * self.density[k]
        spacing = np.ptp(self.coordinates, axis=1) / np.maximum(self.sizes - 1, 1)
        # d axes of 2 exp(-spacing^2 / 2 step^2) each: together one change
        self.least = np.where(self.ordered, spacing / math.sqrt(2 * math.log(2 * d + 1)), 1 / d)

    def around(self, centers: Floats, step: float | Floats) -> Floats:
        """Normal densities ``(d, n)`` on the points of each axis, around centers ``(d,)``."""
        exponent = -np.square((self.coordinates - centers[:, None]) / np.reshape(step, (-1, 1))) / 2
        exponent = np.where(self.inside, exponent, -np.inf)
        weights = np.exp(exponent - exponent.max(1, keepdims=True))  # 1 at most, however far out the center lies
        scaled: Floats = weights / weights.sum(1, keepdims=True)
        return scaled

    def places(self, digits: Digits) -> Floats:
        """Coordinates ``(m, d)`` of grid points ``(m, d)``."""
        found: Floats = self.coordinates[np.arange(len(self.sizes)), digits]
        return found
