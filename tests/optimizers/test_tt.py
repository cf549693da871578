from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mango.errors import OptionError
from mango.optimizers import make_optimizer
from mango.optimizers.tt import ARMS, TensorTrain
from mango.space import SearchSpace
from tests.optimizers.runs import expect_same_future, search

BITS = SearchSpace.grid(30, 2)
SMOOTH = SearchSpace.box(20, -3.0, 3.0, prior="normal")


def smooth(codes: Any) -> Any:
    target = np.random.default_rng(3).normal(size=20)
    return -np.square(codes - target).mean(1)


def one_max(codes: Any) -> Any:
    return codes.sum(1)


def qubo(codes: Any) -> Any:
    matrix = np.random.default_rng(5).normal(size=(60, 60))
    return np.einsum("ni,ij,nj->n", codes, matrix, codes)


def labels(codes: Any) -> Any:
    rng = np.random.default_rng(8)
    single, pairs = rng.normal(size=(20, 16)), rng.normal(size=(16, 16))
    return single[np.arange(20), codes].sum(1) + pairs[codes[:, :-1], codes[:, 1:]].sum(1)


@pytest.mark.parametrize(
    ("space", "function", "least"),
    [
        (BITS, one_max, 30),
        (SearchSpace.grid(60, 2), qubo, 220),
        (SMOOTH, smooth, -0.2),
        (SearchSpace.codebook(20, 16), labels, 40),
    ],
)
def test_it_finds_more_than_the_published_settings(space: SearchSpace, function: Any, least: float) -> None:
    found, _ = search(make_optimizer("tt", space, seed=0), function, 1000)
    published, _ = search(make_optimizer("tt-exp", space, seed=0), function, 1000)
    assert found >= max(least, published)


def test_axes_of_different_sizes_stay_in_range_and_are_learnt() -> None:
    levels = np.array([2, 9, 3, 1, 0])
    space = SearchSpace(np.zeros(5), np.array([1.0, 8.0, 2.0, 0.0, 4.0]), levels, np.ones(5, bool))
    optimizer = make_optimizer("tt", space, seed=0, levels=5)
    search(optimizer, one_max, 400)  # asking validates every code
    assert optimizer.recommend().tolist() == [1, 8, 2, 0, 4]


def test_it_starts_from_the_prior() -> None:
    codes = make_optimizer("tt", SMOOTH, seed=1).ask(2000).codes
    assert set(np.unique(codes).round(6)) <= set(np.linspace(-3, 3, 16).round(6))
    assert abs(codes.mean()) < 0.02
    assert abs(codes.std() - TensorTrain.STEP) < 0.05
    uniform = make_optimizer("tt", SearchSpace.box(20, -3, 3), seed=1).ask(2000).codes
    assert uniform.std() > 1.6
    far = make_optimizer("tt", SearchSpace.box(4, 50.0, 60.0, prior="normal"), seed=0).ask(100).codes
    assert (far == 50.0).all()


def test_natural_codes_fit_the_first_step() -> None:
    narrow = 0.4 * np.random.default_rng(0).normal(size=(500, 20))
    codes = make_optimizer("tt", SMOOTH, seed=1, natural=narrow, levels=64).ask(2000).codes
    assert abs(codes.std() - TensorTrain.NATURAL_STEP * 0.4) < 0.03


def test_natural_codes_say_which_labels_to_try() -> None:
    space = SearchSpace.codebook(10, 64)
    natural = np.random.default_rng(0).integers(0, 4, (50, 10))
    codes = make_optimizer("tt", space, seed=0, natural=natural).ask(200).codes
    assert 0.75 < (codes < 4).mean() < 0.9
    assert (make_optimizer("tt", space, seed=0).ask(200).codes < 4).mean() < 0.1


