"""The broker as the gateway and the watchdog need it; every member passes tests/brokers/conformance.py."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

from trading_assets.broker.model import BrokerEvent, Contract, MarginImpact, OrderRequest, Snapshot, Welcome
from trading_assets.core.errors import PermanentFailure, TransientFailure

Listener = Callable[[BrokerEvent], None]


class BrokerDown(TransientFailure):
    """The broker cannot be reached, or the connection broke; names host, port and mode."""


class ClientIdInUse(PermanentFailure):
    """Another process holds the client id: it is a fence, and never replaced by another number."""


class SnapshotIncomplete(TransientFailure):
    """A part of a snapshot was not answered to its end: nothing follows from it, least of all that there is nothing."""


class Broker(Protocol):
    """One connection to one account, under one client id. Methods belong to one event loop; events come in order, in that loop."""

    @property
    def name(self) -> str:
        """`ib` or `paper`."""
        ...

    @property
    def client_id(self) -> int:
        """The fixed client id of this connection."""
        ...

    @property
    def is_connected(self) -> bool:
        """Whether messages can be sent."""
        ...

    def listen(self, listener: Listener) -> None:
        """Who hears events, from the next one on; one listener."""
        ...

    async def connect(self) -> Welcome:
        """Opens the connection.

        Raises:
            BrokerDown: Nobody answers at host and port.
            ClientIdInUse: Somebody else is connected under the client id.
        """
        ...

    async def close(self) -> None:
        """Ends the connection; orders stay where they are."""
        ...

    async def snapshot(self) -> Snapshot:
        """The whole account, asked now.

        Raises:
            SnapshotIncomplete: Something was not answered in time.
            BrokerDown: The connection is gone.
        """
        ...

    def place(self, orders: Sequence[OrderRequest]) -> None:
        """Writes orders in their sequence, each once. It never waits and never resends.

        Raises:
            BrokerDown: There is no connection; nothing was written.
        """
        ...

    def cancel(self, order_id: int) -> None:
        """Asks to cancel one order of this client id. BrokerDown as above."""
        ...

    def cancel_everything(self) -> None:
        """Asks to cancel every order of the account, protective stops and those of other clients too. Only for a flat account."""
        ...

    async def drain(self) -> int:
        """Waits until everything written has left this process; how many bytes were written since the connection began."""
        ...

    async def time(self) -> datetime:
        """The broker's clock, the cheapest sign of life. BrokerDown when nobody answers in time."""
        ...

    async def resolve(self, symbol: str) -> tuple[Contract, ...]:
        """Every stock contract in USD that answers to a symbol; none, one, or more than the desk can choose from."""
        ...

    async def what_if(self, order: OrderRequest) -> MarginImpact:
        """What the order would do to the margin; it is not placed. BrokerDown when it is not answered in time."""
        ...

    def watch(self, contracts: Sequence[Contract]) -> None:
        """Asks for quotes of contracts from now on, beside those watched already; again after a link that lost its data."""
        ...
