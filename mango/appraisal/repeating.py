"""Whether a model is what its card says: its files by their hashes, and its figures measured anew."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mango import zoo
from mango.appraisal import appraise
from mango.errors import MangoError

TOLERANCE = 1e-3  # share of a figure; on a machine like the card's the figures are equal


@dataclass(frozen=True)
class Figure:
    """One figure of a card; NaN where the card has none, or none was measured."""

    name: str
    expected: float
    found: float

    @property
    def equal(self) -> bool:
        """To the last bit."""
        return self.expected == self.found

    @property
    def holds(self) -> bool:
        """Whether it differs by no more than `TOLERANCE`."""
        return self.equal or math.isclose(self.expected, self.found, rel_tol=TOLERANCE)


@dataclass(frozen=True)
class Repeated:
    """What became of one model.

    Attributes:
        model: its name.
        files: how many are those of the card.
        figures: measured anew; empty where that was not asked for.
        problem: why it could not be measured, or what is wrong with a file; empty where nothing is.
    """

    model: str
    files: int = 0
    figures: Sequence[Figure] = ()
    problem: str = ""

    @property
    def holds(self) -> bool:
        """Whether all is as the card says."""
        return not self.problem and all(figure.holds for figure in self.figures)


def repeat(name: str, data: Path | None, folder: Path = zoo.FOLDER) -> Repeated:
    """Looks at a model's files and, where a folder of data is given, measures its figures.

    Raises:
        UnknownName: no such model.
    """
    try:
        files = zoo.verify(name, folder)
    except MangoError as error:
        if name not in zoo.TABLE:
            raise
        return Repeated(name, problem=str(error))
    if data is None:
        return Repeated(name, files)
    try:
        found = appraise(name, data, folder)
    except MangoError as error:
        return Repeated(name, files, problem=str(error))
    return Repeated(name, files, tuple(_compared(zoo.card(name, folder).figures, found)))


def _compared(expected: Mapping[str, float], found: Mapping[str, float]) -> Iterator[Figure]:
    for name in {**expected, **found}:
        yield Figure(name, expected.get(name, math.nan), found.get(name, math.nan))
