"""Whether what is held is covered by stops that rest at the broker, and whether anything there could sell what is not held.

A position needs resting stops of at least its size. A child counts for what its parent has filled: until then it waits. Cover is
judged by the broker's own list, never by what was sent; only a protection on its way counts for a moment, lest it be sent twice.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cached_property

from trading_assets.broker.absorbing import cancel
from trading_assets.broker.evidence import Sight, kind_of
from trading_assets.broker.lifecycle import OPENING, Change, Known, Leg, MustProtect
from trading_assets.broker.model import HeldPosition, Side

_NOTHING = Decimal(0)


@dataclass(frozen=True)
class Ground:
    """What cover is judged on.

    Args:
        known: What is known, the snapshot's own facts included.
        naked: How long shares may lack cover while orders of their symbol fill.
        urgent: Symbols whose missing cover waits for nothing.
        protects_foreign: Whether shares that are not the desk's are protected too.
        doubted: Intents whose first order the snapshot does not show.
    """

    known: Known
    sights: tuple[Sight, ...]
    held: Mapping[str, Decimal]
    lines: Mapping[str, HeldPosition]
    now: datetime
    naked: timedelta
    urgent: frozenset[str]
    protects_foreign: bool
    doubted: frozenset[str]

    @cached_property
    def legs(self) -> Mapping[str, Leg]:
        """Every order that is known."""
        return {leg.key: leg for intent in self.known.intents for leg in intent.legs}

    @cached_property
    def left(self) -> Mapping[str, Decimal]:
        """By entry, shares that left through its children."""
        left: dict[str, Decimal] = {}
        for leg in self.legs.values():
            if leg.parent_key and leg.filled:
                left[leg.parent_key] = left.get(leg.parent_key, _NOTHING) + leg.filled
        return left

    @cached_property
    def newest(self) -> Mapping[str, datetime]:
        """By symbol, when it traded last."""
        newest: dict[str, datetime] = {}
        for execution in self.known.executions.values():
            newest[execution.symbol] = max(execution.at, newest.get(execution.symbol, execution.at))
        return newest

    def is_settled(self, symbol: str) -> bool:
        """Whether nothing traded in the symbol within `naked`: positions and orders were told apart a moment ago otherwise."""
        return symbol not in self.newest or self.now - self.newest[symbol] >= self.naked


def cover_demands(ground: Ground) -> tuple[Change, ...]:
    """What must be cancelled because nothing is behind it, and what must be protected."""
    cancels = [*_orphans(ground), *_surplus(ground)]
    return (*dict.fromkeys(cancels), *_naked(ground))


def behind(ground: Ground, symbol: str, side: Side) -> Decimal:
    """Shares that an order of the side would reduce: the broker's or the ledger's count, whichever is larger."""
    sign = 1 if side == "sell" else -1
    return max(_NOTHING, sign * ground.held.get(symbol, _NOTHING), sign * ground.known.position(symbol))


def _orphans(ground: Ground) -> Iterator[Change]:
    for sight in ground.sights:
        leg = sight.leg
        if leg is None or not sight.is_live or leg.role in OPENING or not ground.is_settled(leg.symbol):
            continue
        if _waits_for_parent(ground, sight, leg):
            continue
        rest = behind(ground, leg.symbol, leg.side)
        if not rest:
            yield cancel(sight, f"{leg.key}: nothing is behind it")
        elif sight.report.remaining > min(rest, _entered(ground, leg, rest)):
            yield cancel(
                sight, f"{leg.key}: {sight.report.remaining} is more than the {rest} {leg.symbol} that it may close"
            )


def _waits_for_parent(ground: Ground, sight: Sight, leg: Leg) -> bool:
    """Whether the parent can still fill; one that the snapshot does not show cannot, once it has had the time to arrive."""
    parent = ground.legs.get(leg.parent_key)
    if parent is None or not (parent.is_open or parent.state == "planned"):
        return False
    if sight.intent is None or sight.intent.id not in ground.doubted:
        return True
    return leg.sent_at is not None and ground.now - leg.sent_at < ground.naked


def _entered(ground: Ground, leg: Leg, otherwise: Decimal) -> Decimal:
    """Shares that came in through an order's parent and have not left through its children; `otherwise` without a parent."""
    parent = ground.legs.get(leg.parent_key)
    if parent is None:
        return otherwise
    return parent.filled - ground.left.get(parent.key, _NOTHING)


