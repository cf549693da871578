"""Makes the tables of a database, or brings an older one's up to date, by Alembic.

Each revision is a module of `mango.storage.migrations.versions`. Files from before the first release with migrations
have no ``alembic_version``; their tables are those of revision 0001.
"""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from mango.storage.tables import REVISION, studies

FIRST = "0001"
_LOCK = 0x6D616E676F  # "mango": of PostgreSQL's advisory locks, so that two processes do not both migrate


def revision(connection: sa.Connection) -> str | None:
    """Of the tables that the database holds; None where it holds none of a study."""
    tables = sa.inspect(connection)
    if not tables.has_table(studies.name):
        return None
    if not tables.has_table("alembic_version"):
        return FIRST
    found: str | None = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    return found


def upgrade(connection: sa.Connection) -> None:
    """Brings the tables to `REVISION`, in the connection's transaction; another process that does so is waited for."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
    found = revision(connection)
    if found == REVISION:
        return
    from alembic import command  # a second of imports that only a new or an old database needs
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    if found == FIRST and not sa.inspect(connection).has_table("alembic_version"):
        command.stamp(config, FIRST)
    command.upgrade(config, REVISION)
