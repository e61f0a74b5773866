"""What a control says, and what it may look at."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from decimal import ROUND_FLOOR, Decimal

from trading_assets.core.preferences import Preferences
from trading_assets.plans.model import TradePlan
from trading_assets.plans.portfolio import Portfolio
from trading_assets.signatures.state import StateRuling


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the gate knows beside the plan.

    Average volume is in shares per session; a missing sector or volume allows nothing. `related` names for each symbol those whose
    theses share its risk; a symbol shares its own, whether it is named or not. At sending, `portfolio.pending` holds what is on
    its way, the unknown at full size, but not the very order that is judged.
    """

    portfolio: Portfolio
    state: StateRuling
    sectors: Mapping[str, str]
    average_volume: Mapping[str, float]
    preferences: Preferences
    related: Mapping[str, AbstractSet[str]] = field(default_factory=dict)

    def fraction(self, limit: float) -> Decimal:
        """A limit that is given as a fraction of equity, USD."""
        return self.portfolio.equity * Decimal(str(limit))


@dataclass(frozen=True, slots=True)
class Allowance:
    """How many shares a control allows, and its value and bound in words."""

    quantity: int
    value: str
    bound: str


def is_whole(quantity: object) -> bool:
    """Whether it is a whole number of shares, at least one. NaN, infinities, fractions and truth values are not."""
    return type(quantity) is int and quantity >= 1


def is_price(price: Decimal | None) -> bool:
    """Whether it is a finite amount above zero."""
    return price is not None and price.is_finite() and price > 0


def whole_shares(budget: Decimal, per_share: Decimal) -> int:
    """Whole shares that a budget pays; none when the budget is spent or the price is not positive."""
    if not (budget > 0 and per_share > 0):
        return 0
    return int((budget / per_share).to_integral_value(rounding=ROUND_FLOOR))


def all_or_nothing(passes: bool, plan: TradePlan, value: str, bound: str) -> Allowance:
    """For what cannot be had in part."""
    return Allowance(plan.quantity if passes else 0, value, bound)
