"""What happens in a study, as server-sent events that a client can take up again where it was cut off.

Every message is an event of the study's log and carries its sequence as id; who comes back with the last one that it
saw (``Last-Event-ID``) gets what came since.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from typing import Any

from starlette.concurrency import run_in_threadpool

from mango.service import views
from mango.service.hosted import Hosted
from mango.storage import Event

AT_ONCE = 50  # events of the log that are read together
ALIVE = 15.0  # seconds after which a silent stream says that it is there
BEHIND = 500  # events; who missed more is told to read everything anew


def message(hosted: Hosted, event: Event) -> tuple[str, dict[str, Any]] | None:
    """Name and data of an event of the log; None where there is nothing to tell."""
    said: dict[str, Any] = {"sequence": event.sequence, "at": event.at}
    if event.kind == "state":
        return "state", hosted.summary()
    if event.kind == "ask":
        trials = _trials(hosted, [n for n, _ in event.payload["handed"]])
        return "ask", said | {"trials": trials, "references": _references(hosted, event)}
    if event.kind == "tell":
        numbers = [row[0] for row in event.payload["results"]]
        best = None if hosted.best is None else hosted.trial(hosted.best)
        became = {"best": best, "counts": hosted.counted(), "state": hosted.study.state}
        return "tell", said | {"trials": _trials(hosted, numbers), "references": _references(hosted, event), **became}
    if event.kind == "release":
        numbers = [n for n, _ in event.payload["trials"]]
        return "release", said | {"numbers": numbers, "counts": hosted.counted()}
    if event.kind == "veto":
        return "veto", said | {"numbers": event.payload["numbers"], "counts": hosted.counted()}
    if event.kind == "enqueue":
        return "enqueue", said | {"numbers": [], "counts": hosted.counted()}
    return None


def _trials(hosted: Hosted, numbers: list[int]) -> list[dict[str, Any]]:
    return [hosted.trial(hosted.study.record(number)) for number in numbers]


def _references(hosted: Hosted, event: Event) -> list[dict[str, Any]]:
    """The showings of references that an ask handed out or a tell answered."""
    presentations: Iterable[Any] = event.payload.get("references", ())  # of an ask a list, of a tell by presentation
    shown = hosted.study.references() if presentations else []
    return [views.reference(shown[int(number)], hosted.name, hosted.shape) for number in presentations]


def _last(hosted: Hosted) -> int:
    """The sequence of the last event; whoever asks waits for the step that is being taken."""
    return hosted.study.sequence


def encoded(name: str, data: Any, sequence: int | None) -> bytes:
    """A message on the wire."""
    head = "" if sequence is None else f"id: {sequence}\n"
    return f"{head}event: {name}\ndata: {json.dumps(data, allow_nan=False)}\n\n".encode()


async def stream(hosted: Hosted, after: int | None) -> AsyncIterator[bytes]:
    """Messages for one watcher, until the study is gone; `mango.service.limits` ends it when the service stops.

    Args:
        hosted: the study.
        after: the last sequence that the watcher saw; None: only what comes from now on.
    """
    watcher = hosted.watch()
    try:
        last = await run_in_threadpool(_last, hosted)
        if after is not None and last - after <= BEHIND:
            last = min(after, last)
        yield encoded("state", await run_in_threadpool(hosted.summary), last)
        while not hosted.gone:
            events = await run_in_threadpool(hosted.study.store.log, last + 1, AT_ONCE)
            for event in events:
                told = await run_in_threadpool(message, hosted, event)
                last = event.sequence
                if told is not None:
                    yield encoded(*told, last)
            if events:
                continue
            watcher[1].clear()
            if await run_in_threadpool(_last, hosted) > last:
                continue
            try:
                await asyncio.wait_for(watcher[1].wait(), ALIVE)
            except TimeoutError:
                yield b": alive\n\n"
        if hosted.deleted:
            yield encoded("state", {"name": hosted.name, "state": "deleted"}, None)
    finally:
        hosted.unwatch(watcher)
