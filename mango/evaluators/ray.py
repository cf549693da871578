"""Evaluation by Ray workers, on this machine or on a cluster.

Each worker is one actor in a process of its own: it makes generator and target once, takes codes (not images) and
evaluates a chunk at a time, with a second one waiting in line. A worker that dies is replaced and its chunks are
submitted again, whole, so that values do not depend on deaths. A chunk that three workers died on is evaluated trial by
trial: the trial that kills its worker alone has failed, the others of the chunk have their values.
"""

from __future__ import annotations

import math
import time
import warnings
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from mango.evaluators.cluster import connect, connected

# isort: split
# Ray reads what `cluster` sets when it is imported.
import ray
from ray.exceptions import OutOfMemoryError, RayError

from mango.errors import MangoError, OptionError, TargetError
from mango.evaluators.actor import Evaluation, Failure, Recipe
from mango.evaluators.base import Chunks, whole_number
from mango.trial import Result, Trial, TrialState

if TYPE_CHECKING:
    from mango.generators import Generator
    from mango.targets import Target

__all__ = ["RayEvaluator", "connected"]

IN_FLIGHT = 2  # calls at a worker: one runs, one waits, so that no worker idles while we answer
DEATHS = 3  # of workers on one chunk, or in a row before they were ready
POLL = 0.5  # seconds between looks at the time limit
PATIENCE = 120.0  # seconds without any worker before we say so


