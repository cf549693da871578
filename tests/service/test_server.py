"""Starting and stopping: where it binds, what is in flight when a signal comes, and what is there after a kill."""

from __future__ import annotations

import itertools
import json
import os
import signal
import socket
import threading
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from starlette.responses import StreamingResponse

from mango.errors import OptionError, StorageError
from mango.service.app import create_app
from mango.service.hosted import Hosted
from mango.service.hub import Hub
from mango.service.limits import LimitSettings
from mango.service.protection import protect
from mango.service.security import SecuritySettings, Tokens
from mango.service.server import Server, ServerSettings
from tests.service.serving import process, serving, until
from tests.service.wire import PATIENCE, Wire, client_of, served

SLOW = Path(__file__).with_name("slow_service.py")
STUDY = {"name": "a", "space": {"kind": "box", "dim": 2}, "optimizer": "random", "budget": 100_000}
KILLS = 3


def slow(folder):
    """The arguments of a service whose tells wait, and their two files."""
    began, may_go_on = folder / "began", folder / "go"
    return (str(SLOW), str(began), str(may_go_on)), began, may_go_on


def in_background(work):
    """What it returned, when it has."""
    found = []
    thread = threading.Thread(target=lambda: found.append(work()))
    thread.start()

    def result():
        thread.join(PATIENCE)
        return found[0]

    return result


def asked(url, n=3):
    with client_of(f"{url}/v1") as client:
        client.post("/studies", json=STUDY)
        return client.post("/studies/a/ask", json={"n": n}).json()["trials"]


def tell(url, trials):
    """Status and body, or None where the connection ended."""
    results = [{"number": t["number"], "attempt": t["attempt"], "value": float(t["number"])} for t in trials]
    with client_of(f"{url}/v1") as client:
        try:
            said = client.post("/studies/a/tell", json={"results": results})
        except httpx.TransportError:
            return None
        return said.status_code, said.json()


def values(folder):
    """Number -> value of the trials that the database holds as done, read by another process's service."""
    with serving(f"sqlite:///{folder}/mango.db") as url, client_of(f"{url}/v1") as client:
        found, after = {}, -1
        while after is not None:
            page = client.get(f"/studies/a/trials?state=done&limit=1000&after={after}").json()
            found |= {trial["number"]: trial["value"] for trial in page["trials"]}
            after = page["next"]
        return found


def listening(url):
    with suppress(OSError), Wire(url):
        return True
    return False


@contextmanager
def in_thread(app, **settings):
    """A server that may be stopped before the end."""
    ready = threading.Event()
    server = Server(app, ServerSettings(port=0, **settings), ready=lambda _: ready.set())
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        assert ready.wait(PATIENCE)
        yield server
    finally:
        server.stop()
        thread.join(PATIENCE)
        assert not thread.is_alive()


# -- stopping -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sent", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_a_signal_lets_what_is_in_flight_finish(tmp_path, sent):
    words, began, may_go_on = slow(tmp_path)
    with process(tmp_path, *words) as (service, url):
        trials = asked(url)
        with Wire(url) as watcher, Wire(url) as idle:
            watcher.ask("GET", "/v1/studies/a/events")
            watcher._until(b"event: state")
            assert idle.ask("GET", "/healthz").answer().status == 200
            told = in_background(lambda: tell(url, trials))
            until(began.exists)
            service.send_signal(sent)
            rest = watcher._until(b"\r\n0\r\n\r\n")  # a proper end
            assert b"event: tell" not in rest
            assert watcher.ended()
            assert idle.ended()
        until(lambda: not listening(url))
        assert service.poll() is None
        may_go_on.touch()
        status, body = told()
        assert (status, body["accepted"]) == (200, [0, 1, 2])
        assert service.wait(PATIENCE) == 0
    lines = (tmp_path / "log").read_text().splitlines()
    line = next(json.loads(line) for line in lines if '"/v1/studies/{name}/tell"' in line)
    assert line["status"] == 200
    assert not any("Traceback" in line for line in lines)
    assert values(tmp_path) == {0: 0.0, 1: 1.0, 2: 2.0}


def test_a_second_signal_ends_it_at_once(tmp_path):
    words, began, _ = slow(tmp_path)
    with process(tmp_path, *words) as (service, url):
        trials = asked(url)
        told = in_background(lambda: tell(url, trials))
        until(began.exists)
        service.send_signal(signal.SIGTERM)
        until(lambda: not listening(url))
        assert service.poll() is None
        service.send_signal(signal.SIGTERM)
        assert service.wait(PATIENCE) == 128 + signal.SIGTERM
        assert told() is None
    assert values(tmp_path) == {}


