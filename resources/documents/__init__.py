"""Sources of news, filings and macro series behind the ports of the market room's documents."""

from pathlib import Path
from typing import TYPE_CHECKING

from trading_assets.market.documents.ports import FilingSource, MacroSource, NewsSource
from trading_assets.market.documents.settings import Documents

if TYPE_CHECKING:
    from resources.documents.inbox import Inbox


def news_sources(settings: Documents, *, home: Path, seed: int) -> list[NewsSource]:
    """The sources of headlines that the settings name, in their order.

    Args:
        home: DESK_HOME; the inbox and yfinance's own files lie in it.
        seed: Which simulated market.
    """
    return [_news_source(name, settings, home, seed) for name in settings.news.sources]


def filing_sources(settings: Documents, *, home: Path) -> list[FilingSource]:
    """The sources of filings that the settings name, in their order."""
    return [_filing_source(name, settings, home) for name in settings.filings.sources]


def macro_sources(settings: Documents, *, home: Path) -> list[MacroSource]:
    """The sources of macro series that the settings name, in their order."""
    return [_macro_source(name, settings, home) for name in settings.macro.sources]


def inbox_folder(settings: Documents, home: Path) -> Path:
    """Where the operator drops files: as configured, or `inbox` in DESK_HOME."""
    return Path(settings.inbox_folder) if settings.inbox_folder else home / "inbox"


def _inbox(settings: Documents, home: Path) -> "Inbox":
    from resources.documents.inbox import Inbox

    return Inbox(inbox_folder(settings, home), required=settings.inbox_folder is not None)


def _news_source(name: str, settings: Documents, home: Path, seed: int) -> NewsSource:
    if name == "embedded":
        from resources.documents.embedded import EmbeddedNews

        return EmbeddedNews()
    if name == "inbox":
        return _inbox(settings, home)
    if name == "yfinance":
        from resources.documents.yahoo import YahooNews

        return YahooNews(cache=home / "cache")
    if name == "rss":
        from resources.documents.rss import RssNews

        return RssNews(settings.news.feeds)
    from resources.documents.simulated import SimulatedNews

    return SimulatedNews(seed=seed)


def _filing_source(name: str, settings: Documents, home: Path) -> FilingSource:
    if name == "inbox":
        return _inbox(settings, home)
    from resources.documents.edgar import EdgarFilings

    return EdgarFilings(contact=settings.filings.edgar_contact, ciks=settings.filings.edgar_ciks)


def _macro_source(name: str, settings: Documents, home: Path) -> MacroSource:
    if name == "embedded":
        from resources.documents.embedded import EmbeddedMacro

        return EmbeddedMacro()
    if name == "inbox":
        return _inbox(settings, home)
    if name == "fred":
        from resources.documents.fred import FredVintages

        return FredVintages(key_variable=settings.macro.fred_key_variable)
    from resources.documents.fredgraph import FredGraph

    return FredGraph()