class RayEvaluator:
    """Evaluates in parallel processes.

    Ray is started on this machine, or reached at ``address`` or ``$RAY_ADDRESS``; where it is already initialised in
    this process it is used as it is and left running by `close`. On a cluster, mango must be installed on every node.

    Args:
        generator: name of a generator, made in each worker, or an object that can be sent there.
        target: specification of a target, made in each worker, or an object that can be sent there.
        workers: processes, each with one thread; more than there are CPUs share them.
        chunk: trials that share one call of the target; cut by trial number, as every evaluator does.
        address: of a cluster's head, such as ``"10.0.0.5:6379"``.
        time_limit: seconds for each trial; a chunk that takes longer than its trials may costs the worker its life.

    Attributes:
        seconds_target: sum over all finished calls of what decoding and the target took in the workers.

    Raises:
        OptionError: workers or chunk < 1, a time limit that is not positive.
        InputError: no cluster at that address; an object that cannot be sent.
    """

    def __init__(
        self,
        generator: Generator | str,
        target: Target | str,
        *,
        workers: int = 2,
        chunk: int = 10,
        address: str | None = None,
        time_limit: float | None = None,
    ) -> None:
        self._number = whole_number("workers", workers)
        self._size = whole_number("chunk", chunk)
        self._chunks = Chunks(self._size)
        if time_limit is not None and not (math.isfinite(time_limit) and time_limit > 0):
            raise OptionError(f"time_limit must be a number of seconds > 0; got {time_limit!r}")
        self._limit = time_limit
        self.seconds_target = 0.0
        self._waiting: deque[_Call] = deque()
        self._workers: list[_Worker] = []
        self._finished: list[Result] = []
        self._failure: MangoError | None = None
        self._unready_deaths = 0
        self._ready_at = time.monotonic()  # when a worker was last ready
        self._owns_ray = connect(address, self._number)
        try:
            self._recipe = Recipe.of(generator, target)
            for _ in range(self._number):
                self._start()
        except BaseException:
            self.close()
            raise

    def free(self) -> int:
        """Trials until every worker has two chunks."""
        return max(0, self._number * IN_FLIGHT * self._size - self._chunks.taken)

    def submit(self, trials: Sequence[Trial]) -> None:
        """Takes trials; whole chunks go to the workers at once."""
        self._enqueue(self._chunks.add(trials))
        self._dispatch()

    def collect(self, timeout: float | None = None) -> list[Result]:
        """Every chunk that has finished, waiting for the first at most ``timeout`` seconds.

        A trial that killed its workers, or always took too long, comes back failed, with the reason.

        Raises:
            TargetError: the target raised, or answered with the wrong shape; workers die before they are ready. It is
                raised once everything finished has been handed out, and from then on.
            MangoError: generator or target could not be made in a worker, raised likewise; Ray itself has gone.
        """
        deadline = math.inf if timeout is None else time.monotonic() + timeout
        if not self._chunks.under_way:
            self._enqueue(self._chunks.rest())
        while self._chunks.under_way and not self._finished and self._failure is None:
            self._dispatch()
            self._settle(max(0.0, min(POLL, deadline - time.monotonic())))
            if time.monotonic() >= deadline:
                break
        self._dispatch()
        if not self._finished and self._failure is not None:  # what finished before the failure is handed out first
            raise self._failure
        results, self._finished = self._finished, []
        self._chunks.done(len(results))
        return results

    def close(self) -> None:
        """Ends the workers at once, and Ray where it was started here. Closing twice is nothing."""
        workers, self._workers = self._workers, []
        self._waiting.clear()
        self._chunks = Chunks(self._size)
        self._finished.clear()
        if ray.is_initialized():
            for worker in workers:
                with suppress(RayError):
                    ray.kill(worker.actor, no_restart=True)
            if self._owns_ray:
                ray.shutdown()
        self._owns_ray = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- workers ---------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        """One more worker; `_take` notices when it is ready."""
        actor = ray.remote(num_cpus=_share(self._number), max_restarts=0, max_task_retries=0)(Evaluation).remote(
            self._recipe
        )
        self._workers.append(_Worker(actor, check=actor.ready.remote()))

    def _dispatch(self) -> None:
        """Hands waiting calls to the ready workers with the fewest."""
        while self._waiting:
            able = [w for w in self._workers if w.check is None and len(w.calls) < IN_FLIGHT]
            if not able:
                return
            worker, call = min(able, key=lambda w: len(w.calls)), self._waiting[0]
            call.ref = worker.actor.evaluate.remote(call.trials)
            call.since = time.monotonic()
            worker.calls.append(call)
            self._waiting.popleft()  # only now: Ctrl-C may repeat a step, but must not lose a call

    def _settle(self, pause: float) -> None:
        """Waits for whatever happens first, at most ``pause`` seconds, and takes in everything that has happened."""
        if not ray.is_initialized():
            raise MangoError("Ray was shut down while trials were being evaluated; start again and resume the study")
        while heads := {w.head: w for w in self._workers if w.head is not None}:
            try:
                done, _ = ray.wait(list(heads), timeout=pause)
            except RayError as error:
                raise MangoError(f"Ray has gone: {_brief(error)}; start it again and resume the study") from error
            if not done:
                break
            self._take(heads[done[0]])
            pause = 0.0
        self._check_time()

    def _take(self, worker: _Worker) -> None:
        """What the worker's head has come to: ready, answered, failed, or dead."""
        try:
            answer = ray.get(worker.head)
        except RayError as error:
            self._bury(worker, _brief(error))
            return
        if isinstance(answer, Failure):
            self._failure = self._failure or answer.error()
        if worker.check is not None:
            worker.check = None
            if not worker.built:
                worker.built, self._unready_deaths = True, 0
                while len(self._workers) < self._number:  # those given up when several had died in a row
                    self._start()
            return
        if not isinstance(answer, Failure):
            self.seconds_target += sum(result.seconds for result in answer)
            self._answer(worker.calls[0].chunk, answer)
        worker.calls.popleft()
        if worker.calls:
            worker.calls[0].since = time.monotonic()

    def _answer(self, chunk: _Chunk, results: list[Result]) -> None:
        if len(chunk.results) < len(chunk.trials):
            chunk.results.update({(result.number, result.attempt): result for result in results})
            if len(chunk.results) == len(chunk.trials):
                self._finished += [chunk.results[key] for key in sorted(chunk.results)]

    def _check_time(self) -> None:
        now = time.monotonic()
        for worker in list(self._workers):
            if self._limit is not None and worker.calls and worker.check is None:
                allowed = self._limit * len(worker.calls[0].trials)
                if now - worker.calls[0].since > allowed:
                    self._bury(worker, f"it took longer than {allowed:g} s")
        if any(worker.built for worker in self._workers):
            self._ready_at = now
        elif now - self._ready_at > PATIENCE:
            self._ready_at = math.inf  # say it once
            warnings.warn(
                f"no Ray worker is ready after {PATIENCE:g} s: generator and target take long to make, or the cluster "
                f"has no room ({ray.available_resources().get('CPU', 0):g} CPUs are free). Waiting on; end what else "
                "runs there, or ask for fewer workers",
                RuntimeWarning,
                stacklevel=4,
            )

    def _bury(self, worker: _Worker, reason: str) -> None:
        """Ends a worker that died or overran, takes back its calls, and starts another."""
        ray.kill(worker.actor, no_restart=True)
        self._workers.remove(worker)
        if worker.built:
            for other in self._workers:  # whoever idles may have died with it, and must not cost a chunk a death
                if not other.calls and other.check is None:
                    other.check = other.actor.ready.remote()
        else:
            self._unready_deaths += 1
        self._waiting.extendleft(reversed(list(worker.calls)[1:]))
        if worker.calls:
            self._charge(worker.calls[0], reason)
        if self._unready_deaths < DEATHS:
            self._start()
        elif not self._workers and self._failure is None:
            self._failure = TargetError(
                f"{self._unready_deaths} workers in a row died while making generator and target: {reason}"
            )

    def _charge(self, call: _Call, reason: str) -> None:
        """A worker died on this call: again, or apart, or failed."""
        call.deaths += 1
        if call.deaths < DEATHS:
            self._waiting.appendleft(call)
        elif len(call.trials) > 1:
            apart = [_Call(call.chunk, [trial], call.deaths) for trial in call.trials]
            self._waiting.extendleft(reversed(apart))
        else:
            trial = call.trials[0]
            reason = f"given up after the death of {call.deaths} workers: {reason}"
            failed = Result(trial.number, trial.attempt, (), status=TrialState.FAILED, reason=reason)
            self._answer(call.chunk, [failed])

    def _enqueue(self, chunks: list[list[Trial]]) -> None:
        for trials in chunks:
            self._waiting.append(_Call(_Chunk(trials), trials))


