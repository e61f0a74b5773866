"""Daily bars as matrices, one row for each exchange session and one column for each symbol.

A session without a bar is a row with NaN, so that "the session before" is always the row above.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl

from trading_assets.core.calendar import XNYS
from trading_assets.features.epochs import usable_bars
from trading_assets.features.norms import Places
from trading_assets.features.windows import Floats

_VALUES = ("high", "low", "close", "volume")


@dataclass(frozen=True)
class Grid:
    """Sessions by symbols. Prices in USD and volume in shares, as traded; NaN where there is no usable bar.

    Args:
        days: The sessions of the rows, without a hole.
        symbols: The symbols of the columns, in the order of the alphabet.
        ratio: New shares per old share from the row's session on; 1 without a split.
        rows: The usable bars that the grid holds, sorted by symbol and session.
        at: Row and column of each of them.
    """

    days: Sequence[date]
    symbols: Sequence[str]
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    ratio: Floats
    rows: pl.DataFrame
    at: tuple[Places, Places]

    @property
    def dollars(self) -> Floats:
        """Close times volume, USD; a split changes neither."""
        return self.close * self.volume


def grid_of(bars: pl.DataFrame, actions: pl.DataFrame, *, first: date, last: date) -> Grid:
    """The usable DAILY_BARS and the splits of CORPORATE_ACTIONS from session `first` to `last`; NotASession for other days."""
    rows = usable_bars(bars, last=last).filter(pl.col("session") >= first)
    days, symbols = pl.Series(sessions_between(first, last), dtype=pl.Date()), rows["symbol"].unique().sort()
    for day in rows.filter(~pl.col("session").is_in(days.implode()))["session"].head(1):
        XNYS.session(day)
    at = _places(rows, days, symbols)
    shape = (days.len(), symbols.len())
    values = {name: np.full(shape, np.nan) for name in _VALUES}
    for name, matrix in values.items():
        matrix[at] = rows[name].to_numpy()
    return Grid(days.to_list(), symbols.to_list(), **values, ratio=_ratios(actions, days, symbols), rows=rows, at=at)


def sessions_between(first: date, last: date) -> Sequence[date]:
    """The days of the exchange's sessions from `first` to `last`, ascending."""
    return XNYS.days[bisect_left(XNYS.days, first) : bisect_right(XNYS.days, last)]


def sessions_before(first: date, count: int) -> date:
    """The session `count` sessions before `first`, or the calendar's first."""
    return XNYS.days[max(bisect_left(XNYS.days, first) - count, 0)]


def _ratios(actions: pl.DataFrame, days: pl.Series, symbols: pl.Series) -> Floats:
    ratios = np.ones((days.len(), symbols.len()))
    known = pl.col("session").is_in(days.implode()) & pl.col("symbol").is_in(symbols.implode())
    splits = actions.filter((pl.col("kind") == "split") & known)
    ratios[_places(splits, days, symbols)] = splits["ratio"].to_numpy()
    return ratios


def _places(rows: pl.DataFrame, days: pl.Series, symbols: pl.Series) -> tuple[Places, Places]:
    return days.search_sorted(rows["session"]).to_numpy(), symbols.search_sorted(rows["symbol"]).to_numpy()
