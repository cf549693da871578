"""Clients as rigs are: they ask, answer and tell, lose a block now and then, and try again where nothing answers."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import Any

import httpx
import numpy as np

MOST = 40  # trials of a block
LEASE = 5.0  # seconds
LOST, AGAIN = 0.02, 0.1  # shares of blocks that a rig loses, and that it tells twice
PATIENCE = 300.0  # seconds that a client tries again

Slot = tuple[int, int]  # number and attempt of a hand-out


@dataclass
class Known:
    """What clients were told by the service, in all.

    Attributes:
        handed: hand-outs, and the key of the request that each went to.
        until: when their leases end, seconds since 1970.
        came: when the answer that held them came.
        codes: of trials, by number.
        accepted, late: values that the service has acknowledged, as the trial's or as too late.
        told: clients are through with so many trials.
        wrong: contradictions, in words.
        retries: of requests.
        longest: seconds that a request took from its first try to its answer.
    """

    handed: dict[Slot, str] = field(default_factory=dict)
    until: dict[Slot, float] = field(default_factory=dict)
    came: dict[Slot, float] = field(default_factory=dict)
    codes: dict[int, list[float]] = field(default_factory=dict)
    accepted: dict[Slot, float] = field(default_factory=dict)
    late: dict[Slot, float] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    retries: int = 0
    longest: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def hand_out(self, block: dict[str, Any], key: str) -> None:
        """The answer to an ask."""
        now = time.time()
        with self.lock:
            for trial in block["trials"]:
                slot = trial["number"], trial["attempt"]
                if self.handed.setdefault(slot, key) != key:
                    self.wrong.append(f"trial {slot} was handed out to {self.handed[slot]} and to {key}")
                if self.codes.setdefault(trial["number"], trial["code"]) != trial["code"]:
                    self.wrong.append(f"trial {trial['number']} has two codes")
                self.until[slot] = trial["lease_until"]
                self.came.setdefault(slot, now)

    def acknowledge(self, told: dict[str, Any], values: dict[Slot, float]) -> None:
        """The answer to a tell of these values."""
        accepted, late = set(told["accepted"]), set(told["late"])
        with self.lock:
            for slot, value in values.items():
                if slot[0] in accepted:
                    self.accepted[slot] = value
                elif slot[0] in late:
                    self.late[slot] = value
                else:
                    self.wrong.append(f"the value of trial {slot} was neither accepted nor late: {told}")

    def note(self, *, retry: bool = False, seconds: float = 0.0) -> None:
        """One more try, or how long a request took in all."""
        with self.lock:
            self.retries += retry
            self.longest = max(self.longest, seconds)


def value_of(code: list[float]) -> float:
    """What the neuron answers."""
    return -float(np.square(np.array(code) - 0.3).sum())


def call(urls: list[str], path: str, body: dict[str, Any], key: str, known: Known) -> dict[str, Any]:
    """One request, again and again until a service answers it.

    Raises:
        RuntimeError: the service refuses it.
        TimeoutError: none answers.
    """
    began, turn = time.monotonic(), 0
    while True:
        url = urls[turn % len(urls)]
        turn += 1
        try:
            said = httpx.post(f"{url}/v1/{path}", json=body, headers={"Idempotency-Key": key}, timeout=30.0)
            if said.status_code < 500:
                if said.status_code not in (200, 201):
                    raise RuntimeError(f"{path}: {said.status_code} {said.text}")
                known.note(seconds=time.monotonic() - began)
                answer: dict[str, Any] = said.json()
                return answer
        except httpx.TransportError:
            pass
        if time.monotonic() > began + PATIENCE:
            raise TimeoutError(f"{path}: no service answered for {PATIENCE:.0f} s")
        known.note(retry=True)
        time.sleep(0.05)


def client(number: int, urls: list[str], study: str, known: Known, seed: int) -> None:
    """Asks, answers and tells until the study ends."""
    try:
        _client(number, urls, study, known, np.random.default_rng((seed, number)))
    except Exception as error:
        with known.lock:
            known.wrong.append(f"client {number} gave up: {type(error).__name__}: {error}")


def _client(number: int, urls: list[str], study: str, known: Known, rng: np.random.Generator) -> None:
    turn = 0
    while True:
        turn += 1
        key = f"{number}-{turn}"
        block = call(urls, f"studies/{study}/ask", {"n": int(rng.integers(1, MOST)), "lease": LEASE}, key, known)
        known.hand_out(block, key)
        if not block["trials"]:
            if block["state"] != "running":
                return
            time.sleep(0.05)
            continue
        if rng.random() < LOST:
            continue  # its lease ends
        values = {(t["number"], t["attempt"]): value_of(t["code"]) for t in block["trials"]}
        results = [{"number": n, "attempt": attempt, "value": value} for (n, attempt), value in values.items()]
        told = call(urls, f"studies/{study}/tell", {"results": results}, key, known)
        known.acknowledge(told, values)
        if rng.random() < AGAIN:
            again = call(urls, f"studies/{study}/tell", {"results": results}, key, known)
            if any(again[part] != told[part] for part in ("accepted", "late", "repeated")):
                with known.lock:
                    known.wrong.append(f"the request {key} was answered {told} and then {again}")
