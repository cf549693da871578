"""Server-sent events over a real connection."""

from __future__ import annotations

import json

import httpx
import pytest

from tests.service.serving import serving

STUDY = {"name": "a", "space": {"kind": "box", "dim": 3}, "optimizer": "random", "budget": 30}


@pytest.fixture
def url(tmp_path):
    with serving(f"sqlite:///{tmp_path}/mango.db") as url:
        assert httpx.post(f"{url}/v1/studies", json=STUDY).status_code == 201
        yield f"{url}/v1/studies/a"


def messages(lines, n):
    """The next so many, as (id, name, data)."""
    found, fields = [], {}
    for line in lines:
        if line and not line.startswith(":"):
            name, _, value = line.partition(": ")
            fields[name] = value
        elif fields:
            found.append((int(fields["id"]) if "id" in fields else None, fields["event"], json.loads(fields["data"])))
            fields = {}
            if len(found) == n:
                return found
    return found


def test_what_happens_is_told_as_it_happens(url):
    with httpx.stream("GET", f"{url}/events", timeout=20) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        lines = stream.iter_lines()
        [(sequence, name, study)] = messages(lines, 1)
        assert (sequence, name, study["state"]) == (-1, "state", "running")
        trials = httpx.post(f"{url}/ask", json={"n": 3}).json()["trials"]
        [(sequence, name, data)] = messages(lines, 1)
        assert (sequence, name) == (0, "ask")
        assert [t["number"] for t in data["trials"]] == [0, 1, 2]
        assert all(t["lease_until"] > data["at"] for t in data["trials"])
        results = [{"number": t["number"], "attempt": 1, "value": t["number"]} for t in trials]
        httpx.post(f"{url}/tell", json={"results": results})
        [(sequence, name, data)] = messages(lines, 1)
        assert (sequence, name, data["best"]["number"], data["counts"]["told"]) == (1, "tell", 2, 3)
        httpx.post(f"{url}/pause")
        [(sequence, name, study)] = messages(lines, 1)
        assert (sequence, name, study["state"]) == (2, "state", "paused")


def test_references_are_told_as_they_are_handed_out_and_as_they_are_answered(url):
    address = url.removesuffix("/a")
    new = STUDY | {"name": "r", "references": {"every": 2, "codes": [[0.0] * 3, [0.5] * 3]}}
    assert httpx.post(address, json=new).status_code == 201
    with httpx.stream("GET", f"{address}/r/events", timeout=20) as stream:
        lines = stream.iter_lines()
        messages(lines, 1)
        block = httpx.post(f"{address}/r/ask", json={"n": 5}).json()
        [(_, name, data)] = messages(lines, 1)
        assert (name, data["references"]) == ("ask", block["references"])
        assert [(r["presentation"], r["image"], r["told_at"]) for r in data["references"]] == [
            (0, 0, None),
            (1, 1, None),
        ]
        shown = [{"presentation": 1, "value": 4.0}]
        assert httpx.post(f"{address}/r/tell", json={"references": shown}).is_success
        [(_, name, data)] = messages(lines, 1)
        assert (name, data["trials"], len(data["references"])) == ("tell", [], 1)
        assert (data["references"][0]["presentation"], data["references"][0]["value"]) == (1, 4.0)
        httpx.post(f"{address}/r/ask", json={"n": 1})
        assert [r["presentation"] for r in messages(lines, 1)[0][2]["references"]] == [2]
        httpx.post(f"{address}/r/ask", json={"n": 1})
        assert messages(lines, 1)[0][2]["references"] == []


def test_a_watcher_who_was_cut_off_misses_nothing(url):
    with httpx.stream("GET", f"{url}/events", timeout=20) as stream:
        messages(stream.iter_lines(), 1)
    httpx.post(f"{url}/ask", json={"n": 2})
    httpx.post(f"{url}/veto", json={"numbers": [1]})
    with httpx.stream("GET", f"{url}/events", headers={"Last-Event-ID": "0"}, timeout=20) as stream:
        found = messages(stream.iter_lines(), 2)
    assert [(sequence, name) for sequence, name, _ in found] == [(0, "state"), (1, "veto")]
    assert found[1][2]["numbers"] == [1]
    with httpx.stream("GET", f"{url}/events", timeout=20) as stream:
        assert messages(stream.iter_lines(), 1)[0][0] == 1


def test_a_watcher_of_a_study_without_events_may_come_back(url):
    """A browser sends the id that it got, -1 here, and gives up for good where that is refused."""
    with httpx.stream("GET", f"{url}/events", timeout=20) as stream:
        [(sequence, _, _)] = messages(stream.iter_lines(), 1)
    assert sequence == -1
    httpx.post(f"{url}/ask", json={"n": 2})
    with httpx.stream("GET", f"{url}/events", headers={"Last-Event-ID": "-1"}, timeout=20) as stream:
        found = messages(stream.iter_lines(), 2)
    assert [(sequence, name) for sequence, name, _ in found] == [(-1, "state"), (0, "ask")]
    for wrong in ("-2", "x", "9" * 16, "\u0663".encode()):
        assert httpx.get(f"{url}/events", headers={"Last-Event-ID": wrong}).status_code == 422


def test_a_study_that_is_deleted_ends_its_streams(url):
    with httpx.stream("GET", f"{url}/events", timeout=20) as stream:
        lines = stream.iter_lines()
        messages(lines, 1)
        assert httpx.delete(url).status_code == 204
        assert messages(lines, 2) == [(None, "state", {"name": "a", "state": "deleted"})]


def test_many_watch(url):
    streams = [httpx.stream("GET", f"{url}/events", timeout=20) for _ in range(5)]
    open_streams = [stream.__enter__() for stream in streams]
    try:
        lines = [stream.iter_lines() for stream in open_streams]
        for line in lines:
            messages(line, 1)
        httpx.post(f"{url}/ask", json={"n": 1})
        assert {messages(line, 1)[0][:2] for line in lines} == {(0, "ask")}
    finally:
        for stream in streams:
            stream.__exit__(None, None, None)
