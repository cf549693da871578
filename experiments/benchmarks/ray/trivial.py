"""What an evaluation costs by itself, at a target that costs nothing, beside the processes of the standard library."""

from __future__ import annotations

from typing import Any

from experiments.benchmarks.ray.repeats import seconds, shown, spread, table
from experiments.benchmarks.ray.subjects import Itself, Trivial, answered, chunks, executor, pool, trials
from mango import RayEvaluator

RAY, POOL, EXECUTOR = "RayEvaluator", "multiprocessing.Pool", "ProcessPoolExecutor"


def measure(
    *, repeats: int = 11, calls: int = 400, sizes: tuple[int, ...] = (10, 1), workers: int = 2
) -> dict[str, Any]:
    """Microseconds per evaluation, wall-clock time, for calls of the target with so many stimuli.

    Args:
        repeats: of each, in turn.
        calls: of the target, in each.
        sizes: stimuli of one call.
        workers: processes of each.
    """
    rows = []
    for size in sizes:
        asked = trials(size * calls)
        cut = chunks(asked, size)
        with (
            RayEvaluator(Itself(), Trivial(), workers=workers, chunk=size) as evaluator,
            pool(workers, Itself(), Trivial()) as processes,
            executor(workers, Itself(), Trivial()) as futures,
        ):
            while any(worker.doing == "starting" for worker in evaluator.workers()):
                answered(evaluator, asked[: 4 * size])
            ways = {
                RAY: lambda: answered(evaluator, asked),  # noqa: B023 (called within the round)
                POOL: lambda: processes(cut),  # noqa: B023
                EXECUTOR: lambda: futures(cut),  # noqa: B023
            }
            taken = seconds(ways, repeats)
        each = {name: [1e6 * s / len(asked) for s in some.wall] for name, some in taken.items()}
        rows.append({"size": size, "evaluations": len(asked), "microseconds": each})
    return {"workers": workers, "rows": rows}


def report(measured: dict[str, Any]) -> str:
    """The figures as a Markdown table."""
    rows = [
        [row["size"], *(shown(spread(row["microseconds"][name]), 0) for name in (RAY, POOL, EXECUTOR))]
        for row in measured["rows"]
    ]
    return table(["stimuli in a call", *(f"{name}, us per evaluation" for name in (RAY, POOL, EXECUTOR))], rows)


def verdict(measured: dict[str, Any]) -> str:
    """Who is faster, in words."""
    parts = []
    for row in measured["rows"]:
        ray, pool_ = (spread(row["microseconds"][name])[0] for name in (RAY, POOL))
        parts.append(f"{ray / pool_:.1f} times multiprocessing.Pool at calls of {row['size']}")
    return f"An evaluation costs {' and '.join(parts)}."
