"""The tables of a study's database, in column types that SQLite and PostgreSQL share.

``events`` is the truth: the state of a study is a pure function of its rows. ``trials`` and ``presentations`` repeat in
columns what the events say, for people and programs that read with SQL; ``snapshots`` shorten the replay and may be
deleted at any time. Times are seconds since 1970 (UTC); NULL stands for NaN, which SQLite cannot hold.
"""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    Double,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

FORMAT = 1  # of the rows; raised when an older mango could not read them

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
    Column("sequence", Integer, nullable=False),  # of the event that asked it, which holds its code
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
