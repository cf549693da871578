"""Clients that do what they should not: each is refused clearly or cut off, and the service goes on."""

from __future__ import annotations

import resource
import threading
import time
from contextlib import ExitStack, suppress

import pytest

from mango.service.connections import ConnectionSettings
from mango.service.limits import LimitSettings
from mango.service.security import SecuritySettings, Tokens
from tests.service.serving import serving
from tests.service.wire import PATIENCE, Wire, client_of, served

IDLE = 1_000
ASK, TELL = "/v1/studies/good/ask", "/v1/studies/good/tell"


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    """Of a service that all tests share, and that all of them leave as it was."""
    with serving(f"sqlite:///{tmp_path_factory.mktemp('service')}/mango.db") as url:
        served(url)
        yield url


@pytest.fixture(autouse=True)
def _goes_on(request):
    """After every test that had to do with the shared service."""
    yield
    if "url" in request.fixturenames:
        served(request.getfixturevalue("url"))


def counts(url, study="good"):
    with client_of(f"{url}/v1") as client:
        return client.get(f"/studies/{study}").json()["counts"]


# -- half of something ----------------------------------------------------------------------------------------------


def test_half_a_head_and_half_a_body_change_nothing(url):
    before = counts(url)
    for sent in (b"", b"POST", b"POST /v1/studies/good/ask HTTP/1.1\r\nHost: x", b"\r\n\r\n"):
        with Wire(url) as wire:
            wire.send(sent)
    for half in (b'{"n"', b""):
        with Wire(url) as wire:
            wire.ask("POST", ASK, half, "Content-Length: 8")
        with Wire(url) as wire:
            wire.ask("POST", ASK, half, "Content-Length: 8").socket.shutdown(1)
            assert wire.ended()
    with Wire(url) as wire:
        wire.ask("POST", ASK, b'4\r\n{"n"\r\n', "Transfer-Encoding: chunked")
    served(url)
    after = counts(url)
    assert after == before | {name: before[name] + 1 for name in ("asked", "told", "presentations")}


def test_slow_clients_are_cut_off_while_others_are_served(tmp_path):
    limits, connections = LimitSettings(body_seconds=2.0), ConnectionSettings(head=2.0, idle=2)
    with serving(f"sqlite:///{tmp_path}/mango.db", limits=limits, connections=connections) as url, ExitStack() as stack:
        silent, head, body, kept = (stack.enter_context(Wire(url)) for _ in range(4))
        assert kept.ask("GET", "/healthz").answer().status == 200
        head.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n")
        body.ask("POST", "/v1/studies", b'{"name"', "Content-Length: 100")
        ended = threading.Event()

        def trickle():
            """A few more bytes every now and then do not help."""
            for number in range(1000):
                if ended.wait(0.1):
                    return
                with suppress(OSError):
                    head.send(b"X-%d: x\r\n" % number)
                with suppress(OSError):
                    body.send(b" ")

        thread = threading.Thread(target=trickle)
        thread.start()
        try:
            served(url)
            late = head.answer()
            assert (late.status, late.error["kind"]) == (408, "TooSlow")
            assert "head of the request did not come whole within 2 seconds" in late.error["message"]
            late = body.answer()
            assert (late.status, late.error["kind"], late.headers["connection"]) == (408, "TooSlow", "close")
            assert "the body did not come whole within 2 seconds" in late.error["message"]
        finally:
            ended.set()
            thread.join()
        assert silent.ended()
        assert kept.ended()
        served(url)


# -- too much -------------------------------------------------------------------------------------------------------


def test_a_body_of_100_megabytes_is_refused_before_it_comes(url):
    with Wire(url) as wire:
        said = wire.ask("POST", ASK, b"x", "Content-Length: 100000000").answer()
        assert (said.status, said.error["kind"]) == (413, "TooLarge")
        assert "at most 16,777,216 bytes; got 100,000,000 or more" in said.error["message"]


