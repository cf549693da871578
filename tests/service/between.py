"""What may go wrong between a client and a service: answers that get lost, requests that never arrive, refusals."""

from __future__ import annotations

import socket
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx

LOSE, DROP = "lose", "drop"  # the answer, after the request was done; the request


class Between:
    """A URL that passes every request on, but does first with each one what was planned for it.

    Attributes:
        url: in place of the service's.
        plans: of the next requests: `LOSE`, `DROP`, None, an answer (status, headers, body) in place of the service's,
            or a function of the body that is answered.
        came: method, path and idempotency key of each request.
    """

    def __init__(self, service: str) -> None:
        self.service = service
        self.plans: deque[object] = deque()
        self.came: list[tuple[str, str, str | None]] = []
        between = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                between._answer(self)

            do_GET = do_POST = do_DELETE = answer

            def log_message(self, *_: object) -> None:
                """Nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers.get("Content-Length", 0)))
        self.came.append((request.command, request.path, request.headers.get("Idempotency-Key")))
        plan = self.plans.popleft() if self.plans else None
        if isinstance(plan, tuple):
            status, headers, content = plan
        elif plan == DROP:
            return _cut(request)
        else:
            kept = {name: value for name, value in request.headers.items() if name.lower() != "host"}
            said = httpx.request(request.command, self.service + request.path, content=body, headers=kept, timeout=60)
            if plan == LOSE:
                return _cut(request)
            status, content = said.status_code, plan(said.content) if callable(plan) else said.content
            passed = ("content-type", "retry-after")
            headers = {n: v for n, v in said.headers.items() if n in passed or n.startswith("mango-")}
        request.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(content)
        return None


def _cut(request: BaseHTTPRequestHandler) -> None:
    request.connection.shutdown(socket.SHUT_RDWR)


@contextmanager
def between(service: str) -> Iterator[Between]:
    """One, while it serves in a thread."""
    one = Between(service)
    thread = threading.Thread(target=one.server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield one
    finally:
        one.server.shutdown()
        one.server.server_close()
        thread.join(30)
        assert not thread.is_alive(), "what stood between did not stop"
