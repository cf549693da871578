"""One study's rows in a database: appended whole or not at all, by the one process that owns the study.

SQLite runs in WAL mode with synchronous=FULL and PostgreSQL with synchronous_commit, so that a committed row survives a
killed process and a power cut. `mango.storage.ownership` says who may write.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, lru_cache
from operator import itemgetter
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError
from sqlalchemy.sql.compiler import SQLCompiler

from mango.errors import StorageError, StudyExists
from mango.storage.database import Database
from mango.storage.ownership import Ownership
from mango.storage.packing import pack
from mango.storage.reading import Reader
from mango.storage.rows import (
    ASKED,
    LEFT,
    SHOWN,
    Event,
    Extra,
    Showing,
    asked_rows,
    columns,
    digest,
    event_columns,
    left,
    response_columns,
    shown,
    study_columns,
)
from mango.storage.tables import (
    FORMAT,
    answers,
    events,
    leases,
    metadata,
    presentations,
    references,
    responses,
    snapshots,
    standings,
    studies,
    trials,
)
from mango.trial import TrialRecord

KEPT_SNAPSHOTS = 3  # so that a damaged one has a sound one before it

# Statements are made once, and rows go to the driver as they are: to make a statement, or to look at each row, takes
# longer than to execute it. They name one row each: given many numbers, PostgreSQL reads the whole study where it has
# not analysed the table yet.
_CHANGE = sa.update(trials).where(trials.c.study_id == sa.bindparam("of"), trials.c.number == sa.bindparam("which"))
_CHANGED = ("of", "which", *LEFT[1:])
_END = (
    sa.update(leases)
    .where(leases.c.study_id == sa.bindparam("of"), leases.c.number == sa.bindparam("which"))
    .values(until=sa.null())
)


class Store(Reader):
    """One study in a database, owned by this process unless it is only read.

    Made by `create` or `open`, from the URL of a database or from a `Database` that many stores share; the latter is
    left open.
    """

    def __init__(self, database: Database, row: sa.Row[Any], ownership: Ownership | None, *, shared: bool) -> None:
        super().__init__(database, row)
        self._ownership = ownership
        self._shared = shared

    @classmethod
    def create(
        cls,
        storage: str | Database,
        name: str,
        config: Mapping[str, Any],
        meta: Mapping[str, Any],
        arrays: Mapping[str, Any],
    ) -> Store:
        """A new study of that name.

        Raises:
            StudyExists: there is one already.
            StudyLocked: another process owns it.
            StorageError: the database cannot be written.
        """
        row = study_columns(name, time.time(), config, meta, arrays)
        with _opened(storage, write=True) as database:
            lock = database.lock(name, create=True)
            ownership: Ownership = lock
            try:
                database.prepare(create=True)
                with database.writing() as connection:
                    study = insert_study(connection, database.where, row)
                    ownership = database.own(connection, study, name, lock)
                ownership.hold()
                return cls(database, _found(database, name), ownership, shared=database is storage)
            except BaseException:
                ownership.release()
                raise

    @classmethod
    def open(cls, storage: str | Database, name: str, *, own: bool = True) -> Store:
        """An existing study; ``own=False`` only reads, beside whoever owns it.

        A database that is opened for it is first read as a whole for damage; see `Database.check`.

        Raises:
            StudyLocked: another process owns it.
            StorageError: no such study, or the database is damaged.
        """
        with _opened(storage, write=own) as database:
            lock = database.lock(name, create=False) if own else None
            ownership: Ownership | None = lock
            try:
                if database is not storage:
                    database.check()
                row = _found(database, name)
                if lock is not None:
                    with database.writing() as connection:
                        ownership = database.own(connection, row.id, name, lock)
                    ownership.hold()
                return cls(database, row, ownership, shared=database is storage)
            except BaseException:
                if ownership is not None:
                    ownership.release()
                raise

    def close(self) -> None:
        """Closes the database, unless others share it, and lets other processes have the study; twice is nothing."""
        if not self._shared:
            self.database.close()
        if self._ownership is not None:
            self._ownership.release()
            self._ownership = None

    @property
    def lost(self) -> bool:
        """Whether another process is known to have taken the study over; then it must be opened again."""
        return self._ownership is not None and self._ownership.lost

    # -- writing ---------------------------------------------------------------------------------------------------

    def append(
        self,
        event: Event,
        *,
        asked: Sequence[TrialRecord] = (),
        changed: Sequence[TrialRecord] = (),
        showings: Sequence[Showing] = (),
        extra: Extra | None = None,
    ) -> None:
        """Commits one event and what it changes in the tables, all or nothing.

        Args:
            event: the next of the log.
            asked: trials that it made, by number; enqueued ones, whose codes its arrays do not hold, come first.
            changed: trials as it left them.
            showings: answers that it brought.
            extra: what a service keeps with it.

        Raises:
            StudyLocked: another process has taken the study over.
            StorageError: it could not be committed.
        """
        logged = event_columns(event)  # packed before other writers are kept waiting
        with self._writing() as connection:
            self._insert(connection, events, [logged])
            mine = self.id, event.sequence
            if asked:
                new = [(*mine, *row) for row in asked_rows(asked, len(event.arrays.get("codes", ())))]
                _execute(connection, _inserting(trials), ("study_id", "sequence", *ASKED), new)
            if changed:
                _execute(connection, _CHANGE, _CHANGED, [(self.id, *left(record)) for record in changed])
            if showings:
                told = [(*mine, *shown(showing)) for showing in showings]
                _execute(connection, _inserting(presentations), ("study_id", "sequence", *SHOWN), told)
            if extra is not None:
                self._record(connection, extra)

    def record(self, extra: Extra) -> None:
        """Commits what belongs to no event: a lease that runs longer, a pause, showings of references.

        Raises:
            StudyLocked: another process has taken the study over.
            StorageError: it could not be committed.
        """
        with self._writing() as connection:
            self._record(connection, extra)

    def save_snapshot(self, sequence: int, state: Mapping[str, Any]) -> None:
        """Keeps the optimizer's state after event ``sequence``, and only the last few of such.

        Raises:
            StudyLocked: another process has taken the study over.
            StorageError: it could not be committed.
        """
        blob = pack(state)
        mine = snapshots.c.study_id == self.id
        with self._writing() as connection:
            connection.execute(sa.delete(snapshots).where(mine, snapshots.c.sequence == sequence))
            self._insert(connection, snapshots, [{"sequence": sequence, "state": blob, "digest": digest(blob)}])
            newest = sa.select(snapshots.c.sequence).where(mine).order_by(snapshots.c.sequence.desc())
            kept = connection.execute(newest.limit(KEPT_SNAPSHOTS)).scalars().all()
            connection.execute(sa.delete(snapshots).where(mine, snapshots.c.sequence < kept[-1]))

    def delete(self) -> None:
        """Deletes the study and all that is kept of it, in one transaction, and closes.

        Raises:
            StudyLocked: another process has taken the study over.
            StorageError: it could not be committed.
        """
        with self._writing() as connection:
            for table in reversed(metadata.sorted_tables):
                column = table.c.id if table is studies else table.c.study_id
                connection.execute(sa.delete(table).where(column == self.id))
        self.close()

    # -- private ---------------------------------------------------------------------------------------------------

    @contextmanager
    def _writing(self) -> Iterator[sa.Connection]:
        if self._ownership is None:
            raise StorageError(f"the study {self.name!r} is closed, or was opened with own=False to be read")
        with self.database.writing() as connection:
            self._ownership.check(connection)
            yield connection

    def _insert(self, connection: sa.Connection, table: sa.Table, rows: list[dict[str, Any]]) -> None:
        self._each(connection, _inserting(table), rows)

    def _replace(self, connection: sa.Connection, table: sa.Table, rows: list[dict[str, Any]]) -> None:
        self._each(connection, _replacing(table, connection.dialect.name), rows)

    def _each(self, connection: sa.Connection, statement: sa.Insert, rows: list[dict[str, Any]]) -> None:
        """Inserts rows of this study, which all have the same columns."""
        names = ("study_id", *rows[0])
        _execute(connection, statement, names, [(self.id, *row.values()) for row in rows])

    def _record(self, connection: sa.Connection, extra: Extra) -> None:
        if extra.answers:
            self._insert(connection, answers, [columns(row) for row in extra.answers])
        if extra.ended:
            _execute(connection, _END, ("of", "which"), [(self.id, number) for number in extra.ended])
        if extra.leases:
            self._replace(connection, leases, [columns(row) for row in extra.leases])
        if extra.references:
            self._replace(connection, references, [columns(row) for row in extra.references])
        if extra.responses:
            self._insert(connection, responses, [response_columns(row) for row in extra.responses])
        if extra.standing is not None:
            self._replace(connection, standings, [columns(extra.standing)])


def _execute(
    connection: sa.Connection, statement: sa.UpdateBase, names: tuple[str, ...], rows: list[tuple[Any, ...]]
) -> None:
    """Executes a statement once for each row of values that drivers take as they are; each has such a name."""
    text, places = _compiled(statement, names, connection.dialect)
    if places is None:
        connection.exec_driver_sql(text, [dict(zip(names, row, strict=True)) for row in rows])
    else:  # SQLite's own cursor: what lies around it takes longer than the statement
        connection.connection.cursor().executemany(text, [places(row) for row in rows])


@lru_cache(maxsize=100)
def _compiled(
    statement: sa.UpdateBase, names: tuple[str, ...], dialect: sa.Dialect
) -> tuple[str, Callable[[tuple[Any, ...]], tuple[Any, ...]] | None]:
    """A statement as the driver takes it, and how it has a row's values; None: by their names."""
    compiled = statement.compile(dialect=dialect, column_keys=list(names))
    assert isinstance(compiled, SQLCompiler)
    if not compiled.positional:
        return compiled.string, None
    return compiled.string, itemgetter(*(names.index(name) for name in compiled.positiontup or ()))


