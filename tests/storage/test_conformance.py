"""What every database must do for a study and for a service; the same on SQLite and on PostgreSQL."""

from __future__ import annotations

import hashlib
import math
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from mango.errors import InputError, StorageError, StudyExists, StudyLocked
from mango.storage import Answer, Database, Event, Extra, Lease, Reference, Response, Showing, Standing, Store
from tests.storage.examples import NAN, ask, code, create, done, record, tell

BODY = hashlib.sha256(b"body").hexdigest()


def test_what_was_created_and_appended_is_read_back(storage: str) -> None:
    store = create(storage)
    asked, told = ask(store, 0, range(3)), tell(store, 1, {1: 0.5, 2: NAN})
    store.append(Event(2, "tell", 9.0, {}), showings=[Showing(1, 2, 0, 0.25, 3.0, True)])
    store.close()
    with pytest.raises(StudyExists, match="already holds a study 'study'"):
        create(storage)
    store = Store.open(storage, "study")
    assert (store.config, store.meta, store.arrays["natural"].tolist()) == ({"seed": 3}, {"who": "me"}, [0, 1, 2])
    again = list(store.events())
    assert [(e.sequence, e.kind, e.at, e.payload, e.seconds) for e in again[:2]] == [
        (e.sequence, e.kind, e.at, e.payload, e.seconds) for e in (asked, told)
    ]
    assert again[0].arrays["codes"].tobytes() == asked.arrays["codes"].tobytes()
    assert [e.sequence for e in store.events(1)] == [1, 2]
    assert [(e.sequence, e.arrays) for e in store.log(1, 1)] == [(1, {})]
    assert [(r["number"], r["state"], r["value"], r["told_at"], r["sequence"]) for r in store.trial_rows()] == [
        (0, "open", None, None, 0),
        (1, "done", 0.5, 3.0, 0),
        (2, "lost", None, 4.0, 0),
    ]
    assert store.showings([2, 1]) == [
        Showing(1, 1, 0, 0.5, pytest.approx(NAN, nan_ok=True), False),
        Showing(1, 2, 0, 0.25, 3.0, True),
        Showing(2, 1, 0, pytest.approx(NAN, nan_ok=True), pytest.approx(NAN, nan_ok=True), False),
    ]
    store.close()
    store.close()
    with pytest.raises(StorageError, match="is closed"):
        tell(store, 3, {0: 1.0})


