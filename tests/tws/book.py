"""The account and its market as they really are: orders, fills, positions and cash. Nothing here knows the wire.

What the broker tells of it goes through `Book.tell`; a test reads the attributes of the book and trusts nothing else.
"""

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Literal

from trading_assets.core.ports import Clock

ACCOUNT = "DU0000001"
ENDED = frozenset({"Filled", "Cancelled", "Inactive"})
FEE_PER_SHARE, FEE_MIN = Decimal("0.005"), Decimal(1)
FIRST_PERM_ID = 1_500_000_001
REDUCING_TYPES = frozenset({2, 3})
ZERO = Decimal(0)
Reduces = Literal["shares", "proportion"]


@dataclass(frozen=True, slots=True)
class Instrument:
    """A stock as Interactive Brokers lists it."""

    symbol: str
    con_id: int
    primary: str = "NASDAQ"
    currency: str = "USD"
    min_tick: Decimal = Decimal("0.01")
    name: str = ""


@dataclass(slots=True)
class Market:
    """The market in one symbol; a size that is None does not bound what fills, a price that is None is not there."""

    bid: Decimal | None = None
    ask: Decimal | None = None
    last: Decimal | None = None
    bid_size: Decimal | None = None
    ask_size: Decimal | None = None
    volume: int = 123_456
    halted: bool = False

    def far(self, action: str) -> Decimal | None:
        """The price at which a marketable order trades."""
        return (self.ask if action == "BUY" else self.bid) or self.last

    def shown(self, action: str) -> Decimal | None:
        """The shares that are there to trade with."""
        return self.ask_size if action == "BUY" else self.bid_size

    def take(self, action: str, shares: Decimal) -> None:
        """Shares that have traded are there no more."""
        if action == "BUY" and self.ask_size is not None:
            self.ask_size -= shares
        elif action == "SELL" and self.bid_size is not None:
            self.bid_size -= shares


@dataclass(slots=True)
class Order:
    """One order at the broker, in the broker's own words."""

    client_id: int
    order_id: int
    instrument: Instrument
    action: str
    quantity: Decimal
    kind: str
    limit: Decimal | None = None
    aux: Decimal | None = None
    tif: str = "DAY"
    oca_group: str = ""
    oca_type: int = 0
    account: str = ACCOUNT
    ref: str = ""
    transmit: bool = True
    parent_id: int = 0
    display_size: int = 0
    outside_rth: bool = False
    what_if: bool = False
    algo: str = ""
    algo_params: tuple[tuple[str, str], ...] = ()
    perm_id: int = 0
    status: str = "PendingSubmit"
    filled: Decimal = ZERO
    average: Decimal = ZERO
    last_price: Decimal = ZERO
    triggered: bool = False
    why: str = ""
    fees: Decimal = ZERO
    fill_at_most: Decimal | None = None

    @property
    def left(self) -> Decimal:
        """Shares that are not filled."""
        return self.quantity - self.filled

    @property
    def ended(self) -> bool:
        """Whether it can never fill again."""
        return self.status in ENDED


@dataclass(frozen=True, slots=True)
class Fill:
    """One execution; `order` is the one that traded, as it stands now, `profit` None where nothing was closed."""

    exec_id: str
    at: datetime
    order: Order
    quantity: Decimal
    price: Decimal
    fee: Decimal
    profit: Decimal | None
    cumulative: Decimal
    average: Decimal
    liquidation: bool = False


@dataclass(frozen=True, slots=True)
class OrderTold:
    """An order is there, or has changed."""

    order: Order


@dataclass(frozen=True, slots=True)
class FillTold:
    """An order has traded, or a fill was corrected."""

    fill: Fill


@dataclass(frozen=True, slots=True)
class FeeTold:
    """The fee of an execution is known."""

    fill: Fill


@dataclass(frozen=True, slots=True)
class CancelTold:
    """An order is cancelled; said before its status is."""

    order: Order


Told = OrderTold | FillTold | FeeTold | CancelTold


