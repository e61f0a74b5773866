"""Orders, fills, the book and the tables that show them.

Prices and cash are Decimal USD with four places, quantities whole shares. A short position has a negative quantity, and as its
cost the negative of what its sale brought in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Literal

from trading_assets.core.settings import Paper
from trading_assets.core.tables import KNOWABLE_AT, SESSION, SYMBOL, Column, Table

Side = Literal["buy", "sell"]
OrderType = Literal["market", "limit", "stop"]
OrderRole = Literal["entry", "addition", "stop", "target", "close", "exit"]
TimeInForce = Literal["day", "gtc"]
OPENING: frozenset[OrderRole] = frozenset({"entry", "addition"})
OrderStatus = Literal["held", "working", "filled", "cancelled"]


@dataclass(frozen=True, slots=True)
class Order:
    """One order at the paper broker.

    Args:
        id: Unique; the entry's id plus the role for its children.
        intent_id: The ledger's intent that this order belongs to.
        placed_at: UTC instant; only bars that start at or after it can fill the order.
        limit_price: For limit orders, USD.
        stop_price: For stop orders, USD.
        role: An entry opens a position, an addition enlarges one that is held; every other role only reduces. `close` trades at the
            session's close.
        parent_id: The entry that must fill first; until then the order is held.
        quantity: Shares still wanted plus shares already filled.
        filled: Shares filled so far.
        fills: Executions so far; it numbers the next one, so that re-matching gives the same fill ids.
        reason: Why the order was cancelled; empty otherwise.
    """

    id: str
    intent_id: str
    symbol: str
    side: Side
    type: OrderType
    role: OrderRole
    quantity: int
    placed_at: datetime
    session: date
    time_in_force: TimeInForce
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    parent_id: str | None = None
    filled: int = 0
    status: OrderStatus = "working"
    fills: int = 0
    reason: str = ""

    @property
    def opens(self) -> bool:
        """True for what opens or enlarges a position."""
        return self.role in OPENING

    @property
    def open_quantity(self) -> int:
        """Shares that can still fill."""
        return self.quantity - self.filled if self.status in {"held", "working"} else 0


@dataclass(frozen=True, slots=True)
class Fill:
    """One execution. `id` is made from the order and the fill's number, so that the same event books once."""

    id: str
    order_id: str
    intent_id: str
    symbol: str
    side: Side
    role: OrderRole
    quantity: int
    price: Decimal
    fee: Decimal
    session: date
    at: datetime
    reason: str

    @property
    def opens(self) -> bool:
        """True for what opened or enlarged a position."""
        return self.role in OPENING

    @property
    def cash(self) -> Decimal:
        """What the fill adds to cash, fee included, USD."""
        gross = self.price * self.quantity
        return -gross - self.fee if self.side == "buy" else gross - self.fee


@dataclass(frozen=True, slots=True)
class PriceBar:
    """A daily or intraday bar as the matching engine sees it: exact prices, whole shares."""

    symbol: str
    session: date
    start: datetime
    end: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: int


@dataclass(frozen=True, slots=True)
class Costs:
    """What trading costs at the paper broker. Slippage applies to market and stop orders."""

    fee_per_share: Decimal
    fee_min: Decimal
    fee_fraction_max: Decimal
    slippage_bp: Decimal
    volume_share_max: Decimal

    @classmethod
    def of(cls, paper: Paper) -> Costs:
        """As the settings have them."""
        return cls(
            fee_per_share=Decimal(str(paper.fee_usd_per_share)),
            fee_min=Decimal(str(paper.fee_usd_min)),
            fee_fraction_max=Decimal(str(paper.fee_fraction_max)),
            slippage_bp=Decimal(str(paper.slippage_bp)),
            volume_share_max=Decimal(str(paper.volume_share_max)),
        )


@dataclass(frozen=True, slots=True)
class Position:
    """Shares held and what they cost, fees included.

    A short position has a negative quantity, and its cost is the negative of the proceeds after fees: so the market value less the
    cost is the unrealised profit on both sides.
    """

    symbol: str
    quantity: int
    cost: Decimal

    @property
    def average_cost(self) -> Decimal:
        """What a share cost, or brought in when it was sold short, fees included, USD: where closing it earns nothing."""
        return self.cost / self.quantity


@dataclass(frozen=True, slots=True)
class Book:
    """The whole state of an account at the paper broker: a value, replaced and never changed."""

    cash: Decimal
    positions: Mapping[str, Position] = field(default_factory=dict)
    orders: Mapping[str, Order] = field(default_factory=dict)

    @property
    def buying_power(self) -> Decimal:
        """Cash less what the short sales brought in, USD: that money stands against the shares that are owed."""
        return self.cash + sum((p.cost for p in self.positions.values() if p.quantity < 0), Decimal(0))

    def market_value(self, prices: Mapping[str, Decimal]) -> Decimal:
        """Value of all positions at `prices`, USD, shorts below zero; a missing price raises KeyError."""
        return sum((prices[p.symbol] * p.quantity for p in self.positions.values()), Decimal(0))

    def equity(self, prices: Mapping[str, Decimal]) -> Decimal:
        """Cash plus market value, USD."""
        return self.cash + self.market_value(prices)


