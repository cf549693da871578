from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mango.optimizers.axes import GridAxes
from mango.optimizers.tt_anova import Additive, fit
from mango.optimizers.tt_prior import Prior
from mango.space import SearchSpace

NAN = np.full(300, np.nan)


def fitted(space: SearchSpace, function: Any) -> tuple[Any, Additive]:
    prior = Prior(GridAxes(space, 8, binary=False), None)
    digits = np.stack([np.random.default_rng(k).integers(0, n, 300) for k, n in enumerate(prior.sizes)], 1)
    model = fit(prior, digits, function(digits), NAN)
    assert model is not None
    return digits, model


@pytest.mark.parametrize(
    "space", [SearchSpace.box(6), SearchSpace.grid(6, 8), SearchSpace.grid(6, 2), SearchSpace.codebook(6, 8)]
)
def test_it_learns_a_sum_over_axes(space: SearchSpace) -> None:
    slopes = np.random.default_rng(9).normal(size=6)
    digits, model = fitted(space, lambda x: x @ slopes)
    predicted = model.terms[np.arange(6), digits].sum(1)
    assert np.corrcoef(predicted, digits @ slopes)[0, 1] > 0.9
    assert model.skill > 0.7


def test_labels_have_no_order() -> None:
    numbers = np.random.default_rng(9).normal(size=(6, 8))
    digits, model = fitted(SearchSpace.codebook(6, 8), lambda x: numbers[np.arange(6), x].sum(1))
    assert np.corrcoef(model.terms[np.arange(6), digits].sum(1), numbers[np.arange(6), digits].sum(1))[0, 1] > 0.9


def test_noise_teaches_it_nothing() -> None:
    _, model = fitted(SearchSpace.box(6), lambda x: np.random.default_rng(3).normal(size=len(x)))
    assert model.skill < 0.2


def test_equal_answers_give_no_model_unless_keys_differ() -> None:
    prior = Prior(GridAxes(SearchSpace.box(3), 8, binary=False), None)
    digits = np.random.default_rng(0).integers(0, 8, (300, 3))
    assert fit(prior, digits, np.zeros(300), NAN) is None
    model = fit(prior, digits, np.zeros(300), digits[:, 1].astype(float))
    assert model is not None
    assert np.abs(model.terms).max(1).argmax() == 1
