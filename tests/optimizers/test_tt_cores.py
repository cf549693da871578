from __future__ import annotations

from itertools import pairwise, product
from typing import Any

import numpy as np
import pytest

from mango.optimizers.tt_cores import Train

SIZES = np.array([2, 3, 2])


def densities(r: int) -> Any:
    states = np.random.default_rng(0).random((r, 3, 3)) * (np.arange(3) < SIZES[:, None])
    return states / states.sum(-1, keepdims=True)


def entry(train: Train, index: tuple[int, ...]) -> float:
    row = np.eye(train.cores.shape[1])[0]
    for core, i in zip(train.cores, index, strict=True):
        row = row @ core[:, :, i]
    return float(row[0])


@pytest.mark.parametrize("crossing", [0.0, 0.3, 1.0])
def test_its_entries_are_the_probabilities_of_hidden_paths(crossing: float) -> None:
    states, weights = densities(2), np.array([0.7, 0.3])
    train = Train(states, weights, crossing, SIZES, None)
    total = 0.0
    for index in product(*map(range, SIZES)):
        expected = 0.0
        for path in product(range(2), repeat=3):
            p = weights[path[0]]
            for before, after in pairwise(path):
                p *= (1 - crossing) * (before == after) + crossing * weights[after]
            expected += p * np.prod([states[a, k, i] for k, (a, i) in enumerate(zip(path, index, strict=True))])
        assert entry(train, index) == pytest.approx(expected, rel=1e-5)
        total += expected
    assert total == pytest.approx(1)


def test_draws_follow_a_tilted_train() -> None:
    tilt = np.random.default_rng(1).normal(size=(3, 3))
    train = Train(densities(2), np.array([0.5, 0.5]), 0.2, SIZES, tilt)
    plain = Train(densities(2), np.array([0.5, 0.5]), 0.2, SIZES, None)
    indices = list(product(*map(range, SIZES)))
    expected = np.array([entry(plain, i) * np.exp(tilt[np.arange(3), i].sum()) for i in indices])
    drawn = train.draw(np.random.default_rng(2).random((40_000, 3)))
    counts = np.array([(drawn == i).all(1).mean() for i in indices])
    np.testing.assert_allclose(counts, expected / expected.sum(), atol=0.01)


def test_a_single_axis() -> None:
    train = Train(np.array([[[0.0, 1.0]]]), np.ones(1), 0.1, np.array([2]), None)
    assert (train.draw(np.random.default_rng(0).random((50, 1))) == 1).all()
