"""Which open trials wait for a hand, and which are in one, perhaps under a lease."""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterable


class Handing:
    """The open trials of a study.

    Attributes:
        open: numbers of trials that were created and not closed.
    """

    def __init__(self) -> None:
        self.open: set[int] = set()
        self._waiting: list[int] = []  # sorted
        self._until: dict[int, float] = {}  # of trials in a hand, under a lease

    @property
    def waiting(self) -> int:
        """How many trials wait."""
        return len(self._waiting)

    @property
    def in_hand(self) -> set[int]:
        """Open trials that someone has."""
        return self.open.difference(self._waiting)

    @property
    def leased(self) -> set[int]:
        """Open trials that someone has under a lease."""
        return set(self._until)

    def until(self, number: int) -> float:
        """When the lease of a trial ends, in seconds since 1970; infinity without one."""
        return self._until.get(number, math.inf)

    def expired(self, now: float) -> list[int]:
        """Open trials whose lease has ended."""
        return sorted(number for number, until in self._until.items() if until <= now)

    def create(self, numbers: range) -> None:
        """New trials, whose numbers follow those of all others: they wait."""
        self.open.update(numbers)
        self._waiting += numbers

    def wait(self, numbers: Iterable[int]) -> None:
        """Open trials wait for another hand."""
        for number in self.in_hand.intersection(numbers):
            bisect.insort(self._waiting, number)
            self._until.pop(number, None)

    def take(self, wanted: int, until: float | None) -> list[int]:
        """The first trials that wait go out, under a lease where ``until`` says when it ends."""
        taken, self._waiting = self._waiting[:wanted], self._waiting[wanted:]
        if until is not None:
            self._until.update(dict.fromkeys(taken, until))
        return taken

    def close(self, number: int) -> None:
        """A trial was answered, perhaps by an earlier attempt while it waited for the next."""
        self.open.discard(number)
        self._until.pop(number, None)
        place = bisect.bisect_left(self._waiting, number)
        if self._waiting[place : place + 1] == [number]:
            del self._waiting[place]
