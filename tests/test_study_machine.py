"""Any order of asks, answers, interruptions and resumes keeps a study's promises (a hypothesis state machine)."""

from __future__ import annotations

import math
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import mango.configuration
import mango.study
from mango.errors import StorageError, StudyFinished, TellError
from mango.optimizers import Optimizer
from mango.study import Study, verify
from mango.trial import Result, Trial, TrialState
from tests.learner import Learner
from tests.studies import BOX, content, finish

BUDGET, BATCH = 17, 4
VALUES = st.one_of(st.just(math.nan), st.integers(-2, 2).map(float), st.floats(-1e6, 1e6))


def _make(_: str, space: Any, **arguments: Any) -> Optimizer:
    return Learner(space, **arguments)


class StudyMachine(RuleBasedStateMachine):
    """Beside the study stands the simplest thing that could be right: a dict of first answers."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.url = f"sqlite:///{self.folder}/study.db"
        self.patched = pytest.MonkeyPatch()
        self.patched.setattr(mango.configuration, "make_optimizer", _make)
        self.patched.setattr(mango.study, "SNAPSHOT_BATCHES", 1)
        self.patched.setattr(mango.study, "SNAPSHOT_COSTS", 0.0)
        self.handed: dict[tuple[int, int], Trial] = {}  # by number and attempt
        self.answers: dict[tuple[int, int], Result] = {}
        self.first: dict[int, Result] = {}
        self.enqueued = 0

    @initialize(
        ordered=st.booleans(),
        repeats=st.integers(1, 2),
        leaders=st.sampled_from([0.0, 0.4]),
        final=st.sampled_from([0, 1, 8]),
    )
    def create(self, ordered: bool, repeats: int, leaders: float, final: int) -> None:
        self.repeats = repeats
        self.ordered = ordered
        self.leaders = leaders
        self.final = final  # trials of the final choice
        self.study = Study(
            BOX,
            budget=(BUDGET + final) * repeats,
            batch=BATCH,
            repeats=repeats,
            optimizer="learner",
            ordered=ordered,
            leaders=leaders,
            confirm=final * repeats,
            storage=self.url,
        )

    @rule(n=st.integers(1, 7))
    def ask(self, n: int) -> None:
        trials = self.study.ask(n)
        assert len(trials) <= n
        for trial in trials:
            slot = trial.number, trial.attempt
            assert slot not in self.handed
            assert trial.attempt == 1 or (trial.number, trial.attempt - 1) in self.handed
            assert trial.number not in self.first
            self.handed[slot] = trial

    @precondition(lambda self: self.handed)
    @rule(data=st.data(), failed=st.booleans())
    def tell(self, data: st.DataObject, failed: bool) -> None:
        """New answers, answers told before, and late ones, in any order."""
        slots = data.draw(st.lists(st.sampled_from(sorted(self.handed)), min_size=1, max_size=6))
        results = []
        for number, attempt in slots:
            result = self.answers.get((number, attempt))
            if result is None and failed and number % 3 == 0:
                result = Result(number, attempt, (), status=TrialState.FAILED, reason="lost its worker")
            if result is None:
                result = Result(number, attempt, tuple(data.draw(VALUES) for _ in range(self.repeats)))
            self.answers[number, attempt] = result
            self.first.setdefault(number, result)
            results.append(result)
        self.study.tell(results)

    @precondition(lambda self: self.answers)
    @rule(data=st.data(), value=st.sampled_from([12345.0, math.nan]))
    def tell_otherwise(self, data: st.DataObject, value: float) -> None:
        """A changed answer is refused, and the good one that comes with it too."""
        number, attempt = data.draw(st.sampled_from(sorted(self.answers)))
        before = self.answers[number, attempt]
        changed = Result(number, attempt, (value,) * self.repeats)
        if repr((changed.values, changed.status)) != repr((before.values, before.status)):
            good = [Result(*slot, (1.0,) * self.repeats) for slot in sorted(self.handed) if slot not in self.answers]
            with pytest.raises(TellError):
                self.study.tell([*good[:1], changed])

    @rule(rows=st.integers(1, 3))
    def enqueue(self, rows: int) -> None:
        codes = np.full((rows, 3), 0.25) + np.arange(rows)[:, None] / 8
        asked = [record.origin for record in self.study.trials()]
        searched = len(asked) - asked.count("confirm")
        room = BUDGET - searched - (self.enqueued - asked.count("enqueued"))
        if rows > room:
            with pytest.raises(StudyFinished, match=f"room for {room} more"):
                self.study.enqueue(codes)
        else:
            self.study.enqueue(codes)
            self.enqueued += rows

    @rule()
    def reopen(self) -> None:
        self.study.reopen()

    @rule()
    def crash_and_resume(self) -> None:
        before = content(self.study)
        self.study.close()
        self.study = Study.resume(BOX, storage=self.url)
        assert content(self.study) == before

    @rule(n=st.integers(1, 4), stored=st.booleans())
    def fail_to_commit(self, n: int, stored: bool) -> None:
        """An ask whose commit fails, before or after the rows were stored."""
        append = self.study._store.append

        def fail(*args: Any, **kwargs: Any) -> None:
            if stored:
                append(*args, **kwargs)
            raise StorageError("the disk is full")

        before, events = content(self.study), len(list(self.study._store.events()))
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(self.study._store, "append", fail)
            try:
                assert self.study.ask(n) == []
            except StorageError:
                assert len(list(self.study._store.events())) == events + stored
        if not stored:
            assert content(self.study) == before
        else:  # attempts went out that nobody received
            for record in self.study.trials():
                for attempt in range(1, record.attempt + 1):
                    self.handed.setdefault((record.number, attempt), Trial(record.number, attempt, record.code))

    @invariant()
    def agrees(self) -> None:
        records = self.study.trials()
        assert [r.number for r in records] == list(range(len(records)))
        assert len(records) <= BUDGET + self.final
        for record in records:
            result = self.first.get(record.number)
            if result is None:
                assert record.state is TrialState.OPEN
            else:
                assert (record.state, repr(record.values)) == (result.status, repr(result.values))
        measured = [r.value for r in records if r.state is TrialState.DONE]
        best = self.study.best()
        assert (best.value if best else None) == (max(measured) if measured else None)
        assert self.study.ties() == (measured.count(max(measured)) if measured else 0)
        counts = self.study.counts()
        assert counts["open"] == len(records) - len(self.first)
        assert counts["presentations"] == sum(len(result.values) for result in self.first.values())

    @invariant()
    def what_is_shown_again_was_shown_before(self) -> None:
        records = self.study.trials()
        for record in records:
            if record.origin in ("leader", "confirm"):
                again = [r for r in records[: record.number] if r.code.tobytes() == record.code.tobytes()]
                assert any(r.state is TrialState.DONE for r in again)
        leaders = sum(record.origin == "leader" for record in records)
        assert leaders <= self.leaders * max(0, len(records) - 2 * BATCH)
        last = [record.number for record in records if record.origin != "confirm"]
        assert last == list(range(len(last))), "the final choice comes last"

    def teardown(self) -> None:
        self.study.reopen()
        finish(self.study)
        records = self.study.trials()
        searched = [record for record in records if record.origin != "confirm"]
        measured = any(record.state is TrialState.DONE for record in searched)
        assert len(searched) == BUDGET
        assert len(records) == BUDGET + (self.final if measured else 0)
        chosen = self.study.confirmed()
        if chosen is not None:
            candidates = {record.code.tobytes() for record in records[BUDGET:]}  # one or two
            last = records[-(self.final // len(candidates)) :]  # the winner alone
            assert {record.code.tobytes() for record in last} == {chosen.code.tobytes()}
            values = [value for record in last for value in record.values if not math.isnan(value)]
            assert chosen.presentations == len(values)
            assert math.isclose(chosen.value, math.fsum(values) / len(values), rel_tol=1e-12)
            assert self.study.recommend().tobytes() == chosen.code.tobytes()
        self.study.close()
        assert verify(BOX, storage=self.url) is None
        self.patched.undo()
        shutil.rmtree(self.folder)


TestStudyMachine = StudyMachine.TestCase
TestStudyMachine.settings = settings(max_examples=20, stateful_step_count=20, suppress_health_check=list(HealthCheck))
