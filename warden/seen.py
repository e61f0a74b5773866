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
GAP = timedelta(seconds=10)
"""How far apart two looks may be and still count as watching."""
LEVELS: tuple[Level, ...] = ("page", "reduce", "protect", "flatten", "halt")


@dataclass(frozen=True, slots=True)
class Identity:
    """What every process must agree on: the program, and the limits that it was started with."""

    version: str
    limits_hash: str


@dataclass(frozen=True, slots=True)
class Sign:
    """The last sign of life of a process; `pid` is that of the machine it runs on.

    `acts`: it said that it is connected and has looked at the account; only a gateway says so.
    """

    process: str
    age: timedelta
    pid: int
    identity: Identity
    acts: bool = False


@dataclass(frozen=True, slots=True)
class Trade:
    """An execution of one of the desk's orders, with the price that was signed; None for an order without one.

    For an entry that is the price which the decision knew, for a stop and a limit its own.
    """

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
class Holder:
    """Whoever holds the gateway's lease: on which machine, under which number, and until when unless it renews."""

    host: str
    pid: int
    until: datetime


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
        answered: Causes of halts that an operator has answered.
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
    answered: tuple[str, ...]
    unanswered: Mapping[str, datetime]


@dataclass(frozen=True, slots=True)
class Seen:
    """One look at everything.

    Args:
        session: The exchange session that is open now; None out of hours.
        signs: By process.
        clock_skew: The broker's clock less ours; None when it was not asked, or did not answer.
        noted: The cause in the halt file; empty when there is none.
        stranger: Why the account that answers is not the desk's; empty when it is. Its snapshot is then None.
    """

    now: datetime
    session: Session | None
    own: Identity
    signs: Mapping[str, Sign]
    ledger: LedgerSeen | None
    broker: Snapshot | None
    clock_skew: timedelta | None = None
    noted: str = ""
    stranger: str = ""

    @property
    def is_halted(self) -> bool:
        """Whether a halt is open, in the ledger or in the file."""
        return bool(self.noted or (self.ledger is not None and self.ledger.halts))


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

    @property
    def code(self) -> str:
        """The same as one word or two, as pages and halts carry it."""
        return f"{self.control} {self.symbol}".strip()


@dataclass(frozen=True, slots=True)
class Memory:
    """Since when each thing has been wrong; what is well again is forgotten.

    Args:
        began: Since when everything has been watched; None before the first look.
        looked: When it was last looked at.
    """

    since: Mapping[tuple[str, str], datetime] = field(default_factory=dict)
    began: datetime | None = None
    looked: datetime | None = None

    def lasted(self, key: tuple[str, str], now: datetime) -> timedelta:
        """How long it has been wrong; nothing for what is new."""
        return now - self.since.get(key, now)

    def watched(self, now: datetime) -> timedelta:
        """For how long everything has been watched."""
        return now - (self.began or now)

    def awake(self, now: datetime, *, gap: timedelta = GAP) -> "Memory":
        """Without the time in which nobody looked: a machine that slept has not watched anything being wrong meanwhile.

        Args:
            gap: So long between two looks is no sleep.
        """
        if self.looked is None or now - self.looked <= gap:
            return self
        slept = now - self.looked - gap
        since = {key: at + slept for key, at in self.since.items()}
        return Memory(since, self.began + slept if self.began else None, self.looked)
