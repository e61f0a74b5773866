"""Changes of a book: orders placed and cancelled, fills booked.

Every function returns a new book. A filled or cancelled order stays in it, with its final state, until the next matching hands it
out. Shares are carried at average cost, fees included; a short position at the negative of its proceeds. Entries open a position or
enlarge it on its side, additions only enlarge one, and every other order only reduces. No order ever turns a position into its
opposite.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from trading_assets.core.errors import PermanentFailure
from trading_assets.core.money import TICK_USD, usd
from trading_assets.execution.model import Book, Fill, Order, Position, Side

OPEN = frozenset({"held", "working"})
_OTHER: Mapping[Side, Side] = {"buy": "sell", "sell": "buy"}
_CHILD_TYPE = {"stop": "stop", "target": "limit", "close": "market"}
_PRICE_FIELD = {"limit": "limit_price", "stop": "stop_price"}


def place(book: Book, orders: Iterable[Order]) -> Book:
    """The book with new orders.

    An entry buys, or sells short; its children trade the other way. Parents stand in the book or in the same batch, before or after
    their children. An order that breaks a rule is a bug of its maker: PermanentFailure names the field, and no order of the batch
    is placed.
    """
    batch = tuple(orders)
    known = dict(book.orders)
    for order in batch:
        _require(order.id not in known, order, "id", order.id, "unique in the book")
        known[order.id] = order
    for order in batch:
        _check_order(order)
        _check_prices(order)
        if order.parent_id is not None:
            _check_child(order, known)
    return replace(book, orders=known)


def cancel(book: Book, order_ids: Iterable[str], *, reason: str) -> Book:
    """The book with some open orders cancelled, and with them the children of entries that never filled.

    Orders that are filled or cancelled already stay as they are; an unknown id raises PermanentFailure.
    """
    orders = dict(book.orders)
    for order_id in order_ids:
        order = orders.get(order_id)
        if order is None:
            raise PermanentFailure("only an order of the book can be cancelled", value=order_id)
        if order.status in OPEN:
            _close_order(orders, order, reason)
    return replace(book, orders=orders)


def apply_fill(book: Book, fill: Fill) -> Book:
    """The book after one fill of one of its working orders.

    An entry puts its children to work for the shares that it traded. What reduces shrinks the other legs of its bracket by as much,
    ends the unfilled rest of the entry, and leaves no order that would reduce by more than is left. An exit ends every entry of the
    symbol that has filled in part. Cost leaves in proportion to the shares, rounded to four places; the last fill takes the rest.
    A purchase that opens may spend the buying power and no more; buying back what is owed is always possible, and may leave the
    cash below zero. PermanentFailure for a fill that the order, the buying power or the position does not cover.
    """
    order = book.orders.get(fill.order_id)
    if order is None or order.status != "working" or not 0 < fill.quantity <= order.open_quantity:
        raise PermanentFailure(f"fill {fill.id} does not fit its order", value=fill.quantity, bound=order)
    if order.opens and fill.side == "buy" and book.buying_power + fill.cash < 0:
        raise PermanentFailure(
            f"fill {fill.id} costs more than the book's cash", value=-fill.cash, bound=book.buying_power
        )
    positions = dict(book.positions)
    before = positions.get(fill.symbol, Position(fill.symbol, 0, Decimal(0)))
    after = _enlarged(before, fill) if order.opens else _reduced(before, fill)
    if after.quantity:
        positions[fill.symbol] = after
    else:
        del positions[fill.symbol]
    return Book(book.cash + fill.cash, positions, _orders_after(book.orders, order, fill, held=after.quantity))


def held_quantity(book: Book, symbol: str) -> int:
    """Shares held of a symbol, negative when they are owed; 0 without a position."""
    position = book.positions.get(symbol)
    return position.quantity if position else 0


def reducible(held: int, side: Side) -> int:
    """How many shares an order of a side can take off a position without turning it into its opposite."""
    return max(0, held if side == "sell" else -held)


def fit_to_holding(orders: dict[str, Order], symbol: str, held: int) -> None:
    """Cuts the working orders that reduce a symbol's position, in place, to what is held.

    All stops together cover no more than is held, and so do all targets and all closes: the newest bracket gives way first. Each
    exit covers no more than is held. With nothing held all of them are cancelled, and so are additions, and the rest of every entry
    that has filled in part: its protection is gone for good.
    """
    reducing = _where(orders, lambda o: o.symbol == symbol and not o.opens and o.status == "working")
    room: dict[str, int] = {}
    for order in sorted(reducing, key=lambda o: (o.placed_at, o.id)):
        most = reducible(held, order.side)
        left = most if order.role == "exit" else room.get(order.role, most)
        if order.open_quantity > left:
            _shrink(orders, order, order.open_quantity - left, _too_much(held))
        room[order.role] = left - min(order.open_quantity, left)
    if not held:
        _end_entries(orders, symbol, "nothing is held")


def _too_much(held: int) -> str:
    return "the rest of the position is covered" if held else "nothing is held"


def _enlarged(position: Position, fill: Fill) -> Position:
    """The position after more of it; an entry against it is refused, for it would reduce the position or turn it over."""
    shares = fill.quantity if fill.side == "buy" else -fill.quantity
    if fill.role == "addition" and not position.quantity:
        raise PermanentFailure(f"fill {fill.id} adds to nothing", value=shares, bound="a position")
    if position.quantity * shares < 0:
        raise PermanentFailure(f"fill {fill.id} opens against a position", value=shares, bound=position.quantity)
    return Position(fill.symbol, position.quantity + shares, position.cost - fill.cash)


def _reduced(position: Position, fill: Fill) -> Position:
    most = reducible(position.quantity, fill.side)
    if fill.quantity > most:
        verb = "sells more than is held" if fill.side == "sell" else "buys back more than is owed"
        raise PermanentFailure(f"fill {fill.id} {verb}", value=fill.quantity, bound=most)
    left = position.quantity + (fill.quantity if fill.side == "buy" else -fill.quantity)
    return Position(fill.symbol, left, position.cost - usd(position.cost * fill.quantity / abs(position.quantity)))


def _orders_after(before: Mapping[str, Order], order: Order, fill: Fill, *, held: int) -> dict[str, Order]:
    orders = dict(before)
    done = fill.quantity == order.open_quantity
    orders[order.id] = replace(
        order,
        filled=order.filled + fill.quantity,
        fills=order.fills + 1,
        status="filled" if done else "working",
    )
    if order.opens:
        _activate_children(orders, order.id, fill.quantity)
        return orders
    for sibling in _family(orders, order):
        _shrink(orders, sibling, fill.quantity, f"the {order.role} filled")
    if order.role == "exit":
        _end_entries(orders, order.symbol, "the exit filled")
    elif (entry := orders.get(order.parent_id or "")) and entry.status in OPEN:
        _close_order(orders, entry, f"the {order.role} filled")
    fit_to_holding(orders, order.symbol, held)
    return orders


def _activate_children(orders: dict[str, Order], parent_id: str, quantity: int) -> None:
    for child in _where(orders, lambda order: order.parent_id == parent_id and order.status in OPEN):
        covered = child.quantity if child.status == "working" else 0
        orders[child.id] = replace(child, quantity=covered + quantity, status="working")


def _family(orders: Mapping[str, Order], order: Order) -> Sequence[Order]:
    """The other open legs of an order's bracket."""
    parent_id = order.parent_id
    if parent_id is None:
        return ()
    return _where(orders, lambda other: other.parent_id == parent_id and other.id != order.id and other.status in OPEN)


