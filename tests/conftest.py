"""Fixtures that several modules share."""

from __future__ import annotations

import io
import os
import signal
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from PIL import Image

import mango.configuration
from mango.optimizers import Optimizer, make_optimizer
from tests.learner import Learner

SERVER = os.environ.get("MANGO_TEST_POSTGRESQL", "postgresql+psycopg://127.0.0.1:5432/test")

settings.register_profile("busy", settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")  # how long an example takes says how busy the machine is


def pytest_configure() -> None:
    """Lets Ctrl-C reach what tests start: a shell that runs the tests in the background leaves SIGINT ignored."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Of a database that does not exist yet."""
    return f"sqlite:///{tmp_path}/study.db"


@pytest.fixture
def learner(monkeypatch: pytest.MonkeyPatch) -> str:
    """The name under which a study finds the `Learner`."""

    def make(name: str, space: Any, **arguments: Any) -> Optimizer:
        return Learner(space, **arguments) if name == "learner" else make_optimizer(name, space, **arguments)

    monkeypatch.setattr(mango.configuration, "make_optimizer", make)
    return "learner"


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Searches leave one pixel for each picture: to draw them takes most of a small search."""
    pixel = io.BytesIO()
    Image.new("RGB", (1, 1)).save(pixel, "PNG")
    for name in ("convergence_png", "evolution_gif", "naturalness_png"):
        for module in ("mango.search.outcome", "mango.analysis.report"):
            monkeypatch.setattr(f"{module}.{name}", lambda *_, **__: pixel.getvalue())
    monkeypatch.setattr("mango.search.outcome.best_png", lambda *_, **__: pixel.getvalue())


@pytest.fixture(scope="session")
def ray_here() -> Iterator[None]:
    """A Ray of two CPUs in this process, which every evaluator of the session uses: it takes seconds to start."""
    from mango.evaluators.cluster import connected

    with connected():
        yield


@pytest.fixture(scope="session")
def server() -> Iterator[sa.Engine]:
    """The PostgreSQL server that the environment names, or one on this machine."""
    pytest.importorskip("psycopg", reason="psycopg is not installed: pip install 'mango-neuro[postgresql]'")
    engine = sa.create_engine(SERVER, connect_args={"connect_timeout": 3})
    try:
        engine.connect().close()
    except sa.exc.OperationalError as error:
        where = engine.url.render_as_string()
        pytest.skip(f"no PostgreSQL server answers at {where}; name one by MANGO_TEST_POSTGRESQL ({error.orig})")
    yield engine
    engine.dispose()


@pytest.fixture
def postgresql(server: sa.Engine) -> Iterator[str]:
    """URL of an empty schema of its own in that server's database."""
    schema = f"mango_{uuid.uuid4().hex}"
    with server.begin() as connection:
        connection.exec_driver_sql(f"CREATE SCHEMA {schema}")
    url = server.url.update_query_dict({"options": f"-csearch_path={schema}"})
    yield url.render_as_string(hide_password=False)
    with server.begin() as connection:
        connection.exec_driver_sql(f"DROP SCHEMA {schema} CASCADE")
