"""Entries that go out in parts over time: what is still to come of them, and when nothing more may come.

A schedule lives in this process alone. After a restart nothing of it is known, and what was not sent stays unsent: a market that
was left alone for a while is another one than the signers saw. The same ends it at once: a halt, an exit of the symbol, a part that
was cancelled or refused, a stop or target that traded. A part that only has to wait may be LATE, and no later: parts are never
caught up on.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from gateway.brackets import Part
from gateway.view import View
from trading_assets.broker.algorithms import Schedule, Slice, later_slices
from trading_assets.broker.lifecycle import AT_BROKER, IntentChanged, Known, Tracked
from trading_assets.broker.model import Algo, Contract
from trading_assets.broker.states import given_up
from trading_assets.execution.dispatch import Waiting

_LOG = logging.getLogger("desk.gateway")
LATE = timedelta(seconds=60)
"""Less than the time between two parts, so that the pause for the symbol is kept."""
AFTER_A_RESTART = "the gateway that was sending it in parts has ended"


@dataclass(frozen=True, slots=True)
class Sliced:
    """An entry of which parts are to come.

    Args:
        ends: When the last part must be out.
        submitted_at: When the first part went; the seals are read as of then.
        sent: How many parts have gone.
    """

    waiting: Waiting
    contract: Contract
    schedule: Schedule
    ends: datetime
    submitted_at: datetime
    sent: int = 1

    @property
    def next(self) -> Slice:
        """The part that is to go next."""
        return self.schedule.slices[self.sent]

    def part(self, limit: Decimal) -> Part:
        """The next part at a limit of now."""
        shown = self.next.display_quantity
        return Part(self.next.quantity, limit, shown, algo_of(self.schedule, shown), self.sent + 1)


class Slicer:
    """The schedules at work."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._at_work: dict[str, Sliced] = {}
        self._why: dict[str, str] = {}

    def begin(self, sliced: Sliced) -> None:
        """Its first part has gone."""
        if len(sliced.schedule.slices) > sliced.sent:
            self._at_work[sliced.waiting.intent.id] = sliced

    def went(self, intent_id: str) -> None:
        """One more part has gone."""
        sliced = self._at_work.pop(intent_id, None)
        if sliced is not None:
            self.begin(replace(sliced, sent=sliced.sent + 1))

    def stop(self, intent_id: str, why: str) -> None:
        """No further part of an entry."""
        if self._at_work.pop(intent_id, None) is not None:
            _LOG.warning("no further part of %s is sent: %s", intent_id, why)
            self._why[intent_id] = why

    def leave(self, symbol: str, cause: str) -> None:
        """No further part in a symbol, or in any."""
        for intent_id, sliced in list(self._at_work.items()):
            if symbol in {"", sliced.waiting.intent.plan.symbol}:
                self.stop(intent_id, cause)

    def is_at_work(self, intent_id: str) -> bool:
        """Whether further parts are wanted."""
        return intent_id in self._at_work

    def due(self, now: datetime) -> tuple[Sliced, ...]:
        """Entries of which a part may go now; those of which none may go any more are stopped."""
        for intent_id, sliced in list(self._at_work.items()):
            why = _over(sliced, tracked(self._view.known, intent_id), now) or self._halted()
            if why:
                self.stop(intent_id, why)
        waits = self._view.ruling.state != "ACTIVE" or self._view.link != "up"
        return (
            ()
            if waits
            else tuple(each for each in self._at_work.values() if later_slices(each.schedule, each.sent, now))
        )

    def ended(self) -> tuple[IntentChanged, ...]:
        """Entries that stay unfinished and have nothing at work."""
        return tuple(
            IntentChanged(intent.id, state, f"the rest is not sent: {self._why.get(intent.id, AFTER_A_RESTART)}")
            for intent in self._view.known.intents
            if intent.opens and intent.state in AT_BROKER and intent.id not in self._at_work
            if _unsent(intent) > 0 and (state := given_up(intent)) is not None
        )

    def _halted(self) -> str:
        ruling = self._view.ruling
        return f"halted: {ruling.reason}" if ruling.state == "HALTED" else ""


def tracked(known: Known, intent_id: str) -> Tracked | None:
    """An intent as the ledger knows it."""
    return next((intent for intent in known.intents if intent.id == intent_id), None)


def algo_of(schedule: Schedule, shown: int) -> Algo:
    """An order that shows a part of itself is not worked by an algorithm too."""
    return "" if shown else schedule.algo


def without(known: Known, intent_id: str) -> tuple[Known, Decimal]:
    """What is known as if an intent had never been sent, and the shares that it brought: a part of it is judged with the whole,
    which must not be counted beside itself.
    """
    intent = tracked(known, intent_id)
    if intent is None:
        return known, Decimal(0)
    brought = sum((leg.filled if leg.side == "buy" else -leg.filled for leg in intent.legs), Decimal(0))
    booked: Mapping[str, Decimal] = {
        **known.booked,
        intent.symbol: known.booked.get(intent.symbol, Decimal(0)) - brought,
    }
    intents = tuple(each for each in known.intents if each is not intent)
    return replace(known, intents=intents, booked=booked), brought


def _over(sliced: Sliced, intent: Tracked | None, now: datetime) -> str:
    """Why no further part may go; empty while one may."""
    if intent is None or intent.state not in AT_BROKER:
        return f"it is {intent.state if intent is not None else 'gone'}"
    if any(leg.filled for leg in intent.legs if leg.parent_key):
        return "its stop or target has traded"
    ended = [leg for leg in intent.legs if not leg.parent_key and leg.state in {"cancelled", "rejected", "absent"}]
    if ended:
        return f"{ended[0].key} is {ended[0].state}"
    late = now - sliced.next.at
    if late > LATE or now > sliced.ends:
        return f"part {sliced.sent + 1} could not go in time, it is {late.total_seconds():.0f} s late"
    return ""


def _unsent(intent: Tracked) -> int:
    return intent.quantity - sum(leg.quantity for leg in intent.legs if not leg.parent_key)
