"""Each symbol's bars in the share count of the session that a value is for.

Prices are stored as traded, so a split is a break in the series. A value of session s must be in the share count of s and
must not know later splits. The splits of a symbol cut its life into epochs; for each epoch the whole past is brought
into that epoch's share count, and only the rows of the epoch are taken from the result.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

import numpy as np
import polars as pl

from trading_assets.features.windows import Floats
from trading_assets.market.adjust import split_adjusted, split_epochs

_PRICES = ("open", "high", "low", "close")
_COLUMNS = ("symbol", "session", *_PRICES, "volume", "knowable_at")


@dataclass(frozen=True, slots=True)
class Epoch:
    """A symbol's bars from its first to the last of one epoch, in that epoch's share count.

    Rows from `start` on belong to the epoch (and to the span asked for); the rows before are their past.
    Prices in USD, volume in shares.
    """

    start: int
    high: Floats
    low: Floats
    close: Floats
    volume: Floats


Measure = Callable[[Epoch], Mapping[str, Floats]]


def usable_bars(bars: pl.DataFrame, *, last: date) -> pl.DataFrame:
    """The DAILY_BARS rows up to session `last` that can be reckoned with, sorted by symbol and session, less start and source.

    A price that is not finite and positive, or a volume that is not finite or below zero, would spoil every later value of
    a smoothed series. The quality gate has refused such a session; its row gets no features.
    """
    sound = pl.all_horizontal(pl.col(*_PRICES).is_finite() & (pl.col(*_PRICES) > 0))
    counted = pl.col("volume").is_finite() & (pl.col("volume") >= 0)
    rows = bars.lazy().select(_COLUMNS).filter((pl.col("session") <= last) & sound & counted)
    return rows.sort("symbol", "session").collect().rechunk()


def measured(
    bars: pl.DataFrame, actions: pl.DataFrame, *, first: date, measure: Measure, names: Sequence[str]
) -> pl.DataFrame:
    """The usable bars from session `first` on, with the columns `names` of `measure` beside them; NaN becomes null.

    `measure` sees one epoch at a time and returns, for each name, an array as long as the epoch's close.
    """
    rows = bars.filter(pl.col("session") >= first)
    values = np.empty((len(names), rows.height))
    filled = 0
    for epoch in _epochs(bars, actions, first):
        arrays = measure(epoch)
        end = filled + epoch.close.size - epoch.start
        for line, name in zip(values, names, strict=True):
            line[filled:end] = arrays[name][epoch.start :]
        filled = end
    return rows.with_columns(pl.Series(name, line, nan_to_null=True) for name, line in zip(names, values, strict=True))


def _epochs(bars: pl.DataFrame, actions: pl.DataFrame, first: date) -> Iterator[Epoch]:
    splits = actions.filter(pl.col("kind") == "split")
    with_splits = set(splits["symbol"])
    traded = _arrays(bars)
    sessions = bars["session"].to_numpy()
    for symbol, begin, end in _runs(bars["symbol"]):
        fresh = begin + int(np.searchsorted(sessions[begin:end], np.datetime64(first)))
        if fresh == end:
            continue
        if symbol in with_splits:
            yield from _adjusted(bars[begin:end], splits.filter(pl.col("symbol") == symbol), fresh - begin)
        else:
            yield Epoch(fresh - begin, *(column[begin:end] for column in traded))


def _adjusted(bars: pl.DataFrame, splits: pl.DataFrame, fresh: int) -> Iterator[Epoch]:
    sessions = bars["session"]
    ex_dates = split_epochs(splits, bars["symbol"][0])
    inner = {int(sessions.search_sorted(day)) for day in ex_dates}
    edges = sorted(inner | {0, bars.height})
    for begin, end in pairwise(edges):
        if end > fresh:
            past = split_adjusted(bars[:end], splits, as_of_session=sessions[end - 1])
            yield Epoch(max(begin, fresh), *_arrays(past))


def _arrays(bars: pl.DataFrame) -> tuple[Floats, ...]:
    return tuple(bars[name].to_numpy() for name in ("high", "low", "close", "volume"))


def _runs(symbols: pl.Series) -> Iterator[tuple[str, int, int]]:
    lengths = symbols.rle().struct.unnest()
    ends = lengths["len"].cast(pl.Int64).cum_sum()
    for symbol, length, end in zip(lengths["value"], lengths["len"], ends, strict=True):
        yield symbol, end - length, end
