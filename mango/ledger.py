"""The state of a study as a pure function of its events; live, resumed and verified studies all run through it.

An event comes in, the trials change, and the optimizer is asked and told through a `Voice`: live, the optimizer speaks
and is written down; on resume its words are compared with what was written; before a snapshot the writing speaks alone.

In ordered mode a batch is ``batch`` trials (enqueued ones first), asked once all batches up to the one before the last
are closed; before that the optimizer is told exactly those batches, in number order. What it asks therefore does not
depend on when or in which order answers arrive. Otherwise it is asked for what is wanted and told at once.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np

from mango.configuration import Configuration
from mango.errors import StorageError, TellError
from mango.optimizers.base import Floats
from mango.space import Codes
from mango.storage import Event, Showing
from mango.trial import Result, Trial, TrialRecord, TrialState, trial_seed

NOT_OWN = -1  # in place of an optimizer's id, for trials that it did not ask


class Voice(Protocol):
    """Whatever answers for the optimizer, and for the generator's prior, while one event is applied."""

    def propose(self, n: int, first: int) -> tuple[Codes, list[str]]:
        """Up to ``n`` codes and their origins, for trials from ``first`` on; fewer only when the design has ended."""
        ...

    def log_prior(self, codes: Codes) -> Floats | None:
        """``(n,)`` nats, or None where there is no prior."""
        ...

    def tell(self, ids: Sequence[int], values: Floats, keys: Floats, errors: Floats | None) -> None:
        """Answers to the optimizer's own trials."""
        ...

    def observe(self, codes: Codes, values: Floats, keys: Floats, errors: Floats | None) -> None:
        """Points that the optimizer did not ask."""
        ...


@dataclass
class Change:
    """What one event did: trials asked, trials that changed otherwise, answers received, trials handed out."""

    asked: list[int] = field(default_factory=list)
    changed: list[int] = field(default_factory=list)
    showings: list[Showing] = field(default_factory=list)
    handed: list[Trial] = field(default_factory=list)


