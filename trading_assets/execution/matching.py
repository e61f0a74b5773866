"""The paper broker's matching: open orders against one bar per symbol, without knowledge that a trader could not have.

Conventions (docs/paper-broker.md has the reasons and worked examples):

- Next bar: an order fills only on a bar whose start is at or after `placed_at`.
- Market orders fill at the open. Stops fill at the open when it is at or through the stop (a gap), else at the stop when the bar
  touches it. Both pay slippage.
- Limits fill at the open when it is at or better than the limit, else at the limit when the bar trades strictly through it; a touch
  is no fill. Limits pay no slippage.
- Prices are rounded to a cent against the trader and never fall below one cent.
- Brackets: stop and target go to work for exactly the shares that their entry has traded, and cancel one another share by share.
  When one bar could fill both, the stop fills. An entry filled at the open exposes both to the same bar; an entry filled inside
  the bar exposes only the stop, because the bar's better extreme may lie before the entry. A third leg, the close, ends at the
  close of the session's last bar what neither has ended, and pays slippage.
- What reduces never exceeds what is held or owed; without a position it is cancelled. Purchases that open never exceed what the
  buying power pays, fee included; the rest is cancelled. Short sales need no cash, and buying back is never refused for want of it.
  An entry against a position is cancelled: nothing turns over. So is an addition to nothing.
- Volume: all fills of a symbol in one bar, protective stops among them, take at most floor(volume_share_max * volume) shares. A
  missing bar, or one without volume, fills nothing. A stop that was triggered without finding the volume becomes a market order.
- Fees are charged per fill: max(fee_min, fee_per_share * quantity), at most fee_fraction_max of its value, rounded up to a cent.
- Order of events: fills at the open, by `placed_at` and id, a target after its stop; then inside the bar entries, stops, and
  targets, each by `placed_at` and id; at last closes. So nothing is bought with the proceeds of a sale inside the same bar.
- Intraday: bars of one symbol are walked in order of time. A symbol with a daily bar alone fills at its open first, and inside its
  bar last, as of the close.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from itertools import groupby
from typing import NamedTuple, Protocol

from trading_assets.core.money import TICK_USD
from trading_assets.execution.book import OPEN, apply_fill, cancel, held_quantity, reducible
from trading_assets.execution.model import Book, Costs, Fill, Order, PriceBar, Side

_BASIS_POINT = Decimal("0.0001")


@dataclass(frozen=True, slots=True)
class Matched:
    """What some bars did to a book.

    Every order of the book before is either open in `book`, or in `filled`, or in `cancelled` with its reason.
    """

    book: Book
    fills: tuple[Fill, ...]
    cancelled: tuple[Order, ...]
    filled: tuple[Order, ...]


def match_session(book: Book, bars: Mapping[str, PriceBar], costs: Costs, *, session_ends: bool = True) -> Matched:
    """Matches a book's open orders against one bar per symbol.

    Args:
        book: Cash, positions and orders before the bars.
        bars: The next bar of each symbol that traded; keys are symbols.
        costs: Fees, slippage and volume share.
        session_ends: True when these are the session's last bars: then closes trade, and day orders that are left are cancelled.
    """
    return match_bars(book, bars.values(), costs, session_ends=session_ends)


def match_bars(book: Book, bars: Iterable[PriceBar], costs: Costs, *, session_ends: bool = True) -> Matched:
    """Matches a book's open orders against bars of one session in order of time, whatever their lengths.

    Args:
        bars: Any number for each symbol, which do not overlap; each is opened at its start and looked into at its end.
        session_ends: As in `match_session`.
    """
    floor, known = _Floor(book, costs), sorted(bars, key=lambda bar: bar.end)
    for inside, some in _moments([bar for bar in known if bar.volume > 0]):
        floor.match(some, inside=inside)
    if session_ends:
        last = {bar.symbol: bar for bar in known}
        floor.close({symbol: bar for symbol, bar in last.items() if bar.volume > 0})
        left = [order for order in floor.book.orders.values() if order.time_in_force == "day"]
        left.sort(key=lambda order: not order.opens)
        floor.book = cancel(floor.book, [order.id for order in left], reason="the session ended")
    return _handed_out(floor.book, tuple(floor.fills))


def fee(costs: Costs, price: Decimal, quantity: int) -> Decimal:
    """The fee of one fill, USD: the larger of minimum and per-share fee, capped by the value, rounded up to a cent."""
    uncapped = max(costs.fee_min, costs.fee_per_share * quantity)
    capped = min(uncapped, costs.fee_fraction_max * price * quantity)
    return capped.quantize(TICK_USD, rounding=ROUND_CEILING)


def payable(cash: Decimal, price: Decimal, costs: Costs, *, at_most: int) -> int:
    """The most shares, up to `at_most`, that cash pays at a price, fee included; none when there is no cash."""

    def total(quantity: int) -> Decimal:
        return price * quantity + fee(costs, price, quantity)

    if total(at_most) <= cash:
        return at_most
    return max(0, bisect_right(range(at_most + 1), cash, key=total) - 1)


class _Print(NamedTuple):
    """Where and when a bar would fill an order, before costs."""

    price: Decimal
    reason: str
    at: datetime


class _Pricing(Protocol):
    def __call__(self, order: Order, bar: PriceBar) -> _Print | None: ...


def _moments(bars: Sequence[PriceBar]) -> Iterator[tuple[bool, Mapping[str, PriceBar]]]:
    """The bars by when something may fill: inside a bar as of its end, then at the open of those that start at that instant."""
    turns = [(bar.start, 1, bar) for bar in bars] + [(bar.end, 0, bar) for bar in bars]
    turns.sort(key=lambda turn: turn[:2])
    for (_, opens), some in groupby(turns, key=lambda turn: turn[:2]):
        yield not opens, {bar.symbol: bar for _, _, bar in some}


@dataclass(slots=True)
class _Floor:
    """The state of one matching: the book so far, the bars that are looked at, and what they have left."""

    book: Book
    costs: Costs
    bars: Mapping[str, PriceBar] = field(default_factory=dict)
    fills: list[Fill] = field(default_factory=list)
    room: dict[str, int] = field(default_factory=dict)
    entered_inside: set[str] = field(default_factory=set)

    def match(self, bars: Mapping[str, PriceBar], *, inside: bool) -> None:
        self.bars = bars
        self.entered_inside.clear()
        for symbol, bar in () if inside else bars.items():
            self.room[symbol] = int(self.costs.volume_share_max * bar.volume)
        if not self._moves(_inside if inside else _at_open):
            return
        if inside:
            self._look_inside()
        else:
            self._look_at_open()

    def _moves(self, pricing: _Pricing) -> bool:
        """Whether any order trades: most bars of a session reach none, and nothing changes without a first fill."""
        return any(pricing(order, self.bars[order.symbol]) for order in self._waiting())

    def _look_at_open(self) -> None:
        waiting = self._working()
        self._pass(waiting, _at_open)
        known = {order.id for order in waiting}
        self._pass([order for order in self._working() if order.id not in known], _at_open)

    def _look_inside(self) -> None:
        self._pass([order for order in self._working() if order.opens], _inside)
        self._pass([order for order in self._working() if not order.opens and order.type == "stop"], _inside)
        self._pass([order for order in self._working() if self._may_take_profit(order)], _inside)

    def close(self, bars: Mapping[str, PriceBar]) -> None:
        self.bars = bars
        self._pass(self._working(), _at_close)

    def _working(self) -> list[Order]:
        """Working orders that a bar of this matching may fill, in turn."""
        return sorted(self._waiting(), key=_turn)

    def _waiting(self) -> Iterator[Order]:
        return (order for order in self.book.orders.values() if order.status == "working" and self._in_time(order))

    def _in_time(self, order: Order) -> bool:
        bar = self.bars.get(order.symbol)
        return bar is not None and order.placed_at <= bar.start

    def _may_take_profit(self, order: Order) -> bool:
        return not order.opens and order.type == "limit" and order.parent_id not in self.entered_inside

    def _pass(self, orders: Iterable[Order], pricing: _Pricing) -> None:
        for listed in orders:
            order, bar = self.book.orders[listed.id], self.bars[listed.symbol]
            found = pricing(order, bar) if order.status == "working" else None
            if found is not None:
                self._execute(order, bar, found)

    def _execute(self, order: Order, bar: PriceBar, found: _Print) -> None:
        price = _against_trader(order, found.price, self.costs)
        wanted = min(order.open_quantity, self.room[order.symbol])
        able, short_of = self._able(order, price, wanted)
        if quantity := min(wanted, able):
            self._book_fill(order, bar, found, price, quantity)
        if able < wanted:
            self.book = cancel(self.book, [order.id], reason=short_of)
        elif order.type == "stop":
            self._elect(order.id)

    def _able(self, order: Order, price: Decimal, wanted: int) -> tuple[int, str]:
        """How many shares can be traded, and why no more."""
        held = held_quantity(self.book, order.symbol)
        if not order.opens:
            return reducible(held, order.side), "nothing is held"
        if order.role == "addition" and not held:
            return 0, "nothing is held to add to"
        if held and (held > 0) != (order.side == "buy"):
            return 0, "the other side is held"
        if order.side == "sell":
            return wanted, ""
        return payable(self.book.buying_power, price, self.costs, at_most=wanted), "cash does not pay for it"

    def _book_fill(self, order: Order, bar: PriceBar, found: _Print, price: Decimal, quantity: int) -> None:
        fill = Fill(
            id=f"{order.id}#{order.fills + 1}",
            order_id=order.id,
            intent_id=order.intent_id,
            symbol=order.symbol,
            side=order.side,
            role=order.role,
            quantity=quantity,
            price=price,
            fee=fee(self.costs, price, quantity),
            session=bar.session,
            at=found.at,
            reason=found.reason,
        )
        self.book = apply_fill(self.book, fill)
        self.fills.append(fill)
        self.room[order.symbol] -= quantity
        if order.opens and found.reason in {"limit", "stop"}:
            self.entered_inside.add(order.id)

    def _elect(self, order_id: str) -> None:
        order = self.book.orders[order_id]
        if order.status == "working":
            elected = replace(order, type="market")
            self.book = replace(self.book, orders={**self.book.orders, order_id: elected})


def _turn(order: Order) -> tuple[datetime, bool, str]:
    return order.placed_at, order.role == "target", order.id


def _at_open(order: Order, bar: PriceBar) -> _Print | None:
    if order.role == "close":
        return None
    if order.type == "market":
        return _Print(bar.open, "open", bar.start)
    if order.stop_price is not None and _reaches(order.side, bar.open, order.stop_price):
        return _Print(bar.open, "gap", bar.start)
    if order.limit_price is not None and _reaches(_other(order.side), bar.open, order.limit_price):
        return _Print(bar.open, "open", bar.start)
    return None


def _inside(order: Order, bar: PriceBar) -> _Print | None:
    buys = order.side == "buy"
    if order.type == "stop" and order.stop_price is not None:
        touched = _reaches(order.side, bar.high if buys else bar.low, order.stop_price)
        return _Print(order.stop_price, "stop", bar.end) if touched else None
    if order.type == "limit" and order.limit_price is not None:
        through = bar.low < order.limit_price if buys else bar.high > order.limit_price
        return _Print(order.limit_price, "limit", bar.end) if through else None
    return None


def _at_close(order: Order, bar: PriceBar) -> _Print | None:
    return _Print(bar.close, "close", bar.end) if order.role == "close" else None


def _reaches(side: Side, price: Decimal, level: Decimal) -> bool:
    """Whether a price is at the level or beyond it, upwards for a buy and downwards for a sell."""
    return price >= level if side == "buy" else price <= level


def _other(side: Side) -> Side:
    return "sell" if side == "buy" else "buy"


def _against_trader(order: Order, price: Decimal, costs: Costs) -> Decimal:
    slippage = Decimal(0) if order.type == "limit" else price * costs.slippage_bp * _BASIS_POINT
    if order.side == "buy":
        return (price + slippage).quantize(TICK_USD, rounding=ROUND_CEILING)
    return max(TICK_USD, (price - slippage).quantize(TICK_USD, rounding=ROUND_FLOOR))


def _handed_out(book: Book, fills: tuple[Fill, ...]) -> Matched:
    """The book with open orders only, and its closed orders beside it; everything sorted, whatever order came in."""
    orders = sorted(book.orders.values(), key=_turn)
    return Matched(
        book=Book(
            cash=book.cash,
            positions=dict(sorted(book.positions.items())),
            orders={order.id: order for order in orders if order.status in OPEN},
        ),
        fills=fills,
        cancelled=tuple(order for order in orders if order.status == "cancelled"),
        filled=tuple(order for order in orders if order.status == "filled"),
    )
