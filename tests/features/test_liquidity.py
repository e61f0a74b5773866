"""Liquidity: estimates that find a planted spread, quotes where there are some, splits, holes, and the same bits."""

import math
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.features.frames import bars_of, days_from, embedded, markets, scrambled_after, span_of, splits_of, walk
from tests.features.intraday_frames import quotes
from tests.features.test_epochs import split_at
from trading_assets.core.calendar import XNYS
from trading_assets.core.errors import NotASession
from trading_assets.core.ports import Span
from trading_assets.features.canary import row_of
from trading_assets.features.canary_daily import liquidity_disagreements
from trading_assets.features.liquidity import HISTORY, liquidity
from trading_assets.features.model import LIQUIDITY, LIQUIDITY_COLUMNS
from trading_assets.market.model import DAILY_BARS, QUOTE_BARS

NONE, NO_QUOTES = splits_of(), QUOTE_BARS.empty()
NAMES = [column.name for column in LIQUIDITY_COLUMNS]
DAYS = days_from(60, date(2012, 9, 4))
Market = tuple[pl.DataFrame, pl.DataFrame]


def of(bars: pl.DataFrame, actions: pl.DataFrame = NONE, told: pl.DataFrame = NO_QUOTES) -> pl.DataFrame:
    return liquidity(bars, actions, told, span=span_of(bars))


def steady(days: list[date] = DAYS, *, volume: float = 1e6) -> pl.DataFrame:
    """A price that swings between 100 and 101 with a range of one percent, on the same volume every day."""
    close = np.where(np.arange(len(days)) % 2 == 0, 100.0, 101.0)
    return bars_of("AAA", days, close * 1.005, close * 0.995, close, np.full(len(days), volume))


def two_days(high: list[float], low: list[float], close: list[float]) -> pl.DataFrame:
    return bars_of("AAA", DAYS[:2], np.array(high), np.array(low), np.array(close), np.array([1e6, 1e6]))


def bouncing(spread: float, *, sessions: int, seed: int) -> pl.DataFrame:
    """Bars of a trade-by-trade walk whose trades lie half a spread above or below the middle, without overnight gaps."""
    dice = np.random.default_rng(seed)
    trades = 390
    middle = 50 * np.exp(np.cumsum(dice.normal(0, 0.015 / math.sqrt(trades), sessions * trades)))
    price = (middle * (1 + spread / 2 * dice.choice([-1.0, 1.0], middle.size))).reshape(sessions, trades)
    days = days_from(sessions, date(2005, 1, 3))
    return bars_of("AAA", days, price.max(axis=1), price.min(axis=1), price[:, -1], np.full(sessions, 1e6))


# --- estimates from daily bars -------------------------------------------------------------------------------------


@pytest.mark.parametrize("spread_bp", [100, 200, 400])
def test_the_estimate_finds_a_planted_spread(spread_bp: int) -> None:
    """Corwin and Schultz report means near the truth for wide spreads; a month's mean is what they use."""
    found = of(bouncing(spread_bp / 1e4, sessions=1500, seed=3))["spread_bp"].drop_nulls()
    assert found.mean() == pytest.approx(spread_bp, rel=0.25)


def test_wider_spreads_are_estimated_wider() -> None:
    means = [of(bouncing(bp / 1e4, sessions=400, seed=5))["spread_bp"].mean() for bp in (0, 50, 150, 300)]
    assert means == sorted(means)  # type: ignore[type-var]


def test_the_estimate_of_two_sessions_worked_by_hand() -> None:
    row = of(two_days([101.0, 102.0], [99.0, 100.0], [100.0, 101.0])).row(1, named=True)
    beta = math.log(101 / 99) ** 2 + math.log(102 / 100) ** 2
    gamma = math.log(102 / 99) ** 2
    k = 3 - 2 * math.sqrt(2)
    alpha = (math.sqrt(2 * beta) - math.sqrt(beta)) / k - math.sqrt(gamma / k)
    assert row["spread_bp"] == pytest.approx(max(0.0, 2e4 * (math.exp(alpha) - 1) / (1 + math.exp(alpha))), rel=1e-12)
    assert row["basis"] == "daily_bars"


