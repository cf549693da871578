"""An evolution strategy that changes a heavy-tailed number of axes of the best point so far.

Doerr, Le, Makhmara and Nguyen (2017), "Fast Genetic Algorithms", GECCO, arXiv 1703.03334: the number of changed axes
comes from a power law with exponent 1.5 on 1 to dim / 2, so that most proposals change few axes, some change many, and
no mutation rate needs tuning. (There a mutation rate is drawn, here the number itself: no child is its parent.) Every
proposal is a child of the incumbent at the time of asking, so that any number can be under way: a (1 + lambda) strategy
without generations. What a change is:

* a label becomes another one: any, or, where all axes share one book, every other time one that stands elsewhere in the
  code, for what is good in one place often is in another;
* an ordered grid point becomes another one, with a probability that falls as its distance to the power of 1.5;
* a continuous axis moves by a Gaussian step, mirrored at the bounds; each child draws its scale log-uniformly between
  1/1000 and all of the axis's spread.

Where labels lie on a map, every other child has a rectangle of it changed instead, see `patches`.

Where all axes are discrete and lie on no map, no child is asked twice of one parent: one that is known changes an axis
more than it did, and again, so that a parent whose neighbours are all worse is left by ever longer jumps.

An answer is accepted where it is at least as good as the incumbent, by value, then key; of equals the later one, so
that the search drifts over plateaus (silent neurons) instead of standing still. A foreign point is accepted where it is
better. Under noise, where a lucky answer would stay for ever, the incumbent is the code of which most is expected (see
`leaders`; not in a chart). Until something was measured, natural codes are asked where they are given, draws from the
prior otherwise.
"""

from __future__ import annotations

import math
from hashlib import blake2b
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mango.optimizers.base import Floats, Ids, Learned, Optimizer, State, merit, ranking
from mango.optimizers.bounds import mirrored
from mango.optimizers.patches import Patches, share_labels, suits
from mango.space import Codes, SearchSpace

BETA = 1.5  # exponent of the power laws
PATCHED = 0.5  # share of children with a changed rectangle, where labels lie on a map
COPIED = 0.5  # share of changed labels that are copied from elsewhere in the code, where they lie on no map
SMALLEST = 1e-3  # scale of a continuous step, of the axis's spread
LONGER = 8  # times that a child that is known is changed again, by one axis more each time
DIGEST = 8  # bytes by which a child is known


