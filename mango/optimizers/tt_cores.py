"""Tensor trains as distributions that are built, not descended to: every core in closed form.

A train of ``r`` states is a hidden path along the axes: state a has a density K_a of points on each axis, and between
axes the path stays in its state or, with probability ``crossing``, draws one anew by the states' weights w. In cores,

    G_k[a, b, i] = T[a, b] K_b(i),   T = (1 - crossing) I + crossing 1 w',   G_1[0, b, i] = w_b K_b(i)          (1)

whose entries sum to 1. States that are good points, each with some width, give mosaics of them (the model of Li and
Stephens 2003 for chromosomes that are mosaics of others); one state alone gives a product of densities. A function
``f = sum_k f_k`` of the axes tilts the train exactly, at the same rank:

    G_k[a, b, i] <- G_k[a, b, i] exp(f_k(i))                                                                     (2)
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mango.optimizers import tt_kernels
from mango.optimizers.axes import Digits
from mango.optimizers.base import Floats

FLOAT = np.float32  # half the memory to move, and the draws decide, not the last digits


class Train:
    """A tensor train to draw grid points from.

    Args:
        states: ``(r, d, n)`` densities K_a, 0 on padding.
        weights: ``(r,)`` w, which sum to 1.
        crossing: probability of a new state between two axes.
        sizes: ``(d,)`` points of each axis.
        tilt: ``(d, n)`` f_k, or None.
    """

    def __init__(
        self, states: Floats, weights: Floats, crossing: float, sizes: NDArray[np.int64], tilt: Floats | None
    ) -> None:
        r, d, n = states.shape
        if tilt is not None:
            states = states * np.exp(tilt - tilt.max(1, keepdims=True))  # (2)
        stays = (1 - crossing) * np.eye(r) + crossing * weights
        self.cores = np.empty((d, r, r, n), FLOAT)
        self.cores[:] = stays[None, :, :, None] * states.transpose(1, 0, 2)[:, None]  # (1)
        self.cores[0, 0] = weights[:, None] * states[:, 0]
        self.cores[-1, :, 0] = self.cores[-1].sum(1)  # the last core's column 0 alone counts
        self._sizes, self._ranks = sizes, (0,) * r
        self._sums = np.zeros((d, r, n), FLOAT)
        right, norms = np.zeros((d + 1, r), FLOAT), np.zeros(d, FLOAT)
        tt_kernels.interfaces(self.cores, sizes, self._sums, right, norms, self._ranks)

    def draw(self, uniform: NDArray[Any]) -> Digits:
        """Grid points ``(m, d)`` from numbers ``(m, d)`` in [0, 1)."""
        drawn: Digits = tt_kernels.sample(self.cores, self._sizes, self._sums, uniform, self._ranks)
        return drawn
