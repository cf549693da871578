"""The ledger takes events in order, and results as text give back every bit."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mango.answers import results_of, told
from mango.configuration import Configuration
from mango.errors import StorageError
from mango.ledger import Ledger
from mango.replay import Written
from mango.storage import Event
from mango.study import Study
from mango.trial import Result, TrialState
from tests.studies import BOX, finish

CONFIGURATION = Configuration(
    space=BOX, natural=None, budget=9, optimizer="random", seed=0, batch=3, repeats=1, chart=None, options={},
    weight=0.0, ordered=True,
)  # fmt: skip
VALUES = st.lists(st.one_of(st.floats(-1e100, 1e100), st.just(math.nan)), min_size=1, max_size=4)


@given(st.integers(0, 10**9), st.integers(1, 99), VALUES, st.booleans(), st.floats(0, 1e6), st.text(max_size=9))
def test_results_as_text_give_back_every_bit(
    number: int, attempt: int, values: list[float], keyed: bool, seconds: float, reason: str
) -> None:
    keys = tuple(-v for v in values) if keyed else None
    status = TrialState.LOST if all(map(math.isnan, values)) else TrialState.DONE
    result = Result(number, attempt, tuple(values), keys, status, seconds, reason)
    failed = Result(number, attempt, (), status=TrialState.FAILED, reason=reason)
    assert repr(results_of(json.loads(json.dumps(told([result, failed]))))) == repr([result, failed])


def test_events_come_in_order_and_are_known() -> None:
    ledger = Ledger(CONFIGURATION)
    late = Event(1, "ask", 0.0, {"n": 1, "reopen": []})
    with pytest.raises(StorageError, match="event 1 came after event -1"):
        ledger.apply(late, Written(late, CONFIGURATION))
    strange = Event(0, "merge", 0.0, {})
    with pytest.raises(StorageError, match="unknown kind 'merge'; update mango"):
        ledger.apply(strange, Written(strange, CONFIGURATION))


def test_the_log_alone_rebuilds_every_trial() -> None:
    """Without the optimizer: what is before a snapshot is only read."""
    study = Study(BOX, budget=9, optimizer="random", batch=3)
    study.enqueue(np.ones((2, 3)))
    finish(study)
    ledger = Ledger(study.configuration)
    for event in study._store.events():
        ledger.apply(event, Written(event, study.configuration))
    assert ledger.finished
    for one, other in zip(ledger.records, study.trials(), strict=True):
        assert one.code.tobytes() == other.code.tobytes()
        assert repr(one).split("code")[0] == repr(other).split("code")[0]
        assert (one.state, repr(one.value), one.asked_at, one.told_at) == (
            other.state, repr(other.value), other.asked_at, other.told_at,
        )  # fmt: skip