@pytest.mark.parametrize("space", [SMOOTH, SearchSpace.codebook(20, 8)])
def test_the_rank_grows_while_the_consensus_has_stalled(space: SearchSpace) -> None:
    optimizer = TensorTrain(space, seed=0)

    def told(values: Any, batches: int) -> list[str]:
        for _ in range(batches):
            optimizer.tell(optimizer.ask(30).ids, values(30))
        return optimizer.ask(30).origins

    turns = [optimizer.ask(30).origins, told(np.arange, 2), told(np.zeros, 5), told(lambda n: np.full(n, 99.0), 1)]
    assert set(turns[0]) == {"prior"}
    assert set(turns[1]) == {"consensus"}
    assert [turns[2].count(arm) for arm in ARMS] == [10, 10, 10]
    assert set(turns[3]) == {"consensus"}


def test_it_begins_anew_once_all_trains_have_stalled() -> None:
    optimizer = make_optimizer("tt", SMOOTH, seed=0)
    ids, codes, _ = optimizer.ask(20)
    optimizer.tell(ids, np.arange(20.0))
    for _ in range(TensorTrain.ENDURANCE * (TensorTrain.PATIENCE + SMOOTH.dim) // 20 - 1):
        early = optimizer.ask(20)
        optimizer.tell(early.ids, np.zeros(20))
    assert set(early.origins) == {"consensus", "mosaic", "local"}
    under_way = optimizer.ask(20)
    last = optimizer.ask(20)
    optimizer.tell(last.ids, np.zeros(20))
    optimizer.tell(under_way.ids, np.ones(20))
    anew = optimizer.ask(20)
    assert set(anew.origins) == {"prior"}, "answers to the search before teach it nothing"
    np.testing.assert_array_equal(optimizer.recommend(), codes[-1])
    again = make_optimizer("tt", SMOOTH, seed=0)
    again.load_state_dict(optimizer.state_dict())
    expect_same_future(optimizer, again, lambda codes: -np.square(codes).sum(1))
    optimizer.tell(anew.ids, np.arange(20.0))
    assert set(optimizer.ask(20).origins) == {"consensus"}


def test_foreign_points_do_not_stall_it() -> None:
    optimizer = TensorTrain(SMOOTH, seed=0)
    optimizer.tell(optimizer.ask(30).ids, np.arange(30))
    optimizer.observe(SMOOTH.sample(500, np.random.default_rng(0)), np.full(500, -1.0))
    assert set(optimizer.ask(30).origins) == {"consensus"}


def test_steps_follow_successes_up_to_the_first() -> None:
    optimizer = TensorTrain(SMOOTH, seed=0)
    steps = []
    for part in (-np.arange(200.0), 1 + np.arange(200.0)):
        for values in np.split(part, 10):
            optimizer.tell(optimizer.ask(20).ids, values)
        steps.append(optimizer.state_dict()["method.steps"][0])
    narrowed, widened = steps
    assert TensorTrain.STEPS[0] <= narrowed < widened == TensorTrain.STEP


def test_a_large_batch_of_successes_widens_the_step_to_its_bound() -> None:
    optimizer = TensorTrain(SearchSpace.grid(1, 8000), seed=0)
    for value in range(4):
        ids, codes, _ = optimizer.ask(2000)
        optimizer.tell(ids, 1000 * value + codes[:, 0] / 8000)
    assert optimizer._steps[0] == optimizer.STEP


def test_equal_values_are_ordered_by_key() -> None:
    optimizer = TensorTrain(BITS, seed=0)
    for _ in range(30):
        ids, codes, _ = optimizer.ask(10)
        optimizer.tell(ids, np.zeros(10), keys=codes.sum(1))
    assert optimizer.ask(200).codes.mean() > 0.8


def test_equal_answers_teach_the_model_nothing() -> None:
    optimizer = TensorTrain(BITS, seed=0)
    for _ in range(5):
        optimizer.tell(optimizer.ask(20).ids, np.zeros(20))
    assert "method.terms" not in optimizer.state_dict()
    assert len(optimizer.ask(20).ids) == 20


def test_lost_answers_hold_nothing_up() -> None:
    optimizer = TensorTrain(BITS, seed=0)
    for _ in range(30):
        ids, codes, _ = optimizer.ask(10)
        values = one_max(codes).astype(float)
        values[::2] = np.nan
        optimizer.tell(ids, values)
    assert optimizer.ask(100).codes.mean() > 0.8
    ids, _, _ = optimizer.ask(10)
    optimizer.tell(ids, np.full(10, np.nan))
    assert len(optimizer.ask(10).ids) == 10


def test_foreign_points_guide_it() -> None:
    guided, alone = (TensorTrain(BITS, seed=0) for _ in range(2))
    guided.observe(np.ones((5, 30)), np.full(5, 30.0))
    for optimizer in (guided, alone):
        for _ in range(4):
            ids, codes, _ = optimizer.ask(10)
            optimizer.tell(ids, one_max(codes))
    assert guided.ask(200).codes.mean() > alone.ask(200).codes.mean() + 0.05


def test_known_points_are_not_asked_again_while_there_are_others() -> None:
    optimizer = TensorTrain(SearchSpace.grid(12, 2), seed=0)
    asked = []
    for _ in range(20):
        ids, codes, _ = optimizer.ask(10)
        optimizer.tell(ids, one_max(codes))
        asked += [tuple(code) for code in codes.tolist()]
    assert len(set(asked)) > 180


@pytest.mark.parametrize("space", [SMOOTH, SearchSpace.codebook(6, 16)])
def test_resumes_bit_for_bit_with_trials_open(space: SearchSpace) -> None:
    straight = make_optimizer("tt", space, seed=7)
    search(straight, one_max, 300)
    ids, codes, _ = straight.ask(37)
    straight.tell(ids[3:33], codes[3:33].sum(1))
    straight.observe(codes[:2] * 0, [9.0, np.nan])
    resumed = make_optimizer("tt", space, seed=7)
    resumed.load_state_dict(straight.state_dict())
    for optimizer in (straight, resumed):
        optimizer.tell(ids[:3], codes[:3].sum(1))
        search(optimizer, one_max, 200)
    np.testing.assert_array_equal(straight.ask(50).codes, resumed.ask(50).codes)
    ours, theirs = straight.state_dict(), resumed.state_dict()
    assert ours.keys() == theirs.keys()
    for name, part in ours.items():
        np.testing.assert_array_equal(part, theirs[name], err_msg=name)


def test_its_own_state_stays_small() -> None:
    optimizer = TensorTrain(SearchSpace.box(128), seed=0)
    sizes = []
    for _ in range(2):
        search(optimizer, one_max, 1000)
        own = {name: part for name, part in optimizer.state_dict().items() if name.startswith("method.")}
        sizes.append(sum(np.asarray(part).nbytes for part in own.values()))
    assert sizes[0] == sizes[1] < 1e6


def test_bad_options_are_refused() -> None:
    with pytest.raises(OptionError, match="levels must be a whole number >= 2; got 1"):
        TensorTrain(SMOOTH, seed=0, levels=1)
    with pytest.raises(OptionError, match="TensorTrain has no option rank"):
        TensorTrain(SMOOTH, seed=0, rank=3)


def test_first_draws_in_a_chart_are_wide_along_its_leading_axes() -> None:
    """A third near the middle, a third wide along four axes alone, a third along sixteen alone."""
    space = SearchSpace.codebook(64, 32, np.random.default_rng(0).normal(size=(32, 4)), (8, 8))
    optimizer = TensorTrain(space, seed=0, chart="frequencies:64", levels=64)
    points, origins = optimizer._propose(np.arange(300))
    assert set(origins) == {"prior"}
    spread = np.array([np.abs(points[:, part]).mean(1) for part in (slice(4), slice(4, 16), slice(16, None))])
    near, narrow = spread[2] > 0.2, (spread[2] <= 0.2) & (spread[1] <= 0.2)
    assert 70 < near.sum() < 130
    assert 70 < narrow.sum() < 130
    assert spread[0, narrow].mean() > 0.6 > 0.4 > spread[0, near].mean()
