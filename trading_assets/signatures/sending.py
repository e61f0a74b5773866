"""What is known of an order at the moment before it is sent: what no plan can know, for it was made seconds earlier.

Everything that could not be found out is None, and refuses.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from trading_assets.broker.model import AccountValues, MarginImpact, Quote
from trading_assets.core.calendar import Session


@dataclass(frozen=True, slots=True)
class Counters:
    """How often the desk acted, read from the ledger: restarts forget nothing. Times are of the newest send, UTC."""

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
        seals: What is wrong with the signatures; empty when all three hold.
        bar_at: Start of the newest complete minute bar of the symbol.
        clock_skew: The broker's clock less ours.
        second_price: What another source says of the symbol now, USD.
        contracts: How many contracts the symbol stands for at the broker.
        listed: Whether the desk may trade the symbol at all.
        crossing: Own working orders on the other side that this order could trade with, in words.
        halted: Whether the exchange has stopped the symbol; `reopened_at` is when it last began again.
        breaker: Why the symbol or the desk is closed to entries; empty when it is not.
        account: What is wrong with the account; empty when it is the expected one.
        capital_usd: What the desk may use of the account.
        cost_per_decision_usd, cost_per_day_usd: Caps of what models may cost.
        limits_hash: sha256 of the limits file as it lies there now; `pinned_hash` is that of the start of the process.
        lease: What is wrong with the lease; empty when it is held.
        reconciled_at: Of the newest complete snapshot; `disagrees` says in words how it differs from the ledger.
    """

    now: datetime
    session: Session | None
    seals: str
    quote: Quote | None
    bar_at: datetime | None
    clock_skew: timedelta | None
    second_price: Decimal | None
    contracts: int
    listed: bool
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
