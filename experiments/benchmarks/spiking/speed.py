"""Images per second and peak memory of every way, on one core, side by side.

Every way of a network lives in a process of its own on one thread; the parent has them evaluate in turn, one at a time,
several rounds at each batch size. Times are CPU times, medians over the rounds, for other jobs may share the machine.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from experiments.benchmarks.spiking import networks
from experiments.benchmarks.spiking.worker import IN_THE_MIDDLE, MIDDLE

WAYS = ("loop", "hoisted", "multi-step", "compile", "engine", "numba", "c", "dense")
ROUNDS = (2, 5)  # least and most
ENOUGH = 8.0  # CPU seconds of one way at one batch size, after which the least rounds do
PATIENCE = 420.0  # seconds for an answer, compilation included
ONLY = 16  # the batch size of what is not timed at all: a layer in the middle; torch.compile, which compiles each anew


def measure(case_name: str, data: str | None, *, rounds: tuple[int, int] = ROUNDS,
            ways: Sequence[str] = WAYS, batches: Sequence[int] | None = None) -> dict[str, Any]:  # fmt: skip
    """All rows of one network.

    Args:
        case_name: in ``networks.TABLE``.
        data: folder of CIFAR-10, or None.
        rounds: least and most.
        ways: in ``WAYS``.
        batches: instead of the network's own.
    """
    case = networks.TABLE[case_name]
    batches = batches or case.batches
    names = [*ways, *(way + MIDDLE for way in ways if way in IN_THE_MIDDLE)]
    rows: list[dict[str, Any]] = []
    workers: dict[str, _Worker] = {}
    skipped, loads = dict[str, str](), dict[str, Any]()
    try:
        for way in names:
            worker = _Worker(case_name, way, data)
            first = worker.answer()
            if "skipped" in first:
                skipped[way] = first["skipped"]
                worker.close()
            else:
                workers[way], loads[way] = worker, first
        for batch in batches:
            here = [way for way in workers if batch == ONLY or not (way.endswith(MIDDLE) or way == "compile")]
            rows += _rounds(workers, here, batch, rounds, skipped)
    finally:
        for worker in workers.values():
            worker.close()
    return {"network": case_name, "words": case.words, "steps": case.steps, "loads": loads, "skipped": skipped,
            "rows": rows}  # fmt: skip


def row_of(measured: dict[str, Any], way: str, batch: int) -> dict[str, Any] | None:
    """The row of one way at one batch size, where there is one."""
    return next((row for row in measured["rows"] if (row["way"], row["batch"]) == (way, batch)), None)


def faster(measured: dict[str, Any], way: str, batch: int, than: str = "loop") -> float | None:
    """How many times faster a way is than another: the median over the rounds of the pairs."""
    row = row_of(measured, way, batch)
    other = row_of(measured, than, batch)
    if row is None or other is None:
        return None
    return float(np.median(other["cpu_s"]) / np.median(row["cpu_s"]))


def _rounds(workers: dict[str, _Worker], here: Sequence[str], batch: int, rounds: tuple[int, int],
            skipped: dict[str, str]) -> list[dict[str, Any]]:  # fmt: skip
    rows: dict[str, dict[str, Any]] = {}
    for turn in range(rounds[1]):
        for way in here:
            if way not in workers:
                continue
            row = rows.setdefault(way, {"way": way, "batch": batch, "cpu_s": [], "peak_mib": 0.0})
            if turn >= rounds[0] and sum(row["cpu_s"]) > ENOUGH:
                continue
            answer = workers[way].ask(batch)
            if "skipped" in answer:
                skipped[way] = f"batch {batch}: {answer['skipped']}"
                workers.pop(way).close()
                rows.pop(way)
                continue
            row["cpu_s"].append(answer["cpu_s"])
            row["peak_mib"] = max(row["peak_mib"], answer["peak_mib"])
            if "compile_s" in answer:
                row["compile_s"] = answer["compile_s"]
    for row in rows.values():
        speeds = batch / np.array(row["cpu_s"])
        row["per_s"], row["least"], row["most"] = float(np.median(speeds)), float(speeds.min()), float(speeds.max())
    return list(rows.values())


class _Worker:
    """A process that evaluates one network in one way."""

    def __init__(self, case_name: str, way: str, data: str | None) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1",
                       "TORCHINDUCTOR_COMPILE_THREADS": "1", "TORCHINDUCTOR_FORCE_DISABLE_CACHES": "1"}  # fmt: skip
        kernels = way.removesuffix(MIDDLE)
        if kernels in ("numba", "c"):
            environment["MANGO_KERNELS"] = kernels
        command = [sys.executable, "-m", "experiments.benchmarks.spiking.worker", case_name, way]
        self._process = subprocess.Popen(
            [*command, *([] if data is None else [data])],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
        )  # fmt: skip
        self._said: list[str] = []
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def ask(self, batch: int) -> dict[str, Any]:
        """Evaluates so many images."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"{batch}\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            return self._gone()
        return self.answer()

    def answer(self) -> dict[str, Any]:
        """The next line, or why there is none."""
        assert self._process.stdout is not None
        timer = threading.Timer(PATIENCE, self._process.kill)
        timer.start()
        line = self._process.stdout.readline()
        timer.cancel()
        if not line:
            return self._gone()
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """Ends the process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.close()
        except BrokenPipeError:
            pass
        self._process.stdout.close()
        self._process.wait()
        self._listener.join()

    def _gone(self) -> dict[str, Any]:
        code = self._process.wait()
        self._listener.join()
        if code < 0:
            return {"skipped": f"no answer within {PATIENCE:.0f} s, or killed (signal {-code})"}
        errors = [line for line in self._said if line.strip()]
        return {"skipped": errors[-1].strip()[:300] if errors else f"ended with {code}"}

    def _listen(self) -> None:
        assert self._process.stderr is not None
        with self._process.stderr as stream:
            self._said.extend(stream)
