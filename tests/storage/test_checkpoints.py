"""SQLite's log is moved beside the commits, and nothing that was committed depends on it."""

from __future__ import annotations

import sqlite3
import threading
import time
from pathlib import Path

import pytest

from mango.storage import Database, Store
from mango.storage import checkpoints as module
from tests.storage.examples import ask, create

PATIENCE = 30.0  # seconds for what must happen


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "study.db"


def names() -> list[str]:
    return [thread.name for thread in threading.enumerate()]


def moved(path: Path) -> int:
    """Bytes of the file itself, without the log."""
    return path.stat().st_size


def test_the_log_is_moved_while_studies_are_written_and_not_by_their_commits(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAUSE", 0.01)
    database = Database(f"sqlite:///{path}", checkpoints=True)
    with database.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA wal_autocheckpoint").scalar() == module.MOST_PAGES
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
    store = create(database)
    before, until, trial = moved(path), time.monotonic() + PATIENCE, 0
    while moved(path) == before and time.monotonic() < until:
        ask(store, trial, range(trial, trial + 1))
        trial += 1
    assert moved(path) > before
    assert trial >= module.COMMITS - 5
    store.close()
    database.close()
    database.close()
    assert "mango-checkpoints" not in names()
    reader = Store.open(f"sqlite:///{path}", "study", own=False)
    assert len(list(reader.events())) == trial
    reader.close()


def test_a_reader_that_stays_keeps_neither_the_writer_nor_the_end_waiting(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAUSE", 0.01)
    database = Database(f"sqlite:///{path}", checkpoints=True)
    store = create(database)
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("BEGIN")
    assert reader.execute("SELECT count(*) FROM events").fetchone() == (0,)
    for trial in range(4 * module.COMMITS):
        ask(store, trial, range(trial, trial + 1))
    assert reader.execute("SELECT count(*) FROM events").fetchone() == (0,)
    store.close()
    database.close()
    assert "mango-checkpoints" not in names()
    reader.execute("COMMIT")
    assert reader.execute("SELECT count(*) FROM events").fetchone() == (4 * module.COMMITS,)
    reader.close()


def test_who_does_not_ask_for_it_has_no_thread(path: Path) -> None:
    database = Database(f"sqlite:///{path}")
    store = create(database)
    for trial in range(2 * module.COMMITS):
        ask(store, trial, range(trial, trial + 1))
    assert "mango-checkpoints" not in names()
    store.close()
    database.close()
