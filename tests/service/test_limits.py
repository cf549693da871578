"""Bounds on what clients can ask at once, at the level of ASGI messages."""

from __future__ import annotations

import asyncio
import json

import pytest

from mango.service.limits import Limits, LimitSettings, LimitsMiddleware

SETTINGS = LimitSettings(body=100, bodies=150, body_seconds=10.0, requests=2, streams=2, path=60)
WHOLE = ({"type": "http.request", "body": b"", "more_body": False},)
GONE = {"type": "http.disconnect"}


def scope(path="/v1/x", method="POST", raw=None, **headers):
    named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    raw_path = (path if raw is None else raw).encode()
    return {"type": "http", "method": method, "path": path, "raw_path": raw_path, "headers": named, "state": {}}


class Service:
    """An application behind the limits; what it was sent, and what it answers."""

    def __init__(self, settings=SETTINGS):
        self.limits = Limits(settings)
        self.bodies = []
        self.go = asyncio.Event()  # what is held answers only then
        self.running = asyncio.Event()
        self._app = LimitsMiddleware(self._answer, self.limits)

    async def _answer(self, scope, receive, send):
        if not scope["path"].endswith("/events"):
            message = await receive()
            assert not message["more_body"]
            self.bodies.append(message["body"])
        self.running.set()
        if scope["path"] == "/v1/slow":
            await self.go.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        if scope["path"].endswith("/events"):
            await send({"type": "http.response.body", "body": b"first", "more_body": True})
            await self.go.wait()
        await send({"type": "http.response.body", "body": b"{}"})

    async def ask(self, scope, *messages, wait=False):
        """Status, error, headers and pieces of the answer; ``wait``: after the messages nothing more comes."""
        coming, sent = list(messages), []

        async def receive():
            if coming:
                return coming.pop(0)
            if wait:
                await asyncio.Event().wait()
            return GONE

        async def send(message):
            sent.append(message)

        await self._app(scope, receive, send)
        if not sent:
            return None, None, {}, []
        status, headers = sent[0]["status"], {k.decode(): v.decode() for k, v in sent[0]["headers"]}
        pieces = [message["body"] for message in sent[1:]]
        assert not sent[-1].get("more_body", False)
        return status, None if status == 200 else json.loads(b"".join(pieces))["error"], headers, pieces


def piece(size, more=True):
    return {"type": "http.request", "body": b"x" * size, "more_body": more}


def run(test):
    return asyncio.run(asyncio.wait_for(test(), 30))


# -- bodies ---------------------------------------------------------------------------------------------------------


def test_the_application_gets_the_body_in_one_piece():
    async def test():
        service = Service()
        status, *_ = await service.ask(scope(), piece(30), piece(0), piece(20, more=False))
        assert (status, service.bodies, service.limits.held) == (200, [b"x" * 50], 0)

    run(test)


@pytest.mark.parametrize(
    ("messages", "headers"),
    [
        ((), {"content_length": "101"}),  # before anything of it comes
        ((piece(60), piece(60), piece(60)), {}),
        ((piece(101, more=False),), {}),
        ((piece(101, more=False),), {"content_length": "3"}),
    ],
)
def test_a_body_that_is_too_large_never_gets_in(messages, headers):
    async def test():
        service = Service()
        status, error, _, _ = await service.ask(scope(**headers), *messages)
        assert (status, error["kind"], service.bodies) == (413, "TooLarge", [])
        assert "at most 100 bytes" in error["message"]
        assert (service.limits.held, service.limits.requests) == (0, 0)

    run(test)


def test_half_a_body_never_gets_in():
    async def test():
        service = Service()
        status, *_ = await service.ask(scope(), piece(50), GONE)
        assert (status, service.bodies, service.limits.held) == (None, [], 0)

    run(test)


def test_a_slow_body_is_not_waited_for():
    async def test():
        service = Service(LimitSettings(body_seconds=0.05))
        status, error, headers, _ = await service.ask(scope(), piece(50), wait=True)
        assert (status, error["kind"], headers["connection"]) == (408, "TooSlow", "close")
        assert "within 0.05 seconds; got 50 bytes" in error["message"]
        assert (service.bodies, service.limits.held) == ([], 0)

    run(test)


def test_all_bodies_together_are_bounded():
    async def test():
        service = Service()
        held = [asyncio.create_task(service.ask(scope("/v1/slow"), piece(100, more=False)))]
        await service.running.wait()
        status, error, headers, _ = await service.ask(scope(), piece(60, more=False))
        assert (status, error["kind"], headers["retry-after"]) == (429, "TooMany", "1")
        status, *_ = await service.ask(scope(), piece(40, more=False))
        assert status == 200
        service.go.set()
        assert (await held[0])[0] == 200
        assert service.limits.held == 0

    run(test)


