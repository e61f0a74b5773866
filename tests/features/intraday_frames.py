"""Made minutes and quotes that the tests of intraday features, liquidity and causality share."""

from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np
import polars as pl

from trading_assets.core.calendar import XNYS
from trading_assets.market.hours import BAR_LENGTH
from trading_assets.market.model import INTRADAY_BARS, QUOTE_BARS, Frequency

_MINUTE = timedelta(minutes=1)
_INSTANTS = {name: pl.Datetime("us", "UTC") for name in ("start", "knowable_at")}


def minutes(
    symbol: str,
    days: Sequence[date],
    *,
    seed: int,
    frequency: Frequency = "1m",
    price_usd: float = 100.0,
    gaps: int = 0,
) -> pl.DataFrame:
    """INTRADAY_BARS of whole sessions: a seeded walk that carries over from day to day, less `gaps` bars of each session."""
    dice, price, parts = np.random.default_rng(seed), price_usd, []
    for day in days:
        starts, ends = _grid(day, BAR_LENGTH[frequency])
        close = price * np.exp(np.cumsum(dice.normal(0, 0.001, len(starts))))
        before = np.concatenate([[price], close[:-1]])
        reach = np.exp(np.abs(dice.normal(0, 0.0004, (2, len(starts)))))
        frame = pl.DataFrame(
            {
                "start": starts,
                "knowable_at": ends,
                "open": before,
                "high": np.maximum(before, close) * reach[0],
                "low": np.minimum(before, close) / reach[1],
                "close": close,
                "volume": np.floor(dice.lognormal(7, 0.6, len(starts))),
            },
            schema_overrides=_INSTANTS,
        ).with_columns(symbol=pl.lit(symbol), session=pl.lit(day), frequency=pl.lit(frequency), source=pl.lit("made"))
        lost = dice.choice(len(starts), min(gaps, len(starts) - 1), replace=False)
        parts.append(frame.filter(~pl.int_range(pl.len()).is_in(lost.tolist())))
        price = float(close[-1])
    return INTRADAY_BARS.conform(pl.concat(parts))


def quotes(
    symbol: str, days: Sequence[date], *, seed: int, price_usd: float = 100.0, spread_bp: float = 5.0
) -> pl.DataFrame:
    """QUOTE_BARS of every minute, with spreads about `spread_bp` and depths of some hundred shares."""
    dice, parts = np.random.default_rng(seed), []
    for day in days:
        starts, ends = _grid(day, _MINUTE)
        half = price_usd * spread_bp / 2e4 * dice.lognormal(0, 0.3, len(starts))
        depths = np.floor(dice.lognormal(6, 0.5, (2, len(starts))))
        frame = pl.DataFrame(
            {
                "start": starts,
                "knowable_at": ends,
                "bid": price_usd - half,
                "ask": price_usd + half,
                "bid_depth": depths[0],
                "ask_depth": depths[1],
            },
            schema_overrides=_INSTANTS,
        )
        parts.append(frame.with_columns(symbol=pl.lit(symbol), session=pl.lit(day), source=pl.lit("made")))
    return QUOTE_BARS.conform(pl.concat(parts))


def _grid(day: date, length: timedelta) -> tuple[list[object], list[object]]:
    session = XNYS.session(day)
    count = -((session.open - session.close) // length)
    starts = [session.open + n * length for n in range(count)]
    return list(starts), [min(start + length, session.close) for start in starts]
