"""A real service at a real port, for the tests of this folder."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from mango.service.app import create_app
from mango.service.connections import ConnectionSettings
from mango.service.hub import Hub
from mango.service.limits import LimitSettings
from mango.service.security import SecuritySettings
from mango.service.server import Server, ServerSettings

PATIENCE = 60.0  # seconds for what must happen
SERVES = re.compile(rb"serves at (http://[0-9a-z.:\[\]]+)")
T = TypeVar("T")


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


@contextmanager
def process(
    folder: Path, *words: str, options: Sequence[str] = (), environment: Mapping[str, str] | None = None
) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """`mango serve` in a process of its own: it, and its URL. Its log is ``folder/log``, its database mango.db there.

    Args:
        folder: where all of it lies.
        words: what runs the command line in place of `mango`.
        options: further ones of the command.
        environment: variables beside those of this process.
    """
    log = folder / "log"
    began = log.stat().st_size if log.exists() else 0
    command = [sys.executable, *(words or ("-c", "from mango.cli import app; app()"))]
    command += ["serve", "--port", "0", "--storage", f"sqlite:///{folder}/mango.db", *options]
    with log.open("ab") as errors:
        running = subprocess.Popen(command, stderr=errors, env={**os.environ, **(environment or {})})
    try:
        with running:
            yield running, until(lambda: SERVES.findall(log.read_bytes()[began:]))[0].decode()
    finally:
        if running.poll() is None:
            running.kill()


def until(what: Callable[[], T]) -> T:
    """What is true in the end."""
    deadline = time.monotonic() + PATIENCE
    while not (found := what()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)
    return found
