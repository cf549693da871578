"""The studies that this process serves: opened when they are first needed, one owner each, watched by many."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mango.configuration import space_of
from mango.errors import InputError, StudyError, StudyExists, UnknownName
from mango.evaluators.threads import one_thread
from mango.exchange import Block, Receipt, Request
from mango.generators import TABLE as GENERATORS
from mango.generators import make_generator
from mango.optimizers.ordering import merit, ranking
from mango.service import images, views
from mango.service.metrics import Metrics
from mango.service.schemas import Box, CodeBook, Grid, ImageSettings, StudyNew
from mango.space import Codes, SearchSpace
from mango.storage import Database, Listed, Store
from mango.study import Study
from mango.trial import Result, Trial, TrialRecord, TrialState

SERVICE = "service"  # the entry of a study's meta that holds what only the service needs
MOST_SHOWN = 500  # references in a curve
REFERENCE = 7  # with the seed: of the natural stimuli that are shown as references


class NoStudy(StudyError):
    """The database holds no study of that name."""


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

    def _note(self, *, asked: bool = False, closed: Sequence[int] = ()) -> None:
        """Keeps the counts and the best, at a cost that does not grow with the study."""
        if asked:
            new = self.study.asked - self.counts["asked"]
            self.counts["asked"] += new
            self.counts["open"] += new
        for number in closed:
            record = self.study.record(number)
            self.counts[record.state.value] += 1
            self.counts["open"] -= 1
            self.counts["presentations"] += len(record.values)
            if record.state is TrialState.DONE and (self.best is None or self._merit(record) > self._merit(self.best)):
                self.best = record

    def _merit(self, record: TrialRecord) -> tuple[float, float]:
        return merit(float(self.study.objective([record])[0]), record.key)

    # -- what it looks like ----------------------------------------------------------------------------------------

    def trial(self, record: TrialRecord, *, code: bool = False) -> views.Json:
        """One trial as JSON."""
        return views.trial(record, self.name, self.shape, self.study.lease_until(record.number), code=code)

    def handed(self, trial: Trial) -> views.Json:
        """One trial of a block as JSON."""
        return {
            "number": trial.number,
            "attempt": trial.attempt,
            "code": trial.code.tolist(),
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
        confirmed = self.recommended()
        return {
            "name": self.name,
            "state": "deleted" if self.deleted else study.state,
            "created_at": study.store.created_at,
            "generator": self.settings.get("generator"),
            "optimizer": configuration.optimizer,
            "seed": configuration.seed,
            "budget": configuration.budget,
            "batch": configuration.batch,
            "repeats": configuration.repeats,
            "lease": self.settings.get("lease"),
            "image": self.settings.get("image"),
            "dim": configuration.space.dim,
            "natural_maximum": self.settings.get("natural_maximum"),
            "meta": {name: value for name, value in study.meta.items() if name != SERVICE},
            "stimulus_shape": None if self.shape is None else list(self.shape),
            "counts": self.counted(),
            "best": None if self.best is None else self.trial(self.best),
            "recommended": None if confirmed is None else self.trial(confirmed, code=True),
            "last_sequence": study.sequence,
        }

    def recommended(self) -> TrialRecord | None:
        """The first measured trial of the code that the study recommends; None before any was measured."""
        if self.best is None:
            return None
        code = self.study.recommend()
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
        self, after: int, limit: int, state: TrialState | None, *, latest: bool
    ) -> tuple[list[TrialRecord], int | None]:
        """Trials of a state by number, the first ones above ``after``, and what follows them; or the latest."""
        records = self.study.trials()
        pool = reversed(records) if latest else iter(records[after + 1 :])
        found = [record for record in pool if state is None or record.state is state][: limit + 1]
        further = found[limit - 1].number if len(found) > limit and not latest else None
        return found[:limit], further

    def curve(self) -> views.Json:
        """The course of the study, thinned."""
        records = self.study.trials()
        values = self.study.objective(records) if records else np.empty(0)
        values = np.where([record.state is TrialState.DONE for record in records], values, np.nan)
        best = np.fmax.accumulate(values) if len(values) else values
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
        return views.curve(records, best.tolist()) | {"references": references}

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


class Hub:
    """All studies of one database.

    Args:
        storage: URL of the database.
        generators: names that studies may use beside mango's own -> what `make_generator` takes.
        database: options of `mango.storage.Database`.

    Attributes:
        metrics: that count what is done.
    """

    def __init__(self, storage: str, generators: Mapping[str, str] | None = None, **database: Any) -> None:
        self.database = Database(storage, **database)
        self.metrics = Metrics()
        self._specs = {name: name for name in GENERATORS} | dict(generators or {})
        self._generators: dict[str, Any] = {}
        self._hosted: dict[str, Hosted] = {}
        self._lock = threading.RLock()
        self.database.prepare(create=True)

    def named_generators(self) -> list[views.Json]:
        """Generators that a study may be made with."""
        return [{"name": name, "summary": GENERATORS.get(name, ("", spec))[1]} for name, spec in self._specs.items()]

    def decoded(self, generator: Any, codes: Codes) -> NDArray[np.float32]:
        """Stimuli of codes."""
        with one_thread():
            made: NDArray[np.float32] = generator.decode(codes)
        return made

    def generator(self, name: str) -> Any:
        """A generator, made once.

        Raises:
            UnknownName: none that is served; factories of one's own are named on the command line only.
        """
        family, _, detail = name.partition(":")
        if name not in self._specs and not (family == "identity" and detail):
            raise UnknownName("generator", name, self._specs)
        with self._lock:
            if name not in self._generators:
                self._generators[name] = make_generator(self._specs.get(name, name))
            return self._generators[name]

    def create(self, new: StudyNew) -> Hosted:
        """A new study.

        Raises:
            StudyExists: there is one of that name.
            InputError: something that does not go together.
        """
        if self.database.holds(new.name):
            raise StudyExists(f"there is a study {new.name!r} already; choose another name, or delete it")
        source = self._source(new)
        generator = None if isinstance(source, SearchSpace) else source
        references = self._references(new, source)
        kept = {
            "generator": new.generator,
            "lease": new.lease,
            "image": new.image.model_dump(mode="json"),
            "natural_maximum": new.natural_maximum,
        }
        with self._lock:
            study = Study(
                source,
                budget=new.budget,
                optimizer=new.optimizer,
                seed=new.seed,
                batch=new.batch,
                repeats=new.repeats,
                chart=new.chart,
                options=new.options,
                weight=new.weight,
                leaders=new.leaders,
                confirm=new.confirm,
                ordered=False,
                storage=self.database,
                name=new.name,
                meta={**new.meta, SERVICE: kept},
            )
            if references is not None and new.references is not None:
                study.interleave(references, new.references.every)
            hosted = self._hosted[new.name] = Hosted(study, generator)
            return hosted

    def get(self, name: str) -> Hosted:
        """A study, taken over from its log where this process does not have it.

        Raises:
            NoStudy: there is none of that name.
            StudyLocked: another process owns it.
        """
        with self._lock:
            hosted = self._hosted.get(name)
            if hosted is not None and not hosted.study.store.lost:
                return hosted
            if hosted is not None:
                self._forget(name)
            if not self.database.holds(name):
                raise NoStudy(f"there is no study {name!r}; GET /v1/studies lists those that there are")
            reader = Store.open(self.database, name, own=False)
            generator_name = reader.meta.get(SERVICE, {}).get("generator")
            generator = None if generator_name is None else self.generator(generator_name)
            study = Study.resume(generator, storage=self.database, name=name)
            hosted = self._hosted[name] = Hosted(study, generator)
            return hosted

    def _forget(self, name: str, *, deleted: bool = False) -> None:
        hosted = self._hosted.pop(name)
        hosted.gone, hosted.deleted = True, deleted
        hosted.notify()
        hosted.study.close()

    def delete(self, name: str) -> None:
        """Removes a study and all that it holds."""
        with self._lock:
            hosted = self.get(name)
            hosted.study.store.delete()
            self._forget(name, deleted=True)

    def studies(self) -> list[views.Json]:
        """Every study of the database, the newest first, also those of other processes."""
        return [self._listed(listed) for listed in reversed(self.database.studies())]

    def _listed(self, listed: Listed) -> views.Json:
        """What the list says of a study, from its rows alone."""
        reader = Store.open(self.database, listed.name, own=False)
        kept, counts = reader.meta.get(SERVICE, {}), Counter(listed.counts)
        best = reader.best_rows(1)
        url = f"{views.study_url(listed.name)}/trials/{best[0]['number']}/stimulus.png" if best else None
        return {
            "name": listed.name,
            "state": listed.state,
            "created_at": listed.created_at,
            "generator": kept.get("generator"),
            "optimizer": reader.config["optimizer"],
            "budget": reader.config["budget"],
            "repeats": reader.config["repeats"],
            "natural_maximum": kept.get("natural_maximum"),
            "counts": {"asked": counts.total(), "told": counts["done"]}
            | {name: counts[name] for name in ("open", "lost", "failed", "vetoed")},
            "best": {"number": best[0]["number"], "value": best[0]["value"], "stimulus_url": url} if best else None,
            "improvements": [list(pair) for pair in reader.improvements()[-100:]],
        }

    def _source(self, new: StudyNew) -> Any:
        if new.generator is not None:
            return self.generator(new.generator)
        space = new.space
        if isinstance(space, Box):
            return SearchSpace.box(space.dim, space.low, space.high, prior=space.prior)
        if isinstance(space, Grid):
            return SearchSpace.grid(space.dim, space.levels)
        assert isinstance(space, CodeBook)
        embedding = None if space.embedding is None else np.array(space.embedding, np.float64)
        layout = None if space.layout is None else tuple(space.layout)
        return SearchSpace.codebook(space.dim, space.levels, embedding=embedding, layout=layout)

    def _references(self, new: StudyNew, source: Any) -> Codes | None:
        """The codes of reference stimuli, checked before anything is made."""
        if new.references is None:
            return None
        if new.references.codes is not None:
            return space_of(source).validate(np.array(new.references.codes))
        if not hasattr(source, "natural"):
            raise InputError(f"the generator {new.generator!r} has no natural stimuli; give codes of references")
        drawn: Codes = source.natural(new.references.count, np.random.default_rng((new.seed, REFERENCE)))
        return drawn

    @property
    def loaded(self) -> int:
        """Studies in memory."""
        return len(self._hosted)

    def close(self) -> None:
        """Lets other processes have everything."""
        with self._lock:
            for name in list(self._hosted):
                self._forget(name)
            self.database.close()
