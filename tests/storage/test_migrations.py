"""The migrations make the tables that the code expects, from nothing and from an old file, and lose nothing of it."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

import mango.storage.migrations
from mango.errors import StorageError
from mango.storage import Database, Store
from mango.storage.tables import FORMAT, REVISION, metadata
from mango.study import verify
from tests.storage.examples import ask, create, tell

ENQUEUED = [[0.5, -0.5], [0.25, 0.125], [-1.0, 1.0], [0.0, -0.0], [0.75, 0.75], [0.1, 0.2], [0.3, 0.4]]
NUMBERS = [0, 1, 4, 5, 6, 7, 8]  # that these were asked as


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A file of the first format."""
    path = tmp_path / "old.db"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.executescript(Path(__file__).with_name("first_format.sql").read_text(encoding="utf-8"))
    connection.close()
    return path


def _differences(url: str) -> list[object]:
    database = Database(url, write=False)
    with database.reading() as connection:
        found = compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), metadata)
    database.close()
    return found


def test_new_tables_are_those_of_the_code(storage: str) -> None:
    create(storage).close()
    assert _differences(storage) == []
    database = Database(storage, write=False)
    with database.reading() as connection:
        assert connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalars().all() == [REVISION]
        columns = sa.inspect(connection).get_columns("trials")
        assert [c["name"] for c in columns] == [c.name for c in metadata.tables["trials"].c]
        assert "alembic_version" in sa.inspect(connection).get_table_names()
    database.close()


def test_the_code_expects_the_newest_revision() -> None:
    scripts = ScriptDirectory(str(Path(mango.storage.migrations.__file__).parent))
    assert scripts.get_heads() == [REVISION]
    assert [r.revision for r in scripts.walk_revisions()] == ["0002", "0001"]


def test_an_old_file_is_brought_up_to_date_when_it_is_opened_for_writing(old: Path) -> None:
    url = f"sqlite:///{old}"
    store = Store.open(url, "study")
    codes = store.codes(NUMBERS)
    assert codes.tobytes() == np.array(ENQUEUED).tobytes()
    proposed = {e.sequence: e.arrays["codes"] for e in store.events() if e.kind == "ask" and e.arrays}
    expected = np.concatenate([proposed[1], proposed[6], proposed[8]])
    assert store.codes([2, 3, 9, 10, 11, 12, 13]).tobytes() == expected.tobytes()
    assert (store.counts(), store.standing().state) == ({"done": 11, "lost": 1, "open": 2}, "running")
    other = Store.open(url, "other")
    assert other.codes([0]).tolist() == [[0.5]]
    assert other.codes([4, 1]).tolist() == [[0.8972988942744877], [0.023643249400513433]]
    other.close()
    ask(store, 9, range(14, 16))
    tell(store, 10, {14: 1.0})
    store.close()
    assert _differences(url) == []
    with sqlite3.connect(old) as connection:
        assert connection.execute("SELECT DISTINCT format FROM studies").fetchall() == [(FORMAT,)]
    connection.close()


def test_nothing_of_an_old_study_is_lost(old: Path) -> None:
    url = f"sqlite:///{old}"
    before = _everything(url)
    assert verify(None, storage=url) is None  # which only reads
    Store.open(url, "study").close()
    assert _everything(url) == before
    for name in ("study", "other"):
        assert verify(None, storage=url, name=name) is None


def _everything(url: str) -> list[object]:
    found: list[object] = []
    for name in ("study", "other"):
        store = Store.open(url, name, own=False)
        events = [(e.sequence, e.kind, e.at, e.payload, e.seconds, sorted(e.arrays)) for e in store.events()]
        found += [store.config, store.meta, events, store.trial_rows(), store.showings(range(20)) != []]
        store.close()
    return found


def test_an_old_file_is_read_as_it_is(old: Path) -> None:
    content = old.read_bytes()
    reader = Store.open(f"sqlite:///{old}", "study", own=False)
    assert len(list(reader.events())) == 9
    assert [row["number"] for row in reader.trial_rows(state="open")] == [12, 13]
    assert reader.counts() == {"done": 11, "lost": 1, "open": 2}
    assert [row["number"] for row in reader.best_rows(2)] == [8, 2]
    assert len(reader.showings([3, 4])) == 2
    for missing in (lambda: reader.codes([0]), reader.running_leases, reader.standing, lambda: reader.answer("a", "b")):
        with pytest.raises(StorageError, match=r"by an earlier mango.*`mango resume`.*brings them up to date"):
            missing()
    with pytest.raises(StorageError, match="by an earlier mango"):
        reader.database.studies()
    reader.close()
    assert old.read_bytes() == content


def test_a_failed_migration_changes_nothing(old: Path) -> None:
    with sqlite3.connect(old) as connection:
        connection.execute("CREATE TABLE leases (a)")  # in the way of the new one
    connection.close()
    before = _schema(old)
    with pytest.raises(StorageError, match="already exists"):
        Store.open(f"sqlite:///{old}", "study")
    assert _schema(old) == before
    with sqlite3.connect(old) as connection:
        connection.execute("DROP TABLE leases")
    connection.close()
    store = Store.open(f"sqlite:///{old}", "study")
    assert store.running_leases() == []
    store.close()


def _schema(path: Path) -> list[object]:
    connection = sqlite3.connect(path)
    found = connection.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()
    connection.close()
    return found


def test_processes_that_start_together_migrate_once(storage: str) -> None:
    code = f"from mango.storage import Database; print(Database({storage!r}).prepare(create=True))"
    started = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert [one.communicate()[0] for one in started] == ["True\n"] * 3
    assert _differences(storage) == []


def test_a_newer_revision_is_refused(storage: str) -> None:
    create(storage).close()
    database = Database(storage)
    with database.writing() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0099'")
    database.close()
    for own in (True, False):
        with pytest.raises(StorageError, match=r"newer mango \(revision 0099\); update mango"):
            Store.open(storage, "study", own=own)
