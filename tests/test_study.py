"""A study from its first ask to its end: what it accepts and what it refuses."""

from __future__ import annotations

import math
import sqlite3
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mango.errors import (
    CodeError,
    InputError,
    OptionError,
    StorageError,
    StudyError,
    StudyExists,
    StudyFinished,
    StudyLocked,
    TellError,
    UnknownName,
)
from mango.space import SearchSpace
from mango.study import Study, verify
from mango.trial import Result, TrialState, trial_seed
from tests.studies import BOX, LABELS, NAN, Described, answer, content, finish

# -- asking and telling ------------------------------------------------------------------------------------------------


def test_a_study_runs_to_its_end(url: str) -> None:
    with Study(LABELS, budget=23, batch=5, optimizer="random", seed=3, storage=url, meta={"target": "t"}) as study:
        assert study.best() is None
        assert study.ties() == 0
        with pytest.raises(StudyError, match="nothing was measured yet"):
            study.recommend()
        finish(study)
        assert study.finished
        assert study.ask(3) == []
        trials = study.trials()
        assert [t.number for t in trials] == list(range(23))
        assert {t.attempt for t in trials} == {1}
        assert [t.state is TrialState.LOST for t in trials] == [n % 11 == 5 for n in range(23)]
        assert study.counts() == {
            "asked": 23, "open": 0, "done": 21, "lost": 2, "failed": 0, "vetoed": 0, "presentations": 23, "budget": 23,
        }  # fmt: skip
        best = study.best()
        values = [t.value for t in trials if t.state is TrialState.DONE]
        assert best is not None
        assert best.value == max(values)
        assert study.ties() == values.count(max(values))
        assert best.key == max(t.key for t in trials if t.value == best.value)
        np.testing.assert_array_equal(study.recommend(), best.code)
        assert all(t.told_at >= t.asked_at > 1.6e9 for t in trials)
        assert study.optimizer_seconds > 0
        assert study.meta == {"target": "t"}
        assert study.config["optimizer"] == "random"
        assert study.config["budget"] == 23
    assert verify(LABELS, storage=url) is None


@pytest.mark.parametrize("ordered", [True, False])
def test_a_study_without_a_budget_asks_until_it_is_finished(learner: str, ordered: bool, url: str) -> None:
    def begun(**where: Any) -> Study:
        return Study(BOX, budget=None, batch=5, repeats=2, optimizer=learner, ordered=ordered, **where)

    def on(study: Study) -> None:
        study.enqueue(np.zeros((7, 3)))
        for _ in range(8):
            trials = study.ask(4)
            study.veto([trials[0].number])
            study.tell([answer(trial) for trial in trials[1:]])

    whole, study = begun(), begun(storage=url)
    for each in (whole, study):
        on(each)
    assert study._current()[1]._optimizer.budget is None
    study.close()
    study = Study.resume(BOX, storage=url)
    for each in (whole, study):
        on(each)
    assert content(study) == content(whole)
    assert (study.configuration.budget, study.config["budget"], study.state) == (None, None, "running")
    counts = study.counts()
    assert "budget" not in counts
    assert (counts["done"] + counts["lost"], counts["vetoed"], counts["presentations"]) == (48, 16, 96)
    study.pause()
    assert study.ask(4) == []
    study.unpause()
    trials = study.ask(4)
    study.finish()
    assert (study.state, study.finished, study.ask(4)) == ("finished", True, [])
    study.tell([answer(trial) for trial in trials])
    study.close()
    assert verify(BOX, storage=url) is None


def test_the_same_seed_asks_the_same_and_another_does_not(learner: str) -> None:
    def asked(seed: int) -> list[tuple[Any, ...]]:
        study = Study(BOX, budget=20, batch=4, optimizer=learner, seed=seed)
        finish(study)
        return content(study)

    assert asked(1) == asked(1)
    assert asked(1) != asked(2)


def test_trials_carry_seeds_of_their_own() -> None:
    study = Study(BOX, budget=6, repeats=3, optimizer="random", seed=9)
    trials = study.ask(5)
    assert [t.number for t in trials] == [0, 1]
    assert trials[1].seeds == tuple(trial_seed(9, 1, r) for r in range(3))
    assert len({seed for t in trials for seed in t.seeds}) == 6