def test_negative_estimates_are_zero() -> None:
    trend = np.exp(np.linspace(0, 3, 60)) * 50
    rows = of(bars_of("AAA", DAYS, trend * 1.001, trend * 0.999, trend, np.full(60, 1e6)))
    assert (rows["spread_bp"].drop_nulls() >= 0).all()
    assert rows["spread_bp"].null_count() == 1


def test_a_gap_overnight_is_not_taken_for_volatility() -> None:
    """Both days have the same range; the second stands entirely above the first day's close."""
    together = two_days([101.0, 101.0], [99.0, 99.0], [99.0, 100.0])
    apart = two_days([101.0, 103.0], [99.0, 101.0], [99.0, 102.0])
    first, second = (of(bars)["spread_bp"][1] for bars in (together, apart))
    assert second == pytest.approx(first, rel=0.05)


def test_amihud_is_the_mean_move_per_million_dollars() -> None:
    row = of(steady()).row(40, named=True)
    moves = [(1 / 100) / (101 * 1e6), (1 / 101) / (100 * 1e6)]
    assert row["amihud_20"] == pytest.approx(1e6 * sum(moves) / 2, rel=1e-12)
    assert row["dollar_volume_20"] == pytest.approx(100.5e6, rel=1e-12)
    assert row["participation"] == pytest.approx(1.0, rel=1e-12)


def test_a_session_without_trade_is_left_out_of_the_price_impact() -> None:
    bars = steady()
    quiet = bars.with_columns(volume=pl.when(pl.col("session") == DAYS[30]).then(0.0).otherwise(pl.col("volume")))
    row = row_of(of(quiet), session=DAYS[35])
    assert row is not None
    assert 0 < row["amihud_20"] < 1e-3
    silent = bars.with_columns(volume=pl.lit(0.0))
    assert of(silent)["amihud_20"].null_count() == 60
    assert of(silent)["participation"].null_count() == 60


def test_twice_the_usual_volume_is_a_participation_of_two() -> None:
    bars = steady()
    busy = bars.with_columns(volume=pl.when(pl.col("session") == DAYS[30]).then(2e6).otherwise(pl.col("volume")))
    rows = of(busy)
    assert rows["participation"][30] == pytest.approx(2.0)
    assert rows["participation"][31] == pytest.approx(1e6 / ((19e6 + 2e6) / 20))


def test_norms_need_ten_sessions_of_the_twenty_before() -> None:
    rows = of(steady())
    assert rows["participation"].is_null().to_list() == [True] * 10 + [False] * 50
    assert rows["spread_norm_20"].is_null().to_list() == [True] * 11 + [False] * 49
    assert rows["dollar_volume_20"].is_null().to_list() == [True] * 9 + [False] * 51
    assert rows["amihud_20"].is_null().to_list() == [True] * 10 + [False] * 50


def test_a_symbol_that_was_away_begins_anew() -> None:
    """Twenty sessions of the exchange are looked at, not twenty bars of the symbol."""
    bars = steady().filter(~pl.col("session").is_in(DAYS[15:45]))
    rows = of(bars)
    assert rows.filter(pl.col("session") == DAYS[45])["spread_bp"].item() is None
    assert rows.filter(pl.col("session") == DAYS[50])["participation"].item() is None
    assert rows.filter(pl.col("session") == DAYS[55])["participation"].item() == pytest.approx(1.0)


# --- quotes --------------------------------------------------------------------------------------------------------


def quoted(first: int = 0, last: int = 60, *, spread_bp: float = 8.0, seed: int = 1) -> pl.DataFrame:
    return quotes("AAA", DAYS[first:last], seed=seed, spread_bp=spread_bp)


