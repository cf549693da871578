"""The one shape of every error that is answered: ``{"error": {"kind", "message", "request_id"}}``.

An error of `mango.errors` is answered with its own message, what the framework refuses (a path, a method, a body that
does not validate) with a sentence in the same form, and whatever was not foreseen with a message that says nothing of
the inside: its traceback is in the log, under the request's id.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mango.errors import (
    DataError,
    InputError,
    MangoError,
    ReplayError,
    StorageError,
    StudyError,
    StudyLocked,
    TellConflict,
)

logger = logging.getLogger(__name__)

RETRY = 2  # seconds until a study without an owner, or a database that was away, is worth another try

STATUS: tuple[tuple[type[MangoError], int], ...] = (  # the first that fits
    (StudyLocked, 503),
    (TellConflict, 409),
    (StudyError, 409),
    (ReplayError, 409),  # no use in trying again: a person must decide
    (StorageError, 503),
    (InputError, 422),
    (DataError, 422),
    (MangoError, 500),
)

KINDS = {401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 405: "MethodNotAllowed", 413: "TooLarge"}

LONGEST = 80  # characters of what came, in a message
MOST = 3  # faults named in one message


class ErrorDetail(BaseModel):
    """What went wrong."""

    kind: str
    message: str
    request_id: str


class ErrorBody(BaseModel):
    """Every answer that is not a success."""

    error: ErrorDetail


RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorBody, "description": description}
    for status, description in (
        (400, "Not HTTP, or a body that cannot be parsed"),
        (401, "A token is missing or wrong"),
        (403, "The token only reads, or the Host or Origin is not allowed"),
        (404, "No such path, study or trial"),
        (405, "Another method is needed"),
        (406, "Nothing that the Accept header names is offered"),
        (408, "The body came too slowly"),
        (409, "In conflict with the state of the study"),
        (413, "The body, or what it asks for, is too large"),
        (414, "The path is too long"),
        (415, "The type of the body is not taken"),
        (422, "What came cannot be used"),
        (429, "Too many at once; try again after Retry-After seconds"),
        (500, "An unforeseen error; the log has it under the request's id"),
        (503, "Not now: another process owns the study, or the database is away; try again after Retry-After seconds"),
    )
}
"""For ``FastAPI(responses=...)``: documents the shape at every operation."""


def error_response(
    scope: Scope, status: int, kind: str, message: str, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """The answer to the request of that scope; the log's line of it names the kind."""
    state = scope.setdefault("state", {})
    state["error_kind"] = kind
    detail = ErrorDetail(kind=kind, message=message, request_id=state.get("request_id", ""))
    return JSONResponse(ErrorBody(error=detail).model_dump(), status, dict(headers or {}))


def install_errors(app: FastAPI) -> None:
    """Answers every error of the app in the one shape.

    Call it before other middleware is added: what answers the unforeseen must lie inside of what sets headers.
    """
    app.add_middleware(ErrorsMiddleware)
    app.add_exception_handler(MangoError, _mango_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(MemoryError, _memory_error)


class ErrorsMiddleware:
    """Answers what nobody handles with 500, and logs it; an answer that had begun is broken off."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, answered in any case."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = False

        async def noting(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.app(scope, receive, noting)
        except Exception:
            logger.exception("an unforeseen error")
            scope.setdefault("state", {})["error_kind"] = "InternalError"
            if not started:  # else the server closes the connection, so that half an answer is not taken for one
                await _unforeseen(scope)(scope, receive, send)


def _unforeseen(scope: Scope) -> JSONResponse:
    message = "an unforeseen error in the service; its log has it under this request_id"
    return error_response(scope, 500, "InternalError", message)


async def _mango_error(request: Request, error: Exception) -> JSONResponse:
    status = next(status for kind, status in STATUS if isinstance(error, kind))
    if status >= 500 and not isinstance(error, StudyLocked):
        logger.error("%s", error, exc_info=error)
    headers = {"Retry-After": str(RETRY)} if status == 503 else {}
    return error_response(request.scope, status, type(error).__name__, str(error), headers)


async def _memory_error(request: Request, error: Exception) -> JSONResponse:
    logger.error("out of memory", exc_info=error)
    message = "what was asked does not fit into the memory of the service; ask for less"
    return error_response(request.scope, 413, "TooLarge", message)


async def _http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    status, message, headers = error.status_code, str(error.detail), dict(error.headers or {})
    kind = KINDS.get(status) or HTTPStatus(status).phrase.title().replace(" ", "")
    if message == HTTPStatus(status).phrase:  # the framework's own
        path = _shown(request.url.path)
        if status == 404:
            message = f"no such path: {path}; /docs lists those that there are"
        elif status == 405:
            headers["Allow"] = ", ".join(_allowed(request.scope)) or headers.get("Allow", "")
            message = f"{request.method} is not for {path}; use {headers['Allow'] or 'another method'}"
    return error_response(request.scope, status, kind, message, headers)


def _allowed(scope: Scope) -> list[str]:
    """The methods of the path as the OpenAPI document has them; the framework says those of one route alone."""
    path = getattr(scope.get("route"), "path_format", None) or scope["path"]
    return sorted(method.upper() for method in scope["app"].openapi()["paths"].get(path, {}))


async def _validation_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    faults = error.errors()
    sentences = [_sentence(fault) for fault in faults[:MOST]]
    if len(faults) > MOST:
        sentences.append(f"and {len(faults) - MOST} more")
    return error_response(request.scope, 422, "InputError", "; ".join(sentences))


def _sentence(fault: Mapping[str, Any]) -> str:
    """What was expected where, and what came."""
    place, *rest = fault["loc"]
    if fault["type"] == "json_invalid":
        return f"the body is not JSON: {fault.get('ctx', {}).get('error', fault['msg'])}, at character {rest[0]}"
    where = f"{_path(rest)} in the {place}" if rest else f"the {place}"
    if fault["type"] == "missing":
        return f"{where} is missing"
    expected = fault["msg"].replace("Input should be", "expected", 1).replace("Value error, ", "", 1)
    if not rest or "token" in rest:  # the whole body may hold a token
        return f"{where}: {expected}"
    return f"{where}: {expected}; got {_shown(fault['input'])}"


def _path(keys: Sequence[Any]) -> str:
    """``["results", 0, "number"]`` as ``results[0].number``."""
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys).lstrip(".")


def _shown(came: Any) -> str:
    """The beginning of what came, which may be of any size and depth, at the cost of that much."""
    text = ""
    for piece in json.JSONEncoder(default=repr).iterencode(came):
        text += piece
        if len(text) > LONGEST:
            return f"{text[:LONGEST]}..."
    return text
