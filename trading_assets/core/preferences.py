"""The operator's limits: read once from `config/preferences.yaml`, frozen, and pinned by hash.

Every field is enforced by a control of the risk gate (`signatures/risk_gate.py`) or of the trading state (`signatures/state.py`);
a test fails when one is not. The bounds written here are ceilings that no file can raise.
"""

import hashlib
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from trading_assets.core.strict_yaml import Strict, load_model

Fraction = Annotated[float, Field(gt=0, le=1)]


class Preferences(Strict):
    """Limits per order, position, sector, book and day. Fractions are of equity unless the name says otherwise."""

    position_fraction_max: Annotated[float, Field(gt=0, le=0.25)] = 0.05
    positions_max: Annotated[int, Field(ge=1, le=50)] = 8
    sector_fraction_max: Fraction = 0.25
    gross_exposure_fraction_max: Fraction = 1.0
    order_notional_usd_max: Annotated[float, Field(gt=0, le=1_000_000)] = 10_000.0
    order_quantity_max: Annotated[int, Field(ge=1, le=100_000)] = 500
    order_share_of_volume_max: Annotated[float, Field(gt=0, le=0.10)] = 0.01
    price_usd_min: Annotated[float, Field(ge=1)] = 5.0
    risk_per_trade_fraction_max: Annotated[float, Field(gt=0, le=0.05)] = 0.005
    stop_distance_fraction_min: Annotated[float, Field(gt=0, le=0.05)] = 0.003
    stop_distance_fraction_max: Annotated[float, Field(gt=0, le=0.25)] = 0.05
    reward_to_risk_min: Annotated[float, Field(ge=1, le=10)] = 1.5
    daily_loss_reduce_only_fraction: Annotated[float, Field(gt=0, le=0.10)] = 0.02
    daily_loss_halt_fraction: Annotated[float, Field(gt=0, le=0.10)] = 0.04
    drawdown_halt_fraction: Annotated[float, Field(gt=0, le=0.10)] = 0.08
    related_risk_fraction_max: Annotated[float, Field(gt=0, le=0.10)] = 0.01
    short_selling: bool = False
    short_exposure_fraction_max: Annotated[float, Field(ge=0, le=1)] = 0.25
    add_to_losers: bool = False

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.daily_loss_reduce_only_fraction >= self.daily_loss_halt_fraction:
            raise ValueError("daily_loss_reduce_only_fraction must be below daily_loss_halt_fraction")
        if self.stop_distance_fraction_min >= self.stop_distance_fraction_max:
            raise ValueError("stop_distance_fraction_min must be below stop_distance_fraction_max")
        return self

    @property
    def order_notional_usd(self) -> Decimal:
        """The order limit as money."""
        return Decimal(str(self.order_notional_usd_max))


def load_preferences(path: Path) -> tuple[Preferences, str]:
    """The limits and the sha256 of the file's bytes, which every intent carries."""
    preferences = load_model(path, Preferences)
    return preferences, hashlib.sha256(path.read_bytes()).hexdigest()