def test_quotes_are_believed_before_daily_bars() -> None:
    told = quoted()
    rows = of(steady(), told=told)
    assert set(rows["basis"]) == {"quotes"}
    day = told.filter(pl.col("session") == DAYS[30])
    middle = (day["bid"] + day["ask"]) / 2
    assert rows["spread_bp"][30] == pytest.approx(((day["ask"] - day["bid"]) / middle * 1e4).mean(), rel=1e-12)
    bid, ask = (float(day[name].to_numpy().sum()) for name in ("bid_depth", "ask_depth"))
    depth = bid / (bid + ask)
    assert rows["depth_ratio"][30] == pytest.approx(depth, rel=1e-12)
    assert of(steady())["depth_ratio"].null_count() == 60


def test_a_spread_is_compared_with_the_median_of_the_sessions_before() -> None:
    told = pl.concat([quoted(0, 40), quoted(40, 41, spread_bp=80.0), quoted(41, 60)])
    rows = of(steady(), told=told)
    before = rows["spread_bp"][20:40]
    assert rows["spread_norm_20"][40] == pytest.approx(before.median(), rel=1e-15)
    assert rows["spread_ratio"][40] == pytest.approx(10.0, rel=0.1)
    assert rows["spread_ratio"][41] == pytest.approx(1.0, rel=0.1), "one wild session moves the median little"


def test_quotes_are_compared_with_quotes_and_estimates_with_estimates() -> None:
    rows = of(steady(), told=quoted(30, 60))
    assert rows["basis"].to_list() == ["daily_bars"] * 30 + ["quotes"] * 30
    assert rows["spread_norm_20"][30:40].null_count() == 10, "ten sessions of quotes are needed first"
    assert rows["spread_ratio"][45] == pytest.approx(1.0, rel=0.2)


def test_half_a_session_of_quotes_is_needed() -> None:
    told = quoted(0, 1)
    few, enough = told.head(194), told.head(195)
    assert of(steady(), told=few)["basis"][0] == "daily_bars"
    assert of(steady(), told=enough)["basis"][0] == "quotes"


def test_half_of_an_early_close_is_shorter() -> None:
    day = date(2012, 11, 23)
    bars, told = steady([day]), quotes("AAA", [day], seed=1)
    assert told.height == 210
    assert of(bars, told=told.head(104))["basis"].to_list() == ["daily_bars"]
    assert of(bars, told=told.head(105))["basis"].to_list() == ["quotes"]


def test_quotes_of_strangers_and_after_the_close_count_for_nothing() -> None:
    told = quoted()
    stranger = told.with_columns(symbol=pl.lit("ZZZ"), ask=pl.col("ask") * 2)
    late = told.with_columns(pl.col("knowable_at") + pl.duration(days=1), ask=pl.col("ask") * 2)
    assert of(steady(), told=pl.concat([told, stranger])).equals(of(steady(), told=told))
    assert of(steady(), told=late).equals(of(steady()))


# --- shape, splits, bits -------------------------------------------------------------------------------------------


@given(st.integers(0, 10_000), st.integers(1, 79), st.sampled_from([2.0, 4.0, 0.5]))
@settings(deadline=None, max_examples=20)
def test_a_split_changes_nothing(seed: int, place: int, ratio: float) -> None:
    """Ratios are powers of two, so that dividing is exact and bits can be compared."""
    whole = walk("AAA", 80, seed=seed)
    day = whole["session"][place]
    assert of(split_at(whole, day, ratio), splits_of(("AAA", day, ratio))).equals(of(whole))


def test_an_unrecorded_split_does_change_something() -> None:
    whole = walk("AAA", 80, seed=1)
    day = whole["session"][40]
    assert not of(split_at(whole, day, 2.0)).equals(of(whole))


