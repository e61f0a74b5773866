"""The book as plans and signers see it: holdings with their history, and entries that may still fill."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal

from trading_assets.core.calendar import XNYS
from trading_assets.core.errors import DataNotReady, PermanentFailure
from trading_assets.execution.model import Order, Position
from trading_assets.execution.ports import Intent
from trading_assets.execution.settlement import Opening
from trading_assets.plans.portfolio import Holding, Pending, Portfolio


def portfolio_of(opening: Opening, entries: Mapping[str, Intent], session: date) -> Portfolio:
    """Holdings valued at the last known prices in today's share count; working entries count at their limits.

    Raises:
        DataNotReady: A position has no known price.
        PermanentFailure: A working entry has no limit, so that the most it may cost is unknown.
    """
    book = opening.book
    holdings = {
        symbol: _holding(position, entries[symbol], opening.prices, session)
        for symbol, position in sorted(book.positions.items())
    }
    working = [order for order in book.orders.values() if order.status == "working"]
    pending = tuple(_pending(order) for order in working if order.role == "entry")
    exiting = frozenset(order.symbol for order in working if order.role == "exit")
    return Portfolio(book.cash, holdings, pending, exiting)


def _holding(position: Position, intent: Intent, prices: Mapping[str, Decimal], session: date) -> Holding:
    price = prices.get(position.symbol)
    if price is None:
        raise DataNotReady(f"no price is known for the position in {position.symbol}", value=position.quantity)
    return Holding(
        symbol=position.symbol,
        quantity=position.quantity,
        value=price * position.quantity,
        strategy=intent.plan.strategy,
        opened=intent.session,
        sessions_held=len(XNYS.sessions(intent.session, session)) - 1,
    )


def _pending(order: Order) -> Pending:
    if order.limit_price is None:
        raise PermanentFailure(f"entry {order.id} has no limit to count it at", value=order.type, bound="limit orders")
    return Pending(order.symbol, order.limit_price * order.open_quantity)
