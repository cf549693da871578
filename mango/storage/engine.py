"""Connections to SQLite and PostgreSQL, durable ones, and what a database's errors mean to the user."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.pool import QueuePool

from mango.errors import InputError, StorageError

POSTGRESQL = "postgresql+psycopg"
WAIT_SECONDS = 30  # for another process's transaction in the same file, or for a free connection
IDLE_SECONDS = 3  # after which PostgreSQL ends the transaction of a process that stands still in it
PATIENTLY = "SET LOCAL idle_in_transaction_session_timeout = 0"  # a transaction that takes longer between its steps
PATIENCE = {"connect_timeout": "10", "tcp_user_timeout": "20000"}  # s, ms; a server that is gone is not waited for
CONNECTIONS = 10  # at a time
PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON")
DAMAGED = ("not a database", "malformed", "no such table", "no such column", "could not decode")
SMALLEST = 512  # bytes of an SQLite database: one page of the smallest size
FULL = ("disk is full", "no space left")


def parse(url: str) -> sa.URL:
    """The parts of a database URL.

    Raises:
        InputError: it is none, or one of another database.
    """
    try:
        parsed = sa.make_url(url)
    except ArgumentError as error:
        raise InputError(
            f"storage must be a URL such as 'sqlite:///runs/study.db' or '{POSTGRESQL}://host/database'; got {url!r}"
        ) from error
    if parsed.get_backend_name() != "sqlite" and parsed.drivername != POSTGRESQL:
        raise InputError(f"storage is SQLite ('sqlite:///...') or PostgreSQL ('{POSTGRESQL}://...'); got {url!r}")
    return parsed


def file_of(url: sa.URL) -> Path | None:
    """Where an SQLite database lies; None for one in memory or on a server."""
    if url.get_backend_name() != "sqlite" or url.database in (None, "", ":memory:"):
        return None
    return Path(str(url.database))


def name_of(url: sa.URL) -> str:
    """The database as messages call it, without a password."""
    if url.get_backend_name() != "sqlite":
        return url.render_as_string()
    return str(file_of(url) or "the study in memory")


def make_engine(url: sa.URL, *, write: bool, log_pages: int | None = None) -> sa.Engine:
    """Connections to the database; none is made yet.

    Args:
        url: of the database.
        write: False only reads.
        log_pages: of SQLite's write-ahead log, at which a commit moves it into the database; None: SQLite's own number.

    A transaction of an engine with the execution option ``writing`` takes SQLite's one write lock when it begins:
    a transaction that first reads and then writes would otherwise be refused, not waited for. PostgreSQL sends what a
    statement with the option ``binary`` asks for as it is: as text, arrays take twice the space and the time.

    Raises:
        StorageError: PostgreSQL's driver is not installed.
    """
    if url.get_backend_name() != "sqlite":
        try:
            engine = sa.create_engine(
                url.update_query_dict({**PATIENCE, **url.query}),
                pool_size=CONNECTIONS,
                max_overflow=0,
                pool_timeout=WAIT_SECONDS,
                pool_pre_ping=True,
            )
        except ModuleNotFoundError as error:
            raise StorageError(f"PostgreSQL needs psycopg; pip install 'mango-neuro[postgresql]' ({error})") from error
        sa.event.listen(engine, "connect", _configure_postgresql)
        sa.event.listen(engine, "before_cursor_execute", _set_format)
        return engine
    file = file_of(url)
    # A reader that could write would fold up the owner's write-ahead log if it took itself for the last to close.
    place = ":memory:" if file is None else str(file) if write else f"file:{quote(str(file))}?mode=ro"
    engine = sa.create_engine(
        "sqlite://",
        poolclass=QueuePool,
        pool_size=1 if file is None else CONNECTIONS,  # in memory each connection is a database of its own
        max_overflow=0,
        pool_timeout=WAIT_SECONDS,
        pool_use_lifo=True,  # the connection that wrote last knows most pages
        # Without an isolation level: the driver's own BEGIN would leave table creation outside the transaction.
        creator=lambda: sqlite3.connect(
            place, WAIT_SECONDS, isolation_level=None, check_same_thread=False, uri=not write
        ),
    )
    if write:
        pragmas = (*PRAGMAS, *(() if log_pages is None else (f"wal_autocheckpoint={log_pages}",)))
        sa.event.listen(engine, "connect", lambda connection, _: _configure_sqlite(connection, pragmas))
    sa.event.listen(engine, "begin", _begin)
    return engine


@contextmanager
def explained(where: str) -> Iterator[None]:
    """Turns the database's errors into `StorageError`; whatever was begun has been rolled back."""
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error, UnicodeDecodeError) as error:
        raise _explanation(error, where) from error


def _explanation(error: Exception, where: str) -> StorageError:
    text = str(getattr(error, "orig", None) or error).strip()
    if any(mark in text.lower() for mark in FULL):
        return StorageError(
            f"the disk of {where} is full; nothing of this step was stored, all before it is. Make room and go on"
        )
    if isinstance(error, (IntegrityError, sqlite3.IntegrityError)):
        return StorageError(f"another process wrote to this study in {where}; resume it: {text}")
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return StorageError(f"the connection to {where} was lost, perhaps after this step was stored: {text}")
    if isinstance(error, UnicodeDecodeError) or any(mark in text.lower() for mark in DAMAGED):
        return StorageError(damaged(where, text))
    return StorageError(f"{where} could not be read or written: {text}; nothing of this step was stored")


def damaged(where: str, text: str) -> str:
    """What to say of a damaged database."""
    return f"{where} is damaged or was not written by mango ({text}); restore it from a copy. It was left as it is"


def _configure_sqlite(connection: Any, pragmas: Sequence[str]) -> None:
    for pragma in pragmas:
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: sa.Connection) -> None:
    writing = connection.get_execution_options().get("writing")
    connection.connection.cursor().execute("BEGIN IMMEDIATE" if writing else "BEGIN")


def _configure_postgresql(connection: Any, _: object) -> None:
    """A commit returns once it is on the disk; a process that stands still in a transaction does not keep its locks."""
    connection.autocommit = True  # these are the session's, not a transaction's
    connection.execute(
        "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
    )
    connection.execute(f"SET idle_in_transaction_session_timeout = '{IDLE_SECONDS}s'")
    connection.autocommit = False


def _set_format(_connection: Any, cursor: Any, _statement: str, _parameters: Any, context: Any, _many: bool) -> None:
    if context is not None and context.execution_options.get("binary"):
        cursor.format = 1  # psycopg's number of the binary format
