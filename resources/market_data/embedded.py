"""Real bars that arrive with installed packages: the desk runs with no key and no network.

bokeh_sampledata holds daily bars as traded of five symbols from 2000-03-01 to 2013-03-01, mintalib one-minute and hourly bars
of AAPL of 2024 to 2026. The daily bars of mintalib are adjusted by their publisher and are never served.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Final

import polars as pl

from resources.market_data.rows import VALUES, action_rows, daily_rows, intraday_rows, not_empty, within
from trading_assets.core.ports import Span
from trading_assets.market.model import Frequency
from trading_assets.market.ports import EmptyAnswer, MalformedAnswer, UnknownSymbol, UnsupportedRequest

_NAME: Final = "embedded"
_STEP_NOISE = 1e-6
_MARKET_DATE = pl.col("datetime").dt.date()


@dataclass(frozen=True, slots=True)
class Extent:
    """What a package must hold of one series: its rows, its first and its last session."""

    rows: int
    first: date
    last: date


DAILY: Mapping[str, Extent] = MappingProxyType(
    {
        "AAPL": Extent(3270, date(2000, 3, 1), date(2013, 3, 1)),
        "FB": Extent(196, date(2012, 5, 18), date(2013, 3, 1)),
        "GOOG": Extent(2148, date(2004, 8, 19), date(2013, 3, 1)),
        "IBM": Extent(3270, date(2000, 3, 1), date(2013, 3, 1)),
        "MSFT": Extent(3270, date(2000, 3, 1), date(2013, 3, 1)),
    }
)
INTRADAY: Mapping[Frequency, Extent] = MappingProxyType(
    {
        "1h": Extent(3478, date(2024, 8, 6), date(2026, 8, 5)),
        "1m": Extent(1560, date(2026, 7, 31), date(2026, 8, 5)),
    }
)
_INTRADAY_SYMBOL = "AAPL"
_SAMPLES: Mapping[Frequency, str] = MappingProxyType({"1h": "hourly", "1m": "minute"})


class EmbeddedMarketData:
    """The members of the embedded set; each file is read once per process and compared with its known extent."""

    @property
    def name(self) -> str:
        """`embedded`."""
        return _NAME

    def symbols(self) -> tuple[str, ...]:
        """All symbols with daily bars, sorted."""
        return tuple(DAILY)

    def life(self, symbol: str, frequency: Frequency) -> Span:
        """The first and last session of a series; EmptyAnswer when the symbol has none at this frequency."""
        _refuse_unknown(symbol)
        extent = _extent(symbol, frequency)
        return Span(extent.first, extent.last)

    def bars(self, symbol: str, frequency: Frequency, span: Span) -> pl.DataFrame:
        """What exists of the span; EmptyAnswer when it does not touch the symbol's life."""
        life = self.life(symbol, frequency)
        if span.last < life.first or span.first > life.last:
            raise EmptyAnswer(
                f"embedded has no {frequency} bar of {symbol} from {span.first} to {span.last}",
                bound=f"{life.first} to {life.last}",
            )
        rows = _daily_bars(symbol) if frequency == "1d" else _intraday_bars(frequency)
        return not_empty(within(rows, span), provider=_NAME, symbol=symbol, frequency=frequency, span=span)

    def corporate_actions(self, symbol: str, span: Span) -> pl.DataFrame:
        """Splits and cash dividends from 2000-03-02 to 2013-03-01, as `actions_in` derives them."""
        _refuse_unknown(symbol)
        return within(_actions(symbol), span)


