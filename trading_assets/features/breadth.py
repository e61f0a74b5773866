"""Breadth: how many symbols of the universe took part in a session's move."""

import polars as pl

from trading_assets.core.ports import Span
from trading_assets.features.epochs import sound_bars
from trading_assets.features.model import BREADTH
from trading_assets.features.relatives import day_relatives, session_sums

_LEVELS = ("high_252", "low_252", "sma_50", "sma_200")


def breadth(bars: pl.DataFrame, actions: pl.DataFrame, indicators: pl.DataFrame, *, span: Span) -> pl.DataFrame:
    """Rows of BREADTH for every session of the span in which any symbol has a bar.

    Args:
        bars: Rows of DAILY_BARS, at least from the session before the span on.
        actions: Rows of CORPORATE_ACTIONS: a split is neither an advance nor a decline.
        indicators: Rows of INDICATORS for the span.
        span: Sessions to return.
    """
    usable = sound_bars(bars, last=span.last)
    present = usable.slice(int(usable["session"].search_sorted(span.first)))
    sessions = present.group_by("session").agg(pl.col("knowable_at").max()).sort("session")
    moves = day_relatives(usable, actions, first=span.first)
    levels = _with_levels(present, indicators)
    columns = [*_moved(sessions["session"], moves), *_at_levels(sessions["session"], levels)]
    return BREADTH.conform(sessions.with_columns(columns))


def _with_levels(present: pl.DataFrame, indicators: pl.DataFrame) -> pl.DataFrame:
    keys = ["session", "symbol"]
    if present.select(keys).equals(indicators.select(keys)):
        return present.with_columns(indicators.select(_LEVELS))
    return present.join(indicators.select(*keys, *_LEVELS), on=keys, how="left", maintain_order="left")


def _moved(sessions: pl.Series, moves: pl.DataFrame) -> list[pl.Series]:
    up, down = moves["close_relative"] > 1, moves["close_relative"] < 1
    volume = _sums(sessions, moves, moves["volume"])
    return [
        _sums(sessions, moves, pl.repeat(1, moves.height, eager=True)).cast(pl.Int64).alias("symbols"),
        _sums(sessions, moves, up).cast(pl.Int64).alias("advances"),
        _sums(sessions, moves, down).cast(pl.Int64).alias("declines"),
        _share(_sums(sessions, moves, moves["volume"] * up), volume).alias("up_volume_share"),
    ]


def _at_levels(sessions: pl.Series, levels: pl.DataFrame) -> list[pl.Series]:
    highs = levels["high"] >= levels["high_252"]
    lows = levels["low"] <= levels["low_252"]
    return [
        _sums(sessions, levels, highs).cast(pl.Int64).alias("new_highs_252"),
        _sums(sessions, levels, lows).cast(pl.Int64).alias("new_lows_252"),
        _above(sessions, levels, "sma_50").alias("above_sma_50_share"),
        _above(sessions, levels, "sma_200").alias("above_sma_200_share"),
    ]


def _above(sessions: pl.Series, levels: pl.DataFrame, mean: str) -> pl.Series:
    above = _sums(sessions, levels, levels["close"] > levels[mean])
    return _share(above, _sums(sessions, levels, levels[mean].is_not_null()))


def _sums(sessions: pl.Series, rows: pl.DataFrame, values: pl.Series) -> pl.Series:
    return session_sums(sessions, rows["session"], values.cast(pl.Float64).fill_null(0.0))


def _share(part: pl.Series, whole: pl.Series) -> pl.Series:
    return pl.select(pl.when(whole > 0).then(part / whole)).to_series()
