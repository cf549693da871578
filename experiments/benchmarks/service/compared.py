"""What a trial costs on 512 axes through the service, beside Optuna's ask/tell and Vizier's service."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from experiments.benchmarks.service.blocks import DIM, WARM_UP
from experiments.benchmarks.service.processes import Service
from experiments.benchmarks.service.rounds import BLOCK, RAW, Client

PEERS = Path(__file__).with_name("peers.py")
MINUTES = 20  # that a peer may take
OPTIMIZER = "cma"  # as the peer's: CMA-ES


def measure(
    storage: str, folder: Path, *, trials: int, rounds: int, vizier: str, dim: int = DIM
) -> dict[str, dict[str, Any]]:
    """Milliseconds per trial, ask and tell together, of the service and of each peer; or why there are none.

    Args:
        storage: URL of the database.
        folder: for databases of the peers.
        trials: that are timed of each peer.
        rounds: blocks of the service, which asks one trial at a time as well.
        vizier: Python that has google-vizier.
        dim: axes.
    """
    found: dict[str, dict[str, Any]] = {}
    with Service(storage, folder / "service.log") as service:
        for size in (BLOCK, 1):
            client = Client(service.port, f"peers-{size}", dim)
            client.create(optimizer=OPTIMIZER, budget=BLOCK * (rounds + WARM_UP))
            client.rounds(WARM_UP, block=size)
            times = client.rounds(rounds, block=size, kinds=(RAW,))
            client.close()
            each = 1e3 * (np.array(times.raw) + np.array(times.tell)) / size
            found[f"mango, blocks of {size}"] = {"ms": each.tolist()}
    for name in ("optuna-sqlite", "optuna-grpc", "vizier"):
        python = vizier if name == "vizier" else sys.executable
        found[name] = _peer([python, str(PEERS), name, str(dim), str(trials), str(folder)])
    return found


def _peer(command: list[str]) -> dict[str, Any]:
    try:
        ran = subprocess.run(command, capture_output=True, text=True, timeout=60 * MINUTES, check=False)
    except subprocess.TimeoutExpired:
        return {"failed": f"took more than {MINUTES} minutes"}
    if ran.returncode:
        return {"failed": (ran.stderr.strip().splitlines() or ["it said nothing"])[-1]}
    return {"ms": json.loads(ran.stdout.strip().splitlines()[-1])}
