"""Splits and cash dividends on the book, at the session's open and before any matching.

A dividend belongs to the shares held at that open and is stated per share of the day before, so it is paid before a split of the
same session. A split multiplies shares and leaves their cost; what is left of a share is paid in cash at the previous close. Who is
short pays both. Order prices are divided by the ratio and rounded to cents so that no approved term gets worse: buys down, sells
up. Open entries round down to whole shares, what reduces rounds up but never above what is held, so that a stop never covers less
than its position. Dividends do not move order prices.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any, Self

from trading_assets.core.errors import DataNotReady, PermanentFailure
from trading_assets.core.money import TICK_USD, share_ratio, usd
from trading_assets.execution.book import OPEN, cancel, fit_to_holding, held_quantity
from trading_assets.execution.model import Book, Order, Position
from trading_assets.execution.ports import DividendPaid
from trading_assets.market.model import ActionKind

_SHARE_PLACES = Decimal("0.000001")


@dataclass(frozen=True, slots=True)
class Action:
    """A split (`ratio` new shares per old share) or a cash dividend (`amount` USD per share of the day before)."""

    symbol: str
    session: date
    kind: ActionKind
    ratio: Decimal = Decimal(1)
    amount: Decimal = Decimal(0)

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """A row of CORPORATE_ACTIONS."""
        return cls(row["symbol"], row["session"], row["kind"], share_ratio(row["ratio"]), usd(row["amount"]))


@dataclass(frozen=True, slots=True)
class ActionResult:
    """The book after a session's actions.

    `payments` has one entry for each symbol that was paid, dividend and cash in lieu together, in order of symbol; its amounts sum
    to `cash_dividends` plus `cash_in_lieu`. `notes` says in words what was done.
    """

    book: Book
    payments: tuple[DividendPaid, ...]
    cash_dividends: Decimal
    cash_in_lieu: Decimal
    notes: tuple[str, ...]


def apply_actions(
    book: Book, actions: Iterable[Action], *, session: date, last_close: Mapping[str, Decimal]
) -> ActionResult:
    """Applies the actions of one session to the book that was carried into it.

    Args:
        book: The book after the session before.
        actions: Splits and dividends in force from `session` on; symbols that the book does not know change nothing.
        session: The day whose open is reached.
        last_close: Closes of the session before, USD in its share count; needed where a split leaves a part of a share.

    Raises:
        PermanentFailure: An action of another session, or with a ratio or an amount that is not positive.
        DataNotReady: A close is needed and missing.
    """
    work = _Work(book)
    for action in sorted(actions, key=lambda each: (each.symbol, each.kind == "split")):
        _check(action, session)
        if action.kind == "split":
            work.split(action, last_close)
        else:
            work.dividend(action)
    return work.result(session)


def split_shares(quantity: int, ratio: Decimal) -> tuple[int, Decimal]:
    """Whole shares after a split, and the part of a share that is left; both negative for shares that are owed.

    The product is taken to six places first: a ratio such as 1:30 has no exact decimal, and 30 old shares must be 1 new one.
    """
    exact = (quantity * ratio).quantize(_SHARE_PLACES)
    whole = int(exact)
    return whole, exact - whole


def split_price(price: Decimal, ratio: Decimal, rounding: str) -> Decimal:
    """A price in the new share count, rounded to cents; at least one cent."""
    return max(TICK_USD, (price / ratio).quantize(_SHARE_PLACES).quantize(TICK_USD, rounding=rounding))


class _Work:
    """The book and the payments while a session's actions are applied."""

    def __init__(self, book: Book) -> None:
        self.book = book
        self.dividends: dict[str, Decimal] = {}
        self.in_lieu: dict[str, Decimal] = {}
        self.notes: list[str] = []

    def dividend(self, action: Action) -> None:
        held = held_quantity(self.book, action.symbol)
        if held:
            paid = usd(action.amount * held)
            self._pay(self.dividends, action.symbol, paid)
            self.notes.append(f"{action.symbol}: dividend of {action.amount} on {held} shares pays {paid}")

    def split(self, action: Action, last_close: Mapping[str, Decimal]) -> None:
        held = held_quantity(self.book, action.symbol)
        whole, part = split_shares(held, action.ratio)
        if part:
            self._pay(self.in_lieu, action.symbol, _in_lieu(action, part, last_close))
        if held:
            self.book = replace(self.book, positions=_split_position(self.book, action.symbol, whole))
            self.notes.append(f"{action.symbol}: split {action.ratio} makes {held} shares {whole}, {part} in cash")
        self.book = _split_orders(self.book, action, whole)

    def result(self, session: date) -> ActionResult:
        paid = {**self.in_lieu}
        for symbol, amount in self.dividends.items():
            paid[symbol] = paid.get(symbol, Decimal(0)) + amount
        payments = tuple(DividendPaid(session, symbol, amount) for symbol, amount in sorted(paid.items()) if amount)
        return ActionResult(self.book, payments, _total(self.dividends), _total(self.in_lieu), tuple(self.notes))

    def _pay(self, account: dict[str, Decimal], symbol: str, amount: Decimal) -> None:
        account[symbol] = account.get(symbol, Decimal(0)) + amount
        self.book = replace(self.book, cash=self.book.cash + amount)


