"""Position scaling: rules over a thesis' confidence and the price, never instead of a stop.

Adding to a loser is off unless `add_to_losers` in preferences.yaml switches it on. An addition carries the holding's own stop, or
the thesis' invalidation where that is nearer, and is no larger than the limits on position, total size and risk leave room for.
What has gained while the confidence fell is trimmed once: a holding that is already below its first size by one trim is left alone.
Legs of a pair are not scaled, for that would unhedge them.
"""

from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal

from trading_assets.briefs.settings import Scaling
from trading_assets.plans.portfolio import Holding
from trading_assets.theses.model import Thesis


@dataclass(frozen=True, slots=True)
class Addition:
    """Shares to add at most, before the limits, and the bracket that protects them: USD."""

    quantity: int
    stop: Decimal
    target: Decimal
    reason: str


@dataclass(frozen=True, slots=True)
class Reduction:
    """Shares to sell; all of them when so few are left that a trim would leave none."""

    quantity: int
    reason: str


def scalable(holding: Holding) -> bool:
    """Whether size may follow confidence: a long position of its own whose first size and price are known."""
    return holding.quantity > 0 and not holding.pair and holding.base_quantity > 0 and holding.entry is not None


def addition(holding: Holding, price: Decimal, thesis: Thesis, scaling: Scaling) -> Addition | None:
    """What the rules would add; None unless the price is down far enough and the thesis still sure."""
    if holding.entry is None or not scalable(holding) or thesis.status != "active" or thesis.direction != "long":
        return None
    down = 1 - price / holding.entry
    if down < Decimal(str(scaling.add_drop_fraction)) or thesis.confidence <= scaling.add_confidence:
        return None
    most = _floor(holding.base_quantity * Decimal(str(scaling.size_multiple_max))) - holding.quantity
    quantity = min(most, _floor(holding.base_quantity * Decimal(str(scaling.add_size_fraction))))
    if quantity < 1:
        return None
    stop = max(thesis.invalidation, holding.stop) if holding.stop is not None else thesis.invalidation
    reason = (
        f"the price is {down:.1%} below the average entry {holding.entry:.2f} "
        f"and the thesis stands at {thesis.confidence:.2f}"
    )
    return Addition(quantity, stop, holding.target or thesis.target, reason)


def reduction(holding: Holding, price: Decimal, thesis: Thesis, scaling: Scaling) -> Reduction | None:
    """What the rules would sell; None unless the price is up far enough and the thesis less sure."""
    if holding.entry is None or not scalable(holding):
        return None
    up = price / holding.entry - 1
    if up < Decimal(str(scaling.trim_gain_fraction)) or thesis.confidence >= scaling.trim_confidence:
        return None
    base, share = holding.base_quantity, Decimal(str(scaling.trim_size_fraction))
    if holding.quantity <= base - _trim(base, share) and base > 1:
        return None
    reason = (
        f"the price is {up:.1%} above the average entry {holding.entry:.2f} "
        f"while the thesis stands at {thesis.confidence:.2f}"
    )
    return Reduction(_trim(holding.quantity, share), reason)


def _trim(quantity: int, share: Decimal) -> int:
    return max(1, _floor(quantity * share))


def _floor(shares: Decimal) -> int:
    return int(shares.to_integral_value(rounding=ROUND_FLOOR))
