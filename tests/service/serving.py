"""A real service at a real port, for the tests of this folder."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from mango.service.app import create_app
from mango.service.connections import ConnectionSettings
from mango.service.hub import Hub
from mango.service.limits import LimitSettings
from mango.service.security import SecuritySettings
from mango.service.server import Server, ServerSettings


@contextmanager
def serving(
    storage: str,
    *,
    security: SecuritySettings | None = None,
    limits: LimitSettings | None = None,
    port: int = 0,
    generators: Mapping[str, str] | None = None,
    connections: ConnectionSettings | None = None,
    grace: int = 30,
) -> Iterator[str]:
    """Its URL, while it serves in a thread."""
    ready = threading.Event()
    hub = Hub(storage, generators)
    settings = ServerSettings(port=port, connections=connections or ConnectionSettings(), grace=grace)
    server = Server(create_app(hub, security, limits), settings, ready=lambda url: ready.set())  # noqa: ARG005
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        assert ready.wait(30), "the service did not start"
        yield server.url
    finally:
        server.stop()
        thread.join(30)
        assert not thread.is_alive(), "the service did not stop"
