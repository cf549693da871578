"""What a service keeps beside the events, and where the code of each trial lies."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from mango.storage.packing import pack, unpack

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds columns, indexes and tables, and fills the columns."""
    op.add_column("trials", sa.Column("place", sa.Integer))
    op.add_column("trials", sa.Column("code", sa.LargeBinary))
    op.create_index("trials_by_state", "trials", ["study_id", "state", "number"])
    op.create_index("trials_by_value", "trials", ["study_id", "value"])
    op.create_table(
        "owners",
        sa.Column("study_id", sa.Integer, sa.ForeignKey("studies.id"), primary_key=True),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("address", sa.Text, nullable=False),
        sa.Column("until", sa.Double, nullable=False),
    )
    op.create_table(
        "standings",
        sa.Column("study_id", sa.Integer, sa.ForeignKey("studies.id"), primary_key=True),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
    )
    op.create_table(
        "answers",
        sa.Column("study_id", sa.Integer, sa.ForeignKey("studies.id"), primary_key=True),
        sa.Column("operation", sa.String(20), primary_key=True),
        sa.Column("key", sa.String(200), primary_key=True),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("answer", sa.LargeBinary, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
    )
    op.create_table(
        "leases",
        sa.Column("study_id", sa.Integer, sa.ForeignKey("studies.id"), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("attempt", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("token", sa.String(64), nullable=False),
        sa.Column("until", sa.Double),
    )
    running = sa.text("until IS NOT NULL")
    op.create_index("leases_by_until", "leases", ["study_id", "until"], sqlite_where=running, postgresql_where=running)
    op.create_table(
        "reference_showings",
        sa.Column("study_id", sa.Integer, sa.ForeignKey("studies.id"), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("image", sa.String(200), nullable=False),
        sa.Column("asked_at", sa.Double, nullable=False),
        sa.Column("told_at", sa.Double),
        sa.Column("value", sa.Double),
    )
    op.create_table(
        "responses",
        sa.Column("study_id", sa.Integer, sa.ForeignKey("studies.id"), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("attempt", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("response", sa.LargeBinary, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
    )
    connection = op.get_bind()
    for study in connection.exec_driver_sql("SELECT id FROM studies ORDER BY id").scalars().all():
        _place_codes(connection, study)
    connection.exec_driver_sql("UPDATE studies SET format = 2 WHERE format = 1")


def _place_codes(connection: sa.Connection, study: int) -> None:
    """Writes down where the codes of one study's trials lie.

    An ask first hands numbers to enqueued codes, in the order in which they came, then to the optimizer's; its event
    holds the latter only.
    """
    asked: dict[int, list[int]] = {}
    made = sa.text("SELECT sequence, number FROM trials WHERE study_id = :study ORDER BY number")
    for sequence, number in connection.execute(made, {"study": study}):
        asked.setdefault(sequence, []).append(number)
    placed = sa.text("UPDATE trials SET place = :place, code = :code WHERE study_id = :study AND number = :number")
    log = sa.text("SELECT arrays FROM events WHERE study_id = :study AND sequence = :sequence AND kind = :kind")
    enqueues = sa.text("SELECT sequence FROM events WHERE study_id = :study AND kind = 'enqueue'")
    waiting: list[Any] = []  # enqueued codes without a number yet
    for sequence in sorted({*asked, *connection.execute(enqueues, {"study": study}).scalars()}):
        kind = "ask" if sequence in asked else "enqueue"
        blob = connection.execute(log, {"study": study, "sequence": sequence, "kind": kind}).scalar()
        codes = unpack(blob).get("codes", ()) if blob else ()
        if kind == "enqueue":
            waiting.extend(codes)
            continue
        numbers = asked[sequence]
        first = max(0, len(numbers) - len(codes))
        taken, waiting = waiting[:first], waiting[first:]
        values: list[dict[str, Any]] = [{"place": None, "code": pack({"code": code})} for code in taken]
        values += [{"place": place, "code": None} for place in range(len(codes))]
        rows = [{**value, "study": study, "number": n} for n, value in zip(numbers, values, strict=False)]
        connection.execute(placed, rows)
