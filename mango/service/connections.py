"""Bounds on connections: how many there are, and how long one may be silent, half-said or unread.

uvicorn closes a connection that stays silent after an answer, but waits forever for a first request, for the rest of
its head, and for a client that does not read. What follows is the same protocol with those three bounded. Its own
``limit_concurrency`` would count idle connections, too, and refuse everybody while a thousand of them are open.
"""

from __future__ import annotations

import asyncio
import json
import logging
import uuid
from dataclasses import dataclass
from typing import ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class ConnectionSettings:
    """How patient the service is.

    Attributes:
        most: connections at once; one more closes the idle one that was opened first, or is refused where all work.
        idle: seconds between two requests of one connection.
        head: seconds for the head of a request, also for the rest of a body that was refused.
        stalled: seconds that a client may leave an answer unread.
    """

    most: int = 4_096
    idle: int = 75
    head: float = 20.0
    stalled: float = 60.0


class BoundedProtocol(H11Protocol):
    """uvicorn's HTTP/1.1, not waiting forever for anybody."""

    settings: ClassVar[ConnectionSettings]
    _head: asyncio.TimerHandle | None = None
    _stall: asyncio.TimerHandle | None = None

    @property
    def waiting(self) -> bool:
        """Whether no request is being answered."""
        return self.cycle is None or self.cycle.response_complete

    @property
    def idle(self) -> bool:
        """Whether it may be closed to make room."""
        return self.waiting and not self.transport.is_closing()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Makes room for a new client, or refuses it."""
        super().connection_made(transport)
        self._since = self.loop.time()
        if len(self.connections) > self.settings.most and not self._make_room():
            message = (
                f"{self.settings.most:,} clients are being answered, and more are not taken; try again in a second"
            )
            self._answer("503 Service Unavailable", "TooMany", message, "Retry-After: 1\r\n")
        else:
            self._head = self.loop.call_later(self.settings.head, self._give_up)

    def data_received(self, data: bytes) -> None:
        """Stops the clock of the head once there is a whole one."""
        super().data_received(data)
        if not self.waiting:
            self._stop_clock()
        elif self._head is None:
            self._head = self.loop.call_later(self.settings.head, self._give_up)

    def pause_writing(self) -> None:
        """The client does not read; not for long."""
        super().pause_writing()
        self._stall = self.loop.call_later(self.settings.stalled, self.transport.abort)

    def resume_writing(self) -> None:
        """The client reads again."""
        super().resume_writing()
        self._stop_stall()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stops the clocks."""
        self._stop_clock()
        self._stop_stall()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """What is not HTTP is answered in the shape of `mango.service.errors`."""
        if self.waiting or not self.cycle.response_started:
            self._answer("400 Bad Request", "ProtocolError", msg)
        else:
            self.transport.close()

    def _make_room(self) -> bool:
        idle = [one for one in self.connections if isinstance(one, BoundedProtocol) and one is not self and one.idle]
        if idle:
            min(idle, key=lambda one: one._since).transport.close()
        return bool(idle)

    def _give_up(self) -> None:
        self._head = None
        if not self.waiting:
            return
        half, _ = self.conn.trailing_data
        if half and self.conn.their_state is h11.IDLE:
            late = f"the head of the request did not come whole within {self.settings.head:g} seconds"
            self._answer("408 Request Timeout", "TooSlow", late)
        else:
            self.transport.close()

    def _answer(self, status: str, kind: str, message: str, more: str = "") -> None:
        request_id = uuid.uuid4().hex
        body = json.dumps({"error": {"kind": kind, "message": message, "request_id": request_id}}).encode()
        fields = {"request_id": request_id, "status": int(status[:3]), "error": kind}
        logger.info("answered before it was a request", extra={"fields": fields})
        head = (
            f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
            f"Connection: close\r\nX-Content-Type-Options: nosniff\r\n{more}\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()

    def _stop_clock(self) -> None:
        if self._head is not None:
            self._head.cancel()
            self._head = None

    def _stop_stall(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None


def bounded(settings: ConnectionSettings) -> type[BoundedProtocol]:
    """The protocol with these settings; uvicorn makes one object of it for each connection."""
    return type("BoundedProtocol", (BoundedProtocol,), {"settings": settings})
