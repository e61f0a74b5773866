"""What the desk sends to a broker and what a broker says; the same words for every broker.

Prices are Decimal USD, instants UTC. Nothing here is a belief of the desk: a report is evidence, and only evidence changes a state.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal

Side = Literal["buy", "sell"]
OrderKind = Literal["market", "limit", "stop"]
Tif = Literal["day", "gtc"]
Algo = Literal["", "adaptive"]
BrokerStatus = Literal["pending", "working", "pending_cancel", "cancelled", "filled", "rejected", "held"]
"""`pending`: not acknowledged. `held`: at the broker, not transmitted. `working`: also stops, and children that wait for it."""
ENDED: frozenset[BrokerStatus] = frozenset({"cancelled", "filled", "rejected"})
QuoteKind = Literal["live", "frozen", "delayed"]
REF_PREFIX = "D1:"


@dataclass(frozen=True, slots=True)
class Contract:
    """An instrument as the broker knows it; `con_id` is its identity there."""

    symbol: str
    con_id: int
    exchange: str = "SMART"
    primary_exchange: str = ""
    currency: str = "USD"
    kind: str = "STK"
    min_tick: Decimal = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """One order as it goes to the broker.

    Args:
        key: The desk's name of the order, unique for ever; the row in `orders`.
        ref: `D1:` and the intent's id; comes back on every report and execution.
        order_id: The broker-side number, unique for one client id; never an identity.
        transmit: False: the broker keeps it until a sibling arrives that is transmitted.
        parent_id: `order_id` of the entry that must fill first; 0 for none.
        oca_group: Orders of one group reduce each other as they fill, whatever fills first.
        algo: `adaptive` asks the broker to work a limit order patiently.
        display_quantity: Shares shown at once (iceberg); 0 shows all.
    """

    key: str
    ref: str
    order_id: int
    contract: Contract
    side: Side
    kind: OrderKind
    quantity: int
    tif: Tif
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    transmit: bool = True
    parent_id: int = 0
    oca_group: str = ""
    algo: Algo = ""
    display_quantity: int = 0
    outside_hours: bool = False


@dataclass(frozen=True, slots=True)
class OrderReport:
    """What the broker says of one order. `order_id` and `client_id` are 0 where it does not tell (completed or foreign orders)."""

    perm_id: int
    order_id: int
    client_id: int
    ref: str
    account: str
    symbol: str
    con_id: int
    side: Side
    kind: str
    quantity: Decimal
    filled: Decimal
    status: BrokerStatus
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    parent_id: int = 0
    oca_group: str = ""
    why: str = ""

    @property
    def is_ours(self) -> bool:
        """Whether it carries a reference of this desk."""
        return self.ref.startswith(REF_PREFIX)

    @property
    def remaining(self) -> Decimal:
        """Shares that can still fill."""
        return Decimal(0) if self.status in ENDED else self.quantity - self.filled


@dataclass(frozen=True, slots=True)
class Execution:
    """One fill as the broker numbers it. A correction has the same `exec_id` but for its last part (`.01`, `.02`).

    `liquidation`: the broker closed the position against the account's will.
    """

    exec_id: str
    perm_id: int
    order_id: int
    client_id: int
    ref: str
    account: str
    symbol: str
    con_id: int
    side: Side
    quantity: Decimal
    price: Decimal
    at: datetime
    liquidation: bool = False

    @property
    def signed(self) -> Decimal:
        """Shares, negative for a sale."""
        return self.quantity if self.side == "buy" else -self.quantity

    @property
    def family(self) -> str:
        """What a correction shares with what it corrects: the id without its last part."""
        return self.exec_id.rpartition(".")[0] or self.exec_id


@dataclass(frozen=True, slots=True)
class Commission:
    """The fee of one execution, USD; None while the broker does not know it (-1 and unset are None)."""

    exec_id: str
    amount: Decimal | None
    currency: str = "USD"


@dataclass(frozen=True, slots=True)
class HeldPosition:
    """Shares at the broker, negative when owed."""

    account: str
    symbol: str
    con_id: int
    quantity: Decimal
    average_cost: Decimal
    currency: str = "USD"


@dataclass(frozen=True, slots=True)
class AccountValues:
    """Totals of the account in its own currency; None where the broker says nothing: unknown, never 0."""

    equity: Decimal | None = None
    cash: Decimal | None = None
    excess_liquidity: Decimal | None = None
    initial_margin: Decimal | None = None
    maintenance_margin: Decimal | None = None
    intraday_excess_liquidity: Decimal | None = None
    currency: str = "USD"


@dataclass(frozen=True, slots=True)
class MarginImpact:
    """What an order would do to the margin, USD; None where the broker leaves a value unset."""

    initial_margin_after: Decimal | None
    maintenance_margin_after: Decimal | None
    equity_after: Decimal | None
    commission: Decimal | None = None
    warning: str = ""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The account at one moment, complete: every part of it was answered to the end. What times out is no snapshot."""

    at: datetime
    accounts: tuple[str, ...]
    positions: tuple[HeldPosition, ...]
    open_orders: tuple[OrderReport, ...]
    completed_orders: tuple[OrderReport, ...]
    executions: tuple[Execution, ...]
    commissions: tuple[Commission, ...]
    values: AccountValues

    @property
    def reports(self) -> tuple[OrderReport, ...]:
        """All orders, open and completed."""
        return (*self.open_orders, *self.completed_orders)


