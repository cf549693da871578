"""Bounds on what one client, or all of them, can ask of the service at once.

The body of a request is received whole before the application sees any of it: half a body never gets in, and a slow
one holds nothing but its bytes. Connections, and the heads of requests, are bounded by `mango.service.connections`.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeAlias

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mango.service.errors import error_response
from mango.service.logs import is_last

Refusal: TypeAlias = tuple[int, str, str, dict[str, str]]

ENCODED = (b"%00", b"%2f", b"%5c")  # characters that would turn one name into several
STREAM = re.compile(r"/v1/studies/[^/]+/events")
BODIES = "the service holds as many bytes of bodies as it takes; try again in a second"
STOPPED = (
    "the service stopped before this was answered; it may have been done: ask for the state, or send it again with "
)
STOPPED += "the same idempotency key"


@dataclass(frozen=True, kw_only=True)
class LimitSettings:
    """How much is taken.

    Attributes:
        body: bytes of one request's body.
        bodies: bytes of all bodies that are held at once.
        body_seconds: for a body to come whole.
        requests: answered at once, event streams aside.
        streams: event streams at once.
        path: characters.
    """

    body: int = 16 * 2**20
    bodies: int = 256 * 2**20
    body_seconds: float = 30.0
    requests: int = 256
    streams: int = 100
    path: int = 1_024


class Limits:
    """What of its bounds one service uses now.

    Attributes:
        requests: being answered.
        held: bytes of bodies.
        closing: whether the service stops; then event streams have ended, and no new one begins.
    """

    def __init__(self, settings: LimitSettings) -> None:
        self.settings = settings
        self.requests = 0
        self.held = 0
        self.closing = False
        self._streams: set[asyncio.Timeout] = set()

    @property
    def streams(self) -> int:
        """Event streams that are open."""
        return len(self._streams)

    @asynccontextmanager
    async def streaming(self) -> AsyncIterator[None]:
        """While an event stream is open; raises TimeoutError in it when the service begins to stop."""
        async with asyncio.timeout(None) as stream:
            self._streams.add(stream)
            try:
                yield
            finally:
                self._streams.discard(stream)

    def close(self) -> None:
        """Ends every event stream; called in the event loop when the service begins to stop."""
        self.closing = True
        for stream in self._streams:
            stream.reschedule(asyncio.get_running_loop().time())

    def full(self, stream: bool) -> Refusal | None:
        """Why one more is not taken now, if it is not."""
        if stream and self.closing:
            return 503, "Stopping", "the service stops; try again when it is back", {"Retry-After": "2"}
        if stream:
            now, most, what = self.streams, self.settings.streams, "event streams are open"
        else:
            now, most, what = self.requests, self.settings.requests, "requests are being answered"
        if now < most:
            return None
        return 429, "TooMany", f"{now:,} {what}, and more are not taken; try again in a second", {"Retry-After": "1"}


class LimitsMiddleware:
    """Refuses what is beyond the bounds."""

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self.app = app
        self.limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, if there is room for it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        try:
            _check_path(scope, self.limits.settings.path)
            if scope["method"] == "GET" and STREAM.fullmatch(scope["path"]):
                await self._stream(scope, receive, send)
            else:
                await self._request(scope, receive, send)
        except _Refused as refused:
            await error_response(scope, *refused.refusal)(scope, receive, send)

    async def _stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes an event stream on until it ends, or the service stops: then its answer is ended properly."""
        _check(self.limits.full(stream=True))
        answer = _Answer(send)
        try:
            async with self.limits.streaming():
                await self.app(scope, receive, answer)
        except TimeoutError:
            if not answer.begun:
                _check(self.limits.full(stream=True))
            elif not answer.ended:
                await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _request(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Receives the body, then has it answered; where that takes longer than a stopping service waits, says so."""
        settings, held, answer = self.limits.settings, 0, _Answer(send)
        headers = Headers(scope=scope)
        declared = int(headers.get("content-length", 0))
        _check_framing(headers)
        try:
            chunks = []
            try:
                async with asyncio.timeout(settings.body_seconds):
                    more = True
                    while more:
                        _check_body(max(held, declared), settings.body)
                        message = await receive()
                        if message["type"] == "http.disconnect":
                            return
                        chunk, more = message.get("body", b""), message.get("more_body", False)
                        chunks.append(chunk)
                        held += len(chunk)
                        self.limits.held += len(chunk)
                        if self.limits.held > settings.bodies:
                            raise _Refused(429, "TooMany", BODIES, {"Retry-After": "1"})
            except TimeoutError:
                late = f"the body did not come whole within {settings.body_seconds:g} seconds; got {held:,} bytes"
                raise _Refused(408, "TooSlow", late, {"Connection": "close"}) from None
            _check_body(held, settings.body)
            _check(self.limits.full(stream=False))
            self.limits.requests += 1
            try:
                await self.app(scope, replayed(b"".join(chunks), receive), answer)
            finally:
                self.limits.requests -= 1
        except asyncio.CancelledError:
            if answer.begun or not self.limits.closing:
                raise
            raise _Refused(503, "Stopping", STOPPED, {"Retry-After": "2"}) from None
        finally:
            self.limits.held -= held


class _Refused(Exception):
    """A request that is not taken: status, kind, message and headers of the answer."""

    def __init__(self, *refusal: *Refusal) -> None:
        super().__init__(refusal[2])
        self.refusal = refusal


class _Answer:
    """Passes an answer on, and knows how far it is."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.begun = self.ended = False

    async def __call__(self, message: Message) -> None:
        self.begun = True
        self.ended = is_last(message)
        await self._send(message)


def _check(refusal: Refusal | None) -> None:
    if refusal is not None:
        raise _Refused(*refusal)


def _check_body(size: int, most: int) -> None:
    """The answer leaves the connection open: closed under a client that still sends, it would lose the answer."""
    if size > most:
        raise _Refused(413, "TooLarge", f"a body has at most {most:,} bytes; got {size:,} or more", {})


def _check_framing(headers: Headers) -> None:
    """One length, by which every program between finds the same end of the body; and the body as it is."""
    if "content-length" in headers and "transfer-encoding" in headers:
        message = "a body comes with Content-Length or in chunks, not both"
        raise _Refused(400, "BadRequest", message, {"Connection": "close"})
    encoding = headers.get("content-encoding", "identity")
    if encoding.lower() != "identity":  # a few bytes could unpack to any number
        message = f"a body is taken as it is; got Content-Encoding: {encoding[:100]}, send it without"
        raise _Refused(415, "UnsupportedMediaType", message, {})


def _check_path(scope: Scope, longest: int) -> None:
    path, raw = scope["path"], scope.get("raw_path", b"").lower()
    if len(path) > longest:
        raise _Refused(414, "TooLong", f"a path has at most {longest:,} characters; got {len(path):,}", {})
    names = path.removeprefix("/").removesuffix("/").split("/")
    odd = path != "/" and any(name in ("", ".", "..") for name in names)
    if odd or not path.isprintable() or any(code in raw for code in ENCODED) or "\\" in path or "\ufffd" in path:
        message = (
            "a path must be made of printable names between single slashes, without . and .. and without encoded "
            f"slashes; got {path!r}"
        )
        raise _Refused(422, "InputError", message, {})


def replayed(body: bytes, receive: Receive) -> Receive:
    """The body in one piece, then whatever comes."""
    pending = [body]

    async def replay() -> Message:
        if pending:
            return {"type": "http.request", "body": pending.pop(), "more_body": False}
        return await receive()

    return replay
