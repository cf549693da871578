"""Targets that wait: 32 evaluations of 50 ms at the same time, as a share of what nothing but the waiting would allow.

Beside the threads of one Ray worker: the threads of this very process, without Ray, which show how much of the loss is
that of waiting itself; Ray workers of one thread each; and a whole study around the evaluations, with its optimizer and
its database.
"""

from __future__ import annotations

import contextlib
import tempfile
from typing import Any

from experiments.benchmarks.ray.repeats import seconds, shown, spread, table
from experiments.benchmarks.ray.subjects import SLEEP, SLEEPERS, Itself, Sleeping, answered, chunks, threads, trials
from mango import RayEvaluator, Study
from mango.running import run
from mango.trial import Result

DEMANDED = 0.93
RAY, HERE, STUDY, MANY = "ray", "threads", "study", "processes"
NAMES = {
    RAY: "one Ray worker of {n} threads",
    HERE: "ThreadPoolExecutor({n}) in one process, no Ray",
    STUDY: "the Ray worker, in a whole study",
    MANY: "{n} Ray workers of one thread",
}


def measure(*, repeats: int = 11, rounds: int = 20, many: bool = True) -> dict[str, Any]:
    """Seconds of each repeat, and each as a share of the ideal.

    Args:
        repeats: of each, in turn.
        rounds: evaluations of each of the 32.
        many: whether to start 32 processes too, which takes a minute and gigabytes.
    """
    asked = trials(SLEEPERS * rounds)
    with contextlib.ExitStack() as stack:
        evaluator = stack.enter_context(RayEvaluator(Itself(), Sleeping()))
        here = stack.enter_context(threads(SLEEPERS, Itself(), Sleeping()))
        ways = {
            RAY: lambda: answered(evaluator, asked),
            HERE: lambda: here(chunks(asked, 1)),
            STUDY: lambda: _studied(evaluator, len(asked)),
        }
        if many:
            workers = stack.enter_context(RayEvaluator(Itself(), Sleeping(), concurrency=1, workers=SLEEPERS))
            ways[MANY] = lambda: answered(workers, asked)
            while any(worker.doing == "starting" for worker in workers.workers()):
                answered(workers, asked[: 2 * SLEEPERS])
        answered(evaluator, asked[:SLEEPERS])
        taken = seconds(ways, repeats)
    ideal = rounds * SLEEP
    return {
        "evaluations": len(asked),
        "ideal_s": ideal,
        "seconds": {name: some.wall for name, some in taken.items()},
        "shares": {name: spread([ideal / s for s in some.wall]) for name, some in taken.items()},
    }


def report(measured: dict[str, Any]) -> str:
    """The figures as a Markdown table."""
    rows = [[NAMES[name].format(n=SLEEPERS), shown(share)] for name, share in measured["shares"].items()]
    return table([f"{SLEEPERS} evaluations of {1000 * SLEEP:g} ms at a time", "share of the ideal throughput"], rows)


def verdict(measured: dict[str, Any]) -> str:
    """Whether the demand is met, in words."""
    share = measured["shares"][RAY][0]
    return (
        f"One worker of {SLEEPERS} threads reaches {share:.3f} of the ideal; demanded: {DEMANDED:g}: "
        f"{'met' if share >= DEMANDED else 'NOT met'}."
    )


def _studied(evaluator: RayEvaluator, evaluations: int) -> list[Result]:
    """A search of random codes, kept in a file as any search is; its values are not the other ways' to compare."""
    with tempfile.TemporaryDirectory() as folder:
        options = {"optimizer": "random", "batch": 2 * SLEEPERS, "storage": f"sqlite:///{folder}/study.db"}
        with Study(Itself(), budget=evaluations, **options) as study:
            run(study, evaluator)
    return []