class Ledger:
    """Every trial of a study, and what the optimizer has been asked and told.

    Attributes:
        records: trials by number.
        sequence: of the last event; -1 before the first.
        disowned: optimizer ids whose recorded code is not the one the optimizer asked (after a restart).
    """

    def __init__(self, configuration: Configuration) -> None:
        self.configuration = configuration
        self.records: list[TrialRecord] = []
        self.sequence = -1
        self.exhausted = False
        self.presentations = 0
        self.disowned: set[int] = set()
        self._ids: list[int] = []  # by trial number
        self._pending: list[tuple[Codes, str]] = []  # enqueued, without a number yet
        self._queue: list[int] = []  # sorted: to hand out
        self._proposed = 0  # ids that the optimizer has given
        self._results: dict[tuple[int, int], Result] = {}  # by number and attempt
        self._accepted: dict[int, Result] = {}  # by number
        self._open: set[int] = set()
        self._batches: list[range] = []
        self._settled = 0  # batches that are closed, counted from the first
        self._informed = 0  # batches that the optimizer has been told

    # -- what a study asks -----------------------------------------------------------------------------------------

    @property
    def room(self) -> int:
        """Trials that the budget still allows beyond those asked and enqueued."""
        return self.configuration.trials - len(self.records) - len(self._pending)

    @property
    def finished(self) -> bool:
        """No trial is open and none will be asked."""
        return not self._open and not self._wanting

    @property
    def handed_open(self) -> set[int]:
        """Open trials that someone has in hand."""
        return {number for number in self._open if self.records[number].attempt} - set(self._queue)

    @property
    def ready(self) -> bool:
        """Whether asking now could hand out a trial."""
        return bool(self._queue) or self._may_create

    def fresh(self, results: Sequence[Result]) -> list[Result]:
        """The results that say something new, checked.

        Raises:
            TellError: a result that does not fit its trial, or changes an earlier answer of the same attempt.
        """
        new: dict[tuple[int, int], Result] = {}
        for result in results:
            plain = _plain(result)
            slot = plain.number, plain.attempt
            self._check(plain)
            before = self._results.get(slot, new.get(slot))
            if before is None:
                new[slot] = plain
            elif not _same(before, plain):
                raise TellError(
                    f"trial {plain.number} was told {_said(before)} by attempt {plain.attempt}; "
                    f"it cannot be told {_said(plain)} as well"
                )
        return list(new.values())

    # -- events ----------------------------------------------------------------------------------------------------

    def apply(self, event: Event, voice: Voice) -> Change:
        """Takes one event; the ledger is useless if this raises."""
        if event.sequence != self.sequence + 1:
            raise StorageError(f"event {event.sequence} came after event {self.sequence}")
        self.sequence = event.sequence
        change = Change()
        if event.kind == "ask":
            change = self._ask(event, voice)
        elif event.kind == "tell":
            change = self._tell(event, voice)
        elif event.kind == "enqueue":
            codes = self.configuration.space.validate(event.arrays["codes"])
            self._pending.extend((code, event.payload["origin"]) for code in codes)
        elif event.kind == "restart":
            self.disowned = set(event.payload["disowned"])
        else:
            raise StorageError(f"event {event.sequence} is of the unknown kind {event.kind!r}; update mango")
        if self.configuration.ordered and self.finished:  # no batch will come that would tell the last ones
            self._inform_batches(len(self._batches), voice)
        return change

    def _ask(self, event: Event, voice: Voice) -> Change:
        wanted, first = event.payload["n"], len(self.records)
        self._queue = sorted({*self._queue, *event.payload["reopen"]})
        while len(self._queue) < wanted and self._may_create:
            self._create(wanted - len(self._queue), event.at, voice)
        numbers, self._queue = self._queue[:wanted], self._queue[wanted:]
        for number in numbers:
            record = self.records[number]
            self.records[number] = replace(record, attempt=record.attempt + 1)
        return Change(
            asked=list(range(first, len(self.records))),
            changed=[number for number in numbers if number < first],
            handed=[self._trial(number) for number in numbers],
        )

    def _tell(self, event: Event, voice: Voice) -> Change:
        change, accepted = Change(), []
        for result in results_of(event.payload):
            record = self.records[result.number]
            late = record.state is not TrialState.OPEN
            self._results[result.number, result.attempt] = result
            keys = result.keys or (math.nan,) * len(result.values)
            answers = enumerate(zip(result.values, keys, strict=True))
            change.showings += [Showing(result.number, result.attempt, r, v, k, late) for r, (v, k) in answers]
            if not late:
                self._close(record, result, event.at)
                accepted.append(result.number)
        self.presentations += sum(not showing.late for showing in change.showings)
        change.changed = sorted(accepted)
        if not self.configuration.ordered:
            self._inform(change.changed, voice)
        return change

    # -- private ---------------------------------------------------------------------------------------------------

    @property
    def _wanting(self) -> bool:
        """Whether the budget, the enqueued points and the design leave a trial to create."""
        return bool(self._pending) or (self.room > 0 and not self.exhausted)

    @property
    def _may_create(self) -> bool:
        return self._wanting and (not self.configuration.ordered or self._settled >= len(self._batches) - 1)

    def _create(self, wanted: int, at: float, voice: Voice) -> None:
        """One batch in ordered mode, else as many trials as are wanted and allowed."""
        left = self.configuration.trials - len(self.records)
        size = min(self.configuration.batch if self.configuration.ordered else wanted, left)
        if self.configuration.ordered:
            self._inform_batches(len(self._batches) - 1, voice)
        enqueued, self._pending = self._pending[:size], self._pending[size:]
        codes = [code for code, _ in enqueued]
        origins = [origin for _, origin in enqueued]
        ids = [NOT_OWN] * len(enqueued)
        if size > len(enqueued) and not self.exhausted:
            proposed, why = voice.propose(size - len(enqueued), len(self.records) + len(enqueued))
            self.exhausted = len(proposed) < size - len(enqueued)
            codes, origins = [*codes, *proposed], origins + why
            ids += range(self._proposed, self._proposed + len(proposed))
            self._proposed += len(proposed)
        first = len(self.records)
        if codes:
            prior = voice.log_prior(np.stack(codes))
            priors = [math.nan] * len(codes) if prior is None else prior.tolist()
            repeats = self.configuration.repeats
            for number, (code, origin, nats) in enumerate(zip(codes, origins, priors, strict=True), first):
                self.records.append(TrialRecord(number, code, origin, repeats, at, nats))
        numbers = range(first, len(self.records))
        self._ids += ids
        self._queue += numbers
        self._open.update(numbers)
        self._batches.append(numbers)
        self._settle()

    def _close(self, record: TrialRecord, result: Result, at: float) -> None:
        self.records[record.number] = replace(
            record,
            state=result.status,
            values=result.values,
            value=result.value,
            key=result.key,
            told_at=at,
            seconds=result.seconds,
            reason=result.reason,
        )
        self._accepted[record.number] = result
        self._open.discard(record.number)
        place = bisect.bisect_left(self._queue, record.number)
        if self._queue[place : place + 1] == [record.number]:  # an earlier attempt answered before the next went out
            del self._queue[place]
        self._settle()

    def _settle(self) -> None:
        while self._settled < len(self._batches) and self._open.isdisjoint(self._batches[self._settled]):
            self._settled += 1

    def _inform_batches(self, stop: int, voice: Voice) -> None:
        for batch in self._batches[self._informed : max(stop, 0)]:
            self._inform(batch, voice)
            self._informed += 1

    def _inform(self, numbers: Sequence[int], voice: Voice) -> None:
        """Tells the optimizer closed trials, in number order: foreign points first, lost ones among them left out."""
        foreign = [n for n in numbers if self._ids[n] == NOT_OWN or self._ids[n] in self.disowned]
        measured = [n for n in foreign if self.records[n].state is TrialState.DONE]
        if measured:
            voice.observe(np.stack([self.records[n].code for n in measured]), *self._columns(measured))
        own = [n for n in numbers if self._ids[n] != NOT_OWN]
        if own:
            ids = [self._ids[n] for n in own]
            values, keys, errors = self._columns(own)
            values[[i in self.disowned for i in ids]] = math.nan
            voice.tell(ids, values, keys, errors)

    def _columns(self, numbers: Sequence[int]) -> tuple[Floats, Floats, Floats | None]:
        """Values as the optimizer hears them, keys, and standard errors where a trial has several repeats."""
        rows = [(self.records[n].value, self.records[n].log_prior, self.records[n].key) for n in numbers]
        values, priors, keys = np.array(rows, np.float64).T.copy()
        if self.configuration.weight:
            values = values + self.configuration.weight * priors
        several = self.configuration.repeats > 1
        return values, keys, np.array([self._accepted[n].error for n in numbers]) if several else None

    def _trial(self, number: int) -> Trial:
        record, seed = self.records[number], self.configuration.seed
        seeds = tuple(trial_seed(seed, number, repeat) for repeat in range(record.repeats))
        return Trial(number, record.attempt, record.code.copy(), record.origin, seeds)

    def _check(self, result: Result) -> None:
        number, repeats = result.number, self.configuration.repeats
        if not 0 <= number < len(self.records):
            raise TellError(f"trial {number} was never asked; asked so far: {len(self.records)}, numbered from 0")
        handed = self.records[number].attempt
        if not 1 <= result.attempt <= handed:
            raise TellError(f"trial {number} has been handed out {handed} times; there is no attempt {result.attempt}")
        if result.status is not TrialState.FAILED and len(result.values) != repeats:
            raise TellError(f"trial {number}: expected {repeats} values, one for each repeat; got {len(result.values)}")


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
    return [Result(n, a, _floats(v) or (), _floats(k), TrialState(s), t, why) for n, a, s, v, k, t, why in rows]


def _plain(result: Result) -> Result:
    """The same result in Python's own numbers, as it will be read back."""
    values = tuple(float(v) for v in result.values)
    keys = None if result.keys is None else tuple(float(k) for k in result.keys)
    reason = str(result.reason).encode(errors="backslashreplace").decode().replace("\0", "")
    return Result(int(result.number), int(result.attempt), values, keys, result.status, float(result.seconds), reason)


def _same(one: Result, other: Result) -> bool:
    a, b = ((_nulls(r.values), _nulls(r.keys), r.status) for r in (one, other))
    return a == b


def _said(result: Result) -> str:
    return result.status.value if not result.values else ", ".join(f"{v!r}" for v in result.values)


def _nulls(numbers: Sequence[float] | None) -> list[float | None] | None:
    return None if numbers is None else [None if math.isnan(v) else v for v in numbers]


def _floats(numbers: Sequence[float | None] | None) -> tuple[float, ...] | None:
    return None if numbers is None else tuple(math.nan if v is None else v for v in numbers)
