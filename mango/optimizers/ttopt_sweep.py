"""Index sets of a cross approximation, moved axis by axis to rows of nearly maximal volume.

Before axis k stand up to ``rank`` heads, tuples of its k predecessors; behind it as many tails, tuples of its
successors. Heads x points x tails is the block of index tuples whose values are needed at axis k. Rightward, the block
as a matrix (heads x points, tails) gives the heads of axis k + 1: the rows whose submatrix has nearly the largest
volume (Goreinov et al. 2010), which holds an entry nearly as large as the matrix's largest. Leftward likewise for
tails.

Source: Sozykin et al. (2022), TTOpt: a maximum volume quantized tensor train-based optimization, arXiv 2205.00293;
maxvol is teneva's (Chertkov et al. 2022).
"""

from __future__ import annotations

import numpy as np
import teneva
from numpy.typing import NDArray

from mango.optimizers.axes import Digits
from mango.optimizers.base import Floats, State


class CrossSweep:
    """Sweeps over the axes, there and back.

    Args:
        sizes: ``(d,)`` points of each axis.
        rank: most heads and tails at any axis.
        points: ``(m, d)`` whose endings are the first tails.

    Attributes:
        axis: where it stands.
    """

    def __init__(self, sizes: NDArray[np.int64], rank: int, points: Digits) -> None:
        self._sizes = sizes
        self._rank = rank
        self.restart(points)

    def restart(self, points: Digits) -> None:
        """Starts anew at the first axis with the tails of these points."""
        self.axis, self._rightward = 0, True
        d = len(self._sizes)
        self._heads: list[Digits] = [np.zeros((1 if k == 0 else 0, k), np.int64) for k in range(d)]
        self._tails: list[Digits] = [_distinct(points[:, k + 1 :])[: self._rank] for k in range(d)]

    def block(self) -> Digits:
        """Index tuples ``(heads x points x tails, d)`` whose values `advance` needs, in that order."""
        heads, tails, n = self._heads[self.axis], self._tails[self.axis], int(self._sizes[self.axis])
        head, point, tail = (part.ravel() for part in np.indices((len(heads), n, len(tails))))
        return np.concatenate([heads[head], point[:, None], tails[tail]], axis=1)

    def advance(self, worth: Floats) -> None:
        """Moves on one axis.

        Args:
            worth: of each tuple of the block, > 0; larger is better.
        """
        k, n = self.axis, int(self._sizes[self.axis])
        heads, tails = self._heads[k], self._tails[k]
        matrix = worth.reshape(len(heads) * n, len(tails)) if self._rightward else worth.reshape(len(heads), -1).T
        rows = _large_rows(matrix, self._rank)
        if self._rightward and k + 1 < len(self._sizes):
            self._heads[k + 1] = np.concatenate([heads[rows // n], (rows % n)[:, None]], axis=1)
        elif not self._rightward and k > 0:
            self._tails[k - 1] = np.concatenate([(rows // len(tails))[:, None], tails[rows % len(tails)]], axis=1)
        step = 1 if self._rightward else -1
        if 0 <= k + step < len(self._sizes):
            self.axis = k + step
        else:  # turn round; the same block serves the other way
            self._rightward = not self._rightward

    def state(self) -> State:
        """Flat, for `restore`."""
        return {
            "axis": self.axis,
            "rightward": int(self._rightward),
            **{f"{name}_{part}": array for name, sets in self._sets() for part, array in _packed(sets)},
        }

    def restore(self, state: State) -> None:
        """Takes up what `state` gave."""
        self.axis, self._rightward = int(state["axis"]), bool(state["rightward"])
        d = len(self._sizes)
        self._heads = _unpacked(state, "heads", range(d))
        self._tails = _unpacked(state, "tails", range(d - 1, -1, -1))

    def _sets(self) -> tuple[tuple[str, list[Digits]], ...]:
        return ("heads", self._heads), ("tails", self._tails)


def _large_rows(matrix: Floats, most: int) -> NDArray[np.intp]:
    """Up to ``most`` rows: those of nearly maximal volume after orthonormalisation, then those they explain worst."""
    count, columns = matrix.shape
    if count <= most:
        return np.arange(count)
    basis, _ = np.linalg.qr(matrix)
    more = most - columns
    rows, _ = teneva.maxvol_rect(basis, dr_min=more, dr_max=more) if more else teneva.maxvol(basis)
    return np.asarray(rows, np.intp)


def _distinct(rows: Digits) -> Digits:
    """Without repetition, in the order of first appearance."""
    if not rows.shape[1]:
        return rows[:1]
    _, first = np.unique(rows, axis=0, return_index=True)
    return rows[np.sort(first)]


def _packed(sets: list[Digits]) -> list[tuple[str, NDArray[np.int64]]]:
    digits = np.concatenate([part.ravel() for part in sets])
    return [("digits", digits), ("counts", np.array([len(part) for part in sets], np.int64))]


def _unpacked(state: State, name: str, widths: range) -> list[Digits]:
    digits, sets, start = np.asarray(state[f"{name}_digits"], np.int64), [], 0
    for count, width in zip(np.asarray(state[f"{name}_counts"]).tolist(), widths, strict=True):
        sets.append(digits[start : start + count * width].reshape(count, width))
        start += count * width
    return sets
