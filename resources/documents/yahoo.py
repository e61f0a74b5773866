"""Yahoo's headlines through yfinance: one question per symbol, asked again with growing pauses.

Yahoo answers with the newest items only, so a backfill finds what is still listed. An unknown symbol has no headlines; Yahoo does
not say that it is unknown.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from resources.documents.stamps import published
from resources.market_data.yahoo_wire import Patience, _configured
from trading_assets.core.errors import DeskError
from trading_assets.market.documents.ports import (
    Delivers,
    Delivery,
    MalformedSource,
    NewsDraft,
    RefusedItem,
    SourceUnavailable,
    Window,
)

NAME: Final = "yfinance"
_ITEMS_ASKED = 50


class YahooNews:
    """The newest headlines of each symbol.

    Args:
        cache: Folder where yfinance keeps time zones and cookies; made when it does not exist.
        session: A curl_cffi session, or None for the one that yfinance makes.
        sleep: Waits for some seconds between attempts.
        patience: Attempts and pauses; the time-out of one request is yfinance's own, 30 s.
    """

    def __init__(
        self,
        *,
        cache: Path,
        session: Any = None,
        sleep: Callable[[float], None] = time.sleep,
        patience: Patience | None = None,
    ) -> None:
        cache.mkdir(parents=True, exist_ok=True)
        self._cache, self._session, self._sleep = cache, session, sleep
        self._patience = patience or Patience()

    @property
    def name(self) -> str:
        """`yfinance`."""
        return NAME

    @property
    def delivers(self) -> Delivers:
        """Yahoo lists what is new."""
        return "live"

    def news(self, symbols: Sequence[str], window: Window) -> Delivery[NewsDraft]:  # noqa: ARG002 - Yahoo knows only now
        """What Yahoo lists for each symbol now."""
        items: list[NewsDraft] = []
        problems: list[DeskError] = []
        for symbol in symbols:
            try:
                stream = self._patiently(symbol)
            except DeskError as failed:
                problems.append(failed)
                continue
            for article in stream:
                draft = _draft(article, symbol)
                if isinstance(draft, NewsDraft):
                    items.append(draft)
                else:
                    problems.append(draft)
        return Delivery(items, problems)

    def _patiently(self, symbol: str) -> Sequence[Any]:
        for attempt in range(1, self._patience.attempts):
            try:
                return self._asked(symbol)
            except SourceUnavailable:
                self._sleep(self._patience.pause_after(attempt, symbol))
        return self._asked(symbol)

    def _asked(self, symbol: str) -> Sequence[Any]:
        yfinance = _configured(self._cache)
        try:
            stream: Sequence[Any] = yfinance.Ticker(symbol, session=self._session).get_news(count=_ITEMS_ASKED)
        except Exception as raised:
            failure = _in_our_words(raised, symbol)
            if failure is None:
                raise
            raise failure from raised
        return stream


def _in_our_words(raised: Exception, symbol: str) -> DeskError | None:
    """The failure as the port names it; None when it is not known to come from Yahoo."""
    from curl_cffi.requests.exceptions import RequestException
    from yfinance import exceptions

    if isinstance(raised, exceptions.YFRateLimitError):
        return SourceUnavailable(f"{NAME} limits the rate of news", value=symbol, hint="the next run asks again")
    if isinstance(raised, json.JSONDecodeError):
        return SourceUnavailable(f"{NAME} answered something that is no JSON about news", value=symbol)
    if isinstance(raised, RequestException | exceptions.YFException | OSError):
        return SourceUnavailable(f"{NAME} failed to deliver news: {raised}", value=symbol)
    if isinstance(raised, LookupError | TypeError | AttributeError | ValueError):
        return MalformedSource(f"{NAME} answered JSON that holds no news of {symbol}", value=repr(raised))
    return None


def _draft(article: Any, symbol: str) -> NewsDraft | RefusedItem:
    """An article in the form of 2024 and later (`content`) or the form before it (`providerPublishTime`)."""
    try:
        content: Mapping[str, Any] = article.get("content") or article
        when = published(content.get("pubDate") or content.get("displayTime") or content.get("providerPublishTime"))
        if when is None:
            return RefusedItem(
                f"{NAME}: an item of {symbol} has no readable time", value=str(content.get("title"))[:80]
            )
        return NewsDraft(
            symbol=symbol,
            headline=str(content.get("title") or ""),
            summary=str(content.get("summary") or content.get("description") or ""),
            publisher=str(_inner(content, "provider", "displayName") or content.get("publisher") or ""),
            url=str(_inner(content, "canonicalUrl", "url") or content.get("link") or ""),
            published=when,
        )
    except (AttributeError, TypeError) as other:
        return RefusedItem(f"{NAME}: an item of {symbol} has an unknown shape", value=repr(other))


def _inner(content: Mapping[str, Any], outer: str, name: str) -> Any:
    return (content.get(outer) or {}).get(name)
