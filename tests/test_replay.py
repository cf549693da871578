"""Nothing told is lost: crashes, resumes, replays that differ, full disks."""

from __future__ import annotations

import math
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from mango.errors import (
    ReplayError,
    StorageError,
    TellError,
)
from mango.storage import Event, Store
from mango.study import Study, verify
from mango.trial import Result, Trial, TrialState
from tests.learner import Learner
from tests.studies import BOX, LABELS, Described, answer, content, finish

# -- resuming ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ordered", [True, False])
def test_a_crash_at_any_event_changes_nothing(
    learner: str, ordered: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mango.study.SNAPSHOT_BATCHES", 2)
    monkeypatch.setattr("mango.study.SNAPSHOT_COSTS", 0.0)

    def make(folder: str) -> Study:
        (tmp_path / folder).mkdir()
        where = f"sqlite:///{tmp_path}/{folder}/study.db"
        return Study(Described(), budget=32, batch=4, optimizer=learner, ordered=ordered, weight=0.1, storage=where)

    study, copies = make("whole"), []
    study.enqueue([[0.5, 0.5, 0.5]])
    append = study._store.append

    def copied(*args: Any, **kwargs: Any) -> None:
        append(*args, **kwargs)
        copies.append(shutil.copytree(tmp_path / "whole", tmp_path / f"copy{len(copies)}"))

    monkeypatch.setattr(study._store, "append", copied)
    finish(study, 3)
    expected, recommended = content(study), study.recommend().tobytes()
    study.close()
    assert len(copies) > 15
    for copy in copies:
        where = f"sqlite:///{copy}/study.db"
        resumed = Study.resume(Described(), storage=where)
        told = [row for row in content(resumed) if row[3] is not TrialState.OPEN]
        assert all(row in expected for row in told)
        finish(resumed, 3)
        if ordered:
            assert content(resumed) == expected
            assert resumed.recommend().tobytes() == recommended
        resumed.close()
        assert verify(None, storage=where) is None


def test_open_trials_are_handed_out_again_as_the_next_attempt(url: str) -> None:
    study = Study(BOX, budget=8, batch=4, optimizer="random", storage=url)
    first = study.ask(6)
    study.tell([answer(first[2], 1.0)])
    study.close()
    study = Study.resume(BOX, storage=url)
    assert study.counts()["open"] == 7
    study.tell([answer(first[1], 5.0)])  # the first attempt's answer comes after all
    again = study.ask(3)
    assert [(t.number, t.attempt) for t in again] == [(0, 2), (3, 2), (4, 2)]
    np.testing.assert_array_equal(again[0].code, first[0].code)
    assert again[0].seeds == first[0].seeds
    study.tell([answer(again[0], 2.0)])
    events = len(list(study._store.events()))
    study.tell([answer(first[0], 9.0)])  # late: kept, and nothing changes
    study.tell([answer(first[0], 9.0)])
    assert len(list(study._store.events())) == events + 1
    with pytest.raises(TellError, match=r"was told 9\.0 by attempt 1"):
        study.tell([answer(first[0], 8.0)])
    assert study.trials()[0].value == 2.0
    assert study.trials()[0].attempt == 2
    assert [(t.number, t.attempt) for t in study.ask(9)] == [(5, 2), (6, 1), (7, 1)]
    assert study.counts()["presentations"] == 3
    study.close()
    with sqlite3.connect(url[10:]) as connection:
        rows = connection.execute("SELECT attempt, value, late FROM presentations WHERE number = 0").fetchall()
    connection.close()
    assert sorted(rows) == [(1, 9.0, 1), (2, 2.0, 0)]
    assert verify(BOX, storage=url) is None


def test_looking_at_a_resumed_study_writes_nothing(url: str) -> None:
    study = Study(BOX, budget=8, batch=4, optimizer="random", storage=url)
    study.ask(3)
    study.close()
    study = Study.resume(BOX, storage=url)
    assert len(study.trials()) == 4
    assert len(list(study._store.events())) == 1
    study.close()


def test_snapshots_shorten_the_replay_and_a_damaged_one_is_passed_over(
    learner: str, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mango.study.SNAPSHOT_BATCHES", 3)
    monkeypatch.setattr("mango.study.SNAPSHOT_COSTS", 0.0)
    study = Study(BOX, budget=60, batch=4, optimizer=learner, storage=url)
    while len(study.trials()) < 52:
        study.tell([answer(t) for t in study.ask(4)])
    kept, seconds = content(study), study.optimizer_seconds
    study.close()

    def asked_again() -> int:
        calls: list[int] = []
        with monkeypatch.context() as patched:
            ask = Learner.ask
            patched.setattr(Learner, "ask", lambda self, n: calls.append(n) or ask(self, n))
            resumed = Study.resume(BOX, storage=url)
        assert content(resumed) == kept
        assert resumed.optimizer_seconds == pytest.approx(seconds)
        resumed.close()
        return len(calls)

    whole = asked_again()
    assert whole <= 3
    for _ in range(3):
        with sqlite3.connect(url[10:]) as connection:
            newest = "SELECT max(sequence) FROM snapshots WHERE digest != ''"
            connection.execute(f"UPDATE snapshots SET digest = '' WHERE sequence = ({newest})")
        connection.close()
        again = asked_again()
        assert again > whole
        whole = again
    assert whole == 13  # every batch: no snapshot is left
    assert verify(BOX, storage=url) is None


def test_a_state_that_this_version_cannot_load_is_passed_over(
    learner: str, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = Study(BOX, budget=8, batch=4, optimizer=learner, storage=url)
    finish(study)
    kept = content(study)
    study.close()
    monkeypatch.setattr(Learner, "_restore", lambda _, state: state["of another version"])
    study = Study.resume(BOX, storage=url)
    assert content(study) == kept
    study.close()


@pytest.mark.parametrize("ordered", [True, False])
def test_a_replay_that_differs_is_named_and_may_be_accepted(
    learner: str, ordered: bool, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mango.study.SNAPSHOT_BATCHES", 3)
    monkeypatch.setattr("mango.study.SNAPSHOT_COSTS", 0.0)
    study = Study(BOX, budget=60, batch=4, optimizer=learner, ordered=ordered, storage=url)
    while len(study.trials()) < 40:
        study.tell([answer(t) for t in study.ask(4)])
    out = study.ask(3)
    kept, snapshot = content(study), study._store.snapshots()[0][0]
    after = next(e.payload["handed"][0][0] for e in study._store.events(snapshot + 1) if e.kind == "ask")
    study.close()

    learn = Learner._learn

    def elsewhere(self: Learner, batch: Any) -> None:
        """As another processor might: the last bit of one coordinate."""
        learn(self, batch)
        self.centre[1] = np.nextafter(self.centre[1], 9)

    monkeypatch.setattr(Learner, "_learn", elsewhere)
    with pytest.raises(ReplayError, match=r"trial \d+, coordinate 1: .* is recorded; the optimizer now asks") as caught:
        Study.resume(BOX, storage=url)
    assert "accept_snapshot=True" in str(caught.value)
    assert "same versions" in str(caught.value)
    number = int(str(caught.value).split("trial ")[1].split(",")[0])
    assert number >= after
    assert "coordinate 1" in str(verify(None, storage=url))

    study = Study.resume(BOX, storage=url, accept_snapshot=True)
    assert content(study) == kept
    study.tell([answer(t) for t in out])
    while len(study.trials()) < 52:
        study.tell([answer(t) for t in study.ask(4)])
    assert len({row[1] for row in content(study)}) == len(study.trials())  # none asked twice
    kept = content(study)
    study.close()
    study = Study.resume(BOX, storage=url)  # now it repeats, from where it went on
    assert content(study) == kept
    finish(study)
    assert study.counts()["open"] == 0
    study.close()
    with sqlite3.connect(url[10:]) as connection:
        connection.execute("DELETE FROM snapshots")  # the log alone suffices
    connection.close()
    study = Study.resume(BOX, storage=url)
    assert study.finished
    study.close()


def test_verify_names_what_differs(learner: str, url: str) -> None:
    study = Study(LABELS, budget=12, batch=4, optimizer=learner, storage=url)
    finish(study)
    study.close()
    assert verify(LABELS, storage=url) is None

    def differs(statement: str) -> str:
        with sqlite3.connect(url[10:]) as connection:
            connection.execute(statement)
        connection.close()
        return str(verify(LABELS, storage=url))

    assert "trial 3: the table of trials has value 123.0" in differs("UPDATE trials SET value = 123 WHERE number = 3")
    assert "has 11 rows; the log asked 12 trials" in differs("DELETE FROM trials WHERE number = 11")
    store = Store.open(url, "study")
    sequence, state = store.snapshots()[0]
    store.save_snapshot(sequence, state | {"method.heard": 0.125})
    store.close()
    assert f"after event {sequence} differs from its snapshot in 'method.heard'" in str(verify(None, storage=url))


def test_verify_reads_beside_an_owner_who_goes_on(learner: str, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    study = Study(LABELS, budget=40, batch=4, optimizer=learner, storage=url)
    study.tell([answer(trial) for trial in study.ask(4)])
    events = Store.events

    def interrupted(store: Store, first: int = 0) -> Iterator[Event]:
        for event in events(store, first):
            study.tell([answer(trial) for trial in study.ask(2)])
            yield event

    with monkeypatch.context() as patched:
        patched.setattr(Store, "events", interrupted)
        assert verify(LABELS, storage=url) is None
    assert study.asked > 4
    study.close()


def test_snapshots_take_a_share_of_the_time_only(learner: str, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mango.study.SNAPSHOT_BATCHES", 1)
    monkeypatch.setattr("mango.study.SNAPSHOT_COSTS", 1e9)
    study = Study(LABELS, budget=40, batch=4, optimizer=learner, storage=url)
    for _ in range(5):
        study.tell([answer(trial) for trial in study.ask(4)])
    assert [sequence for sequence, _ in study.store.snapshots()] == [1]
    finish(study)
    assert [sequence for sequence, _ in study.store.snapshots()] == [study.sequence, 1]
    study.close()


def test_there_is_a_snapshot_after_some_seconds_in_the_optimizer_whatever_it_takes(
    learner: str, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mango.study.SNAPSHOT_BATCHES", 99)
    monkeypatch.setattr("mango.study.SNAPSHOT_COSTS", 1e9)
    monkeypatch.setattr("mango.study.SNAPSHOT_LATEST", 0.0)
    study = Study(LABELS, budget=40, batch=4, optimizer=learner, storage=url)
    for _ in range(2):
        study.tell([answer(trial) for trial in study.ask(4)])
    assert [sequence for sequence, _ in study.store.snapshots()] == [3, 1]
    study.close()


# -- when storing fails ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ordered", [True, False])
def test_a_full_disk_changes_nothing_and_the_study_goes_on(learner: str, ordered: bool, url: str) -> None:
    def study_at(where: str) -> Study:
        return Study(BOX, budget=400, batch=8, optimizer=learner, ordered=ordered, storage=where)

    study, free = study_at(url), study_at("sqlite://")
    refused = 0

    def limit(pages: int) -> None:
        with study._store.database.engine.connect() as connection:
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

    while not free.finished:
        with study._store.database.engine.connect() as connection:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        limit(pages)  # not one page more
        expected = free.ask(8)
        before, counts = content(study), study.counts()
        try:
            trials = study.ask(8)
        except StorageError as error:
            assert "full" in str(error)  # noqa: PT017
            assert (content(study), study.counts()) == (before, counts)
            refused += 1
            limit(10**6)
            trials = study.ask(8)
        assert [(t.number, t.attempt, t.code.tobytes()) for t in trials] == [
            (t.number, t.attempt, t.code.tobytes()) for t in expected
        ]
        limit(pages)
        answers = [answer(t) for t in trials]
        before = content(study)
        try:
            study.tell(answers)
        except StorageError:
            assert content(study) == before
            refused += 1
            limit(10**6)
            study.tell(answers)
        free.tell(answers)
    assert refused > 10
    assert content(study) == content(free)
    study.close()
    assert verify(BOX, storage=url) is None


def test_a_commit_that_fails_after_the_fact_loses_no_trial(
    learner: str, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rows are there, but the caller was told that they are not: its trials go out again, its answers are known."""
    study = Study(BOX, budget=16, batch=4, optimizer=learner, storage=url)
    append = study._store.append

    def stored_but(*args: Any, **kwargs: Any) -> None:
        append(*args, **kwargs)
        raise StorageError("the line went dead")

    first = study.ask(2)
    with monkeypatch.context() as patched:
        patched.setattr(study._store, "append", stored_but)
        with pytest.raises(StorageError):
            study.ask(2)
        with pytest.raises(StorageError):
            study.tell([answer(first[0])])
    study.tell([answer(first[0])])
    assert [(t.number, t.attempt) for t in study.ask(3)] == [(2, 2), (3, 2), (4, 1)]
    study.close()
    assert verify(BOX, storage=url) is None


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
@pytest.mark.parametrize("ordered", [True, False])
def test_an_interrupt_or_an_optimizer_that_raises_leaves_the_study_sound(
    learner: str, ordered: bool, error: type[BaseException], url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its answers are kept, and all goes on but what the optimizer is needed for; as after a replay."""
    study = Study(BOX, budget=24, batch=4, optimizer=learner, storage=url, ordered=ordered)
    twin = Study(BOX, budget=24, batch=4, optimizer=learner, ordered=ordered)
    learn = Learner._learn

    def half(self: Learner, batch: Any) -> None:
        learn(self, batch)
        raise error

    def tell(study: Study, trials: list[Trial]) -> None:
        try:
            study.tell([answer(t) for t in trials])
        except error:
            assert not ordered  # where it hears of them once it is asked

    blocks = [each.ask(6) for each in (study, twin)]
    with monkeypatch.context() as patched:
        patched.setattr(Learner, "_learn", half)
        for part in (slice(2), slice(2, 6)):
            tell(study, blocks[0][part])
        study.learn()  # nothing, for it has failed
        with monkeypatch.context() as unread:
            unread.setattr(study._store, "events", lambda: pytest.fail("it is in memory"))
            assert study.counts()["done"] == 5
            assert study.tell([answer(blocks[0][0])]) is None
        for _ in range(2):
            with pytest.raises(error):
                study.ask(4)
            assert study.counts()["done"] == 5
            assert study.best() is not None
        study.close()
        study = Study.resume(BOX, storage=url)
        assert study.counts()["done"] == 5
        with pytest.raises(error):
            study.ask(4)
        study.close()
    study = Study.resume(BOX, storage=url)
    for part in (slice(2), slice(2, 6)):
        tell(twin, blocks[1][part])
    finish(study)
    finish(twin)
    assert content(study) == content(twin)
    study.close()
    assert verify(BOX, storage=url) is None


@pytest.mark.parametrize("ordered", [True, False])
def test_it_does_not_matter_when_the_optimizer_learns(
    learner: str, ordered: bool, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mango.study.SNAPSHOT_BATCHES", 1)
    monkeypatch.setattr("mango.study.SNAPSHOT_COSTS", 0.0)
    at_once, *later = (
        Study(Described(), budget=48, batch=4, optimizer=learner, weight=0.1, ordered=ordered, storage=storage)
        for storage in ("sqlite://", url, "sqlite://")
    )
    finish(at_once, 3)
    for study in later:
        rng = np.random.default_rng(0)
        while not study.finished:
            for trial in study.ask(3):
                study.take_in([answer(trial)])
                if rng.random() < 0.3:
                    study.learn()
                if rng.random() < 0.2:
                    study.recommend()
        assert content(study) == content(at_once)
        assert study.recommend().tobytes() == at_once.recommend().tobytes()
    later[0].close()
    assert verify(Described(), storage=url) is None


def test_it_learns_beside_those_who_ask_and_tell(learner: str, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mango.study.SNAPSHOT_BATCHES", 1)
    monkeypatch.setattr("mango.study.SNAPSHOT_COSTS", 0.0)
    study = Study(BOX, budget=300, batch=4, optimizer=learner, storage=url, ordered=False)
    ended = threading.Event()

    def learn() -> None:
        while not ended.is_set():
            study.learn()

    def work() -> None:
        while trials := study.ask(3):
            study.take_in([answer(trial) for trial in trials])

    with ThreadPoolExecutor(4) as pool:
        learning = [pool.submit(learn) for _ in range(2)]
        working = [pool.submit(work) for _ in range(2)]
        for done in working:
            done.result()
        ended.set()
        for done in learning:
            done.result()
    assert study.finished
    study.close()
    assert verify(BOX, storage=url) is None


def test_a_slow_optimizer_keeps_no_answer_waiting(learner: str, monkeypatch: pytest.MonkeyPatch) -> None:
    study = Study(BOX, budget=40, batch=4, optimizer=learner, ordered=False)
    began, go_on = threading.Event(), threading.Event()
    learn = Learner._learn

    def slowly(self: Learner, batch: Any) -> None:
        began.set()
        assert go_on.wait(30)
        learn(self, batch)

    monkeypatch.setattr(Learner, "_learn", slowly)
    trials = study.ask(4)
    study.take_in([answer(trials[0])])
    with ThreadPoolExecutor(2) as pool:
        learning = pool.submit(study.learn)
        assert began.wait(30)
        study.take_in([answer(trial) for trial in trials[1:]])
        assert study.counts()["open"] == 0
        asking = pool.submit(study.ask, 4)
        assert not asking.done()
        go_on.set()
        learning.result(30)
        study.tell([answer(trial) for trial in asking.result(30)])
    assert study.asked == 8
    assert study.counts()["open"] == 0


@pytest.mark.parametrize("ordered", [True, False])
def test_what_no_optimizer_takes_is_refused_before_it_is_kept(learner: str, ordered: bool) -> None:
    class Unlikely(Described):
        """Finds one code less likely than all numbers that values may have."""

        def log_prior(self, codes: Any) -> Any:
            return np.where((np.asarray(codes) == 2.0).all(1), -1e52, super().log_prior(codes))

    study = Study(Unlikely(), budget=40, batch=4, optimizer=learner, weight=1e50, ordered=ordered)
    study.enqueue([[2.0, 2.0, 2.0]])
    trial = study.ask(1)[0]
    with pytest.raises(
        TellError, match=r"the sum of -1e\+100 and the weighted penalty is -[0-9.]+e\+10[0-9]; expected"
    ):
        study.tell([Result(0, 1, (-1e100,))])
    assert study.counts()["open"] == len(study.trials())
    study.tell([Result(trial.number, trial.attempt, (math.nan,))])
    assert study.ask(1)


def test_a_snapshot_that_finds_no_room_does_not_fail_the_event(
    learner: str, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = Study(BOX, budget=8, batch=4, optimizer=learner, storage=url)

    def full(*_: object) -> None:
        raise StorageError("full")

    monkeypatch.setattr(study._store, "save_snapshot", full)
    finish(study)
    assert study.finished
    study.close()


def test_a_database_error_in_the_commit_is_a_storage_error(learner: str, monkeypatch: pytest.MonkeyPatch) -> None:
    study = Study(BOX, budget=8, batch=4, optimizer=learner)
    twin = Study(BOX, budget=8, batch=4, optimizer=learner)

    def full(*_: object) -> None:
        raise OperationalError("COMMIT", {}, sqlite3.OperationalError("database or disk is full"))

    with monkeypatch.context() as patched:
        patched.setattr(sa.engine.default.DefaultDialect, "do_commit", full)
        with pytest.raises(StorageError, match="full"):
            study.ask(4)
    assert study.trials() == []
    finish(study)
    finish(twin)
    assert content(study) == content(twin)
