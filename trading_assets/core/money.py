"""Money and quantities where they are booked: exact, never float.

USD amounts are `Decimal` with four places (a hundredth of a cent): prices trade in cents, fees and dividends per share need more.
"""

from decimal import ROUND_HALF_EVEN, Decimal

from trading_assets.core.errors import PermanentFailure

PLACES = 4
TICK_USD = Decimal("0.01")
_QUANTUM = Decimal(1).scaleb(-PLACES)


def usd(amount: Decimal | float | int | str) -> Decimal:
    """`amount` as booked USD, rounded half-even to four places; NaN and infinities are refused."""
    return _exact(amount).quantize(_QUANTUM, rounding=ROUND_HALF_EVEN)


def to_tick(price_usd: Decimal | float) -> Decimal:
    """The price rounded half-even to a cent, as orders carry it; rounded once, so never by more than half a cent."""
    return usd(_exact(price_usd).quantize(TICK_USD, rounding=ROUND_HALF_EVEN))


def share_ratio(ratio: float) -> Decimal:
    """A split ratio (new shares per old share) as an exact decimal with enough places for 3:2 or 1:30."""
    return Decimal(str(ratio))


def _exact(amount: Decimal | float | int | str) -> Decimal:
    exact = amount if isinstance(amount, Decimal) else Decimal(str(amount))
    if not exact.is_finite():
        raise PermanentFailure("an amount of money must be finite", value=amount)
    return exact