@pytest.mark.parametrize("chunked", [False, True])
def test_a_client_that_sends_100_megabytes_anyway_hears_why_not(url, chunked):
    block, said = bytes(1_000_000), []
    with Wire(url) as wire:
        lines = ("Transfer-Encoding: chunked",) if chunked else ("Content-Length: 100000000",)
        wire.ask("POST", ASK, b"", *lines)
        reader = threading.Thread(target=lambda: said.append(wire.answer()))
        reader.start()
        for _ in range(100):
            wire.send(b"%x\r\n%s\r\n" % (len(block), block) if chunked else block)
        reader.join(PATIENCE)
        assert (said[0].status, said[0].error["kind"]) == (413, "TooLarge")
        if chunked:
            wire.send(b"0\r\n\r\n")
        assert wire.ask("GET", "/healthz").answer().status == 200  # the same connection is good for another request


def test_a_thousand_idle_connections_hold_up_nobody(url):
    """Each takes a file of this process and one of the service, which is in it, too."""
    need, (soft, hard) = 2 * IDLE + 400, resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < need:
        pytest.skip(f"{IDLE:,} connections need {need:,} open files; this machine allows {hard:,}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, need), hard))
    try:
        with ExitStack() as stack:
            idle = [stack.enter_context(Wire(url)) for _ in range(IDLE)]
            served(url)
            assert idle[0].ask("GET", "/healthz").answer().status == 200  # and they are served, too
            assert idle[-1].ask("GET", "/healthz").answer().status == 200
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize(
    "head",
    [
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 200_000 + b"\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 40_000 + b"\r\n",
        b"GET /" + b"x" * 200_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ],
)
def test_a_huge_head_is_refused(url, head):
    with Wire(url) as wire:
        with suppress(OSError):  # the service closes while the rest is still under way
            wire.send(head[:100_000])
        said = wire.answer()
        assert (said.status, said.error["kind"], said.headers["connection"]) == (400, "ProtocolError", "close")


def test_a_long_path_is_refused(url):
    with Wire(url) as wire:
        said = wire.ask("GET", "/v1/" + "x" * 5_000).answer()
        assert (said.status, said.error["kind"]) == (414, "TooLong")


# -- not quite HTTP -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sent",
    [
        b"hello\r\n\r\n",
        b"GET /healthz\r\n\r\n",  # HTTP/0.9
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",  # TLS
        b"GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\n\r\n",  # no Host
        b"GET /healthz HTTP/1.1\r\nHost : localhost\r\n\r\n",
        b"GET /health z HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /healthz\xff HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: a\0b\r\n\r\n",
        b"POST /v1/studies HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST /v1/studies HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1e3\r\n\r\n",
        b"POST /v1/studies HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
        b"POST /v1/studies HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
        b"POST /v1/studies HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"POST /v1/studies HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"POST /v1/studies HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
    ],
)
def test_what_is_not_http_is_answered_and_cut_off(url, sent):
    with Wire(url) as wire:
        said = wire.send(sent).answer()
        assert said.status in (400, 501)
        assert said.error["message"]
        assert said.headers["connection"] == "close"
        assert wire.ended()


def test_two_lengths_are_one_too_many(url):
    """A proxy may go by one and the service by the other: the rest would be somebody's next request."""
    with Wire(url) as wire:
        smuggled = b"2\r\n{}\r\n0\r\n\r\nGET /v1/studies HTTP/1.1\r\nHost: localhost\r\n\r\n"
        said = wire.ask("POST", ASK, smuggled, "Content-Length: 5", "Transfer-Encoding: chunked").answer()
        assert (said.status, said.error["kind"], said.headers["connection"]) == (400, "BadRequest", "close")
        assert wire.ended()


