"""What the gateway works with: ports of the outside world, and what stays fixed while the process lives.

Everything that waits, reads a clock or touches a file stands behind one of these, so that the same gateway runs in a process and
under a simulation.
"""

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Literal, Protocol

from trading_assets.broker.lifecycle import Tracked
from trading_assets.broker.model import Contract
from trading_assets.broker.ports import Broker
from trading_assets.broker.settings import ExecutionSettings
from trading_assets.core.messages import Draft
from trading_assets.core.ports import Clock
from trading_assets.core.preferences import Preferences
from trading_assets.execution.dispatch import DispatchStore, NewLeg, Reduction
from trading_assets.execution.ports import Intent
from trading_assets.signatures.model import Signer

Severity = Literal["info", "warning", "critical"]


class Tenure(Protocol):
    """The right to be the only sender of a book. Each grant has a greater token than all before it."""

    @property
    def token(self) -> int:
        """The fencing token of the grant; 0 before `acquire`."""
        ...

    @property
    def until(self) -> datetime | None:
        """When the grant ends unless it is renewed; None before `acquire`."""
        ...

    def acquire(self, *, as_of: datetime) -> str:
        """Takes the lease; empty, or who holds it and until when."""
        ...

    def renew(self, *, as_of: datetime) -> None:
        """Holds it for longer. LeaseLost when somebody else has it, or it ran out."""
        ...


class Signs(Protocol):
    """Signs of life."""

    def beat(self, process: str, state: str, *, as_of: datetime) -> None:
        """Says that a part of this process lives."""
        ...

    def age(self, process: str, *, as_of: datetime) -> timedelta | None:
        """How long ago a process last said so; None when it never did."""
        ...

    def word(self, process: str, *, as_of: datetime) -> str:
        """What a process last said of itself; empty when it never spoke."""
        ...


class SecondPrices(Protocol):
    """Another source of prices."""

    async def price(self, symbol: str, as_of: datetime) -> Decimal | None:
        """The newest price, USD; None when it is old or absent."""
        ...


class Backdrop(Protocol):
    """What the limits are measured against and the broker does not tell, as it was known when the session began."""

    def average_volume(self, session: date, /) -> Mapping[str, float]:
        """Shares per session by symbol; a symbol without one may not be entered."""
        ...

    def related(self, session: date, /) -> Mapping[str, AbstractSet[str]]:
        """By symbol, the symbols whose theses share its risk."""
        ...


class Pager(Protocol):
    """Tells the operator."""

    def page(self, severity: Severity, code: str, sentence: str, *, as_of: datetime) -> None:
        """Records something that needs eyes; the same code and sentence is one page until it is answered."""
        ...


class Store(DispatchStore, Protocol):
    """A book's orders, for a process that reacts: what it pictures is the last `known` with the changes of each `apply` since."""

    def reduce_and_submit(
        self,
        reduction: Reduction,
        contract: Contract,
        legs_of: Callable[[str], Sequence[NewLeg]],
        /,
        *,
        token: int,
        as_of: datetime,
    ) -> Tracked | Literal["stale"] | None:
        """A new intent of the gateway's own in SUBMITTING, with the orders that `legs_of` makes for its id: one transaction.

        Returns it as `known` tells it from now on; None when the occasion has one already; "stale", and nothing is written, when
        somebody else changed the book behind the picture. A negative quantity buys back.

        Raises:
            LeaseLost: Another gateway took over.
        """
        ...

    def sent_together(self, intent_ids: Sequence[str], total_bytes: int, /, *, as_of: datetime) -> None:
        """As `sent`, for several intents in one transaction."""
        ...


@dataclass(frozen=True, slots=True)
class Setup:
    """What stays fixed while the process lives.

    Args:
        account: The account that must answer; empty: whichever one the paper broker made.
        symbols: What the desk may trade.
        limits_hash: sha256 of the limits file as the process read it; every order is checked against it.
        keys: The signers' keys, to verify their seals.
        gate: What is wrong with mode, port and accounts, one sentence each; empty to start. It is asked at each connection.
    """

    book: str
    version: str
    settings: ExecutionSettings
    preferences: Preferences
    limits_hash: str
    account: str
    symbols: tuple[str, ...]
    sectors: Mapping[str, str]
    keys: Mapping[Signer, bytes]
    cost_per_decision_usd: Decimal
    cost_per_day_usd: Decimal
    gate: Callable[[tuple[str, ...], datetime], tuple[str, ...]]


def _nowhere(_: str) -> None:
    """The hook of a process that nobody tests."""


@dataclass(frozen=True, slots=True)
class Means:
    """The ports of a gateway.

    Args:
        monotonic: Seconds that never step back and go on while the machine sleeps.
        limits_hash: sha256 of the limits file as it lies there now; empty when it cannot be read.
        entries: The newest entry intent of each symbol that has one.
        released: Whether an operator ever acknowledged a halt of the book.
        halt_file: What a halt file says, empty when there is none.
        write_halt: Halts where the ledger cannot be written.
        publish: Puts messages on the bus; what fails there is no reason to stop.
        points: Called at each named point between a decision and its acknowledgement; a test dies there.
    """

    broker: Broker
    store: Store
    tenure: Tenure
    signs: Signs
    clock: Clock
    monotonic: Callable[[], float]
    second: SecondPrices
    backdrop: Backdrop
    pager: Pager
    publish: Callable[[Sequence[Draft]], object]
    limits_hash: Callable[[], str]
    entries: Callable[[Sequence[str]], Mapping[str, Intent]]
    released: Callable[[], bool]
    halt_file: Callable[[], str]
    write_halt: Callable[[str, datetime], object]
    points: Callable[[str], None] = field(default=_nowhere)
