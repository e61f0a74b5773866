"""Bars, orders and books that the tests of matching share: made ones, in hand-computable numbers."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from trading_assets.core.calendar import XNYS, Session
from trading_assets.execution.book import place
from trading_assets.execution.matching import Matched, match_session
from trading_assets.execution.model import (
    OPENING,
    Book,
    Costs,
    Order,
    OrderRole,
    OrderType,
    Position,
    PriceBar,
    Side,
    TimeInForce,
)

SESSIONS: tuple[Session, ...] = XNYS.sessions(XNYS.days[6000], XNYS.days[6060])
FREE = Costs(Decimal(0), Decimal(0), Decimal(1), Decimal(0), Decimal(1))
RETAIL = Costs(Decimal("0.005"), Decimal(1), Decimal("0.01"), Decimal(2), Decimal("0.05"))


def bar(prices: str, *, symbol: str = "AAA", day: int = 0, volume: int = 1_000_000) -> PriceBar:
    """A session's bar from "open high low close"."""
    first, high, low, last = (Decimal(word) for word in prices.split())
    session = SESSIONS[day]
    return PriceBar(symbol, session.day, session.open, session.close, first, high, low, last, volume)


def order(
    id: str,  # noqa: A002
    role: OrderRole = "entry",
    type: OrderType = "market",  # noqa: A002
    quantity: int = 100,
    *,
    side: Side | None = None,
    limit: str | None = None,
    stop: str | None = None,
    symbol: str = "AAA",
    day: int = 0,
    at: datetime | None = None,
    tif: TimeInForce = "gtc",
) -> Order:
    """An order placed at a session's open; what opens buys and everything else sells, unless a side is given."""
    return Order(
        id=id,
        intent_id=id.partition("-")[0],
        symbol=symbol,
        side=side or ("buy" if role in OPENING else "sell"),
        type=type,
        role=role,
        quantity=quantity,
        placed_at=at or SESSIONS[day].open,
        session=SESSIONS[day].day,
        time_in_force=tif,
        limit_price=Decimal(limit) if limit else None,
        stop_price=Decimal(stop) if stop else None,
    )


def bracket(
    entry: Order, *, stop: str | None = "95", target: str | None = "110", close: bool = False
) -> tuple[Order, ...]:
    """An entry with its children."""
    legs: list[Order] = []
    if stop:
        legs.append(order(f"{entry.intent_id}-stop", "stop", "stop", stop=stop))
    if target:
        legs.append(order(f"{entry.intent_id}-target", "target", "limit", limit=target))
    if close:
        legs.append(order(f"{entry.intent_id}-close", "close", tif="day"))
    side: Side = "sell" if entry.side == "buy" else "buy"
    common = {"side": side, "quantity": entry.quantity, "symbol": entry.symbol, "placed_at": entry.placed_at}
    return (entry, *(replace(leg, parent_id=entry.id, status="held", **common) for leg in legs))  # type: ignore[arg-type]


def book(*orders: Order, cash: str | int = 100_000, held: Mapping[str, int] | None = None, cost: int = 100) -> Book:
    """A book with cash, positions bought or sold short at `cost` per share, and orders placed."""
    positions = {symbol: Position(symbol, count, Decimal(cost * count)) for symbol, count in (held or {}).items()}
    return place(Book(Decimal(cash), positions), orders)


def run(start: Book, bars: Iterable[PriceBar], costs: Costs = FREE, *, session_ends: bool = True) -> list[Matched]:
    """Matches one bar after another, carrying the book."""
    results = []
    for each in bars:
        matched = match_session(start, {each.symbol: each}, costs, session_ends=session_ends)
        start = matched.book
        results.append(matched)
    return results


def one(start: Book, prices: str, costs: Costs = FREE, *, volume: int = 1_000_000) -> Matched:
    """Matches the first session's bar."""
    return run(start, [bar(prices, volume=volume)], costs)[0]


def told(matched: Matched) -> list[tuple[str, int, str, str]]:
    """Fills as (order, quantity, price, reason)."""
    return [(fill.order_id, fill.quantity, str(fill.price), fill.reason) for fill in matched.fills]


def why(matched: Matched) -> dict[str, str]:
    """Cancelled orders and their reasons."""
    return {closed.id: closed.reason for closed in matched.cancelled}