@cache
def _inserting(table: sa.Table) -> sa.Insert:
    return sa.insert(table)


@cache
def _replacing(table: sa.Table, dialect: str) -> sa.Insert:
    """Inserts rows, or puts them in the place of those with the same key."""
    insert = sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)
    values = {column.name: insert.excluded[column.name] for column in table.c if not column.primary_key}
    return insert.on_conflict_do_update(index_elements=list(table.primary_key), set_=values)


def held(where: str, name: str) -> StudyExists:
    """What to say where a database has a study of that name."""
    return StudyExists(f"{where} already holds a study {name!r}; resume it, or choose another place or name")


def insert_study(connection: sa.Connection, where: str, row: Mapping[str, Any]) -> int:
    """A new row of studies; its id.

    Raises:
        StudyExists: there is one of that name already.
    """
    exists = held(where, row["name"])
    query = sa.select(studies.c.id).where(studies.c.name == row["name"])
    if connection.execute(query).first():
        raise exists
    try:
        connection.execute(sa.insert(studies), row)
    except IntegrityError as error:  # another process was faster
        raise exists from error
    return int(connection.execute(query).scalar_one())


@contextmanager
def _opened(storage: str | Database, *, write: bool) -> Iterator[Database]:
    """The database of a URL, closed where something is raised; or the one that others share, left open."""
    if isinstance(storage, Database):
        yield storage
        return
    database = Database(storage, write=write)
    try:
        yield database
    except BaseException:
        database.close()
        raise


def _found(database: Database, name: str) -> sa.Row[Any]:
    """The row of a study, checked."""
    where = database.where
    if not database.prepare():
        raise StorageError(f"{where} holds no study; it is empty or was not written by mango")
    with database.reading() as connection:
        row = connection.execute(sa.select(studies).where(studies.c.name == name)).first()
        names = connection.execute(sa.select(studies.c.name).order_by(studies.c.id)).scalars() if row is None else ()
        if row is None:
            raise StorageError(f"{where} holds no study {name!r}; it holds: {', '.join(names) or 'none'}")
    if row.format > FORMAT:
        raise StorageError(f"{where} was written by a newer mango (format {row.format}); update mango")
    if row.digest != digest(row.config, row.meta, row.arrays):
        raise StorageError(f"{where} is damaged: the configuration of {name!r} was altered")
    return row