def test_what_takes_longer_than_the_grace_is_told_so(tmp_path, monkeypatch):
    began, may_go_on, take_in = threading.Event(), threading.Event(), Hosted.take_in

    def slowly(self, *arguments):
        began.set()
        assert may_go_on.wait(PATIENCE)
        return take_in(self, *arguments)

    monkeypatch.setattr(Hosted, "take_in", slowly)
    with in_thread(create_app(Hub(f"sqlite:///{tmp_path}/mango.db")), grace=1) as server:
        trials = asked(server.url)
        told = in_background(lambda: tell(server.url, trials))
        assert began.wait(PATIENCE)
        server.stop()
        status, body = told()
        assert (status, body["error"]["kind"]) == (503, "Stopping")
        assert "it may have been done" in body["error"]["message"]
        may_go_on.set()


@pytest.mark.slow
def test_whatever_was_acknowledged_outlives_a_kill(tmp_path):
    acknowledged = {}
    for kill in range(KILLS):
        with process(tmp_path) as (service, url):
            enough = len(acknowledged) + 12 + 5 * kill
            workers = [threading.Thread(target=_answer_until_it_is_gone, args=(url, acknowledged)) for _ in range(3)]
            for worker in workers:
                worker.start()
            until(lambda enough=enough: len(acknowledged) >= enough)
            os.kill(service.pid, signal.SIGKILL)
            for worker in workers:
                worker.join(PATIENCE)
            assert service.wait(PATIENCE) == -signal.SIGKILL
        kept = values(tmp_path)
        assert acknowledged.items() <= kept.items()
        assert all(value == number for number, value in kept.items())


def _answer_until_it_is_gone(url, acknowledged):
    for turn in itertools.count():
        with suppress(httpx.TransportError):
            trials = asked(url, 1 + turn % 4)
            said = tell(url, trials)
            if said is not None:
                assert said[0] == 200
                acknowledged.update({t["number"]: float(t["number"]) for t in trials})
                continue
        if not listening(url):
            return


# -- starting -------------------------------------------------------------------------------------------------------


@pytest.fixture
def app(tmp_path):
    return create_app(Hub(f"sqlite:///{tmp_path}/mango.db"))


def test_a_port_that_is_taken_is_said(app):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OptionError, match=f"port {port} of 127.0.0.1 is in use; .* another port"):
            Server(app, ServerSettings(port=port))
        with pytest.raises(OptionError, match=f"port {port} of localhost is in use"):
            Server(app, ServerSettings(host="localhost", port=port))


@pytest.mark.parametrize(
    ("host", "port", "words"),
    [
        ("no.such.host.invalid", 0, "an address of this machine, or a name of one; got 'no.such.host.invalid'"),
        ("198.51.100.7", 0, "198.51.100.7 port 0 cannot be bound"),
        ("127.0.0.1", 65_536, "a port lies in 0 to 65535"),
        ("127.0.0.1", -1, "a port lies in 0 to 65535"),
    ],
)
def test_an_address_that_is_none_is_said(tmp_path, host, port, words):
    security = SecuritySettings(tokens=Tokens.of(write=["write-token-0123456789"]))
    app = create_app(Hub(f"sqlite:///{tmp_path}/mango.db"), security)
    with pytest.raises(OptionError, match=words):
        Server(app, ServerSettings(host=host, port=port))


def test_without_a_token_others_cannot_reach_it(app):
    with pytest.raises(OptionError, match="binds only to loopback"):
        Server(app, ServerSettings(host="0.0.0.0", port=0))


def test_port_0_picks_a_free_one_and_localhost_is_a_name(app):
    with in_thread(app, host="localhost") as server:
        port = int(server.url.rpartition(":")[2])
        assert server.url == f"http://localhost:{port}"
        served(f"http://127.0.0.1:{port}")


def failing(error):
    """An app whose start fails."""

    @asynccontextmanager
    async def lifespan(_):
        raise error
        yield

    app = FastAPI(lifespan=lifespan, docs_url=None, redoc_url=None)
    protect(app, SecuritySettings(), LimitSettings())
    return app


def test_why_it_did_not_start_is_raised_and_it_never_said_that_it_serves():
    said = []
    server = Server(failing(StorageError("the database is away")), ServerSettings(port=0), ready=said.append)
    with pytest.raises(StorageError, match="the database is away"):
        server.run()
    assert said == []


def test_half_an_answer_is_not_taken_for_a_whole_one(caplog):
    app = FastAPI(docs_url=None, redoc_url=None)

    @app.get("/half")
    def half():
        def pieces():
            yield b"half"
            raise RuntimeError("broken")

        return StreamingResponse(pieces())

    protect(app, SecuritySettings(), LimitSettings())
    with (
        in_thread(app) as server,
        Wire(server.url) as wire,
        pytest.raises(AssertionError, match="the connection ended"),
    ):
        wire.ask("GET", "/half").answer()
    assert "RuntimeError: broken" in caplog.text
