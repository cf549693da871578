"""`mango serve` in a process of its own, as an operator runs it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

MANGO = str(Path(sys.executable).with_name("mango"))
STARTING = 120.0  # seconds until it must answer, on a busy machine


class Service:
    """One process of `mango serve` at a port of its own, which it keeps when it is started anew.

    Args:
        storage: URL of the database.
        log: file to which it writes what it says.
    """

    def __init__(self, storage: str, log: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._command = [MANGO, "serve", "--port", str(self.port), "--storage", storage]
        self._log = log
        self.start()

    def start(self) -> None:
        """Starts it; it answers some seconds later."""
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(self._command, stdout=log, stderr=log)

    def wait(self) -> Self:
        """Returns once it answers.

        Raises:
            RuntimeError: it ended, or does not answer.
        """
        until = time.monotonic() + STARTING
        while self.process.poll() is None and time.monotonic() < until:
            try:
                httpx.get(f"{self.url}/healthz", timeout=10.0).raise_for_status()
                return self
            except httpx.HTTPError:
                time.sleep(0.1)
        raise RuntimeError(f"the service does not answer; it said: {self._log.read_text()[-2000:]}")

    def kill(self) -> None:
        """Ends it at once, in whatever it does."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """Has it stop, and gives its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STARTING)

    def memory(self) -> float:
        """MiB that it holds."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1]) / 1024
        return float("nan")

    def seconds(self) -> float:
        """CPU time that it has taken."""
        parts = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(parts[11]) + int(parts[12])) / os.sysconf("SC_CLK_TCK")

    def __enter__(self) -> Self:
        return self.wait()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
