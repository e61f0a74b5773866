"""The strategies: which views gate them, how long they hold, when they act. No strategy opens a single short position."""

from collections.abc import Mapping, Sequence

from trading_assets.core.slots import Slot
from trading_assets.plans.strategies.intraday import LAST_ENTRIES, vwap_momentum
from trading_assets.plans.strategies.model import Scene, Setup, Strategy
from trading_assets.plans.strategies.swing import (
    mean_reversion,
    momentum_breakout,
    narrative_momentum,
    pullback,
    sector_rotation,
)
from trading_assets.plans.strategies.weekly import HOLDING_SESSIONS_MAX, weekly_portfolio
from trading_assets.weekly.model import STRATEGY as WEEKLY

__all__ = ["STRATEGIES", "Scene", "Setup", "Strategy", "acting", "acts"]

STRATEGIES: Mapping[str, Strategy] = {
    strategy.name: strategy
    for strategy in (
        Strategy("momentum_breakout", ("trending_bull",), 20, momentum_breakout),
        Strategy("mean_reversion", ("range",), 10, mean_reversion),
        Strategy("pullback", ("mild_trend",), 15, pullback),
        Strategy("sector_rotation", ("mixed",), 20, sector_rotation),
        Strategy("vwap_momentum", ("trending_bull", "mild_trend", "mixed"), 1, vwap_momentum, intraday=True),
        Strategy(
            "correlation_convergence",
            ("trending_bull", "range", "mild_trend", "mixed"),
            20,
            None,
            short_views=("trending_bear", "range", "mild_trend", "mixed"),
        ),
        Strategy("narrative_momentum", ("trending_bull", "range", "mild_trend", "mixed"), 10, narrative_momentum),
        Strategy(WEEKLY, ("trending_bull", "range", "mild_trend", "mixed"), HOLDING_SESSIONS_MAX, weekly_portfolio),
    )
}


def acting(slot: Slot, strategies: Sequence[str]) -> tuple[Strategy, ...]:
    """The strategies that may enter in the slot: swing strategies at the open, intraday ones after it and before the last hour."""
    early = slot.at + LAST_ENTRIES < slot.session.close
    chosen = (STRATEGIES[name] for name in sorted(set(strategies)))
    return tuple(each for each in chosen if (early and not slot.is_first if each.intraday else slot.is_first))


def acts(slot: Slot, strategies: Sequence[str]) -> bool:
    """Whether anything may happen in the slot: at the open holdings are judged too, later only entries are sought."""
    return slot.is_first or bool(acting(slot, strategies))
