"""A Gateway that trades: the book behind it, the rooms that answer for it, and the hands that a test lays on it.

Every hand acts in the Gateway's loop and has acted when it returns, so that a test in another thread or loop need not wait for it.
"""

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, replace
from decimal import Decimal

from resources.clock import RealClock
from tests.tws.account import AccountRoom
from tests.tws.book import Book, Fill, Instrument, Market, Order, Reduces
from tests.tws.gateway import LoopbackGateway
from tests.tws.market import MarketRoom
from tests.tws.orders import OrderRoom, Verdict
from trading_assets.core.ports import Clock

TICK = Decimal("0.01")
AAPL = Instrument("AAPL", 265598, name="APPLE INC")
MSFT = Instrument("MSFT", 272093, name="MICROSOFT CORP")
SPY = Instrument("SPY", 756733, primary="ARCA", name="SPDR S&P 500 ETF TRUST")
LISTINGS: Mapping[str, tuple[Instrument, ...]] = {
    "AAPL": (AAPL,),
    "MSFT": (MSFT,),
    "SPY": (SPY,),
    # One symbol, two companies: what a desk must not choose between.
    "TWIN": (Instrument("TWIN", 4001001, primary="NYSE"), Instrument("TWIN", 4001002, primary="NASDAQ")),
}


@dataclass(frozen=True, slots=True)
class Ground:
    """Copies of what the book holds at one moment."""

    orders: tuple[Order, ...]
    fills: tuple[Fill, ...]
    positions: Mapping[str, Decimal]
    cash: Decimal

    def of(self, ref: str) -> tuple[Order, ...]:
        """The orders behind one reference."""
        return tuple(order for order in self.orders if order.ref == ref)


class TradingGateway(LoopbackGateway):
    """The broker, for as long as the test needs it; connections come and go.

    Args:
        clock: What the broker's own clock shows.
        listings: Stocks by symbol; a symbol with several is ambiguous.
        cash: USD at the beginning.
        reduces: `Book` explains it.
    """

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        listings: Mapping[str, tuple[Instrument, ...]] = LISTINGS,
        cash: Decimal = Decimal(1_000_000),
        reduces: Reduces = "shares",
    ) -> None:
        super().__init__({})
        self.clock: Clock = clock or RealClock()
        self.book = Book(self.clock, cash=cash, reduces=reduces)
        self.listings = dict(listings)
        self.orders = OrderRoom(self, self.book, self.listings)
        self.account = AccountRoom(self, self.book)
        self.market = MarketRoom(self, self.book, self.listings)
        self.orders.after_fill = self.account.push
        self.handlers.update({**self.orders.handlers, **self.account.handlers, **self.market.handlers})

    def instrument(self, symbol: str) -> Instrument:
        """The only stock under a symbol."""
        (one,) = self.listings[symbol]
        return one

    def set_quote(
        self,
        symbol: str,
        bid: str | None,
        ask: str | None,
        *,
        last: str | None = None,
        bid_size: int | None = None,
        ask_size: int | None = None,
        halted: bool = False,
    ) -> None:
        """The market moves: first the ticks, then what they reach. Without `last` it is the middle."""
        sides = [Decimal(side) if side else None for side in (bid, ask)]
        there = [side for side in sides if side is not None]
        middle = (sum(there, Decimal(0)) / len(there)).quantize(TICK) if there else None
        sizes = [Decimal(size) if size is not None else None for size in (bid_size, ask_size)]
        market = Market(sides[0], sides[1], Decimal(last) if last else middle, sizes[0], sizes[1], halted=halted)
        self.do(lambda: self._move(symbol, market))

    def set_price(self, symbol: str, price: str) -> None:
        """A cent on either side of a price."""
        middle = Decimal(price)
        self.set_quote(symbol, str(middle - TICK), str(middle + TICK), last=price)

    def halt(self, symbol: str, *, halted: bool = True) -> None:
        """Trading in one symbol stops, or goes on."""
        self.do(lambda: self._move(symbol, replace(self.book.markets[symbol], halted=halted)))

    def place_by_hand(self, symbol: str, action: str, quantity: int, limit: str | None = None) -> Order:
        """A person places an order in the broker's own window: it has no order id, no client and no reference."""
        order = Order(0, 0, self.instrument(symbol), action, Decimal(quantity), "LMT" if limit else "MKT")
        order.limit = Decimal(limit) if limit else None
        self.do(lambda: self.book.enter(order))
        return order

    def cancel_by_hand(self, order: Order) -> None:
        """A person, or the broker, cancels somebody's order."""
        self.do(lambda: self.book.cancel(order))

    def twin_of(self, order: Order) -> Order:
        """A second order behind the same reference, with a number of its own at the account."""
        twin = replace(order, perm_id=0, filled=Decimal(0), status="PendingSubmit")
        self.do(lambda: self.book.enter(twin))
        return twin

    def fill(self, order: Order, shares: int, price: str) -> Fill:
        """An execution, whatever the market says and however many are left."""
        return self.do(lambda: self.book.trade(order, Decimal(shares), Decimal(price)))

    def correct(self, exec_id: str, *, quantity: int | None = None, price: str | None = None) -> Fill:
        """An execution is replaced by one with the next number at its end; a quantity of 0 takes it back."""
        shares, paid = Decimal(quantity) if quantity is not None else None, Decimal(price) if price else None
        return self.do(lambda: self.book.correct(exec_id, quantity=shares, price=paid))

    def liquidate(self, symbol: str) -> Fill:
        """The broker closes a position against the account's will."""
        return self.do(lambda: self.book.liquidate(self.instrument(symbol)))

    def hold(self, symbol: str, quantity: int, cost: str) -> None:
        """Shares that were there before."""
        self.book.positions[symbol], self.book.costs[symbol] = Decimal(quantity), Decimal(cost)

    def judge(self, verdict: Verdict) -> None:
        """What becomes of the next order that the verdict fits."""
        self.do(lambda: self.orders.verdicts.append(verdict))

    def restart(self, *, next_ids: Mapping[int, int] | None = None) -> None:
        """As every night: connections are cut, the book stays; the next order ids may begin anew."""
        self.do(lambda: self.next_ids.update(next_ids or {}))
        self.drop()

    def show(self, book: Book) -> None:
        """What questions are answered from: an image of the book, or the book itself."""
        self.orders.shown = self.account.shown = book

    def truth(self) -> Ground:
        """How it really is."""
        return self.do(self._truth)

    def _truth(self) -> Ground:
        copies = tuple(copy(order) for order in self.book.orders)
        return Ground(copies, tuple(self.book.fills), dict(self.book.positions), self.book.cash)

    def _move(self, symbol: str, market: Market) -> None:
        self.market.push(symbol, market)
        self.book.move(symbol, market)