class Book:
    """Orders match against the market as it moves.

    Args:
        clock: Stamps executions.
        cash: USD at the beginning.
        reduces: What a fill does to the other orders of its group of type 2 or 3. `shares`: it takes off as many as were traded.
            `proportion`: the share of the order that was traded, so that a full execution, however small, ends the group, as does
            a cancel.
    """

    def __init__(self, clock: Clock, *, cash: Decimal = Decimal(1_000_000), reduces: Reduces = "shares") -> None:
        self.clock = clock
        self.cash = cash
        self.reduces: Reduces = reduces
        self.session_open = True
        self.orders: list[Order] = []
        self.fills: list[Fill] = []
        self.positions: dict[str, Decimal] = {}
        self.costs: dict[str, Decimal] = {}
        self.markets: dict[str, Market] = {}
        self.tell: Callable[[Told], None] = lambda _: None
        self.admits: Callable[[Order], bool] = lambda _: True
        self._numbers = iter(range(1, 1 << 31))

    def find(self, client_id: int, order_id: int) -> Order | None:
        """The newest order under an id of a client."""
        return next((o for o in reversed(self.orders) if (o.client_id, o.order_id) == (client_id, order_id)), None)

    @property
    def working(self) -> list[Order]:
        """Orders that have not ended."""
        return [order for order in self.orders if not order.ended]

    def by_ref(self, ref: str) -> list[Order]:
        """Orders behind one reference."""
        return [order for order in self.orders if order.ref == ref]

    def enter(self, order: Order) -> None:
        """Takes an order in. One that is not transmitted waits for a sibling that is."""
        order.perm_id = order.perm_id or FIRST_PERM_ID + len(self.orders)
        self.orders.append(order)
        if order.transmit:
            self._transmit([*self._held_family(order), order])

    def modified(self, old: Order, new: Order) -> None:
        """Changes an order that has not ended."""
        old.quantity, old.kind, old.limit, old.aux, old.tif = new.quantity, new.kind, new.limit, new.aux, new.tif
        was_held, old.transmit = not old.transmit, new.transmit
        if was_held and new.transmit:
            self._transmit([*self._held_family(old), old])
        else:
            self._say(old, "Submitted" if old.transmit else old.status)
            self._match(old)

    def cancel(self, order: Order) -> None:
        """Ends an order and its children that have nothing to close; with a partly filled parent they keep what it filled."""
        if order.ended:
            return
        order.status = "Cancelled"
        self.tell(CancelTold(order))
        self._say(order, "Cancelled")
        for child in self._children(order):
            if not order.filled:
                self.cancel(child)
            elif child.quantity > order.filled:
                child.quantity = order.filled
                self._settle(child)
        if self.reduces == "proportion" and order.oca_group:
            for other in self._group(order):
                self.cancel(other)

    def pending_cancel(self, order: Order) -> None:
        """A cancel is on its way; the order may still fill."""
        self._say(order, "PendingCancel")

    def move(self, symbol: str, market: Market) -> None:
        """A new quote; whatever it reaches trades, first come first served."""
        self.markets[symbol] = market
        for order in list(self.orders):
            if order.instrument.symbol == symbol and not order.ended:
                self._match(order)

    def open_session(self) -> None:
        """The session begins; orders that waited for it trade."""
        self.session_open = True
        for order in self.working:
            self._match(order)

    def close_session(self) -> None:
        """The session ends and with it orders for the day."""
        self.session_open = False
        for order in self.working:
            if order.tif == "DAY":
                self.cancel(order)

    def refuse(self, order: Order) -> None:
        """The broker ends an order that it will not work."""
        self._say(order, "Inactive")

    def liquidate(self, instrument: Instrument) -> Fill:
        """The broker closes a position against the account's will."""
        held = self.positions[instrument.symbol]
        action = "SELL" if held > 0 else "BUY"
        order = Order(0, 0, instrument, action, abs(held), "MKT", perm_id=FIRST_PERM_ID + len(self.orders))
        self.orders.append(order)
        order.status = "Submitted"
        return self.trade(order, abs(held), self._price(order), liquidation=True)

    def correct(self, exec_id: str, *, quantity: Decimal | None = None, price: Decimal | None = None) -> Fill:
        """Replaces an execution by another with the next number at its end; a quantity of 0 takes it back."""
        old = next(fill for fill in self.fills if fill.exec_id == exec_id)
        family, _, number = exec_id.rpartition(".")
        shares = old.quantity if quantity is None else quantity
        new = replace(
            old, exec_id=f"{family}.{int(number) + 1:02d}", quantity=shares, price=old.price if price is None else price
        )
        self.fills[self.fills.index(old)] = new
        self._hold(old.order, -old.quantity, old.price)
        self._hold(old.order, new.quantity, new.price)
        old.order.filled += new.quantity - old.quantity
        self.tell(FillTold(new))
        return new

    def image(self) -> "Book":
        """What there is now, to be looked at later; it is told to nobody."""
        book = Book(self.clock, reduces=self.reduces)
        parts = (self.orders, self.fills, self.positions, self.costs, self.markets)
        book.orders, book.fills, book.positions, book.costs, book.markets = deepcopy(parts)
        book.cash, book.session_open = self.cash, self.session_open
        return book

    def equity(self) -> Decimal:
        """Cash and what the positions would bring at the last price."""
        return self.cash + sum((q * self.value(s) for s, q in self.positions.items()), ZERO)

    def value(self, symbol: str) -> Decimal:
        """The last price, or what was paid where there is none."""
        market = self.markets.get(symbol)
        return (market.last if market else None) or self.costs.get(symbol, ZERO)

    def trade(self, order: Order, shares: Decimal, price: Decimal, *, liquidation: bool = False) -> Fill:
        """An execution, whatever the market says; overfills are possible."""
        profit = self._profit(order, shares, price)
        self._hold(order, shares, price)
        fee = max(FEE_MIN, FEE_PER_SHARE * shares)
        self.cash -= fee
        order.average = (order.average * order.filled + price * shares) / (order.filled + shares)
        order.filled += shares
        order.last_price = price
        order.fees += fee
        order.triggered = True
        fill = Fill(
            exec_id=f"0000e0d5.{next(self._numbers):08x}.01.01",
            at=self.clock.now(),
            order=order,
            quantity=shares,
            price=price,
            fee=fee,
            profit=profit,
            cumulative=order.filled,
            average=order.average,
            liquidation=liquidation,
        )
        self.fills.append(fill)
        self.tell(FillTold(fill))
        self._say(order, "Filled" if order.left <= 0 else "Submitted")
        self.tell(FeeTold(fill))
        self._reduce(order, shares)
        self._wake_children(order)
        return fill

    def _hold(self, order: Order, shares: Decimal, price: Decimal) -> None:
        symbol, signed = order.instrument.symbol, shares if order.action == "BUY" else -shares
        before = self.positions.get(symbol, ZERO)
        after, cost = before + signed, self.costs.get(symbol, ZERO)
        if after == 0:
            self.positions.pop(symbol, None)
            self.costs.pop(symbol, None)
        else:
            if before * signed >= 0:
                cost = (cost * before + price * signed) / after
            elif after * before < 0:
                cost = price
            self.positions[symbol], self.costs[symbol] = after, cost
        self.cash -= signed * price

    def _profit(self, order: Order, shares: Decimal, price: Decimal) -> Decimal | None:
        held = self.positions.get(order.instrument.symbol, ZERO)
        if held == 0 or (held > 0) == (order.action == "BUY"):
            return None
        gain = price - self.costs[order.instrument.symbol]
        return gain * min(shares, abs(held)) * (1 if held > 0 else -1)

    def _say(self, order: Order, status: str) -> None:
        order.status = status
        self.tell(OrderTold(order))

    def _held_family(self, order: Order) -> list[Order]:
        """The parent and the siblings that were waiting for this order."""
        if not order.parent_id:
            return [child for child in self._children(order) if not child.transmit]
        return [
            other
            for other in self.working
            if other is not order
            and not other.transmit
            and other.client_id == order.client_id
            and order.parent_id in (other.order_id, other.parent_id)
        ]

    def _transmit(self, orders: list[Order]) -> None:
        for order in orders:
            order.transmit = True
            parent = self._parent(order)
            if parent is not None and parent.ended and not parent.filled:
                self.cancel(order)
            elif self.admits(order):
                self._say(order, "PreSubmitted")
        for order in orders:
            if order.kind == "LMT" and order.status == "PreSubmitted" and not self._waits(order):
                self._say(order, "Submitted")
            self._match(order)

    def _children(self, order: Order) -> list[Order]:
        if not order.order_id:
            return []
        return [o for o in self.working if (o.client_id, o.parent_id) == (order.client_id, order.order_id)]

    def _parent(self, order: Order) -> Order | None:
        return self.find(order.client_id, order.parent_id) if order.parent_id else None

    def _waits(self, order: Order) -> bool:
        parent = self._parent(order)
        return parent is not None and not parent.filled

    def _wake_children(self, order: Order) -> None:
        for child in self._children(order):
            if child.transmit and child.kind == "LMT" and child.status == "PreSubmitted":
                self._say(child, "Submitted")
            self._match(child)

    def _group(self, order: Order) -> list[Order]:
        """The others that share a group with it: by its name, or as children of one parent."""
        return [other for other in self.working if other is not order and self._together(order, other)]

    @staticmethod
    def _together(one: Order, other: Order) -> bool:
        if one.account != other.account or one.instrument.con_id != other.instrument.con_id:
            return False
        if one.oca_group or other.oca_group:
            return one.oca_group == other.oca_group
        return bool(one.parent_id) and (one.client_id, one.parent_id) == (other.client_id, other.parent_id)

    def _reduce(self, order: Order, shares: Decimal) -> None:
        share_of_order = shares / (order.left + shares) if order.left + shares > 0 else Decimal(1)
        for other in self._group(order):
            if order.oca_group and order.oca_type not in REDUCING_TYPES:
                self.cancel(other)
                continue
            part = shares if self.reduces == "shares" else (other.left * share_of_order).to_integral_value()
            other.quantity -= min(part, other.left)
            self._settle(other)

    def _settle(self, order: Order) -> None:
        """Tells the new size of an order, or its end."""
        if order.left <= 0:
            self.cancel(order)
        else:
            self._say(order, order.status)

    def _match(self, order: Order) -> None:
        market = self.markets.get(order.instrument.symbol)
        if market is None or market.halted or order.ended or not order.transmit or self._waits(order):
            return
        if not (self.session_open or order.outside_rth) or not self._reached(order, market):
            return
        shares = min(self._bounds(order, market))
        if shares > 0:
            market.take(order.action, shares)
            if order.fill_at_most is not None:
                order.fill_at_most -= shares
            self.trade(order, shares, self._price(order))

    def _bounds(self, order: Order, market: Market) -> Iterator[Decimal]:
        yield order.left
        shown, parent = market.shown(order.action), self._parent(order)
        if shown is not None:
            yield shown
        if order.fill_at_most is not None:
            yield order.fill_at_most
        if parent is not None:
            yield parent.filled - sum((o.filled for o in self.orders if o is order or self._together(order, o)), ZERO)

    def _reached(self, order: Order, market: Market) -> bool:
        price = market.far(order.action)
        buys = order.action == "BUY"
        if price is None:
            return False
        if order.kind == "LMT":
            return order.limit is not None and (price <= order.limit if buys else price >= order.limit)
        if order.kind == "STP" and not order.triggered:
            touch = [p for p in (market.last, price) if p is not None]
            order.triggered = order.aux is not None and any(p >= order.aux if buys else p <= order.aux for p in touch)
            return order.triggered
        return True

    def _price(self, order: Order) -> Decimal:
        """What a trade of it costs now."""
        price = self.markets[order.instrument.symbol].far(order.action)
        if price is None:
            raise ValueError(f"nobody trades {order.instrument.symbol}")
        return price
