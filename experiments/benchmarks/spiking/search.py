"""A whole search, from first ask to last tell, with the zoo's spiking network in mango and with its own loop.

Both run in this process on one thread, one after the other in turn, with the same seed; they must make the same trials.
The loop serves in the memory layout in which mango evaluates the network (channels last), and as it was loaded.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from experiments.benchmarks.spiking import networks
from mango import LocalEvaluator, Study, make_generator, make_target
from mango.datasets import CIFAR10_CLASSES
from mango.running import run

GENERATOR, UNIT, OPTIMIZER = "vqvae-cifar10", "cat", "auto"
Answer = tuple[NDArray[np.float64], NDArray[np.float64]]


class LoopTarget:
    """A class of the zoo's network as a target: the network is called, as its author would, and its rate read.

    Args:
        unit: a class.
        channels_last: the network's memory layout.
    """

    name, batch_size = "loop", 16

    def __init__(self, unit: str, *, channels_last: bool) -> None:
        self._case = networks.TABLE["snn-cifar10"]
        self._network = self._case.build()
        self._layout = torch.channels_last if channels_last else torch.contiguous_format
        self._network.to(memory_format=self._layout)  # type: ignore[call-overload]
        self._unit = CIFAR10_CLASSES.index(unit)
        self._driven: list[Tensor] = []
        self._network.get_submodule("output").register_forward_pre_hook(self._note)

    def respond(self, stimuli: NDArray[np.float32], seeds: NDArray[np.int64] | None = None) -> Answer:  # noqa: ARG002
        """Spikes per step, and the mean input current, which orders equal values."""
        self._driven.clear()
        with torch.no_grad():
            shown = self._case.preprocess(torch.from_numpy(stimuli)).contiguous(memory_format=self._layout)
            spikes = self._network(shown, self._case.steps)[:, :, self._unit]
        currents = torch.stack(self._driven)[:, :, self._unit].double().numpy()
        return spikes.double().numpy().sum(0) / len(spikes), currents.sum(0) / len(currents)

    def _note(self, _module: Any, given: tuple[Tensor, ...]) -> None:
        self._driven.append(given[0])


def measure(*, evaluations: int = 2000, batch: int = 20, rounds: int = 1) -> dict[str, Any]:
    """CPU seconds of the searches, and whether their trials are equal.

    Args:
        evaluations: of each.
        batch: trials asked at a time.
        rounds: searches of each kind, in turn.
    """
    torch.set_num_threads(1)
    targets: dict[str, Callable[[], Any]] = {
        "mango": lambda: make_target(f"snn-cifar10:output/{UNIT}"),
        "own loop, channels last": lambda: LoopTarget(UNIT, channels_last=True),
        "own loop": lambda: LoopTarget(UNIT, channels_last=False),
    }
    rows: dict[str, dict[str, Any]] = {name: {"cpu_s": []} for name in targets}
    trials: dict[str, Any] = {}
    for _ in range(rounds):
        for name, make in targets.items():
            seconds, target_s, trials[name] = _search(make(), evaluations, batch)
            rows[name]["cpu_s"].append(seconds)
            rows[name]["target_wall_s"] = target_s
    for name, row in rows.items():
        codes, values = trials[name]
        row["best"] = float(np.nanmax(values))
        row["equal_trials"] = int((codes == trials["mango"][0]).all(1).sum())
        row["equal_values"] = int((values == trials["mango"][1]).sum())
    return {"evaluations": evaluations, "batch": batch, "generator": GENERATOR, "optimizer": OPTIMIZER, "rows": rows}


def table(measured: dict[str, Any]) -> str:
    """The figures as a Markdown table."""
    lines = [
        "| target | CPU s | times mango's | best value | trials equal to mango's | values equal |",
        "|---|---|---|---|---|---|",
    ]
    ours = float(np.median(measured["rows"]["mango"]["cpu_s"]))
    for name, row in measured["rows"].items():
        seconds = float(np.median(row["cpu_s"]))
        lines.append(
            f"| {name} | {seconds:.1f} | {seconds / ours:.1f} | {row['best']:.3f} "
            f"| {row['equal_trials']} of {measured['evaluations']} | {row['equal_values']} |"
        )
    return "\n".join(lines)


def _search(target: Any, evaluations: int, batch: int) -> tuple[float, float, Any]:
    """CPU seconds from first ask to last tell, the evaluator's own seconds, and the codes and values of the trials."""
    source = make_generator(GENERATOR)
    evaluator = LocalEvaluator(source, target)
    with evaluator, tempfile.TemporaryDirectory() as folder:
        options = {"optimizer": OPTIMIZER, "batch": batch, "seed": 0, "storage": f"sqlite:///{folder}/study.db"}
        with Study(source, budget=batch, name="first", **options) as first:
            run(first, evaluator)
        with Study(source, budget=evaluations, name="measured", **options) as study:
            before, begin = evaluator.seconds_target, time.process_time()
            run(study, evaluator)
            seconds = time.process_time() - begin
            records = study.trials()
            trials = np.stack([record.code for record in records]), np.array([record.value for record in records])
        return seconds, evaluator.seconds_target - before, trials
