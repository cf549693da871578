from __future__ import annotations

import numpy as np

from mango.optimizers.axes import GridAxes
from mango.optimizers.tt_prior import Prior
from mango.space import SearchSpace

MIXED = SearchSpace([-1.0, 0, 0, 0], [1.0, 6, 1, 3], [0, 7, 2, 4], [True, True, True, False])


def test_it_knows_its_axes() -> None:
    prior = Prior(GridAxes(MIXED, 5, binary=False), None)
    assert prior.ordered.tolist() == [True, True, False, False]
    assert prior.linear.tolist() == [True, True, True, False]
    np.testing.assert_allclose(prior.density.sum(1), 1)
    assert (prior.density[0, 5:] == 0).all()
    np.testing.assert_allclose(prior.coordinates[1].std(), 1)


def test_a_normal_axis_has_the_normal_density_on_its_points() -> None:
    prior = Prior(GridAxes(SearchSpace.box(2, -3, 3, prior="normal"), 7, binary=False), None)
    np.testing.assert_allclose(prior.coordinates[0], np.arange(-3, 4))
    expected = np.exp(-np.square(np.arange(-3, 4)) / 2)
    np.testing.assert_allclose(prior.density[0], expected / expected.sum())


def test_labels_take_the_frequencies_of_natural_codes() -> None:
    natural = np.tile([0, 0, 1, 2], (10, 1))
    prior = Prior(GridAxes(MIXED, 5, binary=False), natural)
    assert prior.density[3].argmax() == 2
    assert prior.density[3, :4].min() > 0
    assert (prior.density[3, 4:] == 0).all()
    np.testing.assert_allclose(prior.density[1], 1 / 7)  # an ordered axis keeps its own
    np.testing.assert_allclose(prior.density.sum(1), 1)


def test_at_the_least_step_one_axis_changes_on_average() -> None:
    prior = Prior(GridAxes(SearchSpace.box(64, -3, 3, prior="normal"), 16, binary=False), None)
    middle = prior.coordinates[:, 7]
    stays = prior.around(middle, prior.least)[:, 7]
    assert 0.5 < (1 - stays).sum() < 2
