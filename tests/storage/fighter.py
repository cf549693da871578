"""A process that owns a study and appends to it when told to, for tests of ownership.

Usage: ``python fighter.py URL TTL``. A line on standard input is a step, a line on standard output what came of it.
"""

from __future__ import annotations

import sys

from mango.errors import MangoError
from mango.storage import Database, Event, Store, engine

engine.IDLE_SECONDS = 1


def main(url: str, ttl: str) -> None:
    database = Database(url, ttl=float(ttl), owner="fighter", address="http://fighter:8700")
    store = None
    for line in sys.stdin:
        try:
            if line == "open\n":
                store = Store.open(database, "study")
                said = "opened"
            elif line == "stand\n":  # in the middle of a step, with its locks
                with store._writing():
                    print("standing", flush=True)
                    sys.stdin.readline()
                said = "committed"
            else:
                sequence = len(list(store.events()))
                store.append(Event(sequence, "tell", 1.0, {"by": "fighter"}))
                said = f"appended {sequence}"
        except MangoError as error:
            said = f"{type(error).__name__}: {error}"
        print(said, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
