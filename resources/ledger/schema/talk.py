"""The bus and the journal: what was said to whom, and what a person must be able to read later."""

import sqlalchemy as sa

from resources.ledger.schema.columns import METADATA, Serial, Words

MESSAGES = sa.Table(
    "messages",
    METADATA,
    sa.Column("id", Serial, primary_key=True),
    sa.Column("book", Words, nullable=False),
    sa.Column("session", sa.Date, nullable=False),
    sa.Column("at", Words, nullable=False),
    sa.Column("sender", Words, nullable=False),
    sa.Column("recipient", Words),
    sa.Column("topic", Words, nullable=False),
    sa.Column("payload", Words, nullable=False),
    sa.Column("correlation_id", Words, nullable=False),
    sa.Column("signature", Words),
    sa.Index("messages_by_topic", "topic", "id"),
    sa.Index("messages_by_session", "session", "id"),
    # An archived message's id must never come back.
    sqlite_autoincrement=True,
)

CURSORS = sa.Table(
    "cursors",
    METADATA,
    sa.Column("consumer", Words, primary_key=True),
    sa.Column("position", sa.BigInteger, nullable=False),
    sa.Column("at", Words, nullable=False),
)

LISTENERS = sa.Table(
    "listeners",
    METADATA,
    sa.Column("port", sa.Integer, primary_key=True),
    sa.Column("consumer", Words, nullable=False),
    sa.Column("pid", sa.Integer, nullable=False),
    sa.Column("at", Words, nullable=False),
)

JOURNAL = sa.Table(
    "journal",
    METADATA,
    sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("book", Words, nullable=False),
    sa.Column("session", sa.Date, nullable=False),
    sa.Column("at", Words, nullable=False),
    sa.Column("kind", Words, nullable=False),
    sa.Column("symbol", Words, nullable=False),
    sa.Column("title", Words, nullable=False),
    sa.Column("body", Words, nullable=False),
    sa.Column("correlation_id", Words, nullable=False),
    sa.Column("previous", Words, nullable=False),
    sa.Column("hash", Words, nullable=False),
    sa.Index("journal_by_session", "session", "seq"),
    sa.Index("journal_by_correlation", "correlation_id"),
    sa.Index("journal_by_symbol", "symbol", "seq"),
)