def test_a_long_log_is_read_in_pages(storage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mango.storage.reading.EVENTS_AT_ONCE", 3)
    store = create(storage)
    for sequence in range(7):
        ask(store, sequence, range(sequence, sequence + 1))
    read = []
    for event in store.events(1):  # the log may grow while it is read
        read.append(event.sequence)
        if event.sequence == 6:
            ask(store, 7, range(7, 8))
    assert read == list(range(1, 8))
    store.close()


def test_an_event_and_its_rows_are_stored_whole_or_not_at_all(storage: str) -> None:
    store = create(storage)
    answer = Answer("ask", "key", BODY, b"{}", 1.0)
    ask(store, 0, range(1), extra=Extra(answers=[answer], leases=[Lease(0, 1, "token", 5.0)]))
    with pytest.raises(StorageError, match="another process wrote to this study"):
        store.append(Event(1, "ask", 1.0, {}), asked=[record(1), record(0)])  # number 0 is taken
    with pytest.raises(StorageError, match="another process wrote to this study"):
        ask(store, 0, range(1, 2))  # the sequence is taken
    taken = Extra(leases=[Lease(1, 1, "other", 5.0)], ended=[0], standing=Standing("paused", 2.0, "me"))
    with pytest.raises(StorageError, match="another process wrote to this study"):
        ask(store, 1, range(1, 2), extra=Extra(**{**vars(taken), "answers": [answer]}))  # the key is taken
    assert len(list(store.events())) == 1
    assert store.counts() == {"open": 1}
    assert store.running_leases() == [Lease(0, 1, "token", 5.0)]
    assert store.standing() == Standing("running", None, "")
    store.close()


def test_codes_are_those_of_the_trials(storage: str) -> None:
    store = create(storage)
    ask(store, 0, range(4), enqueued=2)
    tell(store, 1, {0: 1.0})
    ask(store, 2, range(4, 6), enqueued=2)
    ask(store, 3, range(6, 9))
    wanted = [7, 0, 5, 2, 0, 3, 8]
    assert store.codes(wanted).tobytes() == np.array([code(n) for n in wanted]).tobytes()
    assert store.codes(np.array([1])).tobytes() == code(1).tobytes()
    with pytest.raises(InputError, match=r"trials that were asked; got \[9\]"):
        store.codes([1, 9])
    with pytest.raises(InputError, match="got none"):
        store.codes([])
    store.close()


def test_trials_are_read_by_pages_and_state(storage: str) -> None:
    store = create(storage)
    ask(store, 0, range(10))
    tell(store, 1, {n: float(n % 3) for n in (1, 2, 4, 5, 8)} | {7: NAN})

    def numbers(rows: list[dict[str, object]]) -> list[object]:
        return [row["number"] for row in rows]

    assert numbers(store.trial_rows(after=3, limit=4)) == [4, 5, 6, 7]
    assert numbers(store.trial_rows(state="done", after=1, limit=3)) == [2, 4, 5]
    assert numbers(store.latest_rows(3)) == [9, 8, 7]
    assert numbers(store.latest_rows(3, before=7)) == [6, 5, 4]
    assert numbers(store.latest_rows(9, state="done", before=5)) == [4, 2, 1]
    assert numbers(store.best_rows(4)) == [2, 5, 8, 1]
    assert store.counts() == {"open": 4, "done": 5, "lost": 1}
    assert store.improvements() == [(1, 1.0), (2, 2.0)]
    store.append(Event(2, "tell", 1.0, {}), changed=[done(3, 2.0, key=0.5), done(9, -7.0), done(0, -8.0)])
    assert numbers(store.best_rows(2)) == [3, 2]  # the key orders equal values
    assert store.improvements() == [(0, -8.0), (1, 1.0), (2, 2.0)]
    store.append(Event(3, "ask", 1.0, {}), asked=[replace(record(10), origin="enqueued")])
    with_priors = [replace(record(11 + i), log_prior=nats) for i, nats in enumerate((-5.0, -2.0, -1.0, 1.0))]
    store.append(Event(4, "ask", 1.0, {}), asked=with_priors)
    told = [replace(done(11 + i, value), log_prior=0.0) for i, value in enumerate((9.0, 3.0, 4.0, 5.0))]
    store.append(Event(5, "tell", 1.0, {}), changed=told)
    judged = {"weight": 2.0, "band": (-3.0, -1.0)}  # heard: 9 - 2, 3, 4, 5 - 2; none without a log prior
    assert numbers(store.best_rows(4, **judged)) == [11, 13, 12, 14]
    assert store.improvements(**judged) == [(11, 9.0)]
    assert numbers(store.best_rows(1)) == [11]
    (enqueued, first) = store.origins()
    assert (enqueued[:2], math.isnan(enqueued[2]), first) == (("enqueued", 1), True, ("first", 14, 9.0))
    store.close()


def test_leases_run_are_prolonged_and_end(storage: str) -> None:
    store = create(storage)
    out = [Lease(0, 1, "a", 9.0), Lease(1, 1, "b", 7.0), Lease(2, 1, "c", 8.0)]
    ask(store, 0, range(3), extra=Extra(leases=out))
    assert [lease.token for lease in store.running_leases()] == ["b", "c", "a"]
    store.record(Extra(leases=[Lease(1, 1, "b", 20.0)]))
    store.record(Extra(leases=[Lease(2, 2, "d", 15.0)], ended=[2]))  # the old attempt ends, the new one runs
    tell(store, 1, {0: 1.0}, extra=Extra(ended=[0]))
    assert store.running_leases() == [Lease(2, 2, "d", 15.0), Lease(1, 1, "b", 20.0)]
    old, new = store.leases([2])
    assert (old.token, math.isnan(old.until), new) == ("c", True, Lease(2, 2, "d", 15.0))
    store.close()


def test_answers_are_kept_by_operation_and_key(storage: str) -> None:
    store, other = create(storage), create(storage, "other")
    answer = Answer("ask", "k1", BODY, b'{"trials": [0]}', 3.5)
    ask(store, 0, range(1), extra=Extra(answers=[answer]))
    assert store.answer("ask", "k1") == answer
    assert store.answer("tell", "k1") is None
    assert store.answer("ask", "k2") is None
    assert other.answer("ask", "k1") is None
    store.close()
    other.close()


def test_references_responses_and_standing_are_kept(storage: str) -> None:
    store = create(storage)
    assert store.standing() == Standing("running", None, "")
    ask(store, 0, range(1), extra=Extra(references=[Reference(n, "grey", 1.0 + n) for n in range(3)]))
    vector = np.arange(6, dtype=np.float32).reshape(2, 3)
    told = Extra(
        references=[Reference(1, "grey", 2.0, 4.0, 0.5), Reference(2, "grey", 3.0, 4.0, NAN)],
        responses=[Response(0, 1, vector)],
        standing=Standing("finished", 5.0, "the experimenter"),
    )
    tell(store, 1, {0: 1.0}, extra=told)
    shown = store.references()
    assert [(r.number, math.isnan(r.told_at), repr(r.value)) for r in shown] == [
        (0, True, "nan"),
        (1, False, "0.5"),
        (2, False, "nan"),
    ]
    assert [r.number for r in store.references(after=0, limit=1)] == [1]
    (response,) = store.responses([0])
    assert (response.attempt, response.response.dtype, response.response.tolist()) == (1, vector.dtype, vector.tolist())
    store.record(Extra(standing=Standing("running", 6.0, "me")))
    assert store.standing() == Standing("running", 6.0, "me")
    store.close()


def test_snapshots_keep_the_last_few(storage: str) -> None:
    store = create(storage)
    for sequence in range(5):
        store.save_snapshot(sequence, {"at": sequence, "array": np.full(3, sequence)})
    assert [(sequence, state["at"]) for sequence, state in store.snapshots()] == [(4, 4), (3, 3), (2, 2)]
    store.close()


def test_one_database_serves_many_studies(storage: str) -> None:
    database = Database(storage)
    assert database.prepare(create=True)
    assert database.studies() == []
    stores = [create(database, f"study/{n} ü") for n in range(4)]
    barrier = threading.Barrier(len(stores))

    def fill(store: Store) -> None:
        barrier.wait()
        for sequence in range(20):
            ask(store, sequence, range(sequence, sequence + 1))

    with ThreadPoolExecutor(len(stores)) as pool:
        list(pool.map(fill, stores))
    stores[1].record(Extra(standing=Standing("paused", 7.0, "me")))
    tell(stores[2], 20, {0: 1.0})
    stores[3].delete()
    with pytest.raises(StudyLocked, match="study/0"):
        Store.open(database, "study/0 ü")
    listed = database.studies()
    assert [(s.name, s.state, s.state_at, s.state_by, s.counts) for s in listed] == [
        ("study/0 ü", "running", None, "", {"open": 20}),
        ("study/1 ü", "paused", 7.0, "me", {"open": 20}),
        ("study/2 ü", "running", None, "", {"open": 19, "done": 1}),
    ]
    for store in stores:
        store.close()
    again = Store.open(database, "study/0 ü")  # the database is still open
    assert len(list(again.events())) == 20
    again.close()
    database.close()
    database.close()


def test_of_two_that_create_a_study_at_once_one_does(storage: str) -> None:
    databases = [Database(storage) for _ in range(4)]
    barrier = threading.Barrier(len(databases))

    def race(database: Database) -> str:
        barrier.wait()
        try:
            create(database)
        except (StudyExists, StudyLocked) as error:
            return type(error).__name__
        return "created"

    with ThreadPoolExecutor(len(databases)) as pool:
        ended = list(pool.map(race, databases))
    assert ended.count("created") == 1
    for database in databases:
        database.close()


def test_a_deleted_study_leaves_nothing_and_its_name_is_free(storage: str) -> None:
    database = Database(storage)
    store, kept = create(database), create(database, "kept")
    everything = Extra(
        answers=[Answer("ask", "k", BODY, b"{}", 1.0)],
        leases=[Lease(0, 1, "t", 1.0)],
        references=[Reference(0, "grey", 1.0)],
        responses=[Response(0, 1, np.zeros(2))],
        standing=Standing("paused", 1.0, "me"),
    )
    ask(store, 0, range(2), extra=everything)
    ask(kept, 0, range(2), extra=everything)
    tell(store, 1, {0: 1.0})
    store.save_snapshot(1, {"a": 1})
    store.delete()
    assert [s.name for s in database.studies()] == ["kept"]
    with pytest.raises(StorageError, match="holds no study 'study'; it holds: kept"):
        Store.open(database, "study")
    again = create(database)
    assert (list(again.events()), again.counts(), again.references(), again.standing().state) == ([], {}, [], "running")
    assert (again.answer("ask", "k"), again.running_leases(), again.responses([0])) == (None, [], [])
    assert (len(list(kept.events())), len(kept.references()), kept.standing().state) == (1, 1, "paused")
    database.close()


def test_a_reader_reads_beside_the_owner_and_cannot_write(storage: str) -> None:
    store = create(storage)
    ask(store, 0, range(2))
    reader = Store.open(storage, "study", own=False)
    tell(store, 1, {0: 1.0})
    assert [e.kind for e in reader.events()] == ["ask", "tell"]
    assert reader.codes([1]).tobytes() == code(1).tobytes()
    for write in (lambda: ask(reader, 2, range(2, 3)), lambda: reader.save_snapshot(1, {}), reader.delete):
        with pytest.raises(StorageError, match="own=False"):
            write()
    assert not reader.lost
    reader.close()
    tell(store, 2, {1: 1.0})
    store.close()


def test_an_empty_database_holds_no_study(storage: str) -> None:
    create(storage).close()
    database = Database(storage, write=False)
    with pytest.raises(StorageError, match="holds no study 'other'; it holds: study"):
        Store.open(database, "other", own=False)
    database.close()
