from __future__ import annotations

import numpy as np
import pytest

from mango.errors import InputError
from mango.optimizers import make_optimizer
from mango.optimizers.tt_surrogate import FIRST, TensorTrainSurrogate
from mango.space import SearchSpace
from tests.optimizers.runs import expect_same_future, search

BOX = SearchSpace.box(12, -3.0, 3.0, prior="normal")


def bowl(codes: np.ndarray) -> np.ndarray:
    return -np.square(codes - np.linspace(-1, 1, codes.shape[1])).mean(1)


@pytest.mark.parametrize("space", [BOX, SearchSpace.box(12, -3.0, 3.0), SearchSpace.grid(12, 8)])
def test_it_climbs(space: SearchSpace) -> None:
    for seed in range(2):
        found, _ = search(make_optimizer("tt-surrogate", space, seed=seed), bowl, 300)
        drawn, _ = search(make_optimizer("random", space, seed=seed), bowl, 3000)
        assert found > drawn


def test_origins_say_which_proposals_explore() -> None:
    optimizer = TensorTrainSurrogate(BOX, seed=0)
    assert set(optimizer.ask(5).origins) == {"prior"}
    search(optimizer, bowl, FIRST)
    origins = optimizer.ask(20).origins
    assert origins.count("explore") == 20 // TensorTrainSurrogate.EXPLORE
    assert origins.count("beam") == 20 - 20 // TensorTrainSurrogate.EXPLORE
    optimizer.ask(200)
    assert set(optimizer.ask(20).origins) == {"explore"}  # the beams of this model have all been asked


def test_beams_point_where_the_model_rises() -> None:
    optimizer = TensorTrainSurrogate(BOX, seed=0)
    ids, codes, _ = optimizer.ask(200)
    optimizer.tell(ids, codes.sum(1))
    mean = optimizer.recommend()
    proposals = optimizer.ask(40)
    beams = np.array([origin == "beam" for origin in proposals.origins])
    rise = proposals.codes.sum(1)
    assert rise[beams].mean() > rise[~beams].mean()
    assert rise[beams].mean() > mean.sum()


def test_beams_differ() -> None:
    optimizer = TensorTrainSurrogate(BOX, seed=0)
    search(optimizer, bowl, 100)
    beams = optimizer.state_dict()["method.beams"]
    assert len(np.unique(beams, axis=0)) == len(beams)
    distance = (beams[:, None] != beams[None]).sum(-1)
    nearest = [distance[i, :i].min() for i in range(1, len(beams))]  # of those before: each next one is the farthest
    assert nearest == sorted(nearest, reverse=True)
    assert nearest[0] > nearest[-1]


def test_equal_answers_leave_it_exploring() -> None:
    optimizer = TensorTrainSurrogate(BOX, seed=0)
    for _ in range(3):
        optimizer.tell(optimizer.ask(20).ids, np.zeros(20))
    assert set(optimizer.ask(20).origins) == {"explore"}


def test_resumes_bit_for_bit() -> None:
    first, second = (make_optimizer("tt-surrogate", BOX, seed=3) for _ in range(2))
    search(first, bowl, 150)
    first.ask(3)
    second.load_state_dict(first.state_dict())
    expect_same_future(first, second, bowl)


def test_a_large_batch_of_successes_widens_the_step_to_its_bound() -> None:
    optimizer = TensorTrainSurrogate(SearchSpace.box(1, -1.0, 1.0), seed=0)
    for value in range(4):
        ids, codes, _ = optimizer.ask(1500)
        optimizer.tell(ids, value + codes[:, 0])
    assert optimizer._step == optimizer.STEP


def test_labels_need_a_chart() -> None:
    with pytest.raises(InputError, match="give it a chart"):
        make_optimizer("tt-surrogate", SearchSpace.codebook(4, 8), seed=0)
