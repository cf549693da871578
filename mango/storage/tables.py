"""The tables of a study's database, in column types that SQLite and PostgreSQL share.

``events`` is the truth: the state of a study is a pure function of its rows. ``trials`` and ``presentations`` repeat in
columns what the events say, for people and programs that read with SQL; ``snapshots`` shorten the replay and may be
deleted at any time. The others belong to a service: who owns a study, whether it runs, which hand-outs are out, what
was answered under which idempotency key, showings of reference images, recorded responses. Times are seconds since 1970
(UTC); NULL stands for NaN, which SQLite cannot hold.

A change here needs a migration in `mango.storage.migrations`, which is what makes the tables.
"""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    text,
)

FORMAT = 2  # of the rows; raised when an older mango could not read or write them
REVISION = "0002"  # of the tables: the newest migration

RUNNING = text("until IS NOT NULL")  # of leases

metadata = MetaData()

studies = Table(
    "studies",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(200), nullable=False, unique=True),
    Column("format", Integer, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("config", Text, nullable=False),  # JSON
    Column("meta", Text, nullable=False),  # JSON, the user's
    Column("arrays", LargeBinary, nullable=False),  # packed: the space, natural codes, array options
    Column("digest", String(64), nullable=False),  # SHA-256 of config, meta and arrays
)

events = Table(
    "events",
    metadata,
    Column("study_id", ForeignKey("studies.id"), primary_key=True),
    Column("sequence", Integer, primary_key=True, autoincrement=False),  # 0, 1, 2, ... without a gap
    Column("kind", String(20), nullable=False),  # ask, tell, enqueue, restart
    Column("at", Double, nullable=False),
    Column("seconds", Double, nullable=False),  # spent inside the optimizer
    Column("payload", Text, nullable=False),  # JSON
    Column("arrays", LargeBinary),  # packed
    Column("digest", String(64), nullable=False),  # SHA-256 of kind, payload and arrays
)

trials = Table(
    "trials",
    metadata,
    Column("study_id", ForeignKey("studies.id"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("sequence", Integer, nullable=False),  # of the event that asked it
    Column("state", String(10), nullable=False),
    Column("attempt", Integer, nullable=False),  # hand-outs so far
    Column("origin", Text, nullable=False),
    Column("log_prior", Double),
    Column("value", Double),
    Column("key", Double),
    Column("asked_at", Double, nullable=False),
    Column("told_at", Double),
    Column("seconds", Double),
    Column("reason", Text, nullable=False),
    Column("place", Integer),  # the row of its code among the codes of that event, if they hold it
    Column("code", LargeBinary),  # packed, where they do not: it was enqueued
    Index("trials_by_state", "study_id", "state", "number"),
    Index("trials_by_value", "study_id", "value"),
)

presentations = Table(
    "presentations",
    metadata,
    Column("study_id", ForeignKey("studies.id"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("attempt", Integer, primary_key=True, autoincrement=False),
    Column("repeat", Integer, primary_key=True, autoincrement=False),
    Column("sequence", Integer, nullable=False),  # of the event that told it
    Column("value", Double),
    Column("key", Double),
    Column("late", Boolean, nullable=False),  # another attempt had closed the trial
)

snapshots = Table(
    "snapshots",
    metadata,
    Column("study_id", ForeignKey("studies.id"), primary_key=True),
    Column("sequence", Integer, primary_key=True, autoincrement=False),  # the optimizer after this event
    Column("state", LargeBinary, nullable=False),  # packed
    Column("digest", String(64), nullable=False),  # SHA-256 of the state
)

owners = Table(
    "owners",
    metadata,
    Column("study_id", ForeignKey("studies.id"), primary_key=True),
    Column("epoch", Integer, nullable=False),  # one more with each owner
    Column("owner", Text, nullable=False),
    Column("address", Text, nullable=False),  # URL where the owner answers, or ""
    Column("until", Double, nullable=False),  # by the database's clock; then another may take the study over
)

standings = Table(
    "standings",
    metadata,
    Column("study_id", ForeignKey("studies.id"), primary_key=True),
    Column("state", String(10), nullable=False),  # running, paused, finished, exhausted
    Column("at", Double, nullable=False),
    Column("by", Text, nullable=False),  # who said so
)

answers = Table(
    "answers",
    metadata,
    Column("study_id", ForeignKey("studies.id"), primary_key=True),
    Column("operation", String(20), primary_key=True),  # ask, tell, ...
    Column("key", String(200), primary_key=True),  # the client's
    Column("digest", String(64), nullable=False),  # SHA-256 of the request's body
    Column("answer", LargeBinary, nullable=False),  # JSON
    Column("at", Double, nullable=False),
)

leases = Table(
    "leases",
    metadata,
    Column("study_id", ForeignKey("studies.id"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("attempt", Integer, primary_key=True, autoincrement=False),
    Column("token", String(64), nullable=False),
    Column("until", Double),  # NULL once it has ended
    # Of those that run only, which are few; PostgreSQL must not take it for a way to a trial's leases.
    Index("leases_by_until", "study_id", "until", sqlite_where=RUNNING, postgresql_where=RUNNING),
)

references = Table(
    "reference_showings",
    metadata,
    Column("study_id", ForeignKey("studies.id"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),  # 0, 1, 2, ..., a count of their own
    Column("image", String(200), nullable=False),  # which of the reference images
    Column("asked_at", Double, nullable=False),
    Column("told_at", Double),
    Column("value", Double),
)

responses = Table(
    "responses",
    metadata,
    Column("study_id", ForeignKey("studies.id"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("attempt", Integer, primary_key=True, autoincrement=False),
    Column("response", LargeBinary, nullable=False),  # packed
    Column("digest", String(64), nullable=False),  # SHA-256 of the response
)

# What an earlier mango's file holds too, so that it can be read as it is.
FIRST_COLUMNS = tuple(column for column in trials.c if column.name not in ("place", "code"))
EARLY_TABLES = (studies, events, trials, presentations, snapshots)
