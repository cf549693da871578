"""Evaluation by Ray workers, on this machine or on a cluster.

Each worker is one actor in a process of its own: it makes generator and target once, takes codes (not images) and
evaluates a chunk at a time, with a second one waiting in line. Where the calls of a target only wait, for a rig or a
network, one worker runs many of them in threads: they cost less than processes.

A worker that dies is replaced and its chunks are submitted again, whole, so that values do not depend on deaths. Where
it had several, each is then evaluated alone, to see on which one a worker dies. A chunk that three workers died on is
evaluated trial by trial: the trial that kills its worker alone has failed, the others of the chunk have their values.
"""

from __future__ import annotations

import math
import time
import warnings
from collections import deque
from collections.abc import Sequence
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from mango.evaluators.cluster import check_gpus, connect, connected, cpus_each

# isort: split
# Ray reads what `cluster` sets when it is imported.
import ray
from ray.exceptions import OutOfMemoryError, RayError

from mango.errors import MangoError, OptionError, TargetError
from mango.evaluators.actor import TAKING, Evaluation, Failure, Ready, Recipe, ThreadedEvaluation
from mango.evaluators.base import Chunks, Traits, WorkerState, whole_number
from mango.evaluators.worker import IN_FLIGHT, Call, Chunk, ThreadedWorker, Worker
from mango.trial import Result, Trial, TrialState

if TYPE_CHECKING:
    from mango.generators import Generator
    from mango.targets import Target

__all__ = ["RayEvaluator", "connected"]

DEATHS = 3  # of workers on one chunk, or in a row before they were ready
POLL = 0.5  # seconds between looks at the time limit
PATIENCE = 120.0  # seconds without any worker before we say so


