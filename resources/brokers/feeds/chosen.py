"""The feed and the second prices that `config/execution.yaml` names; each opens what it needs and nothing else."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from resources.brokers.feeds import QuoteFeed
from trading_assets.broker.settings import PaperFeed
from trading_assets.core.ports import Clock, Lake

if TYPE_CHECKING:
    from resources.brokers.second_prices import SecondPrices


def feed_of(
    settings: PaperFeed, *, clock: Clock, lake: Lake, simulated_seed: int, cache: Path, volume_share: float
) -> QuoteFeed:
    """The feed of the paper broker.

    Args:
        settings: `feed` in config/execution.yaml.
        clock: The desk's clock.
        lake: Where stored intraday bars are.
        simulated_seed: Which simulated market.
        cache: Folder for the files of yfinance.
        volume_share: Of a bar's volume that is shown on each side.
    """
    if settings.quotes == "yfinance":
        from resources.brokers.feeds.yahoo import YahooFeed

        return YahooFeed(cache, clock, spread_bp=settings.spread_bp, poll_s=settings.poll_seconds)
    from resources.brokers.feeds.bars import LakeBars, SimulatedBars
    from resources.brokers.feeds.replay import ReplayFeed

    source = LakeBars(lake) if settings.quotes == "lake" else SimulatedBars(simulated_seed)
    return ReplayFeed(source, clock, spread_bp=settings.spread_bp, volume_share=volume_share)


def second_prices_of(name: Literal["lake", "yfinance"], *, lake: Lake, cache: Path) -> "SecondPrices":
    """The second source of prices."""
    from resources.brokers.second_prices import LakeSecondPrices, YahooSecondPrices

    return LakeSecondPrices(lake) if name == "lake" else YahooSecondPrices(cache)
