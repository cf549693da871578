"""The HTTP interface, the part that reads: trials, stimuli, curves, events, and a study as one file."""

from __future__ import annotations

import math
from collections.abc import Callable
from importlib.metadata import version
from itertools import islice
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Header, HTTPException, Query
from fastapi.responses import Response, StreamingResponse

from mango.errors import InputError
from mango.service import answers, exports, feed, images, views
from mango.service.hosted import Hosted
from mango.service.paths import (
    MOST_FILES,
    NPY,
    PNG,
    STREAM,
    ZIP,
    Name,
    TheHub,
    TheStudy,
    TheTrial,
    TrialNumber,
    check_codes,
    of_kind,
    packed,
    record_of,
)
from mango.trial import TrialState

router = APIRouter(prefix="/v1")

Known = Annotated[str | None, Header(alias="If-None-Match", max_length=1_000)]


def kept_of_kind(kind: str) -> dict[str, Any]:
    """What a path says that answers something which clients may keep."""
    said = of_kind(kind)
    said["responses"][304] = {"description": "As it was when the client got the ETag that If-None-Match says"}
    return said


@router.get("/studies/{name}/best", response_model=answers.BestAnswer)
def best(hosted: TheStudy, n: Annotated[int, Query(ge=1, le=1000)] = 1) -> Response:
    """The best trials, the best first, the recommended one, and the final choice once it is made."""
    check_codes(min(n, hosted.study.asked), hosted.study.configuration.space.dim)
    recommended = hosted.recommended()
    said = {
        "trials": [hosted.trial(record, code=True) for record in hosted.leading(n)],
        "recommended": recommended and hosted.trial(recommended, code=True),
        "confirmed": views.confirmed(hosted.study.confirmed()),
    }
    return packed(said)


@router.get("/studies/{name}/trials", response_model=answers.TrialsAnswer)
def trials(
    hosted: TheStudy,
    after: Annotated[int, Query(ge=-1, le=2**53)] = -1,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    state: TrialState | None = None,
    codes: bool = False,
    latest: bool = False,
    before: Annotated[int | None, Query(ge=0, le=2**53)] = None,
) -> Response:
    """A page of trials by number, those of one state only.

    ``latest``: the last ones, the highest number first, or the last ones below ``before``.
    """
    if codes:
        check_codes(min(limit, hosted.study.asked), hosted.study.configuration.space.dim)
    rows, further = hosted.page(after, limit, state, latest=latest, before=before)
    return packed({"trials": [hosted.trial(record, code=codes) for record in rows], "next": further})


@router.get("/studies/{name}/trials/{number}", response_model=answers.TrialAnswer)
def trial(hosted: TheStudy, record: TheTrial) -> Response:
    """One trial and its code."""
    return packed(hosted.trial(record, code=True))


@router.get("/studies/{name}/trials/{number}/stimulus.png", **kept_of_kind(PNG))
def stimulus_png(hosted: TheStudy, record: TheTrial, known: Known = None) -> Response:
    """The stimulus of a trial, as the study's image settings draw it."""
    return _kept(hosted, f"trial-{record.number}", known, PNG, lambda: hosted.png(record.code))


@router.get("/studies/{name}/trials/{number}/stimulus.npy", **kept_of_kind(NPY))
def stimulus_npy(hosted: TheStudy, record: TheTrial, known: Known = None) -> Response:
    """The stimulus of a trial as float32, as the generator makes it."""
    return _kept(hosted, f"trial-{record.number}", known, NPY, lambda: images.npy(hosted.stimuli(record.code[None])[0]))


@router.get("/studies/{name}/trials/{number}/response.npy", **of_kind(NPY))
def response_npy(hosted: TheStudy, record: TheTrial) -> Response:
    """What was told of all channels, of the attempt that was accepted."""
    found = hosted.study.store.responses([record.number])
    if not found:
        raise HTTPException(404, f"no response of all channels was told for trial {record.number}")
    return Response(images.npy(found[0].response), media_type=NPY)


