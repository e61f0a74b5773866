"""How an order is placed, by how easily its symbol could be traded: the style moves the entry, and stop and target with it.

| liquidity regime | long entry | short entry | size |
|---|---|---|---|
| normal, buyer_dominated | the strategy's cap above the last price | the cap below it | whole |
| seller_dominated | bid plus a tick | the cap below it | whole |
| stressed, unknown | the last price or below | the last price or above | half |

There is no live bid: the last price minus half of the mean quoted spread stands in for it, and where no spread is known the order
is placed as in stress. A regime that is unknown for want of history of daily bars (its first half-year) counts as normal, for
nothing was measured that speaks against trading; unknown from quotes, and no row at all, count as stressed.
"""

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from trading_assets.briefs.facts import Facts, Row, numbers
from trading_assets.core.money import TICK_USD, to_tick
from trading_assets.core.slots import Slot
from trading_assets.plans.model import OrderStyle, PlanSide
from trading_assets.plans.strategies.intraday import fresh_bar
from trading_assets.plans.strategies.model import REWARD_TO_RISK_MIN, Setup, ordered, reward_to_risk

STRESSED_SIZE = 0.5
_BASIS_POINT = Decimal("0.0001")


@dataclass(frozen=True, slots=True)
class Liquidity:
    """What the style is chosen by: the regime after the rules above, the quoted spread if one is known, and the words for both."""

    regime: str
    spread_bp: float | None
    told: str

    @property
    def size_fraction(self) -> float:
        """Share of the usual size."""
        return STRESSED_SIZE if self.regime == "stressed" else 1.0

    def words(self, style: OrderStyle) -> str:
        """Why the order is placed so."""
        return f"{self.told}: {style.replace('_', ' ')}"


@dataclass(frozen=True, slots=True)
class Styled:
    """A setup as it will be ordered; USD, to the tick."""

    style: OrderStyle
    entry: Decimal
    stop: Decimal
    target: Decimal
    size_fraction: float
    reason: str


def liquidity_of(symbol: str, facts: Facts, slot: Slot) -> Liquidity:
    """The symbol's liquidity as a decision in the slot may judge it; the newest spread of the session counts before the day's."""
    row = facts.liquidity.get(symbol)
    bar = fresh_bar(facts.intraday.get(symbol), slot)
    spread = next((s for s in map(_spread, (bar, row)) if s is not None), None)
    if row is None:
        return Liquidity("stressed", spread, "liquidity of the last session is not known")
    regime, basis = str(row.get("regime")), str(row.get("basis"))
    told = f"liquidity is {regime} ({row.get('evidence')})"
    if regime == "unknown" and basis == "daily_bars":
        return Liquidity("normal", spread, told)
    if regime not in {"normal", "buyer_dominated", "seller_dominated"}:
        return Liquidity("stressed", spread, told)
    if regime == "seller_dominated" and spread is None:
        return Liquidity("stressed", None, f"{told} and no spread is known")
    return Liquidity(regime, spread, told)


def calmer(one: Liquidity, other: Liquidity) -> Liquidity:
    """The regime of two legs that must trade together: stress in either is stress in both."""
    return other if other.regime == "stressed" and one.regime != "stressed" else one


def styled(setup: Setup, side: PlanSide, liquidity: Liquidity) -> Styled | None:
    """The setup in the style of its liquidity; None where it no longer wins 1.5 times what it risks.

    Stop and target keep their distance from the entry.
    """
    style, entry = placed(setup.reference, setup.entry, side, liquidity)
    moved = entry - setup.entry
    stop, target = setup.stop + moved, setup.target + moved
    if not ordered(side, entry, stop, target) or reward_to_risk(entry, stop, target) < REWARD_TO_RISK_MIN:
        return None
    return Styled(style, entry, stop, target, liquidity.size_fraction, liquidity.words(style))


def placed(reference: Decimal, worst: Decimal, side: PlanSide, liquidity: Liquidity) -> tuple[OrderStyle, Decimal]:
    """Style and limit of an entry, never worse than `worst`; USD, to the tick."""
    if liquidity.regime == "stressed":
        rounding = ROUND_FLOOR if side == "long" else ROUND_CEILING
        return "passive_limit", to_tick(reference.quantize(TICK_USD, rounding=rounding))
    if liquidity.regime == "seller_dominated" and side == "long" and liquidity.spread_bp is not None:
        half = reference * Decimal(str(liquidity.spread_bp)) * _BASIS_POINT / 2
        return "bid_plus_tick", min(worst, to_tick(reference - half) + TICK_USD)
    return "capped_limit", worst


def _spread(row: Row | None) -> float | None:
    """The mean quoted spread in basis points, if the row has one that can be."""
    found = numbers(row, "spread_bp") if row is not None else None
    return found["spread_bp"] if found is not None and found["spread_bp"] >= 0 else None
