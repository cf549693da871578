"""Who may write to a study: one process at a time, and never one that has been taken for dead.

An SQLite file has an operating-system lock beside it for each study, which ends with the process. PostgreSQL has a row
for each study with an epoch. To claim a study that is free, or whose owner has not renewed its claim in time, raises
the epoch; each writing transaction of the owner checks its epoch under a lock on that row, so that a former owner that
had stood still and goes on (M. Kleppmann, "How to do distributed locking", 2016: fencing tokens) changes nothing. All
times are by the database's clock.

An owner also has a connection with an advisory lock on study and epoch, which the server drops when the process dies:
so one that is dead, not only silent, is followed in half of the time.
"""

from __future__ import annotations

import hashlib
import os
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

import filelock
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from mango.errors import StorageError, StudyLocked
from mango.storage.engine import explained, make_engine, name_of

OWNER_SECONDS = 5.0  # a claim that is not renewed for so long may be taken over; then the log is read
RENEWALS = 3  # in that time
LONGEST_NAME = 150  # bytes of a lock's file name that a study's name may take; file systems end at 255

_NOW = "CAST(extract(epoch FROM clock_timestamp()) AS double precision)"
_STILL = sa.text("SELECT 1")
_LOCK = sa.text("SELECT pg_try_advisory_lock(:study, :epoch)")
_UNLOCK = sa.text("SELECT pg_advisory_unlock(:study, :epoch)")
_CLAIM = sa.text(
    f"""INSERT INTO owners (study_id, epoch, owner, address, until)
    VALUES (:study, 1, :owner, :address, {_NOW} + :ttl)
    ON CONFLICT (study_id) DO UPDATE
    SET epoch = owners.epoch + 1, owner = excluded.owner, address = excluded.address, until = {_NOW} + :ttl
    WHERE owners.until <= {_NOW}
    OR (owners.until <= {_NOW} + :ttl / 2 AND pg_try_advisory_xact_lock(owners.study_id, owners.epoch))
    RETURNING epoch"""
)
_CHECK = sa.text("SELECT epoch FROM owners WHERE study_id = :study AND epoch = :epoch FOR SHARE")
_RENEW = sa.text(
    f"UPDATE owners SET until = {_NOW} + :ttl WHERE study_id = :study AND epoch = :epoch RETURNING study_id"
)
_RELEASE = sa.text("UPDATE owners SET until = 0 WHERE study_id = :study AND epoch = :epoch")
_FIND = sa.text(
    f"""SELECT owner, address, epoch, until - {_NOW} AS remaining FROM owners
    JOIN studies ON studies.id = owners.study_id WHERE studies.name = :name"""
)


@dataclass(frozen=True, slots=True)
class Owner:
    """Who holds a study on PostgreSQL.

    Attributes:
        owner: which process.
        address: URL where it answers, or "".
        epoch: of its claim.
        remaining: seconds until the study may be taken over; not above 0 where it is free.
    """

    owner: str
    address: str
    epoch: int
    remaining: float


class Ownership(Protocol):
    """The right to write to one study."""

    @property
    def lost(self) -> bool:
        """Whether another process is known to have taken the study over."""
        ...

    def hold(self) -> None:
        """Keeps the right from running out; called once the transaction that took it is committed."""
        ...

    def check(self, connection: sa.Connection) -> None:
        """Nothing, if the right holds until the transaction of this connection ends; called first in each.

        Raises:
            StudyLocked: another process has taken the study over.
        """
        ...

    def release(self) -> None:
        """Lets other processes have the study; doing so twice is nothing."""
        ...


class FileLock:
    """The right to write to a study in an SQLite file, or to one in memory.

    Args:
        file: the database; None in memory.
        name: of the study.

    Raises:
        StudyLocked: another process owns it.
        StorageError: the folder cannot be written.
    """

    lost = False

    def __init__(self, file: Path | None, name: str) -> None:
        self._lock: filelock.BaseFileLock | None = None
        if file is None:
            return
        # The empty file stays when the lock is given back: were it removed, a process that had opened it and one that
        # made it anew could both own the study.
        self._lock = filelock.FileLock(f"{file}.{_file_name(name)}.lock", thread_local=False)
        try:
            self._lock.acquire(timeout=0)
        except filelock.Timeout as error:
            raise StudyLocked(
                f"another process owns the study {name!r} in {file}; wait until it ends, or end it"
            ) from error
        except OSError as error:
            raise StorageError(f"{file.parent} cannot be written: {error}") from error

    def hold(self) -> None:
        """Nothing: the lock holds as long as the process."""

    def check(self, connection: sa.Connection) -> None:
        """Nothing, for the same reason."""

    def release(self) -> None:
        """Lets other processes have the study."""
        if self._lock is not None:
            self._lock.release(force=True)