def test_a_caller_cannot_alter_a_recorded_code() -> None:
    study = Study(BOX, budget=2, optimizer="random")
    trial = study.ask(1)[0]
    kept = trial.code.copy()
    trial.code[:] = 0
    np.testing.assert_array_equal(study.trials()[0].code, kept)


def test_repeats_are_averaged_and_kept(url: str) -> None:
    study = Study(BOX, budget=7, repeats=3, batch=2, optimizer="random", storage=url)
    one, two = study.ask(2)
    study.tell([Result(one.number, 1, (1.0, NAN, 2.0)), Result(two.number, 1, (NAN, NAN, NAN))])
    records = study.trials()
    assert records[0].value == 1.5
    assert records[0].values[0::2] == (1.0, 2.0)
    assert records[1].state is TrialState.LOST
    assert study.finished  # 7 presentations hold two trials of 3
    assert study.counts()["presentations"] == 6
    study.close()
    with sqlite3.connect(url[10:]) as connection:
        rows = connection.execute("SELECT number, repeat, value, late FROM presentations ORDER BY 1, 2").fetchall()
    connection.close()
    assert rows == [(0, 0, 1.0, 0), (0, 1, None, 0), (0, 2, 2.0, 0), (1, 0, None, 0), (1, 1, None, 0), (1, 2, None, 0)]


@pytest.mark.parametrize("ordered", [True, False])
def test_failed_trials_are_kept_with_their_reason(ordered: bool, url: str) -> None:
    study = Study(BOX, budget=6, batch=2, optimizer="random", ordered=ordered, storage=url)
    for trial in study.ask(4):
        why = "died \x00three times \ud800"
        study.tell([Result(trial.number, 1, (), status=TrialState.FAILED, reason=why, seconds=2.5)])
    assert study.counts()["failed"] == 4
    assert study.trials()[0].reason == "died three times \\ud800"
    finish(study)
    study.close()
    resumed = Study.resume(BOX, storage=url)
    assert [r.state for r in resumed.trials()][:4] == [TrialState.FAILED] * 4
    assert resumed.trials()[2].seconds == 2.5
    resumed.close()
    assert verify(None, storage=url) is None


def test_enqueued_codes_are_asked_verbatim_first(learner: str, url: str) -> None:
    study = Study(BOX, budget=12, batch=4, optimizer=learner, storage=url)
    codes = np.array([[0.1, -0.0, 1.5], [2.0, -2.0, 0.3], [1, 1, 1], [0, 0, 0], [0.7, 0.7, 0.7]])
    study.enqueue(codes, origin="natural")
    study.enqueue(np.zeros((0, 3)))
    trials = study.ask(8)
    assert [t.origin for t in trials] == ["natural"] * 5 + ["first"] + ["learned"] * 2
    np.testing.assert_array_equal(np.stack([t.code for t in trials[:5]]), codes)
    assert np.signbit(trials[0].code[1])
    with pytest.raises(StudyFinished, match="room for 4 more trials"):
        study.enqueue(codes)
    study.enqueue(codes[:4])
    study.tell([answer(t) for t in trials])
    finish(study)
    assert len(study.trials()) == 12
    kept = content(study)
    study.close()
    study = Study.resume(BOX, storage=url)
    assert content(study) == kept
    with pytest.raises(StudyFinished):
        study.enqueue(codes[:1])
    with pytest.raises(CodeError):
        study.enqueue([[9.0, 0, 0]])
    study.close()
    assert verify(BOX, storage=url) is None


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize(("design", "budget"), [(10, 50), (12, 50), (12, None)])
def test_a_finite_design_ends_the_study(learner: str, ordered: bool, design: int, budget: int | None, url: str) -> None:
    options = {"design": design}
    study = Study(BOX, budget=budget, batch=4, optimizer=learner, options=options, ordered=ordered, storage=url)
    finish(study)
    assert [t.number for t in study.trials()] == list(range(design))
    assert study.ask(1) == []
    assert study.state == study.store.standing().state == "exhausted"
    study.enqueue(np.zeros((2, 3)))
    assert not study.finished
    assert study.state == study.store.standing().state == "running"
    study.pause()
    assert study.state == study.store.standing().state == "paused"
    study.unpause()
    finish(study)
    assert len(study.trials()) == design + 2
    assert study.state == study.store.standing().state == "exhausted"
    study.close()
    resumed = Study.resume(BOX, storage=url)
    assert resumed.finished
    resumed.close()
    assert verify(BOX, storage=url) is None


