"""The indicator panel against definitions written out in the tests, and its shape."""

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.features import textbook
from tests.features.frames import bars_of, days_from, embedded, markets, span_of, splits_of, walk
from trading_assets.core.ports import Span
from trading_assets.features.indicators import indicator_panel
from trading_assets.features.model import INDICATOR_COLUMNS, INDICATORS

NAMES = [column.name for column in INDICATOR_COLUMNS]
PRICE_NAMES = [name for name in NAMES if name not in {"rsi_14", "adx_14", "vol_20", "volume_mean_20", "mom_252_21"}]
FIRST_VALUE_ROW = {
    "sma_20": 19, "sma_50": 49, "sma_200": 199, "ema_12": 11, "ema_26": 25, "ema_50": 49,
    "macd_12_26_9": 33, "macd_signal_12_26_9": 33, "macd_histogram_12_26_9": 33, "rsi_14": 14,
    "bb_upper_20_2": 19, "bb_middle_20_2": 19, "bb_lower_20_2": 19, "atr_14": 14, "adx_14": 27, "vwap_20": 19,
    "high_20": 19, "low_20": 19, "high_252": 251, "low_252": 251, "vol_20": 20, "volume_mean_20": 19, "mom_252_21": 252,
}  # fmt: skip


def written_out(bars: pl.DataFrame) -> dict[str, textbook.Line]:
    high, low, close, volume = textbook.lists(*(bars[name].to_numpy() for name in ("high", "low", "close", "volume")))
    line, signal = textbook.macd(close)
    upper, lower = textbook.bollinger(close, 20, 2.0)
    typical = [(h + b + c) / 3 for h, b, c in zip(high, low, close, strict=True)]
    momentum = [close[i - 21] / close[i - 252] - 1 if i >= 252 else math.nan for i in range(len(close))]
    return {
        **{f"sma_{n}": textbook.sma(close, n) for n in (20, 50, 200)},
        **{f"ema_{n}": textbook.ema(close, n) for n in (12, 26, 50)},
        "macd_12_26_9": line,
        "macd_signal_12_26_9": signal,
        "macd_histogram_12_26_9": [x - s for x, s in zip(line, signal, strict=True)],
        "rsi_14": textbook.rsi(close, 14),
        "bb_upper_20_2": upper,
        "bb_middle_20_2": textbook.sma(close, 20),
        "bb_lower_20_2": lower,
        "atr_14": textbook.atr(high, low, close, 14),
        "adx_14": textbook.adx(high, low, 14, first_sum=13),
        "vwap_20": textbook.weighted_mean(typical, volume, 20),
        "high_20": textbook.highest(high, 20),
        "low_20": textbook.lowest(low, 20),
        "high_252": textbook.highest(high, 252),
        "low_252": textbook.lowest(low, 252),
        "vol_20": [d * math.sqrt(252) for d in textbook.deviation(textbook.log_steps(close), 20)],
        "volume_mean_20": textbook.sma(volume, 20),
        "mom_252_21": momentum,
    }


def assert_agrees(bars: pl.DataFrame) -> None:
    """To 1e-9 of the value, or of the dearest close where a price column comes near zero (MACD)."""
    panel = indicator_panel(bars, splits_of(), span=span_of(bars))
    dearest = bars["close"].to_numpy().max()
    expected = written_out(bars)
    assert set(expected) == set(NAMES)
    for name, line in expected.items():
        ours = panel[name].fill_null(math.nan).to_numpy()
        near_zero = 1e-9 * dearest if name in PRICE_NAMES else 1e-12
        np.testing.assert_allclose(ours, np.array(line), rtol=1e-9, atol=near_zero, err_msg=name)


@pytest.mark.parametrize("symbol", ["AAPL", "FB", "GOOG", "IBM", "MSFT"])
def test_every_column_agrees_with_its_definition_on_real_bars(symbol: str) -> None:
    bars, _ = embedded()
    assert_agrees(bars.filter(pl.col("symbol") == symbol))


@given(st.integers(0, 10_000), st.integers(1, 320), st.sampled_from([0.02, 1.0, 250.0, 50_000.0]))
@settings(deadline=None, max_examples=30)
def test_every_column_agrees_with_its_definition_at_any_length_and_price(seed: int, count: int, price: float) -> None:
    assert_agrees(walk("AAA", count, seed=seed, price_usd=price))