_LANE_ROW = (
    Column("slot", "text", "Decision time, New York HH:MM; HH:MM:SS for a look that an event caused."),
    Column("strategy", "text", "Strategy that asked for the trade."),
)

ORDERS = Table(
    name="orders",
    doc="One order handed to the broker by a decision.",
    key=("session", "order_id"),
    columns=(
        SESSION,
        *_LANE_ROW,
        Column("order_id", "text", "Broker-side id, made from the intent."),
        Column("intent_id", "text", "The intent in the ledger."),
        SYMBOL,
        Column("side", "text", "buy or sell."),
        Column("type", "text", "market, limit or stop."),
        Column("role", "text", "entry, addition, stop, target, close or exit."),
        Column("quantity", "count", "Shares."),
        Column("limit_price", "usd", "USD.", nullable=True),
        Column("stop_price", "usd", "USD.", nullable=True),
        Column("time_in_force", "text", "day or gtc."),
        KNOWABLE_AT,
    ),
)

FILLS = Table(
    name="fills",
    doc="One execution, as the ledger has it.",
    key=("session", "fill_id"),
    columns=(
        SESSION,
        Column("fill_id", "text", "Unique execution id."),
        Column("order_id", "text", "The order that it filled."),
        Column("intent_id", "text", "The intent in the ledger."),
        SYMBOL,
        Column("side", "text", "buy or sell."),
        Column("role", "text", "entry, addition, stop, target, close or exit."),
        Column("quantity", "count", "Shares."),
        Column("price", "usd", "USD per share."),
        Column("fee", "usd", "USD."),
        Column("reason", "text", "Why it filled there: open, limit, stop, gap or close."),
        Column("at", "instant", "UTC instant that the fill is booked at."),
        KNOWABLE_AT,
    ),
)

POSITIONS = Table(
    name="positions",
    doc="Shares held, or owed, at a session's close.",
    key=("session", "symbol"),
    columns=(
        SESSION,
        SYMBOL,
        Column("quantity", "count", "Shares; negative for a short position."),
        Column("cost", "usd", "What they cost, fees included; the negative of the proceeds for a short position, USD."),
        Column("close", "usd", "Close of the session, USD as traded."),
        Column("market_value", "usd", "Quantity times close, USD."),
        Column("unrealised_pnl", "usd", "Market value minus cost, USD."),
        KNOWABLE_AT,
    ),
)

ACCOUNT = Table(
    name="account",
    doc="The book's totals at a session's close.",
    key=("session",),
    columns=(
        SESSION,
        Column("cash", "usd", "USD."),
        Column("market_value", "usd", "Value of all positions, USD."),
        Column("equity", "usd", "Cash plus market value, USD."),
        Column("fees", "usd", "Fees booked in the session, USD."),
        Column("dividends", "usd", "Dividends booked in the session, those paid on shorts deducted, USD."),
        Column("traded_value", "usd", "Sum of price times quantity over the session's fills, USD."),
        Column("positions", "count", "Symbols held at the close."),
        Column("decisions", "count", "Slots decided in the session."),
        Column("plans", "count", "Plans made in the session."),
        Column("vetoes", "count", "Plans refused in the session."),
        KNOWABLE_AT,
    ),
)

TRADES = Table(
    name="trades",
    doc="A round trip, from flat to flat in one symbol, in the session that closed it.",
    key=("session", "trade_id"),
    columns=(
        SESSION,
        Column("trade_id", "text", "Id of the intent that opened it."),
        SYMBOL,
        Column("side", "text", "long or short."),
        Column("strategy", "text", "Strategy that opened it."),
        Column("regime", "text", "The symbol's regime when it was opened."),
        Column("opened", "day", "Session of the first entry fill."),
        Column("quantity", "count", "Shares bought, or sold short, in the share count of the exit."),
        Column("entry_price", "usd", "Average entry, USD, in the share count of the exit."),
        Column("exit_price", "usd", "Average exit, USD."),
        Column("stop_price", "usd", "Planned stop, USD, in the share count of the exit."),
        Column("fees", "usd", "Entry and exit fees, USD."),
        Column("dividends", "usd", "Dividends received while held; negative where a short paid them, USD."),
        Column("pnl", "usd", "Profit after fees and dividends, USD."),
        Column("return_fraction", "number", "P&L over the entry's value and fees."),
        Column("sessions_held", "count", "Sessions from entry to exit, the entry's included."),
        Column("exit_reason", "text", "stop, target, close or exit."),
        KNOWABLE_AT,
    ),
)
