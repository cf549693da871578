"""Draws from the prior, whatever is told."""

from __future__ import annotations

import numpy as np
import pytest

from mango.optimizers.random import RandomSearch
from mango.space import SearchSpace
from tests.optimizers.runs import expect_same_future


@pytest.mark.parametrize(
    ("space", "mean", "deviation"),
    [
        (SearchSpace.box(4, -1.0, 3.0), 1.0, 4 / np.sqrt(12)),
        (SearchSpace.box(4, -4.0, 4.0, prior="normal"), 0.0, 1.0),
        (SearchSpace.grid(4, 5), 2.0, np.sqrt(2)),
        (SearchSpace.codebook(4, 5), 2.0, np.sqrt(2)),
    ],
)
def test_follows_the_prior(space: SearchSpace, mean: float, deviation: float) -> None:
    _, codes, origins = RandomSearch(space, seed=0).ask(20_000)
    np.testing.assert_allclose(codes.mean(0), mean, atol=0.05)
    np.testing.assert_allclose(codes.std(0), deviation, rtol=0.02)
    assert set(origins) == {"prior"}


def test_answers_change_nothing() -> None:
    told, untold = (RandomSearch(SearchSpace.grid(6, 9), seed=1) for _ in range(2))
    ids, codes, _ = told.ask(10)
    untold.ask(10)
    told.tell(ids, codes.sum(1))
    np.testing.assert_array_equal(told.ask(10).codes, untold.ask(10).codes)


def test_resumes_bit_for_bit() -> None:
    first, second = (RandomSearch(SearchSpace.box(3), seed=2) for _ in range(2))
    first.ask(5)
    second.load_state_dict(first.state_dict())
    expect_same_future(first, second, lambda x: x.sum(1))
