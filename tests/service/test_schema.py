"""schemathesis sends what the OpenAPI document allows, and what it does not: every answer fits it, none is a 5xx."""

from __future__ import annotations

import atexit
import tempfile

import pytest

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")

from hypothesis import HealthCheck, settings  # noqa: E402
from schemathesis.specs.openapi.checks import positive_data_acceptance  # noqa: E402

from mango.service.app import create_app  # noqa: E402
from mango.service.hub import Hub  # noqa: E402
from mango.service.schemas import StudyNew  # noqa: E402
from mango.service.security import SecuritySettings  # noqa: E402

FOLDER = tempfile.TemporaryDirectory()
atexit.register(FOLDER.cleanup)
HUB = Hub(f"sqlite:///{FOLDER.name}/mango.db")
HUB.create(StudyNew(name="0", generator="pixels", budget=1000, optimizer="random"))
SECURITY = SecuritySettings(hosts=frozenset({"testserver"}))
schema = schemathesis.openapi.from_asgi("/openapi.json", create_app(HUB, SECURITY))


@(schema.exclude(path_regex="/events$").parametrize())
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_answer_fits_the_document(case):
    case.call_and_validate(excluded_checks=[positive_data_acceptance])  # what fits may still make no sense
