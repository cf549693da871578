"""The state of a study as a pure function of its events; live, resumed and verified studies all run through it.

An event comes in, the trials change, and the optimizer is asked and told through a `Voice`: live, the optimizer speaks
and is written down; on resume its words are compared with what was written; before a snapshot the writing speaks alone.

In ordered mode a batch is ``batch`` trials (enqueued ones first), asked once all batches up to the one before the last
are closed; before that the optimizer is told exactly those batches, in number order. What it asks therefore does not
depend on when or in which order answers arrive. Otherwise it is asked for what is wanted and told at once. The same
holds of codes that are shown again (`mango.reshowing`): leaders, which have their share of a batch, and the candidates
for the final choice, each round of which is a batch that is asked once all before it are closed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from mango.answers import Answers, floats, results_of
from mango.configuration import Configuration
from mango.errors import StorageError, TellError
from mango.handing import Handing
from mango.optimizers.base import Floats
from mango.reshowing import Reshowing
from mango.space import Codes
from mango.storage import Event, Showing
from mango.trial import (
    EXPECTED,
    LARGEST,
    Confirmed,
    Reference,
    Result,
    Trial,
    TrialRecord,
    TrialState,
    trial_seeds,
)

NOT_OWN = -1  # in place of an optimizer's id, for trials that it did not ask


class Voice(Protocol):
    """Whatever answers for the optimizer, and for the generator's prior, while one event is applied."""

    def propose(self, n: int, first: int) -> tuple[Codes, list[str]]:
        """Up to ``n`` codes and their origins, for trials from ``first`` on; fewer only when the design has ended."""
        ...

    def show_again(self, chosen: Sequence[int], first: int) -> list[int]:
        """The earlier trials whose codes trials from ``first`` on show again: those chosen, or those recorded."""
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
    """What one event did: trials asked, trials that changed otherwise, answers received, what was handed out."""

    asked: list[int] = field(default_factory=list)
    changed: list[int] = field(default_factory=list)
    showings: list[Showing] = field(default_factory=list)
    handed: list[Trial] = field(default_factory=list)
    references: list[Reference] = field(default_factory=list)


