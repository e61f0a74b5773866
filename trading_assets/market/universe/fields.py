"""What filters look at, computed from bars, splits and reference facts as they were knowable at a session's close.

Each value is made from its own window of bars in a fixed order, so that one session and a backfill agree to the last bit, and
splits are taken into account up to the session only. A window may not reach further back than `LOOK_BACK_SESSIONS` exchange
sessions: a security that stopped trading for months has no value until its window is full again.
"""

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trading_assets.core.calendar import Calendar
from trading_assets.market.universe.model import NumberField

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LOOK_BACK_SESSIONS = 300
REFERENCE_SESSIONS_MAX = 252
_MEAN_WINDOW = 20
_YEAR = 252
_MONTH = 21
_SESSIONS_PER_YEAR = 252.0


@dataclass(frozen=True)
class Series:
    """The sound bars of one symbol, oldest first, and the splits between them.

    Args:
        places: Number of each bar's session in the calendar.
        closes: USD as traded.
        volumes: Shares as traded.
        splits: Row of the first bar in the new share count, and new shares per old share; by ex-date.
    """

    places: Ints
    closes: Floats
    volumes: Floats
    splits: tuple[tuple[int, float], ...]

    def shares(self, older: Ints, newer: Ints) -> Floats:
        """Shares at row `newer` that one share of row `older` became."""
        grown = np.ones(older.shape)
        for row, ratio in self.splits:
            grown = np.where((older < row) & (row <= newer), grown * ratio, grown)
        return grown


def price(series: Series, rows: Ints) -> Floats:
    """Close as traded, USD."""
    return series.closes[rows]


def average_volume(series: Series, rows: Ints) -> Floats:
    """Mean volume of 20 bars in the share count of the last one, shares."""
    return _mean(series, rows, lambda back: series.volumes[back] * series.shares(back, rows))


def dollar_volume(series: Series, rows: Ints) -> Floats:
    """Mean of close times volume over 20 bars, USD."""
    return _mean(series, rows, lambda back: series.closes[back] * series.volumes[back])


def momentum_12_1(series: Series, rows: Ints) -> Floats:
    """Close 21 bars ago over close 252 bars ago, less 1, splits taken into account; needs 253 bars."""
    newer, older = np.maximum(rows - _MONTH, 0), np.maximum(rows - _YEAR, 0)
    ratio = series.closes[newer] * series.shares(older, newer) / series.closes[older]
    return _where_full(series, rows, _YEAR, ratio - 1.0)


def volatility_20(series: Series, rows: Ints) -> Floats:
    """Sample deviation of 20 log returns times the root of 252, splits taken into account; needs 21 bars."""
    returns = [_log_return(series, rows, back) for back in range(_MEAN_WINDOW)]
    mean = _total(returns) / _MEAN_WINDOW
    variance = _total([(value - mean) ** 2 for value in returns]) / (_MEAN_WINDOW - 1)
    return _where_full(series, rows, _MEAN_WINDOW, np.sqrt(variance * _SESSIONS_PER_YEAR))


BAR_FIELDS: Mapping[NumberField, Callable[[Series, Ints], Floats]] = {
    "price": price,
    "average_volume": average_volume,
    "dollar_volume": dollar_volume,
    "momentum_12_1": momentum_12_1,
    "volatility_20": volatility_20,
}


