"""Answers to trials: what is new in them, what contradicts an earlier one, and how the log writes them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from mango.errors import TellConflict, TellError
from mango.trial import EXPECTED, Reference, Result, TrialRecord, TrialState, too_large

_STATES = {str(state): state for state in TrialState}
_PLAIN = frozenset([float])


class Answers:
    """Every answer that was told, accepted or late.

    Args:
        repeats: values of each.
    """

    def __init__(self, repeats: int) -> None:
        self._repeats = repeats
        self._results: dict[tuple[int, int], Result] = {}  # by number and attempt

    def note(self, result: Result) -> None:
        """One more."""
        self._results[result.number, result.attempt] = result

    def fresh(self, results: Sequence[Result], records: Sequence[TrialRecord]) -> list[Result]:
        """The results that say something new, checked.

        Args:
            results: as told.
            records: of all trials, by number.

        Raises:
            TellError: a result that does not fit its trial.
            TellConflict: one that changes an earlier answer of the same attempt.
        """
        new: dict[tuple[int, int], Result] = {}
        for result in results:
            plain = _plain(result)
            slot = plain.number, plain.attempt
            self._check(plain, records)
            before = self._results.get(slot, new.get(slot))
            if before is None:
                new[slot] = plain
            elif not _same(before, plain):
                raise TellConflict(
                    f"trial {plain.number} was told {_said(before)} by attempt {plain.attempt}; "
                    f"it cannot be told {_said(plain)} as well"
                )
        return list(new.values())

    def _check(self, result: Result, records: Sequence[TrialRecord]) -> None:
        number = result.number
        if not 0 <= number < len(records):
            raise TellError(f"trial {number} was never asked; asked so far: {len(records)}, numbered from 0")
        handed = records[number].attempt
        if not 1 <= result.attempt <= handed:
            raise TellError(f"trial {number} has been handed out {handed} times; there is no attempt {result.attempt}")
        if result.status is not TrialState.FAILED and len(result.values) != self._repeats:
            raise TellError(
                f"trial {number}: expected {self._repeats} values, one for each repeat; got {len(result.values)}"
            )


def fresh_references(
    told: Mapping[int, Sequence[float]], references: Sequence[Reference]
) -> dict[int, list[float | None]]:
    """The answers to showings of references that say something new, checked; NaN is None.

    Args:
        told: values by presentation.
        references: all showings, by presentation.

    Raises:
        TellError: never handed out, or not a number for each repeat.
        TellConflict: another answer was told before.
    """
    new = {}
    for presentation, values in told.items():
        who = f"reference showing {presentation}"
        if not 0 <= presentation < len(references):
            raise TellError(f"{who} was never handed out; handed out so far: {len(references)}, from 0")
        if not values or too_large(values) is not None:
            raise TellError(f"{who}: expected {EXPECTED}; got {list(values)}")
        before, now = _nulls(references[presentation].values), _nulls([float(v) for v in values])
        if before and before != now:
            raise TellConflict(f"{who} was told {before}; it cannot be told {now} as well")
        if not before and now:
            new[presentation] = now
    return new


def told(results: Sequence[Result]) -> dict[str, Any]:
    """Results as the JSON payload of a ``tell`` event; NaN is null."""
    return {
        "results": [
            [r.number, r.attempt, str(r.status), _nulls(r.values), _nulls(r.keys), r.seconds, r.reason] for r in results
        ]
    }


def results_of(payload: dict[str, Any]) -> list[Result]:
    """The inverse of `told`."""
    rows = payload["results"]
    return [Result(n, a, floats(v) or (), floats(k), _STATES[s], t, why) for n, a, s, v, k, t, why in rows]


def floats(numbers: Sequence[float | None] | None) -> tuple[float, ...] | None:
    """Numbers of a payload; null is NaN."""
    return None if numbers is None else tuple([math.nan if v is None else v for v in numbers])


def _nulls(numbers: Sequence[float] | None) -> list[float | None] | None:
    return None if numbers is None else [None if math.isnan(v) else v for v in numbers]


def _plain(result: Result) -> Result:
    """The same result in Python's own numbers, as it will be read back."""
    if result.keys is None and result.reason == "" and _PLAIN.issuperset(map(type, (*result.values, result.seconds))):
        if type(result.number) is type(result.attempt) is int:
            return result
    values = tuple(map(float, result.values))
    keys = None if result.keys is None else tuple(map(float, result.keys))
    reason = str(result.reason).encode(errors="backslashreplace").decode().replace("\0", "")
    return Result(int(result.number), int(result.attempt), values, keys, result.status, float(result.seconds), reason)


def _same(one: Result, other: Result) -> bool:
    a, b = ((_nulls(r.values), _nulls(r.keys), r.status) for r in (one, other))
    return a == b


def _said(result: Result) -> str:
    return result.status.value if not result.values else ", ".join(f"{v!r}" for v in result.values)