class Claim:
    """The right to write to a study on PostgreSQL, as long as nobody raised its epoch."""

    def __init__(self, claims: Claims, study: int, name: str, epoch: int) -> None:
        self.study = study
        self.epoch = epoch
        self.lost = False
        self._released = False
        self._claims = claims
        self._name = name

    def hold(self) -> None:
        """Has the claim renewed. Before it is committed, the thread that renews would see another's epoch."""
        self._claims.hold(self)

    def check(self, connection: sa.Connection) -> None:
        """Keeps the epoch from being raised until the transaction ends.

        Raises:
            StudyLocked: it has been raised.
        """
        if connection.execute(_CHECK, {"study": self.study, "epoch": self.epoch}).first() is None:
            self.lost = True
            raise StudyLocked(
                f"another process has taken over the study {self._name!r} or deleted it; nothing of this step was "
                "stored. Ask that process, or open the study again"
            )

    def release(self) -> None:
        """Lets other processes have the study at once."""
        if not self._released:
            self._released = True
            self._claims.release(self)


class Claims:
    """The claims of one process on a PostgreSQL database, renewed by a thread until they are released.

    Args:
        url: of the database. Renewals have a connection of their own, so that busy requests cannot delay them.
        owner: which process this is; by default its host and number.
        address: URL where it answers, or "".
        ttl: seconds after the last renewal in which no other process may have a study.
    """

    def __init__(self, url: sa.URL, owner: str | None, address: str, ttl: float) -> None:
        self.owner = owner or f"{socket.gethostname()}:{os.getpid()}"
        self.address = address
        self.ttl = ttl
        self._where = name_of(url)
        self._engine = make_engine(url, write=True)
        self._session: sa.Connection | None = None  # that has the advisory locks
        self._session_lock = threading.Lock()
        self._held: dict[int, Claim] = {}
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def take(self, connection: sa.Connection, study: int, name: str) -> Claim:
        """Claims a study, in the transaction of the connection.

        Raises:
            StudyLocked: another process, or this one, owns it.
        """
        values = {"study": study, "owner": self.owner, "address": self.address, "ttl": self.ttl}
        epoch = connection.execute(_CLAIM, values).scalar()
        if epoch is None:
            held = find(connection, name)
            who = "another process" if held is None else f"the process {held.owner} {held.address}".rstrip()
            raise StudyLocked(
                f"{who} owns the study {name!r} in {self._where}; wait until it ends, end it, or ask it instead"
            )
        self._say(_LOCK, study=study, epoch=epoch)
        return Claim(self, study, name, epoch)

    def hold(self, claim: Claim) -> None:
        """Renews the claim until it is released."""
        with self._lock:
            self._held[claim.study] = claim
            if self._thread is None:
                self._thread = threading.Thread(target=self._renew_until_closed, name="mango-owner", daemon=True)
                self._thread.start()

    def release(self, claim: Claim) -> None:
        """Gives a claim up; where the database does not answer, it runs out by itself."""
        with self._lock:
            if self._held.get(claim.study) is claim:
                del self._held[claim.study]
        values = {"study": claim.study, "epoch": claim.epoch}
        with suppress(StorageError), explained(self._where), self._engine.begin() as connection:
            connection.execute(_RELEASE, values)
        with suppress(StorageError):
            self._say(_UNLOCK, study=claim.study, epoch=claim.epoch)

    def close(self) -> None:
        """Gives every claim up."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join(self.ttl)  # it may wait for a server that is gone
        for claim in list(self._held.values()):
            claim.release()
        with self._session_lock:
            self._drop_session()
        self._engine.dispose()

    def _renew_until_closed(self) -> None:
        while not self._closing.wait(self.ttl / RENEWALS):
            with self._lock:
                held = list(self._held.values())
            for claim in held:
                with suppress(StorageError):  # tried again; should it last, the next step of the study will say so
                    self._renew(claim)
            self._keep_session()

    def _keep_session(self) -> None:
        """Opens the session anew where the server has dropped it, before others take its locks for free."""
        for _ in range(2):  # the second time in a new one
            with suppress(StorageError):
                self._say(_STILL)
                return

    def _say(self, statement: sa.TextClause, **values: int) -> None:
        """Executes a statement in the session that holds the locks."""
        with self._session_lock, explained(self._where):
            try:
                if self._session is None:
                    self._session = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
                    with self._lock:
                        held = list(self._held.values())
                    for claim in held:
                        self._session.execute(_LOCK, {"study": claim.study, "epoch": claim.epoch})
                self._session.execute(statement, values)
            except DBAPIError:
                self._drop_session()
                raise

    def _drop_session(self) -> None:
        if self._session is not None:
            self._session.invalidate()  # back in the pool it would keep its locks
            self._session.close()
            self._session = None

    def _renew(self, claim: Claim) -> None:
        values = {"study": claim.study, "epoch": claim.epoch, "ttl": self.ttl}
        with explained(self._where), self._engine.begin() as connection:
            kept = connection.execute(_RENEW, values).first() is not None
        if not kept:
            with self._lock:
                claim.lost = self._held.get(claim.study) is claim
                if claim.lost:
                    del self._held[claim.study]


def find(connection: sa.Connection, name: str) -> Owner | None:
    """Who owned the study last; None where nobody ever did."""
    row = connection.execute(_FIND, {"name": name}).mappings().first()
    return None if row is None else Owner(**row)


def _file_name(name: str) -> str:
    quoted = quote(name, safe="")
    return quoted if len(quoted) <= LONGEST_NAME else hashlib.sha256(name.encode()).hexdigest()
