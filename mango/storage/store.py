"""One study's rows in a database: appended whole or not at all, read back in order.

SQLite runs in WAL mode with synchronous=FULL, so that a committed row survives a killed process and a power cut; one
connection serves the process, and an operating-system lock beside the file keeps other processes off the study.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from mango.errors import StorageError, StudyExists
from mango.storage import database
from mango.storage.packing import pack, unpack
from mango.storage.tables import FORMAT, events, metadata, presentations, snapshots, studies, trials
from mango.trial import TrialRecord

KEPT_SNAPSHOTS = 3  # so that a damaged one has a sound one before it


@dataclass(frozen=True)
class Event:
    """One row of the log.

    Attributes:
        sequence: 0, 1, 2, ... without a gap.
        kind: ``ask``, ``tell``, ``enqueue`` or ``restart``.
        at: seconds since 1970.
        payload: JSON-able: what came in, and what went out.
        arrays: the same, in arrays.
        seconds: spent inside the optimizer.
    """

    sequence: int
    kind: str
    at: float
    payload: dict[str, Any]
    arrays: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Showing:
    """One answer of one repeat, for the table of presentations; ``late`` where another attempt had closed the trial."""

    number: int
    attempt: int
    repeat: int
    value: float
    key: float
    late: bool


class Store:
    """One study in a database, owned by this process unless it is only read.

    Made by `create` or `open`. ``config`` and ``meta`` are what `create` was given; ``arrays`` too.
    """

    def __init__(self, connection: database.Connected, row: sa.Row[Any]) -> None:
        self._connected = connection
        self._engine = connection.engine
        self._id: int = row.id
        self.name: str = row.name
        self.config: dict[str, Any] = json.loads(row.config)
        self.meta: dict[str, Any] = json.loads(row.meta)
        self.arrays = unpack(row.arrays)

    @classmethod
    def create(
        cls, url: str, name: str, config: Mapping[str, Any], meta: Mapping[str, Any], arrays: Mapping[str, Any]
    ) -> Store:
        """A new study of that name.

        Raises:
            StudyExists: there is one already.
            StudyLocked: another process owns it.
            StorageError: the database cannot be written.
        """
        texts, packed = (json.dumps(config), json.dumps(meta)), pack(arrays)
        row = {
            "name": name,
            "format": FORMAT,
            "created_at": time.time(),
            "config": texts[0],
            "meta": texts[1],
            "arrays": packed,
            "digest": _digest(*texts, packed),
        }
        connected = database.connect(url, name, create=True, own=True)
        try:
            with connected.errors(), connected.engine.begin() as connection:
                metadata.create_all(connection)
                if connection.execute(sa.select(studies.c.id).where(studies.c.name == name)).first():
                    raise StudyExists(
                        f"{connected.where} already holds a study {name!r}; resume it, or choose another place or name"
                    )
                connection.execute(sa.insert(studies), row)
            return cls._found(connected, name)
        except BaseException:
            connected.close()
            raise

    @classmethod
    def open(cls, url: str, name: str, *, own: bool = True) -> Store:
        """An existing study; ``own=False`` only reads, beside whoever owns it.

        Raises:
            StudyLocked: another process owns it.
            StorageError: no such study, or the database is damaged.
        """
        connected = database.connect(url, name, create=False, own=own)
        try:
            connected.check()
            return cls._found(connected, name)
        except BaseException:
            connected.close()
            raise

    @classmethod
    def _found(cls, connected: database.Connected, name: str) -> Store:
        with connected.errors(), connected.engine.connect() as connection:
            if not sa.inspect(connection).has_table(studies.name):
                raise StorageError(f"{connected.where} holds no study; it is empty or was not written by mango")
            row = connection.execute(sa.select(studies).where(studies.c.name == name)).first()
            names = (
                connection.execute(sa.select(studies.c.name).order_by(studies.c.id)).scalars().all()
                if row is None
                else []
            )
        if row is None:
            raise StorageError(f"{connected.where} holds no study {name!r}; it holds: {', '.join(names) or 'none'}")
        if row.format > FORMAT:
            raise StorageError(f"{connected.where} was written by a newer mango (format {row.format}); update mango")
        if row.digest != _digest(row.config, row.meta, row.arrays):
            raise StorageError(f"{connected.where} is damaged: the configuration of {name!r} was altered")
        return cls(connected, row)

    def close(self) -> None:
        """Closes the database and lets other processes have the study; closing twice is nothing."""
        self._connected.close()

    # -- events ----------------------------------------------------------------------------------------------------

    def append(
        self,
        event: Event,
        *,
        asked: Sequence[TrialRecord] = (),
        changed: Sequence[TrialRecord] = (),
        showings: Sequence[Showing] = (),
    ) -> None:
        """Commits one event and what it changes in the tables, all or nothing.

        Raises:
            StorageError: it could not be committed.
        """
        payload, arrays = json.dumps(event.payload), pack(event.arrays) if event.arrays else None
        row = {
            "study_id": self._id,
            "sequence": event.sequence,
            "kind": event.kind,
            "at": event.at,
            "seconds": event.seconds,
            "payload": payload,
            "arrays": arrays,
            "digest": _digest(event.kind, payload, arrays),
        }
        with self._writing() as connection:
            connection.execute(sa.insert(events), row)
            if asked:
                new = [{"number": r.number, "sequence": event.sequence, **self._columns(r)} for r in asked]
                connection.execute(sa.insert(trials), new)
            if changed:
                which = (trials.c.study_id == self._id) & (trials.c.number == sa.bindparam("which"))
                connection.execute(
                    sa.update(trials).where(which), [{"which": r.number, **self._columns(r)} for r in changed]
                )
            if showings:
                connection.execute(sa.insert(presentations), [self._showing(s, event.sequence) for s in showings])

    def events(self, first: int = 0) -> Iterator[Event]:
        """The log from sequence ``first`` on, in order.

        Raises:
            StorageError: a row is missing or damaged.
        """
        query = sa.select(events).where(events.c.study_id == self._id, events.c.sequence >= first)
        with self._connected.errors(), self._engine.connect() as connection:
            for expected, row in enumerate(connection.execute(query.order_by(events.c.sequence)), first):
                if row.sequence != expected or row.digest != _digest(row.kind, row.payload, row.arrays):
                    raise StorageError(
                        f"{self._connected.where} is damaged: event {expected} is missing or was altered"
                    )
                arrays = unpack(row.arrays) if row.arrays else {}
                yield Event(row.sequence, row.kind, row.at, json.loads(row.payload), arrays, row.seconds)

    def trial_rows(self) -> list[dict[str, Any]]:
        """The table of trials, by number."""
        query = sa.select(trials).where(trials.c.study_id == self._id).order_by(trials.c.number)
        with self._connected.errors(), self._engine.connect() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    # -- snapshots -------------------------------------------------------------------------------------------------

    def save_snapshot(self, sequence: int, state: Mapping[str, Any]) -> None:
        """Keeps the optimizer's state after event ``sequence``, and only the last few of such.

        Raises:
            StorageError: it could not be committed.
        """
        blob = pack(state)
        row = {"study_id": self._id, "sequence": sequence, "state": blob, "digest": hashlib.sha256(blob).hexdigest()}
        mine = snapshots.c.study_id == self._id
        with self._writing() as connection:
            connection.execute(sa.delete(snapshots).where(mine, snapshots.c.sequence == sequence))
            connection.execute(sa.insert(snapshots), row)
            newest = sa.select(snapshots.c.sequence).where(mine).order_by(snapshots.c.sequence.desc())
            kept = connection.execute(newest.limit(KEPT_SNAPSHOTS)).scalars().all()
            connection.execute(sa.delete(snapshots).where(mine, snapshots.c.sequence < kept[-1]))

    def snapshots(self) -> list[tuple[int, dict[str, Any]]]:
        """Sequences and states of the sound snapshots, the newest first; damaged ones are passed over."""
        query = sa.select(snapshots).where(snapshots.c.study_id == self._id).order_by(snapshots.c.sequence.desc())
        with self._connected.errors(), self._engine.connect() as connection:
            rows = connection.execute(query).all()
        return [(r.sequence, unpack(r.state)) for r in rows if hashlib.sha256(r.state).hexdigest() == r.digest]

    # -- private ---------------------------------------------------------------------------------------------------

    @contextmanager
    def _writing(self) -> Iterator[sa.Connection]:
        with self._connected.errors(), self._engine.begin() as connection:
            yield connection

    def _columns(self, record: TrialRecord) -> dict[str, Any]:
        return {
            "study_id": self._id,
            "state": str(record.state),
            "attempt": record.attempt,
            "origin": record.origin,
            "log_prior": _null(record.log_prior),
            "value": _null(record.value),
            "key": _null(record.key),
            "asked_at": record.asked_at,
            "told_at": _null(record.told_at),
            "seconds": record.seconds,
            "reason": record.reason,
        }

    def _showing(self, showing: Showing, sequence: int) -> dict[str, Any]:
        return {
            "study_id": self._id,
            "number": showing.number,
            "attempt": showing.attempt,
            "repeat": showing.repeat,
            "sequence": sequence,
            "value": _null(showing.value),
            "key": _null(showing.key),
            "late": showing.late,
        }


def _digest(*parts: Any) -> str:
    """SHA-256 of texts, bytes and None, or of whatever else damage made of them."""
    as_bytes = (part if isinstance(part, bytes) else str(part).encode() for part in parts)
    return hashlib.sha256(b"\0".join(as_bytes)).hexdigest()


def _null(number: float) -> float | None:
    return None if number != number else number
