"""What was decided, ordered, filled and halted. Unique indexes make repetition harmless."""

import sqlalchemy as sa

from resources.ledger.schema.columns import METADATA, Usd, Words

DECISIONS = sa.Table(
    "decisions",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("book", Words, nullable=False),
    sa.Column("session", sa.Date, nullable=False),
    sa.Column("slot", Words, nullable=False),
    sa.Column("as_of", Words, nullable=False),
    sa.Column("state", Words, nullable=False),
    sa.Column("reason", Words, nullable=False),
    sa.Column("plans", sa.Integer, nullable=False),
    sa.Column("vetoes", sa.Integer, nullable=False),
    sa.Column("limits_hash", Words, nullable=False),
    sa.Column("mind_digest", Words, nullable=False, server_default=sa.text("''")),
    sa.UniqueConstraint("book", "session", "slot", name="one_decision_per_slot"),
)

INTENTS = sa.Table(
    "intents",
    METADATA,
    sa.Column("seq", sa.Integer, primary_key=True),
    sa.Column("id", Words, nullable=False, unique=True),
    sa.Column("book", Words, nullable=False),
    sa.Column("session", sa.Date, nullable=False),
    sa.Column("slot", Words, nullable=False),
    sa.Column("strategy", Words, nullable=False),
    sa.Column("symbol", Words, nullable=False),
    sa.Column("action", Words, nullable=False),
    sa.Column("quantity", sa.Integer, nullable=False),
    sa.Column("plan", Words, nullable=False),
    sa.Column("plan_digest", Words, nullable=False),
    sa.Column("verdict", Words, nullable=False),
    sa.Column("limits_hash", Words, nullable=False),
    sa.UniqueConstraint("book", "session", "slot", "strategy", "symbol", name="one_intent_per_idea"),
    sa.Index("intents_by_symbol", "book", "symbol", "seq"),
)

ORDERS = sa.Table(
    "orders",
    METADATA,
    sa.Column("seq", sa.Integer, primary_key=True),
    sa.Column("id", Words, nullable=False, unique=True),
    sa.Column("book", Words, nullable=False),
    sa.Column("intent_id", Words, sa.ForeignKey("intents.id"), nullable=False),
    sa.Column("session", sa.Date, nullable=False),
    sa.Column("placed", Words, nullable=False),
)

FILLS = sa.Table(
    "fills",
    METADATA,
    sa.Column("seq", sa.Integer, primary_key=True),
    sa.Column("id", Words, nullable=False),
    sa.Column("book", Words, nullable=False),
    sa.Column("order_id", Words, sa.ForeignKey("orders.id"), nullable=False),
    sa.Column("intent_id", Words, nullable=False),
    sa.Column("session", sa.Date, nullable=False),
    sa.Column("symbol", Words, nullable=False),
    sa.Column("side", Words, nullable=False),
    sa.Column("role", Words, nullable=False),
    sa.Column("quantity", sa.Integer, nullable=False),
    sa.Column("price", Usd, nullable=False),
    sa.Column("fee", Usd, nullable=False),
    sa.Column("at", Words, nullable=False),
    sa.Column("reason", Words, nullable=False),
    sa.UniqueConstraint("book", "id", name="one_booking_per_execution"),
    sa.Index("fills_by_session", "book", "session"),
    sa.Index("fills_by_symbol", "book", "symbol", "seq"),
)

DIVIDENDS = sa.Table(
    "dividends",
    METADATA,
    sa.Column("seq", sa.Integer, primary_key=True),
    sa.Column("book", Words, nullable=False),
    sa.Column("session", sa.Date, nullable=False),
    sa.Column("symbol", Words, nullable=False),
    sa.Column("amount", Usd, nullable=False),
    sa.UniqueConstraint("book", "session", "symbol", name="one_dividend_per_session"),
    sa.Index("dividends_by_symbol", "book", "symbol", "seq"),
)

CLOSES = sa.Table(
    "closes",
    METADATA,
    sa.Column("seq", sa.Integer, primary_key=True),
    sa.Column("book", Words, nullable=False),
    sa.Column("session", sa.Date, nullable=False),
    sa.Column("cash", Usd, nullable=False),
    sa.Column("equity", Usd, nullable=False),
    sa.Column("fees", Usd, nullable=False),
    sa.Column("dividends", Usd, nullable=False),
    sa.Column("traded_value", Usd, nullable=False),
    sa.Column("state", Words, nullable=False),
    sa.UniqueConstraint("book", "session", name="one_close_per_session"),
)

HALTS = sa.Table(
    "halts",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("book", Words, nullable=False),
    sa.Column("cause", Words, nullable=False),
    sa.Column("at", Words, nullable=False),
)

ACKNOWLEDGEMENTS = sa.Table(
    "acknowledgements",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("halt_id", sa.Integer, sa.ForeignKey("halts.id"), nullable=False, unique=True),
    sa.Column("reason", Words, nullable=False),
    sa.Column("at", Words, nullable=False),
)

SIGNATURES = sa.Table(
    "signatures",
    METADATA,
    sa.Column("seq", sa.Integer, primary_key=True),
    sa.Column("book", Words, nullable=False),
    sa.Column("session", sa.Date, nullable=False),
    sa.Column("slot", Words, nullable=False),
    sa.Column("plan_id", Words, nullable=False),
    sa.Column("plan_digest", Words, nullable=False),
    sa.Column("signer", Words, nullable=False),
    sa.Column("ruling", Words, nullable=False),
    sa.Column("quantity", sa.Integer, nullable=False),
    sa.Column("verdict", Words, nullable=False),
    sa.Column("at", Words, nullable=False),
    sa.UniqueConstraint("book", "plan_id", "signer", name="one_ruling_per_signer"),
)

POSITIONS = sa.Table(
    "positions",
    METADATA,
    sa.Column("book", Words, primary_key=True),
    sa.Column("symbol", Words, primary_key=True),
    sa.Column("session", sa.Date, nullable=False),
    sa.Column("quantity", sa.Integer, nullable=False),
    sa.Column("cost", Usd, nullable=False),
    sa.Column("price", Usd, nullable=False),
)
