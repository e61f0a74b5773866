"""Sources of bars and corporate actions behind the port of the market room."""

from datetime import datetime
from pathlib import Path

from trading_assets.core.errors import ConfigurationError
from trading_assets.market.ports import MarketData

PROVIDERS = ("embedded", "files", "yfinance")


def provider_named(name: str, *, files_path: str | Path | None, as_of: datetime, cache: Path) -> MarketData:
    """The provider that the settings call `name`.

    Args:
        name: One of PROVIDERS.
        files_path: The folder of provider files; the others ignore it.
        as_of: The UTC instant up to which an online provider is asked, and whose unfinished bars are dropped.
        cache: A folder in which an online provider may keep what it knows about symbols.
    """
    if name == "embedded":
        from resources.market_data.embedded import EmbeddedMarketData

        return EmbeddedMarketData()
    if name == "files":
        from resources.market_data.files import FileMarketData

        if files_path is None:
            raise ConfigurationError(
                "provider files needs the folder that holds daily/ and intraday/", hint="--path DIR"
            )
        return FileMarketData(Path(files_path))
    if name == "yfinance":
        from resources.market_data.yahoo import YahooMarketData

        return YahooMarketData(as_of=as_of, cache=cache)
    raise ConfigurationError("no such provider of market data", value=name, bound=", ".join(PROVIDERS))