class Evolution(Optimizer):
    """(1 + lambda) evolution with a heavy-tailed number of changed axes, in any space."""

    SUMMARY: ClassVar[str] = "mutates a heavy-tailed number of axes of the best point so far; any space"

    def __init__(self, space: SearchSpace, **settings: Any) -> None:
        super().__init__(space, **settings)
        domain = self.domain
        self._free = np.flatnonzero(domain.continuous | (domain.levels > 1))
        self._law = _power_law(max(1, len(self._free) // 2))
        widest = 1.0 if domain.prior == "normal" else math.inf
        self._spread = np.minimum((domain.upper - domain.lower) / math.sqrt(12), widest)
        self._patches = Patches(domain) if suits(domain) else None
        self._copies = self._patches is None and share_labels(domain)
        self._parent: NDArray[Any] | None = None
        self._merit = (-math.inf, -math.inf)
        self._children: set[bytes] | None = None  # of the parent, that were asked; None: no account is kept
        if self._patches is None and not domain.continuous.any():
            self._children = set()

    def _propose(self, ids: Ids) -> tuple[Codes, list[str]]:
        if self._parent is None:
            return self._start(len(ids))
        children = np.repeat(self._parent[None], len(ids), axis=0)
        origins = []
        for child in children:
            if self._patches is not None and self.rng.random() < PATCHED:
                self._patches.change(child, self.rng)
                origins.append("patch")
            else:
                self._mutate(child)
                origins.append("mutation")
                if self._children is not None:
                    self._renew(child, self._children)
        return children, origins

    def _learn(self, batch: Learned) -> None:
        if self._follow():
            return
        for point, value, key in zip(batch.points, batch.values.tolist(), batch.keys.tolist(), strict=True):
            if math.isnan(value):
                self._forget(point)
            elif merit(value, key) >= self._merit:
                self._adopt(point, merit(value, key))

    def _observe(self, batch: Learned) -> None:
        if self._follow():
            return
        first = ranking(batch.values, batch.keys)[0]
        value, key = float(batch.values[first]), float(batch.keys[first])
        if not math.isnan(value) and merit(value, key) > self._merit:
            self._adopt(batch.points[first], merit(value, key))

    def _follow(self) -> bool:
        """Under noise makes the code of which most is expected the parent; in a chart it has no exact place."""
        best = self._leaders.best
        if best is None or not self._leaders.noisy or self.chart is not None:
            return False
        self._adopt(best.code, merit(best.expected, best.key))
        return True

    def _adopt(self, point: NDArray[Any], its_merit: tuple[float, float]) -> None:
        """Makes a point the parent; the children of another one are forgotten."""
        if self._children is not None and self._parent is not None and (point != self._parent).any():
            self._children.clear()
        self._parent, self._merit = point.copy(), its_merit

    def _renew(self, child: NDArray[Any], known: set[bytes]) -> None:
        """Changes a child of the parent that is known until it is none, and notes it."""
        parent = np.array(self._parent)
        for _ in range(LONGER):
            if _digest(child) not in known:
                break
            changes = min(int((child != parent).sum()) + 1, len(self._free))
            child[:] = parent
            self._mutate(child, changes)
        known.add(_digest(child))

    def _forget(self, child: NDArray[Any]) -> None:
        """A child whose answer was lost may be asked again."""
        if self._children is not None:
            self._children.discard(_digest(child))

    def _mutate(self, child: NDArray[Any], changes: int | None = None) -> None:
        """Changes some axes of ``(dim,)`` in place, as many as the law draws if not said."""
        if not len(self._free):
            return
        if changes is None:
            changes = 1 + int(np.searchsorted(self._law, self.rng.random(), side="right"))
        axes = self.rng.permutation(self._free)[:changes]
        scale = SMALLEST ** self.rng.random()
        domain = self.domain
        discrete, real = axes[~domain.continuous[axes]], axes[domain.continuous[axes]]
        before = child.copy()
        if len(real):
            moved = child[real] + scale * self._spread[real] * self.rng.standard_normal(len(real))
            child[real] = mirrored(moved, domain.lower[real], domain.upper[real])
        for axis in discrete.tolist():
            elsewhere = before[before != before[axis]] if self._copies and self.rng.random() < COPIED else ()
            if len(elsewhere):
                child[axis] = elsewhere[self.rng.integers(len(elsewhere))]
            else:
                child[axis] = self._other(int(child[axis]), int(domain.levels[axis]), bool(domain.ordered[axis]))

    def _other(self, point: int, levels: int, ordered: bool) -> int:
        """Another point of a discrete axis."""
        if not ordered:
            return (point + int(self.rng.integers(1, levels))) % levels
        distance = np.abs(np.arange(levels) - point)
        weights = np.where(distance > 0, np.maximum(distance, 1.0) ** -BETA, 0.0).cumsum()
        return int(np.searchsorted(weights, self.rng.random() * weights[-1], side="right"))

    def _state(self) -> State:
        state: State = {"merit": np.array(self._merit)}
        if self._children is not None:
            state["children"] = np.frombuffer(b"".join(sorted(self._children)), np.uint8)
        return state if self._parent is None else state | {"parent": self._parent}

    def _restore(self, state: State) -> None:
        value, key = (float(part) for part in state["merit"])
        self._merit = (value, key)
        if self._children is not None:
            children = np.asarray(state["children"], np.uint8).tobytes()
            self._children = {children[at : at + DIGEST] for at in range(0, len(children), DIGEST)}
        self._parent = np.asarray(state["parent"], self.domain.dtype) if "parent" in state else None


def _digest(point: NDArray[Any]) -> bytes:
    return blake2b(point.tobytes(), digest_size=DIGEST).digest()


def _power_law(most: int) -> Floats:
    """Cumulative probabilities ``(most,)`` of 1, 2, ..., proportional to their power -1.5."""
    weights = np.arange(1.0, most + 1) ** -BETA
    cumulative: Floats = weights.cumsum() / weights.sum()
    cumulative[-1] = 1.0  # against rounding, since a draw must lie below
    return cumulative
