"""The life of an intent and of its orders: states, the ways between them, and what a change is.

An intent's state follows from fills and from what the broker confirmed, never from an own time-out; the one exception is ABANDONED,
which needs three complete snapshots without a trace. SUBMITTING and UNKNOWN count at full size against every limit.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

from trading_assets.broker.model import Commission, Execution, HeldPosition, OrderReport, Side

IntentState = Literal[
    "PROPOSED",
    "SIGNED",
    "INTENT",
    "SUBMITTING",
    "WORKING",
    "PARTIAL",
    "PENDING_CANCEL",
    "UNKNOWN",
    "VETOED",
    "EXPIRED",
    "REJECTED",
    "FILLED",
    "CANCELLED",
    "ABANDONED",
]
WAYS: Mapping[IntentState, frozenset[IntentState]] = {
    "PROPOSED": frozenset({"VETOED", "SIGNED", "EXPIRED"}),
    "SIGNED": frozenset({"VETOED", "INTENT", "EXPIRED"}),
    "INTENT": frozenset({"SUBMITTING", "VETOED", "EXPIRED"}),
    "SUBMITTING": frozenset({"WORKING", "PARTIAL", "FILLED", "CANCELLED", "REJECTED", "UNKNOWN"}),
    "UNKNOWN": frozenset({"WORKING", "PARTIAL", "FILLED", "CANCELLED", "REJECTED", "ABANDONED"}),
    "WORKING": frozenset({"PARTIAL", "PENDING_CANCEL", "FILLED", "CANCELLED", "REJECTED", "UNKNOWN"}),
    "PARTIAL": frozenset({"PENDING_CANCEL", "FILLED", "CANCELLED", "UNKNOWN"}),
    "PENDING_CANCEL": frozenset({"WORKING", "PARTIAL", "FILLED", "CANCELLED", "UNKNOWN"}),
    "VETOED": frozenset(),
    "EXPIRED": frozenset(),
    "REJECTED": frozenset(),
    "FILLED": frozenset(),
    "CANCELLED": frozenset(),
    "ABANDONED": frozenset(),
}
TERMINAL: frozenset[IntentState] = frozenset(state for state, ways in WAYS.items() if not ways)
AT_BROKER: frozenset[IntentState] = frozenset({"SUBMITTING", "UNKNOWN", "WORKING", "PARTIAL", "PENDING_CANCEL"})
"""States that count at full size against every limit."""

LegRole = Literal["entry", "addition", "stop", "target", "close", "exit", "flatten", "protect"]
OPENING: frozenset[LegRole] = frozenset({"entry", "addition"})
LegState = Literal["planned", "sent", "held", "working", "pending_cancel", "filled", "cancelled", "rejected", "absent"]
LEG_ENDED: frozenset[LegState] = frozenset({"filled", "cancelled", "rejected", "absent"})


@dataclass(frozen=True, slots=True)
class Leg:
    """One order of an intent as the ledger knows it.

    Args:
        key: The row in `orders`; `ref` is `D1:` and the intent's id.
        order_id: Given before it is sent; 0 while planned.
        client_id: The connection that sent it, 0 while planned.
        perm_ids: What the broker calls it; more than one is a fault that halts.
        filled: Shares of its executions.
    """

    key: str
    intent_id: str
    ref: str
    role: LegRole
    symbol: str
    con_id: int
    side: Side
    kind: str
    quantity: int
    state: LegState
    order_id: int = 0
    client_id: int = 0
    perm_ids: tuple[int, ...] = ()
    filled: Decimal = Decimal(0)
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    parent_key: str = ""
    oca_group: str = ""
    sent_at: datetime | None = None

    @property
    def is_open(self) -> bool:
        """Whether it can still fill."""
        return self.state not in LEG_ENDED and self.state != "planned"

    @property
    def open_quantity(self) -> Decimal:
        """Shares that can still fill."""
        return Decimal(self.quantity) - self.filled if self.is_open else Decimal(0)


@dataclass(frozen=True, slots=True)
class Tracked:
    """An intent that reached the broker, or may have.

    Args:
        opens: An entry or an addition; everything else reduces.
        submitted_at: When SUBMITTING was committed.
        absences: Complete snapshots in a row, at least 30 s after it was submitted, that did not know its reference.
    """

    id: str
    ref: str
    symbol: str
    side: Side
    opens: bool
    quantity: int
    state: IntentState
    legs: tuple[Leg, ...]
    token: int = 0
    submitted_at: datetime | None = None
    absences: int = 0

    @property
    def first_leg(self) -> Leg:
        """The order whose fills are the intent's: the entry, or the reduction."""
        return next(leg for leg in self.legs if not leg.parent_key)

    @property
    def filled(self) -> Decimal:
        """Shares filled of the first leg, or of all first legs where it was sliced."""
        return sum((leg.filled for leg in self.legs if not leg.parent_key), Decimal(0))


