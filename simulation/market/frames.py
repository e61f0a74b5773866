"""Arrays of sessions and cents as rows of the market tables."""

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from simulation.market.daily import Life
from simulation.market.events import Action
from simulation.market.liquidity import Quotes
from simulation.market.minutes import Minutes
from simulation.market.model import NAME
from simulation.market.news import PUBLISHER, Item
from simulation.market.timeline import MINUTE_US, timeline
from trading_assets.core.ids import digest
from trading_assets.core.tables import Table
from trading_assets.market.documents.model import NEWS
from trading_assets.market.model import CORPORATE_ACTIONS, DAILY_BARS, INTRADAY_BARS, QUOTE_BARS

PRICES = ("open", "high", "low", "close")
_INSTANT = pl.Datetime("us", "UTC")


def days(numbers: NDArray[np.int64]) -> pl.Series:
    """The dates of session numbers."""
    return pl.Series(timeline().dates[numbers])


def instants(microseconds: NDArray[np.int64]) -> pl.Series:
    """UTC instants from microseconds since 1970."""
    return pl.Series(microseconds).cast(_INSTANT)


def dollars(cents: NDArray[np.integer]) -> NDArray[np.float64]:
    """Cents as the nearest double of the price in dollars."""
    return cents.astype(np.float64) / 100


def daily_frame(lives: Sequence[tuple[str, Life]], numbers: range) -> pl.DataFrame:
    """Rows of DAILY_BARS of some symbols in some sessions; empty when none of them traded then."""
    wanted = [traded(life, numbers) for _, life in lives]
    places = [which - life.first for which, (_, life) in zip(wanted, lives, strict=True)]
    if not sum(which.size for which in wanted):
        return DAILY_BARS.empty()
    every, line = np.concatenate(wanted), timeline()
    prices = np.concatenate([life.prices[:, at] for at, (_, life) in zip(places, lives, strict=True)], axis=1)
    volume = np.concatenate([life.volume[at] for at, (_, life) in zip(places, lives, strict=True)])
    columns = {
        "symbol": pl.Series([symbol for symbol, _ in lives]).gather(_owners(wanted)),
        "session": days(every),
        "start": instants(line.opens[every]),
        **dict(zip(PRICES, dollars(prices), strict=True)),
        "volume": volume.astype(np.float64),
        "source": same(NAME, every.size),
        "knowable_at": instants(line.closes[every]),
    }
    return shaped(DAILY_BARS, columns)


def _owners(wanted: Sequence[NDArray[np.int64]]) -> pl.Series:
    return pl.Series(np.repeat(np.arange(len(wanted)), [which.size for which in wanted]))


def traded(life: Life, numbers: range) -> NDArray[np.int64]:
    """Those of the session numbers in which the symbol traded."""
    both = np.arange(max(numbers.start, life.numbers.start), min(numbers.stop, life.numbers.stop))
    return both[~life.halted[both - life.first]]


def action_frame(symbol: str, actions: Sequence[Action], numbers: range) -> pl.DataFrame:
    """Rows of CORPORATE_ACTIONS whose ex-date is one of the session numbers."""
    line = timeline()
    taken = [action for action in actions if action.number in numbers]
    places = np.array([action.number for action in taken], dtype=np.int64)
    split = [action.ratio != 1.0 for action in taken]
    rows = {
        "symbol": [symbol] * len(taken),
        "session": days(places),
        "kind": ["split" if is_split else "cash_dividend" for is_split in split],
        "ratio": [action.ratio for action in taken],
        "amount": [action.amount for action in taken],
        "source": [NAME] * len(taken),
        "knowable_at": instants(line.opens[places]),
    }
    return shaped(CORPORATE_ACTIONS, rows)


def intraday_frame(symbol: str, frequency: str, length: int, minutes: Minutes) -> pl.DataFrame:
    """Rows of INTRADAY_BARS from bars of `length` minutes; the last bar of a session ends with it."""
    columns = {
        "symbol": same(symbol, minutes.places.size),
        "frequency": same(frequency, minutes.places.size),
        **_timed(minutes, length),
        **dict(zip(PRICES, dollars(minutes.prices), strict=True)),
        "volume": minutes.volume.astype(np.float64),
    }
    return shaped(INTRADAY_BARS, columns)


def quote_frame(symbol: str, minutes: Minutes, quotes: Quotes) -> pl.DataFrame:
    """Rows of QUOTE_BARS, one for each minute bar."""
    columns = {
        "symbol": same(symbol, minutes.places.size),
        **_timed(minutes, 1),
        "bid": quotes.bid,
        "ask": quotes.ask,
        "bid_depth": quotes.bid_depth,
        "ask_depth": quotes.ask_depth,
    }
    return shaped(QUOTE_BARS, columns)


def news_frame(told: Sequence[tuple[str, Item]]) -> pl.DataFrame:
    """Rows of NEWS from pairs of symbol and item."""
    published = instants(np.array([item.published for _, item in told], dtype=np.int64))
    columns = {
        "symbol": [symbol for symbol, _ in told],
        "session": days(np.array([item.number for _, item in told], dtype=np.int64)),
        "item": [digest(PUBLISHER, "", item.headline, item.published) for _, item in told],
        "headline": [item.headline for _, item in told],
        "summary": [""] * len(told),
        "publisher": [PUBLISHER] * len(told),
        "url": [""] * len(told),
        "source": [NAME] * len(told),
        "published_at": published,
        "fetched_at": published,
        "basis": ["observed"] * len(told),
        "knowable_at": published,
    }
    return shaped(NEWS, columns)


def _timed(minutes: Minutes, length: int) -> dict[str, pl.Series]:
    line = timeline()
    starts = line.opens[minutes.numbers] + minutes.places * MINUTE_US
    return {
        "session": days(minutes.numbers),
        "start": instants(starts),
        "source": same(NAME, starts.size),
        "knowable_at": instants(np.minimum(starts + length * MINUTE_US, line.closes[minutes.numbers])),
    }


def same(word: str, count: int) -> pl.Series:
    """A column that holds one word."""
    return pl.Series([word], dtype=pl.String()).new_from_index(0, count)


def shaped(table: Table, columns: Mapping[str, object]) -> pl.DataFrame:
    """Columns given as lists, arrays or series, in any order, as a conforming frame of the table."""
    schema = dict(table.polars_schema())
    return table.conform(pl.DataFrame({name: columns[name] for name in schema}, schema=schema))