def _end_entries(orders: dict[str, Order], symbol: str, reason: str) -> None:
    """Cancels additions, and the rest of every entry of a symbol that has filled in part."""
    mine = _where(orders, lambda o: o.symbol == symbol and o.opens and o.status in OPEN)
    for entry in (each for each in mine if each.fills or each.role == "addition"):
        _close_order(orders, entry, reason)


def _where(orders: Mapping[str, Order], wanted: Callable[[Order], bool]) -> Sequence[Order]:
    return tuple(order for order in orders.values() if wanted(order))


def _shrink(orders: dict[str, Order], order: Order, quantity: int, reason: str) -> None:
    if quantity < order.open_quantity:
        orders[order.id] = replace(order, quantity=order.quantity - quantity)
    else:
        _close_order(orders, order, reason)


def _close_order(orders: dict[str, Order], order: Order, reason: str) -> None:
    orders[order.id] = replace(order, status="cancelled", reason=reason)
    for child in _where(orders, lambda o: o.parent_id == order.id and o.status == "held"):
        orders[child.id] = replace(child, status="cancelled", reason=f"its entry was cancelled: {reason}")


def _check_order(order: Order) -> None:
    is_child = order.parent_id is not None
    status = "held" if is_child else "working"
    _require(type(order.quantity) is int and order.quantity > 0, order, "quantity", order.quantity, "1 or more")
    _require(order.filled == 0, order, "filled", order.filled, "0 for a new order")
    _require(order.fills == 0, order, "fills", order.fills, "0 for a new order")
    _require(order.status == status, order, "status", order.status, status)
    _require(order.placed_at.tzinfo is not None, order, "placed_at", order.placed_at, "an instant with its time zone")
    _require(order.side in _OTHER, order, "side", order.side, "buy or sell")
    if order.role in _CHILD_TYPE:
        _require(order.type == _CHILD_TYPE[order.role], order, "type", order.type, _CHILD_TYPE[order.role])
    _require(
        not is_child or order.role in _CHILD_TYPE, order, "role", order.role, "stop, target or close under an entry"
    )


