"""Run by Alembic: the migrations happen in the transaction of the connection that `upgrade` gave."""

from __future__ import annotations

from alembic import context

from mango.storage.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
