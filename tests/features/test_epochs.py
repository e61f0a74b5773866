"""Splits: what a value in the share count of its session means, on made and on real splits."""

from datetime import date

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.features.frames import SPLITS, days_from, embedded, span_of, splits_of, walk
from trading_assets.core.ports import Span
from trading_assets.features.epochs import usable_bars
from trading_assets.features.indicators import indicator_panel
from trading_assets.features.relatives import RELATIVES, day_relatives

SCALE_FREE = ("rsi_14", "adx_14", "vol_20", "mom_252_21")
IN_USD = ("sma_20", "sma_200", "ema_50", "macd_12_26_9", "bb_upper_20_2", "atr_14", "vwap_20", "high_252", "low_20")


def split_at(bars: pl.DataFrame, day: date, ratio: float) -> pl.DataFrame:
    """The same company as traded when its shares split on `day`."""
    after = pl.col("session") >= day
    prices = (pl.when(after).then(pl.col(name) / ratio).otherwise(pl.col(name)).alias(name) for name in _PRICES)
    return bars.with_columns(*prices, volume=pl.when(after).then(pl.col("volume") * ratio).otherwise(pl.col("volume")))


_PRICES = ("open", "high", "low", "close")


@given(st.integers(0, 10_000), st.integers(1, 319), st.sampled_from([2.0, 4.0, 0.5]))
@settings(deadline=None, max_examples=25)
def test_a_split_changes_the_unit_and_nothing_else(seed: int, place: int, ratio: float) -> None:
    """Ratios are powers of two, so that dividing is exact and bits can be compared."""
    whole = walk("AAA", 320, seed=seed)
    day = whole["session"][place]
    span = span_of(whole)
    plain = indicator_panel(whole, splits_of(), span=span)
    split = indicator_panel(split_at(whole, day, ratio), splits_of(("AAA", day, ratio)), span=span)
    assert split.select(SCALE_FREE).equals(plain.select(SCALE_FREE))
    unit = pl.when(pl.col("session") >= day).then(1 / ratio).otherwise(1.0)
    assert split.select("close", *IN_USD).equals(plain.select(pl.col("close", *IN_USD) * unit))


@given(st.integers(0, 10_000), st.lists(st.integers(1, 319), min_size=1, max_size=3, unique=True))
@settings(deadline=None, max_examples=20)
def test_odd_ratios_agree_with_the_unsplit_company_to_rounding(seed: int, places: list[int]) -> None:
    whole = walk("AAA", 320, seed=seed)
    traded, events = whole, []
    for place, ratio in zip(places, (7.0, 1.5, 0.1), strict=False):
        day = whole["session"][place]
        traded = split_at(traded, day, ratio)
        events.append(("AAA", day, ratio))
    span = span_of(whole)
    plain = indicator_panel(whole, splits_of(), span=span)
    split = indicator_panel(traded, splits_of(*events), span=span)
    for name in SCALE_FREE:
        apart = (split[name] - plain[name]).abs().drop_nulls()
        assert apart.is_empty() or apart.max() < 1e-8  # type: ignore[operator]


def test_a_bar_before_a_split_keeps_its_row_when_the_split_comes() -> None:
    bars = walk("AAA", 300, seed=7)
    day = bars["session"][290]
    before = bars.filter(pl.col("session") < day)
    told_later = indicator_panel(bars, splits_of(("AAA", day, 7.0)), span=span_of(before))
    assert told_later.equals(indicator_panel(before, splits_of(), span=span_of(before)))


def test_a_split_of_one_symbol_leaves_the_others_alone() -> None:
    both = pl.concat([walk("AAA", 260, seed=1), walk("BBB", 260, seed=2)])
    day = both["session"][100]
    alone = indicator_panel(both, splits_of(), span=span_of(both)).filter(pl.col("symbol") == "BBB")
    beside = indicator_panel(both, splits_of(("AAA", day, 3.0)), span=span_of(both))
    assert beside.filter(pl.col("symbol") == "BBB").equals(alone)


def test_a_dividend_is_no_split() -> None:
    bars = walk("AAA", 60, seed=1)
    paid = splits_of(("AAA", bars["session"][30], 1.0)).with_columns(kind=pl.lit("cash_dividend"), amount=pl.lit(2.0))
    assert indicator_panel(bars, paid, span=span_of(bars)).equals(
        indicator_panel(bars, splits_of(), span=span_of(bars))
    )


@pytest.mark.parametrize(("symbol", "day", "ratio"), SPLITS)
def test_real_splits_do_not_move_ratios(symbol: str, day: date, ratio: float) -> None:
    """Without the split AAPL's RSI would fall to the teens and its 20-day volatility rise above 2 on the ex-date."""
    bars, actions = embedded()
    around = [session for session in bars["session"].unique().sort() if session >= day][:1]
    panel = indicator_panel(bars, actions, span=Span(days_from(1, date(2000, 3, 1))[0], around[0]))
    before, at = panel.filter(pl.col("symbol") == symbol).tail(2).iter_rows(named=True)
    assert at["session"] == day
    assert abs(at["rsi_14"] - before["rsi_14"]) < 25
    assert abs(at["adx_14"] - before["adx_14"]) < 5
    assert at["vol_20"] < 1.0
    assert abs(_band_position(at) - _band_position(before)) < 1.0
    assert at["sma_20"] * ratio == pytest.approx(before["sma_20"], rel=0.05)


def test_the_real_splits_would_move_ratios_if_they_were_not_known() -> None:
    bars, _ = embedded()
    for symbol, day, _ratio in SPLITS:
        blind = indicator_panel(bars, splits_of(), span=Span(day, day)).filter(pl.col("symbol") == symbol)
        assert blind["vol_20"][0] > 2.0


def test_relatives_compare_with_the_session_before_in_one_share_count() -> None:
    bars = split_at(walk("AAA", 30, seed=1), days_from(30)[10], 2.0)
    relatives = day_relatives(
        usable_bars(bars, last=days_from(30)[-1]), splits_of(("AAA", days_from(30)[10], 2.0)), first=date.min
    )
    assert relatives["session"].to_list() == days_from(30)[1:]
    close = walk("AAA", 30, seed=1)["close"]
    assert relatives["close_relative"].equals((close / close.shift(1))[1:].alias("close_relative"))
    assert (relatives["low_relative"] <= relatives["close_relative"]).all()
    assert set(RELATIVES) <= set(relatives.columns)


def test_a_symbol_that_missed_the_session_before_has_no_relative() -> None:
    days = days_from(30)
    bars = walk("AAA", 30, seed=1).filter(pl.col("session") != days[10])
    relatives = day_relatives(usable_bars(bars, last=days[-1]), splits_of(), first=date.min)
    assert relatives["session"].to_list() == [*days[1:10], *days[12:]]


def _band_position(row: dict[str, float]) -> float:
    return (row["close"] - row["bb_middle_20_2"]) / (row["bb_upper_20_2"] - row["bb_lower_20_2"])
