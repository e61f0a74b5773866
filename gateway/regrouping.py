"""A part of what a group covers cannot leave from within the group: the group is divided first.

What "reduce the others" means is read in two ways, and under one of them a small order that fills in full, or is cancelled, takes
the whole stop with it; outside the group it could be filled beside the stop, and more would be sold than is held. So the group's
orders are cancelled, and after the broker has confirmed that of every one of them, two groups take their place at once: one of
the size that is to leave, and one of the rest, each with the old prices. Then the order that leaves has the size of its group, and
both readings are the same. In between the shares lack a stop for as long as a commit and a write take; a division that is not
confirmed within half of `naked_seconds` is given up, and whatever lacks cover by then is protected like any other.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from gateway.brackets import Share, groups_of, legs_at_broker
from gateway.view import View, leg_of
from trading_assets.broker.lifecycle import Leg
from trading_assets.broker.model import Side

_LOG = logging.getLogger("desk.gateway")
Again = Callable[[], Awaitable[object]]
"""What was to be done and waits for the division."""


@dataclass(frozen=True, slots=True)
class Division:
    """A group on its way to become two.

    Args:
        size: Shares that its stop could sell.
        quantity: How many are to have a group of their own; 0 when everything leaves at the market as soon as nothing else sells.
        cancelled: Its orders, by key; its entry too, where that can still fill.
        since: When it began, monotonic seconds.
    """

    stop: Leg
    target: Leg | None
    size: int
    quantity: int
    cancelled: tuple[str, ...]
    since: float
    again: Again | None


class Regrouping:
    """Divisions at work, one for a symbol. `cancel` asks the broker to cancel an order, once."""

    def __init__(self, view: View, cancel: Callable[[Leg, str], None], patience_s: float) -> None:
        self._view = view
        self._cancel = cancel
        self._patience_s = patience_s
        self._at_work: dict[str, Division] = {}
        self._placing: set[str] = set()
        self._refused: dict[str, float] = {}

    @property
    def symbols(self) -> tuple[str, ...]:
        """Symbols with a division at work."""
        return tuple(sorted(self._at_work))

    def is_at_work(self, symbol: str) -> bool:
        """Whether a group of the symbol is being divided: its shares may lack a stop for the moment."""
        return symbol in self._at_work

    def was_refused(self, symbol: str, now: float) -> bool:
        """Whether the broker did not confirm a division in time, a moment ago."""
        return now - self._refused.get(symbol, float("-inf")) < 2 * self._patience_s

    def begin(self, symbol: str, side: Side, share: Share, now: float, again: Again | None, *, all_leave: bool) -> None:
        """Asks to cancel whatever works in a share's group; `again` is called when both groups are there."""
        group = next(each for each in groups_of(self._view.known, symbol, side) if each.name == share.group)
        members = [
            leg
            for leg in legs_at_broker(self._view.known, symbol)
            if leg.oca_group == share.group or leg.key == group.stop.parent_key
        ]
        self._at_work[symbol] = Division(
            stop=group.stop,
            target=next((leg for leg in members if leg.role == "target"), None),
            size=group.size,
            quantity=0 if all_leave else share.quantity,
            cancelled=tuple(leg.key for leg in members),
            since=now,
            again=again,
        )
        for leg in members:
            self._cancel(leg, f"its group of {group.size} is divided: {share.quantity} are to leave")

    def leave_instead(self, symbol: str, again: Again) -> None:
        """No groups any more: everything leaves at the market when the orders are gone."""
        self._at_work[symbol] = replace(self._at_work[symbol], quantity=0, again=again)

    def confirmed(self, symbol: str) -> Division | None:
        """The division of a symbol whose orders have all ended, told once; it is at work until `done`."""
        division = self._at_work.get(symbol)
        if division is None or symbol in self._placing:
            return None
        legs = [leg_of(self._view.known, key) for key in division.cancelled]
        if any(leg is not None and leg.is_open for leg in legs):
            return None
        self._placing.add(symbol)
        return division

    def done(self, symbol: str) -> None:
        """The groups are there, or not needed any more."""
        self._at_work.pop(symbol, None)
        self._placing.discard(symbol)

    def overdue(self, now: float) -> tuple[str, ...]:
        """Symbols whose division was not confirmed in time; it is given up, and not begun again for a while."""
        late = [
            symbol
            for symbol, division in sorted(self._at_work.items())
            if symbol not in self._placing and now - division.since > self._patience_s
        ]
        for symbol in late:
            _LOG.error("the orders of %s are not confirmed as cancelled: its group is not divided", symbol)
            self._refused[symbol] = now
            del self._at_work[symbol]
        return tuple(late)
