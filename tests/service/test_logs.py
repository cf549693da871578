"""One line of log for each request, with its id, and nothing in it that a client could forge or that is secret."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys

import pytest
from fastapi.testclient import TestClient

from mango.service.app import create_app
from mango.service.hub import Hub
from mango.service.logs import JsonFormatter, PlainFormatter

STUDY = {"name": "a", "space": {"kind": "box", "dim": 2}, "optimizer": "random", "budget": 30}


@pytest.fixture
def client(tmp_path):
    with TestClient(create_app(Hub(f"sqlite:///{tmp_path}/mango.db")), base_url="http://localhost") as client:
        yield client


@pytest.fixture
def log(monkeypatch):
    """What mango logs, as JSON, formatted at once: a stream does so while the request runs."""
    lines = []
    handler = logging.Handler()
    monkeypatch.setattr(handler, "emit", lambda record: lines.append(json.loads(JsonFormatter().format(record))))
    logger, level = logging.getLogger("mango"), logging.getLogger("mango").level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield lines
    logger.removeHandler(handler)
    logger.setLevel(level)


def test_a_request_is_one_line(client, log):
    said = client.post("/v1/studies?secret=hunter2", json=STUDY, headers={"X-Request-Id": "rig-7.1"})
    assert said.headers["x-request-id"] == "rig-7.1"
    client.get("/v1/studies/a/trials/0?secret=hunter2")
    made, missing = log
    assert made.pop("time").endswith("+00:00")
    assert made.pop("seconds") > 0
    assert made == {
        "level": "INFO", "logger": "mango.service.logs", "message": "answered", "request_id": "rig-7.1",
        "method": "POST", "route": "/v1/studies", "status": 201,
    }  # fmt: skip
    assert (missing["route"], missing["study"], missing["status"], missing["error"]) == (
        "/v1/studies/{name}/trials/{number}", "a", 404, "NotFound",
    )  # fmt: skip
    assert "hunter2" not in str(log)


@pytest.mark.parametrize("given", ["", "x" * 65, "a b", "a\tb", 'a"b', "../a", "{}"])
def test_an_id_that_could_confuse_a_log_is_replaced(client, log, given):
    said = client.get("/v1/nothing", headers={"X-Request-Id": given})
    assert said.headers["x-request-id"] != given
    assert len(said.headers["x-request-id"]) == 32
    assert said.json()["error"]["request_id"] == said.headers["x-request-id"] == log[0]["request_id"]


def test_what_a_client_chooses_is_bounded(client, log):
    client.request("X" * 500, "/v1/studies/" + "y" * 500)
    [line] = log
    assert (line["method"], line["study"]) == ("X" * 100, "y" * 100)


def test_polling_is_quiet_unless_it_fails(client, log, monkeypatch):
    client.get("/healthz")
    client.get("/metrics")
    client.get("/healthz", headers={"Host": "evil.org"})
    assert [(line["level"], line["status"]) for line in log] == [("DEBUG", 200), ("DEBUG", 200), ("INFO", 403)]
    monkeypatch.setattr(type(client.app.state.protection.metrics), "text", lambda _: 1 / 0)
    client.get("/metrics")
    assert (log[-1]["level"], log[-1]["error"]) == ("ERROR", "InternalError")


def test_whatever_a_request_logs_has_its_id(client, log, monkeypatch):
    monkeypatch.setattr(Hub, "studies", lambda _: 1 / 0)
    request_id = client.get("/v1/studies").json()["error"]["request_id"]
    traced, line = log
    assert "ZeroDivisionError" in traced["traceback"]
    assert traced["request_id"] == line["request_id"] == request_id
    assert (line["level"], line["status"]) == ("ERROR", 500)


def test_no_message_makes_a_second_line():
    record = logging.LogRecord("x", logging.INFO, "x.py", 1, "a\nERROR forged \x1b[31m%s", ("\u2028b",), None)
    record.fields = {"study": 'a"\nb'}
    line = JsonFormatter().format(record)
    assert len(line.splitlines()) == 1
    assert json.loads(line)["message"] == "a\nERROR forged \x1b[31m\u2028b"
    line = PlainFormatter().format(record)
    assert len(line.splitlines()) == 1
    assert line.endswith(r'a\nERROR forged \x1b[31m\u2028b study="a\"\nb"')


def test_the_whole_process_logs_to_one_stream():
    code = """
import logging, warnings
from mango.service.logs import LogSettings, configure_logging
configure_logging(LogSettings(level="WARNING"))
logging.getLogger("other").info("hushed")
logging.getLogger("other").warning("said")
warnings.warn("warned")
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    lines = [json.loads(line) for line in io.StringIO(ran.stderr)]
    assert [(line["logger"], line["level"]) for line in lines] == [("other", "WARNING"), ("py.warnings", "WARNING")]
    assert (ran.stdout, lines[0]["message"]) == ("", "said")
