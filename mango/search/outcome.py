"""What a finished search leaves in its folder: numbers, table, pictures and page."""

from __future__ import annotations

import io
import math
import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from mango.analysis.evolution import evolution_gif
from mango.analysis.figures import best_png, convergence_png
from mango.analysis.findings import Findings, Floats, Nature, Origin, Plausibility, Shown, differing, number
from mango.analysis.pareto import naturalness_png
from mango.analysis.report import LISTED, report_html, verdict
from mango.naturalness import naturalness
from mango.optimizers.base import ranking
from mango.search.folder import CONFIG, RESULT, RunFolder
from mango.search.plausibility import judge, told
from mango.search.settings import Settings
from mango.study import Study
from mango.trial import Confirmed, TrialRecord, TrialState

PACKAGES = ("mango-neuro", "numpy", "torch", "snntorch", "ray", "numba", "cma", "nevergrad", "sqlalchemy", "matplotlib")


def leave(folder: RunFolder, settings: Settings, study: Study, generator: Any, target: Any, nature: Nature) -> Findings:
    """Writes every file but the database and ``config.json``; ``result.json`` comes last."""
    records = study.trials()
    findings = find(settings, study, records, generator, target, nature)
    result = _result(folder, settings, study, records, findings)
    kept = folder.read(CONFIG)
    folder.write("trials.parquet", _parquet(records, findings.plausibility))
    folder.write("best.png", best_png(findings))
    folder.write("convergence.png", convergence_png(findings))
    folder.write("evolution.gif", evolution_gif(findings))
    if findings.plausibility is not None:
        folder.write("naturalness.png", naturalness_png(findings))
    page = report_html(
        findings,
        result=result,
        settings=settings.to_json(),
        command=kept.get("command", settings.command(folder.path)),
        again=f"mango show {folder.path}",
    )
    folder.write("report.html", page)
    folder.write_json(RESULT, result)
    return findings


def find(
    settings: Settings, study: Study, records: Sequence[TrialRecord], generator: Any, target: Any, nature: Nature
) -> Findings:
    """What the trials amount to; no stimulus is best where no value ever differed."""
    values = np.array([record.value if record.state is TrialState.DONE else np.nan for record in records])
    keys = np.array([record.key for record in records])
    responded = differing(values)
    heard = np.where(np.isnan(values), np.nan, study.objective(records))
    steps = _steps(heard, keys) if responded else []
    natural, noisy = study.configuration.natural, study.configuration.noisy
    confirmed = study.confirmed() if responded else None
    best = None if not responded else steps[-1] if confirmed is None else confirmed.number
    return Findings(
        unit=str(getattr(target, "name", settings.target)),
        values=values,
        found=_found(records, heard, keys, generator, confirmed, noisy=noisy) if responded else [],
        steps=steps,
        stimuli=list(generator.decode(np.stack([records[i].code for i in steps]))) if steps else [],
        nature=nature,
        quantity=str(getattr(target, "quantity", "response")),
        repeats=settings.repeats,
        weight=settings.weight,
        plausibility=None
        if best is None
        else judge(records, values, best, generator, natural, nature, noisy=noisy, confirmed=confirmed),
        noisy=noisy,
        confirmed=confirmed,
        origins=_origins(records, values, keys),
    )


