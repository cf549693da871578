"""Connections are bounded: how many there are, and how long one may be silent or unread."""

from __future__ import annotations

import logging
import time
from contextlib import ExitStack

import pytest

from mango.service.connections import ConnectionSettings
from tests.service.serving import serving
from tests.service.wire import PATIENCE, Wire, client_of, served

BUNDLE = "/docs/swagger-ui-bundle.js"  # more than a megabyte


@pytest.fixture
def storage(tmp_path):
    return f"sqlite:///{tmp_path}/mango.db"


def test_one_more_closes_the_idle_one_that_was_opened_first(storage):
    with serving(storage, connections=ConnectionSettings(most=3)) as url, ExitStack() as stack:
        first, second, third = (stack.enter_context(Wire(url)) for _ in range(3))
        for wire in (third, second, first):  # whoever asked last does not matter
            assert wire.ask("GET", "/healthz").answer().status == 200
        fourth = stack.enter_context(Wire(url))
        assert first.ended()
        for wire in (second, third, fourth):
            assert wire.ask("GET", "/healthz").answer().status == 200


def test_where_all_work_one_more_is_refused(storage):
    with serving(storage, connections=ConnectionSettings(most=2)) as url, ExitStack() as stack:
        busy = [stack.enter_context(Wire(url)) for _ in range(2)]
        for wire in busy:  # their bodies are on the way
            wire.ask("POST", "/v1/studies", b"", "Content-Length: 2", "Expect: 100-continue")
            assert wire.answer(head_only=True).status == 100
        with Wire(url) as wire:
            said = wire.answer()
            assert (said.status, said.error["kind"], said.headers["retry-after"]) == (503, "TooMany", "1")
            assert "2 clients are being answered" in said.error["message"]
            assert wire.ended()
        assert busy[0].send(b"{}").answer().status == 415
        with Wire(url) as wire:
            assert wire.ask("GET", "/healthz").answer().status == 200
        assert busy[1].send(b"{}").answer().status == 415


def test_who_does_not_read_is_cut_off(storage):
    with serving(storage, connections=ConnectionSettings(stalled=0.5)) as url:
        with Wire(url, buffer=4096) as wire:
            for _ in range(30):  # far more than all buffers between hold
                wire.ask("GET", BUNDLE)
            served(url)
            deadline = time.monotonic() + PATIENCE
            with client_of(url) as client:
                while "mango_http_requests_running 1.0" not in client.get("/metrics").text:  # that one itself
                    assert time.monotonic() < deadline, "an answer that nobody reads stays open"
                    time.sleep(0.05)
            with pytest.raises((ConnectionError, AssertionError)):  # cut off, somewhere in an answer
                _ = [wire.answer() for _ in range(30)]
        served(url)


def test_who_reads_slowly_gets_it_all(storage):
    with serving(storage) as url, Wire(url, buffer=4096) as wire:
        for _ in range(4):
            wire.ask("GET", BUNDLE)
        sizes = {len(wire.answer().body) for _ in range(4)}
        assert len(sizes) == 1
        assert sizes.pop() > 1_000_000


def test_what_was_no_request_is_in_the_log_under_its_id(storage, caplog):
    caplog.set_level(logging.INFO, "mango")
    with serving(storage) as url, Wire(url) as wire:
        error = wire.send(b"nonsense\r\n\r\n").answer().error
        assert error["message"] == "Invalid HTTP request received."
    [record] = [record for record in caplog.records if record.name == "mango.service.connections"]
    assert record.fields == {"request_id": error["request_id"], "status": 400, "error": "ProtocolError"}
