"""What every optimizer shares: ranking, random state, numbering, the chart, the best so far."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mango.charts import frequencies, principal
from mango.errors import CodeError, InputError, OptionError, StudyError, TellError, UnknownName
from mango.optimizers import TABLE, make_optimizer, optimizer_class
from mango.optimizers.base import Codes, Ids, Learned, Optimizer, ranking, rng_state, set_rng_state
from mango.space import SearchSpace

EMBEDDING = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]])
MAP = SearchSpace.codebook(4, 3, EMBEDDING, (2, 2))


class Recorder(Optimizer):
    """Draws from its domain and keeps what it is told."""

    def __init__(self, space: SearchSpace, *, seed: int = 0, **options: Any) -> None:
        super().__init__(space, seed=seed, **options)
        self.drawn: dict[int, Codes] = {}
        self.learned: list[Learned] = []
        self.observed: list[Learned] = []

    def _propose(self, ids: Ids) -> tuple[Codes, list[str]]:
        points = self.domain.sample(len(ids), self.rng)
        self.drawn.update(zip(ids.tolist(), points.copy(), strict=True))
        return points, ["prior"] * len(ids)

    def _learn(self, batch: Learned) -> None:
        self.learned.append(batch)

    def _observe(self, batch: Learned) -> None:
        self.observed.append(batch)


# -- ranking and random state --------------------------------------------------------------------------------------

few = st.sampled_from([0.0, 1.0, -2.5, math.nan])


@given(st.lists(st.tuples(few, few), max_size=12))
def test_ranking_is_by_value_then_key_then_place_with_losses_last(rows: list[tuple[float, float]]) -> None:
    def worse(place: int) -> tuple[bool, float, bool, float, int]:
        value, key = rows[place]
        no_value, no_key = math.isnan(value), math.isnan(key)
        return no_value, 0.0 if no_value else -value, no_key, 0.0 if no_key else -key, place

    values, keys = (np.array([row[i] for row in rows], np.float64) for i in (0, 1))
    assert ranking(values, keys).tolist() == sorted(range(len(rows)), key=worse)


def test_ranking_without_keys_keeps_the_order_of_equals() -> None:
    assert ranking(np.array([1.0, np.nan, 2.0, 1.0, 2.0])).tolist() == [2, 4, 0, 3, 1]


@given(st.integers(0, 2**63), st.lists(st.sampled_from(["normal", "integer", "words"]), max_size=6))
def test_rng_state_is_restored_whole(seed: int, draws: list[str]) -> None:
    rng = np.random.default_rng(seed)
    for kind in draws:
        {
            "normal": lambda: rng.normal(size=3),
            "integer": lambda: rng.integers(0, 10, dtype=np.int32),  # leaves half a word behind
            "words": lambda: rng.bytes(5),
        }[kind]()
    other = np.random.default_rng(seed + 1)
    words = rng_state(rng)
    assert words.dtype == np.uint64
    set_rng_state(other, words)
    assert other.bit_generator.state == rng.bit_generator.state
    assert other.integers(0, 100, 7, dtype=np.int32).tolist() == rng.integers(0, 100, 7, dtype=np.int32).tolist()


# -- numbering and answers -----------------------------------------------------------------------------------------


def test_one_tell_reaches_the_method_in_the_order_of_the_numbers() -> None:
    recorder = Recorder(SearchSpace.box(2))
    recorder.ask(5)
    recorder.tell([4, 0, 2], [0.4, 0.0, 0.2], keys=[4, 0, 2], errors=[0.04, 0.0, 0.02])
    (batch,) = recorder.learned
    assert batch.ids.tolist() == [0, 2, 4]
    assert batch.values.tolist() == [0.0, 0.2, 0.4]
    assert batch.keys.tolist() == [0, 2, 4]
    assert batch.errors.tolist() == [0.0, 0.02, 0.04]
    assert np.array_equal(batch.points, np.stack([recorder.drawn[i] for i in (0, 2, 4)]))


def test_missing_keys_and_errors_are_nan() -> None:
    recorder = Recorder(SearchSpace.box(2))
    recorder.ask(2)
    recorder.tell([0, 1], [1.0, np.nan])
    recorder.observe([[0.0, 0.0]], [1.0])
    for batch in (*recorder.learned, *recorder.observed):
        assert np.isnan(batch.keys).all()
        assert np.isnan(batch.errors).all()


def test_a_repetition_is_not_learned_again() -> None:
    recorder = Recorder(SearchSpace.box(2))
    recorder.ask(3)
    recorder.tell([0, 1, 0], [1.0, np.nan, 1.0])
    recorder.tell([1, 0], [np.nan, 1.0])
    recorder.tell([2, 0], [3.0, 1.0])
    assert [batch.ids.tolist() for batch in recorder.learned] == [[0, 1], [2]]


def test_a_single_answer_may_be_a_number() -> None:
    recorder = Recorder(SearchSpace.box(2))
    recorder.ask(1)
    recorder.tell(0, 0.5)
    assert recorder.learned[0].values.tolist() == [0.5]


@pytest.mark.parametrize(
    ("ids", "values", "text"),
    [
        ([0, 7], [1.0, 1.0], "trial 7 was never asked; asked so far: 0 to 2"),
        (
            [0],
            [np.inf],
            r"values: expected numbers from -1e\+100 to 1e\+100, or NaN .*; got inf for trial 0",
        ),
        ([0, 1], [1.0], r"values must have shape \(2,\), one for each trial; got \(1,\)"),
        ([0.5], [1.0], r"ids must be whole numbers \(n,\); got float64"),
        ([0], ["high"], "values must be numbers"),
        ([0, 0], [1.0, 2.0], r"trial 0 was told 1\.0; it cannot be told 2\.0 as well"),
    ],
)
def test_answers_that_do_not_fit_say_why(ids: Any, values: Any, text: str) -> None:
    recorder = Recorder(SearchSpace.box(2))
    recorder.ask(3)
    with pytest.raises(TellError, match=text):
        recorder.tell(ids, values)
    assert not recorder.learned


def test_a_design_that_ends_gives_no_more_numbers() -> None:
    class Design(Recorder):
        def _propose(self, ids: Ids) -> tuple[Codes, list[str]]:
            points, origins = super()._propose(ids)
            left = max(0, 5 - int(ids[0]))
            return points[:left], origins[:left]

    design = Design(SearchSpace.grid(2, 4))
    assert design.ask(3).ids.tolist() == [0, 1, 2]
    assert design.ask(3).ids.tolist() == [3, 4]
    last = design.ask(3)
    assert last.ids.tolist() == []
    assert last.codes.shape == (0, 2)
    with pytest.raises(TellError, match="trial 5 was never asked"):
        design.tell([5], [1.0])


def test_a_method_that_proposes_outside_its_space_is_caught() -> None:
    class Outside(Recorder):
        def _propose(self, ids: Ids) -> tuple[Codes, list[str]]:
            return np.full((len(ids), 2), 9.0), [""] * len(ids)

    with pytest.raises(CodeError, match="expected -1 to 1"):
        Outside(SearchSpace.box(2)).ask(1)


def test_told_values_are_remembered_across_a_resume() -> None:
    first = Recorder(SearchSpace.grid(2, 4))
    first.ask(4)
    first.tell([0, 3], [1.0, np.nan])
    second = Recorder(SearchSpace.grid(2, 4))
    second.load_state_dict(first.state_dict())
    second.tell([3, 0], [np.nan, 1.0])
    assert not second.learned
    with pytest.raises(TellError, match="it cannot be told"):
        second.tell([0], [2.0])
    second.tell([2], [5.0])
    assert np.array_equal(second.learned[0].points[0], first.drawn[2])
    assert second.ask(1).ids.tolist() == [4]


# -- the best so far -----------------------------------------------------------------------------------------------


def test_recommends_the_best_measured_and_the_earlier_of_equals() -> None:
    recorder = Recorder(SearchSpace.box(2))
    codes = recorder.ask(6).codes
    with pytest.raises(StudyError, match="nothing was measured yet"):
        recorder.recommend()
    told = [
        ((0,), (np.nan,), None, None),  # lost: still nothing
        ((2, 1), (1.0, 1.0), None, 1),  # equal: the earlier number
        ((3,), (1.0,), (0.0,), 3),  # a key beats none
        ((4,), (1.0,), (-1.0,), 3),
        ((5,), (2.0,), (-9.0,), 5),
    ]
    for ids, values, keys, best in told:
        recorder.tell(ids, values, keys=keys)
        if best is not None:
            assert np.array_equal(recorder.recommend(), codes[best])
    recorder.observe([[0.25, 0.5]], [3.0])
    assert recorder.recommend().tolist() == [0.25, 0.5]


# -- the chart -----------------------------------------------------------------------------------------------------


def test_own_trials_are_learned_at_the_coordinates_drawn() -> None:
    recorder = Recorder(MAP, chart="frequencies:5")
    proposals = recorder.ask(20)
    assert recorder.domain.is_box
    assert proposals.codes.shape == (20, 4)
    assert proposals.codes.dtype == np.int64
    assert recorder.chart is not None
    drawn = np.stack([recorder.drawn[i] for i in range(20)])
    assert np.array_equal(recorder.chart.to_codes(drawn), proposals.codes)
    recorder.tell(proposals.ids[::-1], np.arange(20.0))
    assert recorder.learned[0].points.tobytes() == drawn.tobytes()


class Rounding:
    """Like a matrix product, whose last bits depend on how many rows it has."""

    space = SearchSpace.box(2)

    def to_codes(self, coordinates: Any) -> Codes:
        return np.asarray(coordinates) / 2 + 1e-16 * len(coordinates)

    def to_coordinates(self, codes: Any) -> Any:
        return np.asarray(codes) * 2


def test_a_recommendation_is_the_code_that_was_asked_to_the_last_bit() -> None:
    recorder = Recorder(SearchSpace.box(2), chart=Rounding())
    codes = recorder.ask(9).codes
    asked = codes.copy()
    codes[:] = 0  # the caller's own
    for number in range(9):
        if number == 5:
            state = recorder.state_dict()
            recorder = Recorder(SearchSpace.box(2), chart=Rounding())
            recorder.load_state_dict(state)
        recorder.tell([number], [float(number)])
        assert recorder.recommend().tobytes() == asked[number].tobytes()


def test_twins_share_a_code_and_stay_two_trials() -> None:
    recorder = Recorder(MAP, chart="frequencies:5")
    proposals = recorder.ask(300)  # more trials than there are codes: 3^4 = 81
    _, first, inverse = np.unique(proposals.codes, axis=0, return_index=True, return_inverse=True)
    twin = int(np.flatnonzero(first[inverse.ravel()] != np.arange(300))[0])
    pair = [int(first[inverse.ravel()[twin]]), twin]
    assert np.array_equal(proposals.codes[pair[0]], proposals.codes[pair[1]])
    recorder.tell(pair, [1.0, 2.0])  # under noise, one code may well have two values
    (batch,) = recorder.learned
    assert batch.values.tolist() == [1.0, 2.0]
    assert not np.array_equal(batch.points[0], batch.points[1])
    resumed = Recorder(MAP, chart="frequencies:5")
    resumed.load_state_dict(recorder.state_dict())
    resumed.tell([5 if 5 not in pair else 6], [0.0])
    assert np.array_equal(resumed.learned[0].points[0], recorder.drawn[int(resumed.learned[0].ids[0])])


def test_foreign_points_are_projected_and_never_own() -> None:
    recorder = Recorder(MAP, chart=frequencies(MAP, 5))
    codes = MAP.sample(3, np.random.default_rng(0))
    recorder.observe(codes, [1.0, 2.0, np.nan], keys=[0.0, 1.0, 2.0])
    (batch,) = recorder.observed
    assert batch.ids.tolist() == [-1, -1, -1]
    assert recorder.chart is not None
    assert np.array_equal(batch.points, recorder.chart.to_coordinates(codes))
    assert np.array_equal(recorder.recommend(), codes[1])  # the code itself, not its projection
    assert not recorder.learned
    assert recorder.ask(1).ids.tolist() == [0]


def test_a_principal_chart_is_made_of_the_natural_codes() -> None:
    space = SearchSpace.box(6, -3, 3, prior="normal")
    natural = space.sample(40, np.random.default_rng(0))
    by_name, by_hand = (
        Recorder(space, chart=chart, natural=natural) for chart in ("principal:3", principal(space, natural, 3))
    )
    assert np.array_equal(by_name.ask(8).codes, by_hand.ask(8).codes)
    with pytest.raises(InputError, match="needs natural codes"):
        Recorder(space, chart="principal:3")
    with pytest.raises(CodeError):
        Recorder(space, natural=natural + 100)
    with pytest.raises(UnknownName, match="unknown chart 'principle'; did you mean principal"):
        Recorder(space, chart="principle:3", natural=natural)


# -- names and options ---------------------------------------------------------------------------------------------


def test_unknown_names_and_options_suggest_what_exists() -> None:
    space = SearchSpace.box(2)
    with pytest.raises(UnknownName, match="unknown optimizer 'randm'; did you mean random"):
        make_optimizer("randm", space, seed=0)
    with pytest.raises(UnknownName, match="unknown optimizer 'random:5'"):
        make_optimizer("random:5", space, seed=0)
    with pytest.raises(OptionError, match="RandomSearch has no option colour; its options: none"):
        make_optimizer("random", space, seed=0, colour=1)


def test_options_given_go_before_those_of_a_preset(monkeypatch: pytest.MonkeyPatch) -> None:
    class Optional(Recorder):
        OPTIONS = {"rank": 3, "steps": 2}  # noqa: RUF012

    monkeypatch.setitem(TABLE, "preset", ("random:RandomSearch", {"rank": 5}))
    monkeypatch.setattr("mango.optimizers.random.RandomSearch", Optional)
    assert optimizer_class("preset") == (Optional, {"rank": 5})
    assert make_optimizer("preset", SearchSpace.box(2), seed=0).options == {"rank": 5, "steps": 2}
    assert make_optimizer("preset", SearchSpace.box(2), seed=0, rank=1).options == {"rank": 1, "steps": 2}


@pytest.mark.parametrize("budget", [0, -1, 1.5, True, "many", math.nan])
def test_a_budget_is_a_whole_number(budget: Any) -> None:
    with pytest.raises(OptionError, match="budget must be a whole number of evaluations >= 1; got"):
        Recorder(SearchSpace.box(2), budget=budget)


@pytest.mark.parametrize("seed", [-1, 0.5, True, "0", None])
def test_a_seed_is_a_whole_number(seed: Any) -> None:
    with pytest.raises(OptionError, match="seed must be a whole number >= 0; got"):
        Recorder(SearchSpace.box(2), seed=seed)


def test_numpy_numbers_are_whole_numbers_too() -> None:
    recorder = Recorder(SearchSpace.box(2), seed=np.int64(3), budget=np.int32(9))  # type: ignore[arg-type]
    assert recorder.ask(np.int64(2)).ids.tolist() == [0, 1]  # type: ignore[arg-type]
