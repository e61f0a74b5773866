"""The book as plans and signers see it: holdings with their history and protection, and entries that may still fill."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date
from decimal import ROUND_FLOOR, Decimal
from typing import Any

from trading_assets.core.calendar import XNYS
from trading_assets.core.errors import DataNotReady, PermanentFailure
from trading_assets.core.money import share_ratio, usd
from trading_assets.execution.model import Book, Order, Position
from trading_assets.execution.ports import Intent
from trading_assets.execution.settlement import Opening
from trading_assets.plans.portfolio import FOREIGN, Holding, Portfolio
from trading_assets.signatures.exposure import PendingEntry

Row = Mapping[str, Any]


def portfolio_of(
    opening: Opening, entries: Mapping[str, Intent], session: date, *, ratios: Mapping[str, Decimal] | None = None
) -> Portfolio:
    """Holdings valued at the last known prices in today's share count; working entries count at their limits.

    Args:
        entries: By symbol, the intent of the newest entry; a position without one is not the desk's own.
        ratios: By symbol, the splits since that entry (`ratios_since`); a symbol that is left out had none.

    Raises:
        DataNotReady: A position has no known price.
        PermanentFailure: A working entry has no limit, so that the most it may cost is unknown.
    """
    book, since = opening.book, ratios or {}
    holdings = {
        symbol: _holding(position, entries.get(symbol), opening, session, since.get(symbol, Decimal(1)))
        for symbol, position in sorted(book.positions.items())
    }
    working = [order for order in book.orders.values() if order.status == "working"]
    pending = tuple(_pending(order, book) for order in working if order.opens)
    exiting = frozenset(order.symbol for order in working if order.role == "exit")
    return Portfolio(book.cash, holdings, pending, exiting)


def ratios_since(entries: Mapping[str, Intent], actions: Iterable[Row], session: date) -> Mapping[str, Decimal]:
    """New shares per share of each entry's day, for the symbols that split after it and up to a session.

    Args:
        actions: Rows of CORPORATE_ACTIONS, any kinds and days.
    """
    ratios: dict[str, Decimal] = {}
    for row in actions:
        intent = entries.get(row["symbol"])
        if intent is not None and row["kind"] == "split" and intent.session < row["session"] <= session:
            ratios[row["symbol"]] = ratios.get(row["symbol"], Decimal(1)) * share_ratio(row["ratio"])
    return ratios


def _holding(position: Position, intent: Intent | None, opening: Opening, session: date, ratio: Decimal) -> Holding:
    """The widest stop counts, and the nearest target: the most that can be lost, and the first that can be won."""
    price = opening.prices.get(position.symbol)
    if price is None:
        raise DataNotReady(f"no price is known for the position in {position.symbol}", value=position.quantity)
    resting = [o for o in opening.book.orders.values() if o.symbol == position.symbol and o.status == "working"]
    stops = [order.stop_price for order in resting if order.role == "stop" and order.stop_price is not None]
    targets = [order.limit_price for order in resting if order.role == "target" and order.limit_price is not None]
    lowest = position.quantity > 0
    held = Holding(
        symbol=position.symbol,
        quantity=position.quantity,
        value=price * position.quantity,
        strategy=FOREIGN,
        opened=session,
        sessions_held=0,
        entry=usd(position.average_cost),
        stop=(min if lowest else max)(stops, default=None),
        target=(min if lowest else max)(targets, default=None),
    )
    if intent is None:
        return held
    return replace(
        held,
        strategy=intent.plan.strategy,
        opened=intent.session,
        sessions_held=len(XNYS.sessions(intent.session, session)) - 1,
        thesis_id=intent.plan.thesis_id,
        base_quantity=int((intent.quantity * ratio).to_integral_value(rounding=ROUND_FLOOR)),
        pair=intent.plan.pair,
    )


def _pending(order: Order, book: Book) -> PendingEntry:
    """An entry at its limit, with what it loses at its stop; without a stop all of it is at risk."""
    if order.limit_price is None:
        raise PermanentFailure(f"entry {order.id} has no limit to count it at", value=order.type, bound="limit orders")
    children = (child for child in book.orders.values() if child.parent_id == order.id)
    stop = next((child.stop_price for child in children if child.role == "stop"), None)
    loss = order.limit_price if stop is None else abs(order.limit_price - stop)
    return PendingEntry(
        symbol=order.symbol,
        notional=order.limit_price * order.open_quantity,
        side="long" if order.side == "buy" else "short",
        quantity=order.open_quantity,
        risk=loss * order.open_quantity,
    )
