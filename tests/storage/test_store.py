"""What is SQLite's own: files that are damaged or not there, full disks, one owner by a lock; see test_conformance."""

from __future__ import annotations

import math
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import OperationalError
from sqlalchemy.schema import CreateTable

from mango.errors import InputError, StorageError
from mango.storage import Event, Store
from mango.storage.tables import metadata
from mango.trial import TrialRecord

NAN = math.nan


def _event(sequence: int, **arrays: np.ndarray) -> Event:
    return Event(sequence, "ask", 1.5 + sequence, {"n": sequence}, arrays, 0.25)


def _record(number: int, **told: object) -> TrialRecord:
    return TrialRecord(number, np.zeros(2), "first", 1, 1.0, **told)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "study.db"


def _create(url: str, name: str = "study") -> Store:
    return Store.create(url, name, {"seed": 3}, {"who": "me"}, {"natural": np.arange(3)})


def test_snapshots_keep_the_last_few_and_pass_over_damage(url: str, path: Path) -> None:
    store = _create(url)
    for sequence in range(5):
        store.save_snapshot(sequence, {"at": sequence, "array": np.full(3, sequence)})
    assert [(sequence, state["at"]) for sequence, state in store.snapshots()] == [(4, 4), (3, 3), (2, 2)]
    store.close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE snapshots SET state = x'00112233' WHERE sequence = 4")
    connection.close()
    store = Store.open(url, "study")
    assert [sequence for sequence, _ in store.snapshots()] == [3, 2]
    store.close()


@pytest.mark.parametrize(
    ("statement", "event"),
    [
        ("UPDATE events SET payload = '{\"n\": 9}' WHERE sequence = 1", 1),
        ("UPDATE events SET arrays = x'00' WHERE sequence = 0", 0),
        ("DELETE FROM events WHERE sequence = 1", 1),
    ],
)
def test_an_altered_log_is_refused(url: str, path: Path, statement: str, event: int) -> None:
    store = _create(url)
    for sequence in range(3):
        store.append(_event(sequence))
    store.close()
    with sqlite3.connect(path) as connection:
        connection.execute(statement)
    connection.close()
    store = Store.open(url, "study")
    with pytest.raises(StorageError, match=f"event {event} is missing or was altered"):
        list(store.events())
    store.close()


def test_a_database_that_is_not_there_is_not_made(url: str, path: Path, tmp_path: Path) -> None:
    for own in (True, False):
        with pytest.raises(StorageError, match="there is no study at"):
            Store.open(url, "study", own=own)
    with pytest.raises(StorageError, match="does not exist; make it first"):
        _create(f"sqlite:///{tmp_path}/no/study.db")
    assert not path.exists()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"garbage " * 1000, b"x"], ids=["long", "short"])
def test_garbage_is_refused_and_left_as_it_is(url: str, path: Path, content: bytes) -> None:
    path.write_bytes(content)
    for attempt in (_create, lambda u: Store.open(u, "study"), lambda u: Store.open(u, "study", own=False)):
        with pytest.raises(StorageError, match="damaged or was not written by mango"):
            attempt(url)
        assert path.read_bytes() == content


def test_an_empty_or_foreign_database_holds_no_study(url: str, path: Path) -> None:
    path.touch()
    with pytest.raises(StorageError, match="holds no study"):
        Store.open(url, "study")
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE other (a)")
    connection.close()
    with pytest.raises(StorageError, match="holds no study"):
        Store.open(url, "study")


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_a_truncated_database_is_refused(url: str, path: Path, share: float) -> None:
    store = _create(url)
    for sequence in range(40):
        store.append(_event(sequence, codes=np.arange(500)))
    store.close()
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    left = path.read_bytes()
    with pytest.raises(StorageError, match="damaged"):
        Store.open(url, "study")
    assert path.read_bytes() == left


