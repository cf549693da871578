"""Clients that go on while the service is killed: nothing acknowledged may be lost, nothing issued twice.

    python -m experiments.benchmarks.service.soak [--trials N] [--clients N] [--kills N] [--services 1|2]
        [--storage URL] [--optimizer NAME] [--seed N]

Each client asks for blocks, evaluates a function of the code, and tells, over plain HTTP with idempotency keys; it
tries again whenever the service does not answer, as a rig would. Meanwhile services are killed (SIGKILL) at random, or
with two of them on one PostgreSQL also stopped for a while (SIGSTOP, SIGCONT). At the end the log is compared with what
the clients were told, and `mango verify` replays the optimizer.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

STUDY = "soak"
DIM = 16
SAMPLES = 20  # of memory
MANGO = str(Path(sys.executable).with_name("mango"))
PATIENCE = 60.0  # seconds that a client tries again


@dataclass
class Known:
    """What clients were told by the service, in all."""

    handed: dict[tuple[int, int], str] = field(default_factory=dict)  # number and attempt: the request's key
    codes: dict[int, list[float]] = field(default_factory=dict)
    acknowledged: dict[int, float] = field(default_factory=dict)  # accepted by the service
    wrong: list[str] = field(default_factory=list)
    retries: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


class Service:
    """One process of `mango serve`."""

    def __init__(self, storage: str, folder: Path, number: int) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._command = [MANGO, "serve", "--port", str(self.port), "--storage", storage]
        self._log = (folder / f"service-{number}.log").open("ab")
        self.start()

    def start(self) -> None:
        """Starts it; clients wait until it answers."""
        self.process = subprocess.Popen(self._command, stdout=self._log, stderr=self._log)

    def memory(self) -> float:
        """MiB that it holds."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1]) / 1024
        return float("nan")


def value_of(code: list[float]) -> float:
    """What the neuron answers."""
    return -float(np.square(np.array(code) - 0.3).sum())


def call(urls: list[str], path: str, body: dict[str, Any], key: str, known: Known) -> dict[str, Any]:
    """One request, again and again until a service answers it."""
    until, turn = time.monotonic() + PATIENCE, 0
    while True:
        url = urls[turn % len(urls)]
        turn += 1
        try:
            said = httpx.post(f"{url}/v1/studies/{path}", json=body, headers={"Idempotency-Key": key}, timeout=10.0)
            if said.status_code < 500:
                if said.status_code != 200:
                    raise RuntimeError(f"{path}: {said.status_code} {said.text}")
                answer: dict[str, Any] = said.json()
                return answer
        except httpx.TransportError:
            pass
        if time.monotonic() > until:
            raise TimeoutError(f"{path}: no service answered for {PATIENCE:.0f} s")
        with known.lock:
            known.retries += 1
        time.sleep(0.05)


