"""Agreement with published series (QuantConnect Lean's test data, rounded to cents), within the tolerance that each test names."""

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
import talib

from tests.features import textbook
from tests.features.frames import bars_of, days_from, reference, span_of, splits_of
from trading_assets.features.indicators import indicator_panel
from trading_assets.features.windows import Floats


def panel_of(series: pl.DataFrame) -> pl.DataFrame:
    high, low, close = (
        series[name if name in series.columns else "close"].to_numpy() for name in ("high", "low", "close")
    )
    volume = series["volume"].to_numpy() if "volume" in series.columns else np.ones(series.height)
    bars = bars_of("SPY", days_from(series.height), high, low, close, volume)
    return indicator_panel(bars, splits_of(), span=span_of(bars))


def assert_within(ours: pl.Series | Floats | textbook.Line, theirs: pl.Series, rtol: float, *, rows: int) -> None:
    """Compares the rows that both have, and at least `rows` of them."""
    left = np.array([np.nan if value is None else value for value in ours], dtype=np.float64)
    right = theirs.fill_null(float("nan")).to_numpy()
    both = np.isfinite(left) & np.isfinite(right)
    assert both.sum() >= rows
    np.testing.assert_allclose(left[both], right[both], rtol=rtol)


def test_macd_and_its_signal_agree_with_monthly_spy() -> None:
    series = reference("spy_with_macd.txt", high="High", low="Low", close="Close", line="MACD", signal="Signal")
    panel = panel_of(series)
    assert_within(panel["macd_12_26_9"], series["line"], 2e-5, rows=180)
    assert_within(panel["macd_signal_12_26_9"], series["signal"], 2e-6, rows=180)


def test_bollinger_bands_with_population_deviation_agree() -> None:
    series = reference(
        "spy_sm.csv", high="high", low="low", close="close", top="bb high", bottom="bb low", middle="mid_bb"
    )
    panel = panel_of(series)
    assert_within(panel["bb_upper_20_2"], series["top"], 1e-9, rows=900)
    assert_within(panel["bb_lower_20_2"], series["bottom"], 1e-9, rows=900)
    assert_within(panel["bb_middle_20_2"], series["middle"], 1e-9, rows=900)


def test_bollinger_bands_agree_with_the_file_rounded_to_cents() -> None:
    names = {"top": "Bollinger Bands® 20 2 Top", "bottom": "Bollinger Bands® 20 2 Bottom"}
    series = reference("spy_bollinger_bands.txt", high="High", low="Low", close="Close", **names)
    panel = panel_of(series)
    assert_within(panel["bb_upper_20_2"], series["top"], 4e-7, rows=480)
    assert_within(panel["bb_lower_20_2"], series["bottom"], 4e-7, rows=480)


def test_wilders_rsi_agrees() -> None:
    series = reference("spy_with_indicators.txt", close="Close", rsi="RSI 14 Wilder")
    assert_within(panel_of(series)["rsi_14"], series["rsi"], 2e-7, rows=480)


def test_the_two_exponential_means_agree_with_a_line_that_seeds_each_by_itself() -> None:
    """The file's MACD line is the plain difference of the means, with six or seven digits; the closes stand near 15,000."""
    series = reference("spy_with_indicators.txt", close="Close", difference="MACD 12 26")
    panel = panel_of(series)
    apart = (panel["ema_12"] - panel["ema_26"] - series["difference"]).abs().drop_nulls()
    assert apart.len() == 475
    assert (apart < 1e-3).all()


def test_the_textbook_exponential_mean_agrees_with_monthly_spy() -> None:
    series = reference("spy_ema.csv", close="close", mean="EMA14")
    assert_within(textbook.ema(series["close"].to_list(), 14), series["mean"], 1e-9, rows=340)


def test_the_textbook_directional_index_agrees_and_the_panel_joins_it() -> None:
    """TA-Lib's first running sums hold one step fewer than Wilder's: 2 % apart at first, rounding apart after 300 bars."""
    series = reference("spy_with_adx.txt", high="High", low="Low", close="Close", index="ADX 14")
    whole = series.filter(pl.all_horizontal(pl.col("high", "low", "close").is_finite()))
    wilders = textbook.adx(whole["high"].to_list(), whole["low"].to_list(), 14, first_sum=14)
    assert_within(wilders, whole["index"], 5e-6, rows=470)
    ours = panel_of(whole)["adx_14"]
    assert_within(ours, whole["index"], 3e-2, rows=470)
    assert_within(ours[300:], whole["index"][300:], 5e-6, rows=170)


def test_the_true_range_and_its_five_day_mean_agree_with_talibs_convention() -> None:
    series = reference("spy_natr.txt", high="High", low="Low", close="Close", normalised="NATR_5")
    high, low, close = (series[name].to_list() for name in ("high", "low", "close"))
    ours = [100 * mean / price for mean, price in zip(textbook.atr(high, low, close, 5), close, strict=True)]
    assert_within(ours, series["normalised"], 1e-12, rows=480)
    ranges = reference("spy_tr.txt", range="TR")
    assert_within(textbook.true_range(high, low, close), ranges["range"][1:], 1e-12, rows=490)


def test_wilders_average_true_range_agrees_once_the_first_bar_is_forgotten() -> None:
    """The file counts a true range for the first bar, TA-Lib does not: 3 % apart at first, rounding apart after 200 bars."""
    series = reference("spy_atr_wilder.txt", high="High", low="Low", close="Close", range="Average True Range 14")
    ours = panel_of(series)["atr_14"]
    assert_within(ours, series["range"], 4e-2, rows=480)
    assert_within(ours[200:], series["range"][200:], 5e-6, rows=280)


def test_the_weighted_mean_agrees_when_given_the_files_price() -> None:
    """The file weighs (open+high+low+close)/4; the panel weighs (high+low+close)/3."""
    columns = {"open": "Open", "high": "High", "low": "Low", "close": "Close", "volume": "Volume"}
    series = reference("spy_with_vwap.txt", **columns, mean="Moving VWAP 50").drop_nulls("close")
    price = (series["open"] + series["high"] + series["low"] + series["close"]) / 4
    ours = textbook.weighted_mean(price.to_list(), series["volume"].to_list(), 50)
    assert_within(ours, series["mean"], 5e-7, rows=440)


@pytest.mark.parametrize(
    ("name", "column", "extreme"), [("spy_max.txt", "MAX_5", talib.MAX), ("spy_min.txt", "MIN_5", talib.MIN)]
)
def test_rolling_extremes_agree_exactly(name: str, column: str, extreme: Callable[..., Floats]) -> None:
    series = reference(name, close="Close", extreme=column)
    assert_within(extreme(series["close"].to_numpy(), timeperiod=5), series["extreme"], 0.0, rows=490)
