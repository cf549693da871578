"""The same work done in several ways in turn, again and again, so that what else the machine does meets them all."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from mango.trial import Result

Ways = Mapping[str, Callable[[], list[Result]]]


class Taken(NamedTuple):
    """Seconds of each repeat: on the clock, and within evaluations, summed over all workers."""

    wall: list[float]
    target: list[float]


def seconds(ways: Ways, repeats: int) -> dict[str, Taken]:
    """Of each way, after one repeat that is not counted.

    Raises:
        RuntimeError: a way gave other values than the first; one that gives none is not compared.
    """
    taken = {name: Taken([], []) for name in ways}
    names = list(ways)
    for repeat in range(repeats + 1):
        values = {}
        for name in names if repeat % 2 else names[::-1]:
            start = time.perf_counter()
            results = ways[name]()
            if repeat:
                taken[name].wall.append(time.perf_counter() - start)
                taken[name].target.append(sum(result.seconds for result in results))
            values[name] = [(r.number, r.values) for r in sorted(results, key=lambda r: r.number)]
        for name in names[1:]:
            if values[name] and values[name] != values[names[0]]:
                raise RuntimeError(f"{name} and {names[0]} gave different values")
    return taken


def spread(figures: Sequence[float]) -> list[float]:
    """Median, least and most."""
    return [float(f(np.array(figures))) for f in (np.median, np.min, np.max)]


def shown(figures: Sequence[float], digits: int = 3) -> str:
    """``median (least to most)``."""
    middle, least, most = (f"{figure:.{digits}f}" for figure in figures)
    return f"{middle} ({least} to {most})"


def table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """In Markdown."""
    return "\n".join(f"| {' | '.join(map(str, row))} |" for row in (head, ["---"] * len(head), *rows))
