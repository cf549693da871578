"""What is written with an event or beside it, and the columns that it becomes."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from mango.storage.packing import pack
from mango.storage.tables import FORMAT
from mango.trial import TrialRecord

CODE = "code"  # the one entry of a packed code
RESPONSE = "response"  # the one entry of a packed response


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


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request was answered, so that the same request gets the same answer.

    Attributes:
        operation: ``ask``, ``tell``, ...; a key is the operation's own.
        key: the client's idempotency key.
        digest: SHA-256 of the request's body, 64 hexadecimal digits.
        answer: JSON; it should name trials rather than repeat their codes.
        at: seconds since 1970.
    """

    operation: str
    key: str
    digest: str
    answer: bytes
    at: float


@dataclass(frozen=True, slots=True)
class Lease:
    """One hand-out of one trial.

    Attributes:
        number, attempt: of the hand-out.
        token: what its holder shows, up to 64 characters.
        until: seconds since 1970; NaN once it has ended.
    """

    number: int
    attempt: int
    token: str
    until: float


@dataclass(frozen=True, slots=True)
class Reference:
    """One showing of a reference image, of which the optimizer is never told.

    Attributes:
        number: 0, 1, 2, ..., a count of their own.
        image: which of the reference images.
        asked_at, told_at: seconds since 1970; NaN while it is not answered.
        value: the response; NaN where there is none.
    """

    number: int
    image: str
    asked_at: float
    told_at: float = math.nan
    value: float = math.nan


@dataclass(frozen=True, slots=True, eq=False)
class Response:
    """What was recorded for one attempt of a trial: any array of numbers, such as ``(repeats, channels)``."""

    number: int
    attempt: int
    response: NDArray[Any]


@dataclass(frozen=True, slots=True)
class Standing:
    """Whether a study runs.

    Attributes:
        state: ``running``, ``paused``, ``finished`` or ``exhausted``.
        at: since when, seconds since 1970; None where it has run since it was created.
        by: who said so.
    """

    state: str = "running"
    at: float | None = None
    by: str = ""


@dataclass(frozen=True, kw_only=True)
class Extra:
    """Rows that a service keeps beside events; all that one holds are committed together.

    Attributes:
        answers: new ones.
        leases: new ones, or ones that run longer, by number and attempt.
        ended: numbers of trials of which no lease runs any longer.
        references: new ones, or their answers, by number.
        responses: new ones.
        standing: in place of the one before.
    """

    answers: Sequence[Answer] = ()
    leases: Sequence[Lease] = ()
    ended: Sequence[int] = ()
    references: Sequence[Reference] = ()
    responses: Sequence[Response] = ()
    standing: Standing | None = None


def study_columns(
    name: str, created_at: float, config: Mapping[str, Any], meta: Mapping[str, Any], arrays: Mapping[str, Any]
) -> dict[str, Any]:
    """Of a study, but for its id."""
    texts, packed = (json.dumps(config), json.dumps(meta)), pack(arrays)
    return {
        "name": name,
        "format": FORMAT,
        "created_at": created_at,
        "config": texts[0],
        "meta": texts[1],
        "arrays": packed,
        "digest": digest(*texts, packed),
    }


def event_columns(event: Event) -> dict[str, Any]:
    """Of an event."""
    payload, arrays = json.dumps(event.payload), pack(event.arrays) if event.arrays else None
    return {
        "sequence": event.sequence,
        "kind": event.kind,
        "at": event.at,
        "seconds": event.seconds,
        "payload": payload,
        "arrays": arrays,
        "digest": digest(event.kind, payload, arrays),
    }


LEFT = ("number", "state", "attempt", "value", "key", "told_at", "seconds", "reason")
"""Columns of a trial that change: `left`."""


def left(record: TrialRecord) -> tuple[Any, ...]:
    """A trial as it stands: its `LEFT`."""
    value, key, at, seconds = record.value, record.key, record.told_at, record.seconds
    return (
        record.number,
        str(record.state),
        record.attempt,
        None if value != value else value,  # NaN, as `null` has it
        None if key != key else key,
        None if at != at else at,
        None if seconds != seconds else seconds,
        record.reason,
    )


ASKED = (*LEFT, "origin", "log_prior", "asked_at", "place", "code")
"""Columns of a new trial: `asked_rows`."""


def asked_rows(asked: Sequence[TrialRecord], codes: int) -> list[tuple[Any, ...]]:
    """Newly asked trials: their `ASKED`. The event holds the last ``codes`` of their codes, before them are enqueued.

    Args:
        asked: by number.
        codes: how many the arrays of their event hold.
    """
    first = max(0, len(asked) - codes)
    enqueued = [(None, pack({CODE: record.code})) for record in asked[:first]]
    where = [*enqueued, *((place, None) for place in range(len(asked) - first))]
    return [
        (*left(record), record.origin, null(record.log_prior), record.asked_at, *place)
        for record, place in zip(asked, where, strict=True)
    ]


def response_columns(response: Response) -> dict[str, Any]:
    """Of a response, packed."""
    blob = pack({RESPONSE: response.response})
    return {"number": response.number, "attempt": response.attempt, "response": blob, "digest": digest(blob)}


SHOWN = ("number", "attempt", "repeat", "value", "key", "late")
"""Columns of an answer of one repeat: `shown`."""


def shown(showing: Showing) -> tuple[Any, ...]:
    """An answer of one repeat: its `SHOWN`."""
    return showing.number, showing.attempt, showing.repeat, null(showing.value), null(showing.key), showing.late


def columns(row: Answer | Lease | Reference | Standing) -> dict[str, Any]:
    """Of a row whose attributes are its columns; NaN as None."""
    values = ((name, getattr(row, name)) for name in row.__slots__)
    return {name: None if value != value else value for name, value in values}


def digest(*parts: Any) -> str:
    """SHA-256 of texts, bytes and None, or of whatever else damage made of them."""
    hashed = hashlib.sha256()
    for place, part in enumerate(parts):
        hashed.update(b"\0" if place else b"")
        hashed.update(part if isinstance(part, bytes) else str(part).encode())
    return hashed.hexdigest()


def null(number: float) -> float | None:
    """None for NaN."""
    return None if number != number else number


def nan(number: float | None) -> float:
    """The inverse of `null`."""
    return math.nan if number is None else number
