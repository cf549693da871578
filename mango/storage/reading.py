"""What can be read of one study, some rows at a time: only `Reader.events` goes through the whole log."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from mango.errors import InputError, StorageError
from mango.storage.database import Database
from mango.storage.packing import unpack
from mango.storage.rows import CODE, RESPONSE, Answer, Event, Lease, Reference, Response, Showing, Standing, digest, nan
from mango.storage.tables import (
    EARLY_TABLES,
    FIRST_COLUMNS,
    answers,
    events,
    leases,
    presentations,
    references,
    responses,
    snapshots,
    standings,
    trials,
)

EVENTS_AT_ONCE = 100  # of the log: a page of 40 x 512 codes each is 16 MB
NUMBERS_AT_ONCE = 500  # in one query


class Reader:
    """One study in a database, to be read.

    Attributes:
        database: that holds it.
        id: of its rows.
        name, created_at: of the study; seconds since 1970.
        config, meta, arrays: what it was created with.
    """

    def __init__(self, database: Database, row: sa.Row[Any]) -> None:
        self.database = database
        self.id: int = row.id
        self.name: str = row.name
        self.created_at: float = row.created_at
        self.config: dict[str, Any] = json.loads(row.config)
        self.meta: dict[str, Any] = json.loads(row.meta)
        self.arrays = unpack(row.arrays)

    # -- the log ---------------------------------------------------------------------------------------------------

    def events(self, first: int = 0) -> Iterator[Event]:
        """The log from sequence ``first`` on, in order.

        Raises:
            StorageError: a row is missing or damaged.
        """
        while rows := self._events(events.c.sequence >= first, EVENTS_AT_ONCE):
            for expected, row in enumerate(rows, first):
                yield self._event(row, expected)
            first += len(rows)

    def restarts(self) -> list[Event]:
        """The events that say from which state the optimizer went on although it did not repeat its proposals.

        Raises:
            StorageError: a row is damaged.
        """
        return [self._event(row, row.sequence) for row in self._events(events.c.kind == "restart")]

    def last(self) -> int:
        """The sequence of the last event; -1 before the first."""
        with self.database.reading() as connection:
            return self._last(connection)

    def settled(self) -> tuple[int, list[dict[str, Any]]]:
        """`last`, and the table of trials as that event left it, also while whoever owns the study goes on."""
        table = sa.select(*FIRST_COLUMNS).where(trials.c.study_id == self.id).order_by(trials.c.number)
        with self.database.reading(steady=True) as connection:
            last = self._last(connection)
            return last, [dict(row) for row in connection.execute(table).mappings()]

    def log(self, first: int = 0, limit: int = 1000) -> list[Event]:
        """Up to ``limit`` events from sequence ``first`` on without their arrays, unchecked: to show, not to replay."""
        columns = (column for column in events.c if column.name != "arrays")
        query = sa.select(*columns).where(events.c.study_id == self.id, events.c.sequence >= first)
        rows = self._all(query.order_by(events.c.sequence).limit(limit))
        return [Event(r.sequence, r.kind, r.at, json.loads(r.payload), {}, r.seconds) for r in rows]

    def snapshots(self) -> list[tuple[int, dict[str, Any]]]:
        """Sequences and states of the sound snapshots, the newest first; damaged ones are passed over."""
        query = sa.select(snapshots).where(snapshots.c.study_id == self.id).order_by(snapshots.c.sequence.desc())
        return [(r.sequence, unpack(r.state)) for r in self._all(query) if digest(r.state) == r.digest]

    # -- trials ----------------------------------------------------------------------------------------------------

    def trial_rows(
        self, *, after: int = -1, state: str | None = None, limit: int | None = None
    ) -> list[dict[str, Any]]:
        """The table of trials, by number.

        Args:
            after: only numbers above it.
            state: only those of it, see `mango.trial.TrialState`.
            limit: no more than so many.
        """
        return self._trials(state, trials.c.number > after, (trials.c.number,), limit)

    def latest_rows(self, limit: int, *, before: int | None = None, state: str | None = None) -> list[dict[str, Any]]:
        """The table of trials from its end, the highest number first; ``before`` as ``after`` of `trial_rows`."""
        wanted = sa.true() if before is None else trials.c.number < before
        return self._trials(state, wanted, (trials.c.number.desc(),), limit)

    def best_rows(
        self, limit: int, *, weight: float = 0.0, band: tuple[float, float] | None = None
    ) -> list[dict[str, Any]]:
        """The best trials, equal ones by key and then the earlier.

        Args:
            limit: no more than so many.
            weight: of the penalty outside the natural band, see `mango.naturalness.penalty`.
            band: where the weight is not 0.
        """
        order = (_heard(weight, band).desc().nulls_last(), trials.c.key.desc().nulls_last(), trials.c.number)
        return self._trials(None, trials.c.value.is_not(None), order, limit)

    def counts(self) -> dict[str, int]:
        """Trials by their state, of those states that any has."""
        query = sa.select(trials.c.state, sa.func.count().label("held")).where(trials.c.study_id == self.id)
        return {row.state: row.held for row in self._all(query.group_by(trials.c.state))}

    def improvements(self, *, weight: float = 0.0, band: tuple[float, float] | None = None) -> list[tuple[int, float]]:
        """Numbers and values of the trials that beat every one of a lower number: the curve of convergence.

        Args:
            weight: see `best_rows`.
            band: see `best_rows`.
        """
        heard = _heard(weight, band)
        earlier = sa.func.max(heard).over(order_by=trials.c.number, rows=(None, -1)).label("earlier")
        measured = sa.select(trials.c.number, trials.c.value, heard.label("heard"), earlier).where(
            trials.c.study_id == self.id, heard.is_not(None)
        )
        found = measured.subquery()
        better = found.c.earlier.is_(None) | (found.c.heard > found.c.earlier)
        rows = self._all(sa.select(found.c.number, found.c.value).where(better).order_by(found.c.number))
        return [(row.number, row.value) for row in rows]

    def origins(self) -> list[tuple[str, int, float]]:
        """Why trials were asked: each origin, how many trials it has, and its highest value; NaN where it has none."""
        held, best = sa.func.count().label("held"), sa.func.max(trials.c.value).label("best")
        query = sa.select(trials.c.origin, held, best).where(trials.c.study_id == self.id)
        rows = self._all(query.group_by(trials.c.origin).order_by(trials.c.origin))
        return [(row.origin, row.held, nan(row.best)) for row in rows]

    def codes(self, numbers: Sequence[int]) -> NDArray[np.float64]:
        """Codes ``(n, dim)`` of these trials; only the events that hold them are read.

        Raises:
            InputError: a trial that was never asked, or no number.
            StorageError: an event is missing or damaged.
        """
        found = {row.number: row for row in self._by_number(trials, numbers)}
        missing = [number for number in numbers if number not in found]
        if missing or not found:
            raise InputError(f"codes are of trials that were asked; got {missing[:10] or 'none'}")
        asks = {row.sequence: self._codes_of(row.sequence) for row in found.values() if row.code is None}
        codes = []
        for number in numbers:
            row = found[number]
            if row.code is not None:
                codes.append(unpack(row.code)[CODE])
            elif row.place is not None and row.place < len(asks[row.sequence]):
                codes.append(asks[row.sequence][row.place])
            else:
                raise StorageError(f"{self.database.where} is damaged: the code of trial {number} is missing")
        return np.array(codes, np.float64)

    def showings(self, numbers: Sequence[int]) -> list[Showing]:
        """The answers to these trials, by number, attempt and repeat; late ones too."""
        rows = self._by_number(presentations, numbers)
        return [Showing(r.number, r.attempt, r.repeat, nan(r.value), nan(r.key), r.late) for r in rows]

    def late(self) -> int:
        """Answers to trials that another attempt had closed."""
        query = sa.select(presentations.c.number, presentations.c.attempt).distinct()
        query = query.where(presentations.c.study_id == self.id, presentations.c.late)
        return int(self._all(sa.select(sa.func.count()).select_from(query.subquery()))[0][0])

    def responses(self, numbers: Sequence[int]) -> list[Response]:
        """What was recorded for these trials, by number and attempt.

        Raises:
            StorageError: a row is damaged.
        """
        found = []
        for row in self._by_number(responses, numbers):
            if row.digest != digest(row.response):
                raise StorageError(f"{self.database.where} is damaged: the response of trial {row.number} was altered")
            found.append(Response(row.number, row.attempt, unpack(row.response)[RESPONSE]))
        return found

    # -- a service's -----------------------------------------------------------------------------------------------

    def standing(self) -> Standing:
        """Whether the study runs, as of its last event."""
        rows = self._kept(sa.select(standings).where(standings.c.study_id == self.id))
        return Standing(rows[0].state, rows[0].at, rows[0].by) if rows else Standing()

    def answer(self, operation: str, key: str) -> Answer | None:
        """What was answered under an idempotency key; None where nothing was."""
        query = sa.select(answers).where(
            answers.c.study_id == self.id, answers.c.operation == operation, answers.c.key == key
        )
        rows = self._kept(query)
        return Answer(operation, key, rows[0].digest, rows[0].answer, rows[0].at) if rows else None

    def running_leases(self) -> list[Lease]:
        """The leases that have not ended, those that run out first before."""
        query = sa.select(leases).where(leases.c.study_id == self.id, leases.c.until.is_not(None))
        rows = self._kept(query.order_by(leases.c.until, leases.c.number))
        return [Lease(r.number, r.attempt, r.token, r.until) for r in rows]

    def leases(self, numbers: Sequence[int]) -> list[Lease]:
        """Every lease of these trials, by number and attempt."""
        rows = self._by_number(leases, numbers)
        return [Lease(r.number, r.attempt, r.token, nan(r.until)) for r in rows]

    def references(self, *, after: int = -1, limit: int | None = None) -> list[Reference]:
        """Showings of reference images by number, only those above ``after`` and no more than ``limit``."""
        query = sa.select(references).where(references.c.study_id == self.id, references.c.number > after)
        rows = self._kept(query.order_by(references.c.number).limit(limit))
        return [Reference(r.number, r.image, r.asked_at, nan(r.told_at), nan(r.value)) for r in rows]

    # -- private ---------------------------------------------------------------------------------------------------

    def _all(self, query: sa.Select[Any]) -> Sequence[sa.Row[Any]]:
        with self.database.reading() as connection:
            return connection.execute(query).all()

    def _kept(self, query: sa.Select[Any]) -> Sequence[sa.Row[Any]]:
        """Of what a service keeps."""
        self.database.needs_upgrade()
        return self._all(query)

    def _last(self, connection: sa.Connection) -> int:
        found = connection.execute(sa.select(sa.func.max(events.c.sequence)).where(events.c.study_id == self.id))
        last: int | None = found.scalar()
        return -1 if last is None else last

    def _event(self, row: sa.Row[Any], expected: int) -> Event:
        if row.sequence != expected or row.digest != digest(row.kind, row.payload, row.arrays):
            raise StorageError(f"{self.database.where} is damaged: event {expected} is missing or was altered")
        arrays = unpack(row.arrays) if row.arrays else {}
        return Event(row.sequence, row.kind, row.at, json.loads(row.payload), arrays, row.seconds)

    def _events(self, where: sa.ColumnElement[bool], limit: int | None = None) -> Sequence[sa.Row[Any]]:
        query = sa.select(events).where(events.c.study_id == self.id, where).execution_options(binary=True)
        return self._all(query.order_by(events.c.sequence).limit(limit))

    def _codes_of(self, sequence: int) -> Sequence[Any]:
        for row in self._events(events.c.sequence == sequence, 1):
            if row.arrays and row.digest == digest(row.kind, row.payload, row.arrays):
                codes: Sequence[Any] = unpack(row.arrays).get("codes", ())
                return codes
        raise StorageError(f"{self.database.where} is damaged: event {sequence} is missing or was altered")

    def _trials(
        self, state: str | None, where: sa.ColumnElement[bool], order: tuple[Any, ...], limit: int | None
    ) -> list[dict[str, Any]]:
        query = sa.select(*FIRST_COLUMNS).where(trials.c.study_id == self.id, where)
        if state is not None:
            query = query.where(trials.c.state == str(state))
        with self.database.reading() as connection:
            return [dict(row) for row in connection.execute(query.order_by(*order).limit(limit)).mappings()]

    def _by_number(self, table: sa.Table, numbers: Sequence[int]) -> list[sa.Row[Any]]:
        """The rows of these trials, in the order of the table's key."""
        if table not in EARLY_TABLES or table is trials:  # of which all columns are read
            self.database.needs_upgrade()
        rows: list[sa.Row[Any]] = []
        wanted = sorted({int(number) for number in numbers})
        query = sa.select(table).where(table.c.study_id == self.id).order_by(*table.primary_key)
        for first in range(0, len(wanted), NUMBERS_AT_ONCE):
            rows += self._all(query.where(table.c.number.in_(wanted[first : first + NUMBERS_AT_ONCE])))
        return rows


def _heard(weight: float, band: tuple[float, float] | None) -> sa.ColumnElement[Any]:
    """What trials are best by: the value, or its sum with the weighted penalty, as `mango.naturalness` computes it."""
    if band is None:
        return trials.c.value
    (low, high), nats = band, trials.c.log_prior
    outside = sa.case((nats < low, low - nats), (nats > high, nats - high), (nats.is_not(None), 0.0))
    return trials.c.value - weight * (outside / (high - low))
