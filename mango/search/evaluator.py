"""The evaluator that the settings ask for, and a way to show it stimuli outside any study."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from mango.evaluators import Evaluator, LocalEvaluator
from mango.search.settings import Settings
from mango.trial import Result, Trial


def make_evaluator(settings: Settings, generator: Any, target: Any) -> Evaluator:
    """In this process, or on Ray workers.

    Args:
        settings: that say where.
        generator: an object, or a name that the workers know too.
        target: an object for this process; workers make their own from the settings' name.
    """
    if not settings.workers:
        return LocalEvaluator(generator, target)
    from mango.evaluators import RayEvaluator

    return RayEvaluator(
        generator,
        settings.target,
        workers=settings.workers,
        address=settings.ray_address,
        time_limit=settings.time_limit,
    )


@contextmanager
def one_ray(settings: Settings) -> Iterator[None]:
    """Keeps Ray up from one search to the next."""
    if not settings.workers:
        yield
        return
    from mango.evaluators.ray import connected

    with connected(settings.ray_address, workers=settings.workers):
        yield


def show(evaluator: Evaluator, trials: Sequence[Trial], report: Callable[[int, int], None]) -> list[Result]:
    """Results of the trials, by number.

    Args:
        evaluator: that has nothing else to do.
        trials: with numbers beyond those that it has seen.
        report: is told how many are done, and of how many.
    """
    waiting, results = list(trials), list[Result]()
    report(0, len(trials))
    while len(results) < len(trials):
        while waiting and (free := evaluator.free()) > 0:
            evaluator.submit(waiting[:free])
            del waiting[:free]
        results += evaluator.collect(None)
        report(len(results), len(trials))
    return sorted(results, key=lambda result: result.number)
