"""Whatever is appended, prolonged, ended and asked again, a store says what a plain model in memory says."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from mango.errors import StorageError
from mango.storage import Answer, Database, Event, Extra, Lease, Reference, Response, Standing, Store
from tests.storage.examples import NAN, ask, code, create, record, tell

TIMES = st.floats(1, 1e9)
VALUES = st.one_of(st.just(NAN), st.sampled_from([-1.0, 0.0, 0.5, 0.5, 2.0]), st.floats(-1e300, 1e300)).map(
    lambda value: value + 0.0  # no minus zero, which SQLite does not keep in a column
)
KEYS = st.sampled_from(["a", "b", "ü"])
TOKENS = st.text("0123456789abcdef", min_size=1, max_size=64)
names = (f"study {n}" for n in itertools.count())


class Machine(RuleBasedStateMachine):
    """One study of a database that many share."""

    def __init__(self, database: Database) -> None:
        super().__init__()
        self.database = database
        self.name = next(names)
        self.kinds: list[str] = []
        self.values: dict[int, float] = {}  # of closed trials
        self.asked = 0
        self.leases: dict[tuple[int, int], tuple[str, float]] = {}
        self.answers: dict[tuple[str, str], bytes] = {}
        self.references: list[tuple[str, str]] = []
        self.responses: dict[int, list[float]] = {}
        self.standing = Standing()
        self.snapshots: list[int] = []

    @initialize()
    def begin(self) -> None:
        self.store = create(self.database, self.name)

    def teardown(self) -> None:
        self.store.close()

    # -- steps -----------------------------------------------------------------------------------------------------

    @rule(n=st.integers(1, 4), enqueued=st.integers(0, 4), leased=st.booleans(), until=TIMES, token=TOKENS)
    def ask(self, n: int, enqueued: int, leased: bool, until: float, token: str) -> None:
        numbers = range(self.asked, self.asked + n)
        leases = [Lease(number, 1, token, until) for number in numbers] if leased else []
        references = [Reference(len(self.references), "grey", until)]
        extra = Extra(leases=leases, references=references)
        ask(self.store, len(self.kinds), numbers, enqueued=min(enqueued, n), extra=extra)
        self.kinds.append("ask")
        self.asked += n
        self.leases |= {(lease.number, 1): (token, until) for lease in leases}
        self.references.append(("nan", "nan"))

    @precondition(lambda self: len(self.values) < self.asked)
    @rule(data=st.data(), key=KEYS, body=st.binary(max_size=20))
    def tell(self, data: st.DataObject, key: str, body: bytes) -> None:
        """With an idempotency key: one that was used before refuses all of it."""
        still_open = sorted(set(range(self.asked)) - self.values.keys())
        told = data.draw(st.dictionaries(st.sampled_from(still_open), VALUES, min_size=1))
        responses = [Response(number, 1, np.array([value])) for number, value in told.items()]
        answer = Answer("tell", key, "0" * 64, body, 1.0)
        extra = Extra(answers=[answer], ended=list(told), responses=responses)
        if ("tell", key) in self.answers:
            with pytest.raises(StorageError, match="another process wrote"):
                tell(self.store, len(self.kinds), told, extra=extra)
            return
        tell(self.store, len(self.kinds), told, extra=extra)
        self.kinds.append("tell")
        self.values |= told
        self.answers["tell", key] = body
        self.responses |= {number: [value] for number, value in told.items()}
        self.leases |= {slot: (token, NAN) for slot, (token, _) in self.leases.items() if slot[0] in told}

    @precondition(lambda self: self.asked)
    @rule(data=st.data(), attempt=st.integers(1, 3), until=TIMES, token=TOKENS, end=st.booleans())
    def lease(self, data: st.DataObject, attempt: int, until: float, token: str, end: bool) -> None:
        number = data.draw(st.integers(0, self.asked - 1))
        if end:  # what ran ends before the new one runs
            ended = {slot: (held, NAN) for slot, (held, _) in self.leases.items() if slot[0] == number}
            self.leases |= ended
        self.store.record(Extra(ended=[number] if end else [], leases=[Lease(number, attempt, token, until)]))
        self.leases[number, attempt] = token, until

    @precondition(lambda self: self.references)
    @rule(data=st.data(), at=TIMES, value=VALUES)
    def refer(self, data: st.DataObject, at: float, value: float) -> None:
        number = data.draw(st.integers(0, len(self.references) - 1))
        self.store.record(Extra(references=[Reference(number, "grey", 1.0, at, value)]))
        self.references[number] = repr(at), repr(value)

    @rule(state=st.sampled_from(["running", "paused", "finished"]), at=TIMES)
    def stand(self, state: str, at: float) -> None:
        self.standing = Standing(state, at, "me")
        self.store.record(Extra(standing=self.standing))

    @precondition(lambda self: self.asked)
    @rule(data=st.data())
    def fail(self, data: st.DataObject) -> None:
        """A step that breaks a rule of the tables at its end leaves nothing of its beginning."""
        number = data.draw(st.integers(0, self.asked - 1))
        extra = Extra(leases=[Lease(number, 1, "never", 1.0)], standing=Standing("paused", 0.5, "nobody"))
        with pytest.raises(StorageError, match="another process wrote"):
            self.store.append(Event(len(self.kinds), "ask", 1.0, {}), asked=[record(number)], extra=extra)

    @precondition(lambda self: self.kinds)
    @rule()
    def snapshot(self) -> None:
        sequence = len(self.kinds) - 1
        self.store.save_snapshot(sequence, {"at": sequence})
        self.snapshots = sorted({*self.snapshots, sequence})[-3:]

    @rule()
    def reopen(self) -> None:
        self.store.close()
        self.store = Store.open(self.database, self.name)

    # -- what must hold --------------------------------------------------------------------------------------------

    @invariant()
    def the_log_is_whole(self) -> None:
        assert [event.kind for event in self.store.events()] == self.kinds
        assert [sequence for sequence, _ in self.store.snapshots()] == self.snapshots[::-1]

    @invariant()
    def the_trials_are_those(self) -> None:
        rows = self.store.trial_rows()
        assert [row["number"] for row in rows] == list(range(self.asked))
        assert {row["number"]: _plain(row["value"]) for row in rows if row["state"] != "open"} == _plain(self.values)
        measured = {n: v for n, v in self.values.items() if not math.isnan(v)}
        counts = {"open": self.asked - len(self.values), "done": len(measured)}
        counts["lost"] = len(self.values) - len(measured)
        assert self.store.counts() == {state: count for state, count in counts.items() if count}
        best = sorted(measured, key=lambda n: (-measured[n], n))
        assert [row["number"] for row in self.store.best_rows(3)] == best[:3]
        curve: list[tuple[int, float]] = []
        for number, value in sorted(measured.items()):
            if not curve or value > curve[-1][1]:
                curve.append((number, value))
        assert self.store.improvements() == curve
        if self.asked:
            numbers = range(self.asked)[::-2]
            assert self.store.codes(numbers).tobytes() == np.array([code(n) for n in numbers]).tobytes()
        found = self.store.responses(range(self.asked))
        assert {r.number: _plain(r.response[0]) for r in found} == {n: _plain(r[0]) for n, r in self.responses.items()}

    @invariant()
    def what_a_service_keeps_is_there(self) -> None:
        running = [(n, a, token, until) for (n, a), (token, until) in self.leases.items() if not math.isnan(until)]
        found = [(lease.number, lease.attempt, lease.token, lease.until) for lease in self.store.running_leases()]
        assert sorted(found) == sorted(running)
        assert [lease[3] for lease in found] == sorted(lease[3] for lease in running)
        for key in ("a", "b", "ü"):
            answer = self.store.answer("tell", key)
            assert (answer and answer.answer) == self.answers.get(("tell", key))
            assert self.store.answer("ask", key) is None
        assert [(repr(r.told_at), repr(r.value)) for r in self.store.references()] == self.references
        assert self.store.standing() == self.standing


def _plain(value: Any) -> Any:
    """NaN as None, so that it is equal to itself."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    return None if value is None or math.isnan(value) else float(value)


def test_a_store_does_what_a_plain_model_does(storage: str) -> None:
    database = Database(storage)
    run_state_machine_as_test(
        lambda: Machine(database), settings=settings(max_examples=10, stateful_step_count=15, deadline=None)
    )
    database.close()
