"""One study as the service knows it: what clients do with it, what it looks like, and who watches."""

from __future__ import annotations

import asyncio
import math
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray
from starlette.concurrency import run_in_threadpool

from mango.errors import InputError, MangoError
from mango.evaluators.threads import one_thread
from mango.exchange import Block, Receipt, Request
from mango.optimizers.ordering import ranking
from mango.service import images, views
from mango.service.schemas import ImageSettings
from mango.space import Codes
from mango.study import Study
from mango.trial import Result, Trial, TrialRecord, TrialState

SERVICE = "service"  # the entry of a study's meta that holds what only the service needs
MOST_SHOWN = 500  # references in a curve
SOON = 0.01  # seconds in which whoever told asks again


class Hosted:
    """One study as the service knows it.

    Attributes:
        study: itself, thread-safe.
        generator: None where there is a space only.
        settings: what it was made with, as far as the service needs it.
        counts: trials by state, late answers, presentations.
        best: the trial of the highest objective so far.
        gone: this process no longer has it.
        deleted: nobody has.
    """

    def __init__(self, study: Study, generator: Any) -> None:
        self.study, self.generator = study, generator
        self.settings: dict[str, Any] = study.meta.get(SERVICE, {})
        self.image = ImageSettings.model_validate(self.settings.get("image", {}))
        self._lock = threading.RLock()  # of whatever changes the study, so that the counts are those of its events
        self._learning = threading.Lock()
        self._waiting: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()
        self.counts: Counter[str] = Counter(study.counts())
        self.counts["late"] = study.store.late()
        self.best = study.best()
        self.gone = self.deleted = False

    @property
    def name(self) -> str:
        """Of the study."""
        return self.study.name

    @property
    def shape(self) -> tuple[int, ...] | None:
        """Of the stimuli."""
        return None if self.generator is None else tuple(self.generator.stimulus_shape)

    # -- what clients do -------------------------------------------------------------------------------------------

    def hand_out(self, n: int, lease: float | None, request: Request | None) -> Block:
        """See `mango.Study.hand_out`; the trials come in a random order that follows from the seed and the block."""
        with self._lock:
            block = self.study.hand_out(n, lease=lease or self.settings.get("lease"), request=request)
            self._note(asked=True)
        order = np.random.default_rng((self.study.configuration.seed, block.sequence)).permutation(len(block.trials))
        self.notify()
        return Block([block.trials[i] for i in order], block.references, block.sequence)

    def take_in(
        self,
        results: Sequence[Result],
        references: Mapping[int, Sequence[float]],
        responses: Mapping[int, NDArray[Any]],
        request: Request | None,
    ) -> Receipt:
        """See `mango.Study.take_in`."""
        with self._lock:
            before = self.study.sequence
            told = self.study.take_in(results, references=references, responses=responses, request=request)
            if self.study.sequence > before:
                self._note(closed=told.accepted)
                self.counts["late"] += len(told.late)
        self.notify()
        return told

    async def learn(self) -> None:
        """See `mango.Study.learn`; for after an answer to a tell was sent.

        Whoever told mostly asks again at once, which has the optimizer learn; beside that ask, another thread would
        only be in the way. Where nobody asks, the optimizer learns meanwhile, so that the next ask need not wait.
        """
        await asyncio.sleep(SOON)
        if self.study.behind:
            await run_in_threadpool(self._learn)

    def _learn(self) -> None:
        if self._learning.acquire(blocking=False):  # else another thread is at it
            try:
                self.study.learn()
            finally:
                self._learning.release()

    def release(self, attempts: Mapping[int, int]) -> list[int]:
        """See `mango.Study.release`."""
        with self._lock:
            released = self.study.release(attempts)
        self.notify()
        return released

    def veto(self, numbers: Sequence[int], reason: str) -> list[int]:
        """See `mango.Study.veto`."""
        with self._lock:
            vetoed = self.study.veto(numbers, reason)
            self._note(closed=vetoed)
        self.notify()
        return vetoed

    def enqueue(self, codes: Codes, origin: str) -> int:
        """See `mango.Study.enqueue`."""
        with self._lock:
            self.study.enqueue(codes, origin)
        self.notify()
        return len(codes)

    def set_state(self, state: str) -> None:
        """``paused``, ``running`` or ``finished``."""
        with self._lock:
            {"paused": self.study.pause, "running": self.study.unpause, "finished": self.study.finish}[state]()
        self.notify()

    def delete(self) -> None:
        """Removes the study and all that it holds, once whatever changes it is done."""
        with self._lock:
            self.study.store.delete()

    def _note(self, *, asked: bool = False, closed: Sequence[int] = ()) -> None:
        """Keeps the counts and the best, at a cost that does not grow with the study."""
        if asked:
            new = self.study.asked - self.counts["asked"]
            self.counts["asked"] += new
            self.counts["open"] += new
        records = self.study.records(closed)
        for record in records:
            self.counts[record.state.value] += 1
            self.counts["open"] -= 1
            self.counts["presentations"] += len(record.values)
        done = [record for record in (self.best, *records) if record is not None and record.state is TrialState.DONE]
        if done:
            ordered = sorted(
                done, key=lambda record: record.number
            )  # of equals the lowest number, whichever came first
            heard = self.study.objective(ordered)
            self.best = ordered[ranking(heard, np.array([record.key for record in ordered]))[0]]

    # -- what it looks like ----------------------------------------------------------------------------------------

    def trial(self, record: TrialRecord, *, code: bool = False) -> views.Json:
        """One trial as JSON."""
        objective = float(self.study.objective([record])[0])
        until = self.study.lease_until(record.number)
        return views.trial(record, objective, self.name, self.shape, until, code=code)

    def handed(self, trial: Trial) -> views.Json:
        """One trial of a block as JSON."""
        return {
            "number": trial.number,
            "attempt": trial.attempt,
            "code": trial.code,
            "origin": trial.origin,
            "repeats": len(trial.seeds),
            "lease_until": views.null(trial.until),
            "stimulus_url": views.stimulus_url(self.name, self.shape, f"trials/{trial.number}"),
        }

    def counted(self) -> dict[str, int]:
        """The counts that are told."""
        with self._lock:
            names = ("asked", "open", "lost", "failed", "vetoed", "late", "presentations")
            shown = {name: self.counts[name] for name in names}
        return {"asked": shown.pop("asked"), "told": self.counts["done"], **shown, "references": self.study.shown}

    def summary(self) -> views.Json:
        """The study as JSON."""
        study, configuration = self.study, self.study.configuration
        recommended = self.recommended()
        return {
            "name": self.name,
            "state": "deleted" if self.deleted else study.state,
            "created_at": study.store.created_at,
            "generator": self.settings.get("generator"),
            "optimizer": configuration.optimizer,
            "chart": configuration.chart,
            "options": study.config["options"],
            "weight": configuration.weight,
            "seed": configuration.seed,
            "budget": configuration.budget,
            "batch": configuration.batch,
            "repeats": configuration.repeats,
            "leaders": configuration.leaders,
            "confirm": configuration.confirm,
            "noisy": configuration.noisy,
            "ordered": configuration.ordered,
            "lease": self.settings.get("lease"),
            "image": self.settings.get("image"),
            "dim": configuration.space.dim,
            "natural_maximum": self.settings.get("natural_maximum"),
            "meta": {name: value for name, value in study.meta.items() if name != SERVICE},
            "stimulus_shape": None if self.shape is None else list(self.shape),
            "counts": self.counted(),
            "best": None if self.best is None else self.trial(self.best),
            "recommended": None if recommended is None else self.trial(recommended, code=True),
            "confirmed": views.confirmed(study.confirmed()),
            "last_sequence": study.sequence,
        }

    def recommended(self) -> TrialRecord | None:
        """The first measured trial of the code that the study recommends; None before any was measured.

        The best trial where the optimizer fails.
        """
        if self.best is None:
            return None
        if (confirmed := self.study.confirmed()) is not None:
            return self.study.record(confirmed.number)
        try:
            code = self.study.recommend()
        except MangoError:
            raise
        except Exception:  # an optimizer that fails is told to who asks for trials; what there is can be seen
            return self.best
        if np.array_equal(code, self.best.code):
            return self.best
        same = (r for r in self.study.trials() if r.state is TrialState.DONE and np.array_equal(r.code, code))
        return next(same, None)

    def stimuli(self, codes: Codes) -> NDArray[np.float32]:
        """Of codes ``(n, dim)``.

        Raises:
            InputError: the study has no generator.
        """
        if self.generator is None:
            raise InputError(f"the study {self.name!r} has a space but no generator, so it has codes and no stimuli")
        with one_thread():
            made: NDArray[np.float32] = self.generator.decode(codes)
        return made

    def png(self, code: Codes) -> bytes:
        """A stimulus as the study's image settings draw it."""
        return images.png(self.stimuli(code[None])[0], self.image)

    def encoded(self, stimuli: NDArray[np.float32]) -> Codes:
        """Codes ``(n, dim)`` of stimuli, by the generator's encoder."""
        with one_thread():
            codes: Codes = self.generator.encode(stimuli)
        return codes

    def leading(self, n: int) -> list[TrialRecord]:
        """The best trials as they were told, the best first."""
        if n == 1:
            return [] if self.best is None else [self.best]
        done = [record for record in self.study.trials() if record.state is TrialState.DONE]
        if not done:
            return []
        order = ranking(self.study.objective(done), np.array([record.key for record in done]))
        return [done[i] for i in order[:n]]

    def page(
        self, after: int, limit: int, state: TrialState | None, *, latest: bool, before: int | None
    ) -> tuple[list[TrialRecord], int | None]:
        """Trials of a state by number, and after (``latest``: before) which number to go on, None at the end."""
        records = self.study.trials()
        pool = reversed(records[:before]) if latest else iter(records[after + 1 :])
        found = list(islice((record for record in pool if state is None or record.state is state), limit + 1))
        return found[:limit], found[limit - 1].number if len(found) > limit else None

    def curve(self) -> views.Json:
        """The course of the study, thinned."""
        records = self.study.trials()
        merits = self.study.objective(records) if records else np.empty(0)
        merits = np.where([record.state is TrialState.DONE for record in records], merits, -np.inf)
        rises = merits > np.concatenate([[-np.inf], np.maximum.accumulate(merits)[:-1]])
        leader = np.maximum.accumulate(np.where(rises, np.arange(len(records)), -1))
        best = [math.nan if i < 0 else records[i].value for i in leader]
        shown = self.study.references()
        step = max(1, -(-len(shown) // MOST_SHOWN))
        asked = np.array([record.asked_at for record in records])
        references = [
            {
                "presentation": reference.presentation,
                "image": reference.image,
                "at": int(np.searchsorted(asked, reference.asked_at, side="right")),
                "value": views.null(reference.value),
            }
            for reference in shown[::step]
        ]
        return views.curve(records, best) | {"references": references}

    # -- who watches -----------------------------------------------------------------------------------------------

    def watch(self) -> tuple[asyncio.AbstractEventLoop, asyncio.Event]:
        """An event that is set whenever something has happened; give it back to `unwatch`."""
        watcher = asyncio.get_running_loop(), asyncio.Event()
        self._waiting.add(watcher)
        return watcher

    def unwatch(self, watcher: tuple[asyncio.AbstractEventLoop, asyncio.Event]) -> None:
        """Ends a watch."""
        self._waiting.discard(watcher)

    def notify(self) -> None:
        """Wakes everybody who watches."""
        for loop, event in tuple(self._waiting):
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(event.set)
