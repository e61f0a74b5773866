"""The outside world as the watchdog needs it. Its ledger has a role of its own: it halts, pages, and books what it sold."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from trading_assets.broker.model import Commission, Execution, OrderReport
from trading_assets.broker.ports import Broker
from trading_assets.core.calendar import Session
from warden.seen import Holder, Identity, LedgerSeen, Sign
from warden.steps import Sale


class WatchLedger(Protocol):
    """The ledger in the watchdog's own role. Every method raises DeskError when the ledger cannot be read or written."""

    def look(self, session: Session | None) -> LedgerSeen:
        """The ledger's account of things; `session` is that of the day, open or not."""
        ...

    def signs(self, *, as_of: datetime) -> Mapping[str, Sign]:
        """Signs of life of all processes."""
        ...

    def holder(self) -> Holder | None:
        """Whoever holds the gateway's lease, or held it last; None before the first gateway."""
        ...

    def beat(self, state: str, identity: Identity, *, as_of: datetime) -> None:
        """The watchdog's own sign of life, with what it allows: ACTIVE, REDUCING or HALTED and why, as JSON."""
        ...

    def halt(self, cause: str, *, as_of: datetime) -> None:
        """Records a halt; one that is open already with the same cause is not recorded again."""
        ...

    def page(self, severity: str, code: str, sentence: str, *, as_of: datetime) -> None:
        """Asks for a person's answer; what is asked and unanswered is not asked twice, unless it is worse now."""
        ...

    def write_ahead(
        self, sale: Sale, order_id: int, client_id: int, cause: str, *, visible: frozenset[str], as_of: datetime
    ) -> str:
        """Records an order before it is sent; its reference. Empty, and nothing recorded, where another's is on its way.

        Args:
            visible: References of orders that the broker has told of; one of the gateway's that was only just recorded, and is
                not among them, may be about to sell the same shares.
        """
        ...

    def protect_ahead(
        self,
        symbol: str,
        con_id: int,
        quantity: int,
        stop: Decimal,
        order_id: int,
        client_id: int,
        cause: str,
        *,
        as_of: datetime,
    ) -> str:
        """Records a protective stop before it is sent; its reference. A negative quantity protects a short position."""
        ...

    def book(
        self,
        client_id: int,
        reports: Sequence[OrderReport],
        executions: Sequence[Execution],
        commissions: Sequence[Commission],
        *,
        as_of: datetime,
    ) -> None:
        """Books what became of the watchdog's own orders; twice is once."""
        ...

    def newest_order_id(self, client_id: int) -> int:
        """The greatest order id ever given to the client id; 0 for none."""
        ...


class HaltNote(Protocol):
    """A halt on disk, for when the ledger cannot be written. It counts like an open halt."""

    def read(self) -> str:
        """Its cause; empty when there is none."""
        ...

    def write(self, cause: str, *, by: str, as_of: datetime) -> None:
        """Leaves it; the first cause stays. DeskError when not even that can be done."""
        ...


class Takeover(Protocol):
    """The gateway's place at the broker, taken when the gateway does not act any more."""

    async def take(self, *, as_of: datetime) -> Broker | None:
        """A connection under the gateway's client id, with the gateway ended; None when that cannot be had, or not yet."""
        ...

    async def give_back(self) -> None:
        """Leaves the place to the next gateway, once the operator has answered the halt."""
        ...
