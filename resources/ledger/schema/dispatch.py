"""Orders at a broker: where each intent stands, what was sent, and what the broker said. Broker truth is append-only."""

import sqlalchemy as sa

from resources.ledger.schema.columns import METADATA, Usd, Words

INTENT_STATES = sa.Table(
    "intent_states",
    METADATA,
    sa.Column("intent_id", Words, sa.ForeignKey("intents.id"), primary_key=True),
    sa.Column("book", Words, nullable=False),
    sa.Column("state", Words, nullable=False),
    sa.Column("why", Words, nullable=False),
    sa.Column("opens", sa.Boolean, nullable=False),
    sa.Column("token", sa.BigInteger, nullable=False),
    sa.Column("submitted_at", Words),
    sa.Column("sent_at", Words),
    sa.Column("sent_bytes", sa.BigInteger),
    sa.Column("absences", sa.Integer, nullable=False),
    sa.Column("at", Words, nullable=False),
    sa.Index("intents_by_state", "book", "state"),
)

INTENT_HISTORY = sa.Table(
    "intent_history",
    METADATA,
    sa.Column("seq", sa.Integer, primary_key=True),
    sa.Column("book", Words, nullable=False),
    sa.Column("intent_id", Words, sa.ForeignKey("intents.id"), nullable=False),
    sa.Column("state", Words, nullable=False),
    sa.Column("why", Words, nullable=False),
    sa.Column("token", sa.BigInteger, nullable=False),
    sa.Column("at", Words, nullable=False),
    sa.Index("history_by_intent", "intent_id", "seq"),
)

SEALS = sa.Table(
    "seals",
    METADATA,
    sa.Column("seq", sa.Integer, primary_key=True),
    sa.Column("book", Words, nullable=False),
    sa.Column("intent_id", Words, sa.ForeignKey("intents.id"), nullable=False),
    sa.Column("signer", Words, nullable=False),
    sa.Column("seal", Words, nullable=False),
    sa.Column("at", Words, nullable=False),
    sa.UniqueConstraint("intent_id", "signer", name="one_seal_per_signer"),
)

LEGS = sa.Table(
    "legs",
    METADATA,
    sa.Column("key", Words, sa.ForeignKey("orders.id"), primary_key=True),
    sa.Column("book", Words, nullable=False),
    sa.Column("intent_id", Words, sa.ForeignKey("intents.id"), nullable=False),
    sa.Column("role", Words, nullable=False),
    sa.Column("symbol", Words, nullable=False),
    sa.Column("con_id", sa.BigInteger, nullable=False),
    sa.Column("side", Words, nullable=False),
    sa.Column("kind", Words, nullable=False),
    sa.Column("quantity", sa.Integer, nullable=False),
    sa.Column("state", Words, nullable=False),
    sa.Column("why", Words, nullable=False),
    sa.Column("order_id", sa.BigInteger, nullable=False),
    sa.Column("client_id", sa.Integer, nullable=False),
    sa.Column("limit_price", Usd),
    sa.Column("stop_price", Usd),
    sa.Column("parent_key", Words, nullable=False),
    sa.Column("oca_group", Words, nullable=False),
    sa.Column("token", sa.BigInteger, nullable=False),
    sa.Column("sent_at", Words, nullable=False),
    sa.Column("at", Words, nullable=False),
    sa.UniqueConstraint("book", "client_id", "order_id", name="one_order_per_number"),
    sa.Index("legs_by_intent", "intent_id"),
    sa.Index("legs_by_number", "client_id", "order_id"),
    sa.Index("legs_by_state", "book", "state"),
    sa.Index("legs_by_time", "book", "sent_at"),
)

PERM_IDS = sa.Table(
    "perm_ids",
    METADATA,
    sa.Column("book", Words, primary_key=True),
    sa.Column("perm_id", sa.BigInteger, primary_key=True),
    sa.Column("key", Words, sa.ForeignKey("legs.key"), nullable=False),
    sa.Column("at", Words, nullable=False),
    sa.Index("perm_ids_by_key", "key"),
)

