"""Tensor-Train sampling as published: proposals come from a tensor train, which is then raised at the best of them.

Source: Batsheva, Chertkov, Ryzhakov and Oseledets (2023), PROTES: probabilistic optimization with tensor sampling,
arXiv 2301.12162. The gradient is in closed form (`mango.optimizers.tt_kernels`) where the authors differentiate
automatically.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mango.errors import OptionError
from mango.optimizers import tt_kernels
from mango.optimizers.axes import Digits, GridAxes, whole
from mango.optimizers.base import Floats, Ids, Learned, Optimizer, State, ranking
from mango.space import Codes

FLOAT = np.float32  # of the cores: half the memory to move, and the draws decide, not the last digits


class Protes(Optimizer):
    """Draws every proposal from a tensor train over a grid, and after each batch raises the likelihood of its elites.

    A model update happens whenever ``batch`` measured answers are in; lost ones are left out and hold nothing up, since
    further proposals are drawn from the current model at any time. Foreign points (`observe`) take part in the choice
    of elites but never count as answers.

    Options:
        binary: whether each axis of 2^m points becomes m binary axes (quantised tensor train).
        levels: points of a continuous axis.
        rank: of the tensor train.
        batch: measured answers for each update (k in the paper).
        elites: how many of the best of them are raised (k_top).
        rate: Adam's learning rate.
        steps: Adam's steps for each update (k_gd).

    Raises:
        OptionError: a bad value.
        InputError: binary axes in a space whose axes have no power of two of points.
    """

    OPTIONS: ClassVar[dict[str, Any]] = {
        "binary": True,
        "levels": 16,
        "rank": 5,
        "batch": 100,
        "elites": 10,
        "rate": 0.1,
        "steps": 1,
    }
    SUMMARY: ClassVar[str] = "draws from a tensor train that is raised at the best of the last batch (PROTES)"

    def __init__(self, *args: Any, **keywords: Any) -> None:
        super().__init__(*args, **keywords)
        self._axes = GridAxes(self.domain, self.options["levels"], self.options["binary"])
        self._ranks = (0,) * whole("rank", self.options["rank"])  # its length tells the kernels the rank
        self._batch = whole("batch", self.options["batch"])
        self._elites = whole("elites", self.options["elites"])
        self._steps = whole("steps", self.options["steps"])
        self._rate = _positive_rate(self.options["rate"])
        if self._elites > self._batch:
            raise OptionError(f"elites must not exceed batch; got elites={self._elites}, batch={self._batch}")
        self._count = 0  # Adam steps made
        self._cores = self._first_cores()
        self._mean, self._square = np.zeros_like(self._cores), np.zeros_like(self._cores)
        d, rank, _, n = self._cores.shape
        self._sums = np.zeros((d, rank, n), FLOAT)
        self._right, self._norms = np.zeros((d + 1, rank), FLOAT), np.zeros(d, FLOAT)
        self._renew()
        self._own = _Answers.none(d)  # not yet learnt from
        self._rivals = _Answers.none(d)  # foreign points, which compete with the next batch

    def _first_cores(self) -> NDArray[Any]:
        """Random positive cores ``(d, r, r, n)``."""
        sizes, rank = self._axes.sizes, len(self._ranks)
        cores = self.rng.random((len(sizes), rank, rank, int(sizes.max())), FLOAT)
        return cores * (np.arange(cores.shape[-1]) < sizes[:, None, None, None])

    def _renew(self) -> None:
        tt_kernels.interfaces(self._cores, self._axes.sizes, self._sums, self._right, self._norms, self._ranks)

    def _propose(self, ids: Ids) -> tuple[Codes, list[str]]:
        uniform = self.rng.random((len(ids), len(self._axes.sizes)))
        drawn = tt_kernels.sample(self._cores, self._axes.sizes, self._sums, uniform, self._ranks)
        return self._axes.to_points(drawn), ["tt"] * len(ids)

    def _learn(self, batch: Learned) -> None:
        self._own = self._own.joined(_Answers.measured(batch, self._axes))
        while len(self._own.values) >= self._batch:
            elites = self._own.rows(slice(self._batch)).joined(self._rivals).best(self._elites)
            tt_kernels.ascend(
                self._cores,
                self._mean,
                self._square,
                self._count,
                self._rate,
                self._axes.sizes,
                self._sums,
                self._right,
                self._norms,
                self._ranks,
                elites.digits,
                self._steps,
            )
            self._count += self._steps
            self._own = self._own.rows(slice(self._batch, None))
            self._rivals = elites.rows(slice(0))

    def _observe(self, batch: Learned) -> None:
        self._rivals = self._rivals.joined(_Answers.measured(batch, self._axes)).best(self._elites)

    def _state(self) -> State:
        return {
            "count": self._count,
            "cores": self._cores,
            "mean": self._mean,
            "square": self._square,
            **self._own.state("own"),
            **self._rivals.state("rivals"),
        }

    def _restore(self, state: State) -> None:
        self._count = int(state["count"])
        for name, kept in (("cores", self._cores), ("mean", self._mean), ("square", self._square)):
            kept[:] = state[name]
        self._own, self._rivals = _Answers.restored(state, "own"), _Answers.restored(state, "rivals")
        self._renew()


@dataclass(frozen=True)
class _Answers:
    """Measured points: digits ``(n, d)``, values and keys ``(n,)``."""

    digits: Digits
    values: Floats
    keys: Floats

    @classmethod
    def none(cls, d: int) -> _Answers:
        return cls(np.zeros((0, d), np.int64), np.zeros(0), np.zeros(0))

    @classmethod
    def measured(cls, batch: Learned, axes: GridAxes) -> _Answers:
        """Of a batch, what was not lost."""
        there = ~np.isnan(batch.values)
        return cls(axes.to_digits(batch.points[there]), batch.values[there], batch.keys[there])

    @classmethod
    def restored(cls, state: State, name: str) -> _Answers:
        return cls(state[f"{name}_digits"], state[f"{name}_values"], state[f"{name}_keys"])

    def state(self, name: str) -> State:
        return {f"{name}_digits": self.digits, f"{name}_values": self.values, f"{name}_keys": self.keys}

    def rows(self, which: Any) -> _Answers:
        return _Answers(self.digits[which], self.values[which], self.keys[which])

    def joined(self, other: _Answers) -> _Answers:
        if not len(other.values):
            return self
        return _Answers(
            np.concatenate((self.digits, other.digits)),
            np.concatenate((self.values, other.values)),
            np.concatenate((self.keys, other.keys)),
        )

    def best(self, count: int) -> _Answers:
        """Up to ``count``, the best first; of equals the earlier."""
        return self.rows(ranking(self.values, self.keys)[:count])


def _positive_rate(rate: Any) -> float:
    if isinstance(rate, bool) or not isinstance(rate, (int, float, np.number)) or not 0 < rate < math.inf:
        raise OptionError(f"rate must be a finite number > 0; got {rate!r}")
    return float(rate)
