"""How many shares: what the limits allow to lose at the stop, alone and together with related positions, and to hold in one symbol.

The desk proposes nothing above these; the risk gate computes its own bounds and may shrink further. Where the weekly desk has
capital, it and the day desk each stay within their share of equity.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal

from trading_assets.core.preferences import Preferences
from trading_assets.plans.model import Candidate
from trading_assets.plans.portfolio import FOREIGN, Holding, Portfolio
from trading_assets.weekly.model import STRATEGY as WEEKLY
from trading_assets.weekly.model import Targets

QUANTITY_MAX = 1_000_000
_NOTHING = Decimal(0)


@dataclass(frozen=True, slots=True)
class Taken:
    """What plans of this slot already ask for, USD: risk at the stop by symbol, and value by strategy."""

    by_symbol: tuple[tuple[str, Decimal], ...] = ()
    by_strategy: tuple[tuple[str, Decimal], ...] = ()

    def plus(self, symbol: str, risk: Decimal, *, strategy: str, value: Decimal) -> "Taken":
        """With one more plan."""
        return Taken((*self.by_symbol, (symbol, risk)), (*self.by_strategy, (strategy, value)))


@dataclass(frozen=True, slots=True)
class Room:
    """Where the sizes come from. `related` names, by symbol, the symbols whose theses share risk with its own.

    `position_fraction` of equity is what a position is wanted to weigh; 1 wants whatever the limits allow. `weekly` is the newest
    weekly portfolio: it says what its own positions are wanted to weigh, and how the two desks share the equity.
    """

    portfolio: Portfolio
    related: Mapping[str, frozenset[str]]
    preferences: Preferences
    position_fraction: float = 1.0
    weekly: Targets | None = None

    def fraction(self, limit: float) -> Decimal:
        """A limit that is given as a fraction of equity, USD; nothing while equity is not positive."""
        return max(_NOTHING, self.portfolio.equity) * Decimal(str(limit))

    def position(self, strategy: str, symbol: str) -> Decimal:
        """What one position may weigh, USD: what is wanted, within the limit; of the weekly desk what its portfolio gives it."""
        wanted = self.position_fraction
        if strategy == WEEKLY:
            wanted = self.weekly.fraction(symbol) if self.weekly else 0.0
        return self.fraction(min(wanted, self.preferences.position_fraction_max))

    def share(self, strategy: str) -> float | None:
        """The share of equity that the strategy's desk may use; None while the weekly desk has no capital and nothing is shared."""
        if self.weekly is None or self.weekly.capital_fraction <= 0:
            return None
        return self.weekly.capital_fraction if strategy == WEEKLY else 1 - self.weekly.capital_fraction

    def share_left(self, strategy: str, taken: Taken) -> Decimal | None:
        """What the strategy's desk may still open, USD; may be negative; None where nothing is shared.

        What is not the desk's and entries on their way count against both: the book does not say whose they are.
        """
        share = self.share(strategy)
        if share is None:
            return None
        others = {FOREIGN} if strategy == WEEKLY else set[str]()
        mine = [
            abs(each.value)
            for each in self.portfolio.holdings.values()
            if (each.strategy == WEEKLY) == (strategy == WEEKLY) or each.strategy in others
        ]
        asked = [value for whose, value in taken.by_strategy if (whose == WEEKLY) == (strategy == WEEKLY)]
        return self.fraction(share) - sum((*mine, *asked), self.portfolio.pending_notional)

    @property
    def free_cash(self) -> Decimal:
        """Cash that nothing lays claim to, USD: entries on their way need theirs, what was sold short its value twice."""
        owed = sum((abs(each.value) for each in self.portfolio.holdings.values() if each.quantity < 0), _NOTHING)
        return self.portfolio.cash - self.portfolio.pending_notional - 2 * owed

    def risk_left(self, symbols: Iterable[str], taken: Taken) -> Decimal:
        """How much more the positions related to the symbols may lose at their stops, USD; may be negative.

        An entry on its way counts with the widest stop that the limits allow.
        """
        group = frozenset[str]().union(*(self.related.get(symbol, frozenset()) | {symbol} for symbol in symbols))
        held = sum((stop_risk(each) for each in self.portfolio.holdings.values() if each.symbol in group), _NOTHING)
        widest = Decimal(str(self.preferences.stop_distance_fraction_max))
        waiting = sum((each.notional * widest for each in self.portfolio.pending if each.symbol in group), _NOTHING)
        asked = sum((risk for symbol, risk in taken.by_symbol if symbol in group), _NOTHING)
        return self.fraction(self.preferences.related_risk_fraction_max) - held - waiting - asked