class Panel:
    """Fields of all symbols at some sessions; a value that is not known is absent, never NaN.

    Args:
        bars: Rows of DAILY_BARS, any order; those after a session do not change its values.
        actions: Rows of CORPORATE_ACTIONS.
        reference: Rows of REFERENCE_FACTS.
        sectors: Symbol to sector.
        sessions: The sessions that will be asked for.
        calendar: The exchange's.
    """

    def __init__(
        self,
        bars: pl.DataFrame,
        actions: pl.DataFrame,
        reference: pl.DataFrame,
        *,
        sectors: Mapping[str, str],
        sessions: Sequence[date],
        calendar: Calendar,
    ) -> None:
        self._bars, self._actions, self._reference = bars, actions, reference
        self._sectors, self._calendar = sectors, calendar
        self._columns = {session: column for column, session in enumerate(sorted(set(sessions)))}
        self._values: dict[str, Floats] = {}

    def values(self, field: str, session: date) -> Mapping[str, float | str]:
        """Symbol to value in a session, without the symbols that have none."""
        if field == "sector":
            return dict(self._sectors)
        if field in BAR_FIELDS:
            column = self._matrix(field)[:, self._columns[session]]
            known = np.flatnonzero(np.isfinite(column))
            return {self._symbols[place]: float(column[place]) for place in known}
        return self._referenced(field, session)

    def _matrix(self, field: str) -> Floats:
        if field not in self._values:
            matrix = np.full((len(self._symbols), len(self._columns)), np.nan)
            for place, symbol in enumerate(self._symbols):
                columns, rows = self._asked[symbol]
                if len(rows):
                    matrix[place, columns] = BAR_FIELDS[_number(field)](self._series[symbol], rows)
            self._values[field] = matrix
        return self._values[field]

    @cached_property
    def _symbols(self) -> list[str]:
        return sorted(self._series)

    @cached_property
    def _series(self) -> Mapping[str, Series]:
        return series_of(self._bars, self._actions, self._calendar)

    @cached_property
    def _asked(self) -> Mapping[str, tuple[Ints, Ints]]:
        """For each symbol the columns in which it has a bar, and the bar's rows."""
        days = np.array([place_of(session, self._calendar) for session in self._columns], dtype=np.int64)
        found = {}
        for symbol, series in self._series.items():
            rows = np.searchsorted(series.places, days)
            has_bar = (rows < len(series.places)) & (series.places[np.minimum(rows, len(series.places) - 1)] == days)
            columns = np.flatnonzero(has_bar)
            found[symbol] = (columns, rows[columns].astype(np.int64))
        return found

    def _referenced(self, field: str, session: date) -> Mapping[str, float | str]:
        oldest = self._calendar.previous(session, REFERENCE_SESSIONS_MAX).day
        known = self._reference.filter(
            (pl.col("field") == field)
            & pl.col("session").is_between(oldest, session)
            & (pl.col("knowable_at") <= self._close(session))
            & pl.col("value").is_finite()
        ).sort("session", "knowable_at")
        newest = known.group_by("symbol", maintain_order=True).last()
        return dict(zip(newest["symbol"].to_list(), newest["value"].to_list(), strict=True))

    def _close(self, session: date) -> datetime:
        return self._calendar.session(session).close


def series_of(bars: pl.DataFrame, actions: pl.DataFrame, calendar: Calendar) -> Mapping[str, Series]:
    """Each symbol's sound bars: finite positive close, finite volume of at least 0."""
    sound = bars.filter(
        pl.col("close").is_finite() & (pl.col("close") > 0) & pl.col("volume").is_finite() & (pl.col("volume") >= 0)
    ).sort("symbol", "session")
    placed = sound.select("symbol", "close", "volume", _places(sound, calendar))
    splits = actions.filter(pl.col("kind") == "split").sort("symbol", "session")
    per_symbol: dict[str, list[tuple[int, float]]] = {}
    for symbol, place, ratio in splits.select("symbol", _places(splits, calendar), "ratio").iter_rows():
        per_symbol.setdefault(symbol, []).append((place, ratio))
    return {
        str(symbol): _series(frame, per_symbol.get(str(symbol), []))
        for (symbol,), frame in placed.partition_by("symbol", as_dict=True).items()
    }


def place_of(session: date, calendar: Calendar) -> int:
    """The number of a session in the calendar."""
    return bisect_left(calendar.days, session)


def _places(frame: pl.DataFrame, calendar: Calendar) -> pl.Series:
    return pl.Series(calendar.days).search_sorted(frame["session"], side="left").cast(pl.Int64()).alias("place")


def _series(frame: pl.DataFrame, splits: Sequence[tuple[int, float]]) -> Series:
    places = frame["place"].to_numpy()
    return Series(
        places,
        frame["close"].to_numpy(),
        frame["volume"].to_numpy(),
        tuple((int(np.searchsorted(places, place)), ratio) for place, ratio in splits),
    )


def _number(field: str) -> NumberField:
    return next(name for name in BAR_FIELDS if name == field)


def _where_full(series: Series, rows: Ints, back: int, values: Floats) -> Floats:
    """The values whose window exists: it begins `back` bars earlier, at most the look-back ago."""
    older = np.maximum(rows - back, 0)
    recent = series.places[rows] - series.places[older] < LOOK_BACK_SESSIONS
    return np.where((rows >= back) & recent, values, np.nan)


def _mean(series: Series, rows: Ints, value: Callable[[Ints], Floats]) -> Floats:
    total = _total([value(np.maximum(rows - back, 0)) for back in range(_MEAN_WINDOW)])
    return _where_full(series, rows, _MEAN_WINDOW - 1, total / _MEAN_WINDOW)


def _log_return(series: Series, rows: Ints, back: int) -> Floats:
    newer, older = np.maximum(rows - back, 0), np.maximum(rows - back - 1, 0)
    return np.log(series.closes[newer] * series.shares(older, newer) / series.closes[older])


def _total(parts: Sequence[Floats]) -> Floats:
    """The sum in the order given, element by element: no window's rounding depends on its neighbours."""
    total = np.zeros_like(parts[0])
    for part in parts:
        total = total + part
    return total
