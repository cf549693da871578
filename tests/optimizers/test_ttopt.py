from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mango.errors import InputError, OptionError
from mango.optimizers import make_optimizer
from mango.optimizers.base import Optimizer
from mango.optimizers.ttopt import TTOpt, worth
from mango.space import SearchSpace
from tests.optimizers.runs import search

GRID = SearchSpace.grid(6, 8)


def peak(codes: Any) -> Any:
    """Largest at one point, and not a sum over axes."""
    distance = np.square(codes - np.array([6, 1, 5, 2, 7, 3])).sum(1)
    return 1 / (1 + distance) - 0.001 * distance


def names(codes: Any) -> list[tuple[float, ...]]:
    return [tuple(row) for row in codes.tolist()]


@pytest.mark.parametrize("binary", [False, True])
def test_it_finds_the_peak(binary: bool) -> None:
    for seed in range(3):
        found, _ = search(make_optimizer("ttopt", GRID, seed=seed, binary=binary), peak, 1500, target=1.0)
        assert found > (0.49 if binary else 0.99)  # the peak, or beside it
        assert search(make_optimizer("random", GRID, seed=seed), peak, 1500)[0] < 0.4


def test_it_learns_on_continuous_axes() -> None:
    space = SearchSpace.box(10, -1.0, 1.0)
    for seed in range(3):
        found, drawn = (
            search(make_optimizer(name, space, seed=seed), lambda x: -np.square(x - 0.3).sum(1), 1000)[0]
            for name in ("ttopt", "random")
        )
        assert found > drawn / 4  # both negative


def test_no_point_of_a_block_is_measured_twice() -> None:
    optimizer = make_optimizer("ttopt", GRID, seed=0)
    asked: set[tuple[float, ...]] = set()
    for _ in range(40):
        ids, codes, origins = optimizer.ask(7)
        for name, origin in zip(names(codes), origins, strict=True):
            assert origin in ("cross", "filler")
            assert origin == "filler" or name not in asked
        asked |= set(names(codes))
        optimizer.tell(ids, peak(codes))


def test_while_a_block_waits_fillers_are_near_the_best() -> None:
    optimizer = TTOpt(GRID, seed=0, rank=5)
    first = optimizer.ask(40)  # 8 points x 5 tails
    assert first.origins == ["cross"] * 40
    assert optimizer.ask(5).origins == ["filler"] * 5
    optimizer.tell(first.ids[:39], peak(first.codes[:39]))
    best = first.codes[peak(first.codes[:39]).argmax()]
    waiting = optimizer.ask(20)
    assert waiting.origins == ["filler"] * 20
    assert ((waiting.codes != best).sum(1) == 1).all()
    optimizer.tell(first.ids[39:], peak(first.codes[39:]))
    assert optimizer.ask(1).origins == ["cross"]


def test_lost_answers_close_a_block_as_its_worst() -> None:
    optimizer = TTOpt(GRID, seed=0, rank=5)
    ids, codes, _ = optimizer.ask(40)
    values = peak(codes)
    values[::3] = np.nan
    optimizer.tell(ids, values)
    assert optimizer.ask(1).origins == ["cross"]
    nothing = TTOpt(GRID, seed=0)
    for _ in range(5):
        ids, codes, _ = nothing.ask(50)
        nothing.tell(ids, np.full(50, np.nan))
    assert len(nothing.ask(50).ids) == 50


def test_half_lost_it_still_finds_the_peak() -> None:
    assert search(make_optimizer("ttopt", GRID, seed=1), peak, 3000, lost=0.3, target=1.0)[0] == 1.0


def test_it_goes_on_when_the_whole_grid_is_known() -> None:
    for space in (SearchSpace.grid(2, 3), SearchSpace.grid(1, 4), SearchSpace.grid(3, 1)):
        optimizer = make_optimizer("ttopt", space, seed=0)
        seen: set[tuple[float, ...]] = set()
        for _ in range(20):
            ids, codes, _ = optimizer.ask(5)
            seen |= set(names(codes))
            optimizer.tell(ids, codes.sum(1))
        assert len(seen) == np.prod(space.levels)
        assert optimizer.ask(3).origins == ["filler"] * 3