class Ledger:
    """Every trial of a study, and what the optimizer has been asked and told.

    Attributes:
        records: trials by number.
        references: showings of reference images.
        reference_codes: ``(k, dim)`` of these images; empty where there are none.
        paused: nothing is handed out for now.
        stopped: nothing will be handed out any more.
        sequence: of the last event; -1 before the first.
        handing: which open trials wait, and which are out.
        disowned: optimizer ids whose recorded code is not the one the optimizer asked (after a restart).
    """

    def __init__(self, configuration: Configuration) -> None:
        self.configuration = configuration
        self.records: list[TrialRecord] = []
        self.references: list[Reference] = []
        self.reference_codes: Codes = np.empty((0, configuration.space.dim), configuration.space.dtype)
        self.paused = self.stopped = False
        self.sequence = -1
        self.exhausted = False
        self.presentations = 0
        self.handing = Handing()
        self._answers = Answers(configuration.repeats)
        self.disowned: set[int] = set()
        self._reshowing = Reshowing(configuration)
        self._ids: list[int] = []  # by trial number
        self._pending: list[tuple[Codes, str]] = []  # enqueued, without a number yet
        self._proposed = 0  # ids that the optimizer has given
        self._batches: list[range] = []
        self._settled = 0  # batches that are closed, counted from the first
        self._informed = 0  # batches that the optimizer has been told
        self._vetoed = 0
        self._every = 0  # trials between two showings of references
        self._since = 0  # trials handed out after the last one

    # -- what a study asks -----------------------------------------------------------------------------------------

    @property
    def room(self) -> float:
        """Trials that the budget still allows beyond those asked and enqueued; infinity without one."""
        return self._left - len(self._pending)

    @property
    def confirmed(self) -> Confirmed | None:
        """The final choice; None before it is made, and in a study without one."""
        return self._reshowing.confirmed(self.records)

    @property
    def chosen(self) -> Codes | None:
        """The code ``(dim,)`` that leads the final choice; None before that has begun."""
        number = self._reshowing.chosen
        return None if number is None else self.records[number].code.copy()

    @property
    def finished(self) -> bool:
        """No trial is open and none will be asked; or the study was stopped, whoever still has a trial."""
        return self.stopped or not (self.handing.open or self._wanting)

    @property
    def state(self) -> str:
        """See `mango.account.Account.state`."""
        if self.stopped:
            return "finished"
        return "exhausted" if self.finished else "paused" if self.paused else "running"

    @property
    def ready(self) -> bool:
        """Whether asking now could hand out a trial."""
        return not (self.paused or self.stopped) and (self.handing.waiting > 0 or self._may_create)

    def fresh(self, results: Sequence[Result]) -> list[Result]:
        """See `mango.answers.Answers.fresh`; and what the optimizer will hear of them is finite.

        Raises:
            TellError: as there, or the value and the weighted penalty have no finite sum.
        """
        fresh = self._answers.fresh(results, self.records)
        if self.configuration.band is not None:
            priors = np.array([self.records[result.number].log_prior for result in fresh])
            with np.errstate(over="ignore"):
                heard = self.configuration.objective(np.array([result.value for result in fresh]), priors)
            for row in np.flatnonzero(np.abs(heard) > LARGEST)[:1]:
                raise TellError(
                    f"trial {fresh[row].number}: the sum of {fresh[row].value!r} and the weighted penalty is "
                    f"{heard[row].item()!r}; expected {EXPECTED}"
                )
        return fresh

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
        elif event.kind == "release":
            change = self._release(event.payload["trials"])
        elif event.kind == "veto":
            change = self._veto(event, voice)
        elif event.kind == "state":
            self.paused, self.stopped = (event.payload["state"] == state for state in ("paused", "finished"))
        elif event.kind == "references":
            self.reference_codes = self.configuration.space.validate(event.arrays["codes"])
            self._every = event.payload["every"]
        elif event.kind == "restart":
            self.disowned = set(event.payload["disowned"])
        else:
            raise StorageError(f"event {event.sequence} is of the unknown kind {event.kind!r}; update mango")
        if self.configuration.ordered and self.finished and not self.handing.open:
            # no batch will come that would tell the last ones
            self._inform_batches(len(self._batches), voice)
        return change

    def _ask(self, event: Event, voice: Voice) -> Change:
        wanted, first = event.payload["n"], len(self.records)
        self.handing.wait(event.payload["reopen"])
        while self.handing.waiting < wanted and self._may_create:
            self._create(wanted - self.handing.waiting, event.at, voice)
        until = event.payload.get("until")
        numbers = self.handing.take(wanted, until)
        for number in numbers:
            self.records[number] = self.records[number].handed_out()
        return Change(
            asked=list(range(first, len(self.records))),
            changed=[number for number in numbers if number < first],
            handed=self.trials([(number, self.records[number].attempt) for number in numbers], until),
            references=self._due(len(numbers), event.at),
        )

    def _due(self, handed: int, at: float) -> list[Reference]:
        """The showings of references that fall between so many trials, the images in turn."""
        due = []
        for after in range(1, handed + 1 if self._every else 0):
            self._since += 1
            if self._since == self._every:
                self._since = 0
                number = len(self.references)
                due.append(Reference(number, number % len(self.reference_codes), after, at))
                self.references.append(due[-1])
        return due

    def _release(self, released: Sequence[Sequence[int]]) -> Change:
        """Trials that wait again, where that attempt still has them."""
        in_hand = self.handing.in_hand
        held = [n for n, attempt in released if n in in_hand and self.records[n].attempt == attempt]
        self.handing.wait(held)
        return Change(changed=held)

    def _veto(self, event: Event, voice: Voice) -> Change:
        """Closes trials that a person does not want shown; the optimizer hears that they are lost."""
        change = Change()
        for number in event.payload["numbers"]:
            if number in self.handing.open:
                result = Result(number, self.records[number].attempt, (), None, TrialState.FAILED)
                self._close(self.records[number], result, event.at)
                reason = event.payload["reason"]
                self.records[number] = replace(
                    self.records[number], state=TrialState.VETOED, reason=reason, seconds=math.nan
                )
                self._vetoed += 1
                change.changed.append(number)
        self._settle()
        if not self.configuration.ordered:
            self._inform(change.changed, voice)
        return change

    def _tell(self, event: Event, voice: Voice) -> Change:
        change, accepted = Change(), []
        for result in results_of(event.payload):
            record = self.records[result.number]
            late = record.state is not TrialState.OPEN
            self._answers.note(result)
            keys = result.keys or (math.nan,) * len(result.values)
            answers = enumerate(zip(result.values, keys, strict=True))
            change.showings += [Showing(result.number, result.attempt, r, v, k, late) for r, (v, k) in answers]
            if not late:
                self._close(record, result, event.at)
                accepted.append(result.number)
        self._settle()
        for presentation, values in event.payload.get("references", {}).items():
            told_at, told_values = event.at, floats(values) or ()
            answered = replace(self.references[int(presentation)], told_at=told_at, values=told_values)
            self.references[int(presentation)] = answered
            change.references.append(answered)
        self.presentations += sum(not showing.late for showing in change.showings)
        change.changed = sorted(accepted)
        if not self.configuration.ordered:
            self._inform(change.changed, voice)
        return change

    # -- private ---------------------------------------------------------------------------------------------------

    @property
    def _left(self) -> float:
        """Trials that the budget still allows beyond those asked; vetoed ones were never shown."""
        if self._reshowing.choosing:
            return 0
        allowed = self.configuration.search_trials
        return math.inf if allowed is None else allowed - len(self.records) + self._vetoed

    @property
    def _searching(self) -> bool:
        """Whether the budget, the enqueued points and the design leave a trial to create before the final choice."""
        return bool(self._pending) or (self.room > 0 and not self.exhausted)

    @property
    def _wanting(self) -> bool:
        """Whether a trial is left to create."""
        return self._searching or self._reshowing.wants_round(self.records)

    @property
    def _may_create(self) -> bool:
        if self._searching:
            return not self.configuration.ordered or self._settled >= len(self._batches) - 1
        return not self.handing.open and self._wanting

    def _create(self, wanted: int, at: float, voice: Voice) -> None:
        """A batch of the search, or a round of the final choice."""
        if self._searching:
            self._create_batch(wanted, at, voice)
            return
        if self.configuration.ordered:
            self._inform_batches(len(self._batches), voice)
        first = len(self.records)
        again = voice.show_again(self._reshowing.round(self.records), first)
        codes = [self.records[number].code for number in again]
        self._add(codes, ["confirm"] * len(again), [NOT_OWN] * len(again), at, voice)
        self._reshowing.note(self._batches[-1], again)
        self._reshowing.begin(self._batches[-1])

    def _create_batch(self, wanted: int, at: float, voice: Voice) -> None:
        """One batch in ordered mode, else as many trials as are wanted and allowed."""
        size = int(min(self.configuration.batch if self.configuration.ordered else wanted, self._left))
        if self.configuration.ordered:
            self._inform_batches(len(self._batches) - 1, voice)
        enqueued, self._pending = self._pending[:size], self._pending[size:]
        first = len(self.records) + len(enqueued)
        again = self._reshowing.leaders(len(self.records), size, size - len(enqueued), self.records)
        again = voice.show_again(again, first) if again else []
        codes = [*(code for code, _ in enqueued), *(self.records[number].code for number in again)]
        origins = [*(origin for _, origin in enqueued), *["leader"] * len(again)]
        ids = [NOT_OWN] * len(codes)
        if size > len(codes) and not self.exhausted:
            wanted = size - len(codes)
            proposed, why = voice.propose(wanted, len(self.records) + len(codes))
            self.exhausted = len(proposed) < wanted
            codes, origins = [*codes, *proposed], origins + why
            ids += range(self._proposed, self._proposed + len(proposed))
            self._proposed += len(proposed)
        self._add(codes, origins, ids, at, voice)
        self._reshowing.note(range(first, first + len(again)), again)

    def _add(self, codes: list[Codes], origins: list[str], ids: list[int], at: float, voice: Voice) -> None:
        """Trials with these codes, as one batch."""
        first = len(self.records)
        if codes:
            prior = voice.log_prior(np.stack(codes))
            priors = [math.nan] * len(codes) if prior is None else prior.tolist()
            repeats = self.configuration.repeats
            for number, (code, origin, nats) in enumerate(zip(codes, origins, priors, strict=True), first):
                self.records.append(TrialRecord(number, code, origin, repeats, at, nats))
        numbers = range(first, len(self.records))
        self._ids += ids
        self.handing.create(numbers)
        self._batches.append(numbers)
        self._settle()

    def _close(self, record: TrialRecord, result: Result, at: float) -> None:
        self.records[record.number] = record.answered(result, at)
        self.handing.close(record.number)

    def _settle(self) -> None:
        while self._settled < len(self._batches) and self.handing.open.isdisjoint(self._batches[self._settled]):
            self._settled += 1

    def _inform_batches(self, stop: int, voice: Voice) -> None:
        for batch in self._batches[self._informed : max(stop, 0)]:
            self._inform(batch, voice)
            self._informed += 1

    def _inform(self, numbers: Sequence[int], voice: Voice) -> None:
        """Tells the optimizer closed trials, in number order: foreign points first, lost ones among them left out.

        Where codes are shown more than once it hears pooled values of foreign points, and of its own trials errors too;
        those of its own whose codes others showed follow once more, pooled.
        """
        noisy, told = self.configuration.noisy, [self.records[n] for n in numbers]
        if noisy:
            self._reshowing.learn(told)
        foreign = [r for r in told if self._ids[r.number] == NOT_OWN or self._ids[r.number] in self.disowned]
        measured = [r for r in foreign if r.state is TrialState.DONE]
        if measured and noisy:
            voice.observe(*self._reshowing.pooled(measured))
        elif measured:
            voice.observe(np.stack([r.code for r in measured]), *self._columns(measured), None)
        own = [r for r in told if self._ids[r.number] != NOT_OWN]
        if own:
            ids = [self._ids[r.number] for r in own]
            values, keys = self._columns(own)
            values[[i in self.disowned for i in ids]] = math.nan
            voice.tell(ids, values, keys, self._reshowing.errors(own) if noisy else None)
        twins = self._reshowing.twins(own) if noisy else []
        if twins:
            voice.observe(*self._reshowing.pooled(twins))

    def _columns(self, records: Sequence[TrialRecord]) -> tuple[Floats, Floats]:
        """Values as the optimizer hears them, and keys."""
        values, priors, keys = np.array([(r.value, r.log_prior, r.key) for r in records], np.float64).T.copy()
        return self.configuration.objective(values, priors), keys

    def trials(self, slots: Sequence[Sequence[int]], until: float | None) -> list[Trial]:
        """As they were handed out, by number and attempt."""
        seeds = trial_seeds(self.configuration.seed, [number for number, _ in slots], self.configuration.repeats)
        end, records = math.inf if until is None else until, self.records
        return [
            Trial(number, attempt, records[number].code.copy(), records[number].origin, seed, end)
            for (number, attempt), seed in zip(slots, seeds, strict=True)
        ]
