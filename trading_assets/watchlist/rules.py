"""How the watch-list is made (`config/watchlist.yaml`): a wrong or unknown key stops it at start."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from trading_assets.core.strict_yaml import Strict, load_model
from trading_assets.regimes.model import StrategyView

Positive = Annotated[float, Field(gt=0)]
Weight = Annotated[float, Field(ge=0)]
FILE = "watchlist.yaml"


class PriceMin(Strict):
    """The close is at least so many USD."""

    rule: Literal["price_min"]
    usd: Positive


class DollarVolumeMin(Strict):
    """The 20-session mean volume times the close is at least so many USD."""

    rule: Literal["dollar_volume_min"]
    usd: Positive


class VolatilityMax(Strict):
    """The annualised 20-session volatility is at most this fraction."""

    rule: Literal["volatility_max"]
    fraction: Positive


class ViewsAllowed(Strict):
    """The regime's view of the symbol is one of these; a symbol without a label is refused."""

    rule: Literal["views_allowed"]
    views: Annotated[tuple[StrategyView, ...], Field(min_length=1)]


Rule = Annotated[PriceMin | DollarVolumeMin | VolatilityMax | ViewsAllowed, Field(discriminator="rule")]


class Score(Strict):
    """Weights of the ranks that make the score."""

    momentum: Weight
    trend: Weight
    calm: Weight

    @model_validator(mode="after")
    def _some_weight(self) -> Self:
        if self.momentum + self.trend + self.calm <= 0:
            raise ValueError("at least one weight must be above 0")
        return self


class Levels(Strict):
    """Stop and target around the reference: stop_atr x ATR below, reward_to_risk times as far above."""

    stop_atr: Annotated[float, Field(gt=0, le=20)]
    reward_to_risk: Annotated[float, Field(gt=0, le=20)]


class Filter(Strict):
    """What both methods must show. Costs are for entry and exit together, in basis points of the reference."""

    p_target_min: Annotated[float, Field(ge=0, le=1)]
    cost_bp: Annotated[float, Field(ge=0, le=1000)]


class WatchlistRules(Strict):
    """Everything in `config/watchlist.yaml`."""

    seed: Annotated[int, Field(ge=0, lt=2**63)]
    paths: Annotated[int, Field(ge=100, le=1_000_000)]
    horizon_sessions: Annotated[int, Field(ge=1, le=252)]
    window_sessions: Annotated[int, Field(ge=20, le=2520)]
    window_missing_max: Annotated[int, Field(ge=0)]
    block_sessions: Annotated[float, Field(ge=1, le=252)]
    candidates: Annotated[int, Field(ge=1, le=10_000)]
    screen: tuple[Rule, ...]
    score: Score
    levels: Levels
    filter: Filter

    @model_validator(mode="after")
    def _enough_returns(self) -> Self:
        if self.returns_min < 10:
            raise ValueError("window_missing_max leaves fewer than 10 returns of window_sessions")
        return self

    @property
    def returns_min(self) -> int:
        """Returns that a window must hold."""
        return self.window_sessions - self.window_missing_max


def load_rules(folder: Path) -> WatchlistRules:
    """The rules in a configuration folder; ConfigurationError names file, key, value and bound."""
    return load_model(folder / FILE, WatchlistRules)
