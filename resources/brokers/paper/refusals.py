"""What the paper broker refuses, with the codes of Interactive Brokers."""

from collections.abc import Set
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from resources.brokers.paper.book import INITIAL_MARGIN, ZERO, Book, Costs, fee
from trading_assets.broker.model import ENDED, OrderRequest, Reaction

SHARES_MAX: Final = 10_000_000


@dataclass(frozen=True, slots=True)
class Refused:
    """Why an order is not taken. `is_an_order`: it gets a number and is kept as rejected; `scripted`: a drill asked for it."""

    code: int
    text: str
    reaction: Reaction = "order_rejected"
    is_an_order: bool = True
    scripted: bool = False


def refused(request: OrderRequest, book: Book, *, client_id: int, taken: Set[int], costs: Costs) -> Refused | None:
    """What speaks against an order; None when it is taken."""
    if request.order_id in taken or request.order_id <= 0:
        text = f"order id {request.order_id} is used or not above 0"
        return Refused(103, text, "look_again", is_an_order=False)
    if book.refusals:
        return Refused(201, book.refusals[0], scripted=True)
    return _malformed(request, book) or _misplaced(request, book, client_id) or _unpayable(request, book, costs)


def _malformed(request: OrderRequest, book: Book) -> Refused | None:
    known = book.contracts.get(request.contract.con_id)
    if known is None or known.symbol != request.contract.symbol:
        text = f"no security definition for {request.contract.symbol}, {request.contract.con_id}"
        return Refused(200, text, "no_contract")
    shares: object = request.quantity
    if not isinstance(shares, int) or isinstance(shares, bool) or not 0 < shares <= SHARES_MAX:
        return Refused(201, f"the quantity {shares} is not a whole number of 1 to {SHARES_MAX:,} shares")
    needed = {"market": (), "limit": (request.limit_price,), "stop": (request.stop_price,)}.get(request.kind)
    if needed is None or request.side not in {"buy", "sell"} or request.tif not in {"day", "gtc"}:
        return Refused(201, f"no order of the kind {request.side} {request.kind} {request.tif}")
    if not all(_on_tick(price, known.min_tick) for price in needed):
        return Refused(110, f"the price {needed[0]} does not conform to the tick of {known.min_tick}")
    return None


def _on_tick(price: Decimal | None, tick: Decimal) -> bool:
    return price is not None and price.is_finite() and 0 < price < Decimal(10) ** 7 and price % tick == 0


def _misplaced(request: OrderRequest, book: Book, client_id: int) -> Refused | None:
    if not request.parent_id:
        return None
    parent = book.parent_of(request, client_id)
    if parent is None or (parent.status in ENDED and parent.status != "filled"):
        return Refused(201, f"the parent order {request.parent_id} is not there or has ended")
    if parent.symbol != request.contract.symbol or parent.parent:
        return Refused(
            201, f"the order {request.parent_id} cannot be the parent of an order in {request.contract.symbol}"
        )
    return None


def _unpayable(request: OrderRequest, book: Book, costs: Costs) -> Refused | None:
    """Only what opens or enlarges a position needs money; a child is paid for by its parent."""
    held = book.held(request.contract.symbol)
    covered = max(0, -held if request.side == "buy" else held)
    opening = request.quantity - covered
    if request.parent_id or opening <= 0:
        return None
    price = request.limit_price or request.stop_price or book.price(request.contract.symbol, request.side)
    if price is None:
        return Refused(201, f"there is no price of {request.contract.symbol} to judge the order by")
    need = price * opening + fee(costs, price, opening)
    free = book.buying_power if request.side == "buy" else _short_power(book)
    if need <= free:
        return None
    return Refused(201, f"insufficient buying power: the order needs {need:.2f} USD of {max(free, ZERO):.2f}")


def _short_power(book: Book) -> Decimal:
    """The value of shares that may still be sold short: where the initial margin meets the equity."""
    gross = sum((abs(book.value(holding)) for holding in book.holdings.values()), ZERO)
    equity = book.cash + sum((book.value(holding) for holding in book.holdings.values()), ZERO)
    return equity / INITIAL_MARGIN - gross
