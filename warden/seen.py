"""What the watchdog sees at one moment: signs of life, the ledger's account of things, and the broker's own; and what it concludes.

What could not be read is None. It is never taken for empty, and never for well.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal

from trading_assets.broker.model import Snapshot
from trading_assets.core.calendar import Session

Level = Literal["page", "reduce", "protect", "flatten", "halt"]
LEVELS: tuple[Level, ...] = ("page", "reduce", "protect", "flatten", "halt")


@dataclass(frozen=True, slots=True)
class Identity:
    """What every process must agree on: the program, and the limits that it was started with."""

    version: str
    limits_hash: str


@dataclass(frozen=True, slots=True)
class Sign:
    """The last sign of life of a process; `pid` is that of the machine it runs on."""

    process: str
    age: timedelta
    pid: int
    identity: Identity


@dataclass(frozen=True, slots=True)
class Trade:
    """An execution of one of the desk's orders, with the price that was ordered; None for an order without one."""

    exec_id: str
    symbol: str
    side: Literal["buy", "sell"]
    price: Decimal
    ordered: Decimal | None
    at: datetime
    liquidation: bool


@dataclass(frozen=True, slots=True)
class WorkingOrder:
    """An order of the desk that can still fill, as the ledger has it."""

    key: str
    ref: str
    symbol: str
    opens: bool
    order_id: int
    client_id: int
    oca_group: str


@dataclass(frozen=True, slots=True)
class LedgerSeen:
    """The ledger's account of things.

    Args:
        positions: By symbol, shares that the ledger says are held.
        adopted: By symbol, those of them that are not the desk's.
        cash: USD; None before the first balance.
        orders: Orders that can still fill.
        trades: Executions of the session.
        day_symbols: Symbols held that must be flat by the close.
        day_open, peak: Equity that losses are measured against, USD; None where there is none.
        halts: Causes of open halts by their id.
        unanswered: When each page that nobody answered was raised, and its sentence.
    """

    positions: Mapping[str, Decimal]
    adopted: Mapping[str, Decimal]
    cash: Decimal | None
    orders: tuple[WorkingOrder, ...]
    trades: tuple[Trade, ...]
    day_symbols: frozenset[str]
    day_open: Decimal | None
    peak: Decimal | None
    halts: Mapping[int, str]
    unanswered: Mapping[str, datetime]


@dataclass(frozen=True, slots=True)
class Seen:
    """One look at everything.

    Args:
        session: The exchange session that is open now; None out of hours.
        signs: By process.
        clock_skew: The broker's clock less ours; None when it was not asked, or did not answer.
    """

    now: datetime
    session: Session | None
    own: Identity
    signs: Mapping[str, Sign]
    ledger: LedgerSeen | None
    broker: Snapshot | None
    clock_skew: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it must be: which control, how bad, and why in words. `symbol` where it is about one."""

    control: str
    level: Level
    sentence: str
    symbol: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """What it is about, however bad it is by now."""
        return self.control, self.symbol


@dataclass(frozen=True, slots=True)
class Memory:
    """Since when each thing has been wrong; what is well again is forgotten."""

    since: Mapping[tuple[str, str], datetime] = field(default_factory=dict)

    def lasted(self, key: tuple[str, str], now: datetime) -> timedelta:
        """How long it has been wrong; nothing for what is new."""
        return now - self.since.get(key, now)
