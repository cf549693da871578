"""Puts around an app what keeps it safe, in the one order in which it does.

From the outside: the log (which gives the request its id), the counters, who may come in, how much is taken, and what
answers an unforeseen error. A request that may not come in is refused before any of its body is read.
"""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import FastAPI

from mango.service.docs import docs_router
from mango.service.errors import install_errors
from mango.service.limits import Limits, LimitSettings, LimitsMiddleware
from mango.service.logs import LogsMiddleware
from mango.service.metrics import Metrics, MetricsMiddleware, metrics_router
from mango.service.security import Security, SecurityMiddleware, SecuritySettings, documented, session_router


@dataclass(frozen=True)
class Protection:
    """What protects an app, also found as ``app.state.protection``."""

    security: Security
    limits: Limits
    metrics: Metrics


def protect(app: FastAPI, security: SecuritySettings, limits: LimitSettings) -> Protection:
    """Adds the middleware, the handlers of errors, and the routes of sessions, metrics and documentation.

    Args:
        app: made with ``docs_url=None, redoc_url=None, responses=mango.service.errors.RESPONSES``.
        security: who may come in.
        limits: how much is taken.
    """
    protection = Protection(Security(security), Limits(limits), Metrics())
    install_errors(app)
    app.add_middleware(LimitsMiddleware, limits=protection.limits)
    app.add_middleware(SecurityMiddleware, security=protection.security)
    app.add_middleware(MetricsMiddleware, metrics=protection.metrics)
    app.add_middleware(LogsMiddleware)
    app.include_router(session_router(protection.security))
    app.include_router(metrics_router(protection.metrics), dependencies=documented(security.tokens))
    app.include_router(docs_router())
    protection.metrics.watch(streams=lambda: protection.limits.streams)
    app.state.protection = protection
    return protection
