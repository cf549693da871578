"""The HTTP interface: what makes, steers, asks and tells a study; `mango.service.results` has what reads."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
import orjson
from fastapi import APIRouter, File, HTTPException, UploadFile
from fastapi.responses import Response
from numpy.typing import NDArray
from starlette.background import BackgroundTask

from mango import exchange
from mango.errors import CodeError, InputError
from mango.optimizers import TABLE as OPTIMIZERS
from mango.optimizers import optimizer_summary
from mango.service import answers, images, schemas, views
from mango.service.bodies import JsonRoute
from mango.service.hosted import Hosted
from mango.service.hub import Hub, NoStudy
from mango.service.metrics import Outcome
from mango.service.paths import (
    JSON,
    MOST_FILES,
    NO_KEY,
    NPY,
    RAW,
    ZIP,
    Accept,
    Key,
    Name,
    TheHub,
    TheStudy,
    check_codes,
    of_kind,
    packed,
    wanted,
)
from mango.space import Codes
from mango.trial import Result, TrialState

MOST_NUMBERED = 4_000  # trials in a header, which clients read up to 64 KiB of
LONGEST_UPLOAD = 2**20  # bytes of one file

OUTCOMES: dict[TrialState, Outcome] = {
    TrialState.DONE: "told",
    TrialState.LOST: "lost",
    TrialState.FAILED: "failed",
}

router = APIRouter(prefix="/v1", route_class=JsonRoute)


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
    named = [{"name": name, "summary": optimizer_summary(name)} for name in OPTIMIZERS if name != "nevergrad"]
    return packed({"optimizers": named})


@router.get("/generators", response_model=answers.GeneratorsAnswer)
def generators(hub: TheHub) -> Response:
    """Names of generators that studies may be made with."""
    return packed({"generators": hub.named_generators()})


@router.post("/render", **of_kind(ZIP, NPY))
def render(body: schemas.Render, hub: TheHub, accept: Accept = ZIP) -> Response:
    """Stimuli of codes, for rigs that own their optimizer: a zip of PNGs with a manifest, or .npy."""
    generator, kind = hub.generator(body.generator), wanted(accept, (ZIP, NPY))
    if kind == ZIP and images.is_image(generator.stimulus_shape):  # else it is refused as it is drawn
        images.check_drawn(len(body.codes), generator.stimulus_shape, body.image)
    stimuli = hub.decoded(generator, generator.space.validate(matrix(body.codes)))
    if kind == NPY:
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
    if kind != JSON and asked.n > MOST_NUMBERED:
        raise InputError(f"at most {MOST_NUMBERED:,} trials come with their numbers in a header; got {asked.n:,}")
    configuration = hosted.study.configuration
    check_codes(min(asked.n, configuration.trials or asked.n), configuration.space.dim)
    block = hosted.hand_out(asked.n, asked.lease, request_of(key, asked.n, asked.lease))
    hub.metrics.asked(len(block.trials))
    state = hosted.study.state
    waiting = not block.trials and state == "running"
    if kind == JSON:
        references = [views.reference(showing, hosted.name, hosted.shape) for showing in block.references]
        handed = [hosted.handed(trial) for trial in block.trials]
        standing = {"state": state, "waiting": waiting, "sequence": block.sequence}
        return packed({"trials": handed, "references": references, **standing})
    space = configuration.space
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
    request = None if key is None else request_of(key, body.model_dump(mode="json"))
    return _told(hub, hosted, hosted.take_in(results, references, responses, request))


@router.post("/studies/{name}/fail", response_model=answers.TellAnswer, dependencies=NO_KEY)
def fail(hub: TheHub, hosted: TheStudy, body: schemas.Fail) -> Response:
    """Trials that could not be shown; the optimizer hears that they are lost."""
    results = [Result(t.number, t.attempt, (), None, TrialState.FAILED, reason=t.reason) for t in body.trials]
    receipt = hosted.take_in(results, {}, {}, None)
    return _told(hub, hosted, receipt)


@router.post("/studies/{name}/release", response_model=answers.NumbersAnswer, dependencies=NO_KEY)
def release(hub: TheHub, hosted: TheStudy, body: schemas.Release) -> Response:
    """Trials that this client will not show; they are handed out again."""
    changed = hosted.release({held.number: held.attempt for held in body.trials})
    hub.metrics.trials("released", len(changed))
    return packed({"numbers": changed, "counts": hosted.counted()})


@router.post("/studies/{name}/veto", response_model=answers.NumbersAnswer, dependencies=NO_KEY)
def veto(hub: TheHub, hosted: TheStudy, body: schemas.Veto) -> Response:
    """Trials that a person rejects; they do not count towards the budget."""
    changed = hosted.veto(body.numbers, body.reason)
    hub.metrics.trials("vetoed", len(changed))
    return packed({"numbers": changed, "counts": hosted.counted()})


@router.post("/studies/{name}/enqueue", response_model=answers.EnqueueAnswer, dependencies=NO_KEY)
def enqueue(hub: TheHub, hosted: TheStudy, body: schemas.Enqueue) -> Response:
    """Codes to be asked verbatim before any further proposal; they count towards the budget."""
    return _enqueued(hub, hosted, matrix(body.codes), body.origin)


@router.post("/studies/{name}/enqueue/images", response_model=answers.EnqueueAnswer, dependencies=NO_KEY)
def enqueue_images(
    hub: TheHub, hosted: TheStudy, files: Annotated[list[UploadFile], File(min_length=1, max_length=MOST_FILES)]
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
    return _enqueued(hub, hosted, hosted.encoded(np.stack(stimuli)), "uploaded")


# -- private --------------------------------------------------------------------------------------------------------


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
    for state, count in Counter(record.state for record in hosted.study.records(receipt.accepted)).items():
        hub.metrics.trials(OUTCOMES[state], count)
    hub.metrics.trials("late", len(receipt.late))
    hub.metrics.trials("repeated", len(receipt.repeated))
    became = {"accepted": receipt.accepted, "late": receipt.late, "repeated": receipt.repeated}
    answer = packed({**became, "state": hosted.study.state, "counts": hosted.counted()})
    answer.background = BackgroundTask(hosted.learn)  # what is acknowledged is in the log, whoever learns it
    return answer


def _enqueued(hub: Hub, hosted: Hosted, codes: Codes, origin: str) -> Response:
    count = hosted.enqueue(codes, origin)
    hub.metrics.trials("enqueued", count)
    return packed({"enqueued": count})


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
