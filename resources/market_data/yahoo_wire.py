"""One question to Yahoo through yfinance: asked again with growing pauses, every failure in the words of the port.

`Ticker.history` is used and never `yfinance.download`, which swallows rate limits. yfinance keeps answers of past dates in
memory for as long as the process lives, broken ones too: its memory is emptied before every request.
"""

import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from http import HTTPStatus
from pathlib import Path
from threading import Lock
from typing import Any, Final

import polars as pl

from trading_assets.core.errors import DeskError
from trading_assets.core.ids import digest
from trading_assets.market.model import Frequency
from trading_assets.market.ports import (
    EmptyAnswer,
    MalformedAnswer,
    ProviderUnavailable,
    UnknownSymbol,
    UnsupportedRequest,
)

NAME: Final = "yfinance"
_CONFIGURING: Final = Lock()
_COLUMNS: Final = {
    "Open": "open",
    "High": "high",
    "Low": "low",
    "Close": "close",
    "Volume": "volume",
    "Dividends": "dividend",
    "Stock Splits": "split",
}


@dataclass(frozen=True, slots=True)
class Patience:
    """How often to ask, how long to wait for an answer, and how to pause between attempts.

    The pause before attempt n+1 is `pause_s` × 2^(n-1), at most `pause_s_max`, times a factor between 0.5 and 1.5 that
    depends on symbol and attempt only: symbols do not knock together, and a run can be repeated.
    """

    attempts: int = 5
    timeout_s: float = 20.0
    pause_s: float = 1.0
    pause_s_max: float = 60.0

    def pause_after(self, attempt: int, symbol: str) -> float:
        """Seconds to wait after the failed attempt number `attempt`, counted from 1."""
        jitter = 0.5 + int(digest(symbol, attempt)[:8], 16) / 0x1_0000_0000
        return float(min(self.pause_s * 2 ** (attempt - 1), self.pause_s_max) * jitter)


@dataclass(frozen=True, slots=True)
class YahooWire:
    """Asks for the bars and events of one symbol.

    Args:
        cache: Folder where yfinance keeps time zones and cookies.
        sleep: Waits for some seconds.
        patience: Attempts and pauses.
        session: A curl_cffi session, or None for the one that yfinance makes.
    """

    cache: Path
    sleep: Callable[[float], None]
    patience: Patience
    session: Any = None

    def history(self, symbol: str, frequency: Frequency, first: date, end: date) -> pl.DataFrame:
        """Columns at (UTC start), open, high, low, close, volume, dividend and split, from day `first` to before day `end`.

        Prices and volumes are those of Yahoo: in the share count of the newest split that Yahoo knows.
        """
        for attempt in range(1, self.patience.attempts):
            try:
                return self._asked(symbol, frequency, first, end)
            except ProviderUnavailable:
                self.sleep(self.patience.pause_after(attempt, symbol))
        try:
            return self._asked(symbol, frequency, first, end)
        except ProviderUnavailable as last:
            raise ProviderUnavailable(
                f"{last.what} (symbol {symbol})",
                value=f"{self.patience.attempts} attempts",
                hint="ask again later, or for fewer symbols",
            ) from last

    def _asked(self, symbol: str, frequency: Frequency, first: date, end: date) -> pl.DataFrame:
        _forget_answers()
        try:
            answer = self._ticker(symbol).history(
                start=first.isoformat(),
                end=end.isoformat(),
                interval=frequency,
                auto_adjust=False,
                actions=True,
                timeout=self.patience.timeout_s,
            )
            return _plain(answer, symbol)
        except Exception as raised:
            failure = _in_our_words(raised, symbol, frequency)
            if failure is None:
                raise
            raise failure from raised

    def _ticker(self, symbol: str) -> Any:
        yfinance = _configured(self.cache)
        return yfinance.Ticker(symbol, session=self.session)


def _configured(cache: Path) -> Any:
    with _CONFIGURING:
        return _configured_once(cache)


@lru_cache(maxsize=1)
def _configured_once(cache: Path) -> Any:
    """The library with its files in `cache`; moving them closes its data base under other threads, so once per place."""
    import yfinance

    warnings.filterwarnings("ignore", category=DeprecationWarning, module="yfinance")
    yfinance.set_tz_cache_location(str(cache))
    yfinance.config.debug.hide_exceptions = False
    return yfinance


def _forget_answers() -> None:
    from yfinance.data import YfData

    YfData.cache_get.cache_clear()


def _in_our_words(raised: Exception, symbol: str, frequency: Frequency) -> DeskError | None:
    """The failure as the port names it; None when it is not known to come from Yahoo."""
    from curl_cffi.requests.exceptions import HTTPError, RequestException
    from yfinance import exceptions

    if isinstance(raised, DeskError):
        return raised
    if isinstance(raised, exceptions.YFRateLimitError):
        return ProviderUnavailable(f"{NAME} limits the rate", value=symbol)
    if isinstance(raised, exceptions.YFTzMissingError) or (isinstance(raised, HTTPError) and _is_not_found(raised)):
        return UnknownSymbol(f"{NAME} does not know {symbol}")
    if isinstance(raised, exceptions.YFPricesMissingError):
        return _without_prices(raised.yahoo_reason or "", symbol, frequency)
    if isinstance(raised, json.JSONDecodeError):
        return ProviderUnavailable(f"{NAME} answered something that is no JSON", value=symbol)
    if isinstance(raised, RequestException | exceptions.YFException | OSError):
        return ProviderUnavailable(f"{NAME} failed: {raised}", value=symbol)
    if isinstance(raised, LookupError | TypeError | AttributeError):
        return MalformedAnswer(f"{NAME} answered JSON that holds no bars of {symbol}: {raised!r}")
    return None


def _is_not_found(raised: Any) -> bool:
    return getattr(raised.response, "status_code", None) == HTTPStatus.NOT_FOUND


def _without_prices(reason: str, symbol: str, frequency: Frequency) -> DeskError:
    if "not available" in reason:
        return UnsupportedRequest(f"{NAME} refuses {frequency} bars of {symbol}: {reason}")
    if "No data found" in reason:
        return UnknownSymbol(f"{NAME} does not know {symbol}: {reason}")
    return EmptyAnswer(f"{NAME} has no {frequency} bar of {symbol}", value=reason or None)


def _plain(answer: Any, symbol: str) -> pl.DataFrame:
    if answer.index.has_duplicates:
        twice = answer.index[answer.index.duplicated()][0]
        raise MalformedAnswer(f"{NAME} delivered a bar of {symbol} twice", value=twice)
    times = answer.index.tz_convert("UTC").tz_localize(None).to_numpy().astype("datetime64[us]")
    columns = {name: answer[theirs].to_numpy(dtype=float) for theirs, name in _COLUMNS.items()}
    return pl.DataFrame({"at": times, **columns}).with_columns(pl.col("at").dt.replace_time_zone("UTC"))