# -- requests and streams -------------------------------------------------------------------------------------------


def test_so_many_requests_are_answered_at_once():
    async def test():
        service = Service()
        held = [asyncio.create_task(service.ask(scope("/v1/slow"), *WHOLE)) for _ in range(2)]
        while service.limits.requests < 2:
            await asyncio.sleep(0)
        status, error, headers, _ = await service.ask(scope(), *WHOLE)
        assert (status, error["kind"], headers["retry-after"]) == (429, "TooMany", "1")
        assert "2 requests are being answered" in error["message"]
        service.go.set()
        assert [one[0] for one in await asyncio.gather(*held)] == [200, 200]
        assert (await service.ask(scope(), *WHOLE))[0] == 200

    run(test)


def test_streams_are_counted_apart_and_end_when_the_service_stops():
    async def test():
        service = Service()
        stream = scope("/v1/studies/a/events", "GET")
        held = [asyncio.create_task(service.ask(stream, wait=True)) for _ in range(2)]
        while service.limits.streams < 2:
            await asyncio.sleep(0)
        status, error, _, _ = await service.ask(stream)
        assert (status, error["message"][:26]) == (429, "2 event streams are open, ")
        assert (await service.ask(scope(), *WHOLE))[0] == 200
        await asyncio.sleep(0)
        service.limits.close()
        for status, _, _, pieces in await asyncio.gather(*held):
            assert (status, pieces) == (200, [b"first", b""])  # ended properly
        status, error, headers, _ = await service.ask(stream)
        assert (status, error["kind"], headers["retry-after"]) == (503, "Stopping", "2")
        assert service.limits.streams == 0

    run(test)


def test_a_study_may_be_called_events():
    async def test():
        service = Service()
        for method, path in (("DELETE", "/v1/studies/events"), ("POST", "/v1/studies/a/events")):
            status, error, *_ = await service.ask(scope(path, method), piece(120))
            assert (status, error["kind"]) == (413, "TooLarge")  # its body is bounded as any other

    run(test)


def test_what_is_cut_off_by_stopping_is_told_so():
    async def test():
        service = Service()
        held = asyncio.create_task(service.ask(scope("/v1/slow"), *WHOLE))
        await service.running.wait()
        service.limits.close()
        held.cancel()
        status, error, headers, _ = await held
        assert (status, error["kind"], headers["retry-after"]) == (503, "Stopping", "2")
        assert "it may have been done" in error["message"]
        again = asyncio.create_task(Service().ask(scope("/v1/slow"), *WHOLE))
        await asyncio.sleep(0.01)
        again.cancel()
        with pytest.raises(asyncio.CancelledError):  # nobody stops: it is the server's to end it
            await again

    run(test)


# -- paths ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "raw"),
    [
        ("//evil.org", None), ("/v1//studies", None), ("/v1/studies/../..", None), ("/v1/./studies", None),
        ("/page/../hub.py", "/page/%2e%2e/hub.py"), ("/page/..\\hub.py", None), ("/v1/a/b", "/v1/a%2Fb"),
        ("/v1/a\\b", "/v1/a%5Cb"), ("/v1/a\0", "/v1/a%00"), ("/v1/a\nb", "/v1/a%0Ab"), ("/v1/a\u202eb", None),
        ("/v1/a\ufffd", "/v1/a%ff"), ("http://evil.org/v1/studies", None), ("/v1/a\x7f", None), ("/..", None),
    ],
)  # fmt: skip
def test_tricks_in_paths_are_refused(path, raw):
    async def test():
        service = Service()
        status, error, *_ = await service.ask(scope(path, raw=raw), *WHOLE)
        assert (status, error["kind"], service.bodies) == (422, "InputError", [])
        assert "printable names between single slashes" in error["message"]
        assert error["message"].isprintable()

    run(test)


def test_paths_have_a_length():
    async def test():
        service = Service()
        assert (await service.ask(scope("/" + "x" * 59), *WHOLE))[0] == 200
        status, error, *_ = await service.ask(scope("/" + "x" * 60), *WHOLE)
        assert (status, error["kind"]) == (414, "TooLong")
        for path in ("/", "/v1/studies/", "/v1/größe", "/v1/a.b/..c"):
            assert (await service.ask(scope(path, raw=path), *WHOLE))[0] == 200

    run(test)
