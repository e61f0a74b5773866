"""What a rehearsal's checks know: rows of the account, the ledger, Dagster's history and the lake, as they were found.

Plain values without the desk's own types: whoever judges the desk must not see through its eyes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal

from trading_assets.core.calendar import NEW_YORK


@dataclass(frozen=True, slots=True)
class Order:
    """An order as the account keeps it. `ends_long`: it takes shares off."""

    perm_id: int
    ref: str
    symbol: str
    side: str
    kind: str
    wanted: int
    filled: int
    reduced: int
    status: str
    since: datetime
    parent: int
    oca_group: str
    limit_price: Decimal | None
    stop_price: Decimal | None
    triggered: bool

    @property
    def is_open(self) -> bool:
        """Whether it can still fill."""
        return self.status in {"held", "working"}

    @property
    def remaining(self) -> int:
        """Shares that it may still trade."""
        return self.wanted - self.reduced - self.filled if self.is_open else 0


@dataclass(frozen=True, slots=True)
class Fill:
    """An execution as the account keeps it; `fee` in USD."""

    exec_id: str
    perm_id: int
    ref: str
    symbol: str
    side: str
    quantity: int
    price: Decimal
    fee: Decimal
    at: datetime


@dataclass(frozen=True, slots=True)
class Sample:
    """The account at a moment.

    Args:
        at: The desk's instant; `machine`: the machine's, seconds of a clock that only goes forward.
        held: Shares by symbol.
        marks: What a share is worth, USD.
        orders: The open ones.
    """

    at: datetime
    machine: float
    cash: Decimal
    held: Mapping[str, int]
    marks: Mapping[str, Decimal]
    orders: tuple[Order, ...]

    @property
    def equity(self) -> Decimal:
        """Cash and shares, USD."""
        return self.cash + sum((self.marks.get(name, Decimal(0)) * n for name, n in self.held.items()), Decimal(0))

    def naked(self, symbol: str) -> int:
        """Shares without an order that takes them off when they fall."""
        covers = (o for o in self.orders if o.symbol == symbol and o.side == "sell" and _covers(o))
        return max(0, self.held.get(symbol, 0) - sum(order.remaining for order in covers))


@dataclass(frozen=True, slots=True)
class Decision:
    """A decision of the ledger."""

    slot: str
    as_of: datetime
    state: str
    reason: str


@dataclass(frozen=True, slots=True)
class Intent:
    """An intent of the ledger and where it stands. `states`: every state that its history tells, in order."""

    id: str
    slot: str
    strategy: str
    symbol: str
    action: str
    quantity: int
    digest: str
    flat_by_close: bool
    state: str
    why: str
    opens: bool
    states: tuple[str, ...]
    seals: Mapping[str, datetime]
    sealed_digests: frozenset[str]


@dataclass(frozen=True, slots=True)
class Booked:
    """An execution of the ledger."""

    exec_id: str
    ref: str
    symbol: str
    side: str
    quantity: Decimal
    price: Decimal
    at: datetime


@dataclass(frozen=True, slots=True)
class Halt:
    """A halt; `lifted` is None while it is open."""

    id: int
    cause: str
    at: datetime
    lifted: datetime | None


@dataclass(frozen=True, slots=True)
class Claim:
    """What the ledger says of a part of the day."""

    key: str
    state: str
    attempt: int
    why: str


@dataclass(frozen=True, slots=True)
class Run:
    """A run of Dagster's; instants are of the machine, seconds since 1970."""

    id: str
    job: str
    status: str
    part: str
    partition: str
    slot: str
    asked: float
    started: float
    ended: float


@dataclass(frozen=True, slots=True)
class Told:
    """A line of journal, bus, pages or halts, for the timeline."""

    at: datetime
    what: str
    words: str


@dataclass(frozen=True, slots=True)
class Close:
    """How the ledger settled the session, USD."""

    cash: Decimal
    held: Mapping[str, int]


@dataclass(frozen=True)
class Evidence:
    """Everything that was found when the day was over.

    Args:
        due: Labels of the slots of the session, by the calendar and the settings.
        parts: Parts of the day that were due before the clock stopped, slots not among them.
        gates: When the gate of the daily bars of the session before was passed first; None: never.
        late_rows: Rows of the session's decisions that were knowable only after them, in words.
        alive: Processes that could not be ended.
        proof: What the proof of the ledger finds wrong.
        bar_orders: Orders that the ledger fills from bars, without a broker; `bar_fills`: what became of them.
    """

    due: tuple[str, ...]
    parts: tuple[str, ...]
    opened: datetime
    closed: datetime
    ended_at: datetime
    speed: float
    starting_cash: Decimal
    limits: Mapping[str, float]
    sectors: Mapping[str, str]
    naked_s: float
    has_broker: bool
    decisions: tuple[Decision, ...] = ()
    intents: tuple[Intent, ...] = ()
    booked: tuple[Booked, ...] = ()
    halts: tuple[Halt, ...] = ()
    claims: tuple[Claim, ...] = ()
    runs: tuple[Run, ...] = ()
    orders: tuple[Order, ...] = ()
    fills: tuple[Fill, ...] = ()
    samples: tuple[Sample, ...] = ()
    bar_orders: int = 0
    bar_fills: tuple[Fill, ...] = ()
    close: Close | None = None
    journaled: frozenset[str] = frozenset()
    missed_in_words: frozenset[str] = frozenset()
    gate_at: datetime | None = None
    late_rows: tuple[str, ...] = ()
    report: str = ""
    alive: tuple[int, ...] = ()
    lost: tuple[str, ...] = ()
    proof: tuple[str, ...] = ()
    excused: Mapping[str, str] = field(default_factory=dict)

    def slot_at(self, label: str) -> datetime:
        """When a slot was due, UTC."""
        local = self.opened.astimezone(NEW_YORK)
        hour, minute = (int(part) for part in label.split(":"))
        return local.replace(hour=hour, minute=minute, second=0, microsecond=0).astimezone(UTC)

    @property
    def last(self) -> Sample | None:
        """The account when it was looked at last."""
        return self.samples[-1] if self.samples else None


def _covers(order: Order) -> bool:
    """A stop, or what sells at any price; a child that waits for its parent sells nothing yet."""
    return order.status == "working" and order.kind in {"stop", "market"}