def versions() -> dict[str, str]:
    """Of Python and the packages that a search may use."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _result(
    folder: RunFolder,
    settings: Settings,
    study: Study,
    records: Sequence[TrialRecord],
    findings: Findings,
) -> dict[str, Any]:
    best = study.best() if findings.responded else None
    return {
        "unit": findings.unit,
        "best_value": None if best is None else best.value,
        "best_trial": None if best is None else best.number,
        "best_code": None if best is None else best.code.tolist(),
        **_recommended(study, best),
        "noisy": findings.noisy,
        "evaluations": study.counts()["presentations"],
        "ties": study.ties() if best is not None else 0,
        "natural_maximum": findings.nature.maximum,
        "natural_p999": findings.nature.p999,
        "natural_source": findings.nature.source or None,
        **told(findings.plausibility),
        "responded": findings.responded,
        "verdict": verdict(findings),
        "seed": settings.seed,
        "seconds": _wall(folder.read(CONFIG).get("sessions", []), records),
        "seconds_target": math.fsum(r.seconds for r in records if not math.isnan(r.seconds)),
        "seconds_optimizer": study.optimizer_seconds,
        "versions": versions(),
    }


def _recommended(study: Study, best: TrialRecord | None) -> dict[str, Any]:
    """What to go on with, and its mean over fresh presentations where they chose it.

    Where codes are shown once it is the best; otherwise the best may be no more than the luckiest of all trials.
    """
    code, chosen = (None if best is None else best.code), None
    if best is not None and study.configuration.noisy:
        code, chosen = study.recommend(), study.confirmed()
    done = (r for r in study.trials() if r.state is TrialState.DONE)
    showing = (r.number for r in done if code is not None and np.array_equal(r.code, code))
    return {
        "recommended_trial": next(showing, None) if chosen is None else chosen.number,
        "recommended_code": None if code is None else code.tolist(),
        "confirmed_value": None if chosen is None else chosen.value,
        "confirmed_error": None if chosen is None or math.isnan(chosen.error) else chosen.error,
        "confirmed_presentations": 0 if chosen is None else chosen.presentations,
    }


def _wall(sessions: Sequence[float], records: Sequence[TrialRecord]) -> float:
    """Seconds from the start of each session to the last answer in it; pauses between sessions do not count."""
    told = np.sort([r.told_at for r in records if not math.isnan(r.told_at)])
    total = 0.0
    for start, end in zip(sessions, [*sessions[1:], math.inf], strict=True):
        within = told[(told >= start) & (told < end)]
        total += float(within[-1] - start) if len(within) else 0.0
    return total


def _origins(records: Sequence[TrialRecord], values: Floats, keys: Floats) -> list[Origin]:
    """Where the trials came from, the busiest origin first."""
    trials: dict[str, list[int]] = {}
    for record in records:
        trials.setdefault(record.origin, []).append(record.number)
    found = []
    for name, numbers in trials.items():
        best = numbers[ranking(values[numbers], keys[numbers])[0]]
        found.append(Origin(name, len(numbers), float(values[best]), best))
    return sorted(found, key=lambda origin: -origin.trials)


def _steps(heard: Floats, keys: Floats) -> list[int]:
    """The trials at which the best so far improved, equal ones by key."""
    steps: list[int] = []
    for i in np.flatnonzero(~np.isnan(heard)).tolist():
        if not steps or ranking(heard[[steps[-1], i]], keys[[steps[-1], i]])[0] == 1:
            steps.append(i)
    return steps


def _found(
    records: Sequence[TrialRecord],
    heard: Floats,
    keys: Floats,
    generator: Any,
    confirmed: Confirmed | None,
    *,
    noisy: bool,
) -> list[Shown]:
    """The best stimuli, each once; a confirmed one comes first, with its fresh mean."""
    best = _best(records, heard, keys, generator, noisy=noisy)
    if confirmed is None:
        return best
    stimulus = generator.decode(confirmed.code[None])[0]
    caption = f"trial {confirmed.number}, mean of {confirmed.presentations:,} fresh presentations"
    presented, error = f"{confirmed.presentations:,} fresh", confirmed.error
    details = _details(records[confirmed.number], noisy=True) | {"presentations": presented}
    first = Shown(stimulus, confirmed.value, caption, details | {"standard error": number(error)})
    return [first, *(shown for shown in best if not np.array_equal(shown.stimulus, stimulus))][:LISTED]


def _best(records: Sequence[TrialRecord], heard: Floats, keys: Floats, generator: Any, *, noisy: bool) -> list[Shown]:
    """The best stimuli, each once, best first."""
    found: dict[bytes, Shown] = {}
    order = [records[i] for i in ranking(heard, keys) if not math.isnan(heard[i])]
    for first in range(0, len(order), LISTED):
        some = order[first : first + LISTED]
        for record, stimulus in zip(some, generator.decode(np.stack([r.code for r in some])), strict=True):
            shown = Shown(stimulus, record.value, f"trial {record.number}", _details(record, noisy=noisy))
            found.setdefault(np.ascontiguousarray(stimulus).tobytes(), shown)
        if len(found) >= LISTED:
            break
    return list(found.values())[:LISTED]


def _details(record: TrialRecord, *, noisy: bool) -> dict[str, str]:
    details = {"trial": str(record.number), "presentations": str(record.repeats)}
    if noisy:
        details["standard error"] = number(record.error)
    details["origin"] = record.origin or number(None)
    if not math.isnan(record.log_prior):
        details["log prior"] = number(record.log_prior)
    return details


def _parquet(records: Sequence[TrialRecord], plausibility: Plausibility | None) -> bytes:
    """The bytes of a table, a row for each trial: what `mango.TrialRecord` says of it, and how natural it is.

    What was not measured is null; ``values`` are empty where a trial is open or failed.
    """
    import pyarrow as pa
    from pyarrow import parquet

    def stamps(seconds: list[float]) -> list[int | None]:
        return [None if math.isnan(s) else round(s * 1e6) for s in seconds]

    def numbers(given: Sequence[float]) -> list[float | None]:
        return [None if math.isnan(v) else v for v in given]

    percentiles = np.full(len(records), np.nan) if plausibility is None else plausibility.percentiles
    time = pa.timestamp("us", tz="UTC")
    whole = not records or records[0].code.dtype.kind == "i"
    columns = {
        "number": pa.array([r.number for r in records], pa.int64()),
        "state": pa.array([str(r.state) for r in records], pa.string()),
        "value": pa.array(numbers([r.value for r in records]), pa.float64()),
        "values": pa.array([numbers(r.values) for r in records], pa.list_(pa.float64())),
        "error": pa.array(numbers([r.error for r in records]), pa.float64()),
        "key": pa.array(numbers([r.key for r in records]), pa.float64()),
        "repeats": pa.array([r.repeats for r in records], pa.int64()),
        "code": pa.array([r.code.tolist() for r in records], pa.list_(pa.int64() if whole else pa.float64())),
        "origin": pa.array([r.origin for r in records], pa.string()),
        "asked_at": pa.array(stamps([r.asked_at for r in records]), time),
        "told_at": pa.array(stamps([r.told_at for r in records]), time),
        "seconds": pa.array(numbers([r.seconds for r in records]), pa.float64()),
        "log_prior": pa.array(numbers([r.log_prior for r in records]), pa.float64()),
        "percentile": pa.array(numbers(percentiles.tolist()), pa.float64()),
        "naturalness": pa.array(numbers(naturalness(percentiles).tolist()), pa.float64()),
    }
    buffer = io.BytesIO()
    parquet.write_table(pa.table(columns), buffer)
    return buffer.getvalue()
