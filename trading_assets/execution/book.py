"""Changes of a book: orders placed and cancelled, fills booked.

Every function returns a new book. A filled or cancelled order stays in it, with its final state, until the next matching hands it
out. Shares are carried at average cost, fees included.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from trading_assets.core.errors import PermanentFailure
from trading_assets.core.money import TICK_USD, usd
from trading_assets.execution.model import Book, Fill, Order, Position

OPEN = frozenset({"held", "working"})
_ROLE_SIDE = {"entry": "buy", "stop": "sell", "target": "sell", "exit": "sell"}
_CHILD_TYPE = {"stop": "stop", "target": "limit"}
_PRICE_FIELD = {"limit": "limit_price", "stop": "stop_price"}


def place(book: Book, orders: Iterable[Order]) -> Book:
    """The book with new orders.

    Entries buy, all other roles sell. Parents stand in the book or in the same batch, before or after their children. An order
    that breaks a rule is a bug of its maker: PermanentFailure names the field, and no order of the batch is placed.
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
    """The book with some open orders cancelled, and with them the children of entries that bought nothing.

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

    A purchase puts the entry's stop and target to work for the shares bought. A sale shrinks the other leg of its bracket by the
    shares sold, ends the unfilled rest of the entry, and leaves no sell order of the symbol above what is still held. An exit ends
    every entry of the symbol that has bought something. Cost leaves in proportion to the shares sold, rounded to four places; the
    last sale takes the rest. PermanentFailure for a fill that the order, the cash or the position does not cover.
    """
    order = book.orders.get(fill.order_id)
    if order is None or order.status != "working" or not 0 < fill.quantity <= order.open_quantity:
        raise PermanentFailure(f"fill {fill.id} does not fit its order", value=fill.quantity, bound=order)
    positions = dict(book.positions)
    cash = book.cash + fill.cash
    if cash < 0:
        raise PermanentFailure(f"fill {fill.id} costs more than the book's cash", value=-fill.cash, bound=book.cash)
    after = _bought(positions.get(fill.symbol), fill) if fill.side == "buy" else _sold(positions.get(fill.symbol), fill)
    if after.quantity:
        positions[fill.symbol] = after
    else:
        del positions[fill.symbol]
    return Book(cash, positions, _orders_after(book.orders, order, fill, held=after.quantity))


def held_quantity(book: Book, symbol: str) -> int:
    """Shares held of a symbol; 0 without a position."""
    position = book.positions.get(symbol)
    return position.quantity if position else 0


def fit_to_holding(orders: dict[str, Order], symbol: str, held: int) -> None:
    """Cuts the working sell orders of a symbol, in place, to what is held.

    With nothing held they are cancelled, and so is the rest of every entry that has bought: its protection is gone for good.
    """
    for order in _where(orders, lambda o: o.symbol == symbol and o.side == "sell" and o.status == "working"):
        if order.open_quantity > held:
            _shrink(orders, order, order.open_quantity - held, "nothing is held")
    if not held:
        _end_entries(orders, symbol, "nothing is held")


def _bought(position: Position | None, fill: Fill) -> Position:
    quantity, cost = (position.quantity, position.cost) if position else (0, Decimal(0))
    return Position(fill.symbol, quantity + fill.quantity, cost - fill.cash)


def _sold(position: Position | None, fill: Fill) -> Position:
    if position is None or fill.quantity > position.quantity:
        held = position.quantity if position else 0
        raise PermanentFailure(f"fill {fill.id} sells more than is held", value=fill.quantity, bound=held)
    leaving = usd(position.cost * fill.quantity / position.quantity)
    return Position(fill.symbol, position.quantity - fill.quantity, position.cost - leaving)


def _orders_after(before: Mapping[str, Order], order: Order, fill: Fill, *, held: int) -> dict[str, Order]:
    orders = dict(before)
    done = fill.quantity == order.open_quantity
    orders[order.id] = replace(
        order,
        filled=order.filled + fill.quantity,
        fills=order.fills + 1,
        status="filled" if done else "working",
    )
    if fill.side == "buy":
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
    """The other open leg of an order's bracket."""
    parent_id = order.parent_id
    if parent_id is None:
        return ()
    return _where(orders, lambda other: other.parent_id == parent_id and other.id != order.id and other.status in OPEN)


def _end_entries(orders: dict[str, Order], symbol: str, reason: str) -> None:
    """Cancels the rest of every entry of a symbol that has bought something."""
    bought = _where(orders, lambda o: o.symbol == symbol and o.role == "entry" and o.fills > 0 and o.status in OPEN)
    for entry in bought:
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
    _require(order.side == _ROLE_SIDE[order.role], order, "side", order.side, _ROLE_SIDE[order.role])
    if order.role in _CHILD_TYPE:
        _require(order.type == _CHILD_TYPE[order.role], order, "type", order.type, _CHILD_TYPE[order.role])
    _require(not is_child or order.role in _CHILD_TYPE, order, "role", order.role, "stop or target under an entry")


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
    is_entry = parent is not None and parent.role == "entry" and parent.status == "working" and parent.fills == 0
    if parent is None or not is_entry or parent.symbol != order.symbol:
        raise _refusal(order, "parent_id", order.parent_id, "an unfilled entry of the same symbol")
    others = [o for o in known.values() if o.parent_id == parent.id and o.id != order.id and o.status in OPEN]
    _require(all(o.role != order.role for o in others), order, "role", order.role, "one stop and one target per entry")
    for other in (parent, *others):
        _check_side_of(order, other)


def _check_side_of(order: Order, other: Order) -> None:
    """A stop lies below its entry and its target, a target above its entry and its stop, as far as prices are known."""
    own, reference = _level(order), _level(other)
    if own is None or reference is None:
        return
    right = own < reference if order.role == "stop" else own > reference
    side = "below" if order.role == "stop" else "above"
    _require(right, order, _PRICE_FIELD[order.type], own, f"{side} the {other.role} at {reference}")


def _level(order: Order) -> Decimal | None:
    return order.limit_price if order.type == "limit" else order.stop_price


def _require(holds: bool, order: Order, name: str, value: object, bound: str) -> None:
    if not holds:
        raise _refusal(order, name, value, bound)


def _refusal(order: Order, name: str, value: object, bound: str) -> PermanentFailure:
    hint = "mend the code that made the order"
    return PermanentFailure(f"order {order.id}: {name} is wrong", value=value, bound=bound, hint=hint)
