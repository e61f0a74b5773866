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


def steps_to_flat(snapshot: Snapshot, spared: Mapping[str, Decimal], symbols: frozenset[str] | None = None) -> Steps:
    """The steps from here to nothing held and nothing resting; of some symbols alone where they are named.

    Args:
        spared: By symbol, shares that are not the desk's.
    """
    meant = [each for each in snapshot.positions if symbols is None or each.symbol in symbols]
    held = {each.symbol: rest for each in meant if (rest := own_part(each, spared.get(each.symbol, _NOTHING))).quantity}
    live = [each for each in snapshot.open_orders if each.is_ours and each.status not in ENDED]
    orders = [each for each in live if symbols is None or each.symbol in symbols]
    parents = {(each.client_id, each.order_id) for each in orders if each.order_id}
    opening = [order for order in orders if not _reduces(order, held)]
    left_over = [each for each in orders if each.symbol not in held and (each.client_id, each.parent_id) not in parents]
    loose = [order for order in orders if order.symbol in held and _is_loose(order, held[order.symbol])]
    cancel = {order.perm_id: order for order in (*opening, *left_over, *loose) if order.status != "pending_cancel"}
    sales = tuple(sale for symbol in sorted(held) for sale in _sales(held[symbol], orders))
    return Steps(tuple(cancel.values()), sales, tuple(_fractions(held)))


def unproven(snapshot: Snapshot) -> Mapping[str, Decimal]:
    """Shares by symbol of which nothing proves that they are the desk's: all but what the stop of a bracket covers.

    For a watchdog that has never read the ledger, and so cannot know what was in the account before the desk. A stop alone is no
    proof, for shares that are not the desk's are protected too.
    """
    mine = [each for each in snapshot.open_orders if each.is_ours]
    brackets = {each.oca_group for each in mine if each.oca_group and each.kind == "limit"}
    found = {}
    for position in snapshot.positions:
        stops = (
            each.remaining
            for each in mine
            if each.symbol == position.symbol and each.kind == "stop" and each.side == _closing(position)
            if each.oca_group in brackets
        )
        covered = min(abs(position.quantity), sum(stops, _NOTHING))
        found[position.symbol] = position.quantity - covered.copy_sign(position.quantity)
    return found


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
    """Whether it can only take off what is held. The children of an entry that waits go with it, for the broker ends them too."""
    position = held.get(order.symbol)
    if position is None:
        return order.parent_id != 0
    return order.side == _closing(position)


def _sales(position: HeldPosition, orders: Sequence[OrderReport]) -> Iterator[Sale]:
    """What is held less what sells it already, split by the groups of the orders that rest for it: stops before targets.

    Whatever rests in no group could sell the same shares once more: as many wait until it is cancelled.
    """
    side = _closing(position)
    mine = [order for order in orders if order.symbol == position.symbol and order.side == side]
    selling = sum((order.remaining for order in mine if order.kind == "market" or _is_loose(order, position)), _NOTHING)
    left = int(abs(position.quantity) - selling)
    for group, covered in _groups(mine):
        part = min(left, covered)
        if part > 0:
            yield Sale(position.symbol, position.con_id, side, part, group)
            left -= part
    if left > 0:
        yield Sale(position.symbol, position.con_id, side, left)


def _groups(orders: Sequence[OrderReport]) -> Iterator[tuple[str, int]]:
    """Groups of resting orders and how many shares each is for, those with a stop first; what sells in one already is taken off."""
    found: dict[str, list[OrderReport]] = {}
    for order in sorted(orders, key=_by_name):
        if order.oca_group:
            found.setdefault(order.oca_group, []).append(order)
    for has_stop in (True, False):
        for group, members in found.items():
            resting = [each for each in members if each.kind != "market"]
            if resting and any(each.kind == "stop" for each in resting) == has_stop:
                sold = sum((each.remaining for each in members if each.kind == "market"), _NOTHING)
                yield group, int(max(each.remaining for each in resting) - sold)


def _is_loose(order: OrderReport, position: HeldPosition) -> bool:
    """A limit order that takes off what is held, in no group with anything."""
    return order.kind not in {"market", "stop"} and not order.oca_group and order.side == _closing(position)


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