def test_sweeps_that_find_nothing_new_start_again_elsewhere() -> None:
    """At rank 1 a sweep is a coordinate ascent; it ends in a local maximum and must leave it."""
    optimizer = TTOpt(GRID, seed=0, rank=1)

    def two(codes: Any) -> Any:
        return np.maximum(peak(codes), 0.6 - np.abs(codes).sum(1) / 50)

    blocks = 0
    for _ in range(60):
        ids, codes, origins = optimizer.ask(8)
        blocks += origins.count("cross")
        optimizer.tell(ids, two(codes))
    assert blocks > 150


def test_foreign_points_are_where_fillers_begin() -> None:
    optimizer = TTOpt(GRID, seed=0, rank=5)
    first = optimizer.ask(40)
    optimizer.observe([[6, 1, 5, 2, 7, 3], [0, 0, 0, 0, 0, 0]], [1.0, np.nan])
    assert ((optimizer.ask(20).codes != [6, 1, 5, 2, 7, 3]).sum(1) == 1).all()
    optimizer.tell(first.ids, peak(first.codes))  # lower: the foreign point stays the best
    assert optimizer.recommend().tolist() == [6, 1, 5, 2, 7, 3]


@pytest.mark.parametrize("options", [{}, {"binary": True, "rank": 3}])
def test_resumes_bit_for_bit_in_the_middle_of_a_block(options: dict[str, Any]) -> None:
    straight = make_optimizer("ttopt", GRID, seed=7, **options)
    search(straight, peak, 150)
    ids, codes, _ = straight.ask(37)
    straight.tell(ids[5:30], peak(codes[5:30]))
    resumed = make_optimizer("ttopt", GRID, seed=7, **options)
    resumed.load_state_dict(straight.state_dict())
    for optimizer in (straight, resumed):
        optimizer.tell(ids[:5], [np.nan, *peak(codes[1:5])])
        search(optimizer, peak, 300)
    np.testing.assert_array_equal(straight.ask(50).codes, resumed.ask(50).codes)
    ours, theirs = straight.state_dict(), resumed.state_dict()
    assert ours.keys() == theirs.keys()
    for name, part in ours.items():
        np.testing.assert_array_equal(part, theirs[name], err_msg=name)


def test_worth_falls_with_rank_and_equals_share_it() -> None:
    nan = np.nan
    found = worth(np.array([1.0, 3.0, nan, 2.0, 2.0, 1.0]), np.array([nan, nan, nan, 5.0, 6.0, nan]))
    np.testing.assert_allclose(found, np.pi / 2 - np.arctan([3, 0, 3, 2, 1, 3]))
    assert (worth(np.full(4, nan), np.full(4, nan)) == np.pi / 2).all()
    assert (worth(np.zeros(4), np.full(4, nan)) == np.pi / 2).all()


def test_the_scale_of_values_does_not_matter() -> None:
    asked = []
    for scale in (1e-6, 1.0, 1e6):
        optimizer: Optimizer = make_optimizer("ttopt", GRID, seed=3)
        search(optimizer, lambda codes, scale=scale: scale * codes.sum(1), 300)
        asked.append(optimizer.ask(20).codes)
    np.testing.assert_array_equal(asked[0], asked[1])
    np.testing.assert_array_equal(asked[2], asked[1])


def test_refusals() -> None:
    with pytest.raises(OptionError, match="rank must be a whole number >= 1; got 0"):
        TTOpt(GRID, seed=0, rank=0)
    with pytest.raises(OptionError, match="TTOpt has no option elites"):
        TTOpt(GRID, seed=0, elites=3)
    with pytest.raises(InputError, match="binary axes need a power of two"):
        TTOpt(SearchSpace.grid(3, 6), seed=0, binary=True)
