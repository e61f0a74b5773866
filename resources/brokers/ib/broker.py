"""Interactive Brokers as a member of the broker port, over TWS or the Gateway."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from resources.brokers.ib.written import OrderNotSound, checked
from resources.clock import RealClock
from trading_assets.broker.model import BrokerEvent, Contract, MarginImpact, OrderRequest, Snapshot, Welcome
from trading_assets.broker.ports import BrokerDown, Listener, SnapshotIncomplete
from trading_assets.broker.settings import InteractiveBrokers, Mode
from trading_assets.core.ports import Clock

if TYPE_CHECKING:
    from resources.brokers.ib.conversation import Conversation

NAME = "ib"
_POLL_S = 0.001
_ATTEMPTS = 3
_REST_S = 0.05


class InteractiveBrokersBroker:
    """One account under one client id. Belongs to the event loop in which it is connected.

    `connect` may be called again after a loss; nothing of the earlier connection is kept, so `watch` has to be called again too.

    Args:
        settings: Host, port, account, time-outs and the bounds of the message rate.
        client_id: The fixed number of this process at the broker; another one that holds it is never worked around.
        clock: Stamps quotes and snapshots; the machine's when None.
        mode: Paper or live, for errors; what proves it are the accounts in the welcome.
    """

    def __init__(
        self, settings: InteractiveBrokers, *, client_id: int, clock: Clock | None = None, mode: Mode = "paper"
    ) -> None:
        self._settings = settings
        self._client_id = client_id
        self._clock: Clock = clock or RealClock()
        self._mode: Mode = mode
        self._listener: Listener | None = None
        self._talk: Conversation | None = None
        self._taking: asyncio.Task[Snapshot] | None = None

    @property
    def name(self) -> str:
        """`ib`."""
        return NAME

    @property
    def client_id(self) -> int:
        """The fixed client id of this connection."""
        return self._client_id

    @property
    def is_connected(self) -> bool:
        """Whether messages can be sent."""
        return self._talk is not None and self._talk.line.is_open

    def listen(self, listener: Listener) -> None:
        """Who hears events, from the next one on. What it raises goes to the loop's exception handler."""
        self._listener = listener

    async def connect(self) -> Welcome:
        """Opens the connection and asks for the time. BrokerDown and ClientIdInUse as in the port."""
        from resources.brokers.ib.conversation import Conversation

        await self.close()
        self._taking = None
        talk = Conversation(
            self._settings, client_id=self._client_id, mode=self._mode, clock=self._clock, tell=self._tell
        )
        try:
            server_time = await talk.begin()
        except BaseException:
            await talk.end()
            raise
        self._talk = talk
        return Welcome(talk.accounts, talk.next_order_id, server_time)

    async def close(self) -> None:
        """Ends the connection; orders stay where they are. No event tells of it."""
        talk, self._talk = self._talk, None
        if talk is not None:
            await talk.end()

    async def snapshot(self) -> Snapshot:
        """The whole account; calls at the same time are answered by one. SnapshotIncomplete and BrokerDown as in the port."""
        self._connected()
        if self._taking is None or self._taking.done():
            self._taking = asyncio.ensure_future(self._snapshot())
            self._taking.add_done_callback(_heeded)
        return await asyncio.shield(self._taking)

    def place(self, orders: Sequence[OrderRequest]) -> None:
        """Writes orders in their sequence, each once, or queues them where the message rate is used up.

        Raises:
            BrokerDown: There is no connection; nothing was written.
            OrderNotSound: One of them can have no meaning; nothing was written.
        """
        talk = self._connected()
        talk.place([checked(order) for order in orders], self._account(talk))

    def cancel(self, order_id: int) -> None:
        """Asks to cancel one order of this client id, ahead of everything queued but the order itself."""
        self._connected().cancel(order_id)

    def cancel_everything(self) -> None:
        """Asks to cancel every order of the account, those of other clients too. Only for a flat account."""
        self._connected().cancel_everything()

    async def drain(self) -> int:
        """Waits until queue and buffer are empty; bytes written since the connection began.

        Raises:
            BrokerDown: The connection broke, or the other side takes nothing for the length of the time-out.
        """
        talk, loop = self._connected(), asyncio.get_running_loop()
        left, since = -1, loop.time()
        while (waiting := talk.outbox.pending + talk.line.buffered) > 0 or not talk.line.is_open:
            if not talk.line.is_open:
                raise talk.line.down("the connection broke before everything was written")
            if waiting != left:
                left, since = waiting, loop.time()
            elif loop.time() - since > self._settings.timeout_seconds:
                raise talk.line.down(f"{waiting} bytes or messages were not taken")
            await asyncio.sleep(_POLL_S)
        return talk.line.bytes_written

    async def time(self) -> datetime:
        """The broker's clock, to the second."""
        return await self._connected().time()

    async def resolve(self, symbol: str) -> tuple[Contract, ...]:
        """Every stock contract in USD that answers to a symbol (BRK.B as the desk writes it), by contract number."""
        return await self._connected().contracts(symbol)

    async def what_if(self, order: OrderRequest) -> MarginImpact:
        """What the order would do to the margin. A refusal has no numbers and the broker's text as its warning.

        The order id is used for the question and should not be that of an order placed later.
        """
        talk = self._connected()
        return await talk.what_if(checked(order), self._account(talk))

    def watch(self, contracts: Sequence[Contract]) -> None:
        """Asks for quotes, once for each contract; for all of them again after the link or a data farm was lost."""
        self._connected().watch(contracts)

    async def _snapshot(self) -> Snapshot:
        from resources.brokers.ib.snapshots import taken

        talk, patience_s = self._connected(), self._settings.timeout_seconds
        while talk.outbox.pending_orders and talk.line.is_open:
            await asyncio.sleep(_POLL_S)
        account = self._settings.account if self._settings.account in talk.accounts else talk.accounts[0]
        for _ in range(_ATTEMPTS):
            if self._connected() is not talk:
                raise talk.line.down("another connection took the place of the one that was asked")
            snapshot = await taken(talk, account=account, timeout_s=patience_s, now=self._clock.now())
            if snapshot is not None:
                return snapshot
            await asyncio.sleep(_REST_S)
        raise SnapshotIncomplete("the account did not stand still", bound=f"{_ATTEMPTS} snapshots in a row")

    def _connected(self) -> "Conversation":
        if self._talk is None or not self._talk.line.is_open:
            raise self._down()
        return self._talk

    def _down(self) -> BrokerDown:
        where = self._settings
        return BrokerDown(
            "Interactive Brokers is not connected",
            value=f"{where.host}:{where.port}, client id {self._client_id}",
            bound=f"account {where.account or 'not named'}, mode {self._mode}",
            hint="start TWS or the Gateway with its API enabled, or see ib in config/execution.yaml",
        )

    def _account(self, talk: "Conversation") -> str:
        """The account that every order names."""
        named = self._settings.account or (talk.accounts[0] if len(talk.accounts) == 1 else "")
        if named not in talk.accounts:
            raise OrderNotSound(
                "no order is written for an account that does not answer",
                value=named or "none named",
                bound=", ".join(talk.accounts),
                hint="set ib.account in config/execution.yaml",
            )
        return named

    def _tell(self, event: BrokerEvent) -> None:
        if self._listener is None:
            return
        try:
            self._listener(event)
        except Exception as broken:  # noqa: BLE001 - the loop goes on, and its handler hears of it
            asyncio.get_running_loop().call_exception_handler(
                {"message": f"the listener failed on {type(event).__name__}", "exception": broken}
            )


def _heeded(taking: asyncio.Task[Snapshot]) -> None:
    """A snapshot that everybody stopped waiting for fails in silence."""
    if not taking.cancelled():
        taking.exception()