def test_the_optimizer_hears_the_weighted_penalty(learner: str) -> None:
    def last_code(weight: float) -> bytes:
        study = Study(Described(), budget=30, batch=3, optimizer=learner, weight=weight)
        finish(study)
        record = study.trials()[-1]
        assert record.log_prior == -np.square(record.code).sum()
        assert all(math.isnan(r.value) or r.value == round(r.value * 4) / 4 for r in study.trials())
        return record.code.tobytes()

    assert last_code(0.0) == last_code(0.0)
    assert last_code(0.0) != last_code(0.5)


def test_the_best_is_best_by_what_the_optimizer_hears(url: str) -> None:
    study = Study(Described(), budget=40, optimizer="random", weight=50.0, storage=url)
    while trials := study.ask(4):
        study.tell([answer(trial, float(np.square(trial.code).sum())) for trial in trials])  # the less likely, the more
    low, high = study.configuration.band or (0.0, 0.0)
    done = study.trials()
    heard = study.objective(done)
    outside = [max(low - r.log_prior, r.log_prior - high, 0.0) / (high - low) for r in done]
    assert heard.tolist() == pytest.approx([r.value - 50 * o for r, o in zip(done, outside, strict=True)])
    best = study.best()
    assert best is not None
    assert heard[best.number] == heard.max()
    assert best.value < max(r.value for r in done)
    assert study.ties() == (heard == heard.max()).sum()
    study.close()
    with Study.resume(Described(), storage=url) as resumed:
        assert resumed.configuration.band == (low, high)
        assert resumed.objective(done).tolist() == heard.tolist()


def test_a_weight_needs_a_band(url: str) -> None:
    class Bare:
        space, log_prior = BOX, Described().log_prior

    with pytest.raises(OptionError, match="weight 2 needs to know the log priors of natural codes"):
        Study(Bare(), budget=4, optimizer="random", weight=2.0, storage=url)
    assert Study(Bare(), budget=4, optimizer="random").configuration.band is None
    natural = BOX.sample(50, np.random.default_rng(0))
    given = Study(Bare(), budget=4, optimizer="random", weight=2.0, natural=natural).configuration.band
    assert given == pytest.approx(np.quantile(Bare.log_prior(natural), [0.05, 0.95]))

    class Knows(Bare):
        log_prior_quantiles = np.linspace(-10, 0, 101)

    own = Study(Knows(), budget=4, optimizer="random", weight=2.0, natural=natural, storage=url).configuration.band
    assert own == pytest.approx((-9.5, -0.5))


def test_natural_codes_are_drawn_once_and_kept(url: str) -> None:
    study = Study(Described(LABELS), budget=4, optimizer="random", storage=url, seed=5)
    natural = study.configuration.natural
    assert natural is not None
    assert natural.shape == (1000, 4)
    study.close()
    resumed = Study.resume(None, storage=url)
    np.testing.assert_array_equal(resumed.configuration.natural, natural)
    resumed.close()
    given = Study(Described(LABELS), budget=4, optimizer="random", natural=[[1, 2, 3, 4]])
    np.testing.assert_array_equal(given.configuration.natural, [[1, 2, 3, 4]])


