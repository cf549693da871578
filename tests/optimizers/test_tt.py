from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mango.errors import InputError, OptionError
from mango.optimizers import make_optimizer, optimizer_class
from mango.optimizers.base import Optimizer
from mango.optimizers.tt import TensorTrain
from mango.space import SearchSpace

BITS = SearchSpace.grid(30, 2)
SMOOTH = SearchSpace.box(20, -3.0, 3.0, prior="normal")


def search(optimizer: Optimizer, function: Any, evaluations: int, batch: int = 10) -> float:
    best = -np.inf
    for _ in range(evaluations // batch):
        ids, codes, _ = optimizer.ask(batch)
        values = function(codes)
        optimizer.tell(ids, values)
        best = max(best, float(values.max()))
    return best


def smooth(codes: Any) -> Any:
    target = np.random.default_rng(3).normal(size=20)
    return -np.square(codes - target).mean(1)


def one_max(codes: Any) -> Any:
    return codes.sum(1)


def qubo(codes: Any) -> Any:
    matrix = np.random.default_rng(5).normal(size=(60, 60))
    return np.einsum("ni,ij,nj->n", codes, matrix, codes)


@pytest.mark.parametrize(
    ("space", "function", "margin"),
    [(BITS, one_max, 4.0), (SearchSpace.grid(60, 2), qubo, 50.0), (SMOOTH, smooth, 0.3)],
)
def test_it_learns(space: SearchSpace, function: Any, margin: float) -> None:
    for seed in range(3):
        found, drawn = (search(make_optimizer(name, space, seed=seed), function, 600) for name in ("tt", "random"))
        assert found > drawn + margin


@pytest.mark.parametrize("preset", ["tt-m", "tt-s", "tt-b", "tt-exp"])
def test_published_settings_learn_on_binary_axes(preset: str) -> None:
    cls, options = optimizer_class(preset)
    assert cls is TensorTrain
    assert options["binary"]
    assert not options["keep"]
    space = SearchSpace.grid(12, 8)
    for seed in range(2):
        drawn = search(make_optimizer("random", space, seed=seed), one_max, 3000, batch=50)
        assert search(make_optimizer(preset, space, seed=seed), one_max, 3000, batch=50) > drawn + 5


def test_axes_of_different_sizes_stay_in_range_and_are_learnt() -> None:
    levels = np.array([2, 9, 3, 1, 0])
    space = SearchSpace(np.zeros(5), np.array([1.0, 8.0, 2.0, 0.0, 4.0]), levels, np.ones(5, bool))
    optimizer = make_optimizer("tt", space, seed=0, levels=5)
    search(optimizer, lambda codes: codes.sum(1), 400)  # asking validates every code
    assert optimizer.recommend().tolist() == [1, 8, 2, 0, 4]


def test_a_normal_prior_is_where_it_starts() -> None:
    codes = make_optimizer("tt", SMOOTH, seed=1).ask(2000).codes
    assert set(np.unique(codes).round(6)) <= set(np.linspace(-3, 3, 16).round(6))
    assert abs(codes.mean()) < 0.05
    assert abs(codes.std() - 1) < 0.05
    wide = make_optimizer("tt", SMOOTH, seed=1, prior="uniform").ask(2000).codes
    assert wide.std() > 1.6
    assert make_optimizer("tt", SearchSpace.box(20, -3, 3), seed=1).ask(2000).codes.std() > 1.6


def test_a_normal_prior_on_an_axis_far_out_is_at_its_near_end() -> None:
    codes = make_optimizer("tt", SearchSpace.box(4, 50.0, 60.0, prior="normal"), seed=0).ask(100).codes
    assert (codes == 50.0).all()


def test_an_update_comes_with_every_batch_of_measured_answers() -> None:
    optimizer = TensorTrain(BITS, seed=0, batch=6, elites=2)
    before = optimizer.state_dict()["method.cores"]
    ids, codes, _ = optimizer.ask(20)
    values = one_max(codes).astype(float)
    values[:4] = np.nan
    optimizer.tell(ids[:9], values[:9])  # five measured
    np.testing.assert_array_equal(optimizer.state_dict()["method.cores"], before)
    optimizer.tell(ids[9:10], values[9:10])
    after = optimizer.state_dict()
    assert after["method.count"] == 1
    assert (after["method.cores"] != before).any()
    optimizer.tell(ids[10:], values[10:])  # ten more: one batch, four left over
    state = optimizer.state_dict()
    assert state["method.count"] == 2
    assert state["method.own_values"].tolist() == values[16:].tolist()


def test_lost_answers_hold_nothing_up() -> None:
    optimizer = TensorTrain(BITS, seed=0)
    for _ in range(30):
        ids, codes, _ = optimizer.ask(10)
        values = one_max(codes).astype(float)
        values[::2] = np.nan
        optimizer.tell(ids, values)
    assert optimizer.state_dict()["method.count"] == 15
    ids, _, _ = optimizer.ask(10)
    optimizer.tell(ids, np.full(10, np.nan))
    assert len(optimizer.ask(10).ids) == 10


def test_equal_values_are_ordered_by_key() -> None:
    """All values are equal; only the key says which samples to follow."""
    optimizer = TensorTrain(BITS, seed=0)
    for _ in range(60):
        ids, codes, _ = optimizer.ask(10)
        optimizer.tell(ids, np.zeros(10), keys=codes.sum(1))
    assert optimizer.ask(200).codes.mean() > 0.85


def test_kept_elites_are_the_best_so_far_and_forgotten_ones_are_not() -> None:
    for keep in (True, False):
        optimizer = TensorTrain(BITS, seed=0, batch=5, elites=3, keep=keep)
        ids, codes, _ = optimizer.ask(25)
        values = np.random.default_rng(0).normal(size=25)
        optimizer.tell(ids, values)
        kept = optimizer.state_dict()
        best = np.argsort(-values)[:3] if keep else []
        assert kept["method.rivals_values"].tolist() == values[best].tolist()
        np.testing.assert_array_equal(kept["method.rivals_digits"], codes[best].reshape(-1, 30))


@pytest.mark.parametrize("keep", [True, False])
def test_foreign_points_guide_it_but_close_no_batch(keep: bool) -> None:
    guided, alone = (TensorTrain(BITS, seed=0, keep=keep) for _ in range(2))
    for optimizer in (guided, alone):
        for _ in range(10):
            if optimizer is guided:
                count = optimizer.state_dict()["method.count"]
                optimizer.observe(np.ones((15, 30)), np.full(15, 30.0))
                assert optimizer.state_dict()["method.count"] == count
            ids, codes, _ = optimizer.ask(10)
            optimizer.tell(ids, one_max(codes))
    assert guided.ask(200).codes.mean() > alone.ask(200).codes.mean() + 0.1


@pytest.mark.parametrize("preset", ["tt", "tt-b"])
def test_resumes_bit_for_bit_in_the_middle_of_a_batch(preset: str) -> None:
    space = SearchSpace.box(5, -1.0, 1.0)
    straight = make_optimizer(preset, space, seed=7)
    ids, codes, _ = straight.ask(37)
    straight.tell(ids[3:33], codes[3:33].sum(1))
    straight.observe(codes[:2] * 0, [9.0, np.nan])
    resumed = make_optimizer(preset, space, seed=7)
    resumed.load_state_dict(straight.state_dict())
    for optimizer in (straight, resumed):
        optimizer.tell(ids[:3], codes[:3].sum(1))
        search(optimizer, lambda found: found.sum(1), 200)
    np.testing.assert_array_equal(straight.ask(50).codes, resumed.ask(50).codes)
    ours, theirs = straight.state_dict(), resumed.state_dict()
    assert ours.keys() == theirs.keys()
    for name, part in ours.items():
        np.testing.assert_array_equal(part, theirs[name], err_msg=name)


def test_the_seed_decides() -> None:
    first, same, other = (make_optimizer("tt", BITS, seed=seed).ask(20).codes for seed in (4, 4, 5))
    np.testing.assert_array_equal(first, same)
    assert (first != other).any()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"rank": 0}, "rank must be a whole number >= 1; got 0"),
        ({"batch": 2.5}, "batch must be a whole number >= 1; got 2.5"),
        ({"steps": True}, "steps must be a whole number >= 1; got True"),
        ({"elites": 11}, "elites must not exceed batch; got elites=11, batch=10"),
        ({"rate": 0.0}, "rate must be a finite number > 0; got 0.0"),
        ({"rate": float("nan")}, "rate must be a finite number > 0; got nan"),
        ({"keep": "yes"}, "keep must be True or False; got 'yes'"),
        ({"prior": "gauss"}, "prior must be one of auto, uniform, normal; got 'gauss'"),
        ({"prior": "normal", "binary": True}, "a normal prior needs plain axes"),
        ({"speed": 3}, "TensorTrain has no option speed"),
    ],
)
def test_bad_options_are_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(OptionError, match=says):
        TensorTrain(SMOOTH, seed=0, **options)


def test_a_space_without_binary_axes_is_refused() -> None:
    with pytest.raises(InputError, match="power of two of points on every axis; axis 0 has 6"):
        make_optimizer("tt-m", SearchSpace.grid(3, 6), seed=0)
