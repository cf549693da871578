"""A study over HTTP as one file, which makes the same study elsewhere."""

from __future__ import annotations

import asyncio
import gc
import io
import json
import tempfile
import tracemalloc
import zipfile

import pytest
from fastapi.testclient import TestClient

from mango.service import exports
from mango.service.app import create_app
from mango.service.hub import Hub
from mango.service.security import SecuritySettings, Tokens
from mango.storage import export_study, import_study

STUDY = {"name": "a", "space": {"kind": "box", "dim": 3}, "optimizer": "cma", "budget": 60, "seed": 3}
READ, WRITE = "read-token-0123456789", "write-token-0123456789"


def client_of(storage, settings=None):
    return TestClient(create_app(Hub(storage), settings), base_url="http://localhost")


@pytest.fixture
def storage(tmp_path):
    return f"sqlite:///{tmp_path}/mango.db"


@pytest.fixture
def client(storage):
    """Of a study with every kind of event."""
    with client_of(storage) as client:
        assert client.post("/v1/studies", json=STUDY | {"meta": {"animal": "m1"}}).status_code == 201
        client.post("/v1/studies/a/enqueue", json={"codes": [[0.0, 0.5, -0.5]]})
        for _ in range(2):
            trials = client.post("/v1/studies/a/ask", json={"n": 10}, headers={"Idempotency-Key": "k"}).json()["trials"]
        results = [{"number": t["number"], "attempt": 1, "value": -sum(c * c for c in t["code"])} for t in trials[:7]]
        results[0]["response"] = [[1.0, None], [3.0, 4.0]]
        assert client.post("/v1/studies/a/tell", json={"results": results}).status_code == 200
        client.post("/v1/studies/a/veto", json={"numbers": [trials[8]["number"]]})
        client.post("/v1/studies/a/release", json={"trials": [{"number": trials[9]["number"], "attempt": 1}]})
        yield client


def test_what_is_exported_makes_the_same_study(client, tmp_path):
    said = client.get("/v1/studies/a/export")
    assert (said.status_code, said.headers["content-type"]) == (200, "application/zip")
    assert said.headers["content-disposition"] == 'attachment; filename="a.mango"'
    assert int(said.headers["content-length"]) == len(said.content)
    (tmp_path / "a.mango").write_bytes(said.content)
    assert import_study(tmp_path / "a.mango", f"sqlite:///{tmp_path}/copy.db", "b") == "b"
    with client_of(f"sqlite:///{tmp_path}/copy.db") as other:
        one, two = client.get("/v1/studies/a").json(), other.get("/v1/studies/b").json()
        for study in (one, two):
            del study["name"]
        assert one == two
        trials = [c.get(f"/v1/studies/{name}/trials?codes=true").json() for c, name in ((client, "a"), (other, "b"))]
        assert trials[0] == trials[1]
        told = []
        for number in range(10):
            path = f"trials/{number}/response.npy"
            told += [c.get(f"/v1/studies/{name}/{path}") for c, name in ((client, "a"), (other, "b"))]
        [(ours, theirs)] = [pair for pair in zip(told[::2], told[1::2], strict=True) if pair[0].status_code == 200]
        assert ours.content == theirs.content
        again = other.post("/v1/studies/b/ask", json={"n": 10}, headers={"Idempotency-Key": "k"}).json()["trials"]
        assert len(again) == 10  # the same request is known there, too
        goes_on = [c.post(f"/v1/studies/{name}/ask", json={"n": 4}).json() for c, name in ((client, "a"), (other, "b"))]
        codes = [{t["number"]: t["code"] for t in block["trials"]} for block in goes_on]
        assert codes[0] == codes[1]


def rows(archive, table):
    """Of a table; of arrays, whose files are numbered in any order, the sums."""

    def summed(value):
        if isinstance(value, dict) and set(value) == {"arrays", "scalars"}:
            return {name: digest for name, (_, digest) in value["arrays"].items()}
        return value

    lines = archive.read(f"{table}.jsonl").splitlines()
    return [{name: summed(value) for name, value in json.loads(line).items()} for line in lines]


def test_it_is_what_the_command_writes(client, tmp_path):
    hub = client.app.state.hub
    export_study(hub.get("a").study.store, tmp_path / "a.mango")
    with (
        zipfile.ZipFile(tmp_path / "a.mango") as ours,
        zipfile.ZipFile(io.BytesIO(client.get("/v1/studies/a/export").content)) as theirs,
    ):
        for table in ("study", "events", "trials", "presentations", "answers", "leases", "responses"):
            assert rows(ours, table) == rows(theirs, table), table


def test_a_study_of_another_process_can_be_exported(client, storage):
    assert client.get("/v1/studies/a").status_code == 200
    with client_of(storage) as other:
        assert other.get("/v1/studies/a").status_code == 503  # owned
        assert other.get("/v1/studies/a/export").status_code == 200


def test_who_reads_may_export_and_nobody_else(storage):
    with client_of(storage, SecuritySettings(tokens=Tokens.of(read=[READ], write=[WRITE]))) as client:
        client.post("/v1/studies", json=STUDY, headers={"Authorization": f"Bearer {WRITE}"})
        assert client.get("/v1/studies/a/export").status_code == 401
        assert client.get("/v1/studies/a/export", headers={"Authorization": f"Bearer {READ}"}).status_code == 200


def test_what_cannot_be_exported_is_said(client, monkeypatch):
    error = client.get("/v1/studies/b/export").json()["error"]
    assert (error["kind"], error["message"][:25]) == ("NotFound", "there is no study 'b'; GE")
    assert client.get("/v1/studies/..%2fa/export").status_code == 422

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(exports, "write_study", full)
    said = client.get("/v1/studies/a/export")
    assert (said.status_code, said.json()["error"]["kind"]) == (503, "StorageError")
    assert "No space left on device" in said.json()["error"]["message"]
    gc.collect()  # a file that stays open would warn, and warnings are errors


def test_memory_does_not_grow_with_the_file():
    file = tempfile.TemporaryFile()
    for _ in range(24):
        file.write(bytes(1_000_000))
    answer = exports.FileAnswer(file, "a.mango", "application/zip")
    sizes = []

    async def send(message):
        sizes.append(len(message.get("body", b"")))

    tracemalloc.start()
    try:
        asyncio.run(answer({"type": "http"}, None, send))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (sum(sizes), max(sizes)) == (24_000_000, exports.PIECE)
    assert peak < 4_000_000
    assert file.closed


def test_a_file_is_closed_where_sending_it_ends_early():
    file = tempfile.TemporaryFile()
    file.write(bytes(1_000_000))

    async def gone(message):
        raise OSError(message["type"])

    with pytest.raises(OSError, match=r"http\.response\.start"):
        asyncio.run(exports.FileAnswer(file, "a.mango", "application/zip")({"type": "http"}, None, gone))
    assert file.closed
