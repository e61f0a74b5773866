"""The gateway: the only sender of orders of a book. It owns the broker's connection and the lease, and reacts only to reduce risk.

It is made of small steps that a shell calls from one event loop: `pump` handles what the broker said, `keep` holds the lease and
looks at halts, `look` connects and reconciles, `dispatch` sends what is signed, `react` does what time asks for. No step reads a
clock, sleeps, or starts a thread, so that a simulation can call them in any order and stop between any two.
"""

import logging
from collections import deque
from collections.abc import Callable, Iterator

from gateway.booker import Booker, Told
from gateway.dispatcher import Dispatcher
from gateway.keeper import Keeper
from gateway.linker import Linker
from gateway.looker import Looker
from gateway.means import Means, Setup
from gateway.reactor import Reactor
from gateway.reducer import Reducer
from gateway.sender import Sender
from gateway.view import View
from resources.ledger.state import LeaseLost
from trading_assets.broker.model import BrokerEvent, Commissioned, Disconnected, Executed, Noticed, Quoted, Reported
from trading_assets.broker.ports import BrokerDown
from trading_assets.signatures.state import StateRuling

_LOG = logging.getLogger("desk.gateway")


class Gateway:
    """One book's gateway.

    Args:
        wake: Called when the broker said something, so that the shell calls `pump` soon.
    """

    def __init__(self, setup: Setup, means: Means, *, wake: Callable[[], None] = lambda: None) -> None:
        self._means = means
        self._wake = wake
        self._heard: deque[BrokerEvent] = deque()
        self.view = View()
        self._asked_again = float("-inf")
        rhythm = self._rhythm = setup.settings.rhythm
        self.sender = Sender(means, rhythm.send_deadline_seconds)
        cap = setup.preferences.marketable_fraction_max
        self.reducer = Reducer(means, self.sender, self.view, setup.settings.reactions, cap_fraction=cap)
        self.looker = Looker(setup, means, self.view)
        self.booker = Booker(means, self.view, self.reducer)
        self.keeper = Keeper(setup, means, self.view)
        self.linker = Linker(setup, means, self.view, self.sender, self.reducer)
        self.reactor = Reactor(setup, means, self.view, self.reducer)
        self.dispatcher = Dispatcher(
            setup, means, self.sender, self.reducer, self.view, lambda: self.linker.account_problem
        )

    @property
    def state(self) -> StateRuling:
        """What may be done now, and why."""
        return self.view.ruling

    async def start(self) -> None:
        """Takes the lease, connects, lets what waited expire, and reconciles; until a complete look agrees, nothing opens.

        Raises:
            TradingHalted: Another gateway holds the lease, or mode, port and accounts do not belong together.
            ClientIdInUse, BrokerDown: The connection cannot be had.
        """
        self.keeper.take_lease()
        self._means.points("leased")
        self.dispatcher.expire_all("the gateway was started after it was decided")
        self.view.known = self._means.store.known()
        self._means.broker.listen(self.hear)
        await self.linker.connect()
        await self.look()
        self.keeper.keep()

    def hear(self, event: BrokerEvent) -> None:
        """The broker's callback: remembers what was said, at once and in order."""
        self._heard.append(event)
        self.looker.hear(event)
        self._wake()

    async def pump(self) -> None:
        """Handles everything that the broker said since the last time. What goes wrong in it halts, and the loop goes on."""
        while self._heard:
            event = self._heard.popleft()
            try:
                await self._handle(event)
            except LeaseLost:
                raise
            except Exception as bug:  # noqa: BLE001 - whatever a callback does, positions still need their gateway
                self._failed(f"handling {type(event).__name__}", bug)
        try:
            await self._finish()
        except LeaseLost:
            raise
        except Exception as bug:  # noqa: BLE001 - as above
            self._failed("noting what was done", bug)

    async def look(self) -> bool:
        """One complete look at the account, and what follows from it; whether ledger and broker agree."""
        looked = await self.looker.look(self.linker.account, self._settle)
        if looked is None:
            return False
        agrees = looked.complete
        self._ask_again()
        if agrees and self.view.link == "reconciling":
            self.view.link = "up"
        await self.booker.act(looked.changes, looked.new)
        if agrees:
            self.booker.looked(looked.changes)
            await self.linker.resolve()
        await self._finish()
        return agrees

    async def tend(self) -> None:
        """Connects again, looks, or asks for a sign of life, whichever is due."""
        if not self._means.broker.is_connected:
            if await self.linker.reconnect():
                await self.look()
            return
        await self.linker.probe()
        if self._means.broker.is_connected and self.linker.is_look_due():
            await self.look()

    async def dispatch(self) -> int:
        """Sends what is signed, after a fresh look at halts and limits; how many intents were sent."""
        self.keeper.keep()
        return await self.dispatcher.dispatch()

    async def react(self) -> None:
        """What time and halts ask for: flattening, cancelling entries, replacing exits that wait too long."""
        self.keeper.keep()
        await self.pump()
        await self.reactor.on_time()
        await self._finish()

    async def _finish(self) -> None:
        """What need not be done before an order goes out: which orders did, and bars on the bus."""
        try:
            await self.sender.note_sent()
        except BrokerDown as down:
            _LOG.error("whether the last orders went out is not known: %s", down)
        self.reactor.publish()

    def _ask_again(self) -> None:
        """A cancel that was lost or refused is asked for again while the order lives, once in the time between two looks."""
        now = self._means.monotonic()
        if now - self._asked_again >= self._rhythm.reconcile_seconds:
            self._asked_again = now
            self.reducer.connected_anew()

    def _settle(self) -> None:
        """Books what was heard while a snapshot was taken; quotes and notices keep their place in the line."""
        told = [event for event in self._heard if isinstance(event, Reported | Executed | Commissioned)]
        self._heard = deque(event for event in self._heard if isinstance(event, Quoted | Noticed | Disconnected))
        self.booker.book(told)

    async def _handle(self, event: BrokerEvent) -> None:
        if isinstance(event, Quoted):
            await self.reactor.on_quote(event.quote)
        elif isinstance(event, Noticed):
            self.linker.noticed(event)
        elif isinstance(event, Disconnected):
            self.linker.lost(event.reason)
        else:
            await self.booker.take([event, *self._same_kind()])

    def _same_kind(self) -> Iterator[Told]:
        """What follows in the line and is booked in the same transaction."""
        while self._heard and isinstance(self._heard[0], Reported | Executed | Commissioned):
            event = self._heard.popleft()
            if isinstance(event, Reported | Executed | Commissioned):
                yield event

    def _failed(self, what: str, why: Exception) -> None:
        """Halts, and asks the broker again for what an event may have told."""
        sentence = f"F14 {what} failed: {type(why).__name__}: {why}"
        _LOG.error(sentence, exc_info=why)
        self.linker.want_look()
        self.keeper.halt(sentence)
