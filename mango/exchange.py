"""What passes between a study and clients that may die, repeat themselves, or come too late."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from mango.errors import KeyConflict
from mango.ledger import Change, Ledger
from mango.storage import Answer, Event
from mango.trial import Reference, Trial


@dataclass(frozen=True, slots=True)
class Request:
    """A request that names itself, so that asking again is the same request.

    Attributes:
        key: the client's idempotency key.
        digest: SHA-256 of what is requested, 64 hexadecimal digits.
    """

    key: str
    digest: str


@dataclass(frozen=True, slots=True)
class Block:
    """What was handed out together.

    Attributes:
        trials: by number.
        references: showings of reference images among them.
        sequence: of the event that handed them out, or the last one where there is nothing.
    """

    trials: list[Trial]
    references: list[Reference]
    sequence: int


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of answers: trial numbers that were closed, that had been closed, and that had been told before."""

    accepted: list[int]
    late: list[int]
    repeated: list[int]


def receipt(change: Change, repeated: Sequence[int]) -> Receipt:
    """Of one tell."""
    late = {showing.number for showing in change.showings if showing.late}
    return Receipt(change.changed, sorted(late), list(repeated))


def answers(event: Event, change: Change, request: Request | None, repeated: Sequence[int]) -> list[Answer]:
    """What is kept of an ask or a tell, so that the same request gets the same answer; nothing without a key."""
    if request is None:
        return []
    if event.kind == "ask":
        kept = {
            "sequence": event.sequence,
            "until": event.payload.get("until"),
            "trials": [[trial.number, trial.attempt] for trial in change.handed],
            "references": [reference.presentation for reference in change.references],
        }
    else:
        made = receipt(change, repeated)
        kept = {"accepted": made.accepted, "late": made.late, "repeated": made.repeated}
    return [Answer(event.kind, request.key, request.digest, json.dumps(kept).encode(), event.at)]


def block_again(answer: Answer, ledger: Ledger) -> Block:
    """The block that a request was answered with."""
    kept = json.loads(answer.answer)
    trials = ledger.trials(kept["trials"], kept["until"])
    return Block(trials, [ledger.references[presentation] for presentation in kept["references"]], kept["sequence"])


def receipt_again(answer: Answer) -> Receipt:
    """The receipt that a request was answered with."""
    return Receipt(**json.loads(answer.answer))


def checked(answer: Answer | None, request: Request) -> Answer | None:
    """The answer to that very request, None where it is new.

    Raises:
        KeyConflict: the key was used for another one.
    """
    if answer is not None and answer.digest != request.digest:
        raise KeyConflict(
            f"the idempotency key {request.key!r} was used for another {answer.operation}; "
            "use a new one for a new request"
        )
    return answer
