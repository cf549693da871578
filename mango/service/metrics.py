"""What Prometheus reads at ``GET /metrics``.

Routes are counted by their templates and studies by their number only: no name that a client chooses becomes a label.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal

from fastapi import APIRouter, Response
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mango.service.logs import is_last, route_template

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)  # seconds
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")

Outcome = Literal["told", "late", "repeated", "lost", "failed", "released", "vetoed", "enqueued"]


class Metrics:
    """The counters of one service, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._requests = Counter(
            "mango_http_requests", "Requests answered.", ("method", "route", "status"), registry=self.registry
        )
        self._seconds = Histogram(
            "mango_http_request_seconds",
            "From a request's head to the end of its answer; event streams are left out.",
            ("method", "route"),
            buckets=BUCKETS,
            registry=self.registry,
        )
        self._running = Gauge("mango_http_requests_running", "Requests being answered.", registry=self.registry)
        self._asks = Counter("mango_asks", "Calls of ask that were answered.", registry=self.registry)
        self._asked = Counter("mango_trials_asked", "Trials handed out, again ones too.", registry=self.registry)
        self._tells = Counter("mango_tells", "Calls of tell that were acknowledged.", registry=self.registry)
        self._trials = Counter(
            "mango_trials",
            "What became of trials, as it was answered; an answer that is asked for again counts again.",
            ("outcome",),
            registry=self.registry,
        )
        self._streams = Gauge("mango_event_streams", "Event streams that are open.", registry=self.registry)
        self._studies = Gauge("mango_studies_loaded", "Studies in this process.", registry=self.registry)

    def asked(self, trials: int) -> None:
        """One ask that handed out so many trials."""
        self._asks.inc()
        self._asked.inc(trials)

    def told(self) -> None:
        """One tell that was acknowledged."""
        self._tells.inc()

    def trials(self, outcome: Outcome, count: int) -> None:
        """So many trials that came to this."""
        self._trials.labels(outcome).inc(count)

    def watch(self, *, streams: Callable[[], int] | None = None, studies: Callable[[], int] | None = None) -> None:
        """Says how to count open event streams and loaded studies; asked whenever the metrics are read."""
        if streams is not None:
            self._streams.set_function(streams)
        if studies is not None:
            self._studies.set_function(studies)

    def request(self, scope: Scope, status: int, seconds: float | None) -> None:
        """One request that was answered; None seconds: its time says nothing."""
        method = scope["method"] if scope["method"] in METHODS else "other"
        route = route_template(scope)
        self._requests.labels(method, route, status).inc()
        if seconds is not None:
            self._seconds.labels(method, route).observe(seconds)

    def text(self) -> bytes:
        """Everything, in the text format of Prometheus."""
        return generate_latest(self.registry)


class MetricsMiddleware:
    """Counts requests."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, counted when it is answered."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        status, streamed, counted = 499, False, False  # 499: the client went away
        started, running = time.perf_counter(), self.metrics._running

        def count() -> None:
            nonlocal counted
            if not counted:
                counted = True
                running.dec()
                self.metrics.request(scope, status, None if streamed else time.perf_counter() - started)

        async def noting(message: Message) -> None:
            nonlocal status, streamed
            if message["type"] == "http.response.start":
                status = message["status"]
                kinds = [value for name, value in message["headers"] if name.lower() == b"content-type"]
                streamed = any(kind.startswith(b"text/event-stream") for kind in kinds)
            await send(message)
            if is_last(message):
                count()

        running.inc()
        try:
            await self.app(scope, receive, noting)
        finally:
            count()


def metrics_router(metrics: Metrics) -> APIRouter:
    """``GET /metrics``; `mango.service.security` asks for a token that reads, where there are tokens."""
    router = APIRouter(tags=["service"])

    @router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
    async def read() -> Response:
        """The counters, for Prometheus."""
        return Response(metrics.text(), media_type=CONTENT_TYPE_LATEST)

    return router
