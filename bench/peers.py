"""The same 23 columns by TA-Lib, polars expressions and vectorbt, as their documentation shows how to get them.

Each engine gets its input in the layout that it likes best, made before the clock starts. Where a library has no function for a
column, the next best of its own means is used: sums and shifts in TA-Lib's loop, rolling and exponential functions in vectorbt.
Starting values of smoothed columns differ; the work is the same.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import talib

from trading_assets.features.kernel import COLUMNS, Floats

_YEAR_ROOT = math.sqrt(252)
_SAMPLE = math.sqrt(20 / 19)


@dataclass(frozen=True)
class World:
    """Bars of some symbols as [time, symbol] matrices."""

    high: Floats
    low: Floats
    close: Floats
    volume: Floats

    @cached_property
    def by_symbol(self) -> list[tuple[Floats, ...]]:
        """High, low, close and volume of each symbol."""
        whole = (self.high, self.low, self.close, self.volume)
        return [tuple(np.ascontiguousarray(m[:, k]) for m in whole) for k in range(self.close.shape[1])]

    @cached_property
    def frame(self) -> pl.DataFrame:
        """One row per bar, symbol after symbol."""
        times, symbols = self.close.shape
        named = {name: getattr(self, name).T.ravel() for name in ("high", "low", "close", "volume")}
        return pl.DataFrame({"symbol": np.repeat(np.arange(symbols), times), **named})

    @cached_property
    def wide(self) -> dict[str, pd.DataFrame]:
        """A pandas frame [time, symbol] for each field."""
        return {name: pd.DataFrame(getattr(self, name)) for name in ("high", "low", "close", "volume")}


def by_talib(world: World, out: Floats) -> None:
    """One call for each column and symbol; `out` is [column, symbol × time]."""
    times = world.close.shape[0]
    for number, bars in enumerate(world.by_symbol):
        values = _talib_columns(*bars)
        for line, name in zip(out, COLUMNS, strict=True):
            line[number * times : (number + 1) * times] = values[name]


def _talib_columns(high: Floats, low: Floats, close: Floats, volume: Floats) -> dict[str, Floats]:
    upper, middle, lower = talib.BBANDS(close, timeperiod=20, nbdevup=2.0, nbdevdn=2.0)
    line, signal, histogram = talib.MACD(close, fastperiod=12, slowperiod=26, signalperiod=9)
    shares = talib.SUM(volume, timeperiod=20)
    with np.errstate(invalid="ignore", divide="ignore"):
        vwap = talib.SUM(talib.TYPPRICE(high, low, close) * volume, timeperiod=20) / shares
    returns = np.zeros(close.size)
    np.log(close[1:] / close[:-1], out=returns[1:])
    momentum = np.full(close.size, np.nan)
    momentum[252:] = close[231:-21] / close[:-252] - 1
    return {
        **{f"sma_{n}": talib.SMA(close, timeperiod=n) for n in (20, 50, 200)},
        **{f"ema_{n}": talib.EMA(close, timeperiod=n) for n in (12, 26, 50)},
        "macd_12_26_9": line,
        "macd_signal_12_26_9": signal,
        "macd_histogram_12_26_9": histogram,
        "bb_upper_20_2": upper,
        "bb_middle_20_2": middle,
        "bb_lower_20_2": lower,
        "rsi_14": talib.RSI(close, timeperiod=14),
        "atr_14": talib.ATR(high, low, close, timeperiod=14),
        "adx_14": talib.ADX(high, low, close, timeperiod=14),
        "vwap_20": vwap,
        **{f"high_{n}": talib.MAX(high, timeperiod=n) for n in (20, 252)},
        **{f"low_{n}": talib.MIN(low, timeperiod=n) for n in (20, 252)},
        "vol_20": talib.STDDEV(returns, timeperiod=20) * (_SAMPLE * _YEAR_ROOT),
        "volume_mean_20": shares / 20,
        "mom_252_21": momentum,
    }


def by_polars(world: World) -> pl.DataFrame:
    """Expressions over the symbol, in three steps because some columns are made from others."""
    return (
        world.frame.lazy()
        .with_columns(_steps())
        .with_columns(_means())
        .with_columns(_joined())
        .with_columns(
            _smooth("dx", 14).alias("adx_14"),
            pl.col("macd_12_26_9").ewm_mean(span=9, adjust=False).over("symbol").alias("macd_signal_12_26_9"),
        )
        .with_columns((pl.col("macd_12_26_9") - pl.col("macd_signal_12_26_9")).alias("macd_histogram_12_26_9"))
        .select("symbol", *COLUMNS)
        .collect()
    )


def _steps() -> list[pl.Expr]:
    high, low, before = pl.col("high"), pl.col("low"), pl.col("close").shift(1).over("symbol")
    up, down = high - high.shift(1).over("symbol"), low.shift(1).over("symbol") - low
    move = pl.col("close") - before
    return [
        move.clip(lower_bound=0).alias("gain"),
        (-move).clip(lower_bound=0).alias("loss"),
        pl.max_horizontal(high - low, (high - before).abs(), (low - before).abs()).alias("range"),
        pl.when((up > down) & (up > 0)).then(up).otherwise(0.0).alias("up"),
        pl.when((down > up) & (down > 0)).then(down).otherwise(0.0).alias("down"),
        (pl.col("close") / before).log().alias("return"),
        ((high + low + pl.col("close")) / 3 * pl.col("volume")).alias("turnover"),
    ]


def _means() -> list[pl.Expr]:
    close = pl.col("close")
    return [
        *(close.rolling_mean(n).over("symbol").alias(f"sma_{n}") for n in (20, 50, 200)),
        *(close.ewm_mean(span=n, adjust=False).over("symbol").alias(f"ema_{n}") for n in (12, 26, 50)),
        *(pl.col("high").rolling_max(n).over("symbol").alias(f"high_{n}") for n in (20, 252)),
        *(pl.col("low").rolling_min(n).over("symbol").alias(f"low_{n}") for n in (20, 252)),
        close.rolling_std(20, ddof=0).over("symbol").alias("deviation"),
        (pl.col("return").rolling_std(20).over("symbol") * _YEAR_ROOT).alias("vol_20"),
        pl.col("turnover").rolling_sum(20).over("symbol").alias("turnover_20"),
        pl.col("volume").rolling_sum(20).over("symbol").alias("volume_20"),
        (close.shift(21).over("symbol") / close.shift(252).over("symbol") - 1).alias("mom_252_21"),
        *(_smooth(name, 14).alias(f"{name}_14") for name in ("gain", "loss", "range", "up", "down")),
    ]


def _joined() -> list[pl.Expr]:
    plus, minus, mean = pl.col("up_14"), pl.col("down_14"), pl.col("sma_20")
    return [
        (100 * pl.col("gain_14") / (pl.col("gain_14") + pl.col("loss_14"))).alias("rsi_14"),
        pl.col("range_14").alias("atr_14"),
        (100 * (plus - minus).abs() / (plus + minus)).alias("dx"),
        (pl.col("ema_12") - pl.col("ema_26")).alias("macd_12_26_9"),
        (mean + 2 * pl.col("deviation")).alias("bb_upper_20_2"),
        mean.alias("bb_middle_20_2"),
        (mean - 2 * pl.col("deviation")).alias("bb_lower_20_2"),
        (pl.col("turnover_20") / pl.col("volume_20")).alias("vwap_20"),
        (pl.col("volume_20") / 20).alias("volume_mean_20"),
    ]


def _smooth(name: str, length: int) -> pl.Expr:
    return pl.col(name).ewm_mean(alpha=1 / length, adjust=False, ignore_nulls=True).over("symbol")


def by_vectorbt(world: World) -> dict[str, Any]:
    """Its indicators where it has them (MA, BBANDS, RSI, MACD, ATR, MSTD), its rolling accessors for the rest."""
    import vectorbt as vbt

    high, low, close, volume = (world.wide[name] for name in ("high", "low", "close", "volume"))
    bands, macd = vbt.BBANDS.run(close, window=20, alpha=2), vbt.MACD.run(close, macd_ewm=True, signal_ewm=True)
    before = close.vbt.fshift(1)
    up, down = high - high.vbt.fshift(1), low.vbt.fshift(1) - low
    plus = up.where((up > down) & (up > 0), 0.0).vbt.ewm_mean(27, adjust=False)
    minus = down.where((down > up) & (down > 0), 0.0).vbt.ewm_mean(27, adjust=False)
    shares = volume.vbt.rolling_mean(20)
    return {
        **{f"sma_{n}": vbt.MA.run(close, n, short_name=f"s{n}").ma for n in (20, 50, 200)},
        **{f"ema_{n}": vbt.MA.run(close, n, ewm=True, short_name=f"e{n}").ma for n in (12, 26, 50)},
        "macd_12_26_9": macd.macd,
        "macd_signal_12_26_9": macd.signal,
        "macd_histogram_12_26_9": macd.hist,
        "bb_upper_20_2": bands.upper,
        "bb_middle_20_2": bands.middle,
        "bb_lower_20_2": bands.lower,
        "rsi_14": vbt.RSI.run(close, 14, ewm=True).rsi,
        "atr_14": vbt.ATR.run(high, low, close, 14, ewm=True).atr,
        "adx_14": (100 * (plus - minus).abs() / (plus + minus)).vbt.ewm_mean(27, adjust=False),
        "vwap_20": ((high + low + close) / 3 * volume).vbt.rolling_mean(20) / shares,
        **{f"high_{n}": high.vbt.rolling_max(n) for n in (20, 252)},
        **{f"low_{n}": low.vbt.rolling_min(n) for n in (20, 252)},
        "vol_20": vbt.MSTD.run(np.log(close / before), 20, ddof=1).mstd * _YEAR_ROOT,
        "volume_mean_20": shares,
        "mom_252_21": close.vbt.fshift(21) / close.vbt.fshift(252) - 1,
    }
