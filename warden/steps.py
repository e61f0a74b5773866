"""What must be done next until nothing of the desk is held and nothing of it rests at the broker; pure, from one snapshot.

The order is: cancel what could open or enlarge a position, sell what is held, and only when nothing is held cancel what protected
it. Every look begins anew from what the broker says, so that it does not matter who did what before, or what came of it. Shares and
orders that are not the desk's stay where they are.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from trading_assets.broker.model import ENDED, HeldPosition, OrderReport, Side, Snapshot

_NOTHING = Decimal(0)


@dataclass(frozen=True, slots=True)
class Sale:
    """Shares to be traded away at the market. `oca_group` is that of the stop which covers them, so that nothing is sold twice."""

    symbol: str
    con_id: int
    side: Side
    quantity: int
    oca_group: str = ""


@dataclass(frozen=True, slots=True)
class Steps:
    """What to do now. `stuck` says in words what only a person can do."""

    cancel: tuple[OrderReport, ...] = ()
    sell: tuple[Sale, ...] = ()
    stuck: tuple[str, ...] = ()

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to do."""
        return not (self.cancel or self.sell or self.stuck)


def steps_to_flat(snapshot: Snapshot, spared: Mapping[str, Decimal], symbols: frozenset[str] | None = None) -> Steps:
    """The steps from here to nothing held and nothing resting; of some symbols alone where they are named.

    Args:
        spared: By symbol, shares that are not the desk's.
    """
    meant = [each for each in snapshot.positions if symbols is None or each.symbol in symbols]
    held = {each.symbol: rest for each in meant if (rest := own_part(each, spared.get(each.symbol, _NOTHING))).quantity}
    live = [each for each in snapshot.open_orders if each.is_ours and each.status not in ENDED]
    orders = [each for each in live if symbols is None or each.symbol in symbols]
    opening = [order for order in orders if not _reduces(order, held)]
    protecting = [order for order in orders if order.symbol not in held]
    cancel = {order.perm_id: order for order in (*opening, *protecting) if order.status != "pending_cancel"}
    sales = tuple(sale for symbol in sorted(held) for sale in _sales(held[symbol], orders))
    return Steps(tuple(cancel.values()), sales, tuple(_fractions(held)))


def own_part(position: HeldPosition, spared: Decimal) -> HeldPosition:
    """The desk's part of a position: never more than there is, and never on the other side of it.

    Args:
        spared: Shares that are not the desk's.
    """
    own = position.quantity - spared
    if own * position.quantity <= 0:
        own = _NOTHING
    return replace(position, quantity=min(own, position.quantity, key=abs))


def _reduces(order: OrderReport, held: Mapping[str, HeldPosition]) -> bool:
    """Whether it can only take off what is held. The children of an entry that waits go with the entry."""
    position = held.get(order.symbol)
    if position is None:
        return order.parent_id != 0
    return order.side == _closing(position)


def _sales(position: HeldPosition, orders: Sequence[OrderReport]) -> Iterator[Sale]:
    """What is held less what sells it already, split by the groups of the stops that cover it."""
    side = _closing(position)
    mine = [order for order in orders if order.symbol == position.symbol and order.side == side]
    selling = sum((order.remaining for order in mine if order.kind == "market"), _NOTHING)
    left = int(abs(position.quantity) - selling)
    for stop in sorted((order for order in mine if order.kind == "stop" and order.oca_group), key=_by_name):
        part = min(left, int(stop.remaining))
        if part > 0:
            yield Sale(position.symbol, position.con_id, side, part, stop.oca_group)
            left -= part
    if left > 0:
        yield Sale(position.symbol, position.con_id, side, left)


def _fractions(held: Mapping[str, HeldPosition]) -> Iterator[str]:
    """A part of a share cannot be ordered away here: a person must."""
    for symbol in sorted(held):
        quantity = held[symbol].quantity
        if abs(quantity) < 1:
            yield f"{quantity} {symbol} is less than a share: sell it by hand"


def _closing(position: HeldPosition) -> Side:
    return "sell" if position.quantity > 0 else "buy"


def _by_name(order: OrderReport) -> tuple[str, int]:
    return order.oca_group, order.perm_id
