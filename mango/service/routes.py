"""The HTTP interface: every path, what it takes and what it answers."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
import orjson
from fastapi import APIRouter, Depends, File, Header, HTTPException, Path, Query, Request, UploadFile
from fastapi.responses import Response, StreamingResponse
from numpy.typing import NDArray

from mango import exchange
from mango.errors import CodeError, InputError
from mango.optimizers import TABLE as OPTIMIZERS
from mango.optimizers import optimizer_class
from mango.service import answers, feed, images, schemas, views
from mango.service.hosted import Hosted
from mango.service.hub import Hub, NoStudy
from mango.space import Codes
from mango.trial import Result, TrialRecord, TrialState

JSON, RAW, NPY = "application/json", "application/octet-stream", "application/x-npy"
PNG, ZIP, STREAM = "image/png", "application/zip", "text/event-stream"
MOST_FILES = 1000  # in one upload or zip
LONGEST_UPLOAD = 2**20  # bytes of one file


def of_kind(*kinds: str) -> dict[str, Any]:
    """What a path says that answers something else than JSON."""
    content: dict[str, Any] = {kind: {"schema": {"type": "string", "format": "binary"}} for kind in kinds}
    return {"response_class": Response, "responses": {200: {"content": content}}}


router = APIRouter(prefix="/v1")

Name = Annotated[str, Path(pattern=schemas.NAME)]
TrialNumber = Annotated[int, Path(ge=0, le=2**53)]
Key = Annotated[str | None, Header(alias="Idempotency-Key", min_length=1, max_length=200)]
Accept = Annotated[str, Header()]


def packed(content: Any, status: int = 200) -> Response:
    """As JSON; arrays are lists, NaN is null."""
    return Response(orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY), status, media_type=JSON)


def hub_of(request: Request) -> Hub:
    """The studies of this process."""
    hub: Hub = request.app.state.hub
    return hub


TheHub = Annotated[Hub, Depends(hub_of)]


def hosted_of(name: Name, hub: TheHub) -> Hosted:
    """The study that the path names."""
    try:
        return hub.get(name)
    except NoStudy as error:
        raise HTTPException(404, str(error)) from error


TheStudy = Annotated[Hosted, Depends(hosted_of)]


def record_of(number: TrialNumber, hosted: TheStudy) -> TrialRecord:
    """The trial that the path names."""
    if number >= hosted.study.asked:
        raise HTTPException(404, f"{hosted.name} has no trial {number}; asked so far: {hosted.study.asked}, from 0")
    return hosted.study.record(number)


TheTrial = Annotated[TrialRecord, Depends(record_of)]


def request_of(key: str | None, *content: Any) -> exchange.Request | None:
    """A request that names itself by an idempotency key, with the digest of what it asks."""
    if key is None:
        return None
    text = orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
    return exchange.Request(key, hashlib.sha256(text).hexdigest())


# -- what there is --------------------------------------------------------------------------------------------------


@router.get("/optimizers", response_model=answers.OptimizersAnswer)
def optimizers() -> Response:
    """Names of optimizers."""
    named = [{"name": name, "summary": optimizer_class(name)[0].SUMMARY} for name in OPTIMIZERS if name != "nevergrad"]
    return packed({"optimizers": named})


@router.get("/generators", response_model=answers.GeneratorsAnswer)
def generators(hub: TheHub) -> Response:
    """Names of generators that studies may be made with."""
    return packed({"generators": hub.named_generators()})


@router.post("/render", **of_kind(ZIP, NPY))
def render(body: schemas.Render, hub: TheHub, accept: Accept = ZIP) -> Response:
    """Stimuli of codes, for rigs that own their optimizer: a zip of PNGs with a manifest, or .npy."""
    generator = hub.generator(body.generator)
    stimuli = hub.decoded(generator, generator.space.validate(matrix(body.codes)))
    if wanted(accept, (ZIP, NPY)) == NPY:
        return Response(images.npy(stimuli), media_type=NPY)
    files = {f"{i:06d}.png": images.png(stimulus, body.image) for i, stimulus in enumerate(stimuli)}
    return Response(images.zipped(files, {}), media_type=ZIP)


# -- studies --------------------------------------------------------------------------------------------------------


@router.get("/studies", response_model=answers.StudiesAnswer)
def studies(hub: TheHub) -> Response:
    """Every study of the database, the newest first."""
    return packed({"studies": hub.studies()})


@router.post("/studies", response_model=answers.StudyAnswer, status_code=201)
def create(body: schemas.StudyNew, hub: TheHub) -> Response:
    """A new study."""
    return packed(hub.create(body).summary(), 201)


@router.get("/studies/{name}", response_model=answers.StudyAnswer)
def study(hosted: TheStudy) -> Response:
    """One study."""
    return packed(hosted.summary())


@router.delete("/studies/{name}", status_code=204)
def delete(name: Name, hub: TheHub) -> Response:
    """Removes a study and all that it holds."""
    try:
        hub.delete(name)
    except NoStudy as error:
        raise HTTPException(404, str(error)) from error
    return Response(status_code=204)


@router.post("/studies/{name}/pause", response_model=answers.StudyAnswer)
def pause(hosted: TheStudy) -> Response:
    """Nothing is handed out until it is resumed; answers are taken."""
    hosted.set_state("paused")
    return packed(hosted.summary())


@router.post("/studies/{name}/resume", response_model=answers.StudyAnswer)
def resume(hosted: TheStudy) -> Response:
    """Hands out trials again."""
    hosted.set_state("running")
    return packed(hosted.summary())


@router.post("/studies/{name}/finish", response_model=answers.StudyAnswer)
def finish(hosted: TheStudy) -> Response:
    """Ends the study; answers to what is out are still taken."""
    hosted.set_state("finished")
    return packed(hosted.summary())


@router.get("/studies/{name}/space", response_model=answers.SpaceAnswer)
def space(hosted: TheStudy) -> Response:
    """The codes that may be asked, axis by axis, see `mango.SearchSpace`."""
    return packed(views.space(hosted.study.configuration.space))


# -- ask and tell ---------------------------------------------------------------------------------------------------


@router.post(
    "/studies/{name}/ask",
    response_model=answers.AskAnswer,
    responses={200: {"content": {RAW: {}, NPY: {}}, "description": "JSON, or codes alone by Accept"}},
)
def ask(
    hub: TheHub, hosted: TheStudy, body: schemas.Ask | None = None, key: Key = None, accept: Accept = JSON
) -> Response:
    """Trials to show: JSON, or their codes alone as float32 or int32 rows or as .npy, with numbers in the headers."""
    asked = body or schemas.Ask()
    kind = wanted(accept, (JSON, RAW, NPY))
    block = hosted.hand_out(asked.n, asked.lease, request_of(key, asked.n, asked.lease))
    hub.metrics.asked(len(block.trials))
    state = hosted.study.state
    waiting = not block.trials and state == "running"
    if kind == JSON:
        references = [views.reference(showing, hosted.name, hosted.shape) for showing in block.references]
        handed = [hosted.handed(trial) for trial in block.trials]
        standing = {"state": state, "waiting": waiting, "sequence": block.sequence}
        return packed({"trials": handed, "references": references, **standing})
    space = hosted.study.configuration.space
    whole = space.dtype.kind == "i"
    codes = np.array([trial.code for trial in block.trials], "<i4" if whole else "<f4").reshape(-1, space.dim)
    headers = {
        "Mango-Trials": ",".join(str(trial.number) for trial in block.trials),
        "Mango-Attempts": ",".join(str(trial.attempt) for trial in block.trials),
        "Mango-Shape": f"{len(codes)},{space.dim}",
        "Mango-Dtype": "int32" if whole else "float32",
        "Mango-Lease-Until": "" if not block.trials else repr(block.trials[0].until),
        "Mango-References": ",".join(f"{r.presentation}:{r.image}:{r.after}" for r in block.references),
        "Mango-State": state,
        "Mango-Waiting": str(waiting).lower(),
    }
    return Response(codes.tobytes() if kind == RAW else images.npy(codes), media_type=kind, headers=headers)


@router.post("/studies/{name}/tell", response_model=answers.TellAnswer)
def tell(hub: TheHub, hosted: TheStudy, body: schemas.Tell, key: Key = None) -> Response:
    """Answers to trials and to showings of references; accepted whole or refused whole."""
    results = [_result(told, hosted.study.configuration.repeats) for told in body.results]
    references = {told.presentation: numbers(told.values, told.value) for told in body.references}
    responses = {told.number: _response(told.response) for told in body.results if told.response is not None}
    receipt = hosted.take_in(results, references, responses, request_of(key, body.model_dump(mode="json")))
    return _told(hub, hosted, receipt)


@router.post("/studies/{name}/fail", response_model=answers.TellAnswer)
def fail(hub: TheHub, hosted: TheStudy, body: schemas.Fail) -> Response:
    """Trials that could not be shown; the optimizer hears that they are lost."""
    results = [Result(t.number, t.attempt, (), None, TrialState.FAILED, reason=t.reason) for t in body.trials]
    receipt = hosted.take_in(results, {}, {}, None)
    return _told(hub, hosted, receipt)


@router.post("/studies/{name}/release", response_model=answers.NumbersAnswer)
def release(hosted: TheStudy, body: schemas.Release) -> Response:
    """Trials that this client will not show; they are handed out again."""
    changed = hosted.release({held.number: held.attempt for held in body.trials})
    return packed({"numbers": changed, "counts": hosted.counted()})


@router.post("/studies/{name}/veto", response_model=answers.NumbersAnswer)
def veto(hosted: TheStudy, body: schemas.Veto) -> Response:
    """Trials that a person rejects; they do not count towards the budget."""
    changed = hosted.veto(body.numbers, body.reason)
    return packed({"numbers": changed, "counts": hosted.counted()})


@router.post("/studies/{name}/enqueue", response_model=answers.EnqueueAnswer)
def enqueue(hosted: TheStudy, body: schemas.Enqueue) -> Response:
    """Codes to be asked verbatim before any further proposal; they count towards the budget."""
    return packed({"enqueued": hosted.enqueue(matrix(body.codes), body.origin)})


@router.post("/studies/{name}/enqueue/images", response_model=answers.EnqueueAnswer)
def enqueue_images(
    hosted: TheStudy, files: Annotated[list[UploadFile], File(min_length=1, max_length=MOST_FILES)]
) -> Response:
    """PNG files of the stimuli's size, through the generator's encoder."""
    if hosted.generator is None or not hasattr(hosted.generator, "encode"):
        raise InputError(f"the study {hosted.name!r} has no generator with an encoder; enqueue codes instead")
    stimuli = []
    for file in files:
        data = file.file.read(LONGEST_UPLOAD + 1)
        name = file.filename or "a file"
        if len(data) > LONGEST_UPLOAD:
            raise InputError(f"{name}: expected a PNG of at most {LONGEST_UPLOAD:,} bytes")
        stimuli.append(images.stimulus_of(data, hosted.generator.stimulus_shape, name))
    return packed({"enqueued": hosted.enqueue(hosted.encoded(np.stack(stimuli)), "uploaded")})


# -- what came of it ------------------------------------------------------------------------------------------------


@router.get("/studies/{name}/best", response_model=answers.BestAnswer)
def best(hosted: TheStudy, n: Annotated[int, Query(ge=1, le=1000)] = 1) -> Response:
    """The best trials, the best first, and the recommended one."""
    recommended = hosted.recommended()
    found = [hosted.trial(record, code=True) for record in hosted.leading(n)]
    return packed({"trials": found, "recommended": recommended and hosted.trial(recommended, code=True)})


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
    rows, further = hosted.page(after, limit, state, latest=latest, before=before)
    return packed({"trials": [hosted.trial(record, code=codes) for record in rows], "next": further})


@router.get("/studies/{name}/trials/{number}", response_model=answers.TrialAnswer)
def trial(hosted: TheStudy, record: TheTrial) -> Response:
    """One trial and its code."""
    return packed(hosted.trial(record, code=True))


@router.get("/studies/{name}/trials/{number}/stimulus.png", **of_kind(PNG))
def stimulus_png(hosted: TheStudy, record: TheTrial) -> Response:
    """The stimulus of a trial, as the study's image settings draw it."""
    return _forever(hosted.png(record.code), PNG)


