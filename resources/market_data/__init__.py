"""Sources of bars and corporate actions behind the port of the market room."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from trading_assets.core.errors import ConfigurationError
from trading_assets.core.settings import InteractiveBrokersData, Market
from trading_assets.market.ports import MarketData

PROVIDERS = ("embedded", "files", "yfinance", "simulated", "ib")
_KNOW_LATER_SPLITS = ("files", "yfinance")


def sources_of(
    market: Market,
    *,
    provider: str | None = None,
    files_path: str | Path | None = None,
    seed: int | None = None,
    as_of: datetime,
    cache: Path,
) -> MarketData:
    """What the settings ask: `provider` and then its fallbacks; or the one source that is named, without any other.

    Args:
        market: The settings of the market room.
        provider: One of PROVIDERS instead of the chain of the settings.
        files_path: The folder of provider files instead of that of the settings.
        seed: Which simulated market instead of that of the settings.
        as_of: The UTC instant up to which an online provider is asked.
        cache: A folder in which an online provider may keep what it knows about symbols.
    """
    from resources.market_data.chain import ChainedMarketData

    def made(name: str) -> MarketData:
        return provider_named(
            name,
            files_path=files_path or market.files_path,
            as_of=as_of,
            cache=cache,
            seed=market.simulated_seed if seed is None else seed,
            ib=market.ib,
            splits=chain([source for source in market.sources if source in _KNOW_LATER_SPLITS])
            if name == "ib"
            else None,
        )

    def chain(names: Sequence[str]) -> MarketData | None:
        sources = [made(name) for name in names]
        return ChainedMarketData(sources) if len(sources) > 1 else next(iter(sources), None)

    return chain((provider,) if provider else (market.provider, *market.fallbacks)) or made(market.provider)


def provider_named(
    name: str,
    *,
    files_path: str | Path | None,
    as_of: datetime,
    cache: Path,
    seed: int = 7,
    ib: InteractiveBrokersData | None = None,
    splits: MarketData | None = None,
) -> MarketData:
    """The provider that the settings call `name`.

    Args:
        name: One of PROVIDERS.
        files_path: The folder of provider files; the others ignore it.
        as_of: The UTC instant up to which an online provider is asked, and whose unfinished bars are dropped.
        cache: A folder in which an online provider may keep what it knows about symbols.
        seed: Which simulated market.
        ib: Where TWS or the Gateway listens; its defaults when None.
        splits: Who knows the splits by which Interactive Brokers has adjusted its prices; None when nobody does.
    """
    if name == "embedded":
        from resources.market_data.embedded import EmbeddedMarketData

        return EmbeddedMarketData()
    if name == "files":
        return _files(files_path)
    if name == "yfinance":
        from resources.market_data.yahoo import YahooMarketData

        return YahooMarketData(as_of=as_of, cache=cache)
    if name == "simulated":
        from resources.market_data.simulated import SimulatedMarketData

        return SimulatedMarketData(seed)
    if name == "ib":
        from resources.market_data.interactive_brokers import InteractiveBrokersMarketData

        return InteractiveBrokersMarketData(ib or InteractiveBrokersData(), as_of=as_of, splits=splits)
    raise ConfigurationError("no such provider of market data", value=name, bound=", ".join(PROVIDERS))


def _files(files_path: str | Path | None) -> MarketData:
    from resources.market_data.files import FileMarketData

    if files_path is None:
        raise ConfigurationError("provider files needs the folder that holds daily/ and intraday/", hint="--path DIR")
    return FileMarketData(Path(files_path))
