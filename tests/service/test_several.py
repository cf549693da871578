"""Two processes of `mango serve` on one PostgreSQL, one of which is killed or stands still."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from experiments.benchmarks.service.processes import Service
from mango.study import verify

pytestmark = pytest.mark.slow

SOON = 120.0  # seconds within which anything must have happened, on a busy machine
Services = tuple[Service, Service]


@pytest.fixture
def services(postgresql: str, tmp_path: Path) -> Iterator[Services]:
    """Two; the first owns the studies ``a`` and ``b``, of the first of which three trials are out."""
    with ExitStack() as stack:
        both = [Service(postgresql, tmp_path / f"{name}.log") for name in ("one", "other")]
        for service in both:
            stack.enter_context(service)
        for name in ("a", "b"):
            new = {"name": name, "space": {"kind": "box", "dim": 3}, "optimizer": "random", "budget": 30}
            assert post(both[0], "", new).status_code == 201
        assert post(both[0], "/a/ask", {"n": 3, "lease": 3600.0}).status_code == 200
        yield both[0], both[1]


def post(service: Service, path: str, body: Any = None) -> httpx.Response:
    return httpx.post(f"{service.url}/v1/studies{path}", json=body, timeout=SOON)


def told(*numbers: int, value: float) -> dict[str, Any]:
    return {"results": [{"number": number, "attempt": 1, "value": value} for number in numbers]}


def soon(what: Callable[[], httpx.Response], status: int = 200) -> httpx.Response:
    """The answer, once it is of that status; until then 503, and told when to try again."""
    end = time.monotonic() + SOON
    while (said := what()).status_code != status:
        assert said.status_code == 503, said.text
        assert int(said.headers["Retry-After"]) > 0
        assert time.monotonic() < end, said.text
        time.sleep(0.2)
    return said


def test_a_killed_owner_is_followed_and_nothing_acknowledged_is_lost(services: Services, postgresql: str) -> None:
    one, other = services
    assert post(one, "/a/tell", told(0, value=1.5)).json()["accepted"] == [0]
    said = post(other, "/a/ask", {"n": 1})
    assert (said.status_code, f"{one.url} owns the study 'a'" in said.text) == (503, True)
    one.kill()
    counts = soon(lambda: post(other, "/a/tell", told(0, 1, value=1.5))).json()
    assert (counts["accepted"], counts["repeated"]) == ([1], [0])
    trials = soon(lambda: post(other, "/a/ask", {"n": 2})).json()["trials"]
    assert sorted(trial["number"] for trial in trials) == [3, 4]
    one.start()
    one.wait()
    said = post(one, "/a/ask", {"n": 1})
    assert (said.status_code, f"{other.url} owns the study 'a'" in said.text) == (503, True)
    assert soon(lambda: post(one, "/b/ask", {"n": 1})).json()["trials"][0]["number"] == 0
    assert other.stop() == 0
    assert soon(lambda: post(one, "/a/tell", told(2, value=0.5))).json()["accepted"] == [2]
    assert verify(None, storage=postgresql, name="a") is None


def test_an_owner_that_stood_still_is_fenced_and_serves_its_other_studies_on(
    services: Services, postgresql: str
) -> None:
    one, other = services
    os.kill(one.process.pid, signal.SIGSTOP)
    late: list[httpx.Response] = []
    thread = threading.Thread(target=lambda: late.append(post(one, "/a/tell", told(0, 1, value=9.0))))
    thread.start()  # the system takes it for the process that stands still
    try:
        accepted = soon(lambda: post(other, "/a/tell", told(0, value=1.5))).json()["accepted"]
    finally:
        os.kill(one.process.pid, signal.SIGCONT)
        thread.join(SOON)
    assert accepted == [0]
    assert late[0].status_code == 503, late[0].text
    assert "owns the study 'a'" in late[0].text or "has taken over the study 'a'" in late[0].text
    assert post(one, "/a/ask", {"n": 1}).status_code == 503
    assert [trial["number"] for trial in soon(lambda: post(one, "/b/ask", {"n": 1})).json()["trials"]] == [0]
    rows = httpx.get(f"{other.url}/v1/studies/a/trials", timeout=SOON).json()["trials"]
    assert [(row["state"], row["value"]) for row in rows] == [("done", 1.5), ("open", None), ("open", None)]
    assert httpx.delete(f"{one.url}/v1/studies/a", timeout=SOON).status_code == 503
    assert httpx.delete(f"{other.url}/v1/studies/a", timeout=SOON).status_code == 204
    assert post(one, "/a/ask", {"n": 1}).status_code == 404
    assert verify(None, storage=postgresql, name="b") is None