@dataclass(frozen=True, slots=True)
class Quote:
    """The market in one symbol. What is missing, zero, negative or NaN at the source is None; `volume` counts since the open."""

    symbol: str
    at: datetime
    bid: Decimal | None = None
    ask: Decimal | None = None
    last: Decimal | None = None
    bid_size: int | None = None
    ask_size: int | None = None
    volume: int | None = None
    kind: QuoteKind = "live"
    halted: bool = False

    @property
    def is_sound(self) -> bool:
        """Both sides there, and the bid below the ask."""
        return self.bid is not None and self.ask is not None and 0 < self.bid < self.ask

    @property
    def mid(self) -> Decimal | None:
        """Half way between the sides; None unless sound."""
        return (self.bid + self.ask) / 2 if self.bid is not None and self.ask is not None and self.is_sound else None

    def age(self, now: datetime) -> timedelta:
        """How old it is."""
        return now - self.at


@dataclass(frozen=True, slots=True)
class Welcome:
    """What a connection begins with."""

    accounts: tuple[str, ...]
    next_order_id: int
    server_time: datetime


Reaction = Literal[
    "ignore",
    "order_lives",
    "order_rejected",
    "order_cancelled",
    "look_again",
    "no_contract",
    "refuse_to_start",
    "link_lost",
    "link_back",
    "link_back_data_lost",
    "data_lost",
    "data_back",
    "no_live_data",
    "competing_login",
    "pacing",
    "protocol",
]
"""What a notice makes the gateway do; a code that is not in the broker's table is `look_again`, never a state of an order."""


@dataclass(frozen=True, slots=True)
class Reported:
    """The broker told the state of an order."""

    report: OrderReport


@dataclass(frozen=True, slots=True)
class Executed:
    """The broker told an execution."""

    execution: Execution


@dataclass(frozen=True, slots=True)
class Commissioned:
    """The broker told a fee."""

    commission: Commission


@dataclass(frozen=True, slots=True)
class Noticed:
    """The broker said something with a code; `order_id` is 0 when it is about no order."""

    code: int
    text: str
    reaction: Reaction
    order_id: int = 0


@dataclass(frozen=True, slots=True)
class Quoted:
    """The market moved."""

    quote: Quote


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The connection is gone; nothing is known until the next snapshot."""

    reason: str


BrokerEvent = Reported | Executed | Commissioned | Noticed | Quoted | Disconnected


@dataclass(frozen=True, slots=True)
class MinuteBar:
    """A bar made from quotes, labelled by its start."""

    symbol: str
    start: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: int
