"""Tables of the ledger. Unique indexes make repetition harmless; money is an exact integer of hundredths of a cent."""

from decimal import Decimal
from fractions import Fraction

import sqlalchemy as sa
from sqlalchemy.engine import Dialect

from trading_assets.core.errors import PermanentFailure
from trading_assets.core.money import PLACES

HEAD = "0001"
_SCALED_MAX = 2**63 - 1


class Usd(sa.types.TypeDecorator[Decimal]):
    """USD with four places, stored as a whole number, so that every database keeps it exactly."""

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> int | None:  # noqa: ARG002
        """To hundredths of a cent; an amount that the column cannot hold to the last place is a bug and is refused."""
        if value is None:
            return None
        if not value.is_finite():
            raise PermanentFailure("an amount that is not finite cannot be booked", value=value)
        # Decimal arithmetic would round to the context's precision before the places can be counted.
        scaled = Fraction(value) * 10**PLACES
        if scaled.denominator != 1:
            raise PermanentFailure("an amount has too many places to be booked", value=value, bound=f"{PLACES} places")
        if abs(scaled) > _SCALED_MAX:
            raise PermanentFailure(
                "an amount is too large to be booked", value=value, bound=f"{_SCALED_MAX} / 10^{PLACES}"
            )
        return int(scaled)

    def process_result_value(self, value: int | None, dialect: Dialect) -> Decimal | None:  # noqa: ARG002
        """Back to USD."""
        return None if value is None else Decimal(value).scaleb(-PLACES)


METADATA = sa.MetaData()

DECISIONS = sa.Table(
    "decisions",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("book", sa.Text, nullable=False),
    sa.Column("session", sa.Date, nullable=False),
    sa.Column("slot", sa.Text, nullable=False),
    sa.Column("as_of", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("plans", sa.Integer, nullable=False),
    sa.Column("vetoes", sa.Integer, nullable=False),
    sa.Column("limits_hash", sa.Text, nullable=False),
    sa.UniqueConstraint("book", "session", "slot", name="one_decision_per_slot"),
)

INTENTS = sa.Table(
    "intents",
    METADATA,
    sa.Column("seq", sa.Integer, primary_key=True),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("book", sa.Text, nullable=False),
    sa.Column("session", sa.Date, nullable=False),
    sa.Column("slot", sa.Text, nullable=False),
    sa.Column("strategy", sa.Text, nullable=False),
    sa.Column("symbol", sa.Text, nullable=False),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("quantity", sa.Integer, nullable=False),
    sa.Column("plan", sa.Text, nullable=False),
    sa.Column("plan_digest", sa.Text, nullable=False),
    sa.Column("verdict", sa.Text, nullable=False),
    sa.Column("limits_hash", sa.Text, nullable=False),
    sa.UniqueConstraint("book", "session", "slot", "strategy", "symbol", name="one_intent_per_idea"),
)

ORDERS = sa.Table(
    "orders",
    METADATA,
    sa.Column("seq", sa.Integer, primary_key=True),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("book", sa.Text, nullable=False),
    sa.Column("intent_id", sa.Text, sa.ForeignKey("intents.id"), nullable=False),
    sa.Column("session", sa.Date, nullable=False),
    sa.Column("placed", sa.Text, nullable=False),
)

FILLS = sa.Table(
    "fills",
    METADATA,
    sa.Column("seq", sa.Integer, primary_key=True),
    sa.Column("id", sa.Text, nullable=False),
    sa.Column("book", sa.Text, nullable=False),
    sa.Column("order_id", sa.Text, sa.ForeignKey("orders.id"), nullable=False),
    sa.Column("intent_id", sa.Text, nullable=False),
    sa.Column("session", sa.Date, nullable=False),
    sa.Column("symbol", sa.Text, nullable=False),
    sa.Column("side", sa.Text, nullable=False),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("quantity", sa.Integer, nullable=False),
    sa.Column("price", Usd, nullable=False),
    sa.Column("fee", Usd, nullable=False),
    sa.Column("at", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.UniqueConstraint("book", "id", name="one_booking_per_execution"),
)

DIVIDENDS = sa.Table(
    "dividends",
    METADATA,
    sa.Column("seq", sa.Integer, primary_key=True),
    sa.Column("book", sa.Text, nullable=False),
    sa.Column("session", sa.Date, nullable=False),
    sa.Column("symbol", sa.Text, nullable=False),
    sa.Column("amount", Usd, nullable=False),
    sa.UniqueConstraint("book", "session", "symbol", name="one_dividend_per_session"),
)

CLOSES = sa.Table(
    "closes",
    METADATA,
    sa.Column("seq", sa.Integer, primary_key=True),
    sa.Column("book", sa.Text, nullable=False),
    sa.Column("session", sa.Date, nullable=False),
    sa.Column("cash", Usd, nullable=False),
    sa.Column("equity", Usd, nullable=False),
    sa.Column("fees", Usd, nullable=False),
    sa.Column("dividends", Usd, nullable=False),
    sa.Column("traded_value", Usd, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.UniqueConstraint("book", "session", name="one_close_per_session"),
)

HALTS = sa.Table(
    "halts",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("book", sa.Text, nullable=False),
    sa.Column("cause", sa.Text, nullable=False),
    sa.Column("at", sa.Text, nullable=False),
)

ACKNOWLEDGEMENTS = sa.Table(
    "acknowledgements",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("halt_id", sa.Integer, sa.ForeignKey("halts.id"), nullable=False, unique=True),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("at", sa.Text, nullable=False),
)

GATES = sa.Table(
    "gates",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("table_name", sa.Text, nullable=False),
    sa.Column("session", sa.Date, nullable=False),
    sa.Column("version", sa.Text, nullable=False),
    sa.Column("passed", sa.Boolean, nullable=False),
    sa.Column("failures", sa.Text, nullable=False),
    sa.Column("at", sa.Text, nullable=False),
    sa.Index("gates_by_session", "table_name", "session"),
)
