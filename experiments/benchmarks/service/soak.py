"""Clients that go on while the service is killed: nothing acknowledged may be lost, nothing issued twice.

    python -m experiments.benchmarks.service.soak [--smoke] [--trials N] [--clients N] [--kills N] [--services 1|2]
        [--storage URL] [--optimizer NAME] [--seed N] [--out FILE]

Each client asks for blocks, evaluates a function of the code, and tells, over plain HTTP with idempotency keys; it
tries again whenever the service does not answer, as a rig would. Meanwhile services are killed (SIGKILL) at random, or
with two of them on one PostgreSQL also stopped for a while (SIGSTOP, SIGCONT). Once all is done and every service has
ended, the database is compared with what the clients were told, and `mango verify` replays the optimizer.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from experiments.benchmarks.conditions import machine
from experiments.benchmarks.service.clients import Known, call, client
from experiments.benchmarks.service.processes import MANGO, Service
from mango.storage import Database, Showing, Store

STUDY, DIM = "soak", 16
SAMPLES = 20  # of memory
STANDSTILL = 1.0, 12.0  # seconds that a service is stopped: shorter and longer than its claim
STOPPED = 0.4  # of what is done to one of two services; else it is killed
GROWTH = 32.0, 4.0  # MiB in any case and KiB per trial: what a service may grow by, for it knows every trial
SMOKE: dict[str, Any] = {"trials": 300, "clients": 2, "kills": 2}


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Runs the soak and prints what it found; exit code 1 where anything is wrong."""
    parser = argparse.ArgumentParser(prog="python -m experiments.benchmarks.service.soak", description=__doc__)
    parser.add_argument("--smoke", action="store_true", help=f"a short one: {SMOKE}")
    parser.add_argument("--trials", type=int, default=20_000)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--kills", type=int, default=25)
    parser.add_argument("--services", type=int, default=1, choices=(1, 2), help="2 need a storage on PostgreSQL")
    parser.add_argument("--storage", help="database URL; by default SQLite in a folder of its own")
    parser.add_argument("--optimizer", default="auto")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="file for what it found, as JSON")
    chosen = parser.parse_args(arguments)
    if chosen.smoke:
        vars(chosen).update(SMOKE)
    with tempfile.TemporaryDirectory() as name:
        found = _soaked(chosen, Path(name))
    text = json.dumps(found, indent=1)
    print(text)
    if chosen.out is not None:
        chosen.out.write_text(text + "\n")
    if found["wrong"]:
        raise SystemExit(1)
    return found


def _soaked(chosen: argparse.Namespace, folder: Path) -> dict[str, Any]:
    storage = chosen.storage or f"sqlite:///{folder}/mango.db"
    services = [Service(storage, folder / f"service-{number}.log") for number in range(chosen.services)]
    try:
        return _watched(chosen, storage, services)
    finally:
        for service in services:
            service.kill()


def _watched(chosen: argparse.Namespace, storage: str, services: list[Service]) -> dict[str, Any]:
    urls, known = [service.wait().url for service in services], Known()
    space = {"kind": "box", "dim": DIM}
    new = {"name": STUDY, "space": space, "budget": chosen.trials, "optimizer": chosen.optimizer, "seed": chosen.seed}
    call(urls[:1], "studies", new, "new", known)
    began = time.monotonic()
    turned = [urls[i % len(urls) :] + urls[: i % len(urls)] for i in range(chosen.clients)]
    clients = [
        threading.Thread(target=client, args=(i, turned[i], STUDY, known, chosen.seed)) for i in range(chosen.clients)
    ]
    for one in clients:
        one.start()
    done, memory = _hurting(chosen, services, clients, known)
    seconds = time.monotonic() - began
    codes = [service.wait().stop() for service in services]  # one that was killed last may be starting yet
    verify = [MANGO, "verify", storage, "--study", STUDY, "--json"]
    verified = subprocess.run(verify, capture_output=True, text=True, check=False)
    wrong = [*known.wrong, *faults(known, *_kept(storage), chosen.trials)]
    wrong += [] if verified.returncode == 0 else [f"mango verify: {verified.stdout} {verified.stderr[-2000:]}"]
    wrong += [f"a service ended with {code}" for code in codes if code]
    slope, allowed = growth(memory), GROWTH[0] * 1024 / chosen.trials + GROWTH[1]
    wrong += [] if slope < allowed else [f"memory grew by {slope:.1f} KiB per trial; expected less than {allowed:.1f}"]
    return {
        "machine": machine(),
        "trials": chosen.trials,
        "clients": chosen.clients,
        "services": chosen.services,
        "storage": storage.partition(":")[0],
        "optimizer": chosen.optimizer,
        "seed": chosen.seed,
        "hurt": dict(done),
        "retries": known.retries,
        "longest_wait_s": round(known.longest, 1),
        "hand_outs": len(known.handed),
        "again": sum(attempt > 1 for _, attempt in known.handed),
        "late": len(known.late),
        "seconds": round(seconds, 1),
        "load": [round(load, 1) for load in os.getloadavg()],
        "memory_mib": [(n, round(mib, 1)) for n, mib in memory],
        "memory_kib_per_trial": round(slope, 2),
        "verified": verified.returncode == 0,
        "wrong": wrong,
    }