def test_overwritten_pages_are_noticed(url: str, path: Path) -> None:
    store = _create(url)
    for sequence in range(40):
        store.append(_event(sequence, codes=np.arange(500)))
    store.close()
    whole = bytearray(path.read_bytes())
    rng, refused = np.random.default_rng(0), 0
    for page in range(1, len(whole) // 4096):
        damaged = whole.copy()
        damaged[page * 4096 + 1000 : page * 4096 + 1400] = rng.bytes(400)
        path.write_bytes(damaged)
        try:
            store = Store.open(url, "study")
        except StorageError:
            refused += 1
            continue
        assert (store.config, store.meta, store.arrays["natural"].tolist()) == ({"seed": 3}, {"who": "me"}, [0, 1, 2])
        try:
            events = list(store.events())
        except StorageError:
            refused += 1
        else:  # what was hit is not read
            assert [e.sequence for e in events] == list(range(40))
            assert all((e.arrays["codes"] == np.arange(500)).all() for e in events)
        store.close()
    assert refused > len(whole) // 4096 // 2


def test_another_process_is_kept_off(url: str) -> None:
    store = _create(url)
    code = f"""
from mango.storage import Store
from mango.errors import StudyLocked
try:
    Store.open({url!r}, "study")
except StudyLocked as error:
    print("locked:", error)
print(len(list(Store.open({url!r}, "study", own=False).events())), "events read")
"""
    store.append(_event(0))
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "locked: another process owns the study 'study'" in printed
    assert "1 events read" in printed
    store.append(_event(1))
    store.close()
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed == "2 events read\n"


def test_a_full_disk_stores_nothing_and_says_so(url: str) -> None:
    store = _create(url)
    store.append(_event(0))
    with store.database.engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 2}")
    with pytest.raises(StorageError, match=r"disk .* is full; nothing of this step was stored"):
        store.append(_event(1, codes=np.zeros(10_000)), asked=[_record(0)])
    assert len(list(store.events())) == 1
    assert store.trial_rows() == []
    with store.database.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1000000")
    store.append(_event(1, codes=np.zeros(10_000)), asked=[_record(0)])
    assert len(list(store.events())) == 2
    store.close()


def test_other_database_errors_are_explained(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store = _create(url)

    def fail(*_: object, **__: object) -> None:
        raise OperationalError("INSERT", {}, sqlite3.OperationalError("disk I/O error"))

    with monkeypatch.context() as patched:
        patched.setattr("mango.storage.store._execute", fail)
        with pytest.raises(StorageError, match=r"disk I/O error; nothing of this step was stored"):
            store.append(_event(0))
    store.append(_event(0))
    store.close()


def test_a_newer_format_is_refused(url: str, path: Path) -> None:
    _create(url).close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE studies SET format = 99")
    connection.close()
    with pytest.raises(StorageError, match="newer mango"):
        Store.open(url, "study")


@pytest.mark.parametrize("bad", ["study.db", "", 3])
def test_a_url_is_needed(bad: object) -> None:
    with pytest.raises(InputError, match="storage must be a URL"):
        Store.open(bad, "study")  # type: ignore[arg-type]


def test_the_file_is_durable(url: str) -> None:
    store = _create(url)
    with store.database.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
    store.close()


def test_the_tables_are_those_of_postgresql_too() -> None:
    made = "".join(str(CreateTable(table).compile(dialect=postgresql.dialect())) for table in metadata.sorted_tables)
    assert "BYTEA" in made
    assert "DOUBLE PRECISION" in made
    assert "PRIMARY KEY (study_id, sequence)" in made


def test_readers_here_and_elsewhere_leave_the_owner_its_log(url: str, path: Path) -> None:
    """A reader that were the last to close would fold up the write-ahead log under the owner's feet."""
    store = _create(url)
    store.append(_event(0))
    code = f"from mango.storage import Store; s = Store.open({url!r}, 'study', own=False); list(s.events()); s.close()"
    for sequence in (1, 2):
        reader = Store.open(url, "study", own=False)
        assert len(list(reader.events())) == sequence
        reader.close()
        subprocess.run([sys.executable, "-c", code], check=True)
        path.open("rb").close()  # what a file browser or a backup inside this process would do to SQLite's locks
        subprocess.run([sys.executable, "-c", code], check=True)
        assert path.with_name("study.db-wal").exists()
        store.append(_event(sequence))
    store.close()
    again = Store.open(url, "study")
    assert len(list(again.events())) == 3
    again.close()
