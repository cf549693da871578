"""A bare connection to a service, for what no HTTP library would send."""

from __future__ import annotations

import json
import socket
from contextlib import suppress
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx

from tests.service.serving import PATIENCE


class Answer(NamedTuple):
    """Status, headers by their lower-case names, body."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def error(self) -> dict[str, str]:
        """The one shape of an error."""
        [(name, error)] = json.loads(self.body).items()
        assert name == "error"
        assert set(error) == {"kind", "message", "request_id"}
        return error


class Wire:
    """One connection; closed by ``with``."""

    def __init__(self, url: str, *, buffer: int | None = None) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        self.host = parts.netloc
        self.socket = socket.socket()
        if buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        self.socket.settimeout(PATIENCE)
        try:
            self.socket.connect((parts.hostname, parts.port))
        except OSError:
            self.socket.close()
            raise
        self._came = b""

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> Wire:
        """Bytes as they are."""
        self.socket.sendall(data)
        return self

    def ask(self, method: str, path: str, body: bytes = b"", *lines: str, version: str = "HTTP/1.1") -> Wire:
        """A request; its length is said unless a line says it."""
        head = [f"{method} {path} {version}", f"Host: {self.host}", *lines]
        if body and not any(line.lower().startswith(("content-length", "transfer-encoding")) for line in lines):
            head.append(f"Content-Length: {len(body)}")
        if body and not any(line.lower().startswith("content-type") for line in lines):
            head.append("Content-Type: application/json")
        return self.send("\r\n".join(head).encode("latin-1") + b"\r\n\r\n" + body)

    def answer(self, *, head_only: bool = False) -> Answer:
        """The next one, which must come."""
        head = self._until(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
        status = int(first.split()[1])
        if head_only or status in (204, 304):
            body = b""
        elif headers.get("transfer-encoding") == "chunked":
            body = b"".join(iter(self._chunk, b""))
        else:
            body = self._exactly(int(headers["content-length"]))
        return Answer(status, headers, body)

    def ended(self) -> bool:
        """Whether the service closes the connection, and sends nothing more before."""
        with suppress(ConnectionError):
            return not self._came and self.socket.recv(1) == b""
        return True

    def _chunk(self) -> bytes:
        size = int(self._until(b"\r\n"), 16)
        data = self._exactly(size)
        self._exactly(2)
        return data

    def _until(self, mark: bytes) -> bytes:
        while mark not in self._came:
            self._more()
        part, _, self._came = self._came.partition(mark)
        return part

    def _exactly(self, size: int) -> bytes:
        while len(self._came) < size:
            self._more()
        part, self._came = self._came[:size], self._came[size:]
        return part

    def _more(self) -> None:
        came = self.socket.recv(2**16)
        assert came, f"the connection ended after {self._came!r}"
        self._came += came


def client_of(url: str) -> httpx.Client:
    """Of paths below a URL; it reads no certificates, which takes longer than a hundred requests."""
    return httpx.Client(base_url=url, timeout=PATIENCE, verify=False, trust_env=False)


def served(url: str, study: str = "good") -> None:
    """A good client is served: it asks, tells, and what it told is there."""
    with client_of(f"{url}/v1") as client:
        if client.get(f"/studies/{study}").status_code == 404:
            new: dict[str, Any] = {"space": {"kind": "box", "dim": 2}, "optimizer": "random", "budget": 100_000}
            assert client.post("/studies", json={"name": study, **new}).status_code == 201
        [trial] = client.post(f"/studies/{study}/ask", json={}).json()["trials"]
        result = {"number": trial["number"], "attempt": trial["attempt"], "value": 1.5}
        told = client.post(f"/studies/{study}/tell", json={"results": [result]})
        assert told.json()["accepted"] == [trial["number"]]
        assert client.get(f"/studies/{study}/trials/{trial['number']}").json()["value"] == 1.5
