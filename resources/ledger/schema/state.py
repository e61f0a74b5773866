"""Verdicts on data, the state of processes, and what was tried and how it went."""

import sqlalchemy as sa

from resources.ledger.schema.columns import METADATA, CallUsd, Words

GATES = sa.Table(
    "gates",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("table_name", Words, nullable=False),
    sa.Column("session", sa.Date, nullable=False),
    sa.Column("version", Words, nullable=False),
    sa.Column("passed", sa.Boolean, nullable=False),
    sa.Column("failures", Words, nullable=False),
    sa.Column("at", Words, nullable=False),
    sa.Index("gates_by_session", "table_name", "session"),
)

APP_STATE = sa.Table(
    "app_state",
    METADATA,
    sa.Column("key", Words, primary_key=True),
    sa.Column("value", Words, nullable=False),
    sa.Column("at", Words, nullable=False),
)

HEARTBEATS = sa.Table(
    "heartbeats",
    METADATA,
    sa.Column("process", Words, primary_key=True),
    sa.Column("pid", sa.Integer, nullable=False),
    sa.Column("state", Words, nullable=False),
    sa.Column("at", Words, nullable=False),
    sa.Column("version", Words, nullable=False, server_default=sa.text("''")),
    sa.Column("limits_hash", Words, nullable=False, server_default=sa.text("''")),
)

LEASES = sa.Table(
    "leases",
    METADATA,
    sa.Column("name", Words, primary_key=True),
    sa.Column("holder", Words, nullable=False),
    sa.Column("token", sa.BigInteger, nullable=False),
    sa.Column("until", Words, nullable=False),
)

PARAMETER_CHANGES = sa.Table(
    "parameter_changes",
    METADATA,
    sa.Column("seq", sa.Integer, primary_key=True),
    sa.Column("book", Words, nullable=False),
    sa.Column("session", sa.Date, nullable=False),
    sa.Column("name", Words, nullable=False),
    sa.Column("before", Words),
    sa.Column("after", Words),
    sa.Column("origin", Words, nullable=False),
    sa.Column("reason", Words, nullable=False),
    sa.Column("at", Words, nullable=False),
)

EXPERIMENTS = sa.Table(
    "experiments",
    METADATA,
    sa.Column("seq", sa.Integer, primary_key=True),
    sa.Column("name", Words, nullable=False),
    sa.Column("subject", Words, nullable=False),
    sa.Column("hypothesis", Words, nullable=False),
    sa.Column("parameters", Words, nullable=False),
    sa.Column("result", Words, nullable=False),
    sa.Column("at", Words, nullable=False),
)

AGENT_HEALTH = sa.Table(
    "agent_health",
    METADATA,
    sa.Column("agent", Words, primary_key=True),
    sa.Column("day", sa.Date, primary_key=True),
    sa.Column("route", Words, primary_key=True),
    sa.Column("answers", sa.Integer, nullable=False),
    sa.Column("replays", sa.Integer, nullable=False),
    sa.Column("failures", sa.Integer, nullable=False),
    sa.Column("cost", CallUsd, nullable=False),
    sa.Column("latency_ms", sa.BigInteger, nullable=False),
    sa.Column("at", Words, nullable=False),
)

EVALUATIONS = sa.Table(
    "evaluations",
    METADATA,
    sa.Column("seq", sa.Integer, primary_key=True),
    sa.Column("book", Words, nullable=False),
    sa.Column("session", sa.Date, nullable=False),
    sa.Column("measures", Words, nullable=False),
    sa.Column("digest", Words, nullable=False),
    sa.Column("at", Words, nullable=False),
    sa.UniqueConstraint("book", "session", "digest", name="one_evaluation_per_content"),
)