@dataclass(frozen=True, slots=True)
class Known:
    """What the ledger holds against which a snapshot is read.

    Args:
        intents: Every intent that is not terminal, and every one of which an order is not ended or an execution is not older than
            two sessions; ABANDONED ones stay, as tombstones.
        executions: By exec_id, those booked.
        fees: exec_ids whose fee is booked.
        adopted: By symbol, shares that were there before the desk, or came by hand.
        booked: By symbol, shares from all executions ever booked.
        cash: What the ledger says the account holds, USD; None before the first adoption.
        foreign: perm_ids of orders that are not the desk's and are known.
    """

    intents: tuple[Tracked, ...]
    executions: Mapping[str, Execution]
    fees: frozenset[str]
    adopted: Mapping[str, Decimal]
    booked: Mapping[str, Decimal]
    cash: Decimal | None
    foreign: frozenset[int]
    is_new: bool = False

    def position(self, symbol: str) -> Decimal:
        """Shares that the ledger says are held."""
        return self.adopted.get(symbol, Decimal(0)) + self.booked.get(symbol, Decimal(0))

    @property
    def symbols(self) -> frozenset[str]:
        """Symbols that the ledger says are, or were, held."""
        return frozenset(self.adopted) | frozenset(self.booked)


@dataclass(frozen=True, slots=True)
class LegChanged:
    """An order's state, and what the broker calls it. `filled` is told apart, by executions."""

    key: str
    state: LegState
    perm_id: int = 0
    why: str = ""


@dataclass(frozen=True, slots=True)
class IntentChanged:
    """An intent's state."""

    intent_id: str
    state: IntentState
    why: str = ""


@dataclass(frozen=True, slots=True)
class Absent:
    """One more complete snapshot without a trace of the intent; `count` begins anew when there is a trace."""

    intent_id: str
    count: int


@dataclass(frozen=True, slots=True)
class Booked:
    """An execution to be booked once. `leg_key` is empty for one that no order of the desk explains.

    `replaces` names the execution that it corrects; `busts` the one that it takes back in full.
    """

    execution: Execution
    leg_key: str
    intent_id: str
    replaces: str = ""
    busts: str = ""


@dataclass(frozen=True, slots=True)
class FeeBooked:
    """A fee that has become known."""

    commission: Commission


@dataclass(frozen=True, slots=True)
class Adopted:
    """Shares that are there and not the desk's doing: counted from now on, never managed but for a protective stop.

    `cash` is what the account held at that moment, USD: what the ledger counts its cash from, anew; None leaves it as it is.
    """

    position: HeldPosition
    difference: Decimal
    why: str
    cash: Decimal | None = None


@dataclass(frozen=True, slots=True)
class ForeignOrder:
    """An order that is not the desk's, seen for the first time."""

    report: OrderReport


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Ledger and broker disagree, and nothing explains it: the desk halts; nothing is repaired silently."""

    code: Literal["position", "cash", "two_perm_ids", "zombie", "overfill", "bust", "liquidation", "account"]
    sentence: str


@dataclass(frozen=True, slots=True)
class MustCancel:
    """An order of the desk that must not live: an untransmitted parent, the child of nothing, a zombie."""

    order_id: int
    client_id: int
    ref: str
    why: str


@dataclass(frozen=True, slots=True)
class MustProtect:
    """Shares without a resting stop of their size; `quantity` is what lacks cover, negative for a short position."""

    symbol: str
    con_id: int
    quantity: Decimal
    why: str


Change = (
    LegChanged
    | IntentChanged
    | Absent
    | Booked
    | FeeBooked
    | Adopted
    | ForeignOrder
    | Mismatch
    | MustCancel
    | MustProtect
)
