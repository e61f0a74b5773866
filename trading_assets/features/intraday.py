"""Intraday features: what each bar of a session says at its end, from the bars of its session up to it.

Only two columns look at other sessions, `volume_ratio` and `spread_ratio_20`: they compare with the same minute of the 20 exchange
sessions before. Averages, ranges and oscillators begin anew with each session, so an overnight gap is no true range and no gain.

Bars are laid out twice: packed (the n-th bar of the session, whatever is missing) for what counts bars, and by slot (the
place on the clock) for what compares minutes. Sums run from the session's first bar on: a day that is cut at a slot gives
the same bits.
"""

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import numpy.typing as npt
import polars as pl
import talib

from trading_assets.core.calendar import XNYS
from trading_assets.core.errors import TableMismatch
from trading_assets.core.ports import Span
from trading_assets.features.grids import sessions_before
from trading_assets.features.model import INTRADAY_FEATURE_COLUMNS, INTRADAY_FEATURES
from trading_assets.features.norms import LENGTH, Places, cell_sums, mean_before, median_before, over
from trading_assets.features.quotes import usable_quotes
from trading_assets.features.windows import Floats
from trading_assets.market.hours import BAR_LENGTH, session_hours

HISTORY = LENGTH
LEAST = 5
WINDOW = 20
OPENING = timedelta(minutes=30)
_PERIOD = 14
_PRICES = ("open", "high", "low", "close")
_MICROSECOND = timedelta(microseconds=1)
_LENGTHS = {name: length // _MICROSECOND for name, length in BAR_LENGTH.items()}


@dataclass(frozen=True)
class _Day:
    """The bars of one symbol and frequency: sessions by the n-th bar of each, NaN after the last; `slot` is -1 there."""

    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    slot: Places
    at: tuple[Places, Places]


@dataclass(frozen=True)
class _Clock:
    """The sessions of a run: their days, lengths in microseconds, and the split ratio of the symbol at each open."""

    days: pl.Series
    lengths: Places
    ratio: Floats


def intraday_features(bars: pl.DataFrame, actions: pl.DataFrame, quotes: pl.DataFrame, *, span: Span) -> pl.DataFrame:
    """Rows of INTRADAY_FEATURES: one for each usable intraday bar of the span.

    Args:
        bars: Rows of INTRADAY_BARS of the span and of the `HISTORY` sessions before it; older rows change nothing. The last
            session may be incomplete: rows of a cut day are those of the whole day.
        actions: Rows of CORPORATE_ACTIONS, for volumes on the two sides of a split.
        quotes: Rows of QUOTE_BARS of the same sessions, or none.
        span: Sessions to return.

    Raises:
        TableMismatch: A frequency that is none of 1h, 5m and 1m.
    """
    first = sessions_before(span.first, HISTORY)
    hours = session_hours(XNYS, first, max(span.last, first))
    rows = _usable(bars, hours).sort("symbol", "frequency", "session", "start")
    quoted = _timed(usable_quotes(quotes), hours)
    done = [_features(part, actions, quoted, hours, span) for part in rows.partition_by("symbol", "frequency")]
    return INTRADAY_FEATURES.conform(pl.concat(done)) if done else INTRADAY_FEATURES.empty()


def _usable(bars: pl.DataFrame, hours: pl.DataFrame) -> pl.DataFrame:
    """Bars inside their session with finite positive prices and a finite volume that is not below zero."""
    unknown = bars.filter(~pl.col("frequency").is_in(list(_LENGTHS)))
    if unknown.height:
        raise TableMismatch(
            "an intraday bar has an unknown length", value=unknown["frequency"][0], bound=list(_LENGTHS)
        )
    sound = pl.all_horizontal(pl.col(*_PRICES).is_finite() & (pl.col(*_PRICES) > 0))
    counted = pl.col("volume").is_finite() & (pl.col("volume") >= 0)
    return _timed(bars.filter(sound & counted), hours)


def _timed(rows: pl.DataFrame, hours: pl.DataFrame) -> pl.DataFrame:
    """The rows that start inside their session, with `offset` (microseconds since the open) and the row of the session."""
    numbered = hours.with_row_index("place").with_columns(pl.col("place").cast(pl.Int64))
    inside = (pl.col("start") >= pl.col("session_open")) & (pl.col("start") < pl.col("session_close"))
    offset = (pl.col("start") - pl.col("session_open")).dt.total_microseconds()
    return rows.join(numbered, on="session").filter(inside).with_columns(offset=offset)


def _features(
    rows: pl.DataFrame, actions: pl.DataFrame, quotes: pl.DataFrame, hours: pl.DataFrame, span: Span
) -> pl.DataFrame:
    """All columns of one symbol in one frequency."""
    symbol, length = rows["symbol"][0], _LENGTHS[rows["frequency"][0]]
    clock = _clock(actions.filter(pl.col("symbol") == symbol), hours)
    quoted = _quoted(quotes.filter(pl.col("symbol") == symbol), clock, length)
    ends = pl.min_horizontal(_slot_end(length), pl.col("session_close"))
    punctual = rows.select(pl.col("knowable_at") >= ends).to_series().to_numpy()
    day = _packed(rows, length, clock)
    fresh = int(clock.days.search_sorted(span.first))
    columns = {
        **_averages(day),
        **_opening(day, length),
        **_oscillators(day, fresh),
        "volume_ratio": _volume_ratio(day, clock, length),
        **{name: _at_slots(by_slot, day, punctual) for name, by_slot in quoted.items()},
    }
    columns["above_vwap"] = _flag(day.close, columns["vwap_session"], day.close > columns["vwap_session"])
    values = [pl.Series(c.name, columns[c.name][day.at], nan_to_null=True) for c in INTRADAY_FEATURE_COLUMNS]
    kept = rows.with_columns(values).filter(pl.col("place") >= fresh)
    return kept.select(list(INTRADAY_FEATURES.polars_schema()))


def _clock(actions: pl.DataFrame, hours: pl.DataFrame) -> _Clock:
    splits = actions.filter(pl.col("kind") == "split").join(hours.with_row_index("place"), on="session")
    ratio = np.ones((hours.height, 1))
    ratio[splits["place"].to_numpy(), 0] = splits["ratio"].to_numpy()
    lengths = (hours["session_close"] - hours["session_open"]).dt.total_microseconds().to_numpy()
    return _Clock(hours["session"], lengths, ratio)


def _packed(rows: pl.DataFrame, length: int, clock: _Clock) -> _Day:
    place = rows["place"].to_numpy()
    begins = np.searchsorted(place, place)
    at = place, np.arange(place.size) - begins
    shape = (clock.days.len(), int(at[1].max(initial=0)) + 1)
    values = {name: np.full(shape, np.nan) for name in (*_PRICES, "volume")}
    for name, matrix in values.items():
        matrix[at] = rows[name].to_numpy()
    slot = np.full(shape, -1, dtype=np.int64)
    slot[at] = rows["offset"].to_numpy() // length
    return _Day(**values, slot=slot, at=at)


def _averages(day: _Day) -> dict[str, Floats]:
    typical = (day.high + day.low + day.close) / 3
    traded, volume = np.nan_to_num(typical * day.volume), np.nan_to_num(day.volume)
    first = day.open[:, :1]
    return {
        "vwap_session": over(np.cumsum(traded, axis=1), np.cumsum(volume, axis=1)),
        "vwap_20": over(_rolling(typical * day.volume), _rolling(day.volume)),
        "return_from_open": day.close / first - 1,
    }


def _rolling(values: Floats) -> Floats:
    """Sum of the last 20 bars of the session, oldest first; NaN before there are 20."""
    sums = np.full(values.shape, np.nan)
    count = values.shape[1] - WINDOW + 1
    if count > 0:
        total = np.zeros((len(values), count))
        for bar in range(WINDOW):
            total += values[:, bar : bar + count]
        sums[:, WINDOW - 1 :] = total
    return sums


def _opening(day: _Day, length: int) -> dict[str, Floats]:
    """Extremes of the bars that end within the first 30 minutes, for every bar that ends after them."""
    bars = OPENING // _MICROSECOND // length
    early = (day.slot >= 0) & (day.slot < bars)
    later = day.slot >= bars - 1 if bars else np.zeros(day.slot.shape, dtype=np.bool_)
    high = np.maximum.accumulate(np.where(early, day.high, -np.inf), axis=1)
    low = np.minimum.accumulate(np.where(early, day.low, np.inf), axis=1)
    known = later & np.isfinite(high)
    high, low = np.where(known, high, np.nan), np.where(known, low, np.nan)
    return {
        "opening_range_high_30": high,
        "opening_range_low_30": low,
        "above_opening_range": _flag(day.close, high, day.close > high),
        "below_opening_range": _flag(day.close, low, day.close < low),
    }


def _flag(value: Floats, bound: Floats, flag: npt.NDArray[np.bool_]) -> Floats:
    return np.where(np.isfinite(value) & np.isfinite(bound), flag.astype(np.float64), np.nan)


def _oscillators(day: _Day, fresh: int) -> dict[str, Floats]:
    atr, rsi = np.full(day.close.shape, np.nan), np.full(day.close.shape, np.nan)
    counts = np.isfinite(day.close).sum(axis=1)
    for place in range(fresh, len(counts)):
        bars = int(counts[place])
        if bars > _PERIOD:
            high, low, close = (line[place, :bars] for line in (day.high, day.low, day.close))
            atr[place, :bars] = talib.ATR(high, low, close, timeperiod=_PERIOD)
            rsi[place, :bars] = talib.RSI(close, timeperiod=_PERIOD)
    return {"atr_14": atr, "rsi_14": rsi}


def _volume_ratio(day: _Day, clock: _Clock, length: int) -> Floats:
    """Volume so far over its mean at the same place on the clock; sessions without a bar, or over by then, do not count."""
    so_far = np.cumsum(np.nan_to_num(day.volume), axis=1)
    slots = -(-int(clock.lengths.max()) // length)
    by_slot = np.zeros((clock.days.len(), slots))
    by_slot[day.at[0], day.slot[day.at]] = so_far[day.at]
    traded = np.isfinite(day.close).any(axis=1, keepdims=True)
    running = np.arange(slots) * length < clock.lengths[:, np.newaxis]
    past = np.where(traded & running, np.maximum.accumulate(by_slot, axis=1), np.nan)
    norm = mean_before(past, least=LEAST, ratio=np.broadcast_to(clock.ratio, past.shape))
    return over(so_far, _at_slots(norm, day, np.ones(day.at[0].size, dtype=np.bool_)))


def _at_slots(by_slot: Floats, day: _Day, punctual: npt.NDArray[np.bool_]) -> Floats:
    """The value of each bar's place on the clock; NaN for a bar that is known before that place is over."""
    values = np.full(day.close.shape, np.nan)
    values[day.at] = np.where(punctual, by_slot[day.at[0], day.slot[day.at]], np.nan)
    return values


def _slot_end(length: int) -> pl.Expr:
    return pl.col("session_open") + pl.duration(microseconds=(pl.col("offset") // length + 1) * length)


def _quoted(quotes: pl.DataFrame, clock: _Clock, length: int) -> dict[str, Floats]:
    """Spread and depth of the quotes that were known at the end of each place on the clock; sessions by places."""
    slots = -(-int(clock.lengths.max()) // length)
    shape = (clock.days.len(), slots)
    known = quotes.filter(pl.col("knowable_at") <= _slot_end(length)).with_columns(slot=pl.col("offset") // length)
    cells = known["place"].to_numpy() * slots + known["slot"].to_numpy()
    spread = over(*cell_sums(cells, known["quoted_bp"], shape))
    bid, ask = (cell_sums(cells, known[name], shape)[0] for name in ("bid_depth", "ask_depth"))
    norm = median_before(spread, least=LEAST)
    return {"spread_bp": spread, "spread_ratio_20": over(spread, norm), "depth_imbalance": over(bid, bid + ask)}
