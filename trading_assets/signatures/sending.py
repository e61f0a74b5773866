"""What is known of an order at the moment before it is sent: what no plan can know, for it was made seconds earlier.

Everything that could not be found out is None, and refuses what opens.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from trading_assets.broker.model import AccountValues, MarginImpact, OrderRequest, Quote
from trading_assets.core.calendar import Session


@dataclass(frozen=True, slots=True)
class Counters:
    """How often the desk acted, read from the ledger: restarts forget nothing. Times are of the newest send, UTC.

    What is about to be sent is not counted yet.
    """

    orders_last_minute: int
    orders_today: int
    last_order: Mapping[str, datetime]
    entries_today: Mapping[str, int]
    stop_outs: int
    decision_cost_usd: Decimal
    day_cost_usd: Decimal


@dataclass(frozen=True, slots=True)
class AtSending:
    """The moment of sending.

    Args:
        session: The exchange session that is open now; None out of hours.
        quantity: Shares of the intent, as the risk gate allowed and the signers signed them; the plan may have asked for more.
        orders: The orders as they would be written now, in that order. Of a slice, those of the slice.
        leaving: Shares of the position that other orders on their way take off already, resting stops and targets aside.
        seals: What is wrong with the signatures; empty when all three hold.
        bar_at: Start of the newest complete minute bar of the symbol.
        clock_skew: The broker's clock less ours.
        second_price: What another source says of the symbol now, USD.
        contracts: How many contracts the symbol stands for at the broker.
        listed: Whether the desk may trade the symbol at all.
        universe: How many symbols the desk may trade.
        crossing: Own working orders on the other side that this order could trade with, in words.
        halted: Whether the exchange has stopped the symbol; `reopened_at` is when it last began again.
        breaker: Why the symbol or the desk is closed to entries; empty when it is not.
        account: What is wrong with the account; empty when it is the expected one.
        capital_usd: What the desk may use of the account.
        cost_per_decision_usd, cost_per_day_usd: Caps of what models may cost.
        limits_hash: sha256 of the limits file as it lies there now; `pinned_hash` is that of the start of the process, and
            `intent_hash` the one that the intent was signed under.
        lease: What is wrong with the lease; empty when it is held.
        reconciled_at: Of the newest complete snapshot; `disagrees` says in words how it differs from the ledger.
        locates: By symbol, whether shares to borrow were found.
        short_restricted: Whether the exchange allows short sales above the bid only; unknown counts as restricted.
        own: A reduction that the gateway makes by itself: it carries no signatures. An entry is never one.
        flattens: Everything must go now, or the session ends: the only market orders that there are.
    """

    now: datetime
    session: Session | None
    quantity: int
    orders: tuple[OrderRequest, ...]
    leaving: int
    seals: str
    quote: Quote | None
    bar_at: datetime | None
    clock_skew: timedelta | None
    second_price: Decimal | None
    contracts: int
    listed: bool
    universe: int
    crossing: tuple[str, ...]
    halted: bool
    reopened_at: datetime | None
    breaker: str
    account: str
    values: AccountValues
    margin: MarginImpact | None
    capital_usd: Decimal
    counters: Counters
    cost_per_decision_usd: Decimal
    cost_per_day_usd: Decimal
    limits_hash: str
    pinned_hash: str
    intent_hash: str
    lease: str
    reconciled_at: datetime | None
    disagrees: str = ""
    locates: Mapping[str, bool] = field(default_factory=dict)
    short_restricted: bool | None = None
    own: bool = False
    flattens: bool = False