# -- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"budget": 0}, OptionError, "budget must be a whole number >= 1, or None to ask until it is finished; got 0"),
        ({"budget": 2.5}, OptionError, "budget must be a whole number"),
        ({"budget": None, "confirm": 4}, OptionError, "there is none; got 4: give a budget, or set confirm to 0"),
        ({"batch": 0}, OptionError, "batch must be a whole number >= 1"),
        ({"batch": True}, OptionError, "batch must be a whole number >= 1"),
        ({"repeats": 0}, OptionError, "repeats must be a whole number >= 1"),
        ({"repeats": 11}, OptionError, "less than one trial of 11 repeats"),
        ({"seed": -1}, OptionError, "seed must be a whole number >= 0"),
        ({"weight": math.inf}, OptionError, "weight must be a finite number"),
        ({"weight": -0.5}, OptionError, "weight must be a finite number >= 0"),
        ({"weight": 1e60}, OptionError, r"weight must be a finite number >= 0, at most 1e\+50"),
        ({"weight": 1.0}, OptionError, "needs a generator with a log_prior"),
        ({"optimizer": "randm"}, UnknownName, "did you mean random"),
        ({"optimizer": object()}, OptionError, "optimizer must be a name"),
        ({"chart": "frequencyes:3"}, UnknownName, "unknown chart"),
        ({"chart": object()}, OptionError, "chart must be a text"),
        ({"options": {"speed": 3}}, OptionError, "no option speed"),
        ({"options": {"speed": {1, 2}}}, OptionError, "option speed cannot be stored"),
        ({"natural": [[9.0, 9.0, 9.0]]}, CodeError, "code 0 is 9.0 on axis 0"),
        ({"meta": {"a": object()}}, OptionError, "meta must be a dict that JSON can hold"),
        ({"storage": "study.db"}, InputError, "storage must be a URL"),
    ],
)
def test_bad_arguments_leave_nothing_behind(
    arguments: dict[str, Any], error: type[Exception], message: str, tmp_path: Path
) -> None:
    given = {"budget": 10, "optimizer": "random", "storage": f"sqlite:///{tmp_path}/study.db", **arguments}
    with pytest.raises(error, match=message):
        Study(BOX, **given)
    assert list(tmp_path.iterdir()) == []


def test_a_source_needs_a_space() -> None:
    with pytest.raises(InputError, match=r"a study needs a generator .* got 'box'"):
        Study("box", budget=3)


@pytest.mark.parametrize("n", [0, -1, 2.0, True, "3"])
def test_ask_needs_a_whole_number(n: Any) -> None:
    with pytest.raises(InputError, match="whole number n >= 1"):
        Study(BOX, budget=3, optimizer="random").ask(n)


@pytest.mark.parametrize("ordered", [True, False])
def test_bad_answers_change_nothing(ordered: bool, url: str) -> None:
    study = Study(BOX, budget=12, batch=3, optimizer="random", ordered=ordered, storage=url)
    trials = study.ask(4)
    good = [answer(trials[0], 1.0), answer(trials[1], 2.0)]
    study.tell(good[:1])
    before, events = content(study), len(list(study._store.events()))
    for bad, message in [
        (Result(0, 1, (1.5,)), "trial 0 was told 1.0 by attempt 1; it cannot be told 1.5"),
        (Result(0, 1, (NAN,)), "cannot be told nan as well"),
        (Result(0, 1, (1.0,), keys=(77.0,)), "cannot be told"),
        (Result(0, 1, (), status=TrialState.FAILED), "cannot be told failed as well"),
        (Result(99, 1, (1.0,)), "trial 99 was never asked"),
        (Result(-1, 1, (1.0,)), "trial -1 was never asked"),
        (Result(2, 2, (1.0,)), "has been handed out 1 times; there is no attempt 2"),
        (Result(2, 0, (1.0,)), "there is no attempt 0"),
        (Result(5, 1, (1.0,)), "handed out 0 times" if ordered else "trial 5 was never asked"),
        (Result(2, 1, (1.0, 2.0)), "trial 2: expected 1 values"),
        (Result(1, 1, (7.0,)), "trial 1 was told 2.0 by attempt 1; it cannot be told 7.0"),
    ]:
        with pytest.raises(TellError, match=message):
            study.tell([good[1], bad])  # refused whole
        assert content(study) == before
    with pytest.raises(TellError, match="got the value inf"):
        study.tell([Result(2, 1, (math.inf,))])
    with pytest.raises(TellError, match=r"tell takes mango.Result objects; got tuple"):
        study.tell([(2, 1.0)])  # type: ignore[list-item]
    study.tell([])
    study.tell(good[:1] * 2)  # the same again is nothing
    assert len(list(study._store.events())) == events
    study.tell(good)
    study.tell([answer(trials[2]), answer(trials[3])])
    finish(study)
    study.close()
    assert verify(BOX, storage=url) is None


