"""Trials and studies as JSON: NaN is null, times are seconds since 1970."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import quote

from mango.service.images import is_image
from mango.space import SearchSpace
from mango.trial import Confirmed, Reference, TrialRecord, TrialState

Json = dict[str, Any]


def null(number: float) -> float | None:
    """The number, or null for NaN and infinity, which JSON cannot hold."""
    return number if math.isfinite(number) else None


def study_url(name: str) -> str:
    """Of a study."""
    return f"/v1/studies/{quote(name)}"


def stimulus_url(name: str, shape: Sequence[int] | None, part: str) -> str | None:
    """Of a stimulus as PNG; None where stimuli are no images."""
    return f"{study_url(name)}/{part}/stimulus.png" if shape is not None and is_image(shape) else None


def trial(
    record: TrialRecord, objective: float, name: str, shape: tuple[int, ...] | None, until: float, *, code: bool = False
) -> Json:
    """One trial.

    Args:
        record: as the study knows it.
        objective: what it is best by.
        name: of the study.
        shape: of its stimuli; None where it has no generator.
        until: its lease ends; infinity without one.
        code: whether to say its code.
    """
    said: Json = {
        "number": record.number,
        "attempt": record.attempt,
        "state": record.state.value,
        "origin": record.origin,
        "value": null(record.value),
        "values": [null(v) for v in record.values],
        "error": null(record.error),
        "objective": null(objective),
        "key": null(record.key),
        "seconds": null(record.seconds),
        "log_prior": null(record.log_prior),
        "asked_at": record.asked_at,
        "told_at": null(record.told_at),
        "lease_until": null(until) if record.state is TrialState.OPEN else None,
        "reason": record.reason,
        "stimulus_url": stimulus_url(name, shape, f"trials/{record.number}"),
    }
    return said | {"code": record.code.tolist()} if code else said


def confirmed(found: Confirmed | None) -> Json | None:
    """The final choice; its code is that of its trial."""
    if found is None:
        return None
    value, error = null(found.value), null(found.error)
    return {"number": found.number, "value": value, "error": error, "presentations": found.presentations}


def reference(showing: Reference, name: str, shape: tuple[int, ...] | None) -> Json:
    """One showing of a reference image."""
    return {
        "presentation": showing.presentation,
        "image": showing.image,
        "after": showing.after,
        "asked_at": showing.asked_at,
        "told_at": null(showing.told_at),
        "value": null(showing.value),
        "stimulus_url": stimulus_url(name, shape, f"references/{showing.image}"),
    }


def space(codes: SearchSpace) -> Json:
    """Codes that may be asked."""
    names = ("lower", "upper", "levels", "ordered")
    axes: Json = {name: getattr(codes, name).tolist() for name in names}
    embedding = None if codes.embedding is None else codes.embedding.tolist()
    layout = None if codes.layout is None else list(codes.layout)
    return {"dim": codes.dim, **axes, "prior": codes.prior, "embedding": embedding, "layout": layout}


def arms(records: Iterable[TrialRecord], recent: int = 200) -> list[Json]:
    """What each origin asked and found, the busiest of late first."""
    known = list(records)
    asked, done, late = Counter[str](), Counter[str](), Counter(r.origin for r in known[-recent:])
    best: dict[str, float] = {}
    for record in known:
        asked[record.origin] += 1
        if record.state is TrialState.DONE:
            done[record.origin] += 1
            best[record.origin] = max(record.value, best.get(record.origin, -math.inf))
    of_late = max(1, min(recent, len(known)))
    rows = [
        {
            "origin": origin,
            "asked": asked[origin],
            "done": done[origin],
            "best": null(best.get(origin, math.nan)),
            "recent": late[origin] / of_late,
        }
        for origin in asked
    ]
    return sorted(rows, key=lambda row: (-row["recent"], -row["asked"]))


def curve(records: list[TrialRecord], best: list[float], most: int = 2000) -> Json:
    """Values and the best so far, of at most so many trials: evenly spaced ones and all at which the best rose."""
    step = max(1, -(-len(records) // (most // 2)))
    rises = [i for i in range(len(records)) if i == 0 or best[i] != best[i - 1] or math.isnan(best[i - 1])]
    rises = [i for i in rises if not math.isnan(best[i])]
    keep = sorted({*range(0, len(records), step), *rises[-(most // 2) :], *([len(records) - 1] if records else [])})
    return {
        "numbers": [records[i].number for i in keep],
        "values": [null(records[i].value) for i in keep],
        "best": [null(best[i]) for i in keep],
    }
