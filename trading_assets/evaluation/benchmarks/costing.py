"""The paper broker's costs over arrays, to the cent what `execution.matching` charges for one fill."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Self

import numpy as np

from trading_assets.core.errors import ConfigurationError
from trading_assets.evaluation.benchmarks.prices import Ints
from trading_assets.execution.model import Costs

_FINE = 10**8  # parts of a dollar, and of one, that costs are counted in
_FINE_PER_CENT = _FINE // 100
_SHARE = 10**6  # a share of a value in cents times this is in parts of a dollar
_BASIS_POINTS = 10_000


@dataclass(frozen=True, slots=True)
class Charges:
    """Costs as whole numbers."""

    per_share: int
    least: int
    most_share: int
    slippage: int
    volume_share: Decimal

    @classmethod
    def of(cls, costs: Costs) -> Self:
        """Raises ConfigurationError for costs with more decimal places than are counted."""
        return cls(
            per_share=_whole(costs.fee_per_share, _FINE),
            least=_whole(costs.fee_min, _FINE),
            most_share=_whole(costs.fee_fraction_max, _SHARE),
            slippage=_whole(costs.slippage_bp, _FINE // _BASIS_POINTS),
            volume_share=costs.volume_share_max,
        )

    def fee_cents(self, price_cents: Ints, quantity: Ints) -> Ints:
        """The fee of each fill; nothing for no share."""
        uncapped = np.maximum(self.least, self.per_share * quantity)
        capped = np.minimum(uncapped, self.most_share * price_cents * quantity)
        return _ceiling(capped, _FINE_PER_CENT)

    def bought_at(self, price_cents: Ints) -> Ints:
        """What a market purchase pays."""
        return _ceiling(price_cents * (_FINE + self.slippage), _FINE)

    def sold_at(self, price_cents: Ints) -> Ints:
        """What a market sale brings; never below a cent."""
        sold: Ints = np.maximum(1, price_cents * (_FINE - self.slippage) // _FINE)
        return sold

    def room(self, volume: Ints) -> Ints:
        """Shares of each bar that orders may take."""
        share = _whole(self.volume_share, _SHARE)
        taken: Ints = volume * share // _SHARE
        return taken


def _ceiling(amount: Ints, unit: int) -> Ints:
    up: Ints = -(-amount // unit)
    return up


def _whole(amount: Decimal, unit: int) -> int:
    scaled = amount * unit
    if scaled != scaled.to_integral_value():
        raise ConfigurationError("a cost of the paper broker has too many decimal places", value=amount, bound=1 / unit)
    return int(scaled)
