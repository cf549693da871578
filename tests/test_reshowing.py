"""Leaders and candidates for the final choice are ordinary trials; what they bring is pooled, told and replayed."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
import pytest

from mango.errors import OptionError, ReplayError, StudyFinished
from mango.optimizers.base import Learned
from mango.storage import Store
from mango.study import Study, verify
from mango.trial import Result, Trial, TrialState
from tests.learner import Learner
from tests.studies import BOX, NAN, Described, content


def _noisy(trial: Trial, noise: float = 0.5) -> Result:
    value = -float(np.square(trial.code - 0.5).sum())
    values = tuple(value + noise * np.random.default_rng(seed).normal() for seed in trial.seeds)
    return Result(trial.number, trial.attempt, values)


def _run(study: Study, noise: float = 0.5, size: int = 5) -> Study:
    while trials := study.ask(size):
        study.tell([_noisy(trial, noise) for trial in trials])
    assert study.finished
    return study


def test_leaders_have_their_share_after_two_batches_and_the_final_choice_its_presentations(learner: str) -> None:
    study = _run(Study(BOX, budget=120, batch=10, optimizer=learner, leaders=0.25, confirm=24))
    origins = [record.origin for record in study.trials()]
    assert "leader" not in origins[:20]
    assert origins[20:96].count("leader") == math.floor(0.25 * 76)
    assert origins[96:] == ["confirm"] * 24
    assert study._current()[1]._optimizer.budget == 96 - 19
    assert study._current()[1].state_dict()["next"] == 96 - 19
    fresh = Counter(record.code.tobytes() for record in study.trials()[96:])
    assert sorted(fresh.values()) == [2, 2, 6, 14]  # of four, of two, the winner alone: rounds of 8, 8 and 8
    chosen = study.confirmed()
    assert chosen is not None
    last = [record.value for record in study.trials()[-8:]]
    assert chosen.presentations == 8
    assert chosen.value == pytest.approx(np.mean(last))
    assert chosen.error == pytest.approx(np.std(last, ddof=1) / math.sqrt(8))
    assert study.recommend().tobytes() == chosen.code.tobytes() == study.trials()[chosen.number].code.tobytes()
    assert all(record.code.tobytes() != chosen.code.tobytes() for record in study.trials()[: chosen.number])
    with pytest.raises(StudyFinished, match="room for 0 more"):
        study.enqueue([[0.0, 0.0, 0.0]])


def test_leaders_have_their_share_of_a_search_without_a_budget(learner: str) -> None:
    endless, bounded = (Study(BOX, budget=b, batch=10, optimizer=learner, leaders=0.25) for b in (None, 120))
    _run(bounded)
    for _ in range(24):
        endless.tell([_noisy(trial) for trial in endless.ask(5)])
    assert content(endless) == content(bounded)
    assert [record.origin for record in endless.trials()].count("leader") == 25
    assert endless.state == "running"


def test_before_the_final_choice_the_optimizer_recommends(learner: str) -> None:
    study = Study(BOX, budget=24, batch=4, optimizer=learner, confirm=8)
    for _ in range(3):
        study.tell([_noisy(trial) for trial in study.ask(4)])
    *some, last = study.ask(4)
    study.tell([_noisy(trial) for trial in some])
    assert study.ask(9) == [], "a round waits for all trials before it"
    study.tell([_noisy(last)])
    assert [trial.origin for trial in study.ask(9)] == ["confirm"] * 4
    assert study.confirmed() is None
    study.close()


@pytest.mark.parametrize("ordered", [True, False])
def test_once_the_final_choice_has_begun_one_of_its_candidates_is_recommended(learner: str, ordered: bool) -> None:
    study = Study(BOX, budget=104, batch=10, optimizer=learner, confirm=24, ordered=ordered)
    rounds: list[list[Trial]] = []
    while trials := study.ask(40):
        if trials[0].origin == "confirm":
            rounds.append(trials)
            assert study.confirmed() is None
            assert study.recommend().tobytes() in {trial.code.tobytes() for trial in trials}
        lost = len(rounds) == 3
        study.tell([Result(t.number, t.attempt, (NAN,)) if lost else _noisy(t, 2.0) for t in trials])
    assert len(rounds) == 3
    assert study.confirmed() is None, "the last round was lost"
    assert study.recommend().tobytes() == rounds[-1][0].code.tobytes()


def test_a_study_that_is_finished_in_its_final_choice_recommends_a_candidate(learner: str) -> None:
    study = Study(BOX, budget=104, batch=10, optimizer=learner, confirm=24)
    while (trials := study.ask(40))[0].origin != "confirm":
        study.tell([_noisy(trial, 2.0) for trial in trials])
    study.finish()
    assert study.recommend().tobytes() == trials[0].code.tobytes()


class Hearing(Learner):
    """Keeps every word."""

    heard_rows: list[tuple[bool, bytes, float, float]]

    def _learn(self, batch: Learned) -> None:
        self._hear(batch, True)
        super()._learn(batch)

    def _observe(self, batch: Learned) -> None:
        self._hear(batch, False)
        super()._observe(batch)

    def _hear(self, batch: Learned, own: bool) -> None:
        rows = zip(batch.points, batch.values.tolist(), batch.errors.tolist(), strict=True)
        self.__dict__.setdefault("heard_rows", []).extend((own, p.tobytes(), v, e) for p, v, e in rows)


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("repeats", [1, 3])
def test_the_optimizer_hears_pooled_means_and_their_errors(
    monkeypatch: pytest.MonkeyPatch, ordered: bool, repeats: int
) -> None:
    monkeypatch.setattr("mango.configuration.make_optimizer", lambda _, space, **more: Hearing(space, **more))
    weight = 0.1
    study = Study(
        Described(), budget=60 * repeats, batch=6, optimizer="learner", leaders=0.3, repeats=repeats, ordered=ordered,
        weight=weight,
    )  # fmt: skip
    _run(study, size=6)
    records = study.trials()
    by_code: dict[bytes, list[Any]] = {}
    for record in records:
        by_code.setdefault(record.code.tobytes(), []).append(record)
    heard = study._current()[1]._optimizer.heard_rows  # type: ignore[attr-defined]
    last = {code: (value, error) for own, code, value, error in heard if not own}
    shown_again = {record.code.tobytes() for record in records if record.origin == "leader"}
    assert len(shown_again) >= 3
    assert last.keys() == shown_again
    for code, (value, error) in last.items():
        values = [v for record in by_code[code] for v in record.values]
        penalty = study.objective(by_code[code][:1])[0] - by_code[code][0].value
        assert value == pytest.approx(np.mean(values) + penalty)
        assert 0.1 < error * math.sqrt(len(values)) < 1.5  # the noise is 0.5
    assert len([row for row in heard if row[0]]) == len(records) - sum(r.origin == "leader" for r in records)


def test_a_study_without_noise_hears_no_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mango.configuration.make_optimizer", lambda _, space, **more: Hearing(space, **more))
    study = _run(Study(BOX, budget=30, batch=5, optimizer="learner"), noise=0.0)
    assert all(math.isnan(error) for *_, error in study._current()[1]._optimizer.heard_rows)  # type: ignore[attr-defined]
    assert study.confirmed() is None
    best = study.best()
    assert best is not None
    assert study.recommend().tobytes() == best.code.tobytes()


def test_without_noise_the_final_choice_is_the_best(learner: str) -> None:
    study = _run(Study(BOX, budget=70, batch=5, optimizer=learner, leaders=0.2, confirm=20), noise=0.0)
    best, chosen = study.best(), study.confirmed()
    assert best is not None
    assert chosen is not None
    assert (chosen.number, chosen.value, chosen.error) == (best.number, best.value, 0.0)


def test_lost_and_failed_showings_do_not_count(learner: str) -> None:
    study = Study(BOX, budget=40, batch=5, optimizer=learner, leaders=0.3, confirm=8)
    while trials := study.ask(5):
        results = [_noisy(trial) for trial in trials]
        for row, trial in enumerate(trials):
            if trial.number % 4 == 1:
                results[row] = Result(trial.number, trial.attempt, (), status=TrialState.FAILED, reason="it blinked")
            elif trial.number % 4 == 2:
                results[row] = Result(trial.number, trial.attempt, (NAN,))
        study.tell(results)
    chosen = study.confirmed()
    assert chosen is not None
    assert chosen.presentations == 2
    study = Study(BOX, budget=20, batch=5, optimizer=learner, confirm=8)
    while trials := study.ask(5):
        study.tell([Result(trial.number, trial.attempt, (NAN,)) for trial in trials])
    assert study.finished
    assert study.counts()["asked"] == 12  # nothing was measured, so there is nothing to choose among
    assert study.confirmed() is None


def test_a_design_that_ends_early_leaves_the_final_choice_its_part(learner: str) -> None:
    study = _run(Study(BOX, budget=60, batch=5, optimizer=learner, confirm=8, options={"design": 12}))
    assert [record.origin for record in study.trials()].count("confirm") == 8
    assert study.counts()["asked"] == 20


def test_what_is_shown_again_is_replayed_and_compared(learner: str, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    study = _run(Study(BOX, budget=80, batch=5, optimizer=learner, leaders=0.3, confirm=24, storage=url))
    expected, chosen = content(study), repr(study.confirmed())
    study.close()
    assert verify(BOX, storage=url) is None
    store = Store.open(url, "study", own=False)
    assert any(event.payload.get("again") for event in store.events())
    store.close()
    with monkeypatch.context() as patched:
        patched.setattr("mango.pool.WIDTH", 25.0)
        difference = verify(BOX, storage=url)
        assert difference is not None
        assert "were shown again; now it would be" in difference
    with Study.resume(BOX, storage=url) as resumed:
        assert content(resumed) == expected
        assert repr(resumed.confirmed()) == chosen


def test_a_study_that_does_not_repeat_its_choice_can_go_on(
    learner: str, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mango.study.SNAPSHOT_BATCHES", 99)
    study = Study(BOX, budget=80, batch=5, optimizer=learner, leaders=0.3, confirm=24, storage=url)
    for _ in range(10):
        study.tell([_noisy(trial) for trial in study.ask(5)])
    expected = [row for row in content(study) if row[3] is not TrialState.OPEN]
    study.close()
    monkeypatch.setattr("mango.pool.WIDTH", 25.0)
    with pytest.raises(ReplayError, match="were shown again"):
        Study.resume(BOX, storage=url)
    with Study.resume(BOX, storage=url, accept_snapshot=True) as resumed:
        assert [row for row in content(resumed) if row[3] is not TrialState.OPEN] == expected
        _run(resumed)
        assert resumed.confirmed() is not None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"leaders": 1.0}, "leaders must be a share"),
        ({"leaders": -0.1}, "leaders must be a share"),
        ({"leaders": True}, "leaders must be a share"),
        ({"confirm": -1}, "confirm must be a whole number >= 0"),
        ({"confirm": 2}, "confirm must be 0, or leave a trial of 3"),
        ({"confirm": 30}, "confirm must be 0, or leave a trial of 3"),
    ],
)
def test_shares_that_cannot_be_kept_are_refused(given: Any, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        Study(BOX, budget=30, repeats=3, **given)


@pytest.mark.parametrize(("budget", "batch"), [(80, 40), (50, 10)])
def test_leaders_that_would_never_come_are_refused(budget: int, batch: int) -> None:
    with pytest.raises(OptionError, match="shows no code again"):
        Study(BOX, budget=budget, batch=batch, leaders=0.3, confirm=30)
