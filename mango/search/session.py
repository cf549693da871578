"""Runs searches and goes on with them: studies, evaluators, and the order in which things are written."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from mango.analysis.findings import Findings, Nature
from mango.errors import InputError, MangoError
from mango.evaluators import Evaluator
from mango.generators import make_generator
from mango.optimizers import optimizer_class
from mango.running import run
from mango.search.evaluator import make_evaluator, one_ray, warn_of_idle, with_chunk
from mango.search.folder import CONFIG, RESULT, RunFolder
from mango.search.nature import REFERENCE, compare, load_gallery
from mango.search.outcome import leave, versions
from mango.search.plan import planned
from mango.search.progress import Listener, Progress, Rate, nobody
from mango.search.settings import ALONE, PROBES, Settings, searches
from mango.search.summary import summarise
from mango.storage import Store
from mango.study import Study
from mango.study import verify as verify_study
from mango.targets import make_target


def search(
    settings: Settings,
    out: Path | str,
    *,
    seeds: Sequence[int] | None = None,
    listener: Listener = lambda progress: None,  # noqa: ARG005
) -> dict[str, Any]:
    """Searches for one unit, or for each of several and each seed, and leaves a folder.

    Args:
        settings: of all of them; a range of units in the target, ``lif2/0-15``, makes several searches.
        out: the folder; several searches lie in folders below it, with a summary above.
        seeds: one search for each; default the settings' own.
        listener: is told where it stands.

    Returns:
        What lies in ``result.json``, or in ``summary.json`` for several.

    Raises:
        StudyExists: the folder already holds a study.
        MangoError: whatever the parts raise; what was stored before stays.
    """
    plan = searches(settings, list(seeds or [settings.seed]))
    root = RunFolder(out)
    root.refuse_existing()
    generator = _made(plan)
    command = _command(settings, seeds, out)
    with _undoing(root, plan):
        root.make()
        if list(plan) != [ALONE]:
            root.write_json(
                CONFIG,
                {
                    "command": command,
                    "created": _now(),
                    "versions": versions(),
                    "target": settings.target,
                    "searches": {place: one.to_json() for place, one in plan.items()},
                },
            )
        return _work(root, plan, generator, settings.target, command, listener)


def resume(
    out: Path | str,
    *,
    accept_snapshot: bool = False,
    workers: int | None = None,
    ray_address: str | None = None,
    gpus: float | None = None,
    listener: Listener = lambda progress: None,  # noqa: ARG005
) -> dict[str, Any]:
    """Goes on with the search or searches in a folder; where they had ended, writes their files anew.

    Args:
        out: the folder.
        accept_snapshot: see `mango.Study.resume`.
        workers: in place of the number that the search was started with; the trials stay the same in ordered mode.
        ray_address: in place of the cluster that it was started on.
        gpus: in place of the share that each worker had.
        listener: is told where it stands.

    Raises:
        StorageError: the folder holds no study, or it is damaged.
        ReplayError: the optimizer does not repeat its recorded proposals; ``accept_snapshot`` goes on all the same.
    """
    root = RunFolder(out)
    plan, target, command = planned(root)
    changed = {"workers": workers, "ray_address": ray_address, "gpus": gpus}
    given = {name: value for name, value in changed.items() if value is not None}
    plan = {place: replace(settings, **given) for place, settings in plan.items()}  # type: ignore[arg-type]
    return _work(root, plan, _made(plan), target, command, listener, accept_snapshot)


def verify(out: Path | str) -> dict[str, str | None]:
    """Replays every study in a folder; for each the first difference from its log, or None.

    Raises:
        StorageError: the folder holds no study, or it is damaged.
    """
    root = RunFolder(out)
    plan, _, _ = planned(root)
    folders = {place: RunFolder(root.path / place) for place in plan}
    return {
        place: verify_study(None, storage=folder.storage)
        for place, folder in folders.items()
        if folder.holds_study or place == ALONE
    }


def _made(plan: Mapping[str, Settings]) -> Any:
    """The generator; makes all else that the searches name, so that a wrong name is told before anything is written."""
    first = next(iter(plan.values()))
    optimizer_class(first.optimizer)
    generator = make_generator(first.generator)
    method, _ = PROBES[first.probes_from]
    if first.probes and not hasattr(generator, method):
        raise InputError(f"{first.probes_from} probes need a generator with {method}(n, rng); got {first.generator!r}")
    for target in {one.target: None for one in plan.values()}:
        _expect_shape(getattr(make_target(target), "stimulus_shape", None), target, generator.stimulus_shape)
    if first.data is not None:
        load_gallery(first.data)
    return generator


def _expect_shape(wanted: Sequence[int] | None, target: str, given: Sequence[int]) -> None:
    if wanted is not None and tuple(wanted) != tuple(given):
        raise InputError(f"{target} is shown stimuli of shape {tuple(wanted)}; the generator makes {tuple(given)}")


def _work(
    root: RunFolder,
    plan: Mapping[str, Settings],
    generator: Any,
    target: str,
    command: str,
    listener: Listener,
    accept_snapshot: bool = False,
) -> dict[str, Any]:
    if list(plan) == [ALONE]:
        _one(root, plan[ALONE], generator, command, listener, accept_snapshot)
        return dict(root.read(RESULT))
    done: list[tuple[str, Settings, Findings]] = []
    natures: dict[str, Nature] = {}  # by target: every seed is compared with the same natural stimuli
    with one_ray(next(iter(plan.values()))):
        for place, settings in plan.items():
            folder = RunFolder(root.path / place)
            folder.make()
            own = settings.command(folder.path)
            known = natures.get(settings.target)
            found = _one(folder, settings, generator, own, listener, accept_snapshot, known)
            natures[settings.target] = found.nature
            done.append((place, settings, found))
    return summarise(root, done, target, command)


def _one(
    folder: RunFolder,
    settings: Settings,
    generator: Any,
    command: str,
    listener: Listener,
    accept_snapshot: bool,
    nature: Nature | None = None,
) -> Findings:
    """One search from wherever it stands to its last file; natural stimuli are shown where that was not done yet."""
    target = make_target(settings.target)
    unit = str(getattr(target, "name", settings.target))
    listener(Progress(unit, "starting"))
    with ExitStack() as stack:
        if folder.holds_study:
            study = Study.resume(generator, storage=folder.storage, accept_snapshot=accept_snapshot)
            stack.enter_context(study)
            settings = replace(settings, chunk=study.meta["settings"].get("chunk"))
            evaluator = None if study.finished else stack.enter_context(_evaluator(settings, generator, target))
        else:  # the evaluator first: where it cannot be had, no study is made; and its workers start meanwhile
            settings = with_chunk(settings, target)
            evaluator = stack.enter_context(_evaluator(settings, generator, target))
            study = stack.enter_context(_new_study(folder, settings, generator, command))
        _enqueue_probes(folder, settings, study, generator)
        _note_session(folder, settings, study, command)
        workers = getattr(evaluator, "workers", nobody)
        if evaluator is not None:
            run(study, evaluator, callbacks=[Rate(unit, study, listener, workers)])

        def shown(done: int, total: int) -> None:
            listener(Progress(unit, "showing natural stimuli", done, total, workers=workers))

        if nature is None:
            nature = compare(settings, generator, target, evaluator, shown)
        listener(Progress(unit, "writing"))
        return leave(folder, settings, study, generator, target, nature)


def _new_study(folder: RunFolder, settings: Settings, generator: Any, command: str) -> Study:
    return Study(
        generator,
        budget=settings.budget,
        optimizer=settings.optimizer,
        seed=settings.seed,
        batch=settings.batch,
        repeats=settings.repeats,
        chart=settings.chart,
        options=settings.options,
        weight=settings.weight,
        ordered=settings.ordered,
        leaders=settings.leaders,
        confirm=settings.confirm,
        storage=folder.storage,
        meta={"settings": settings.to_json(), "command": command, "created": _now()},
    )


def _enqueue_probes(folder: RunFolder, settings: Settings, study: Study, generator: Any) -> None:
    """Codes to be asked first; a run that was killed before it enqueued them does it now."""
    if not settings.probes or study.counts()["asked"]:
        return
    store = Store.open(folder.storage, "study", own=False)
    try:
        if any(event.kind == "enqueue" for event in store.events()):
            return
    finally:
        store.close()
    rng = np.random.default_rng((settings.seed, REFERENCE + 1))
    method, origin = PROBES[settings.probes_from]
    study.enqueue(getattr(generator, method)(settings.probes, rng), origin=origin)


def _note_session(folder: RunFolder, settings: Settings, study: Study, command: str) -> None:
    """Keeps ``config.json``: the settings in words, and when each session began."""
    kept = folder.read(CONFIG, missing={})
    folder.write_json(
        CONFIG,
        {
            "command": command,
            "created": study.meta["created"],
            "versions": kept.get("versions", versions()),
            "settings": settings.to_json(),
            "sessions": [*kept.get("sessions", []), time.time()],
        },
    )


def _evaluator(settings: Settings, generator: Any, target: Any) -> Evaluator:
    warn_of_idle(settings, target)
    return make_evaluator(settings, settings.generator if settings.workers else generator, target)


@contextmanager
def _undoing(root: RunFolder, plan: Mapping[str, Settings]) -> Iterator[None]:
    """Where a search is refused before a study exists, removes what was made for it."""
    folders = [RunFolder(root.path / place) for place in plan]
    paths = [folder.path for folder in folders]
    made = [path for path in dict.fromkeys([*paths, *(p.parent for p in paths), root.path]) if not path.exists()]
    try:
        yield
    except MangoError:
        if not any(folder.holds_study for folder in folders):
            (root.path / CONFIG).unlink(missing_ok=True)
            for path in made:
                with suppress(OSError):  # it was never made, or holds something that is not ours
                    path.rmdir()
        raise


def _command(settings: Settings, seeds: Sequence[int] | None, out: Path | str) -> str:
    command = settings.command(out)
    if seeds is None or list(seeds) == [settings.seed]:
        return command
    numbers = list(seeds)
    row = numbers == list(range(numbers[0], numbers[-1] + 1))
    text = f"{numbers[0]}-{numbers[-1]}" if row and len(numbers) > 1 else ",".join(map(str, numbers))
    return command.replace(f"--seed {settings.seed} ", f"--seeds {text} ", 1)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
