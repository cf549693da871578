"""What a whole search spends beside its target, from the first ask to the last tell.

The share is (wall - target seconds / workers) / wall, where target seconds are those that the workers spent decoding
and evaluating. Workers are started, and have answered a first small study, before the clock starts; the study is kept
in an SQLite file, as any search's is.
"""

from __future__ import annotations

import tempfile
import time
from contextlib import AbstractContextManager
from typing import Any

from mango import LocalEvaluator, RayEvaluator, Study, make_generator
from mango.running import run

GENERATOR, TARGET, OPTIMIZER = "vqvae-cifar10", "snn-cifar10:output/3", "auto"
DEMANDED = 0.1


def measure(
    *, evaluations: int, batch: int = 20, workers: int = 2, generator: str = GENERATOR, target: str = TARGET
) -> dict[str, Any]:
    """Figures of one search in this process, and of one with Ray workers.

    Args:
        evaluations: of each search.
        batch: trials that the optimizer is asked at a time.
        workers: Ray processes; 0 leaves Ray out.
        generator: its name.
        target: its name.
    """
    rows = [_search("local", LocalEvaluator(generator, target), 1, generator, evaluations, batch)]
    if workers:
        evaluator = RayEvaluator(generator, target, workers=workers)
        rows.append(_search(f"ray, {workers} workers", evaluator, workers, generator, evaluations, batch))
    return {"generator": generator, "target": target, "optimizer": OPTIMIZER, "batch": batch, "rows": rows}


def table(measured: dict[str, Any]) -> str:
    """The figures as a Markdown table."""
    lines = [
        "| evaluator | evaluations | wall s | target s over workers | optimizer s | overhead |",
        "|---|---|---|---|---|---|",
    ]
    for row in measured["rows"]:
        lines.append(
            f"| {row['evaluator']} | {row['evaluations']} | {row['wall_s']:.2f} | {row['target_s']:.2f} "
            f"| {row['optimizer_s']:.2f} | {row['share']:.1%} |"
        )
    return "\n".join(lines)


def verdict(measured: dict[str, Any]) -> str:
    """Whether the demand is met, in words."""
    worst = max(row["share"] for row in measured["rows"])
    met = "met" if worst < DEMANDED else "NOT met"
    return f"The loop takes at most {worst:.1%} of the search; demanded: under {DEMANDED:.0%}: {met}."


def _search(name: str, evaluator: Any, workers: int, generator: str, evaluations: int, batch: int) -> dict[str, Any]:
    source = make_generator(generator)
    opened: AbstractContextManager[Any] = evaluator
    with opened, tempfile.TemporaryDirectory() as folder:
        options = {"optimizer": OPTIMIZER, "batch": batch, "storage": f"sqlite:///{folder}/study.db"}
        with Study(source, budget=2 * batch * workers, name="first", **options) as first:
            run(first, evaluator)
        with Study(source, budget=evaluations, name="measured", **options) as study:
            before, start = evaluator.seconds_target, time.perf_counter()
            run(study, evaluator)
            wall, target = time.perf_counter() - start, (evaluator.seconds_target - before) / workers
            optimizer = study.optimizer_seconds
    return {
        "evaluator": name,
        "evaluations": evaluations,
        "wall_s": wall,
        "target_s": target,
        "optimizer_s": optimizer,
        "share": (wall - target) / wall,
    }
