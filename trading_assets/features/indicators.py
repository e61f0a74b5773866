"""The indicator panel: TA-Lib from each symbol's first bar on, and own-window sums where TA-Lib has no function.

Every value depends on the symbol's bars up to its session and on nothing else: not on the span asked for, not on
later bars, not on other symbols.
"""

import math
from collections.abc import Mapping

import numpy as np
import polars as pl
import talib

from trading_assets.core.ports import Span
from trading_assets.features.epochs import Epoch, measured, usable_bars
from trading_assets.features.model import INDICATOR_COLUMNS, INDICATORS
from trading_assets.features.windows import Floats, lagged, log_returns, window_deviation, window_sum

SESSIONS_PER_YEAR = 252


def indicator_panel(bars: pl.DataFrame, actions: pl.DataFrame, *, span: Span) -> pl.DataFrame:
    """Rows of INDICATORS for the sessions of the span.

    Args:
        bars: Rows of DAILY_BARS from each symbol's first bar in the lake; a later start gives other values.
        actions: Rows of CORPORATE_ACTIONS; splits after a row's session do not touch the row.
        span: Sessions to return; bars after it are not read.
    """
    names = [column.name for column in INDICATOR_COLUMNS]
    history = usable_bars(bars, last=span.last)
    panel = measured(history, actions, first=span.first, measure=_indicators, names=names)
    return INDICATORS.conform(panel.select("symbol", "session", "close", *names, "knowable_at"))


def _indicators(epoch: Epoch) -> Mapping[str, Floats]:
    return {**_averages(epoch), **_oscillators(epoch), **_extremes(epoch), **_from_own_windows(epoch)}


def _averages(epoch: Epoch) -> Mapping[str, Floats]:
    close = epoch.close
    upper, middle, lower = talib.BBANDS(close, timeperiod=20, nbdevup=2.0, nbdevdn=2.0, matype=talib.MA_Type.SMA)
    line, signal, histogram = talib.MACD(close, fastperiod=12, slowperiod=26, signalperiod=9)
    return {
        **{f"sma_{period}": talib.SMA(close, timeperiod=period) for period in (20, 50, 200)},
        **{f"ema_{period}": talib.EMA(close, timeperiod=period) for period in (12, 26, 50)},
        "bb_upper_20_2": upper,
        "bb_middle_20_2": middle,
        "bb_lower_20_2": lower,
        "macd_12_26_9": line,
        "macd_signal_12_26_9": signal,
        "macd_histogram_12_26_9": histogram,
    }


def _oscillators(epoch: Epoch) -> Mapping[str, Floats]:
    return {
        "rsi_14": talib.RSI(epoch.close, timeperiod=14),
        "atr_14": talib.ATR(epoch.high, epoch.low, epoch.close, timeperiod=14),
        "adx_14": talib.ADX(epoch.high, epoch.low, epoch.close, timeperiod=14),
    }


def _extremes(epoch: Epoch) -> Mapping[str, Floats]:
    return {
        "high_20": talib.MAX(epoch.high, timeperiod=20),
        "low_20": talib.MIN(epoch.low, timeperiod=20),
        "high_252": talib.MAX(epoch.high, timeperiod=252),
        "low_252": talib.MIN(epoch.low, timeperiod=252),
    }


def _from_own_windows(epoch: Epoch) -> Mapping[str, Floats]:
    typical = (epoch.high + epoch.low + epoch.close) / 3
    volume = window_sum(epoch.volume, 20)
    traded = window_sum(typical * epoch.volume, 20)
    return {
        "vwap_20": np.divide(traded, volume, out=np.full(volume.size, np.nan), where=volume > 0),
        "volume_mean_20": volume / 20,
        "vol_20": window_deviation(log_returns(epoch.close), 20) * math.sqrt(SESSIONS_PER_YEAR),
        "mom_252_21": lagged(epoch.close, 21) / lagged(epoch.close, 252) - 1,
    }
