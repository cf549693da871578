"""`run` answers a study to its end, however often it is interrupted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mango.errors import (
    StudyError,
)
from mango.evaluators import LocalEvaluator
from mango.generators import make_generator
from mango.running import run
from mango.study import Study, verify
from mango.targets import make_target
from mango.trial import Result, TrialRecord
from tests.studies import BOX, content


def _made(dim: int = 4) -> tuple[Any, Any]:
    return make_generator(f"identity:box:{dim}"), make_target("sphere")


def test_run_answers_a_study_to_its_end(learner: str) -> None:
    generator, target = _made()
    study = Study(generator, budget=47, batch=8, optimizer=learner)
    seen: list[int] = []
    run(study, LocalEvaluator(generator, target), callbacks=[lambda _, r: seen.extend(x.number for x in r)])
    assert study.finished
    assert sorted(seen) == list(range(47))
    assert all(r.value == -np.square(r.code).sum() for r in study.trials())


def test_a_callback_ends_a_study_without_a_budget() -> None:
    generator, target = _made()
    study = Study(generator, budget=None, batch=8, optimizer="random")

    def enough(study: Study, _: list[Result]) -> None:
        if study.asked >= 40:
            study.finish()

    run(study, LocalEvaluator(generator, target), callbacks=[enough])
    assert (study.state, study.asked) == ("finished", 40)


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_a_run_that_is_interrupted_goes_on_here_or_elsewhere(
    error: type[BaseException], learner: str, url: str
) -> None:
    generator, target = _made()
    whole = Study(generator, budget=60, batch=10, optimizer=learner)
    run(whole, LocalEvaluator(generator, target, chunk=5))
    study = Study(generator, budget=60, batch=10, optimizer=learner, storage=url)
    calls: list[int] = []

    def interrupt(_: Study, results: list[Result]) -> None:
        calls.append(len(results))
        if len(calls) in (2, 5):
            raise error

    for _ in range(2):
        with pytest.raises(error), LocalEvaluator(generator, target, chunk=5) as evaluator:
            run(study, evaluator, callbacks=[interrupt])
    told = sum(calls)
    assert study.counts()["done"] == told == 25
    study.close()
    study = Study.resume(generator, storage=url)
    run(study, LocalEvaluator(generator, target, chunk=5))
    assert content(study) == content(whole)
    best, expected = study.best(), whole.best()
    assert best is not None
    assert expected is not None
    assert (best.number, best.value) == (expected.number, expected.value)
    study.close()
    assert verify(generator, storage=url) is None


def test_a_run_that_can_go_nowhere_says_so(learner: str) -> None:
    class Idle:
        seconds_target = 0.0

        def free(self) -> int:
            return 0

        def collect(self, timeout: float | None = None) -> list[Result]:  # noqa: ARG002
            return []

    study = Study(BOX, budget=8, optimizer=learner)
    with pytest.raises(StudyError, match="the study waits for answers"):
        run(study, Idle())  # type: ignore[arg-type]


def test_records_compare_by_identity() -> None:
    record = TrialRecord(0, np.zeros(2), "a", 1, 0.0)
    assert record != TrialRecord(0, np.zeros(2), "a", 1, 0.0)
