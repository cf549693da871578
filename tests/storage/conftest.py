"""A database of each kind that mango keeps studies in."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

SERVER = os.environ.get("MANGO_TEST_POSTGRESQL", "postgresql+psycopg://127.0.0.1:5432/test")


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


@pytest.fixture(params=["sqlite", "postgresql"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of an empty database, of each kind in turn."""
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgresql"))
    return f"sqlite:///{tmp_path}/study.db"