def test_names_and_places_that_are_taken(url: str) -> None:
    study = Study(BOX, budget=3, optimizer="random", storage=url)
    with pytest.raises(StudyLocked):
        Study.resume(BOX, storage=url)
    study.close()
    with pytest.raises(StudyExists, match="resume it, or choose another"):
        Study(BOX, budget=3, optimizer="random", storage=url)
    Study(BOX, budget=3, optimizer="random", storage=url, name="other").close()
    with pytest.raises(StorageError, match="holds no study 'third'; it holds: study, other"):
        Study.resume(BOX, storage=url, name="third")
    with pytest.raises(InputError, match="made in another search space"):
        Study.resume(LABELS, storage=url)
    with pytest.raises(InputError, match="made in another search space"):
        verify(SearchSpace.box(3), storage=url)
    Study.resume(BOX, storage=url).close()  # none of this held the lock


def test_a_bad_prior_stores_nothing() -> None:
    class Bad(Described):
        def log_prior(self, codes: np.ndarray) -> np.ndarray:
            return np.full(len(codes), -np.inf)

    study = Study(Bad(), budget=5, optimizer="random")
    with pytest.raises(InputError, match="log_prior must give one finite number for each of 5 codes"):
        study.ask(5)
    assert study.trials() == []


# -- ordered mode ------------------------------------------------------------------------------------------------------


def test_a_batch_waits_for_the_one_before_the_last(learner: str) -> None:
    study = Study(BOX, budget=13, batch=4, optimizer=learner)
    trials = study.ask(100)
    assert [t.number for t in trials] == list(range(8))
    study.tell([answer(t) for t in trials[1:8]])
    assert study.ask(100) == []
    assert not study.finished
    study.tell([answer(trials[0])])
    assert [t.number for t in study.ask(2)] == [8, 9]
    assert [t.number for t in study.ask(100)] == [10, 11, 12]  # batch 3 needs batch 1 alone, and the budget ends it


def test_order_and_number_of_answers_do_not_matter(learner: str) -> None:
    contents = []
    for number, size in enumerate((1, 2, 3, 5, 40)):
        rng = np.random.default_rng(number)
        study = Study(Described(LABELS), budget=60, batch=5, optimizer=learner, seed=2)
        study.enqueue([[1, 2, 3, 4]] * 7)
        finish(study, size, order=lambda out, rng=rng: [out[i] for i in rng.permutation(len(out))])
        contents.append((content(study), study.recommend().tobytes(), study._current()[1].state_dict()["method.heard"]))
    assert all(one == contents[0] for one in contents)


def test_unordered_tells_at_once(learner: str) -> None:
    def second(value: float) -> bytes:
        study = Study(BOX, budget=10, optimizer=learner, ordered=False)
        trials = study.ask(3)
        assert [t.number for t in trials] == [0, 1, 2]
        study.tell([answer(trials[1], value)])
        return study.ask(1)[0].code.tobytes()

    assert second(1.0) != second(2.0)


def test_threads_share_a_study(learner: str) -> None:
    study = Study(BOX, budget=120, batch=10, optimizer=learner)
    errors: list[BaseException] = []

    def work() -> None:
        try:
            while not study.finished:
                study.tell([answer(trial) for trial in study.ask(3)])
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert study.counts()["done"] + study.counts()["lost"] == 120
    alone = Study(BOX, budget=120, batch=10, optimizer=learner)
    finish(alone)
    assert content(study) == content(alone)


def test_what_the_optimizer_has_not_heard_yet_is_recommended_all_the_same() -> None:
    study = Study(BOX, budget=20, batch=5, optimizer="random")
    trials = study.ask(5)
    with pytest.raises(StudyError, match="nothing was measured yet"):
        study.recommend()
    study.tell([answer(trials[0], 1.0), answer(trials[1], 2.0)])
    np.testing.assert_array_equal(study.recommend(), trials[1].code)
