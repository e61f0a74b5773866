"""What the paper broker holds: orders, shares, cash and the market as it last showed. Values, but for the book itself."""

from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import ROUND_CEILING, Decimal
from typing import Protocol

from trading_assets.broker.model import (
    AccountValues,
    BrokerStatus,
    Contract,
    Execution,
    HeldPosition,
    OrderKind,
    OrderReport,
    OrderRequest,
    Quote,
    Side,
    Tif,
)
from trading_assets.core.calendar import NEW_YORK, XNYS, Session
from trading_assets.core.money import TICK_USD, usd

ZERO = Decimal(0)
INITIAL_MARGIN, MAINTENANCE_MARGIN = Decimal("0.5"), Decimal("0.25")


class Costs(Protocol):
    """What trading costs; the same words as the costs of bars that are matched after the close."""

    @property
    def fee_per_share(self) -> Decimal:
        """USD."""
        ...

    @property
    def fee_min(self) -> Decimal:
        """USD for each fill."""
        ...

    @property
    def fee_fraction_max(self) -> Decimal:
        """Of the fill's value."""
        ...

    @property
    def slippage_bp(self) -> Decimal:
        """Basis points on market and stop orders."""
        ...

    @property
    def volume_share_max(self) -> Decimal:
        """Of the session's volume so far, where a quote tells no size."""
        ...


@dataclass(frozen=True, slots=True)
class PaperOrder:
    """One order at the paper broker.

    Args:
        perm_id: Its number at the account, in the order in which orders came.
        wanted: Shares as ordered; of a child whose parent ended early, what the parent filled.
        reduced: Shares that others of its OCA group have traded for it.
        parent: `perm_id` of the entry that must fill first, 0 for none; `parent_id` is the number that the client gave it.
        triggered: A stop that is a market order by now.
        rested: A limit order that has waited at its price: from then on it fills there, not better.
        ends_at: Close of its session for a day order.
        since: From when on it could fill.
    """

    perm_id: int
    client_id: int
    order_id: int
    key: str
    ref: str
    symbol: str
    con_id: int
    tick: Decimal
    side: Side
    kind: OrderKind
    tif: Tif
    wanted: int
    since: datetime
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    parent: int = 0
    parent_id: int = 0
    oca_group: str = ""
    status: BrokerStatus = "held"
    filled: int = 0
    reduced: int = 0
    triggered: bool = False
    rested: bool = False
    ends_at: datetime | None = None
    why: str = ""

    @property
    def is_open(self) -> bool:
        """Whether it can still fill."""
        return self.status in {"held", "working"}

    @property
    def quantity(self) -> int:
        """Shares filled and to be filled."""
        return self.wanted - self.reduced

    @property
    def remaining(self) -> int:
        """Shares to be filled."""
        return self.quantity - self.filled if self.is_open else 0

    def report(self, account: str) -> OrderReport:
        """As the broker tells it; who has no client id has no order ids either."""
        return OrderReport(
            perm_id=self.perm_id,
            order_id=self.order_id if self.client_id else 0,
            client_id=self.client_id,
            ref=self.ref,
            account=account,
            symbol=self.symbol,
            con_id=self.con_id,
            side=self.side,
            kind=self.kind,
            quantity=Decimal(self.quantity),
            filled=Decimal(self.filled),
            status=self.status,
            limit_price=self.limit_price,
            stop_price=self.stop_price,
            parent_id=self.parent_id,
            oca_group=self.oca_group,
            why=self.why,
        )


@dataclass(frozen=True, slots=True)
class Fill:
    """An execution and its fee, USD."""

    execution: Execution
    fee: Decimal


@dataclass(frozen=True, slots=True)
class Holding:
    """Shares, negative when owed, and what they cost with fees, USD; negative proceeds for a short position."""

    symbol: str
    con_id: int
    quantity: int
    cost: Decimal

    def after(self, signed: int, cash: Decimal) -> "Holding":
        """After a fill that moved `signed` shares and `cash` USD, fee included; what is closed takes its part of the cost."""
        quantity = self.quantity + signed
        if self.quantity * signed >= 0:
            return Holding(self.symbol, self.con_id, quantity, self.cost - cash)
        if self.quantity * quantity > 0:
            return Holding(self.symbol, self.con_id, quantity, usd(self.cost * quantity / self.quantity))
        return Holding(self.symbol, self.con_id, quantity, usd(-cash * quantity / signed) if quantity else ZERO)

    def told(self, account: str) -> HeldPosition:
        """As the broker tells it."""
        average = usd(self.cost / self.quantity)
        return HeldPosition(account, self.symbol, self.con_id, Decimal(self.quantity), average)