def _surplus(ground: Ground) -> Iterator[Change]:
    """Stops of the desk beyond what is held: the protective ones first, then the newest; what is left still covers everything."""
    for symbol in sorted(ground.held):
        quantity = ground.held[symbol]
        if not quantity or not ground.is_settled(symbol):
            continue
        stops = [(sight, _active(ground, sight)) for sight in _stops(ground, symbol, quantity)]
        over = sum((active for _, active in stops), _NOTHING) - abs(quantity)
        for sight, active in sorted(stops, key=_dispensable):
            if sight.leg is None or not 0 < active <= over or _waits_for_parent(ground, sight, sight.leg):
                continue
            over -= active
            yield cancel(sight, f"{sight.leg.key}: other stops cover all {abs(quantity)} {symbol}")


def _dispensable(stop: tuple[Sight, Decimal]) -> tuple[bool, int, int]:
    sight, _ = stop
    is_plan = sight.leg is None or sight.leg.role != "protect"
    return is_plan, -sight.report.order_id, -sight.report.perm_id


def _naked(ground: Ground) -> Iterator[Change]:
    for symbol in sorted(ground.held):
        quantity = _to_protect(ground, symbol)
        if not quantity or _is_filling(ground, symbol, quantity):
            continue
        covered = sum((_active(ground, sight) for sight in _stops(ground, symbol, quantity)), _NOTHING)
        lacks = abs(quantity) - covered - _on_their_way(ground, symbol)
        if lacks > 0:
            signed = lacks if quantity > 0 else -lacks
            why = f"{lacks} of {abs(quantity)} {symbol} have no resting stop"
            yield MustProtect(symbol, ground.lines[symbol].con_id, signed, why)


def _is_filling(ground: Ground, symbol: str, quantity: Decimal) -> bool:
    """Whether the lack may be none: the symbol trades, and its stop may come into view yet, or the position has just left."""
    if symbol in ground.urgent or ground.is_settled(symbol):
        return False
    has_stop = any(
        leg.symbol == symbol and leg.role in {"stop", "protect"} and leg.is_open for leg in ground.legs.values()
    )
    return has_stop or any(
        execution.symbol == symbol and execution.signed * quantity < 0 and ground.now - execution.at < ground.naked
        for execution in ground.known.executions.values()
    )


def _to_protect(ground: Ground, symbol: str) -> Decimal:
    """Shares that need cover: all, or no more than those that the desk itself traded."""
    quantity = ground.held[symbol]
    if ground.protects_foreign or not quantity:
        return quantity
    own = ground.known.booked.get(symbol, _NOTHING)
    return max(_NOTHING, min(quantity, own)) if quantity > 0 else min(_NOTHING, max(quantity, own))


def _stops(ground: Ground, symbol: str, quantity: Decimal) -> Sequence[Sight]:
    """Orders that rest, or are about to, on the side that closes; one whose cancel was asked rests until it is confirmed."""
    side: Side = "sell" if quantity > 0 else "buy"
    resting = {"pending", "working", "pending_cancel"}
    return [
        sight
        for sight in ground.sights
        if sight.report.symbol == symbol
        and sight.report.side == side
        and sight.report.status in resting
        and kind_of(sight.report) == "stop"
    ]


def _active(ground: Ground, sight: Sight) -> Decimal:
    """Shares that a stop can close now."""
    remaining = max(_NOTHING, sight.report.remaining)
    return remaining if sight.leg is None else max(_NOTHING, min(remaining, _entered(ground, sight.leg, remaining)))


def _on_their_way(ground: Ground, symbol: str) -> Decimal:
    shown = {sight.leg.key for sight in ground.sights if sight.leg is not None}
    return sum(
        (
            leg.open_quantity
            for leg in ground.legs.values()
            if leg.symbol == symbol
            and leg.role == "protect"
            and leg.key not in shown
            and leg.sent_at is not None
            and ground.now - leg.sent_at < ground.naked
        ),
        _NOTHING,
    )
