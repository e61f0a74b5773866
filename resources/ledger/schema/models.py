"""What models were asked, what they answered, what it cost, and which routes may be asked now."""

import sqlalchemy as sa

from resources.ledger.schema.columns import METADATA, CallUsd, Serial, Words

MODEL_CALLS = sa.Table(
    "model_calls",
    METADATA,
    sa.Column("id", Serial, primary_key=True),
    sa.Column("reservation", Words, nullable=False, unique=True),
    sa.Column("at", Words, nullable=False),
    sa.Column("day", sa.Date, nullable=False),
    sa.Column("lane", Words, nullable=False),
    sa.Column("decision", Words, nullable=False),
    sa.Column("backfill", Words, nullable=False),
    sa.Column("skill", Words, nullable=False),
    sa.Column("skill_hash", Words, nullable=False),
    sa.Column("route", Words, nullable=False),
    sa.Column("model", Words, nullable=False),
    sa.Column("outcome", Words, nullable=False),
    sa.Column("input_tokens", sa.Integer, nullable=False),
    sa.Column("cached_tokens", sa.Integer, nullable=False),
    sa.Column("output_tokens", sa.Integer, nullable=False),
    sa.Column("cost", CallUsd, nullable=False),
    sa.Column("shadow_cost", CallUsd, nullable=False),
    sa.Column("latency_ms", sa.Integer, nullable=False),
    sa.Column("answer_key", Words, nullable=False),
    sa.Column("error", Words, nullable=False),
    sa.Index("model_calls_by_day", "day", "id"),
    sa.Index("model_calls_by_decision", "decision"),
    sa.Index("model_calls_by_answer", "answer_key"),
)

POCKETS = sa.Table(
    "pockets",
    METADATA,
    sa.Column("name", Words, primary_key=True),
    sa.Column("spent", CallUsd, nullable=False),
    sa.Column("reserved", CallUsd, nullable=False),
    sa.Column("calls", sa.Integer, nullable=False),
)

RESERVATIONS = sa.Table(
    "reservations",
    METADATA,
    sa.Column("id", Words, primary_key=True),
    sa.Column("amount", CallUsd, nullable=False),
    sa.Column("pockets", Words, nullable=False),
    sa.Column("call", Words, nullable=False),
    sa.Column("at", Words, nullable=False),
    sa.Column("until", Words, nullable=False),
)

ANSWERS = sa.Table(
    "answers",
    METADATA,
    sa.Column("key", Words, primary_key=True),
    sa.Column("route", Words, nullable=False),
    sa.Column("model", Words, nullable=False),
    sa.Column("skill", Words, nullable=False),
    sa.Column("skill_hash", Words, nullable=False),
    sa.Column("request", Words, nullable=False),
    sa.Column("response", Words, nullable=False),
    sa.Column("digest", Words, nullable=False),
    sa.Column("at", Words, nullable=False),
)

BATCHES = sa.Table(
    "batches",
    METADATA,
    sa.Column("id", Words, primary_key=True),
    sa.Column("route", Words, nullable=False),
    sa.Column("model", Words, nullable=False),
    sa.Column("state", Words, nullable=False),
    sa.Column("pending", Words, nullable=False),
    sa.Column("requests", Words, nullable=False),
    sa.Column("at", Words, nullable=False),
    sa.Column("collected", Words),
)

BREAKERS = sa.Table(
    "breakers",
    METADATA,
    sa.Column("route", Words, primary_key=True),
    sa.Column("state", Words, nullable=False),
    sa.Column("failures", sa.Integer, nullable=False),
    sa.Column("cooldown_s", sa.Float, nullable=False),
    sa.Column("open_until", Words, nullable=False),
    sa.Column("trial_until", Words, nullable=False),
    sa.Column("reason", Words, nullable=False),
    sa.Column("at", Words, nullable=False),
)
