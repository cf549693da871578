"""One client of a study over one connection, as fast as it can: asks for a block, tells its values, takes the time."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mango.storage import Database, Store

RAW, JSON = "application/octet-stream", "application/json"
BLOCK = 40  # trials


@dataclass
class Times:
    """Seconds of clock time of each request, in order.

    Attributes:
        raw, json: asks whose codes came as float32 rows, or as JSON.
        since: from the answer before to that of each ask: all in which the optimizer learned for it.
        tell: of the values of a block.
    """

    raw: list[float] = field(default_factory=list)
    json: list[float] = field(default_factory=list)
    since: list[float] = field(default_factory=list)
    tell: list[float] = field(default_factory=list)

    def add(self, other: Times) -> None:
        """Those of another client, too."""
        self.raw += other.raw
        self.json += other.json
        self.since += other.since
        self.tell += other.tell


class Client:
    """A connection to a service.

    Args:
        port: of it, on this machine.
        study: name of the study.
        dim: axes of its space.
    """

    def __init__(self, port: int, study: str, dim: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600.0)
        self._study = study
        self._dim = dim

    def create(self, **new: Any) -> None:
        """Makes the study, a box."""
        self._post("", {"name": self._study, "space": {"kind": "box", "dim": self._dim}, **new}, JSON)

    def ask(self, n: int, kind: str) -> tuple[list[tuple[int, int]], NDArray[Any]]:
        """Numbers and attempts of up to ``n`` trials, and their codes ``(n, dim)``."""
        headers, body = self._post(f"/{self._study}/ask", {"n": n}, kind)
        if kind == JSON:
            trials = json.loads(body)["trials"]
            return [(t["number"], t["attempt"]) for t in trials], np.array([t["code"] for t in trials])
        names = ("Mango-Trials", "Mango-Attempts")
        numbers, attempts = ([int(text) for text in headers[name].split(",") if text] for name in names)
        return list(zip(numbers, attempts, strict=True)), np.frombuffer(body, "<f4").reshape(-1, self._dim)

    def tell(self, slots: Sequence[tuple[int, int]], values: Sequence[float]) -> None:
        """The values of a block."""
        results = [{"number": n, "attempt": a, "value": v} for (n, a), v in zip(slots, values, strict=True)]
        self._post(f"/{self._study}/tell", {"results": results}, JSON)

    def rounds(self, count: int, *, block: int = BLOCK, kinds: Sequence[str] = (RAW, JSON)) -> Times:
        """So many blocks, of each kind in turn."""
        times, last = Times(), time.perf_counter()
        for i in range(count):
            kind = kinds[i % len(kinds)]
            asked = times.raw if kind == RAW else times.json
            start = time.perf_counter()
            slots, codes = self.ask(block, kind)
            came = time.perf_counter()
            asked.append(came - start)
            times.since.append(came - last)
            values = (-np.square(codes - 0.3).sum(1)).tolist()
            start = time.perf_counter()
            self.tell(slots, values)
            last = time.perf_counter()
            times.tell.append(last - start)
        return times

    def close(self) -> None:
        """Ends the connection."""
        self._connection.close()

    def _post(self, path: str, body: dict[str, Any], accept: str) -> tuple[Any, bytes]:
        headers = {"Content-Type": JSON, "Accept": accept}
        self._connection.request("POST", f"/v1/studies{path}", json.dumps(body), headers)
        with self._connection.getresponse() as answer:
            content = answer.read()
            if answer.status not in (200, 201):
                raise RuntimeError(f"{path}: {answer.status} {content[:1000]!r}")
            return answer.headers, content


def optimizer_seconds(storage: str, study: str, first: int) -> list[float]:
    """What the optimizer took for each ask from event ``first`` on, as the log has it; to learn before it, too."""
    database = Database(storage, write=False)
    try:
        log = Store.open(database, study, own=False).log(first, 1_000_000)
    finally:
        database.close()
    return [event.seconds for event in log if event.kind == "ask"]


def spread(seconds: Sequence[float]) -> dict[str, float]:
    """Milliseconds: the 10th percentile, which other work on the machine hardly touches, the median, and the 99th."""
    return {f"p{share}": 1e3 * float(np.percentile(seconds, share)) for share in (10, 50, 99)}