@dataclass(eq=False, slots=True)
class _Chunk:
    """Trials that were cut together, and go back together."""

    trials: list[Trial]
    results: dict[tuple[int, int], Result] = field(default_factory=dict)  # by number and attempt


@dataclass(eq=False, slots=True)
class _Call:
    """A chunk, or one trial of it, on its way through a worker."""

    chunk: _Chunk
    trials: list[Trial]
    deaths: int = 0
    ref: Any = None
    since: float = 0.0  # when the worker had nothing else left to do, as far as we saw


@dataclass(eq=False, slots=True)
class _Worker:
    """An actor, what it was asked last about its health, and its calls in the order in which it works them off."""

    actor: Any
    check: Any
    built: bool = False
    calls: deque[_Call] = field(default_factory=deque)

    @property
    def head(self) -> Any:
        """What it does now; None where it idles."""
        if self.check is not None:
            return self.check
        return self.calls[0].ref if self.calls else None


def _share(workers: int) -> float:
    """CPUs that each worker takes in Ray's count, such that all fit into a cluster where nothing else runs."""
    nodes = [node for node in ray.nodes() if node["Alive"]]
    cpus = sum(float(node["Resources"].get("CPU", 0.0)) for node in nodes)
    if len(nodes) == 1 or cpus < 1:
        return 0.0  # the count only serves to choose a node
    return 1 / math.ceil(workers / cpus)


def _brief(error: Exception) -> str:
    """The line of Ray's long messages that says what happened, without its guesses at causes."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return lines[0 if isinstance(error, OutOfMemoryError) else -1].partition(" Some common causes")[0].removesuffix(".")
