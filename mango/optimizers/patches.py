"""Changes of a rectangle of a map of labels at a time: what is alike in an image lies side by side.

A rectangle, each side's length drawn with a probability that falls as its inverse, takes one label from anywhere in the
book; or one that lies near the label in its middle, in the book's embedding; or what stands in another place of the
map, of the same size.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mango.space import SearchSpace

NEAR = 32  # labels that count as near
MOST = 4096  # labels of a book whose neighbours are listed
ANY, NEIGHBOUR = 0.4, 0.3  # shares of the kinds of change; the rest copies


class Patches:
    """Changes codes of a space whose axes lie on a map and share one set of labels.

    Args:
        space: for which `suits` holds.
    """

    def __init__(self, space: SearchSpace) -> None:
        assert space.layout is not None
        self._height, self._width = space.layout
        self._labels = int(space.levels[0])
        self._near: NDArray[np.int64] | None = None
        if space.embedding is not None and NEAR < self._labels <= MOST:
            book = space.embedding
            apart = np.square(book).sum(1) - 2 * book @ book.T  # and the square of the label itself, the same in a row
            np.fill_diagonal(apart, np.inf)
            self._near = np.argsort(apart, axis=1, kind="stable")[:, :NEAR]

    def change(self, code: NDArray[Any], rng: np.random.Generator) -> None:
        """Changes a rectangle of ``(dim,)`` in place; something is another then."""
        before = code.copy()
        while (code == before).all():
            self._try(code.reshape(self._height, self._width), rng)

    def _try(self, places: NDArray[Any], rng: np.random.Generator) -> None:
        height, width = _length(self._height, rng), _length(self._width, rng)
        patch = places[_stretch(self._height, height, rng), _stretch(self._width, width, rng)]
        kind = rng.random()
        if kind < ANY:
            patch[...] = rng.integers(self._labels)
        elif kind < ANY + NEIGHBOUR and self._near is not None:
            patch[...] = self._near[patch[height // 2, width // 2], rng.integers(NEAR)]
        else:
            patch[...] = places[_stretch(self._height, height, rng), _stretch(self._width, width, rng)].copy()


def suits(space: SearchSpace) -> bool:
    """Whether the axes lie on a map and share one set of labels."""
    return space.layout is not None and len(space.layout) == 2 and share_labels(space)


def share_labels(space: SearchSpace) -> bool:
    """Whether the axes share one set of labels, not ordered: those of one code book."""
    shared = (space.levels == space.levels[0]).all() and space.levels[0] > 1 and not space.ordered.any()
    return bool(shared)


def _length(most: int, rng: np.random.Generator) -> int:
    """From 1 to most, with a probability that falls as its inverse."""
    law = (1 / np.arange(1.0, most + 1)).cumsum()
    return 1 + int(np.searchsorted(law, rng.random() * law[-1], side="right"))


def _stretch(size: int, length: int, rng: np.random.Generator) -> slice:
    first = int(rng.integers(size - length + 1))
    return slice(first, first + length)
