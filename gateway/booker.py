"""What the broker tells becomes rows of the ledger, and what follows from them is done."""

import logging
from collections.abc import Sequence
from dataclasses import replace

from gateway.means import Means
from gateway.reducer import Reducer
from gateway.view import View, leg_of
from trading_assets.broker.absorbing import absorb
from trading_assets.broker.applying import applied
from trading_assets.broker.lifecycle import (
    LEG_ENDED,
    Booked,
    Change,
    Known,
    LegChanged,
    Mismatch,
    MustCancel,
    MustProtect,
)
from trading_assets.broker.model import Commissioned, Executed, Reported

_LOG = logging.getLogger("desk.gateway")
Told = Reported | Executed | Commissioned


def with_quantities(known: Known, changes: Sequence[Change]) -> tuple[Change, ...]:
    """The changes, in which an execution that takes another one back has the quantity that it takes back: the ledger books no 0."""
    return tuple(_with_quantity(known, change) for change in changes)


def _with_quantity(known: Known, change: Change) -> Change:
    if not isinstance(change, Booked) or not change.busts or change.execution.quantity > 0:
        return change
    taken = known.executions[change.busts].quantity
    return replace(change, execution=replace(change.execution, quantity=taken))


class Booker:
    """Absorbs events in their order, a batch in one transaction, and acts on what they mean."""

    def __init__(self, means: Means, view: View, reducer: Reducer) -> None:
        self._means = means
        self._view = view
        self._reducer = reducer

    def book(self, told: Sequence[Told]) -> tuple[tuple[Change, ...], tuple[Change, ...]]:
        """Writes what events mean: all changes, and those that the ledger did not know."""
        known, found = self._view.known, list[Change]()
        for event in told:
            changes = with_quantities(known, absorb(known, event))
            known = applied(known, changes)
            found += changes
        if not found:
            return (), ()
        self._means.points("before_apply")
        now = self._means.clock.now()
        new = self._means.store.apply(found, token=self._means.tenure.token, as_of=now)
        self._means.points("applied")
        self._view.known = known
        return tuple(found), tuple(new)

    async def take(self, told: Sequence[Told]) -> None:
        """Books events and does what follows."""
        changes, new = self.book(told)
        await self.act(changes, new)

    async def act(self, changes: Sequence[Change], new: Sequence[Change]) -> None:
        """Cancels what must not live, covers what has no cover, and follows up what ended without doing its work."""
        for change in changes:
            if isinstance(change, MustCancel):
                self._reducer.cancel_number(change.order_id, change.client_id, change.why)
        for change in new:
            if isinstance(change, Mismatch):
                _LOG.critical("%s", change.sentence)
                now = self._means.clock.now()
                self._means.pager.page("critical", change.code, change.sentence, as_of=now)
            elif isinstance(change, LegChanged) and change.state in LEG_ENDED:
                await self._ended(change)
        for change in changes:
            if isinstance(change, MustProtect):
                await self._reducer.protect(change)

    def looked(self, changes: Sequence[Change]) -> None:
        """After a complete look: which symbols lack cover."""
        self._reducer.covered([change.symbol for change in changes if isinstance(change, MustProtect)])

    async def _ended(self, change: LegChanged) -> None:
        leg = leg_of(self._known, change.key)
        if leg is None or change.state == "filled":
            return
        if change.state == "rejected" and leg.role in {"stop", "protect"}:
            await self._reducer.stop_refused(leg, change.why or change.state)
        else:
            await self._reducer.follow_up(leg, change.why or change.state)

    @property
    def _known(self) -> Known:
        return self._view.known