def client(number: int, urls: list[str], known: Known, seed: int) -> None:
    """Asks, answers and tells until the study ends; sometimes forgets a block or tells it again."""
    rng = np.random.default_rng((seed, number))
    turn = 0
    while True:
        turn += 1
        key = f"{number}-{turn}"
        block = call(urls, f"{STUDY}/ask", {"n": int(rng.integers(1, 40)), "lease": 5.0}, key, known)
        with known.lock:
            for trial in block["trials"]:
                slot = trial["number"], trial["attempt"]
                if known.handed.setdefault(slot, key) != key:
                    known.wrong.append(f"trial {slot} was handed out to {known.handed[slot]} and to {key}")
                if known.codes.setdefault(trial["number"], trial["code"]) != trial["code"]:
                    known.wrong.append(f"trial {trial['number']} has two codes")
        if not block["trials"]:
            if block["state"] != "running":
                return
            time.sleep(0.05)
            continue
        if rng.random() < 0.02:
            continue  # the rig lost the block: its lease ends
        results = [
            {"number": t["number"], "attempt": t["attempt"], "value": value_of(t["code"])} for t in block["trials"]
        ]
        told = call(urls, f"{STUDY}/tell", {"results": results}, key, known)
        with known.lock:
            for trial in block["trials"]:
                if trial["number"] in told["accepted"]:
                    known.acknowledged[trial["number"]] = value_of(trial["code"])
        if rng.random() < 0.1:
            again = call(urls, f"{STUDY}/tell", {"results": results}, key, known)
            if again != told and {**again, "counts": 0, "state": 0} != {**told, "counts": 0, "state": 0}:
                known.wrong.append(f"the request {key} was answered {told} and then {again}")


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Runs the soak and prints what it found; exit code 1 where anything is wrong."""
    parser = argparse.ArgumentParser(prog="python -m experiments.benchmarks.service.soak", description=__doc__)
    parser.add_argument("--trials", type=int, default=20_000)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--kills", type=int, default=25)
    parser.add_argument("--services", type=int, default=1, choices=(1, 2), help="2 need a storage on PostgreSQL")
    parser.add_argument("--storage", help="database URL; by default SQLite in a folder of its own")
    parser.add_argument("--optimizer", default="auto")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        found = _soaked(chosen, Path(name))
    print(json.dumps(found, indent=1))
    if found["wrong"]:
        raise SystemExit(1)
    return found


def _soaked(chosen: argparse.Namespace, folder: Path) -> dict[str, Any]:
    storage = chosen.storage or f"sqlite:///{folder}/mango.db"
    services = [Service(storage, folder, number) for number in range(chosen.services)]
    urls, known = [service.url for service in services], Known()
    space = {"kind": "box", "dim": DIM}
    _created(urls, {"name": STUDY, "space": space, "budget": chosen.trials, "optimizer": chosen.optimizer})
    began = time.monotonic()
    clients = [
        threading.Thread(target=client, args=(i, urls[i % len(urls) :] + urls[: i % len(urls)], known, chosen.seed))
        for i in range(chosen.clients)
    ]
    for one in clients:
        one.start()
    rng, done, memory = np.random.default_rng(chosen.seed), Counter[str](), list[tuple[int, float]]()
    columns = BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.fields[note]}")
    at = np.sort(rng.integers(chosen.trials // 50, chosen.trials * 49 // 50, chosen.kills)).tolist()
    with Progress(*columns) as progress:
        bar = progress.add_task("soak", total=chosen.trials, note="")
        while any(one.is_alive() for one in clients):
            time.sleep(0.02)
            told = len(known.acknowledged)
            progress.update(bar, completed=told, note=f"{done.total()} kills, {known.retries} retries")
            if told >= len(memory) * chosen.trials // SAMPLES:
                memory.append((told, max(service.memory() for service in services)))
            if at and told >= at[0]:
                at.pop(0)
                done[_hurt(services[int(rng.integers(len(services)))], rng, len(services) > 1)] += 1
    seconds = time.monotonic() - began
    final = httpx.get(f"{_alive(services)}/v1/studies/{STUDY}", timeout=60.0).json()
    told = _values(_alive(services))
    for service in services:
        service.process.send_signal(signal.SIGTERM)
    codes = [service.process.wait(60) for service in services]
    verify = [MANGO, "verify", storage, "--study", STUDY, "--json"]
    verified = subprocess.run(verify, capture_output=True, text=True, check=False)
    wrong = list(known.wrong)
    lost = [(n, value) for n, value in known.acknowledged.items() if told.get(n) != value]
    wrong += [f"trial {n} was acknowledged as {value} and is {told.get(n)}" for n, value in lost]
    wrong += [] if len(told) == chosen.trials else [f"{len(told)} trials are done, not {chosen.trials}"]
    wrong += [] if verified.returncode == 0 else [f"mango verify: {verified.stdout} {verified.stderr[-2000:]}"]
    wrong += [f"a service ended with {code}" for code in codes if code]
    return {
        "trials": chosen.trials,
        "clients": chosen.clients,
        "services": chosen.services,
        "storage": storage.partition(":")[0],
        "optimizer": chosen.optimizer,
        "hurt": dict(done),
        "retries": known.retries,
        "hand_outs": len(known.handed),
        "late": final["counts"]["late"],
        "seconds": round(seconds, 1),
        "memory_mib": [(n, round(mib, 1)) for n, mib in memory],
        "verified": verified.returncode == 0,
        "wrong": wrong,
    }


def _hurt(service: Service, rng: np.random.Generator, may_stop: bool) -> str:
    """Kills a service and starts it anew, or lets it stand still until others have taken over."""
    if may_stop and rng.random() < 0.4:
        os.kill(service.process.pid, signal.SIGSTOP)
        threading.Timer(float(rng.uniform(1.0, 12.0)), service.process.send_signal, (signal.SIGCONT,)).start()
        return "stopped"
    service.process.kill()
    service.process.wait()
    service.start()
    return "killed"


def _alive(services: list[Service]) -> str:
    """The URL of a service that has the study, once one has."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        for service in services:
            try:
                if httpx.get(f"{service.url}/v1/studies/{STUDY}", timeout=30.0).status_code == 200:
                    return service.url
            except httpx.TransportError:
                pass
        time.sleep(0.1)
    raise TimeoutError("no service has the study")


def _created(urls: list[str], study: dict[str, Any]) -> None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        try:
            said = httpx.post(f"{urls[0]}/v1/studies", json=study, timeout=30.0)
            if said.status_code == 201:
                return
            raise RuntimeError(said.text)
        except httpx.TransportError:
            time.sleep(0.1)
    raise TimeoutError("the service did not start")


def _values(url: str) -> dict[int, float]:
    """Of every trial that is done."""
    values: dict[int, float] = {}
    after: int | None = -1
    while after is not None:
        query = {"after": after, "limit": 1000, "state": "done"}
        page = httpx.get(f"{url}/v1/studies/{STUDY}/trials", params=query, timeout=60.0).json()
        values |= {trial["number"]: trial["value"] for trial in page["trials"]}
        after = page["next"]
    return values


if __name__ == "__main__":
    main()