@dataclass(frozen=True, slots=True)
class View:
    """A symbol's market as it last showed, and what has been taken of it.

    The same picture at a later moment shows the same shares: what was taken of it stays taken.

    Args:
        taken_bid: Shares sold to what the bid shows, `taken_ask` bought of what the ask shows.
        traded: Shares that the account traded in the session.
    """

    quote: Quote
    taken_bid: int = 0
    taken_ask: int = 0
    traded: int = 0

    def then(self, quote: Quote) -> "View":
        """The market after another quote."""
        same_day = day_of(self.quote.at) == day_of(quote.at)
        traded = self.traded if same_day else 0
        if same_day and _picture(self.quote) == _picture(quote):
            return View(quote, self.taken_bid, self.taken_ask, traded)
        return View(quote, traded=traded)

    def taking(self, side: Side, shares: int) -> "View":
        """The market after the account has traded."""
        ask, bid = (shares, 0) if side == "buy" else (0, shares)
        return View(self.quote, self.taken_bid + bid, self.taken_ask + ask, self.traded + shares)

    def available(self, side: Side, share_max: Decimal) -> int | None:
        """Shares that can trade now; None where neither a size nor a volume is told."""
        size, taken = (self.quote.ask_size, self.taken_ask) if side == "buy" else (self.quote.bid_size, self.taken_bid)
        if size is not None:
            return max(0, size - taken)
        if self.quote.volume is None:
            return None
        return max(0, int(share_max * self.quote.volume) - self.traded)

    @property
    def mark(self) -> Decimal | None:
        """What a share is worth, USD."""
        return self.quote.mid or self.quote.last or self.quote.bid or self.quote.ask


@dataclass(slots=True)
class Book:
    """The account. `orders` holds the open ones and the parents of open ones, by perm_id."""

    account: str
    cash: Decimal
    lived_until: datetime
    next_perm_id: int = 1
    next_execution: int = 1
    orders: dict[int, PaperOrder] = field(default_factory=dict)
    holdings: dict[str, Holding] = field(default_factory=dict)
    views: dict[str, View] = field(default_factory=dict)
    contracts: dict[int, Contract] = field(default_factory=dict)
    refusals: tuple[str, ...] = ()

    def copied(self) -> "Book":
        """Another book with the same values."""
        return Book(
            self.account,
            self.cash,
            self.lived_until,
            self.next_perm_id,
            self.next_execution,
            dict(self.orders),
            dict(self.holdings),
            dict(self.views),
            self.contracts,
            self.refusals,
        )

    def parent_of(self, request: OrderRequest, client_id: int) -> PaperOrder | None:
        """The order that a child names; None for an order without a parent, or when there is none."""
        mine = (o for o in self.orders.values() if o.client_id == client_id and o.order_id == request.parent_id)
        return next(mine, None) if request.parent_id else None

    @property
    def symbols(self) -> tuple[str, ...]:
        """Symbols with an open order or with shares, sorted."""
        ordered = {order.symbol for order in self.orders.values() if order.is_open}
        return tuple(sorted(ordered | self.holdings.keys()))

    def held(self, symbol: str) -> int:
        """Shares of a symbol."""
        holding = self.holdings.get(symbol)
        return holding.quantity if holding else 0

    def value(self, holding: Holding) -> Decimal:
        """What a holding is worth, USD; its cost while the market has never shown."""
        view = self.views.get(holding.symbol)
        mark = view.mark if view else None
        return holding.cost if mark is None else mark * holding.quantity

    def values(self) -> AccountValues:
        """Totals of the account. Margins are half and a quarter of the gross value; there is no intraday allowance."""
        values = [self.value(holding) for holding in self.holdings.values()]
        equity, gross = self.cash + sum(values, ZERO), sum((abs(value) for value in values), ZERO)
        return AccountValues(
            equity=usd(equity),
            cash=usd(self.cash),
            excess_liquidity=usd(equity - MAINTENANCE_MARGIN * gross),
            initial_margin=usd(INITIAL_MARGIN * gross),
            maintenance_margin=usd(MAINTENANCE_MARGIN * gross),
        )

    @property
    def buying_power(self) -> Decimal:
        """Cash less what short sales brought in and less what open purchases may cost, USD."""
        owed = sum((holding.cost for holding in self.holdings.values() if holding.quantity < 0), ZERO)
        return self.cash + owed - sum((self._reserved(order) for order in self.orders.values()), ZERO)

    def _reserved(self, order: PaperOrder) -> Decimal:
        if order.side == "sell" or order.parent or self.held(order.symbol) < 0:
            return ZERO
        price = order.limit_price or order.stop_price or self.price(order.symbol, "buy") or ZERO
        return order.remaining * price

    def price(self, symbol: str, side: Side) -> Decimal | None:
        """What a share would trade at now, before slippage; None when the market has not shown."""
        view = self.views.get(symbol)
        if view is None:
            return None
        far = view.quote.ask if side == "buy" else view.quote.bid
        return far or view.quote.last


def fee(costs: Costs, price: Decimal, quantity: int) -> Decimal:
    """The fee of one fill, USD: the larger of minimum and per-share fee, capped by the value, rounded up to a cent."""
    uncapped = max(costs.fee_min, costs.fee_per_share * quantity)
    return min(uncapped, costs.fee_fraction_max * price * quantity).quantize(TICK_USD, rounding=ROUND_CEILING)


def session_at(at: datetime) -> Session | None:
    """The session that is under way."""
    session = XNYS.today(at)
    return session if session and session.open <= at < session.close else None


def session_for(at: datetime) -> Session:
    """The session that a day order of this moment belongs to: the one under way, or the next."""
    today = XNYS.today(at)
    return today if today and at < today.close else XNYS.next(day_of(at))


def day_of(at: datetime) -> date:
    """The day of an instant in New York."""
    return at.astimezone(NEW_YORK).date()


def _picture(quote: Quote) -> tuple[object, ...]:
    return (quote.bid, quote.ask, quote.last, quote.bid_size, quote.ask_size, quote.volume)
