"""Keeps Python's garbage collector from walking over every trial while a client waits.

A full pass looks at all objects, which with 100,000 trials takes tenths of a second, and comes whenever a quarter has
been added. Nearly all that survives a pass here stays as long as its study does, so what survives one is set aside
(`gc.freeze`) and the next pass looks at what came since. Cycles that end later, such as those of closed connections,
are found by a pass over everything, once in `WHOLE` seconds.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

WHOLE = 3_600.0  # seconds between passes over everything


@contextmanager
def set_aside(seconds: float = WHOLE) -> Iterator[None]:
    """Within it, passes of the collector look at what is new, and at everything once in so many seconds."""
    due = time.monotonic() + seconds

    def passed(phase: str, about: Mapping[str, Any]) -> None:
        nonlocal due
        if phase != "stop" or about["generation"] != 2:
            return
        if time.monotonic() < due:
            gc.freeze()
        else:  # the next pass, which is near, is over everything
            gc.unfreeze()
            due = time.monotonic() + seconds

    gc.callbacks.append(passed)
    gc.collect()
    try:
        yield
    finally:
        gc.callbacks.remove(passed)
        gc.unfreeze()
