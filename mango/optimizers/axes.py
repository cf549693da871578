"""The axes that a method on grids searches: one for each axis of the space, or its binary digits.

Binary axes are the quantised tensor train's (Khoromskij 2011; Oseledets 2010): an axis of 2^m points becomes m axes of
two points, the most significant digit first.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mango.errors import InputError, OptionError
from mango.space import Codes, SearchSpace

Digits = NDArray[np.int64]


class GridAxes:
    """Points of a space as digits ``(n, d)``, one whole number below ``sizes[k]`` on each of ``d`` axes.

    Args:
        space: whose continuous axes take ``levels`` equidistant points.
        levels: points of a continuous axis, >= 2.
        binary: whether each axis of 2^m points becomes m binary ones.

    Attributes:
        sizes: ``(d,)`` points of each axis.

    Raises:
        OptionError: bad ``levels``.
        InputError: ``binary`` on an axis whose number of points is no power of two.
    """

    def __init__(self, space: SearchSpace, levels: int, binary: bool) -> None:
        self.space = space
        self._discrete = not space.continuous.any()  # then a code is its grid index already
        self.levels = whole("levels", levels, least=2)
        sizes = space.grid_sizes(self.levels)
        if not isinstance(binary, (bool, np.bool_)):
            raise OptionError(f"binary must be True or False; got {binary!r}")
        self.binary = bool(binary)
        if not self.binary:
            self.sizes = sizes
            return
        wrong = (sizes < 2) | (sizes & (sizes - 1) != 0)
        if wrong.any():
            axis = int(wrong.argmax())
            kind = "takes levels =" if space.continuous[axis] else "has"
            raise InputError(
                f"binary axes need a power of two of points on every axis; axis {axis} {kind} {sizes[axis]}; "
                f"give binary=False{' or levels=16' if space.continuous[axis] else ''}"
            )
        digits = np.array([int(size).bit_length() - 1 for size in sizes])
        self.sizes = np.full(digits.sum(), 2, np.int64)
        self._starts = np.concatenate([[0], np.cumsum(digits)[:-1]])
        self._axis = np.repeat(np.arange(space.dim), digits)
        self._shift = np.concatenate([np.arange(m)[::-1] for m in digits])

    def to_digits(self, points: Codes) -> Digits:
        """Digits ``(n, d)`` of the grid point nearest to each point ``(n, dim)``."""
        indices = points.astype(np.int64) if self._discrete else self.space.to_grid(points, self.levels)
        return (indices[:, self._axis] >> self._shift) & 1 if self.binary else indices

    def to_points(self, digits: NDArray[Any]) -> Codes:
        """Points ``(n, dim)`` of the space; the inverse of `to_digits` on the grid."""
        indices = np.add.reduceat(digits << self._shift, self._starts, axis=1) if self.binary else digits
        return indices if self._discrete else self.space.from_grid(indices, self.levels)


def whole(name: str, value: Any, least: int = 1) -> int:
    """An option that must be a whole number.

    Raises:
        OptionError: it is none, or below ``least``.
    """
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)) or value < least:
        raise OptionError(f"{name} must be a whole number >= {least}; got {value!r}")
    return int(value)
