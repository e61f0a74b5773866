"""A book, requests and quotes for tests of the exchange, without a file and without a loop."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from resources.brokers.paper.book import Book, PaperOrder
from resources.brokers.paper.exchange import Exchange
from tests.brokers.paper.stage import COSTS
from trading_assets.broker.model import Contract, Noticed, OrderKind, OrderRequest, Quote, Reported, Side

NOW = datetime(2024, 3, 25, 14, 0, tzinfo=UTC)
CLOSE = datetime(2024, 3, 25, 20, 0, tzinfo=UTC)
CLIENT = 11
CONTRACTS: Mapping[str, Contract] = {
    symbol: Contract(symbol, number) for number, symbol in enumerate(("AAPL", "MSFT"), 1)
}
STARTING_CASH = Decimal(100_000)


def book(cash: Decimal = STARTING_CASH) -> Book:
    """An empty account that knows both contracts."""
    return Book("DU1234567", cash, NOW, contracts={one.con_id: one for one in CONTRACTS.values()})


def exchange(of: Book | None = None, *, quoted: bool = True) -> Exchange:
    """The market at 100.00 × 100.02, unless it has not shown."""
    made = Exchange(of or book(), COSTS)
    for symbol in CONTRACTS if quoted else ():
        made.quote(quote("100.00", "100.02", symbol=symbol))
    return made


def quote(bid: str | None, ask: str | None, *, symbol: str = "AAPL", after: float = 0.0, **said: Any) -> Quote:
    """A quote `after` seconds after NOW; `last` is the bid's, or the ask's, unless it is said."""
    low, high = (None if side is None else Decimal(side) for side in (bid, ask))
    told = {"last": high if low is None else low, **said}
    return Quote(symbol, NOW + timedelta(seconds=after), low, high, **told)


def order(
    number: int, side: Side, quantity: int, kind: OrderKind = "market", price: str = "", **said: Any
) -> OrderRequest:
    """A request; `price` is its limit or its stop."""
    symbol = said.pop("symbol", "AAPL")
    return OrderRequest(
        key=f"k{number}",
        ref=f"D1:{said.pop('name', 'one')}",
        order_id=number,
        contract=CONTRACTS[symbol],
        side=side,
        kind=kind,
        quantity=quantity,
        tif=said.pop("tif", "gtc"),
        limit_price=Decimal(price) if kind == "limit" else None,
        stop_price=Decimal(price) if kind == "stop" else None,
        **said,
    )


def bracket(
    first: int, quantity: int, *, entry: str = "100.02", stop: str = "98.00", target: str = "104.00"
) -> list[OrderRequest]:
    """Entry, target and stop; the stop is transmitted last."""
    group = f"D1:{first}"
    return [
        order(first, "buy", quantity, "limit", entry, transmit=False, tif="day", name=str(first)),
        order(
            first + 1,
            "sell",
            quantity,
            "limit",
            target,
            parent_id=first,
            transmit=False,
            oca_group=group,
            name=str(first),
        ),
        order(first + 2, "sell", quantity, "stop", stop, parent_id=first, oca_group=group, name=str(first)),
    ]


def place(on: Exchange, *requests: OrderRequest, now: datetime = NOW, client_id: int = CLIENT) -> None:
    """Places requests as the account would, which knows the ids in use."""
    taken = {o.order_id for o in on.book.orders.values() if o.client_id == client_id}
    on.place(requests, client_id=client_id, taken=taken, now=now)


def by_id(on: Exchange, order_id: int) -> PaperOrder:
    """The order behind an id of the client."""
    return next(o for o in on.book.orders.values() if o.order_id == order_id)


def codes(on: Exchange) -> list[int]:
    """The codes of what was noticed, in order."""
    return [one.event.code for one in on.happened if isinstance(one.event, Noticed)]


def statuses(on: Exchange, order_id: int) -> list[str]:
    """The states that were told of an order, in order."""
    told = [one.event.report for one in on.happened if isinstance(one.event, Reported)]
    return [report.status for report in told if report.order_id == order_id]


def prices(on: Exchange) -> list[tuple[int, int, Decimal]]:
    """Order id, shares and price of each fill."""
    return [(f.execution.order_id, int(f.execution.quantity), f.execution.price) for f in on.fills]