@router.get("/studies/{name}/trials/{number}/stimulus.npy", **of_kind(NPY))
def stimulus_npy(hosted: TheStudy, record: TheTrial) -> Response:
    """The stimulus of a trial as float32, as the generator makes it."""
    return _forever(images.npy(hosted.stimuli(record.code[None])[0]), NPY)


@router.get("/studies/{name}/trials/{number}/response.npy", **of_kind(NPY))
def response_npy(hosted: TheStudy, record: TheTrial) -> Response:
    """What was told of all channels, of the attempt that was accepted."""
    found = hosted.study.store.responses([record.number])
    if not found:
        raise HTTPException(404, f"no response of all channels was told for trial {record.number}")
    return Response(images.npy(found[0].response), media_type=NPY)


@router.get("/studies/{name}/references/{image}/stimulus.png", **of_kind(PNG))
def reference_png(hosted: TheStudy, image: TrialNumber) -> Response:
    """A reference image."""
    codes = hosted.study.reference_codes
    if image >= len(codes):
        raise HTTPException(404, f"{hosted.name} has {len(codes)} reference images, from 0; there is no {image}")
    return _forever(hosted.png(codes[image]), PNG)


@router.get("/studies/{name}/stimuli.zip", **of_kind(ZIP))
def stimuli_zip(
    hosted: TheStudy, numbers: Annotated[str, Query(pattern=r"^\d{1,15}(,\d{1,15})*$", max_length=16_000)]
) -> Response:
    """A block of stimuli as PNGs with a manifest of their SHA-256 sums; numbers such as ``3,17,4``."""
    chosen = list(dict.fromkeys(int(number) for number in numbers.split(",")))
    if len(chosen) > MOST_FILES:
        raise InputError(f"a zip holds at most {MOST_FILES:,} stimuli; got {len(chosen):,}")
    records = [record_of(number, hosted) for number in chosen]
    drawn = hosted.stimuli(np.stack([record.code for record in records]))
    names = [f"{hosted.name}_{record.number:06d}.png" for record in records]
    files = {name: images.png(stimulus, hosted.image) for name, stimulus in zip(names, drawn, strict=True)}
    about = {n: {"number": r.number, "attempt": r.attempt} for n, r in zip(names, records, strict=True)}
    return Response(images.zipped(files, about), media_type=ZIP)


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
    last_event_id: Annotated[str | None, Header(pattern=r"^\d{1,15}$")] = None,
) -> Response:
    """What happens, as server-sent events; Last-Event-ID takes up where an earlier stream ended."""
    after = None if last_event_id is None else int(last_event_id)
    stream = feed.stream(hosted, after)
    return StreamingResponse(stream, media_type=STREAM, headers={"Cache-Control": "no-store"})


