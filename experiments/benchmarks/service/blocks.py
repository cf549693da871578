"""Blocks of 40 codes of 512 numbers: what asks and tells take, early and late in a study, for one client and many."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from experiments.benchmarks.service.processes import Service
from experiments.benchmarks.service.rounds import BLOCK, RAW, Client, Times, optimizer_seconds, spread

DIM = 512
WARM_UP = 3  # blocks: caches fill, code is loaded


def measure(
    storage: str, folder: Path, *, optimizers: tuple[str, ...], rounds: int, dim: int = DIM
) -> list[dict[str, Any]]:
    """Milliseconds of asks and tells at the beginning of a study, for each optimizer.

    Args:
        storage: URL of the database.
        folder: for the service's log.
        optimizers: each has a study of its own.
        rounds: blocks that are timed.
        dim: axes.
    """
    found = []
    with Service(storage, folder / "service.log") as service:
        for optimizer in optimizers:
            client = Client(service.port, f"blocks-{optimizer}", dim)
            client.create(optimizer=optimizer, budget=BLOCK * (rounds + WARM_UP))
            client.rounds(WARM_UP)
            before = service.seconds()
            times = client.rounds(rounds)
            cpu = service.seconds() - before
            client.close()
            own = optimizer_seconds(storage, f"blocks-{optimizer}", 2 * WARM_UP)
            found.append(
                {"optimizer": optimizer, "past": BLOCK * WARM_UP, **_said(times, own, cpu), **_over(times, own)}
            )
    return found


def grow(
    storage: str, folder: Path, *, optimizer: str, marks: tuple[int, ...], rounds: int, dim: int = DIM
) -> list[dict[str, Any]]:
    """The same in one study, after so many past trials; and the service's memory then.

    Args:
        storage: URL of the database.
        folder: for the service's log.
        optimizer: of the study.
        marks: past trials.
        rounds: blocks that are timed after each mark.
        dim: axes.
    """
    found: list[dict[str, Any]] = []
    with Service(storage, folder / "service.log") as service:
        client, past, events = Client(service.port, "growth", dim), 0, 0
        client.create(optimizer=optimizer, budget=marks[-1] + BLOCK * rounds)
        for mark in marks:
            while past < mark:
                size = min(1000 if mark - past >= 1000 else BLOCK, mark - past)
                client.rounds(1, block=size, kinds=(RAW,))
                past, events = past + size, events + 2
            memory, before = service.memory(), service.seconds()
            times = client.rounds(rounds)
            cpu = service.seconds() - before
            own = optimizer_seconds(storage, "growth", events)
            found.append(
                {"optimizer": optimizer, "past": mark, "mib": memory, **_said(times, own, cpu), **_over(times, own)}
            )
            past, events = past + BLOCK * rounds, events + 2 * rounds
        client.close()
    return found


def many(storage: str, folder: Path, *, optimizer: str, clients: int, rounds: int, dim: int = DIM) -> dict[str, Any]:
    """Clients that ask and tell one study at once.

    Args:
        storage: URL of the database.
        folder: for the service's log.
        optimizer: of the study.
        clients: how many.
        rounds: blocks of each.
        dim: axes.
    """
    with Service(storage, folder / "service.log") as service:
        first = Client(service.port, "many", dim)
        first.create(optimizer=optimizer, budget=BLOCK * (rounds * clients + WARM_UP))
        first.rounds(WARM_UP)
        first.close()

        def one(_: int) -> Times:
            client = Client(service.port, "many", dim)
            try:
                return client.rounds(rounds, kinds=(RAW,))
            finally:
                client.close()

        before, times = service.seconds(), Times()
        with ThreadPoolExecutor(clients) as pool:
            for each in pool.map(one, range(clients)):
                times.add(each)
        cpu = service.seconds() - before
    own = optimizer_seconds(storage, "many", 2 * WARM_UP)
    return {"optimizer": optimizer, "clients": clients, **_said(times, own, cpu)}


def _said(times: Times, own: list[float], cpu: float) -> dict[str, Any]:
    """Milliseconds of every kind of request, those of the optimizer alone, and CPU time of the service per round."""
    kinds = {"raw": times.raw, "json": times.json, "tell": times.tell, "optimizer_ask": own}
    said: dict[str, Any] = {kind: spread(seconds) for kind, seconds in kinds.items() if seconds}
    return said | {"cpu_per_round": 1e3 * cpu / len(times.tell)}


def _over(times: Times, own: list[float]) -> dict[str, Any]:
    """Milliseconds of asks beyond the optimizer's own, request by request: of one client, whose order is the log's.

    The optimizer learns what a tell told once that was answered, so this is from that answer to the ask's.
    """
    over = np.array(times.since) - np.array(own)
    return {"raw_over": spread(over[::2]), "json_over": spread(over[1::2])}
