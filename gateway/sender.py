"""The one place that writes orders to the broker: committed first, written once, never again.

After `submit` has committed, an order may be on the wire, whatever happens. So what follows is either done within the deadline, or
not at all; nobody tries a second time, and reconciliation finds out what became of it.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Literal

from gateway.means import Means
from trading_assets.broker.lifecycle import Tracked
from trading_assets.broker.model import Contract
from trading_assets.broker.ports import BrokerDown
from trading_assets.core.errors import TradingHalted
from trading_assets.execution.dispatch import NewLeg, Reduction

_LOG = logging.getLogger("desk.gateway")
Number = Callable[[int], tuple[NewLeg, ...]]
"""Makes an intent's legs, numbered from an order id."""


def _nothing() -> None:
    """Nobody waits for the writing."""


class TooLate(TradingHalted):
    """The deadline between the commit and the socket has passed: the orders stay unsent."""


class Sender:
    """Order ids and the write-ahead of orders, for one connection."""

    def __init__(self, means: Means, deadline_s: float) -> None:
        self._means = means
        self._deadline_s = deadline_s
        self._next_id = 0
        self._written: list[str] = []
        self.sends = 0

    def greet(self, next_order_id: int) -> None:
        """Begins to number after whatever the ledger or the broker has ever seen; the broker's own counter may roll back."""
        seen = self._means.store.newest_order_id(self._means.broker.client_id)
        self._next_id = max(seen, next_order_id - 1, self._next_id - 1) + 1

    def take(self, count: int = 1) -> int:
        """The first of some order ids that nothing else will ever carry."""
        first = self._next_id
        self._next_id += count
        return first

    async def send(
        self, intent_id: str, number: Number, *, more: bool = False, written: Callable[[], None] = _nothing
    ) -> None:
        """Commits an intent's legs and writes them.

        Args:
            more: Further slices of an intent that is at the broker already.
            written: Called after the writing, before anything else of this process can run.

        Raises:
            LeaseLost, TradingHalted: The ledger refused; nothing was written.
            TooLate, BrokerDown: Nothing was written, though the ledger says that it may be: reconciliation decides.
        """
        self._ready()
        legs = number(self._next_id)
        self.take(len(legs))
        self._means.points("before_submit")
        begun, now = self._means.monotonic(), self._means.clock.now()
        store, token = self._means.store, self._means.tenure.token
        (store.submit_more if more else store.submit)(intent_id, legs, token=token, as_of=now)
        self._means.points("submitted")
        self._write(intent_id, legs, begun)
        self._means.points("written")
        self.sends += 1
        written()
        total = await self._means.broker.drain()
        self._means.points("drained")
        store.sent(intent_id, total, as_of=self._means.clock.now())
        self._means.points("sent")

    def reduce(
        self,
        reduction: Reduction,
        contract: Contract,
        number: Callable[[str, int], tuple[NewLeg, ...]],
        committed: Callable[[Tracked], None],
    ) -> Literal["sent", "stale", "known"]:
        """Commits a reduction with its legs, at once, and writes them; `note_sent` notes later that they went out.

        Args:
            number: Makes the legs of an intent, numbered from an order id.
            committed: Called with what the ledger knows from then on, whatever becomes of the writing.

        Returns:
            "stale": the book is not as it was pictured, and nothing was done. "known": the occasion has had its orders.

        Raises:
            LeaseLost: The ledger refused; nothing was written.
            TooLate, BrokerDown: Nothing was written, though the ledger says that it may be: reconciliation decides.
        """
        self._ready()
        made: list[NewLeg] = []

        def legs_of(intent_id: str) -> Sequence[NewLeg]:
            made.extend(number(intent_id, self._next_id))
            self.take(len(made))
            return made

        self._means.points("before_submit")
        begun, now = self._means.monotonic(), self._means.clock.now()
        token = self._means.tenure.token
        tracked = self._means.store.reduce_and_submit(reduction, contract, legs_of, token=token, as_of=now)
        if tracked is None or tracked == "stale":
            return tracked or "known"
        committed(tracked)
        self._means.points("submitted")
        self._write(tracked.id, made, begun)
        self._means.points("written")
        self.sends += 1
        self._written.append(tracked.id)
        return "sent"

    async def note_sent(self) -> None:
        """Notes which reductions the socket has taken, all in one transaction."""
        written, self._written = self._written, []
        if not written:
            return
        total = await self._means.broker.drain()
        self._means.points("drained")
        self._means.store.sent_together(written, total, as_of=self._means.clock.now())
        self._means.points("sent")

    def cancel(self, order_id: int, client_id: int, why: str) -> bool:
        """Asks to cancel an order of this connection; False for one of another client, which the broker would refuse."""
        if client_id != self._means.broker.client_id:
            return False
        _LOG.info("cancelling order %s: %s", order_id, why)
        self._means.broker.cancel(order_id)
        return True

    def _ready(self) -> None:
        if not self._means.broker.is_connected:
            raise BrokerDown("the broker is not connected: nothing is sent")

    def _write(self, intent_id: str, legs: Sequence[NewLeg], begun: float) -> None:
        """Nothing may come between the look at the clock and the writing."""
        waited = self._means.monotonic() - begun
        if not waited <= self._deadline_s:
            raise TooLate(
                f"intent {intent_id} was committed but not sent in time; it stays unsent",
                value=f"{waited:.2f} s",
                bound=f"{self._deadline_s:.2f} s",
                hint="reconciliation proves its absence and abandons it",
            )
        self._means.broker.place([leg.request for leg in legs])
