"""Independent draws from the space's prior: the baseline that every search has to beat."""

from __future__ import annotations

from typing import ClassVar

from mango.optimizers.base import Ids, Learned, Optimizer
from mango.space import Codes


class RandomSearch(Optimizer):
    """Draws each proposal from the prior of the space (or of the chart's box) and learns nothing."""

    SUMMARY: ClassVar[str] = "independent draws from the space's prior"

    def _propose(self, ids: Ids) -> tuple[Codes, list[str]]:
        return self.domain.sample(len(ids), self.rng), ["prior"] * len(ids)

    def _learn(self, batch: Learned) -> None:
        """Nothing to learn."""
