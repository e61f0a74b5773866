"""The first ledger: decisions, intents, orders, fills, dividends, closes, halts, acknowledgements and gate verdicts."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

Words = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Creates the tables."""
    op.create_table(
        "decisions",
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
        sa.UniqueConstraint("book", "session", "slot", name="one_decision_per_slot"),
    )
    op.create_table(
        "intents",
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
    )
    op.create_table(
        "orders",
        sa.Column("seq", sa.Integer, primary_key=True),
        sa.Column("id", Words, nullable=False, unique=True),
        sa.Column("book", Words, nullable=False),
        sa.Column("intent_id", Words, sa.ForeignKey("intents.id"), nullable=False),
        sa.Column("session", sa.Date, nullable=False),
        sa.Column("placed", Words, nullable=False),
    )
    op.create_table(
        "fills",
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
        sa.Column("price", sa.BigInteger, nullable=False),
        sa.Column("fee", sa.BigInteger, nullable=False),
        sa.Column("at", Words, nullable=False),
        sa.Column("reason", Words, nullable=False),
        sa.UniqueConstraint("book", "id", name="one_booking_per_execution"),
    )
    _create_results()


def _create_results() -> None:
    op.create_table(
        "dividends",
        sa.Column("seq", sa.Integer, primary_key=True),
        sa.Column("book", Words, nullable=False),
        sa.Column("session", sa.Date, nullable=False),
        sa.Column("symbol", Words, nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("book", "session", "symbol", name="one_dividend_per_session"),
    )
    op.create_table(
        "closes",
        sa.Column("seq", sa.Integer, primary_key=True),
        sa.Column("book", Words, nullable=False),
        sa.Column("session", sa.Date, nullable=False),
        sa.Column("cash", sa.BigInteger, nullable=False),
        sa.Column("equity", sa.BigInteger, nullable=False),
        sa.Column("fees", sa.BigInteger, nullable=False),
        sa.Column("dividends", sa.BigInteger, nullable=False),
        sa.Column("traded_value", sa.BigInteger, nullable=False),
        sa.Column("state", Words, nullable=False),
        sa.UniqueConstraint("book", "session", name="one_close_per_session"),
    )
    op.create_table(
        "halts",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("book", Words, nullable=False),
        sa.Column("cause", Words, nullable=False),
        sa.Column("at", Words, nullable=False),
    )
    op.create_table(
        "acknowledgements",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("halt_id", sa.Integer, sa.ForeignKey("halts.id"), nullable=False, unique=True),
        sa.Column("reason", Words, nullable=False),
        sa.Column("at", Words, nullable=False),
    )
    op.create_table(
        "gates",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("table_name", Words, nullable=False),
        sa.Column("session", sa.Date, nullable=False),
        sa.Column("version", Words, nullable=False),
        sa.Column("passed", sa.Boolean, nullable=False),
        sa.Column("failures", Words, nullable=False),
        sa.Column("at", Words, nullable=False),
    )
    op.create_index("gates_by_session", "gates", ["table_name", "session"])


def downgrade() -> None:
    """There is no way back from the first ledger."""
    raise RuntimeError("a ledger is never downgraded; restore the backup of the older version")
