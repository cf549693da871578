"""Natural codes, one after the other: first probes of `auto`."""

from __future__ import annotations

from typing import Any

from mango.errors import InputError
from mango.optimizers.base import Ids, Learned, Optimizer
from mango.space import Codes, SearchSpace


class Natural(Optimizer):
    """Asks natural codes in random order, each once; ends with the last, and so is no method by itself.

    Raises:
        InputError: no natural codes, or a chart, in which they would be others.
    """

    def __init__(self, space: SearchSpace, **settings: Any) -> None:
        super().__init__(space, **settings)
        if self.natural is None or self.chart is not None:
            raise InputError("natural needs natural codes (name a generator that has them, or pass natural=), no chart")
        self._order = self.rng.permutation(len(self.natural))  # follows from the seed

    def _propose(self, ids: Ids) -> tuple[Codes, list[str]]:
        assert self.natural is not None
        codes = self.natural[self._order[ids[0] : ids[-1] + 1]]
        return codes, ["natural"] * len(codes)

    def _learn(self, batch: Learned) -> None:
        """Nothing changes what comes next."""
