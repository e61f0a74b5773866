"""What the regime rules look at, for each symbol and for the market as a whole.

The market is the equal-weighted universe. The close of its index is chained from the mean close-to-close move of the symbols
that have a bar in the session and in the one before; its high and low are the mean high and mean low of the same symbols
over their previous closes. Highs of different symbols do not fall on one moment, so the index's range is a little wider than
a traded basket's; only the directional index, a ratio of ranges, uses it.
"""

import math
from collections.abc import Mapping
from datetime import date

import numpy as np
import polars as pl
import talib

from trading_assets.features.epochs import Epoch, measured
from trading_assets.features.relatives import RELATIVES, day_relatives, session_sums
from trading_assets.features.windows import Floats, lagged, log_returns, window_deviation, window_sum
from trading_assets.regimes.model import MARKET

VOLATILITY_SESSIONS = 15
TREND_SESSIONS = 30
MEAN_SESSIONS = 50
MEAN_RISE_SESSIONS = 10
MEASURES = ("volatility", "trend_strength", "adx_14", "climbs")
_INDEX_BASE = 100.0


def symbol_evidence(bars: pl.DataFrame, actions: pl.DataFrame) -> pl.DataFrame:
    """One row per usable bar, sorted by symbol and session: symbol, session, knowable_at and MEASURES (null until defined).

    volatility: sample deviation of 15 daily log returns, not annualised.
    trend_strength: 30-session log return over (sample deviation of the 30 daily log returns times sqrt(30)); 0 when flat.
    adx_14: average directional index, Wilder, 0 to 100.
    climbs: 1.0 when the close is above a 50-session mean that stands higher than 10 sessions ago, else 0.0.
    """
    return _keyed(measured(bars, actions, first=date.min, measure=_of_epoch, names=MEASURES))


def market_evidence(bars: pl.DataFrame, actions: pl.DataFrame) -> pl.DataFrame:
    """The same columns for MARKET: one row per session in which at least one symbol has a bar in it and in the one before."""
    index = market_index(bars, actions)
    found = _evidence(*(index[name].to_numpy() for name in ("high", "low", "close")))
    measures = (pl.Series(name, found[name], nan_to_null=True) for name in MEASURES)
    return _keyed(index.with_columns(*measures, symbol=pl.lit(MARKET)))


def market_index(bars: pl.DataFrame, actions: pl.DataFrame) -> pl.DataFrame:
    """The equal-weighted index of the usable bars: session, knowable_at, high, low, close, symbols (how many took part).

    It stands at 100 before the first session; a later bar or symbol never changes an earlier value.
    """
    moves = day_relatives(bars, actions, first=date.min)
    index = moves.group_by("session").agg(pl.col("knowable_at").max(), pl.len().alias("symbols")).sort("session")
    sums = (session_sums(index["session"], moves["session"], moves[name]) for name in RELATIVES)
    high, low, close = ((total / index["symbols"]).to_numpy() for total in sums)
    level = _INDEX_BASE * np.cumprod(close)
    before = lagged(level, 1)
    before[:1] = _INDEX_BASE
    return index.with_columns(
        pl.Series("high", before * high), pl.Series("low", before * low), pl.Series("close", level)
    )


def _of_epoch(epoch: Epoch) -> Mapping[str, Floats]:
    return _evidence(epoch.high, epoch.low, epoch.close)


def _evidence(high: Floats, low: Floats, close: Floats) -> Mapping[str, Floats]:
    returns = log_returns(close)
    mean = talib.SMA(close, timeperiod=MEAN_SESSIONS)
    return {
        "volatility": window_deviation(returns, VOLATILITY_SESSIONS),
        "trend_strength": _trend_strength(returns),
        "adx_14": talib.ADX(high, low, close, timeperiod=14),
        "climbs": ((close > mean) & (mean > lagged(mean, MEAN_RISE_SESSIONS))).astype(np.float64),
    }


def _trend_strength(returns: Floats) -> Floats:
    scale = window_deviation(returns, TREND_SESSIONS) * math.sqrt(TREND_SESSIONS)
    moved = window_sum(returns, TREND_SESSIONS)
    return np.divide(moved, scale, out=np.where(scale == 0, 0.0, np.nan), where=scale > 0)


def _keyed(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.select("symbol", "session", "knowable_at", *MEASURES)
