"""What the paths of the interface have in common: media types, answers, and what a path's parts stand for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import orjson
from fastapi import Depends, Header, HTTPException, Path, Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from mango.errors import InputError
from mango.service import schemas
from mango.service.hosted import Hosted
from mango.service.hub import Hub, NoStudy
from mango.trial import TrialRecord

JSON, RAW, NPY = "application/json", "application/octet-stream", "application/x-npy"
PNG, ZIP, STREAM = "image/png", "application/zip", "text/event-stream"
MOST_FILES = 1000  # in one upload or zip
MOST_NUMBERS = 2**22  # of codes in one answer: 80 MB of JSON

Name = Annotated[str, Path(pattern=schemas.NAME)]
TrialNumber = Annotated[int, Path(ge=0, le=2**53)]
Key = Annotated[str | None, Header(alias="Idempotency-Key", min_length=1, max_length=schemas.LONGEST_KEY)]
Accept = Annotated[str, Header()]


def of_kind(*kinds: str) -> dict[str, Any]:
    """What a path says that answers something else than JSON."""
    content: dict[str, Any] = {kind: {"schema": {"type": "string", "format": "binary"}} for kind in kinds}
    return {"response_class": Response, "responses": {200: {"content": content}}}


def packed(content: Any, status: int = 200) -> Response:
    """As JSON; arrays are lists, NaN is null."""
    return Response(orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY), status, media_type=JSON)


def check_codes(count: int, dim: int) -> None:
    """Looks, before anything is done, how large an answer with codes will be.

    Raises:
        InputError: more numbers than one answer may have.
    """
    if count * dim > MOST_NUMBERS:
        raise InputError(
            f"at most {MOST_NUMBERS:,} numbers of codes are answered at once; got {count:,} codes of {dim:,}; ask for "
            f"{MOST_NUMBERS // dim:,} at a time"
        )


def wanted(accept: str, offered: Sequence[str]) -> str:
    """The media type that an Accept header likes best of those offered, which are named from the usual one on.

    Of equal quality, the one named first counts before a later one, and a name before ``*/*`` (RFC 9110, 12.5.1).

    Raises:
        HTTPException: 406, none of them is liked.
    """
    ranges = [_range(part) for part in (accept or "*/*").split(",")]
    ranked = []
    for place, kind in enumerate(offered):
        fitting = [
            (len(said.rstrip("*")), quality, -order)
            for order, (said, quality) in enumerate(ranges)
            if said == kind or (said.endswith("*") and kind.startswith(said.rstrip("*")))
        ]
        length, quality, order = max(fitting, default=(0, 0.0, 0))
        ranked.append((quality, length > 0, order, -place, kind))
    best = max(ranked)
    if not best[0]:
        raise HTTPException(406, f"expected Accept: {' or '.join(offered)}; got {accept[:200]!r}")
    return best[-1]


def _range(part: str) -> tuple[str, float]:
    """Name, ``*`` for anything, and quality."""
    kind, *parameters = (text.strip().lower() for text in part.split(";"))
    said = next((text[2:] for text in parameters if text.startswith("q=")), "1")
    try:
        quality = float(said)
    except ValueError:
        quality = 0.0
    return kind.replace("*/*", "*"), quality


async def no_key(request: Request) -> None:
    """Refuses an idempotency key where none is kept, so that nobody relies on it."""
    if "idempotency-key" in request.headers:
        raise InputError("only ask and tell take an Idempotency-Key; send this without one, and once")


NO_KEY = [Depends(no_key)]


async def hub_of(request: Request) -> Hub:
    """The studies of this process."""
    hub: Hub = request.app.state.hub
    return hub


TheHub = Annotated[Hub, Depends(hub_of)]


async def hosted_of(name: Name, hub: TheHub) -> Hosted:
    """The study that the path names; only one that must be opened takes another thread."""
    hosted = hub.here(name)
    try:
        return await run_in_threadpool(hub.get, name) if hosted is None else hosted
    except NoStudy as error:
        raise HTTPException(404, str(error)) from error


TheStudy = Annotated[Hosted, Depends(hosted_of)]


def record_of(number: TrialNumber, hosted: TheStudy) -> TrialRecord:
    """The trial that the path names."""
    if number >= hosted.study.asked:
        raise HTTPException(404, f"{hosted.name} has no trial {number}; asked so far: {hosted.study.asked}, from 0")
    return hosted.study.record(number)


TheTrial = Annotated[TrialRecord, Depends(record_of)]
