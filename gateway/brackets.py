"""From an intent to the orders on the wire: a bracket for what opens, orders in the position's groups for what reduces.

The entry is written first and not transmitted, the target neither; the stop is written last and carries the transmission of all
three. A socket that dies in between leaves an entry that the broker does not work.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from trading_assets.broker.lifecycle import OPENING, Known, Leg, LegRole
from trading_assets.broker.model import REF_PREFIX, Algo, Contract, OrderKind, OrderRequest, Side, Tif
from trading_assets.execution.dispatch import NewLeg
from trading_assets.execution.model import Order, OrderRole
from trading_assets.execution.orders import orders_of
from trading_assets.execution.ports import Intent

_WRITTEN: tuple[OrderRole, ...] = ("entry", "addition", "target", "stop")
TRADES: frozenset[LegRole] = frozenset({"exit", "close", "flatten"})
"""Orders that take shares off now; stops and targets rest."""


@dataclass(frozen=True, slots=True)
class Group:
    """A resting stop and the orders that it shares a group with.

    Args:
        size: Shares that the stop may still sell.
        behind: How many of them have come in through its entry; fewer than `size` while the entry is filled in part.
        is_busy: Whether an order that takes shares off works in it already.
    """

    stop: Leg
    size: int
    behind: int
    is_busy: bool

    @property
    def name(self) -> str:
        """What the broker calls it."""
        return self.stop.oca_group


@dataclass(frozen=True, slots=True)
class Share:
    """A part of a reduction: so many shares in one group of orders; without a group where nothing covers them.

    `size` is what the group's stop may still sell, 0 without a group.
    """

    quantity: int
    group: str
    size: int = 0

    @property
    def is_even(self) -> bool:
        """Whether the order has the size of its group.

        Brokers read "reduce the others" in two ways: by as many shares as were traded, or by the share of the order that was
        traded, so that a small order that fills in full ends the group, and so does its cancel. Where all orders of a group
        have one size, both ways come to the same.
        """
        return not self.group or self.quantity == self.size


def ref_of(intent_id: str) -> str:
    """What every order of an intent carries at the broker."""
    return f"{REF_PREFIX}{intent_id}"


@dataclass(frozen=True, slots=True)
class Part:
    """A part of an entry that goes out at once: its shares, how many of them are shown (0: all), its limit, its place."""

    quantity: int
    limit_price: Decimal | None
    display_quantity: int = 0
    algo: Algo = ""
    number: int = 1


def bracket(intent: Intent, contract: Contract, part: Part, first_id: int) -> tuple[NewLeg, ...]:
    """Entry, target and stop of a part in the order in which they are written, numbered from `first_id`.

    Each part has a group of its own, so that its target never takes off what another part's stop covers.
    """
    planned = {order.role: order for order in orders_of(intent)}
    orders = [planned[role] for role in _WRITTEN if role in planned]
    suffix = "" if part.number == 1 else f"-{part.number}"
    group, parent = ref_of(intent.id) + suffix, f"{orders[0].id}{suffix}"
    legs = []
    for place, order in enumerate(orders):
        request = replace(
            _request(order, contract, ref_of(intent.id), first_id + place),
            key=f"{order.id}{suffix}",
            quantity=part.quantity,
            transmit=order is orders[-1],
        )
        if place == 0:
            limited = replace(request, limit_price=part.limit_price, algo=part.algo)
            legs.append(NewLeg(replace(limited, display_quantity=part.display_quantity), order.role))
        else:
            legs.append(NewLeg(replace(request, parent_id=first_id, oca_group=group), order.role, parent))
    return tuple(legs)


def reduction(
    intent_id: str,
    role: LegRole,
    contract: Contract,
    side: Side,
    shares: Sequence[Share],
    first_id: int,
    *,
    limit_price: Decimal | None,
) -> tuple[NewLeg, ...]:
    """Orders that take shares off, each within the group whose stop and target it thereby reduces.

    Without a limit they are market orders.
    """
    kind: OrderKind = "market" if limit_price is None else "limit"
    return tuple(
        NewLeg(
            OrderRequest(
                key=f"{intent_id}-{role}" if number == 0 else f"{intent_id}-{role}-{number + 1}",
                ref=ref_of(intent_id),
                order_id=first_id + number,
                contract=contract,
                side=side,
                kind=kind,
                quantity=share.quantity,
                tif="day",
                limit_price=limit_price,
                oca_group=share.group,
            ),
            role,
        )
        for number, share in enumerate(shares)
    )


def protection(
    intent_id: str, contract: Contract, side: Side, quantity: int, stop_price: Decimal, order_id: int
) -> tuple[NewLeg, ...]:
    """A resting stop for shares that have none; in a group of its own, so that an exit reduces it."""
    ref = ref_of(intent_id)
    request = OrderRequest(
        key=f"{intent_id}-protect",
        ref=ref,
        order_id=order_id,
        contract=contract,
        side=side,
        kind="stop",
        quantity=quantity,
        tif="gtc",
        stop_price=stop_price,
        oca_group=ref,
    )
    return (NewLeg(request, "protect"),)


def shares_of(known: Known, symbol: str, side: Side, quantity: int) -> tuple[Share, ...]:
    """How a reduction divides over the groups whose stops cover the position.

    What no stop covers leaves first and has no group, as has what is left at the end; of groups, one of exactly the size is taken
    before all others, then the oldest.
    """
    free = [group for group in groups_of(known, symbol, side) if group.behind > 0 and not group.is_busy]
    bare = min(quantity, uncovered(known, symbol))
    free.sort(key=lambda group: group.behind != quantity - bare)
    found, left = [], quantity - bare
    for group in free:
        taken = min(left, group.behind)
        if taken > 0:
            found.append(Share(taken, group.name, group.size))
            left -= taken
    if left + bare > 0:
        found.append(Share(left + bare, ""))
    return tuple(found)


def uncovered(known: Known, symbol: str) -> int:
    """Shares that no resting stop covers and that no order takes off at the market already."""
    held = int(known.position(symbol))
    side: Side = "sell" if held > 0 else "buy"
    legs = [leg for leg in legs_at_broker(known, symbol) if leg.side == side]
    stopped = {leg.oca_group for leg in legs if leg.role in {"stop", "protect"} and leg.oca_group}
    grouped = sum(group.behind for group in groups_of(known, symbol, side))
    alone = sum(int(leg.open_quantity) for leg in legs if leg.role in {"stop", "protect"} and not leg.oca_group)
    leaving = sum(
        int(leg.open_quantity)
        for leg in legs
        if leg.role in TRADES and leg.kind == "market" and leg.oca_group not in stopped
    )
    return max(0, abs(held) - grouped - alone - leaving)


def groups_of(known: Known, symbol: str, side: Side) -> tuple[Group, ...]:
    """Groups with a resting stop on the side that reduces, the oldest first."""
    legs = [leg for intent in known.intents for leg in intent.legs if leg.symbol == symbol]
    stops = [
        leg for leg in legs if leg.is_open and leg.role in {"stop", "protect"} and leg.side == side and leg.oca_group
    ]
    entered = _entered(legs)
    return tuple(_group(legs, stop, entered) for stop in sorted(stops, key=lambda leg: (leg.order_id, leg.key)))


def _group(legs: Sequence[Leg], stop: Leg, entered: Mapping[str, Decimal]) -> Group:
    members = [leg for leg in legs if leg.oca_group == stop.oca_group]
    size = max(0, stop.quantity - int(sum(leg.filled for leg in members)))
    behind = max(0, min(size, int(entered.get(stop.parent_key, size))))
    return Group(stop, size, behind, any(leg.is_open and leg.role in TRADES for leg in members))


def _entered(legs: Sequence[Leg]) -> Mapping[str, Decimal]:
    """By entry, shares that came in through it and did not leave through its children."""
    entered = {leg.key: leg.filled for leg in legs if not leg.parent_key}
    for leg in legs:
        if leg.parent_key in entered:
            entered[leg.parent_key] -= leg.filled
    return entered


def regrouped(
    stop: Leg, target: Leg | None, contract: Contract, sizes: Sequence[int], first_id: int
) -> tuple[NewLeg, ...]:
    """A stop, and a target where there was one, for each size in a group of its own: what a group becomes that was divided.

    The stops are written first. All are children of the old entry, which the broker does not know any more: they wait for nothing.
    """
    found, number = [], first_id
    for leg in (stop, target):
        for place, size in enumerate(sizes if leg is not None else ()):
            if leg is not None:
                found.append(_again(leg, contract, size, number, f"{stop.ref}-r{first_id + place}"))
            number += 1
    return tuple(found)


def _again(leg: Leg, contract: Contract, quantity: int, order_id: int, group: str) -> NewLeg:
    request = OrderRequest(
        key=f"{leg.intent_id}-{leg.role}-r{order_id}",
        ref=leg.ref,
        order_id=order_id,
        contract=contract,
        side=leg.side,
        kind="stop" if leg.stop_price is not None else "limit",
        quantity=quantity,
        tif="gtc",
        limit_price=leg.limit_price,
        stop_price=leg.stop_price,
        oca_group=group,
    )
    return NewLeg(request, leg.role, leg.parent_key)


def legs_at_broker(known: Known, symbol: str = "") -> Iterator[Leg]:
    """Orders that can still fill, of a symbol or of all."""
    for intent in known.intents:
        for leg in intent.legs:
            if leg.is_open and symbol in {"", leg.symbol}:
                yield leg


def reducing(known: Known, symbol: str) -> int:
    """Shares that orders on their way or at the broker take off now; resting stops and targets aside."""
    at_work = (leg for leg in legs_at_broker(known, symbol) if leg.role in TRADES)
    return sum(int(leg.open_quantity) for leg in at_work)


def opening_legs(known: Known, symbol: str = "") -> tuple[Leg, ...]:
    """Entries and additions that can still fill."""
    return tuple(leg for leg in legs_at_broker(known, symbol) if leg.role in OPENING)


def crossing(known: Known, symbol: str, side: Side, limit: Decimal | None) -> tuple[str, ...]:
    """Own working orders on the other side that an order could trade with, in words."""
    others = [leg for leg in legs_at_broker(known, symbol) if leg.side != side and _meets(leg, side, limit)]
    return tuple(f"{leg.key}: {leg.side} {leg.quantity} {leg.symbol} at {_price(leg)}" for leg in others)


def _meets(leg: Leg, side: Side, limit: Decimal | None) -> bool:
    """Whether a resting order could trade with ours: a limit that overlaps, or a stop that our price would set off."""
    resting = leg.limit_price if leg.limit_price is not None else leg.stop_price
    if limit is None or resting is None:
        return True
    is_below = resting <= limit if side == "buy" else resting >= limit
    return is_below if leg.limit_price is not None else not is_below or resting == limit


def _price(leg: Leg) -> str:
    price = leg.limit_price if leg.limit_price is not None else leg.stop_price
    return "the market" if price is None else f"{price} USD"


def _request(order: Order, contract: Contract, ref: str, order_id: int) -> OrderRequest:
    tif: Tif = order.time_in_force
    return OrderRequest(
        key=order.id,
        ref=ref,
        order_id=order_id,
        contract=contract,
        side=order.side,
        kind=order.type,
        quantity=order.quantity,
        tif=tif,
        limit_price=order.limit_price,
        stop_price=order.stop_price,
    )
