"""The studies that this process serves: opened when they are first needed, one owner each."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mango.configuration import shows_again, space_of
from mango.errors import InputError, MangoError, StorageError, StudyError, StudyExists, UnknownName
from mango.evaluators.threads import one_thread
from mango.generators import DETAILED, make_generator
from mango.generators import TABLE as GENERATORS
from mango.service import views
from mango.service.hosted import SERVICE, Hosted
from mango.service.metrics import Metrics
from mango.service.schemas import Box, CodeBook, Grid, StudyNew
from mango.space import Codes, SearchSpace
from mango.storage import Database, Listed, Store
from mango.study import Study

REFERENCE = 7  # with the seed: of the natural stimuli that are shown as references
OPENING = 64  # locks; a study that takes long to open keeps few others waiting


class NoStudy(StudyError):
    """The database holds no study of that name."""


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
        self.database = Database(storage, checkpoints=True, **database)
        self.metrics = Metrics()
        self._specs = {name: name for name in GENERATORS} | dict(generators or {})
        self._generators: dict[str, Any] = {}
        self._hosted: dict[str, Hosted] = {}
        self._said: dict[str, tuple[Listed, views.Json]] = {}  # of the list: of what, and what
        self._lock = threading.Lock()  # of the generators
        self._opening = [threading.RLock() for _ in range(OPENING)]
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
        if name not in self._specs and not (family in DETAILED and detail):
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
        with self._locked(new.name):
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
                "stimulus_shape": None if generator is None else list(generator.stimulus_shape),
            }
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
                ordered=new.ordered,
                storage=self.database,
                name=new.name,
                meta={**new.meta, SERVICE: kept},
            )
            try:
                if references is not None and new.references is not None:
                    study.interleave(references, new.references.every)
                hosted = self._hosted[new.name] = Hosted(study, generator)
            except BaseException:
                with suppress(MangoError):
                    study.store.delete()
                study.close()
                raise
            return hosted

    def here(self, name: str) -> Hosted | None:
        """A study that this process has; never waits."""
        hosted = self._hosted.get(name)
        return None if hosted is None or hosted.study.store.lost else hosted

    def get(self, name: str) -> Hosted:
        """A study, taken over from its log where this process does not have it.

        Raises:
            NoStudy: there is none of that name.
            StudyLocked: another process owns it.
        """
        with self._locked(name):
            if (hosted := self.here(name)) is not None:
                return hosted
            if name in self._hosted:
                self._forget(name)
            if not self.database.holds(name):
                raise NoStudy(f"there is no study {name!r}; GET /v1/studies lists those that there are")
            reader = Store.open(self.database, name, own=False)
            generator_name = reader.meta.get(SERVICE, {}).get("generator")
            try:
                generator = None if generator_name is None else self.generator(generator_name)
            except UnknownName as error:
                raise StudyError(
                    f"the study {name!r} was made with the generator {generator_name!r}, which this service does not "
                    f"have; start it with --generator {generator_name}=MODULE:FACTORY, and nothing is lost"
                ) from error
            study = Study.resume(generator, storage=self.database, name=name)
            try:
                hosted = self._hosted[name] = Hosted(study, generator)
            except BaseException:
                study.close()
                raise
            return hosted

    def _locked(self, name: str) -> threading.RLock:
        """Of whoever opens, makes or deletes the study."""
        return self._opening[hash(name) % OPENING]

    def _forget(self, name: str, *, deleted: bool = False) -> None:
        hosted = self._hosted.pop(name)
        hosted.gone, hosted.deleted = True, deleted
        hosted.notify()
        hosted.study.close()

    def delete(self, name: str) -> None:
        """Removes a study and all that it holds.

        Raises:
            NoStudy: there is none of that name.
            StudyLocked: another process owns it.
        """
        with self._locked(name):
            if (hosted := self.here(name)) is not None:
                hosted.delete()
                self._forget(name, deleted=True)
            elif self.database.holds(name):
                Store.open(self.database, name).delete()
            else:
                raise NoStudy(f"there is no study {name!r}; GET /v1/studies lists those that there are")

    def studies(self) -> list[views.Json]:
        """Every study of the database, the newest first, also those of other processes."""
        said: dict[str, tuple[Listed, views.Json]] = {}
        for listed in reversed(self.database.studies()):
            earlier = self._said.get(listed.name)
            if earlier is not None and earlier[0] == listed:  # no trial was asked or told since
                said[listed.name] = earlier
                continue
            try:
                reader = Store.open(self.database, listed.name, own=False)
            except StorageError:
                if self.database.holds(listed.name):
                    raise
                continue  # deleted meanwhile
            said[listed.name] = listed, self._listed(listed, reader)
        self._said = said
        return [study for _, study in said.values()]

    def _listed(self, listed: Listed, reader: Store) -> views.Json:
        """What the list says of a study, from its rows alone."""
        kept, counts = reader.meta.get(SERVICE, {}), Counter(listed.counts)
        shape, budget, repeats = kept.get("stimulus_shape"), reader.config["budget"], reader.config["repeats"]
        # What studies of an older mango that ended by themselves do not say:
        shown = counts.total() - counts["vetoed"]
        used = budget is not None and not counts["open"] and shown >= budget // repeats
        judged = {"weight": reader.config["weight"], "band": reader.config.get("band")}
        best = reader.best_rows(1, **judged)
        url = views.stimulus_url(listed.name, shape, f"trials/{best[0]['number']}") if best else None
        return {
            "name": listed.name,
            "state": "exhausted" if listed.state == "running" and used else listed.state,
            "created_at": listed.created_at,
            "generator": kept.get("generator"),
            "optimizer": reader.config["optimizer"],
            "budget": budget,
            "repeats": repeats,
            "noisy": shows_again(repeats, reader.config.get("leaders", 0), reader.config.get("confirm", 0)),
            "natural_maximum": kept.get("natural_maximum"),
            "image": kept.get("image"),
            "stimulus_shape": shape,
            "counts": {"asked": counts.total(), "told": counts["done"]}
            | {name: counts[name] for name in ("open", "lost", "failed", "vetoed")},
            "best": {"number": best[0]["number"], "value": best[0]["value"], "stimulus_url": url} if best else None,
            "improvements": [list(pair) for pair in reader.improvements(**judged)[-100:]],
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
        for name in list(self._hosted):
            with self._locked(name):
                if name in self._hosted:
                    self._forget(name)
        self.database.close()