@given(markets(sessions_max=120), st.data())
@settings(deadline=None, max_examples=20)
def test_any_part_with_its_history_is_the_whole_to_the_bit(market: Market, data: st.DataObject) -> None:
    bars, actions = market
    days = bars["session"].unique().sort().to_list()
    first = data.draw(st.integers(0, len(days) - 1))
    last = data.draw(st.integers(first, len(days) - 1))
    span = Span(days[first], days[last])
    known = pl.col("session").is_between(XNYS.previous(span.first, HISTORY).day, span.last)
    part = liquidity(bars.filter(known), actions.filter(known), NO_QUOTES, span=span)
    inside = pl.col("session").is_between(span.first, span.last)
    assert part.equals(of(bars, actions).filter(inside), null_equal=True)


@given(markets(sessions_max=90), st.data())
@settings(deadline=None, max_examples=15)
def test_altering_the_future_changes_nothing(market: Market, data: st.DataObject) -> None:
    bars, actions = market
    days = bars["session"].unique().sort().to_list()
    day = days[data.draw(st.integers(0, len(days) - 2))]
    past = pl.col("session") <= day
    changed = scrambled_after(bars, day, seed=data.draw(st.integers(0, 999)))
    other = pl.concat([actions.filter(past), splits_of(("AAA", days[-1], 5.0))])
    truth = of(bars, actions).filter(past)
    assert liquidity(changed, other, NO_QUOTES, span=span_of(bars)).filter(past).equals(truth, null_equal=True)


def test_real_bars_agree_with_loops_over_lists() -> None:
    bars, actions = embedded()
    for year in range(2000, 2013):
        span = Span(date(year, 3, 1), date(year, 12, 31))
        rows = liquidity(bars, actions, NO_QUOTES, span=span)
        assert liquidity_disagreements(bars, actions, NO_QUOTES, rows, span=span) == ()


def test_every_bar_has_a_row_and_undefined_values_are_empty() -> None:
    bars, actions = embedded()
    rows = of(bars, actions)
    assert rows.select("session", "symbol", "knowable_at").equals(bars.select("session", "symbol", "knowable_at"))
    for name in NAMES:
        assert rows[name].drop_nulls().is_finite().all(), name
        assert (rows[name].drop_nulls() >= 0).all(), name


@pytest.mark.parametrize("column", ["high", "low", "close", "volume"])
@pytest.mark.parametrize("value", [math.nan, -1.0, math.inf])
def test_an_unusable_bar_has_no_row(column: str, value: float) -> None:
    bars = steady()
    bad = pl.when(pl.col("session") == DAYS[30]).then(value).otherwise(pl.col(column)).alias(column)
    without = bars.filter(pl.col("session") != DAYS[30])
    assert of(bars.with_columns(bad)).equals(of(without))


def test_the_order_of_rows_does_not_matter() -> None:
    bars, told = pl.concat([steady(), walk("BBB", 60, seed=2, first=DAYS[0])]), quoted()
    shuffled = of(bars.sample(fraction=1.0, shuffle=True, seed=1), told=told.reverse())
    assert shuffled.equals(of(bars, told=told))


def test_no_bars_give_no_rows() -> None:
    span = Span(DAYS[0], DAYS[5])
    assert liquidity(DAILY_BARS.empty(), NONE, NO_QUOTES, span=span).equals(LIQUIDITY.empty())
    weekend = Span(date(2012, 9, 8), date(2012, 9, 9))
    assert liquidity(steady(), NONE, NO_QUOTES, span=weekend).equals(LIQUIDITY.empty())


def test_a_bar_of_a_closed_day_is_refused() -> None:
    bars = steady()
    sunday = bars.tail(1).with_columns(session=pl.lit(date(2012, 9, 9)))
    with pytest.raises(NotASession):
        of(pl.concat([bars, sunday]))


def test_the_first_session_of_the_calendar_has_no_history_to_read() -> None:
    days = days_from(3, XNYS.first)
    assert of(steady(days)).height == 3
    assert days[0] - XNYS.first < timedelta(days=5)