# -- private --------------------------------------------------------------------------------------------------------


def wanted(accept: str, offered: Sequence[str]) -> str:
    """The first of the media types in an Accept header that is offered, the first offered one by default.

    Raises:
        HTTPException: 406, none of them is.
    """
    asked = [part.partition(";")[0].strip().lower() for part in accept.split(",")]
    for kind in asked:
        if kind in offered:
            return kind
    if any(kind in ("*/*", "", "application/*") for kind in asked):
        return offered[0]
    raise HTTPException(406, f"expected Accept: {' or '.join(offered)}; got {accept!r}")


def matrix(codes: Sequence[Sequence[float]]) -> Codes:
    """Codes of equal lengths ``(n, dim)``.

    Raises:
        CodeError: they are not.
    """
    lengths = {len(code) for code in codes}
    if len(lengths) > 1:
        raise CodeError(f"codes have as many numbers as the space has axes; got {sorted(lengths)} of them")
    return np.array(codes, np.float64)


def numbers(values: Sequence[float | None] | None, value: float | None) -> tuple[float, ...]:
    """Values of one showing; null is NaN."""
    return tuple(math.nan if v is None else v for v in ([value] if values is None else values))


def _told(hub: Hub, hosted: Hosted, receipt: exchange.Receipt) -> Response:
    hub.metrics.told()
    hub.metrics.trials("told", len(receipt.accepted))
    hub.metrics.trials("late", len(receipt.late))
    hub.metrics.trials("repeated", len(receipt.repeated))
    became = {"accepted": receipt.accepted, "late": receipt.late, "repeated": receipt.repeated}
    return packed({**became, "state": hosted.study.state, "counts": hosted.counted()})


def _result(told: schemas.ToldTrial, repeats: int) -> Result:
    if told.reason is not None:
        return Result(told.number, told.attempt, (), None, TrialState.FAILED, told.seconds, told.reason)
    values = numbers(told.values, told.value)
    if told.values is None and told.value is None:
        values *= repeats  # lost, all of them
    keys = None if told.keys is None else numbers(told.keys, None)
    return Result(told.number, told.attempt, values, keys, seconds=told.seconds)


def _response(told: Any) -> NDArray[np.float64]:
    return np.array(told, np.float64)


def _forever(content: bytes, kind: str) -> Response:
    """What a URL gives now and for ever."""
    return Response(content, media_type=kind, headers={"Cache-Control": "private, max-age=31536000, immutable"})
