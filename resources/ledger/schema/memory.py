"""What is remembered: the mind after each slot, lessons of closed trades, and proposals from outside the cycle."""

import sqlalchemy as sa

from resources.ledger.schema.columns import METADATA, Words

MINDS = sa.Table(
    "minds",
    METADATA,
    sa.Column("seq", sa.Integer, primary_key=True),
    sa.Column("book", Words, nullable=False),
    sa.Column("session", sa.Date, nullable=False),
    sa.Column("slot", Words, nullable=False),
    sa.Column("at", Words, nullable=False),
    sa.Column("mind", Words, nullable=False),
    sa.Column("digest", Words, nullable=False),
    sa.UniqueConstraint("book", "session", "slot", name="one_mind_per_slot"),
    sa.Index("minds_by_instant", "book", "at"),
)

LESSONS = sa.Table(
    "lessons",
    METADATA,
    sa.Column("seq", sa.Integer, primary_key=True),
    sa.Column("book", Words, nullable=False),
    sa.Column("id", Words, nullable=False),
    sa.Column("session", sa.Date, nullable=False),
    sa.Column("resolved_at", Words, nullable=False),
    sa.Column("symbol", Words, nullable=False),
    sa.Column("strategy", Words, nullable=False),
    sa.Column("regime", Words, nullable=False),
    sa.Column("lesson", Words, nullable=False),
    sa.UniqueConstraint("book", "id", name="one_lesson_per_trade"),
    sa.Index("lessons_by_instant", "book", "resolved_at"),
)

PROPOSALS = sa.Table(
    "proposals",
    METADATA,
    sa.Column("seq", sa.Integer, primary_key=True),
    sa.Column("book", Words, nullable=False),
    sa.Column("id", Words, nullable=False),
    sa.Column("at", Words, nullable=False),
    sa.Column("proposal", Words, nullable=False),
    sa.UniqueConstraint("book", "id", name="one_proposal_per_id"),
    sa.Index("proposals_by_instant", "book", "at"),
)