def _check_prices(order: Order) -> None:
    needed = _PRICE_FIELD.get(order.type)
    for name, price in (("limit_price", order.limit_price), ("stop_price", order.stop_price)):
        if name != needed:
            _require(price is None, order, name, price, f"none for a {order.type} order")
        else:
            whole = price is not None and price.is_finite() and price > 0 and price % TICK_USD == 0
            _require(whole, order, name, price, "positive whole cents")


def _check_child(order: Order, known: Mapping[str, Order]) -> None:
    parent = known.get(order.parent_id or "")
    is_entry = parent is not None and parent.opens and parent.status == "working" and parent.fills == 0
    if parent is None or not is_entry or parent.symbol != order.symbol:
        raise _refusal(order, "parent_id", order.parent_id, "an unfilled entry of the same symbol")
    _require(order.side == _OTHER[parent.side], order, "side", order.side, _OTHER[parent.side])
    if order.role == "close":
        ends = order.time_in_force == parent.time_in_force == "day"
        _require(ends, order, "time_in_force", order.time_in_force, "day, as its entry's")
    others = [o for o in known.values() if o.parent_id == parent.id and o.id != order.id and o.status in OPEN]
    _require(
        all(o.role != order.role for o in others),
        order,
        "role",
        order.role,
        "one stop, one target and one close per entry",
    )
    for other in (parent, *others):
        _check_side_of(order, other)


def _check_side_of(order: Order, other: Order) -> None:
    """A stop lies on the losing side of its entry and its target, a target beyond both, as far as prices are known."""
    own, reference = _level(order), _level(other)
    if own is None or reference is None:
        return
    below = (order.role == "stop") == (order.side == "sell")
    right = own < reference if below else own > reference
    side = "below" if below else "above"
    _require(right, order, _PRICE_FIELD[order.type], own, f"{side} the {other.role} at {reference}")


def _level(order: Order) -> Decimal | None:
    return order.limit_price if order.type == "limit" else order.stop_price


def _require(holds: bool, order: Order, name: str, value: object, bound: str) -> None:
    if not holds:
        raise _refusal(order, name, value, bound)


def _refusal(order: Order, name: str, value: object, bound: str) -> PermanentFailure:
    hint = "mend the code that made the order"
    return PermanentFailure(f"order {order.id}: {name} is wrong", value=value, bound=bound, hint=hint)
