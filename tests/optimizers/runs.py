"""A search against a plain function, one batch after the other or with batches under way."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np

from mango.optimizers import Optimizer, Proposals

Objective = Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]]


def search(
    optimizer: Optimizer,
    objective: Objective,
    evaluations: int,
    *,
    batch: int = 20,
    under_way: int = 0,
    lost: float = 0.0,
    target: float = np.inf,
) -> tuple[float, int]:
    """Best value, and the evaluations made until it reached ``target``; ``under_way`` batches are always unanswered."""
    rng = np.random.default_rng(0)
    waiting: deque[Proposals] = deque()
    best, made = -np.inf, 0
    while made < evaluations and best < target:
        waiting.append(optimizer.ask(batch))
        if len(waiting) <= under_way:
            continue
        ids, codes, _ = waiting.popleft()
        values = objective(codes).astype(np.float64)
        best, made = max(best, float(values.max())), made + len(ids)
        values[rng.random(len(values)) < lost] = np.nan
        optimizer.tell(ids, values)
    return best, made


def expect_same_future(first: Optimizer, second: Optimizer, objective: Objective, steps: int = 6) -> None:
    """Both ask the same points, bit for bit, while told the same."""
    for _ in range(steps):
        one, other = first.ask(7), second.ask(7)
        np.testing.assert_array_equal(one.codes, other.codes)
        assert one.origins == other.origins
        for optimizer in (first, second):
            optimizer.tell(one.ids[::-1], objective(one.codes)[::-1])
