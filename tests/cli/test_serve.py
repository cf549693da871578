"""`mango serve`: what it refuses before it serves, and that its tokens open it and are never shown."""

from __future__ import annotations

import json
import logging
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from mango.cli import app
from mango.service.app import create_app
from mango.service.hub import Hub
from mango.service.server import called
from tests.service.serving import PATIENCE, process
from tests.service.wire import Wire, client_of

WRITE, READ, LISTED = "write-token-0123456789", "read-token-0123456789", "listed-token-0123456789"


@pytest.fixture(autouse=True)
def log_as_before() -> Iterator[None]:
    """The command sends the log of its whole process to one stream."""
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    logging.captureWarnings(False)
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


def mango(*words: object, **environment: str) -> Any:
    return CliRunner().invoke(app, ["serve", *(str(word) for word in words)], env=environment)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--host", "0.0.0.0"), "without a token the service binds only to loopback"),
        (("--host", "rig.lab.edu"), "without a token the service binds only to loopback"),
        (("--port", "70000"), "a port lies in 0 to 65535"),
        (("--token-file", "none.txt"), "none.txt cannot be read"),
        (("--token-file", "empty.txt"), "empty.txt holds none; expected one a line"),
        (("--token-file", "binary.txt"), "binary.txt cannot be read"),
        (("--token-file", "short.txt"), "a write token must have at least 16 characters"),
        (("--read-token-file", "short.txt"), "a read token must have at least 16 characters"),
        (("--allow-host", "http://rig.lab.edu"), "a host is a name without scheme"),
        (("--allow-origin", "rig.lab.edu"), "an origin is a scheme, a host and perhaps a port"),
        (("--generator", "mine"), "--generator takes NAME=module:factory; got 'mine'"),
        (("--storage", "mango.db"), "sqlite:///"),
    ],
)
def test_what_cannot_be_served_is_said(
    words: tuple[str, ...], reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for variable in ("MANGO_TOKEN", "MANGO_READ_TOKEN"):
        monkeypatch.delenv(variable, raising=False)
    Path("empty.txt").write_text(" \n")
    Path("short.txt").write_text("hunter2\n")
    Path("binary.txt").write_bytes(b"hunter2\xff")
    ran = mango(*words)
    assert ran.exit_code == 2, ran.output
    assert reason in ran.stderr
    assert "hunter2" not in ran.output


def test_a_port_in_use_is_said(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ran = mango("--port", port, "--storage", f"sqlite:///{tmp_path}/mango.db")
    assert (ran.exit_code, f"port {port} of 127.0.0.1 is in use" in ran.stderr) == (2, True)


def test_its_tokens_open_it_and_are_never_shown(tmp_path: Path) -> None:
    """At every address of the machine, from the environment and from a file, by the names that are allowed."""
    (tmp_path / "tokens").write_text(f"{LISTED}\n{LISTED}-2\r\n")
    options = ["--host", "0.0.0.0", "--token-file", str(tmp_path / "tokens"), "--allow-host", "rig.lab.edu"]
    options += ["--allow-origin", "https://rig.lab.edu", "--generator", "mine=mango.generators.pixels:Pixels"]
    tokens = {"MANGO_TOKEN": WRITE, "MANGO_READ_TOKEN": READ}
    said = []
    with process(tmp_path, options=options, environment=tokens) as (service, url):
        assert url.startswith("http://0.0.0.0:")
        url = url.replace("0.0.0.0", "127.0.0.1")
        with client_of(url) as client:

            def status(method: str, path: str, token: str | None, **more: Any) -> int:
                headers = {"Host": "rig.lab.edu"} | ({} if token is None else {"Authorization": f"Bearer {token}"})
                answer = client.request(method, path, headers=headers, **more)
                said.append(answer.text + str(answer.headers))
                return answer.status_code

            new = {"name": "a", "generator": "mine", "budget": 5, "optimizer": "random"}
            for token, read, write in (
                (None, 401, 401), (READ, 200, 403), (WRITE, 200, 201), (LISTED, 200, 409), (f"{LISTED}-2", 200, 409),
                (f"{LISTED}-3", 401, 401),
            ):  # fmt: skip
                assert status("GET", "/v1/studies", token) == read
                assert status("POST", "/v1/studies", token, json=new) == write
            assert status("POST", "/v1/studies", WRITE, content=f'{{"name": "{READ[:3]}') == 415
            assert status("GET", "/metrics", READ) == 200
        with Wire(url) as wire:
            wire.send(f"GET /{WRITE} {READ}\r\n\r\n".encode())
            said.append(repr(wire.answer()))
        service.terminate()
        assert service.wait(PATIENCE) == 0
    log = (tmp_path / "log").read_text()
    kinds = [json.loads(line).get("error") for line in log.splitlines() if line.startswith("{")]
    assert [kinds.count(kind) for kind in ("Unauthorized", "ReadOnly", "StudyExists", "ProtocolError")] == [4, 1, 2, 1]
    for text in [log, *said]:
        assert not any(token in text for token in (READ, WRITE, LISTED))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ([], "http://127.0.0.1:{port}"),
        (["--host", "0.0.0.0"], f"http://{socket.gethostname()}:{{port}}"),
        (["--host", "0.0.0.0", "--address", "https://rig.lab.edu"], "https://rig.lab.edu"),
    ],
)
def test_the_others_of_a_shared_database_are_told_where_it_answers(
    options: list[str], told: str, postgresql: str, tmp_path: Path
) -> None:
    options = [*options, "--storage", postgresql]
    headers = {"Authorization": f"Bearer {WRITE}"}
    with process(tmp_path, options=options, environment={"MANGO_TOKEN": WRITE}) as (service, url):
        port = url.rpartition(":")[2]
        told = told.format(port=port)
        new = {"name": "a", "space": {"kind": "box", "dim": 3}, "budget": 5, "optimizer": "random"}
        with client_of(f"http://127.0.0.1:{port}") as client:
            answer = client.post("/v1/studies", headers=headers | {"Host": told.partition("//")[2]}, json=new)
            assert answer.status_code == (403 if "rig.lab" in told else 201), answer.text
            if "rig.lab" in told:  # the name of a proxy, unless it is allowed
                assert client.post("/v1/studies", headers=headers, json=new).status_code == 201
        with TestClient(create_app(Hub(postgresql)), base_url="http://localhost") as other:
            said = other.post("/v1/studies/a/ask", json={"n": 1})
        service.terminate()
        assert service.wait(PATIENCE) == 0
    assert said.status_code == 503
    assert f" {told} owns the study 'a'" in said.json()["error"]["message"]


@pytest.mark.parametrize(
    ("host", "name"),
    [("127.0.0.1", "127.0.0.1"), ("::1", "::1"), ("rig.lab.edu", "rig.lab.edu")]
    + [(everywhere, socket.gethostname()) for everywhere in ("0.0.0.0", "::")],
)
def test_what_others_call_it(host: str, name: str) -> None:
    assert called(host) == name


@pytest.mark.slow
def test_a_log_for_people(tmp_path: Path) -> None:
    with process(tmp_path, options=["--plain-log"]) as (service, url):
        with Wire(url) as wire:
            assert wire.ask("GET", "/nothing").answer().status == 404
        service.terminate()
        assert service.wait(PATIENCE) == 0
    lines = (tmp_path / "log").read_text().splitlines()
    line = next(line for line in lines if "answered" in line)
    assert " INFO answered request_id=" in line
    assert line.endswith('error="NotFound"')
    assert os.linesep.join(lines).count("Traceback") == 0