class RayEvaluator:
    """Evaluates in parallel processes, or in the threads of one where the target's ``concurrency`` is above 1.

    Ray is started on this machine, or reached at ``address`` or ``$RAY_ADDRESS``; where it is already initialised in
    this process it is used as it is and left running by `close`. On a cluster, mango must be installed on every node.

    Args:
        generator: name of a generator, made in each worker, or an object that can be sent there.
        target: specification of a target, made in each worker, or an object that can be sent there.
        workers: processes, each with one thread; more than there are CPUs share them. A target of several calls at a
            time has one process.
        chunk: trials that share one call of the target, cut by trial number, as every evaluator does; by default the
            target's ``batch_size``, or 10 where it has none.
        concurrency: calls of the target that may wait at the same time; by default the target's ``concurrency``, or 1
            where it has none. A target that is given by name is asked for both when the first worker has made it.
        gpus: GPUs of each worker, or the share of one that each takes, such as 0.5; it sees no other.
        address: of a cluster's head, such as ``"10.0.0.5:6379"``.
        time_limit: seconds for each trial; a chunk that takes longer than its trials may costs the worker its life,
            and whatever else runs in it is evaluated again.

    Attributes:
        seconds_target: sum over all finished calls of what decoding and the target took in the workers.

    Raises:
        OptionError: workers, chunk or concurrency < 1, a time limit that is not positive, more GPUs than there are.
        InputError: no cluster at that address; an object that cannot be sent.
    """

    def __init__(
        self,
        generator: Generator | str,
        target: Target | str,
        *,
        workers: int = 2,
        chunk: int | None = None,
        concurrency: int | None = None,
        gpus: float = 0.0,
        address: str | None = None,
        time_limit: float | None = None,
    ) -> None:
        number, given = whole_number("workers", workers), Traits().overruled(chunk, concurrency)
        if time_limit is not None and not (math.isfinite(time_limit) and time_limit > 0):
            raise OptionError(f"time_limit must be a number of seconds > 0; got {time_limit!r}")
        self._overruling = chunk, concurrency
        self._limit = time_limit
        self._gpus = gpus
        self.seconds_target = 0.0
        self._known = chunk is not None and concurrency is not None  # how the target wants to be called
        if not isinstance(target, str):
            self._known, given = True, Traits.of(target).overruled(chunk, concurrency)
        self._traits = given
        self._chunks = Chunks(given.batch_size)
        self._waiting: deque[Call] = deque()
        self._workers: list[Worker] = []
        self._finished: list[Result] = []
        self._failure: MangoError | None = None
        self._unready_deaths = 0
        self._ready_at = time.monotonic()  # when a worker was last ready
        self._owns_ray = connect(address, number)
        try:
            self._recipe = Recipe.of(generator, target)
            self._hire(number)
        except BaseException:
            self.close()
            raise

    def free(self) -> int:
        """Trials until every worker has two chunks, or twice as many as it runs; waits for the first target's word."""
        self._learn()
        running = sum(worker.slots for worker in self._workers)
        return max(0, running * IN_FLIGHT * self._traits.batch_size - self._chunks.taken)

    def submit(self, trials: Sequence[Trial]) -> None:
        """Takes trials; whole chunks go to the workers at once."""
        self._learn()
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

    def workers(self) -> list[WorkerState]:
        """What each worker does now; other threads may ask."""
        return [worker.state() for worker in list(self._workers)]

    def close(self) -> None:
        """Ends the workers at once, and Ray where it was started here. Closing twice is nothing."""
        self._dismiss()
        self._waiting.clear()
        self._chunks = Chunks(self._traits.batch_size)
        self._finished.clear()
        if self._owns_ray and ray.is_initialized():
            ray.shutdown()
        self._owns_ray = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- workers ---------------------------------------------------------------------------------------------------

    def _hire(self, number: int) -> None:
        """As many workers as wanted, or one of many threads; `_take` notices when they are ready."""
        threads = self._traits.concurrency
        number = number if threads == 1 else 1
        check_gpus(self._gpus, number)
        share = {"num_cpus": cpus_each(number), "num_gpus": self._gpus, "max_restarts": 0, "max_task_retries": 0}
        if threads == 1:
            actor = ray.remote(**share)(Evaluation)
            make = partial(actor.remote, self._recipe)
            self._workers = [Worker(n + 1, make) for n in range(number)]
        else:
            actor = ray.remote(concurrency_groups={TAKING: 1}, **share)(ThreadedEvaluation)
            self._workers = [ThreadedWorker(1, partial(actor.remote, self._recipe, threads), threads)]
        for worker in self._workers:
            worker.begin()

    def _dismiss(self) -> None:
        workers, self._workers = self._workers, []
        for worker in workers:
            worker.end()

    def _learn(self) -> None:
        """Waits until the first worker has said how its target wants to be called, or why there will be none."""
        while not self._known and self._workers:
            self._settle(POLL)
            self._known = self._known or self._failure is not None  # `collect` raises it

    def _heed(self, said: Traits) -> None:
        """Fixes what the first worker says of its target, whatever later ones say."""
        self._known, self._traits = True, said.overruled(*self._overruling)
        self._chunks = Chunks(self._traits.batch_size)
        if self._traits.concurrency > 1:
            self._dismiss()
            self._hire(1)

    def _dispatch(self) -> None:
        """Hands waiting calls to the ready workers with the fewest."""
        while self._waiting:
            call = self._waiting[0]
            able = [worker for worker in self._workers if worker.takes(call)]
            if not able:
                break
            min(able, key=lambda worker: len(worker.calls)).hand(call)
            self._waiting.popleft()  # only now: Ctrl-C may repeat a step, but must not lose a call
        for worker in self._workers:
            worker.flush()

    def _settle(self, pause: float) -> None:
        """Waits for whatever happens first, at most ``pause`` seconds, and takes in everything that has happened."""
        if not ray.is_initialized():
            raise MangoError("Ray was shut down while trials were being evaluated; start again and resume the study")
        while heads := {worker.head: worker for worker in self._workers if worker.head is not None}:
            answers, deaths = _answers(list(heads), pause)
            for ref, answer in answers.items():
                for call, said in heads[ref].answered(ref, answer):
                    if call is None:
                        self._greet(heads[ref], said)
                    else:
                        self._take(heads[ref], call, said)
            for ref, reason in deaths.items():
                if heads[ref] in self._workers:  # still
                    self._bury(heads[ref], reason)
            if not answers and not deaths:
                break
            pause = 0.0
        self._check_time()

    def _greet(self, worker: Worker, answer: Ready | Failure) -> None:
        """A worker is ready, or will never be."""
        fresh = not worker.built
        worker.greet(answer)
        if isinstance(answer, Failure):
            self._failure = self._failure or answer.error()
        elif fresh:
            self._unready_deaths = 0
            for other in self._workers:  # those given up when several had died in a row
                other.begin()
            if not self._known:
                self._heed(answer.traits)

    def _take(self, worker: Worker, call: Call, answer: list[Result] | Failure) -> None:
        """A worker has answered a call."""
        if isinstance(answer, Failure):
            self._failure = self._failure or answer.error()
        else:
            self.seconds_target += sum(result.seconds for result in answer)
            self._answer(call.chunk, answer)
        worker.drop(call)

    def _answer(self, chunk: Chunk, results: list[Result]) -> None:
        if len(chunk.results) < len(chunk.trials):
            chunk.results.update({(result.number, result.attempt): result for result in results})
            if len(chunk.results) == len(chunk.trials):
                self._finished += [chunk.results[key] for key in sorted(chunk.results)]

    def _check_time(self) -> None:
        now = time.monotonic()
        for worker in self._workers:
            call = None if self._limit is None else worker.overran(self._limit, now)
            if call is not None and self._limit is not None:
                self._bury(worker, f"it took longer than {self._limit * len(call.trials):g} s", call)
        if any(worker.built for worker in self._workers):
            self._ready_at = now
        elif now - self._ready_at > PATIENCE:
            self._ready_at = math.inf  # say it once
            free = ray.available_resources()
            warnings.warn(
                f"no Ray worker is ready after {PATIENCE:g} s: generator and target take long to make, or the cluster "
                f"has no room ({free.get('CPU', 0):g} CPUs and {free.get('GPU', 0):g} GPUs are free). Waiting on; end "
                "what else runs there, or ask for fewer workers",
                RuntimeWarning,
                stacklevel=4,
            )

    def _bury(self, worker: Worker, reason: str, overran: Call | None = None) -> None:
        """Ends a worker that died or overran, takes back its calls, and starts another."""
        if worker.built:
            for other in self._workers:  # whoever idles may have died with it, and must not cost a chunk a death
                if other is not worker:
                    other.ask()
        else:
            self._unready_deaths += 1
        calls = worker.die()
        suspects = [overran] if overran else calls  # all of them, since what had finished may not have come back
        self._waiting.extendleft(reversed([call for call in calls if call not in suspects]))
        if len(suspects) == 1:
            self._charge(suspects[0], reason)
        else:
            for call in reversed(suspects):
                call.alone = True
                self._waiting.appendleft(call)
        if self._unready_deaths < DEATHS:
            worker.begin()
        elif all(other.actor is None for other in self._workers) and self._failure is None:
            self._failure = TargetError(
                f"{self._unready_deaths} workers in a row died while making generator and target: {reason}"
            )

    def _charge(self, call: Call, reason: str) -> None:
        """A worker died on this call: again, or apart, or failed."""
        call.deaths += 1
        if call.deaths < DEATHS:
            self._waiting.appendleft(call)
        elif len(call.trials) > 1:
            apart = [Call(call.chunk, [trial], call.deaths, alone=True) for trial in call.trials]
            self._waiting.extendleft(reversed(apart))
        else:
            trial = call.trials[0]
            reason = f"given up after the death of {call.deaths} workers: {reason}"
            failed = Result(trial.number, trial.attempt, (), status=TrialState.FAILED, reason=reason)
            self._answer(call.chunk, [failed])

    def _enqueue(self, chunks: list[list[Trial]]) -> None:
        for trials in chunks:
            self._waiting.append(Call(Chunk(trials), trials))


def _answers(refs: list[Any], pause: float) -> tuple[dict[Any, Any], dict[Any, str]]:
    """What has come by now, else what comes first within ``pause`` seconds; and why some never will.

    Raises:
        MangoError: Ray has gone.
    """
    try:
        done, _ = ray.wait(refs, num_returns=len(refs), timeout=0)
        if not done and pause:
            done, _ = ray.wait(refs, timeout=pause)
    except RayError as error:
        raise MangoError(f"Ray has gone: {_brief(error)}; start it again and resume the study") from error
    answers, deaths = {}, {}
    for ref in done:
        try:
            answers[ref] = ray.get(ref)
        except RayError as error:
            deaths[ref] = _brief(error)
    return answers, deaths


def _brief(error: Exception) -> str:
    """The line of Ray's long messages that says what happened, without its guesses at causes."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return lines[0 if isinstance(error, OutOfMemoryError) else -1].partition(" Some common causes")[0].removesuffix(".")
