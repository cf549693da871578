"""One run: ask, evaluate, tell, and what is recommended on the way."""

from __future__ import annotations

import time
from functools import lru_cache
from typing import Any

import numpy as np

from experiments.benchmarks.stimuli.methods import TABLE
from experiments.benchmarks.stimuli.problems import Floats, Problem, noisy
from experiments.benchmarks.stimuli.searchers import Searcher
from experiments.benchmarks.stimuli.tasks import Task, checkpoints
from experiments.benchmarks.stimuli.units import Unit
from mango.evaluators.threads import one_thread
from mango.space import Codes


def search(task: Task) -> dict[str, Any]:
    """The task's row with its trajectory: the noise-free value of what is recommended after so many evaluations.

    Nothing of the last batches is cut off: a batch ends where a budget does. Without noise the recommendation is the
    best found; at a checkpoint within a batch that is the best up to there. Under noise it is the method's own choice
    after the last batch that ended by then (NaN before the first has), and its noise-free value is looked up or
    evaluated, outside the budget.
    """
    problem = _problem(task.unit, TABLE[task.method].generator)
    with one_thread():
        start = time.process_time()
        searcher = TABLE[task.method].start(
            problem, seed=task.seed, batch=task.batch, budget=task.planned, noisy=task.noise != "none"
        )
        run = _Run(task, problem, searcher)
        run.go()
        seconds = time.process_time() - start
    return {
        **task.row(),
        "evaluations": run.marks,
        "value": run.found,
        "seconds": round(seconds, 3),
        "seconds_target": round(run.seconds_target, 3),
        "distinct": len(run.known),
    }


class _Run:
    """The loop and what it keeps."""

    def __init__(self, task: Task, problem: Problem, searcher: Searcher) -> None:
        self.task, self.problem, self.searcher = task, problem, searcher
        self.marks = checkpoints(task.budgets)
        self.found: list[float] = []
        self.known: dict[bytes, float] = {}  # noise-free values by code
        self.seconds_target = 0.0
        self._best = -np.inf  # noise-free, of all that was asked
        self._choice = np.nan  # noise-free value of the last recommendation under noise

    def go(self) -> None:
        """Until the largest budget is spent, or the method has no more to ask."""
        done, most = 0, self.task.planned
        while done < most:
            end = min(b for b in self.task.budgets if b > done)
            codes = self.searcher.ask(min(self.task.batch, end - done))
            if not len(codes):
                break
            values = self.values(codes)
            task = self.task
            self.searcher.tell(noisy(values, task.noise, task.unit.natural_maximum, task.seed, done))
            self._mark(done, values)
            done += len(codes)
        self.found += [self._recommended()] * (len(self.marks) - len(self.found))

    def values(self, codes: Codes) -> Floats:
        """Noise-free, each code evaluated once in a run."""
        keys = [code.tobytes() for code in np.ascontiguousarray(codes)]
        fresh = {key: row for row, key in enumerate(keys) if key not in self.known}
        if fresh:
            start = time.process_time()
            values = self.problem.values(codes[list(fresh.values())])
            self.seconds_target += time.process_time() - start
            self.known.update(zip(fresh, values.tolist(), strict=True))
        return np.array([self.known[key] for key in keys])

    def _mark(self, done: int, values: Floats) -> None:
        """Notes the checkpoints that this batch, the trials after the first ``done``, has reached."""
        last = done + len(values)
        before = self._best
        self._best = max(before, float(values.max()))
        while len(self.found) < len(self.marks) and self.marks[len(self.found)] <= last:
            mark = self.marks[len(self.found)]
            if self.task.noise == "none":
                self.found.append(max(before, float(values[: mark - done].max())))
            else:
                self.found.append(self._recommended() if mark == last else self._choice)
        following = self.marks[len(self.found) :][:1]
        if self.task.noise != "none" and following and following[0] < last + self.task.batch:
            self._choice = self._recommended()

    def _recommended(self) -> float:
        if self.task.noise == "none":
            return self._best
        return float(self.values(self.searcher.recommend()[None])[0])


@lru_cache(32)
def _problem(unit: Unit, generator: str) -> Problem:
    return Problem(unit, generator)
