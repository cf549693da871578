"""Who speaks for the optimizer while events are applied, and how a study is built again from its log."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

import numpy as np

from mango.configuration import Configuration, check_source, compact, here
from mango.errors import InputError, ReplayError
from mango.learning import Learner
from mango.ledger import Ledger
from mango.optimizers.base import Floats
from mango.space import Codes
from mango.storage import Event, Store, pack, unpack
from mango.trial import Trial

Prior = Callable[[Codes], Any]


class Live:
    """The optimizer speaks and is written down.

    Args:
        learner: the study's optimizer.
        prior: the generator's ``log_prior``, or None.
    """

    def __init__(self, learner: Learner, prior: Prior | None) -> None:
        self._learner = learner
        self._prior = prior
        self._codes: list[Codes] = []
        self._origins: list[str] = []
        self._again: list[int] = []
        self._nats: list[Floats] = []

    def propose(self, n: int, first: int) -> tuple[Codes, list[str]]:  # noqa: ARG002
        """Asks the optimizer."""
        _, codes, origins = self._learner.ask(n)
        self._codes.append(codes)
        self._origins += origins
        return codes, origins

    def show_again(self, chosen: Sequence[int], first: int) -> list[int]:  # noqa: ARG002
        """Writes down what was chosen."""
        self._again += chosen
        return list(chosen)

    def log_prior(self, codes: Codes) -> Floats | None:
        """Asks the generator.

        Raises:
            InputError: it gave something else than one finite number for each code.
        """
        if self._prior is None:
            return None
        with self._learner.alone():
            nats = np.asarray(self._prior(codes), np.float64) + 0.0  # no minus zero, which a database may not keep
        if nats.shape != (len(codes),) or not np.isfinite(nats).all():
            raise InputError(
                f"the generator's log_prior must give one finite number for each of {len(codes)} codes; got {nats!r}"
            )
        self._nats.append(nats)
        return nats

    def tell(self, ids: Sequence[int], values: Floats, keys: Floats, errors: Floats | None) -> None:
        """Tells the optimizer."""
        self._learner.tell(ids, values, keys, errors)

    def observe(self, codes: Codes, values: Floats, keys: Floats, errors: Floats | None) -> None:
        """Lets the optimizer observe."""
        self._learner.observe(codes, values, keys, errors)

    def spoken(self, handed: Sequence[Trial]) -> tuple[dict[str, Any], dict[str, Any]]:
        """What an ``ask`` brought, as the payload and arrays of its event."""
        payload = {"handed": [[t.number, t.attempt] for t in handed], "origins": self._origins}
        if self._again:
            payload["again"] = self._again
        arrays = {}
        if self._codes:
            arrays["codes"] = compact(self._learner.space, np.concatenate(self._codes))
        if self._nats:
            arrays["log_prior"] = np.concatenate(self._nats)
        return payload, arrays


class Written:
    """The log speaks alone: events before a snapshot.

    Args:
        event: the one that is applied.
        configuration: of the study.
    """

    def __init__(self, event: Event, configuration: Configuration) -> None:
        self.event = event
        space = configuration.space
        self._codes = space.validate(event.arrays.get("codes", np.empty((0, space.dim))))
        self._origins: list[str] = event.payload.get("origins", [])
        self._again: list[int] = event.payload.get("again", [])
        self._nats: Floats | None = event.arrays.get("log_prior")
        self._read = 0
        self._read_again = 0
        self._read_nats = 0

    def propose(self, n: int, first: int) -> tuple[Codes, list[str]]:  # noqa: ARG002
        """The next recorded proposals."""
        rows = slice(self._read, self._read + n)
        self._read += n
        return self._codes[rows], self._origins[rows]

    def show_again(self, chosen: Sequence[int], first: int) -> list[int]:  # noqa: ARG002
        """The next recorded trials."""
        rows = slice(self._read_again, self._read_again + len(chosen))
        self._read_again += len(chosen)
        return self._again[rows]

    def log_prior(self, codes: Codes) -> Floats | None:
        """The next recorded log priors."""
        if self._nats is None:
            return None
        rows = slice(self._read_nats, self._read_nats + len(codes))
        self._read_nats += len(codes)
        return self._nats[rows]

    def tell(self, ids: Sequence[int], values: Floats, keys: Floats, errors: Floats | None) -> None:
        """Nobody listens."""

    def observe(self, codes: Codes, values: Floats, keys: Floats, errors: Floats | None) -> None:
        """Nobody listens."""


class Repeated(Written):
    """The optimizer speaks again, and every word is compared with the log.

    Args:
        event: the one that is applied.
        ledger: the study's.
        learner: the optimizer, in the state before the event.
        accept: use the recorded codes where they differ, and disown them, instead of raising.
    """

    def __init__(self, event: Event, ledger: Ledger, learner: Learner, *, accept: bool = False) -> None:
        super().__init__(event, ledger.configuration)
        self._ledger = ledger
        self._learner = learner
        self._accept = accept

    def propose(self, n: int, first: int) -> tuple[Codes, list[str]]:
        """The recorded proposals, once the optimizer has repeated them.

        Raises:
            ReplayError: it did not.
        """
        recorded, origins = super().propose(n, first)
        ids, codes, again = self._learner.ask(n)
        if len(codes) != len(recorded):
            raise ReplayError(
                f"event {self.event.sequence}: {len(recorded)} proposals from trial {first} on are recorded; "
                f"the optimizer now makes {len(codes)}"
            )
        differs = codes.view(np.int64) != recorded.view(np.int64)  # bit for bit: minus zero is not zero
        if self._accept:
            self._ledger.disowned.update(ids[differs.any(1)].tolist())
            return recorded, origins
        if differs.any():
            row, axis = (int(i) for i in np.argwhere(differs)[0])
            raise ReplayError(
                f"trial {first + row}, coordinate {axis}: {recorded[row, axis].item()!r} is recorded; "
                f"the optimizer now asks {codes[row, axis].item()!r}"
            )
        for row, (before, now) in enumerate(zip(origins, again, strict=True)):
            if before != now:
                raise ReplayError(f"trial {first + row}: its origin is recorded as {before!r} and is now {now!r}")
        return recorded, origins

    def show_again(self, chosen: Sequence[int], first: int) -> list[int]:
        """The recorded trials, once the ledger has chosen the same.

        Raises:
            ReplayError: it did not.
        """
        recorded = super().show_again(chosen, first)
        if recorded != list(chosen) and not self._accept:
            raise ReplayError(f"from trial {first} on, trials {recorded} were shown again; now it would be {chosen}")
        return recorded

    def tell(self, ids: Sequence[int], values: Floats, keys: Floats, errors: Floats | None) -> None:
        """Tells the optimizer."""
        self._learner.tell(ids, values, keys, errors)

    def observe(self, codes: Codes, values: Floats, keys: Floats, errors: Floats | None) -> None:
        """Lets the optimizer observe."""
        self._learner.observe(codes, values, keys, errors)


def rebuild(store: Store, configuration: Configuration, *, accept: bool = False) -> tuple[Ledger, Learner]:
    """The ledger and the optimizer after the last event of the log; what came after the last proposal is not learned.

    Args:
        store: of the study.
        configuration: of the study.
        accept: go on where the optimizer does not repeat its recorded proposals; these are then disowned.

    Raises:
        ReplayError: the optimizer does not repeat its recorded proposals.
        StorageError: the log is damaged.
    """
    start, learner = _newest(store, configuration)
    ledger, seconds = Ledger(configuration), 0.0
    for event in store.events():
        seconds += event.seconds
        if event.sequence <= start:
            _applied(event, ledger, Written(event, configuration))
            continue
        if event.kind == "restart":
            learner = _loaded(configuration, event.arrays)
        try:
            _applied(event, ledger, Repeated(event, ledger, learner, accept=accept))
        except ReplayError as error:
            raise ReplayError(_advice(error, configuration)) from error
        learner.settle()
    learner.seconds = seconds
    return ledger, learner


def verify(source: Any, *, storage: str, name: str = "study") -> str | None:
    """Replays a study's log from the start; what differs first, or None.

    Compares every proposal, every kept snapshot and the table of trials. Only reads, beside whoever owns the study.

    Args:
        source: the study's generator or space, to be checked against it; or None.
        storage: database URL.
        name: of the study within its database.

    Raises:
        InputError: the study was made in another space than the source's.
        StorageError: no such study, or its database is damaged.
    """
    store = Store.open(storage, name, own=False)
    try:
        configuration = Configuration.load(store.config, store.arrays)
        if source is not None:
            check_source(source, configuration)
        return _first_difference(store, configuration)
    finally:
        store.close()


def _first_difference(store: Store, configuration: Configuration) -> str | None:
    """Replays the whole log without snapshots; what differs first from it, from a snapshot or from the tables."""
    ledger, learner = Ledger(configuration), Learner(configuration.make_optimizer())
    last, rows = store.settled()  # of one moment: whoever owns the study may go on with it
    snapshots = dict(store.snapshots())
    for event in islice(store.events(), last + 1):
        if event.kind == "restart":
            learner = _loaded(configuration, event.arrays)
        try:
            _applied(event, ledger, Repeated(event, ledger, learner))
        except ReplayError as error:
            return str(error)
        learner.settle()
        if event.sequence in snapshots:
            name = _different(snapshots[event.sequence], unpack(pack(learner.state_dict())))
            if name is not None:
                return f"the optimizer's state after event {event.sequence} differs from its snapshot in {name!r}"
    return _different_row(rows, ledger)


def _newest(store: Store, configuration: Configuration) -> tuple[int, Learner]:
    """The last event whose state was kept and can be loaded, and the optimizer after it; -1 and a fresh one if none."""
    kept = [*store.snapshots(), *((event.sequence, event.arrays) for event in store.restarts())]
    last = store.last()
    for sequence, state in sorted(kept, key=lambda pair: -pair[0]):
        if sequence <= last:
            try:
                return sequence, _loaded(configuration, state)
            except (
                LookupError,
                TypeError,
                ValueError,
                AttributeError,
            ):  # another version's state: replay from further back
                continue
    return -1, Learner(configuration.make_optimizer())


def _loaded(configuration: Configuration, state: dict[str, Any]) -> Learner:
    optimizer = configuration.make_optimizer()
    optimizer.load_state_dict(state)
    return Learner(optimizer)


def _applied(event: Event, ledger: Ledger, voice: Written) -> None:
    change = ledger.apply(event, voice)
    handed = [[trial.number, trial.attempt] for trial in change.handed]
    if event.kind == "ask" and handed != event.payload["handed"]:
        raise ReplayError(
            f"event {event.sequence}: trials and attempts {event.payload['handed']} were handed out; now it is {handed}"
        )


def _advice(error: ReplayError, configuration: Configuration) -> str:
    now = here()
    changed = [f"{k} {v} then, {now.get(k)} now" for k, v in configuration.made_with.items() if now.get(k) != v]
    made = "; ".join(changed) or "the same versions on the same kind of machine"
    return (
        f"the resumed study does not repeat its log. {error}. "
        f"The study was made with {made}. "
        "Resume it where it was made, or go on from the newest snapshot with "
        "Study.resume(..., accept_snapshot=True): every answer is kept, and proposals that are not repeated guide the "
        "optimizer as foreign points"
    )


def _different(one: dict[str, Any], other: dict[str, Any]) -> str | None:
    """The first entry in which two states differ in any bit, dtype or shape."""
    for name in sorted(one.keys() | other.keys()):
        if name not in one or name not in other or pack({name: one[name]}) != pack({name: other[name]}):
            return name
    return None


def _different_row(rows: list[dict[str, Any]], ledger: Ledger) -> str | None:
    if len(rows) != len(ledger.records):
        return f"the table of trials has {len(rows)} rows; the log asked {len(ledger.records)} trials"
    for row, record in zip(rows, ledger.records, strict=True):
        for name in ("state", "attempt", "origin", "log_prior", "value", "key", "reason"):
            expected = getattr(record, name)
            if row[name] != (None if expected != expected else expected):
                return f"trial {record.number}: the table of trials has {name} {row[name]!r}; the log says {expected!r}"
    return None