def actions_in(prices: pl.DataFrame) -> pl.DataFrame:
    """Splits and cash dividends that the publisher's adjusted close implies: session, kind, ratio, amount.

    The factor adj_close / close is constant but for actions. Its step, factor(t-1) / factor(t), is 1 / ratio on the ex-date of a
    split and close(t) / (close(t) + amount) on that of a dividend: this publisher reinvests at the close of the ex-date.
    A step that is a whole number of new shares per old share (or of old per new) is a split, every other one a dividend.

    Measured over all 12,149 steps of the set: without an action a step differs from 1 by less than 1e-13 (adj_close is not
    rounded: it keeps about twelve decimals), the smallest dividend moves it by 1.1e-3. The border is 1e-6, and every
    amount comes out as declared, to a hundredth of a cent.

    Args:
        prices: Columns session, close and adj_close of one symbol, sorted by session.
    """
    factor = pl.col("adj_close") / pl.col("close")
    growth = factor / factor.shift(1)
    shares = pl.when(growth > 1).then(growth.round()).otherwise(1 / (1 / growth).round())
    is_split = ((growth / shares) - 1).abs() < _STEP_NOISE
    return (
        prices.with_columns(growth=growth, shares=shares, is_split=is_split)
        .filter((pl.col("growth") - 1).abs() > _STEP_NOISE)
        .select(
            "session",
            kind=pl.when("is_split").then(pl.lit("split")).otherwise(pl.lit("cash_dividend")),
            ratio=pl.when("is_split").then("shares").otherwise(1.0),
            amount=pl.when("is_split").then(0.0).otherwise((pl.col("close") * (pl.col("growth") - 1)).round(4)),
        )
    )


def checked(prices: pl.DataFrame, expected: Extent, *, series: str) -> pl.DataFrame:
    """The prices, or MalformedAnswer when rows, first or last session are not those that the package is known for."""
    sessions = prices["session"]
    found = (prices.height, sessions.min(), sessions.max())
    if found != (expected.rows, expected.first, expected.last):
        raise MalformedAnswer(
            f"embedded: the installed package holds other bars of {series}",
            value="{} rows, {} to {}".format(*found),
            bound=f"{expected.rows} rows, {expected.first} to {expected.last}",
            hint="install the versions that the lock file names",
        )
    return prices


def _refuse_unknown(symbol: str) -> None:
    if symbol not in DAILY:
        raise UnknownSymbol(f"embedded does not know {symbol}", bound=", ".join(DAILY))


def _extent(symbol: str, frequency: Frequency) -> Extent:
    if frequency == "1d":
        return DAILY[symbol]
    if frequency not in INTRADAY:
        raise UnsupportedRequest(f"embedded has no {frequency} bars", bound=", ".join(("1d", *INTRADAY)))
    if symbol != _INTRADAY_SYMBOL:
        raise EmptyAnswer(
            f"embedded has no {frequency} bar of {symbol}", bound=f"only {_INTRADAY_SYMBOL} has intraday bars"
        )
    return INTRADAY[frequency]


@cache
def _published() -> pl.DataFrame:
    packed = (files("bokeh_sampledata") / "_data" / "stocks.csv.gz").read_bytes()
    frame = pl.read_csv(packed, try_parse_dates=True)
    return frame.rename({name: name.lower().replace(" ", "_") for name in frame.columns}).rename({"date": "session"})


@cache
def _published_of(symbol: str) -> pl.DataFrame:
    prices = _published().filter(pl.col("ticker") == symbol).sort("session")
    return checked(prices, DAILY[symbol], series=f"{symbol} 1d")


@cache
def _daily_bars(symbol: str) -> pl.DataFrame:
    return daily_rows(_published_of(symbol), symbol=symbol, source=_NAME)


@cache
def _actions(symbol: str) -> pl.DataFrame:
    return action_rows(actions_in(_published_of(symbol)), symbol=symbol, source=_NAME)


@cache
def _intraday_bars(frequency: Frequency) -> pl.DataFrame:
    from mintalib.samples import sample_prices

    expected = INTRADAY[frequency]
    sample = sample_prices(_SAMPLES[frequency], backend="polars").with_columns(session=_MARKET_DATE)
    full = sample.filter(pl.col("session") <= expected.last)
    checked(full, expected, series=f"{_INTRADAY_SYMBOL} {frequency}")
    prices = full.select(pl.col("datetime").dt.convert_time_zone("UTC").alias("start"), *VALUES)
    return intraday_rows(prices, symbol=_INTRADAY_SYMBOL, frequency=frequency, source=_NAME)
