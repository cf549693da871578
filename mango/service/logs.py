"""One line of log for each request, with its id; the id of a request is also in whatever else it logs.

A line never holds a query, a header, a body or a message that quotes one, so that no token can be in it.
"""

from __future__ import annotations

import json
import logging
import re
import time
import uuid
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TextIO

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

logger = logging.getLogger(__name__)

REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")
SANE = re.compile(r"[A-Za-z0-9._-]{1,64}")
LONGEST = 100  # characters of what a client chose, a study's name at most
QUIET = ("/healthz", "/metrics")  # asked every few seconds, and never news


@dataclass(frozen=True, kw_only=True)
class LogSettings:
    """How the log looks.

    Attributes:
        json: one JSON object a line; False: plain text, for people.
        level: the least that is logged, a name of `logging`.
    """

    json: bool = True
    level: str = "INFO"


class LogsMiddleware:
    """Gives each request an id, taken from X-Request-Id where that is sane, and logs its line."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request and its line."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if SANE.fullmatch(given) else uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        status: int | None = None  # stays so where the client went before it was answered
        logged, started = False, time.perf_counter()

        async def noting(message: Message) -> None:
            nonlocal status, logged
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-Id"] = request_id
            await send(message)
            if is_last(message):  # what the app does once it has answered is not waited for
                logged = True
                _log(scope, status, time.perf_counter() - started)

        token = REQUEST_ID.set(request_id)
        try:
            await self.app(scope, receive, noting)
        finally:
            if not logged:
                _log(scope, status, time.perf_counter() - started)
            REQUEST_ID.reset(token)


def route_template(scope: Scope) -> str:
    """``/v1/studies/{name}`` of a request that was routed, ``/page/*`` below a mount; "unmatched" elsewhere."""
    route = scope.get("route")
    if route is not None:
        return str(route.path)
    return f"{scope['root_path']}/*" if scope.get("root_path") else "unmatched"


def is_last(message: Message) -> bool:
    """Whether an answer ends with it."""
    return message["type"] == "http.response.body" and not message.get("more_body", False)


def configure_logging(settings: LogSettings, stream: TextIO | None = None) -> None:
    """Sends the log of the whole process, its warnings too, to one stream (default: standard error)."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter() if settings.json else PlainFormatter())
    logging.basicConfig(level=settings.level, handlers=[handler], force=True)
    logging.captureWarnings(True)


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON; a traceback is one text in it."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class PlainFormatter(logging.Formatter):
    """Text, with the fields behind the message."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:
        """The line; what is no printable character in a message is escaped, for it may have come from outside."""
        record.message = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in record.message)
        fields = "".join(f" {name}={json.dumps(value, default=str)}" for name, value in _fields(record).items())
        return super().formatMessage(record) + fields


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    request_id = REQUEST_ID.get()
    given: dict[str, Any] = getattr(record, "fields", {})
    return {**({"request_id": request_id} if request_id else {}), **given}


def _log(scope: Scope, status: int | None, seconds: float) -> None:
    route = route_template(scope)
    fields: dict[str, Any] = {
        "method": scope["method"][:LONGEST],
        "route": route,
        "status": status,
        "seconds": round(seconds, 6),
    }
    name = (scope.get("path_params") or {}).get("name")
    if name is not None:
        fields["study"] = name[:LONGEST]
    kind = scope["state"].get("error_kind")
    if kind is not None:
        fields["error"] = kind
    level = logging.INFO
    if status is not None and status >= 500:
        level = logging.WARNING if status == 503 else logging.ERROR
    elif route in QUIET and status is not None and status < 400:
        level = logging.DEBUG
    message = "answered" if status is not None else "the client went away"
    logger.log(level, message, extra={"fields": fields})
