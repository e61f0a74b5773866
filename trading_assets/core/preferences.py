"""The operator's limits: read once from `config/preferences.yaml`, frozen, and pinned by hash.

Every field is enforced by a control of `signatures/controls.py` or by the trading state (`signatures/state.py`); a test fails when
one is not. The bounds written here are ceilings that no file can raise, and nothing but the file is read.
"""

import hashlib
from datetime import time
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from trading_assets.core.strict_yaml import Strict, load_model

Fraction = Annotated[float, Field(gt=0, le=1)]
ClockTime = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]
FIRST_ENTRY, LAST_ENTRY = time(9, 30), time(15, 45)


class Preferences(Strict):
    """Limits per order, position, sector, book and day. Fractions are of equity unless the name says otherwise."""

    position_fraction_max: Annotated[float, Field(gt=0, le=0.25)] = 0.05
    positions_max: Annotated[int, Field(ge=1, le=50)] = 8
    sector_fraction_max: Fraction = 0.25
    gross_exposure_fraction_max: Fraction = 1.0
    net_exposure_fraction_max: Fraction = 0.60
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
    stop_outs_reduce_only: Annotated[int, Field(ge=1, le=20)] = 4
    related_risk_fraction_max: Annotated[float, Field(gt=0, le=0.10)] = 0.01
    short_selling: bool = False
    short_exposure_fraction_max: Annotated[float, Field(ge=0, le=1)] = 0.25
    add_to_losers: bool = False
    collar_fraction_max: Annotated[float, Field(gt=0, le=0.10)] = 0.03
    marketable_fraction_max: Annotated[float, Field(gt=0, le=0.02)] = 0.005
    orders_per_minute_max: Annotated[int, Field(ge=1, le=60)] = 10
    orders_per_day_max: Annotated[int, Field(ge=1, le=1_000)] = 60
    symbol_pause_seconds_min: Annotated[float, Field(ge=10, le=3_600)] = 60.0
    entries_per_symbol_max: Annotated[int, Field(ge=1, le=10)] = 3
    universe_max: Annotated[int, Field(ge=1, le=600)] = 50
    average_volume_min: Annotated[int, Field(ge=10_000)] = 500_000
    margin_fraction_max: Annotated[float, Field(gt=0, le=0.90)] = 0.80
    entries_from: ClockTime = "09:30"
    entries_until: ClockTime = "15:30"
    reopening_minutes_min: Annotated[float, Field(ge=1, le=390)] = 5.0
    quote_age_seconds_max: Annotated[float, Field(gt=0, le=15)] = 5.0
    bar_age_intervals_max: Annotated[float, Field(ge=1, le=5)] = 1.5
    clock_skew_seconds_max: Annotated[float, Field(gt=0, le=5)] = 1.0
    second_price_fraction_max: Annotated[float, Field(gt=0, le=0.05)] = 0.01
    capital_excess_usd_max: Annotated[float, Field(ge=0, le=100_000)] = 10_000.0
    reconciled_seconds_max: Annotated[float, Field(gt=0, le=60)] = 15.0

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.daily_loss_reduce_only_fraction >= self.daily_loss_halt_fraction:
            raise ValueError("daily_loss_reduce_only_fraction must be below daily_loss_halt_fraction")
        if self.stop_distance_fraction_min >= self.stop_distance_fraction_max:
            raise ValueError("stop_distance_fraction_min must be below stop_distance_fraction_max")
        if not FIRST_ENTRY <= self.entries_begin < self.entries_end <= LAST_ENTRY:
            raise ValueError(f"entries_from must be before entries_until, both from {FIRST_ENTRY} to {LAST_ENTRY}")
        return self

    @property
    def entries_begin(self) -> time:
        """From when positions may be opened, New York."""
        return time.fromisoformat(self.entries_from)

    @property
    def entries_end(self) -> time:
        """Until when an opening may be decided on a full day, New York."""
        return time.fromisoformat(self.entries_until)

    @property
    def order_notional_usd(self) -> Decimal:
        """The order limit as money."""
        return Decimal(str(self.order_notional_usd_max))


def load_preferences(path: Path) -> tuple[Preferences, str]:
    """The limits and the sha256 of the file's bytes, which every intent carries."""
    preferences = load_model(path, Preferences)
    return preferences, hashlib.sha256(path.read_bytes()).hexdigest()
