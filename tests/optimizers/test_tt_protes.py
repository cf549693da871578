from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mango.errors import InputError, OptionError
from mango.optimizers import make_optimizer, optimizer_class
from mango.optimizers.base import Optimizer
from mango.optimizers.tt_protes import Protes
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


def one_max(codes: Any) -> Any:
    return codes.sum(1)


@pytest.mark.parametrize("preset", ["tt-m", "tt-s", "tt-b", "tt-exp"])
def test_published_settings_learn_on_binary_axes(preset: str) -> None:
    cls, options = optimizer_class(preset)
    assert cls is Protes
    assert options["binary"]
    space = SearchSpace.grid(12, 8)
    for seed in range(2):
        drawn = search(make_optimizer("random", space, seed=seed), one_max, 3000, batch=50)
        assert search(make_optimizer(preset, space, seed=seed), one_max, 3000, batch=50) > drawn + 5


def test_axes_of_different_sizes_stay_in_range_and_are_learnt() -> None:
    levels = np.array([2, 9, 3, 1, 0])
    space = SearchSpace(np.zeros(5), np.array([1.0, 8.0, 2.0, 0.0, 4.0]), levels, np.ones(5, bool))
    optimizer = Protes(space, seed=0, binary=False, levels=5, batch=10, elites=3)
    search(optimizer, lambda codes: codes.sum(1), 1000)  # asking validates every code
    assert optimizer.recommend().tolist() == [1, 8, 2, 0, 4]


def test_an_update_comes_with_every_batch_of_measured_answers() -> None:
    optimizer = Protes(BITS, seed=0, batch=6, elites=2)
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
    optimizer = Protes(BITS, seed=0, batch=10)
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
    optimizer = Protes(BITS, seed=0, batch=10, elites=3)
    for _ in range(60):
        ids, codes, _ = optimizer.ask(10)
        optimizer.tell(ids, np.zeros(10), keys=codes.sum(1))
    assert optimizer.ask(200).codes.mean() > 0.85


def test_foreign_points_guide_it_but_close_no_batch() -> None:
    guided, alone = (Protes(BITS, seed=0, batch=10, elites=5) for _ in range(2))
    for optimizer in (guided, alone):
        for _ in range(10):
            if optimizer is guided:
                count = optimizer.state_dict()["method.count"]
                optimizer.observe(np.ones((15, 30)), np.full(15, 30.0))
                assert optimizer.state_dict()["method.count"] == count
            ids, codes, _ = optimizer.ask(10)
            optimizer.tell(ids, one_max(codes))
    assert guided.ask(200).codes.mean() > alone.ask(200).codes.mean() + 0.1


def test_resumes_bit_for_bit_in_the_middle_of_a_batch() -> None:
    space = SearchSpace.box(5, -1.0, 1.0)
    straight = make_optimizer("tt-b", space, seed=7)
    ids, codes, _ = straight.ask(37)
    straight.tell(ids[3:33], codes[3:33].sum(1))
    straight.observe(codes[:2] * 0, [9.0, np.nan])
    resumed = make_optimizer("tt-b", space, seed=7)
    resumed.load_state_dict(straight.state_dict())
    for optimizer in (straight, resumed):
        optimizer.tell(ids[:3], codes[:3].sum(1))
        search(optimizer, lambda found: found.sum(1), 200)
    np.testing.assert_array_equal(straight.ask(50).codes, resumed.ask(50).codes)
    ours, theirs = straight.state_dict(), resumed.state_dict()
    assert ours.keys() == theirs.keys()
    for name, part in ours.items():
        np.testing.assert_array_equal(part, theirs[name], err_msg=name)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"rank": 0}, "rank must be a whole number >= 1; got 0"),
        ({"batch": 2.5}, "batch must be a whole number >= 1; got 2.5"),
        ({"steps": True}, "steps must be a whole number >= 1; got True"),
        ({"elites": 101}, "elites must not exceed batch; got elites=101, batch=100"),
        ({"rate": 0.0}, "rate must be a finite number > 0; got 0.0"),
        ({"rate": float("nan")}, "rate must be a finite number > 0; got nan"),
        ({"speed": 3}, "Protes has no option speed"),
    ],
)
def test_bad_options_are_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(OptionError, match=says):
        Protes(SMOOTH, seed=0, **options)


def test_a_space_without_binary_axes_is_refused() -> None:
    with pytest.raises(InputError, match="power of two of points on every axis; axis 0 has 6"):
        make_optimizer("tt-m", SearchSpace.grid(3, 6), seed=0)
