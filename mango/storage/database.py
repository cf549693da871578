"""One database, through which the stores of its studies read and write."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import sqlalchemy as sa

from mango.errors import StorageError
from mango.storage import ownership
from mango.storage.checkpoints import MOST_PAGES, Checkpoints
from mango.storage.engine import PATIENTLY, SMALLEST, damaged, explained, file_of, make_engine, name_of, parse
from mango.storage.migrations import revision, upgrade
from mango.storage.ownership import OWNER_SECONDS, Claims, FileLock, Owner, Ownership
from mango.storage.tables import REVISION, standings, studies, trials


@dataclass(frozen=True, slots=True)
class Listed:
    """A study in the list of a database.

    Attributes:
        name, created_at: as it was created; seconds since 1970.
        state: ``running``, ``paused``, ``finished`` or ``exhausted``.
        state_at, state_by: since when, and who said so; None and "" where it has run since it was created.
        counts: trials by their state.
    """

    name: str
    created_at: float
    state: str
    state_at: float | None
    state_by: str
    counts: dict[str, int]


class Database:
    """Connections to one database. A process that owns many studies shares one among their stores; thread-safe.

    Args:
        url: ``sqlite:///FILE``, ``postgresql+psycopg://...``; bare ``sqlite://`` lives in memory.
        write: False only reads, beside whoever writes.
        owner: which process this is, as others are told on PostgreSQL; by default its host and number.
        address: URL where this process answers, for other processes on PostgreSQL.
        ttl: seconds after which another process may take over this one's studies once it stands still (PostgreSQL).
        checkpoints: move SQLite's write-ahead log in a thread, see `mango.storage.checkpoints`; for many short
            transactions, each of which somebody waits for.

    Raises:
        InputError: no such URL.
        StorageError: PostgreSQL's driver is not installed.
    """

    def __init__(
        self,
        url: str,
        *,
        write: bool = True,
        owner: str | None = None,
        address: str = "",
        ttl: float = OWNER_SECONDS,
        checkpoints: bool = False,
    ) -> None:
        self.url = parse(url)
        self.where = name_of(self.url)
        moved = checkpoints and file_of(self.url) is not None
        self.engine = make_engine(self.url, write=write, log_pages=MOST_PAGES if moved else None)
        self._checkpoints = Checkpoints(self.engine) if moved else None
        self._write = write
        self._writer = self.engine.execution_options(writing=True)
        self._claims = Claims(self.url, owner, address, ttl) if self._served else None
        # SQLite lets one connection write at a time; others would sleep and try again, in no order.
        self._turn = threading.Lock()
        self._prepared = False
        self._early = False

    @property
    def address(self) -> str:
        """URL where this process answers, as others are told of what it owns from now on (PostgreSQL); "": unsaid."""
        return "" if self._claims is None else self._claims.address

    @address.setter
    def address(self, url: str) -> None:
        if self._claims is not None:
            self._claims.address = url

    # -- what it holds ---------------------------------------------------------------------------------------------

    def studies(self) -> list[Listed]:
        """The studies of the database, the oldest first.

        Raises:
            StorageError: it cannot be read.
        """
        if not self.prepare():
            return []
        self.needs_upgrade()
        query = sa.select(studies.c.id, studies.c.name, studies.c.created_at, standings.c.state, standings.c.at)
        query = query.add_columns(standings.c.by).select_from(studies.outerjoin(standings)).order_by(studies.c.id)
        counted = sa.select(trials.c.study_id, trials.c.state, sa.func.count())
        with self.reading() as connection:
            rows = connection.execute(query).all()
            counts: dict[int, dict[str, int]] = {row.id: {} for row in rows}
            for study, state, count in connection.execute(counted.group_by(trials.c.study_id, trials.c.state)):
                counts.setdefault(study, {})[state] = count
        return [Listed(r.name, r.created_at, r.state or "running", r.at, r.by or "", counts[r.id]) for r in rows]

    def holds(self, name: str) -> bool:
        """Whether there is a study of that name.

        Raises:
            StorageError: it cannot be read.
        """
        if not self.prepare():
            return False
        with self.reading() as connection:
            return connection.execute(sa.select(studies.c.id).where(studies.c.name == name)).first() is not None

    def owner(self, name: str) -> Owner | None:
        """Who owned a study last on PostgreSQL; None where nobody did, and on SQLite, where only a lock says so.

        Raises:
            StorageError: it cannot be read.
        """
        if not self._served or not self.prepare():
            return None
        with self.reading() as connection:
            return ownership.find(connection, name)

    def close(self) -> None:
        """Closes the connections and gives up what this process owns on PostgreSQL; closing twice is nothing."""
        if self._claims is not None:
            self._claims.close()
        if self._checkpoints is not None:
            self._checkpoints.close()
        self.engine.dispose()

    # -- for stores ------------------------------------------------------------------------------------------------

    def lock(self, name: str, *, create: bool) -> FileLock:
        """The lock on a study, taken before an SQLite file is touched; elsewhere it keeps nobody off.

        Raises:
            StudyLocked: another process owns the study.
            StorageError: there is no such file, or its folder cannot be written.
        """
        self._look(create=create)
        return FileLock(file_of(self.url), name)

    def own(self, connection: sa.Connection, study: int, name: str, lock: FileLock) -> Ownership:
        """The right to write to a study: on PostgreSQL a claim, taken in the transaction of the connection.

        Raises:
            StudyLocked: another process owns it.
        """
        return lock if self._claims is None else self._claims.take(connection, study, name)

    def prepare(self, *, create: bool = False) -> bool:
        """Makes the tables, or brings an older mango's up to date, where this may write; once.

        Args:
            create: make them where there are none.

        Returns:
            Whether the database holds tables of studies.

        Raises:
            StorageError: there is no such file, or it is damaged or cannot be written.
        """
        if self._prepared:
            return True
        self._look(create=create)
        with self.reading() as connection:
            found = revision(connection)
        if found is not None and found > REVISION:
            raise StorageError(f"{self.where} was written by a newer mango (revision {found}); update mango")
        if found != REVISION and self._write and (create or found is not None):
            with self.writing() as connection:
                upgrade(connection)
            found = REVISION
        self._early = found not in (None, REVISION)
        self._prepared = found is not None
        return self._prepared

    def check(self) -> None:
        """Reads the whole of an SQLite file for damage.

        Raises:
            StorageError: it is damaged.
        """
        if self._served:
            return
        self._look(create=False)
        with self.reading() as connection:
            found = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()
        if found != "ok":
            raise StorageError(damaged(self.where, str(found)))

    @contextmanager
    def reading(self, *, steady: bool = False) -> Iterator[sa.Connection]:
        """A connection to read by.

        Args:
            steady: all that is read is of one moment, however long it takes.
        """
        with explained(self.where), self.engine.connect() as connection:
            if steady and self._served:
                connection.execution_options(isolation_level="REPEATABLE READ")
                connection.exec_driver_sql(PATIENTLY)
            yield connection

    @contextmanager
    def writing(self, *, patient: bool = False) -> Iterator[sa.Connection]:
        """A transaction: committed where nothing is raised, else as if it had never been.

        Args:
            patient: PostgreSQL does not end it where its next step takes long.
        """
        turn = nullcontext() if self._served else self._turn
        with explained(self.where), turn:
            with self._writer.begin() as connection:
                if patient and self._served:
                    connection.exec_driver_sql(PATIENTLY)
                yield connection
            if self._checkpoints is not None:
                self._checkpoints.committed()

    def needs_upgrade(self) -> None:
        """Nothing, unless an older mango wrote the database and this only reads.

        Raises:
            StorageError: it does; the message says what to do.
        """
        if self._early:
            raise StorageError(
                f"{self.where} was written by an earlier mango, whose tables do not hold this; "
                "`mango resume`, or whatever else opens a study in it for writing, brings them up to date"
            )

    # -- private ---------------------------------------------------------------------------------------------------

    @property
    def _served(self) -> bool:
        return self.url.get_backend_name() != "sqlite"

    def _look(self, *, create: bool) -> None:
        """Looks at an SQLite file from outside."""
        path = file_of(self.url)
        if path is None:
            return
        if not path.parent.is_dir():
            raise StorageError(f"the folder {path.parent} for {path.name} does not exist; make it first")
        if not create and not path.is_file():
            raise StorageError(f"there is no study at {path}; expected the database of an earlier run")
        # SQLite takes one stray byte for an empty database. Only the size is looked at: to open and close the file
        # beside SQLite would drop the locks of this process's own connections (POSIX), and with them the write-ahead
        # log.
        if path.is_file() and 0 < path.stat().st_size < SMALLEST:
            raise StorageError(damaged(self.where, "it is too short for a database"))