def test_a_length_that_is_too_short_leaves_a_bad_request(url):
    with Wire(url) as wire:
        wire.ask("POST", ASK, b'{"n": 1}xxxx\r\n\r\n', "Content-Length: 8")
        assert wire.answer().status == 200
        assert wire.answer().error["kind"] == "ProtocolError"
        assert wire.ended()


def test_chunks_and_pipelines_are_served_in_order(url):
    with Wire(url) as wire:
        wire.ask("POST", ASK, b'4\r\n{"n"\r\n4\r\n: 1}\r\n0\r\n\r\n', "Transfer-Encoding: chunked")
        wire.ask("GET", "/v1/nothing").ask("GET", "/healthz").ask("BREW", "/healthz").ask("GET", "/healthz")
        assert [wire.answer().status for _ in range(5)] == [200, 404, 200, 405, 200]


def test_expect_continue_is_answered_before_a_body_that_is_wanted(url):
    with Wire(url) as wire:
        wire.ask("POST", ASK, b"", "Expect: 100-continue", "Content-Length: 8", "Content-Type: application/json")
        assert wire.answer(head_only=True).status == 100
        assert wire.send(b'{"n": 1}').answer().status == 200
    with Wire(url) as wire:  # and not before one that is not
        said = wire.ask("POST", ASK, b"", "Expect: 100-continue", "Content-Length: 100000000").answer()
        assert said.status == 413


def test_http_1_0_is_served_and_closed(url):
    with Wire(url) as wire:
        said = wire.ask("POST", ASK, b'{"n": 1}', version="HTTP/1.0").answer()
        assert said.status == 200
        assert wire.ended()
    with Wire(url) as wire:
        assert wire.send(b"GET /healthz HTTP/1.0\r\n\r\n").answer().error["kind"] == "HostError"


def test_head_has_no_body_and_other_methods_are_named(url):
    with Wire(url) as wire:
        said = wire.ask("HEAD", "/v1/studies").answer(head_only=True)
        assert (said.status, said.headers["allow"]) == (405, "GET, POST")
        for method in ("OPTIONS", "TRACE", "CONNECT", "PATCH", "get", "X" * 50):
            said = wire.ask(method, ASK).answer()
            assert (said.status, said.error["kind"], said.headers["allow"]) == (405, "MethodNotAllowed", "POST")


def test_an_upgrade_is_left_alone(url):
    with Wire(url) as wire:
        lines = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: x")
        assert wire.ask("GET", "/v1/studies/good/events/x", b"", *lines).answer().status == 404


@pytest.mark.parametrize(
    "path",
    [
        "//", "/..", "/v1/studies/..", "/v1/studies/good/../../healthz", "/page/../../security.py",
        "/page/%2e%2e/hub.py", "/page/..%2fhub.py", "/page/%2e%2e%2fhub.py", "/page/..%5chub.py", "/page/%00",
        "/v1/studies/%2e%2e", "/v1/studies/a%0d%0ab", "/v1/studies/%ff", "/v1/studies/a%2fb", "/v1/studies/.good",
        "/v1/studies/good;x/trials/0", "/v1/studies/good%20", "/v1/studies/-", "/v1/studies/" + "g" * 101,
        "http://evil.org/healthz", "/page//etc/passwd", "*", "healthz",
    ],
)  # fmt: skip
def test_tricks_in_paths_find_nothing(url, path):
    with Wire(url) as wire:
        said = wire.ask("GET", path).answer()
        assert said.status in (404, 422), said
        assert said.error["message"]


