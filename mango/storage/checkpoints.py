"""Moves SQLite's write-ahead log into the database beside whoever writes, not within a commit that a client waits for.

SQLite does so by itself in the commit that brings the log to 1,000 pages, which then takes ten times as long. Where
that is left to a thread here, it still does so at `MOST_PAGES`, should the thread not come to it. What is durable, and
when, does not change by this: a commit returns once the log is on the disk.
"""

from __future__ import annotations

import sqlite3
import threading
from contextlib import suppress

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

MOST_PAGES = 16_000  # of the log: 64 MB
COMMITS = 16  # after which it is moved, and no sooner than
PAUSE = 0.2  # seconds after the last time


class Checkpoints:
    """A thread that moves the log of one database now and then, while anything is written.

    Args:
        engine: its connections; closed after this.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._commits = 0
        self._due = threading.Event()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def committed(self) -> None:
        """One more transaction; called by one thread at a time."""
        self._commits += 1
        if self._commits >= COMMITS:
            self._commits = 0
            self._due.set()
            if self._thread is None:
                self._thread = threading.Thread(target=self._move_until_closed, name="mango-checkpoints", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Ends the thread; closing twice is nothing."""
        self._closing.set()
        self._due.set()
        if self._thread is not None:
            self._thread.join()

    def _move_until_closed(self) -> None:
        while not self._closing.wait(PAUSE):
            self._due.wait()
            self._due.clear()
            if self._closing.is_set():
                return
            # Should it not succeed, the log stays, and the next commits say why.
            with suppress(SQLAlchemyError, sqlite3.Error):
                connection = self._engine.raw_connection()
                try:
                    connection.cursor().execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
                finally:
                    connection.close()