def test_each_column_begins_in_the_row_where_its_window_is_full() -> None:
    bars = walk("AAA", 300, seed=1)
    panel = indicator_panel(bars, splits_of(), span=span_of(bars))
    first = {name: panel[name].is_not_null().arg_max() for name in NAMES}
    assert first == FIRST_VALUE_ROW
    assert all(panel[name].tail(300 - row).null_count() == 0 for name, row in FIRST_VALUE_ROW.items())


@given(markets())
@settings(deadline=None, max_examples=30)
def test_the_panel_has_one_finite_or_empty_row_per_bar(market: tuple[pl.DataFrame, pl.DataFrame]) -> None:
    bars, actions = market
    panel = indicator_panel(bars, actions, span=span_of(bars))
    assert panel.equals(INDICATORS.conform(panel))
    keys = ["session", "symbol", "close", "knowable_at"]
    assert panel.select(keys).equals(bars.select(keys))
    assert panel.select(pl.col(NAMES).is_finite().all()).row(0) == (True,) * len(NAMES)


@given(st.integers(0, 10_000))
@settings(deadline=None, max_examples=20)
def test_indicators_keep_their_order(seed: int) -> None:
    bars = walk("AAA", 300, seed=seed)
    full = indicator_panel(bars, splits_of(), span=span_of(bars)).drop_nulls()
    assert (full["bb_lower_20_2"] <= full["bb_middle_20_2"]).all()
    assert (full["bb_middle_20_2"] <= full["bb_upper_20_2"]).all()
    assert full["rsi_14"].is_between(0, 100).all()
    assert full["adx_14"].is_between(0, 100).all()
    assert (full["low_252"] <= full["low_20"]).all()
    assert (full["high_20"] <= full["high_252"]).all()
    assert (full["close"].is_between(full["low_20"], full["high_20"])).all()


@given(st.integers(0, 10_000), st.sampled_from([2.0, 0.5, 1024.0]))
@settings(deadline=None, max_examples=20)
def test_prices_twice_as_high_double_the_price_columns_and_nothing_else(seed: int, factor: float) -> None:
    """A power of two only moves the exponent, so the comparison is exact."""
    bars = walk("AAA", 300, seed=seed)
    dear = bars.with_columns(pl.col("open", "high", "low", "close") * factor)
    span = span_of(bars)
    scaled = indicator_panel(bars, splits_of(), span=span).with_columns(pl.col("close", *PRICE_NAMES) * factor)
    assert indicator_panel(dear, splits_of(), span=span).equals(scaled)


def test_a_market_that_stands_still_has_no_range_no_volatility_and_bands_on_the_price() -> None:
    still = np.full(60, 10.0)
    bars = bars_of("AAA", days_from(60), still, still, still, np.full(60, 500.0))
    last = indicator_panel(bars, splits_of(), span=span_of(bars)).row(-1, named=True)
    assert (last["vol_20"], last["atr_14"], last["adx_14"]) == (0.0, 0.0, 0.0)
    assert last["bb_upper_20_2"] == last["bb_lower_20_2"] == last["vwap_20"] == last["ema_50"] == 10.0


def test_twenty_sessions_without_volume_have_no_weighted_mean() -> None:
    bars = walk("AAA", 60, seed=3).with_columns(volume=pl.lit(0.0))
    panel = indicator_panel(bars, splits_of(), span=span_of(bars))
    assert panel["vwap_20"].null_count() == 60
    assert panel["volume_mean_20"].drop_nulls().unique().to_list() == [0.0]


@pytest.mark.parametrize("column", ["open", "high", "low", "close", "volume"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -1.0])
def test_a_bar_that_is_no_number_gets_no_row_and_spoils_no_other(column: str, value: float) -> None:
    bars = walk("AAA", 80, seed=4)
    day = bars["session"][40]
    spoilt = bars.with_columns(pl.when(pl.col("session") == day).then(value).otherwise(pl.col(column)).alias(column))
    panel = indicator_panel(spoilt, splits_of(), span=span_of(bars))
    assert panel.equals(indicator_panel(bars.filter(pl.col("session") != day), splits_of(), span=span_of(bars)))
    assert panel.height == 79


def test_no_bars_and_a_span_without_bars_give_an_empty_panel() -> None:
    bars = walk("AAA", 10, seed=5)
    later = days_from(20)[15:]
    assert indicator_panel(bars.clear(), splits_of(), span=span_of(bars)).equals(INDICATORS.empty())
    assert indicator_panel(bars, splits_of(), span=Span(later[0], later[-1])).equals(INDICATORS.empty())
