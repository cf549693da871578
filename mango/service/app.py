"""Puts the service together: studies, paths, page, and what keeps bad requests out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles

from mango.service import answers, results, routes, schemas
from mango.service.errors import RESPONSES
from mango.service.hub import Hub
from mango.service.limits import LimitSettings
from mango.service.paths import packed
from mango.service.protection import protect
from mango.service.security import SecuritySettings, documented
from mango.service.shortcuts import Shortcut

PAGE = Path(__file__).with_name("page")
FRESH = {"Cache-Control": "no-cache"}  # kept, but asked for each time: modules of two versions do not go together


def create_app(hub: Hub, security: SecuritySettings | None = None, limits: LimitSettings | None = None) -> FastAPI:
    """The application; it closes the hub when it ends.

    Args:
        hub: of the studies.
        security: who may come in; by default everybody, from this machine.
        limits: how much is taken.
    """

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:  # noqa: ARG001
        yield
        hub.close()

    app = FastAPI(
        title="mango",
        version=version("mango-neuro"),
        description="Finds, without gradients, the stimulus that a black box likes best: ask, show, tell.",
        lifespan=life,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        responses=RESPONSES,
    )
    app.state.hub = hub
    security = security or SecuritySettings()
    protection = protect(app, security, limits or LimitSettings())
    protection.metrics.watch(studies=lambda: hub.loaded)
    hub.metrics = protection.metrics
    for part in (routes.router, results.router):
        app.include_router(part, dependencies=documented(security.tokens))
    studies = "/v1/studies/{name}"
    app.router.routes[:0] = [
        Shortcut(app, f"{studies}/ask", schemas.Ask, routes.ask, kinds=True),
        Shortcut(app, f"{studies}/tell", schemas.Tell, routes.tell, kinds=False),
    ]

    @app.get("/healthz", response_model=answers.HealthAnswer, tags=["service"])
    async def healthy() -> Response:  # no thread: it answers also while all of them wait
        """The service answers."""
        return packed({"status": "ok"})

    @app.get("/", include_in_schema=False)
    def page() -> Response:
        return FileResponse(PAGE / "index.html", headers=FRESH)

    app.mount("/page", PageFiles(directory=PAGE), name="page")
    return app


class PageFiles(StaticFiles):
    """The files of the page."""

    def file_response(self, *arguments: Any, **options: Any) -> Response:
        """One of them."""
        response = super().file_response(*arguments, **options)
        response.headers.update(FRESH)
        return response
