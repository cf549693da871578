"""Events, trials and stores that the tests of the storage share."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mango.storage import Database, Event, Extra, Showing, Store
from mango.trial import TrialRecord, TrialState

NAN = math.nan
DIM = 3


def create(storage: str | Database, name: str = "study") -> Store:
    return Store.create(storage, name, {"seed": 3}, {"who": "me"}, {"natural": np.arange(3)})


def code(number: int) -> np.ndarray:
    return np.array([number, -0.0, 1 / (number + 3)])


def record(number: int, **told: Any) -> TrialRecord:
    return TrialRecord(number, code(number), "first", 1, 1.0 + number, **told)


def done(number: int, value: float, **more: Any) -> TrialRecord:
    return record(
        number,
        state=TrialState.LOST if math.isnan(value) else TrialState.DONE,
        values=(value,),
        value=value,
        attempt=1,
        told_at=2.0 + number,
        seconds=0.1,
        **more,
    )


def ask(store: Store, sequence: int, numbers: range, *, enqueued: int = 0, extra: Extra | None = None) -> Event:
    """Appends an ask of these trials, of which the first few had been enqueued."""
    codes = np.array([code(n) for n in numbers[enqueued:]]).reshape(-1, DIM)
    event = Event(sequence, "ask", 1.5 + sequence, {"n": len(numbers)}, {"codes": codes}, 0.25)
    store.append(event, asked=[record(n) for n in numbers], extra=extra)
    return event


def tell(store: Store, sequence: int, values: dict[int, float], *, extra: Extra | None = None) -> Event:
    """Appends the first answers to these trials."""
    event = Event(sequence, "tell", 1.5 + sequence, {"results": [[n, repr(v)] for n, v in values.items()]})
    showings = [Showing(number, 1, 0, value, NAN, False) for number, value in values.items()]
    store.append(event, changed=[done(n, v) for n, v in values.items()], showings=showings, extra=extra)
    return event
