"""The account as a decision sees it: a value made from the book and the last known prices."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from trading_assets.plans.model import PlanSide

FOREIGN = "foreign"
"""The strategy of shares that the desk did not buy: they count against every limit, and no plan touches them."""


@dataclass(frozen=True, slots=True)
class Holding:
    """Shares held, what they are worth, and which strategy bought them when.

    `quantity` and `value` are negative for a short position. `entry` is the average price paid, `stop` and `target` those that
    rest at the broker, USD in today's share count; `base_quantity` is the size of the first entry.
    """

    symbol: str
    quantity: int
    value: Decimal
    strategy: str
    opened: date
    sessions_held: int
    thesis_id: str = ""
    entry: Decimal | None = None
    stop: Decimal | None = None
    target: Decimal | None = None
    base_quantity: int = 0
    pair: str = ""

    @property
    def side(self) -> PlanSide:
        """Long or short."""
        return "long" if self.quantity > 0 else "short"


@dataclass(frozen=True, slots=True)
class Pending:
    """An entry that may still fill; it counts in full against every limit."""

    symbol: str
    notional: Decimal


@dataclass(frozen=True, slots=True)
class Portfolio:
    """Cash, holdings and pending entries, USD. `exiting` names symbols whose exit is already on its way."""

    cash: Decimal
    holdings: Mapping[str, Holding] = field(default_factory=dict)
    pending: tuple[Pending, ...] = ()
    exiting: frozenset[str] = frozenset()

    @property
    def equity(self) -> Decimal:
        """Cash plus the value of all holdings."""
        return self.cash + sum((holding.value for holding in self.holdings.values()), Decimal(0))

    @property
    def pending_notional(self) -> Decimal:
        """The most that pending entries may still cost."""
        return sum((pending.notional for pending in self.pending), Decimal(0))

    def committed(self, symbol: str) -> Decimal:
        """Value held plus notional pending in one symbol."""
        held = abs(self.holdings[symbol].value) if symbol in self.holdings else Decimal(0)
        return held + sum((p.notional for p in self.pending if p.symbol == symbol), Decimal(0))

    @property
    def symbols(self) -> frozenset[str]:
        """Symbols held or pending."""
        return frozenset(self.holdings) | {pending.symbol for pending in self.pending}

    def with_pending(self, pending: Pending) -> "Portfolio":
        """The portfolio after one more entry is on its way."""
        return Portfolio(self.cash, self.holdings, (*self.pending, pending), self.exiting)