@router.get("/studies/{name}/references", response_model=answers.ReferencesAnswer)
def references(
    hosted: TheStudy, limit: Annotated[int, Query(ge=1, le=1000)] = 100, told: bool | None = None
) -> Response:
    """The latest showings of reference images; ``told``: only those that were answered, or that were not."""
    latest = reversed(hosted.study.references())
    wanted = (showing for showing in latest if told in (None, math.isfinite(showing.told_at)))
    found = [views.reference(showing, hosted.name, hosted.shape) for showing in islice(wanted, limit)]
    return packed({"references": found})


@router.get("/studies/{name}/references/{image}/stimulus.png", **kept_of_kind(PNG))
def reference_png(hosted: TheStudy, image: TrialNumber, known: Known = None) -> Response:
    """A reference image."""
    codes = hosted.study.reference_codes
    if image >= len(codes):
        raise HTTPException(404, f"{hosted.name} has {len(codes)} reference images, from 0; there is no {image}")
    return _kept(hosted, f"reference-{image}", known, PNG, lambda: hosted.png(codes[image]))


@router.get("/studies/{name}/stimuli.zip", **of_kind(ZIP))
def stimuli_zip(
    hosted: TheStudy, numbers: Annotated[str, Query(pattern=r"^[0-9]{1,15}(,[0-9]{1,15})*$", max_length=16_000)]
) -> Response:
    """A block of stimuli as PNGs with a manifest of their SHA-256 sums; numbers such as ``3,17,4``."""
    chosen = list(dict.fromkeys(int(number) for number in numbers.split(",")))
    if len(chosen) > MOST_FILES:
        raise InputError(f"a zip holds at most {MOST_FILES:,} stimuli; got {len(chosen):,}")
    if hosted.shape is not None and images.is_image(hosted.shape):  # else it is refused as it is drawn
        images.check_drawn(len(chosen), hosted.shape, hosted.image)
    records = [record_of(number, hosted) for number in chosen]
    drawn = hosted.stimuli(np.stack([record.code for record in records]))
    names = [f"{hosted.name}_{record.number:06d}.png" for record in records]
    files = {name: images.png(stimulus, hosted.image) for name, stimulus in zip(names, drawn, strict=True)}
    about = {n: {"number": r.number, "attempt": r.attempt} for n, r in zip(names, records, strict=True)}
    return Response(images.zipped(files, about), media_type=ZIP)


@router.get("/studies/{name}/export", **of_kind(ZIP))
def export(name: Name, hub: TheHub) -> Response:
    """The study as one file, as `mango export` writes it and `mango import` takes it, also beside another owner."""
    if not hub.database.holds(name):
        raise HTTPException(404, f"there is no study {name!r}; GET /v1/studies lists those that there are")
    return exports.exported(hub.database, name, ZIP)


@router.get("/studies/{name}/curve", response_model=answers.CurveAnswer)
def curve(hosted: TheStudy) -> Response:
    """Values and the best so far, thinned to at most 2,000 points, and the showings of references."""
    return packed(hosted.curve())


@router.get("/studies/{name}/arms", response_model=answers.ArmsAnswer)
def arms(hosted: TheStudy) -> Response:
    """What each origin of proposals asked and found."""
    return packed({"arms": views.arms(hosted.study.trials())})


@router.get("/studies/{name}/events", **of_kind(STREAM))
async def events(
    hosted: TheStudy,
    last_event_id: Annotated[str | None, Header(pattern=r"^(-1|[0-9]{1,15})$")] = None,
) -> Response:
    """What happens, as server-sent events; Last-Event-ID takes up where an earlier stream ended."""
    after = None if last_event_id is None else int(last_event_id)
    stream = feed.stream(hosted, after)
    return StreamingResponse(stream, media_type=STREAM, headers={"Cache-Control": "no-store"})


def _kept(hosted: Hosted, what: str, known: str | None, kind: str, make: Callable[[], bytes]) -> Response:
    """What a client may keep, and ask each time whether it still holds.

    It holds as long as the study: one that is made anew under the same name has other stimuli at the same URLs.
    """
    tag = f'"{version("mango-neuro")}-{hosted.study.store.created_at!r}-{what}"'
    if known is not None and tag in known:
        return Response(status_code=304, headers={"ETag": tag})
    return Response(make(), media_type=kind, headers={"ETag": tag})