EXECUTIONS = sa.Table(
    "executions",
    METADATA,
    sa.Column("seq", sa.Integer, primary_key=True),
    sa.Column("book", Words, nullable=False),
    sa.Column("exec_id", Words, nullable=False),
    sa.Column("perm_id", sa.BigInteger, nullable=False),
    sa.Column("order_id", sa.BigInteger, nullable=False),
    sa.Column("client_id", sa.Integer, nullable=False),
    sa.Column("ref", Words, nullable=False),
    sa.Column("leg_key", Words, nullable=False),
    sa.Column("intent_id", Words, nullable=False),
    sa.Column("account", Words, nullable=False),
    sa.Column("session", sa.Date, nullable=False),
    sa.Column("symbol", Words, nullable=False),
    sa.Column("con_id", sa.BigInteger, nullable=False),
    sa.Column("side", Words, nullable=False),
    sa.Column("quantity", Words, nullable=False),
    sa.Column("price", Words, nullable=False),
    sa.Column("executed_at", Words, nullable=False),
    sa.Column("liquidation", sa.Boolean, nullable=False),
    sa.Column("replaces", Words, nullable=False),
    sa.Column("busts", Words, nullable=False),
    sa.Column("at", Words, nullable=False),
    sa.UniqueConstraint("book", "exec_id", name="one_row_per_execution"),
    sa.Index("executions_by_session", "book", "session"),
    sa.Index("executions_by_leg", "leg_key"),
    sa.Index("executions_by_symbol", "book", "symbol"),
)

EXECUTION_FEES = sa.Table(
    "execution_fees",
    METADATA,
    sa.Column("seq", sa.Integer, primary_key=True),
    sa.Column("book", Words, nullable=False),
    sa.Column("exec_id", Words, nullable=False),
    sa.Column("amount", Usd, nullable=False),
    sa.Column("currency", Words, nullable=False),
    sa.Column("at", Words, nullable=False),
    sa.UniqueConstraint("book", "exec_id", name="one_fee_per_execution"),
)

ADOPTIONS = sa.Table(
    "adoptions",
    METADATA,
    sa.Column("seq", sa.Integer, primary_key=True),
    sa.Column("book", Words, nullable=False),
    sa.Column("account", Words, nullable=False),
    sa.Column("symbol", Words, nullable=False),
    sa.Column("con_id", sa.BigInteger, nullable=False),
    sa.Column("quantity", Words, nullable=False),
    sa.Column("average_cost", Words, nullable=False),
    sa.Column("cash", Usd),
    sa.Column("through", sa.Integer, nullable=False),
    sa.Column("why", Words, nullable=False),
    sa.Column("at", Words, nullable=False),
    sa.Index("adoptions_by_book", "book", "seq"),
)

FOREIGN_ORDERS = sa.Table(
    "foreign_orders",
    METADATA,
    sa.Column("book", Words, primary_key=True),
    sa.Column("perm_id", sa.BigInteger, primary_key=True),
    sa.Column("report", Words, nullable=False),
    sa.Column("at", Words, nullable=False),
)

SNAPSHOTS = sa.Table(
    "snapshots",
    METADATA,
    sa.Column("book", Words, primary_key=True),
    sa.Column("at", Words, nullable=False),
    sa.Column("token", sa.BigInteger, nullable=False),
    sa.Column("agrees", sa.Boolean, nullable=False),
    sa.Column("equity", Usd),
    sa.Column("cash", Usd),
    sa.Column("day", sa.Date, nullable=False),
    sa.Column("day_open", Usd),
    sa.Column("peak", Usd),
    sa.Column("state", Words, nullable=False),
)

CONTRACTS = sa.Table(
    "contracts",
    METADATA,
    sa.Column("book", Words, primary_key=True),
    sa.Column("symbol", Words, primary_key=True),
    sa.Column("con_id", sa.BigInteger, nullable=False),
    sa.Column("contract", Words, nullable=False),
    sa.Column("at", Words, nullable=False),
)

PAGES = sa.Table(
    "pages",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("book", Words, nullable=False),
    sa.Column("severity", Words, nullable=False),
    sa.Column("code", Words, nullable=False),
    sa.Column("sentence", Words, nullable=False),
    sa.Column("raised_at", Words, nullable=False),
    sa.Column("sent_at", Words),
    sa.Column("sends", sa.Integer, nullable=False),
    sa.Column("answered_at", Words),
    sa.Column("answer", Words, nullable=False),
)

PERMITS = sa.Table(
    "permits",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("kind", Words, nullable=False),
    sa.Column("account", Words, nullable=False),
    sa.Column("limits_hash", Words, nullable=False),
    sa.Column("evidence", Words, nullable=False),
    sa.Column("phrase", Words, nullable=False),
    sa.Column("at", Words, nullable=False),
    sa.Column("until", Words, nullable=False),
)
