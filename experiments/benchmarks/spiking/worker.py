"""One way of evaluating one network in a process of its own, on one thread; answers lines of JSON.

    python -m experiments.benchmarks.spiking.worker NETWORK WAY [DATA]

First it says whether the way is possible and what loading took. Then it reads how many images to show, a number a line,
and answers each time with CPU seconds and the most memory used.
"""

from __future__ import annotations

import json
import os
import re
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from experiments.benchmarks.spiking import networks, ways

MIDDLE = " middle"  # ends the name of a way that reads one channel of a layer in the middle
KINDS: dict[str, Callable[[networks.Case], ways.Way]] = {
    "loop": ways.loop,
    "hoisted": ways.hoisted,
    "compile": ways.compiled,
    "multi-step": ways.multi_step,
    "engine": ways.engine,
    "numba": ways.mango,
    "c": ways.mango,
}
IN_THE_MIDDLE = {"loop": ways.loop_middle, "numba": ways.mango_middle, "c": ways.mango_middle}
_STATUS, _FORGET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def main(name: str, way: str, data: str | None = None) -> None:
    """Answers on standard output until standard input ends."""
    torch.set_num_threads(1)
    case = networks.TABLE[name]
    stimuli = case.shown("natural", max(case.batches), data)
    kind = way.removesuffix(MIDDLE)
    if kind == "dense":
        bound = ways.Dense(case)
        _say(load_s=0.0, serves="")
        for line in sys.stdin:
            _say(cpu_s=bound.seconds(int(line)), peak_mib=0.0)
        return
    shown = stimuli if kind in ("engine", "numba", "c") else case.preprocess(stimuli)  # mango's target does that itself
    baseline = _memory("VmRSS")
    begin = time.process_time()
    try:
        rates = (IN_THE_MIDDLE if way.endswith(MIDDLE) else KINDS)[kind](case)
        with torch.no_grad():
            if kind != "compile":
                rates(shown[:1])
    except Exception as error:  # whatever the package says why it cannot
        text = re.sub(r"\s+", " ", str(error))
        _say(skipped=f"{'' if isinstance(error, ways.NotPossible) else type(error).__name__ + ': '}{text[:300]}")
        return
    _say(load_s=time.process_time() - begin, serves=_serves(kind))
    compiled = set[int]() if kind == "compile" else None
    for line in sys.stdin:
        batch, first = shown[: int(line)], {}
        if compiled is not None and len(batch) not in compiled:
            begin = _with_children()
            with torch.no_grad():
                rates(batch)
            first = {"compile_s": _with_children() - begin}
            compiled.add(len(batch))
        _forget()
        begin = time.process_time()
        with torch.no_grad():
            rates(batch)
        _say(cpu_s=time.process_time() - begin, peak_mib=_memory("VmHWM") - baseline, **first)


def _serves(kind: str) -> str:
    """The kernels that serve."""
    if kind not in ("numba", "c"):
        return ""
    from mango.targets.spiking import kernels

    return kernels.active()


def _with_children() -> float:
    """CPU seconds of this process and of those that it started, such as compilers."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def _memory(entry: str) -> float:
    """MiB that this process holds (VmRSS) or held at most (VmHWM); elsewhere than on Linux the latter."""
    if _STATUS.exists():
        return int(re.search(rf"{entry}:\s*(\d+)", _STATUS.read_text())[1]) / 1024  # type: ignore[index]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def _forget() -> None:
    """From here on the most memory counts anew, where the system can."""
    if _FORGET.exists():
        _FORGET.write_text("5")


def _say(**answer: Any) -> None:
    os.write(_OUT, (json.dumps(answer) + "\n").encode())


if __name__ == "__main__":
    _OUT = os.dup(1)
    os.dup2(2, 1)  # whatever packages print is no answer
    main(*sys.argv[1:])
