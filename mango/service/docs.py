"""``GET /docs``: Swagger UI, from files that come with the package `fastapi-offline`.

FastAPI's own page loads them from another host and starts them by an inline script; a rig has no internet, and the
policy of `mango.service.security` admits neither.
"""

from __future__ import annotations

from pathlib import Path

import fastapi_offline
from fastapi import APIRouter
from fastapi.responses import FileResponse, HTMLResponse, Response

FOLDER = Path(fastapi_offline.__file__).parent / "static"

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>mango: HTTP interface</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
<div id="swagger-ui">
<noscript>This page needs JavaScript; it shows <a href="/openapi.json">/openapi.json</a>.</noscript>
</div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""

START = """SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  validatorUrl: null,
});
"""


def docs_router() -> APIRouter:
    """The page and its files; the app is made with ``docs_url=None, redoc_url=None``."""
    router = APIRouter(prefix="/docs", include_in_schema=False)

    @router.get("")
    async def page() -> HTMLResponse:
        return HTMLResponse(PAGE)

    @router.get("/start.js")
    async def start() -> Response:
        return Response(START, media_type="text/javascript")

    @router.get("/swagger-ui-bundle.js")
    async def script() -> FileResponse:
        return FileResponse(FOLDER / "swagger-ui-bundle.js", media_type="text/javascript")

    @router.get("/swagger-ui.css")
    async def style() -> FileResponse:
        return FileResponse(FOLDER / "swagger-ui.css", media_type="text/css")

    return router
