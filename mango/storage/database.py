"""Connections: the engine, the lock beside an SQLite file, and what a database's errors mean to the user."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import filelock
import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, IntegrityError, SQLAlchemyError
from sqlalchemy.pool import StaticPool

from mango.errors import InputError, StorageError, StudyLocked

WAIT_SECONDS = 30  # for another study's transaction in the same file
DAMAGED = ("not a database", "malformed", "no such table", "no such column", "could not decode")
SMALLEST = 512  # bytes of an SQLite database: one page of the smallest size
FULL = ("disk is full", "no space left")


class Connected:
    """An open database, and the lock on one study in it."""

    def __init__(self, engine: sa.Engine, where: str, lock: filelock.BaseFileLock | None) -> None:
        self.engine = engine
        self.where = where
        self._lock = lock

    def check(self) -> None:
        """Reads the whole file for damage.

        Raises:
            StorageError: it is damaged.
        """
        if self.engine.dialect.name != "sqlite":
            return
        with self.errors(), self.engine.connect() as connection:
            found = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()
        if found != "ok":
            raise StorageError(_damaged(self.where, str(found)))

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turns the database's errors into `StorageError`; whatever was begun has been rolled back."""
        try:
            yield
        except (SQLAlchemyError, sqlite3.Error, UnicodeDecodeError) as error:
            raise self._explained(error) from error

    def _explained(self, error: Exception) -> StorageError:
        text = str(getattr(error, "orig", None) or error)
        if any(mark in text.lower() for mark in FULL):
            return StorageError(
                f"the disk of {self.where} is full; nothing of this step was stored, all before it is. "
                "Make room and go on"
            )
        if isinstance(error, IntegrityError):
            return StorageError(f"another process wrote to this study in {self.where}; resume it: {text}")
        if isinstance(error, UnicodeDecodeError) or any(mark in text.lower() for mark in DAMAGED):
            return StorageError(_damaged(self.where, text))
        return StorageError(f"{self.where} could not be read or written: {text}; nothing of this step was stored")

    def close(self) -> None:
        """Closes the connection, then gives the lock back."""
        self.engine.dispose()
        if self._lock is not None:
            self._lock.release(force=True)


def connect(url: str, name: str, *, create: bool, own: bool) -> Connected:
    """Opens a database such as ``sqlite:///runs/study.db``; bare ``sqlite://`` lives in memory.

    Raises:
        InputError: no database URL.
        StudyLocked: another process owns the study of that name.
        StorageError: the file is not there, or its folder is not.
    """
    try:
        parsed = sa.make_url(url)
    except ArgumentError as error:
        raise InputError(f"storage must be a URL such as 'sqlite:///runs/study.db'; got {url!r}") from error
    if parsed.get_backend_name() != "sqlite":
        return Connected(sa.create_engine(parsed), parsed.render_as_string(), None)
    in_memory, file = parsed.database in (None, "", ":memory:"), str(parsed.database)
    lock = None if in_memory else _locked_file(Path(file), name, create=create, own=own)
    # A reader that could write would fold up the owner's write-ahead log if it took itself for the last to close.
    place = ":memory:" if in_memory else file if own else f"file:{quote(file)}?mode=ro"
    engine = sa.create_engine(
        "sqlite://",
        poolclass=StaticPool,
        creator=lambda: sqlite3.connect(place, WAIT_SECONDS, check_same_thread=False, uri=not own),
    )
    sa.event.listen(engine, "connect", _configure_sqlite)
    sa.event.listen(engine, "begin", _begin)
    return Connected(engine, "the study in memory" if in_memory else file, lock)


def _locked_file(path: Path, name: str, *, create: bool, own: bool) -> filelock.BaseFileLock | None:
    if not path.parent.is_dir():
        raise StorageError(f"the folder {path.parent} for {path.name} does not exist; make it first")
    if not create and not path.is_file():
        raise StorageError(f"there is no study at {path}; expected the database of an earlier run")
    # SQLite takes one stray byte for an empty database. Only the size is looked at: to open and close the file beside
    # SQLite would drop the locks of this process's own connections (POSIX), and with them the write-ahead log.
    if path.is_file() and 0 < path.stat().st_size < SMALLEST:
        raise StorageError(_damaged(str(path), "it is too short for a database"))
    if not own:
        return None
    # The empty file stays when the lock is given back: were it removed, a process that had opened it and one that made
    # it anew could both own the study.
    lock = filelock.FileLock(f"{path}.{quote(name, safe='')}.lock", thread_local=False)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout as error:
        raise StudyLocked(
            f"another process owns the study {name!r} in {path}; wait until it ends, or end it"
        ) from error
    except OSError as error:
        raise StorageError(f"{path.parent} cannot be written: {error}") from error
    return lock


def _configure_sqlite(connection: Any, _: object) -> None:
    connection.isolation_level = None  # the driver's own BEGIN would leave table creation outside the transaction
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: sa.Connection) -> None:
    connection.exec_driver_sql("BEGIN")


def _damaged(where: str, text: str) -> str:
    return f"{where} is damaged or was not written by mango ({text}); restore it from a copy. It was left as it is"
