"""What is evaluated, and the plain ways to do it; at the top level of a module, where other processes find it."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mango import SearchSpace
from mango.evaluators import Evaluator, evaluate
from mango.evaluators.base import build
from mango.evaluators.threads import pin_one_thread
from mango.trial import Result, Trial

DIM = 64  # of a code, as that of vqvae-cifar10
SLEEP = 0.05  # seconds of one evaluation
SLEEPERS = 32  # at the same time
Answers = Callable[[Sequence[list[Trial]]], list[Result]]  # chunks in, results out in any order

_made: tuple[Any, Any] | None = None  # generator and target of a plain process


class Itself:
    """Decodes a code to itself."""

    space = SearchSpace.box(DIM)
    stimulus_shape = (DIM,)

    def decode(self, codes: NDArray[Any]) -> NDArray[Any]:
        """The codes."""
        return codes


class Trivial:
    """Costs nothing."""

    def respond(self, stimuli: NDArray[Any]) -> NDArray[Any]:
        """The first number of each stimulus."""
        return stimuli[:, 0]


class Sleeping(Trivial):
    """Waits, as for a rig."""

    batch_size = 1
    concurrency = SLEEPERS

    def respond(self, stimuli: NDArray[Any]) -> NDArray[Any]:
        """The first number of each stimulus, after a while for each."""
        time.sleep(SLEEP * len(stimuli))
        return stimuli[:, 0]


def trials(n: int, codes: NDArray[Any] | None = None) -> list[Trial]:
    """Trials of given codes, or of seeded ones."""
    codes = np.random.default_rng(0).uniform(-1, 1, (n, DIM)) if codes is None else codes
    return [Trial(number, 1, code) for number, code in enumerate(codes)]


def chunks(asked: Sequence[Trial], size: int) -> list[list[Trial]]:
    """Cut as an evaluator cuts them."""
    return [list(asked[first : first + size]) for first in range(0, len(asked), size)]


def answered(evaluator: Evaluator, asked: Sequence[Trial]) -> list[Result]:
    """Results by number: as many trials in flight as the evaluator takes."""
    left, results = list(asked), list[Result]()
    while len(results) < len(asked):
        if left and (free := evaluator.free()) > 0:
            evaluator.submit(left[:free])
            del left[:free]
        results += evaluator.collect(None)
    return sorted(results, key=lambda result: result.number)


@contextmanager
def pool(processes: int, generator: Any, target: Any) -> Iterator[Answers]:
    """``multiprocessing.Pool`` of processes with one thread each."""
    with multiprocessing.get_context("spawn").Pool(processes, _begin, (generator, target)) as workers:
        yield lambda cut: [result for results in workers.imap_unordered(_evaluate, cut) for result in results]


@contextmanager
def executor(processes: int, generator: Any, target: Any) -> Iterator[Answers]:
    """``concurrent.futures.ProcessPoolExecutor``, likewise."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, _begin, (generator, target)) as workers:
        yield lambda cut: [result for results in workers.map(_evaluate, cut) for result in results]


@contextmanager
def threads(number: int, generator: Any, target: Any) -> Iterator[Answers]:
    """``concurrent.futures.ThreadPoolExecutor`` in this process."""
    with ThreadPoolExecutor(number) as workers:
        yield lambda cut: [r for some in workers.map(lambda c: evaluate(generator, target, c), cut) for r in some]


def _begin(generator: Any, target: Any) -> None:
    global _made
    pin_one_thread()
    _made = build(generator, target)


def _evaluate(cut: list[Trial]) -> list[Result]:
    assert _made is not None
    return evaluate(*_made, cut)
