"""Reading the broker against the ledger: one way for the start, for each reconnect, and for every few seconds in between.

A snapshot is not one moment: its parts are answered one after another, and an order may fill in between. So a difference in
positions or cash, or shares without a stop, counts only when a second look says the same and nothing moved while it was taken.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from gateway.booker import with_quantities
from gateway.means import Means, Setup
from gateway.view import View
from trading_assets.broker.absorbing import brought_up
from trading_assets.broker.lifecycle import (
    Absent,
    Change,
    IntentChanged,
    Known,
    LegChanged,
    Mismatch,
    MustProtect,
)
from trading_assets.broker.model import BrokerEvent, Executed, Snapshot
from trading_assets.broker.ports import BrokerDown, SnapshotIncomplete
from trading_assets.broker.reconciling import ReconcileRules, held_by_symbol, reconcile

_LOG = logging.getLogger("desk.gateway")
LOOKS_MAX = 4
_MOVING = frozenset({"position", "cash"})


@dataclass(frozen=True, slots=True)
class Looked:
    """What a look found: all that follows from it, and what the ledger did not know before."""

    changes: tuple[Change, ...]
    new: tuple[Change, ...]
    complete: bool


SETTLING_MIN = timedelta(seconds=5)


class Looker:
    """Takes snapshots and writes what follows. `moves` counts executions, so that an account that moves is seen."""

    def __init__(self, setup: Setup, means: Means, view: View) -> None:
        watch, rhythm = setup.settings.watch, setup.settings.rhythm
        self._means = means
        self._view = view
        self._clients = frozenset({means.broker.client_id, setup.settings.ib.watchdog_client_id})
        self._rules = ReconcileRules(
            absence=timedelta(seconds=rhythm.absence_seconds),
            absences=rhythm.absences,
            cash_fraction=Decimal(str(watch.cash_fraction)),
            foreign=setup.settings.foreign_positions,
            naked=timedelta(seconds=setup.settings.reactions.naked_seconds),
            settling=max(SETTLING_MIN, timedelta(seconds=rhythm.reconcile_seconds)),
        )
        self.moves = 0
        self._heard: list[BrokerEvent] | None = None

    def hear(self, event: BrokerEvent) -> None:
        """Notes what is told while a snapshot is being answered: no part of it may be older than what is booked."""
        if isinstance(event, Executed):
            self.moves += 1
        if self._heard is not None:
            self._heard.append(event)

    async def look(self, account: str, settle: Callable[[], None]) -> Looked | None:
        """Snapshots until one is beyond doubt; None when the broker does not answer in full, and then nothing follows.

        Args:
            settle: Books the events that arrived meanwhile.
        """
        doubted: set[tuple[object, ...]] = set()
        for _ in range(LOOKS_MAX):
            asked_at, moves = self._means.clock.now(), self.moves
            heard = self._heard = list[BrokerEvent]()
            answered = await self._snapshot()
            self._heard = None
            if answered is None:
                return None
            snapshot = brought_up(answered, heard)
            settle()
            changes = self._reconciled(account, snapshot, asked_at)
            doubt = _doubtful(changes)
            said = {_gist(change) for change in doubt}
            if not doubt or (moves == self.moves and said == doubted):
                return self._write(snapshot, changes, ())
            doubted = said if moves == self.moves else set()
        return self._write(snapshot, changes, doubt)

    async def _snapshot(self) -> Snapshot | None:
        try:
            return await self._means.broker.snapshot()
        except SnapshotIncomplete as partial:
            self._view.problems["snapshot"] = str(partial)
        except BrokerDown as down:
            self._view.problems["snapshot"] = str(down)
        _LOG.warning("no complete snapshot: %s", self._view.problems["snapshot"])
        return None

    def _reconciled(self, account: str, snapshot: Snapshot, asked_at: datetime) -> tuple[Change, ...]:
        known = self._view.known = self._means.store.known()
        now = self._means.clock.now()
        found = reconcile(
            known,
            with_held(known, snapshot),
            now=now,
            client_ids=self._clients,
            account=account,
            rules=self._rules,
            previous=self._view.snapshot,
        )
        late = frozenset(i.id for i in known.intents if i.submitted_at is not None and i.submitted_at >= asked_at)
        moved = self._view.snapshot is not None and held_by_symbol(self._view.snapshot) != held_by_symbol(snapshot)
        believed = (c for c in found if not _absence(c, late, known) and not (moved and _is_of_cash(c)))
        return with_quantities(known, tuple(believed))

    def _write(self, snapshot: Snapshot, changes: tuple[Change, ...], doubt: Sequence[Change]) -> Looked:
        """What stays doubtful after every look is told and not believed: the account counts as not reconciled."""
        sure = tuple(change for change in changes if change not in doubt)
        now, token = self._means.clock.now(), self._means.tenure.token
        self._means.points("before_look_written")
        new = tuple(self._means.store.apply(sure, token=token, as_of=now))
        self._means.points("look_written")
        view = self._view
        view.snapshot, view.known = snapshot, self._means.store.known()
        view.disagrees = "; ".join(c.sentence for c in changes if isinstance(c, Mismatch))
        if not doubt:
            self._means.store.keep_snapshot(snapshot, token=token, as_of=now)
            view.reconciled_at = snapshot.at
            view.problems.pop("snapshot", None)
        return Looked(sure, new, not doubt)


def with_held(known: Known, snapshot: Snapshot) -> Snapshot:
    """The snapshot, in which an entry that waits without the stop that would transmit it counts as not transmitted.

    A broker tells such an order as pending to whoever connects anew: only the connection that wrote it knew more.
    """
    shown = {(report.client_id, report.order_id) for report in snapshot.reports}
    kept = {
        (leg.client_id, leg.order_id)
        for intent in known.intents
        for stop in intent.legs
        if stop.role == "stop" and stop.order_id and (stop.client_id, stop.order_id) not in shown
        for leg in intent.legs
        if stop.parent_key and stop.parent_key in {leg.key, leg.parent_key}
    }
    orders = [
        replace(order, status="held")
        if order.status == "pending" and (order.client_id, order.order_id) in kept
        else order
        for order in snapshot.open_orders
    ]
    return replace(snapshot, open_orders=tuple(orders))


def _doubtful(changes: Sequence[Change]) -> tuple[Change, ...]:
    return tuple(
        change
        for change in changes
        if isinstance(change, MustProtect) or (isinstance(change, Mismatch) and change.code in _MOVING)
    )


def _is_of_cash(change: Change) -> bool:
    """A verdict on the cash; one look after a position moved it is too early, for another hand may have traded."""
    return isinstance(change, Mismatch) and change.code == "cash"


def _gist(change: Change) -> tuple[object, ...]:
    """What a doubtful change says, without the words that name moments."""
    if isinstance(change, MustProtect):
        return ("protect", change.symbol, change.quantity)
    return ("mismatch", change.code, change.sentence) if isinstance(change, Mismatch) else ()


def _absence(change: Change, late: frozenset[str], known: Known) -> bool:
    """A conclusion from absence about an intent that was sent after the snapshot was asked for."""
    if isinstance(change, Absent):
        return change.intent_id in late
    if isinstance(change, IntentChanged):
        return change.state == "UNKNOWN" and change.intent_id in late
    if isinstance(change, LegChanged):
        return change.state == "absent" and any(
            leg.key == change.key for intent in known.intents if intent.id in late for leg in intent.legs
        )
    return False