def _check(action: Action, session: date) -> None:
    name = f"{action.kind} of {action.symbol}"
    if action.session != session:
        raise PermanentFailure(f"the {name} belongs to another session", value=action.session, bound=session)
    field, value = ("ratio", action.ratio) if action.kind == "split" else ("amount", action.amount)
    if not (value.is_finite() and value > 0):
        raise PermanentFailure(f"the {field} of the {name} must be positive", value=value)


def _in_lieu(action: Action, part: Decimal, last_close: Mapping[str, Decimal]) -> Decimal:
    close = last_close.get(action.symbol)
    if close is None:
        raise DataNotReady(
            f"the split of {action.symbol} leaves {part} of a share, and no previous close is known to pay it",
            hint=f"ingest the session before {action.session}",
        )
    return usd(part * close / action.ratio)


def _split_position(book: Book, symbol: str, whole: int) -> dict[str, Position]:
    positions = dict(book.positions)
    position = positions.pop(symbol)
    if whole:
        positions[symbol] = replace(position, quantity=whole)
    return positions


def _split_orders(book: Book, action: Action, held: int) -> Book:
    """The book's open orders in the new share count; an entry too small for it is cancelled as it stood."""
    open_orders = [o for o in book.orders.values() if o.symbol == action.symbol and o.status in OPEN]
    split = {order.id: _split_order(order, action.ratio) for order in open_orders}
    too_small = [order.id for order in split.values() if order.open_quantity == 0]
    for order_id in too_small:
        book = cancel(book, [order_id], reason=f"a split left less than one share to {book.orders[order_id].side}")
    orders = {
        order.id: split[order.id] if order.id in split and order.status in OPEN else order
        for order in book.orders.values()
    }
    fit_to_holding(orders, action.symbol, held)
    return replace(book, orders=orders)


def _split_order(order: Order, ratio: Decimal) -> Order:
    filled, _ = split_shares(order.filled, ratio)
    whole, part = split_shares(order.open_quantity, ratio)
    rounding = ROUND_FLOOR if order.side == "buy" else ROUND_CEILING
    still_open = whole if order.opens or not part else whole + 1
    return replace(
        order,
        quantity=filled + still_open,
        filled=filled,
        limit_price=split_price(order.limit_price, ratio, rounding) if order.limit_price else None,
        stop_price=split_price(order.stop_price, ratio, rounding) if order.stop_price else None,
    )


def _total(account: Mapping[str, Decimal]) -> Decimal:
    return sum(account.values(), Decimal(0))
