"""Targets that compute: two Ray workers beside two plain processes that do the same evaluations.

On a machine that does other things as well, the clock says little. What it leaves alone is the share of their time that
workers spend within evaluations: the rest is lost between them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from experiments.benchmarks.ray.repeats import seconds, shown, spread, table
from experiments.benchmarks.ray.subjects import answered, chunks, pool, trials
from mango import RayEvaluator, make_generator, make_target
from mango.evaluators.base import Traits

GENERATOR, TARGET = "vqvae-cifar10", "snn-cifar10:output/3"
DEMANDED = 0.95


def measure(
    *, repeats: int = 25, batches: int = 20, workers: int = 2, generator: str = GENERATOR, target: str = TARGET
) -> dict[str, Any]:
    """Seconds of each repeat, and the share of the plain processes' speed.

    Args:
        repeats: of both, in turn.
        batches: calls of the target in each.
        workers: processes of each.
        generator: its name.
        target: its name.
    """
    size = Traits.of(make_target(target)).batch_size
    space = make_generator(generator).space
    asked = trials(size * batches, space.sample(size * batches, np.random.default_rng(0)))
    with RayEvaluator(generator, target, workers=workers) as evaluator, pool(workers, generator, target) as plain:
        ways = {"ray": lambda: answered(evaluator, asked), "plain": lambda: plain(chunks(asked, size))}
        while any(worker.doing == "starting" for worker in evaluator.workers()):
            answered(evaluator, asked[: 4 * size])
        taken = seconds(ways, repeats)
    return {
        "generator": generator,
        "target": target,
        "workers": workers,
        "batch_size": size,
        "evaluations": len(asked),
        "seconds": {name: some.wall for name, some in taken.items()},
        "within": {name: (np.divide(some.target, some.wall) / workers).tolist() for name, some in taken.items()},
        "share": spread(np.divide(taken["plain"].wall, taken["ray"].wall).tolist()),
    }


def report(measured: dict[str, Any]) -> str:
    """The figures as a Markdown table."""
    number, workers = measured["evaluations"], measured["workers"]
    rows = [
        [
            name,
            shown(spread([number / s for s in measured["seconds"][key]]), 1),
            shown(spread(measured["within"][key])),
        ]
        for key, name in (("ray", f"{workers} Ray workers"), ("plain", f"multiprocessing.Pool({workers})"))
    ]
    lines = table(
        [
            f"{measured['target']}, calls of {measured['batch_size']}",
            "evaluations per second",
            "time within evaluations",
        ],
        rows,
    )
    return f"{lines}\n\nShare of the plain processes' speed, pair by pair: {shown(measured['share'])}."


def verdict(measured: dict[str, Any]) -> str:
    """Whether the demand is met, in words."""
    share = measured["share"][0]
    return (
        f"Ray workers reach {share:.3f} of plain processes; demanded: {DEMANDED:g}: "
        f"{'met' if share >= DEMANDED else 'NOT met'}."
    )