def _hurting(
    chosen: argparse.Namespace, services: list[Service], clients: list[threading.Thread], known: Known
) -> tuple[Counter[str], list[tuple[int, float]]]:
    """Hurts services until all clients are through; what was done, and memory against trials told."""
    rng, done, memory = np.random.default_rng(chosen.seed), Counter[str](), list[tuple[int, float]]()
    due, last = 0, 0  # trials told: at the next sample of memory, and when a service was hurt last
    at = np.sort(rng.integers(chosen.trials // 50, chosen.trials * 49 // 50, chosen.kills)).tolist()
    columns = BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.fields[note]}")
    with Progress(*columns) as progress:
        bar = progress.add_task("soak", total=chosen.trials, note="")
        while any(one.is_alive() for one in clients):
            time.sleep(0.05)
            told = len(known.accepted)
            progress.update(bar, completed=told, note=f"{done.total()} times hurt, {known.retries} retries")
            if told >= due and told > last:  # so whoever has the study has it in memory
                memory.append((told, max(service.memory() for service in services)))
                due = told + chosen.trials // SAMPLES
            if at and told >= at[0]:
                at.pop(0)
                last = told
                time.sleep(float(rng.uniform(0.0, 0.2)))  # in whatever it does then
                done[_hurt(services[int(rng.integers(len(services)))], rng, len(services) > 1)] += 1
    return done, memory


def _hurt(service: Service, rng: np.random.Generator, may_stop: bool) -> str:
    """Kills a service and starts it anew, or lets it stand still until others have taken over."""
    if may_stop and rng.random() < STOPPED:
        os.kill(service.process.pid, signal.SIGSTOP)
        threading.Timer(float(rng.uniform(*STANDSTILL)), service.process.send_signal, (signal.SIGCONT,)).start()
        return "stopped"
    service.kill()
    service.start()
    return "killed"


def _kept(storage: str) -> tuple[list[dict[str, Any]], list[Showing]]:
    """The table of trials and every answer, as the database has them."""
    database = Database(storage, write=False)
    try:
        store = Store.open(database, STUDY, own=False)
        rows = store.trial_rows()
        return rows, store.showings([row["number"] for row in rows])
    finally:
        database.close()


def faults(known: Known, rows: Sequence[dict[str, Any]], showings: Sequence[Showing], trials: int) -> list[str]:
    """What the database contradicts of all that the service said, in words.

    Args:
        known: by the clients.
        rows: the table of trials.
        showings: every answer that was kept.
        trials: the budget.
    """
    done = {row["number"]: row["value"] for row in rows if row["state"] == "done"}
    kept = {(showing.number, showing.attempt): (showing.value, showing.late) for showing in showings}
    wrong = [] if len(done) == trials == len(rows) else [f"{len(done)} of {len(rows)} trials are done, not {trials}"]
    for (number, attempt), value in known.accepted.items():
        if done.get(number) != value or kept.get((number, attempt)) != (value, False):
            wrong.append(f"trial {number} was acknowledged as {value} and is {done.get(number)}")
    for slot, value in known.late.items():
        if kept.get(slot) != (value, True):
            wrong.append(f"{value}, acknowledged as late for trial {slot}, is kept as {kept.get(slot)}")
    issued = {(row["number"], attempt) for row in rows for attempt in range(1, row["attempt"] + 1)}
    if issued != known.handed.keys():
        wrong.append(f"hand-outs that one side alone knows: {sorted(issued ^ known.handed.keys())[:10]}")
    for number, attempt in known.handed:
        until, came = known.until.get((number, attempt - 1), 0.0), known.came[number, attempt]
        if came < until:
            wrong.append(f"trial {number} was handed out again {until - came:.2f} s before its lease had ended")
    return wrong


def growth(memory: Sequence[tuple[int, float]]) -> float:
    """KiB per trial by least squares, of MiB after so many trials; 0 of a single sample."""
    trials, mib = np.array(memory, np.float64).reshape(-1, 2).T
    spread = trials - trials.mean()
    return float(1024 * (spread * mib).sum() / max((spread**2).sum(), 1.0))


if __name__ == "__main__":
    main()