# -- good HTTP, bad content -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"[" * 1_000_000, 400), (b'{"n":' * 100_000, 400), (b'{"n": NaN}', 422), (b'{"n": Infinity}', 422),
        (b'{"n": 1, "n": 1}', 400), (b'{"n": "\xc3\x28"}', 400), (b'{"n": "\\ud800"}', 400), (b"\x00", 422),
        (b"null ", 200), (b'{"n": 1e99}', 422), (b'{"n": -1}', 422), (b'{"n": 10001}', 422), (b'{"n": true}', 422),
        (b'{"m": 1}', 422), (b"[1]", 422), (b'"n"', 422), (b"1", 422), (b'{"n": 1} x', 422),
        (b"\xef\xbb\xbf{}", 422),
    ],
)  # fmt: skip
def test_content_that_cannot_be_used_is_refused(url, body, status):
    with Wire(url) as wire:
        said = wire.ask("POST", ASK, body).answer()
        assert said.status == status, said
        assert status == 200 or len(said.error["message"]) < 300


def test_trials_of_other_studies_are_refused_whole(tmp_path):
    new = {"space": {"kind": "box", "dim": 2}, "optimizer": "random", "budget": 100}
    with (
        serving(f"sqlite:///{tmp_path}/mango.db") as url,
        client_of(f"{url}/v1") as client,
    ):
        for name in ("a", "b"):
            assert client.post("/studies", json={"name": name, **new}).status_code == 201
        client.post("/studies/a/ask", json={"n": 5})
        client.post("/studies/b/ask", json={"n": 2})
        mixed = [{"number": n, "attempt": 1, "value": float(n)} for n in (0, 1, 4)]  # b never asked its trial 4
        said = client.post("/studies/b/tell", json={"results": mixed})
        assert (said.status_code, said.json()["error"]["kind"]) == (422, "TellError")
        for path, body in (("fail", {"trials": [{"number": 4, "attempt": 1}]}), ("veto", {"numbers": [0, 4]})):
            assert client.post(f"/studies/b/{path}", json=body).status_code == 422
        released = client.post("/studies/b/release", json={"trials": [{"number": 0, "attempt": 9}]})
        assert released.json()["numbers"] == []  # nobody holds that attempt
        assert client.post("/studies/c/tell", json={"results": mixed}).status_code == 404
        assert (counts(url, "b")["told"], counts(url, "b")["vetoed"], counts(url, "b")["open"]) == (0, 0, 2)
        assert client.post("/studies/a/tell", json={"results": mixed}).json()["accepted"] == [0, 1, 4]
        served(url)


def test_wrong_tokens_are_refused_before_their_bodies_come(tmp_path):
    token = "right-token-0123456789"
    settings = SecuritySettings(tokens=Tokens.of(write=[token]))
    with serving(f"sqlite:///{tmp_path}/mango.db", security=settings) as url:
        for line in (
            "X: y",
            "Authorization: Bearer wrong-token-0123456789",
            f"Authorization: {token}",
            "Cookie: mango_session=x",
        ):
            with Wire(url) as wire:
                said = wire.ask("POST", "/v1/studies", b"", "Content-Length: 100000000", line).answer()
                assert (said.status, said.error["kind"]) == (401, "Unauthorized")
        with Wire(url) as wire:
            body = b'{"name": "a", "space": {"kind": "box", "dim": 2}, "budget": 5, "optimizer": "random"}'
            assert wire.ask("POST", "/v1/studies", body, f"Authorization: Bearer {token}").answer().status == 201


def test_watchers_who_go_away_leave_nothing_behind(url):
    with ExitStack() as stack:
        for _ in range(20):
            wire = stack.enter_context(Wire(url))
            wire.ask("GET", "/v1/studies/good/events")
            wire._until(b"event: state")
    served(url)
    deadline = time.monotonic() + PATIENCE
    with client_of(url) as client:
        while "mango_event_streams 0.0" not in client.get("/metrics").text:
            assert time.monotonic() < deadline, "event streams stay open"
            time.sleep(0.05)


def test_somebody_who_goes_in_the_middle_of_an_export_holds_up_nobody(url):
    for _ in range(3):
        with Wire(url) as wire:
            wire.ask("GET", "/v1/studies/good/export")
            wire.socket.recv(10)
    with client_of(url) as client:
        assert client.get("/v1/studies/good/export").status_code == 200
