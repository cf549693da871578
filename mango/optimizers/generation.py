"""What the CMA methods share: answers gathered for one update, and the distributions that their trials came from.

Proposals come from the distribution as it is when asked, any number of them. A generation closes once `size` answers
are in, and no fewer than the trials that are waited for. Lost answers do not count and never block. The second
condition bounds how old an answer can be: the distributions of the present and of the last generation are kept, answers
to older ones are dropped.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from mango.optimizers.base import Floats, Ids, Learned, ranking


class Generation:
    """Gathers answers until there are enough for an update.

    Args:
        dim: axes of the points.
    """

    def __init__(self, dim: int) -> None:
        self._dim = dim
        self._answers = Learned.empty(dim)
        self._starts = np.empty(0, np.int64)  # first trial of each distribution kept, at most two
        self._centers = np.empty((0, dim))
        self._scales = np.empty(0)

    def drawn_from(self, first: int, center: Floats, scale: float) -> None:
        """From trial ``first`` on, points come from the distribution with that center ``(dim,)`` and scale."""
        used = self._starts != first
        self._starts = np.append(self._starts[used][-1:], first)
        self._centers = np.concatenate([self._centers[used][-1:], center[None]])
        self._scales = np.append(self._scales[used][-1:], scale)

    def add(self, batch: Learned) -> Learned:
        """Takes what can be used of a batch, and returns it."""
        useful = ~np.isnan(batch.values) & (batch.ids >= self._starts[0])
        taken = batch.only(useful)
        self._answers = self._answers.joined(taken)
        return taken

    def complete(self, size: int, awaited: Iterable[int]) -> bool:
        """Whether there are ``size`` answers, and as many as trials that are waited for."""
        oldest = int(self._starts[0])
        under_way = sum(number >= oldest for number in awaited)
        return len(self._answers.ids) >= max(size, under_way)

    def close(self) -> Learned:
        """The answers gathered; the next generation starts without any."""
        answers, self._answers = self._answers, Learned.empty(self._dim)
        return answers

    def origins(self, ids: Ids) -> tuple[Floats, Floats]:
        """Centers ``(n, dim)`` and scales ``(n, 1)`` of the distributions that drew these trials."""
        where = np.searchsorted(self._starts, ids, side="right") - 1
        return self._centers[where], self._scales[where, None]

    def state(self) -> dict[str, Any]:
        """Flat arrays."""
        kept = {"starts": self._starts, "centers": self._centers, "scales": self._scales}
        return kept | {f"answers_{name}": column for name, column in self._answers._asdict().items()}

    def restore(self, state: dict[str, Any]) -> None:
        """The inverse of `state`."""
        self._starts, self._centers, self._scales = state["starts"], state["centers"], state["scales"]
        self._answers = Learned(*(state[f"answers_{name}"] for name in Learned._fields))


def shared_weights(values: Floats, keys: Floats, by_rank: Floats) -> Floats | None:
    """Weight ``(n,)`` of each answer by its rank, equal answers sharing theirs; None where all are equal."""
    merits = np.stack([values, np.where(np.isnan(keys), -np.inf, keys)], axis=1)
    _, group = np.unique(merits, axis=0, return_inverse=True)
    group = group.reshape(-1)
    if not group.any():
        return None
    weights = np.empty(len(values))
    weights[ranking(values, keys)] = by_rank
    shared: Floats = np.bincount(group, weights) / np.bincount(group)
    return shared[group]
