"""The evaluator that the settings ask for, and a way to show it stimuli outside any study."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from mango.evaluators import Evaluator, LocalEvaluator
from mango.evaluators.base import Traits
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
        return LocalEvaluator(generator, target, chunk=settings.chunk)
    from mango.evaluators import RayEvaluator

    return RayEvaluator(
        generator,
        settings.target,
        workers=settings.workers,
        chunk=settings.chunk,
        concurrency=Traits.of(target).concurrency,  # known here, so that no worker has to be asked
        gpus=settings.gpus,
        address=settings.ray_address,
        time_limit=settings.time_limit,
    )


def with_chunk(settings: Settings, target: Any) -> Settings:
    """The settings with the size of chunks that the whole search is to keep.

    In ordered mode two batches are under way at a time; a chunk larger than one of them would leave nothing for a
    second worker.
    """
    best = Traits.of(target).batch_size
    return replace(settings, chunk=settings.chunk or (min(best, settings.batch) if settings.ordered else best))


def warn_of_idle(settings: Settings, target: Any) -> None:
    """Says where an ordered search can never keep all its workers busy."""
    slots, chunk = max(settings.workers, Traits.of(target).concurrency), settings.chunk or 1
    under_way = -(-2 * settings.batch // chunk)
    if settings.workers and settings.ordered and under_way < slots:
        warnings.warn(
            f"in ordered mode two batches of {settings.batch} trials are under way at a time, {under_way} chunks of "
            f"{chunk}: of {slots} evaluations at a time, {slots - under_way} will never be busy. Use "
            f"--batch {-(-slots * chunk // 2)} or more, a smaller --chunk, fewer --workers, or --no-ordered",
            RuntimeWarning,
            stacklevel=2,
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