@dataclass(frozen=True, slots=True)
class Sized:
    """Shares of each leg, or none of any and the sentence why."""

    quantities: tuple[int, ...]
    refusal: str = ""
    for_related: bool = False


def stop_risk(holding: Holding) -> Decimal:
    """What the position still loses from its last value to its stop, USD; all of its value when it has no stop."""
    if holding.stop is None:
        return abs(holding.value)
    return max(_NOTHING, holding.value - holding.stop * holding.quantity)


def sized(legs: Sequence[Candidate], stance_fraction: float, room: Room, taken: Taken) -> Sized:
    """Shares for one idea: a single candidate, or both legs of a pair for the same money and with one trade's risk between them."""
    fraction = Decimal(str(min(leg.size_fraction for leg in legs))) * Decimal(str(stance_fraction))
    alone = _single(legs[0], fraction, room) if len(legs) == 1 else _paired(legs, fraction, room)
    if not all(alone):
        return Sized((0,) * len(legs), f"equity {room.portfolio.equity:,.2f} USD pays no share within the limits")
    strategy = legs[0].strategy
    share, unused = room.share(strategy), room.share_left(strategy, taken)
    if share is not None and unused is not None:
        alone = _affordable(legs, alone, unused)
        if not all(alone):
            words = f"{max(_NOTHING, unused):,.2f} USD are left of the {share:.1%} of equity that its desk may use"
            return Sized((0,) * len(legs), words)
    left = room.risk_left([leg.symbol for leg in legs], taken)
    shared = _within(legs, alone, left)
    if not all(shared):
        bound = room.preferences.related_risk_fraction_max
        words = f"related positions leave {max(_NOTHING, left):,.2f} USD of the {bound:.1%} of equity that they may lose together"
        return Sized((0,) * len(legs), words, for_related=True)
    return Sized(shared)


def risk_per_share(candidate: Candidate) -> Decimal:
    """What a share loses at the stop, USD."""
    return abs(candidate.entry - candidate.stop)


def shares(budget: Decimal, per_share: Decimal) -> int:
    """Whole shares that a budget pays; none when it is spent."""
    if budget <= 0 or per_share <= 0:
        return 0
    return min(QUANTITY_MAX, int((budget / per_share).to_integral_value(rounding=ROUND_FLOOR)))


def _single(leg: Candidate, fraction: Decimal, room: Room) -> tuple[int, ...]:
    limits = room.preferences
    by_risk = room.fraction(limits.risk_per_trade_fraction_max) * fraction
    by_position = room.position(leg.strategy, leg.symbol) * fraction
    return (min(shares(by_risk, risk_per_share(leg)), shares(by_position, leg.entry)),)


def _paired(legs: Sequence[Candidate], fraction: Decimal, room: Room) -> tuple[int, ...]:
    """The same dollars in both legs, to the share below; within what one order may carry, for a shrunk leg unhedges the other."""
    limits = room.preferences
    each_risk = room.fraction(limits.risk_per_trade_fraction_max) * fraction / len(legs)
    value = min(
        room.position(legs[0].strategy, legs[0].symbol) * fraction,
        limits.order_notional_usd,
        *(each_risk * leg.entry / risk_per_share(leg) for leg in legs),
        *(leg.entry * limits.order_quantity_max for leg in legs),
    )
    return tuple(shares(value, leg.entry) for leg in legs)


def _affordable(legs: Sequence[Candidate], quantities: tuple[int, ...], left: Decimal) -> tuple[int, ...]:
    """As many shares as a desk's share of equity still pays, legs in proportion."""
    value = sum((leg.entry * q for leg, q in zip(legs, quantities, strict=True)), _NOTHING)
    if value <= left:
        return quantities
    return tuple(shares(left * q, value) for q in quantities)


def _within(legs: Sequence[Candidate], quantities: tuple[int, ...], left: Decimal) -> tuple[int, ...]:
    """As many shares as the remaining risk allows, legs in proportion."""
    risk = sum((risk_per_share(leg) * q for leg, q in zip(legs, quantities, strict=True)), _NOTHING)
    if risk <= left:
        return quantities
    return tuple(shares(left * q, risk) for q in quantities)
