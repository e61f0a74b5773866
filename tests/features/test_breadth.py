"""Breadth: counts that add up, and what counts as a move."""

from datetime import date

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings

from tests.features.frames import bars_of, days_from, embedded, markets, span_of, splits_of, walk
from trading_assets.core.ports import Span
from trading_assets.features.breadth import breadth
from trading_assets.features.indicators import indicator_panel
from trading_assets.features.model import BREADTH
from trading_assets.features.relatives import session_sums

Market = tuple[pl.DataFrame, pl.DataFrame]


def breadth_of(bars: pl.DataFrame, actions: pl.DataFrame, span: Span | None = None) -> pl.DataFrame:
    span = span or span_of(bars)
    return breadth(bars, actions, indicator_panel(bars, actions, span=span), span=span)


def closes(symbol: str, *prices: float, volume: float = 100.0) -> pl.DataFrame:
    line = np.array(prices, dtype=np.float64)
    return bars_of(symbol, days_from(len(prices)), line * 1.01, line * 0.99, line, np.full(line.size, volume))


@given(markets())
@settings(deadline=None, max_examples=30)
def test_counts_add_up_and_shares_are_fractions(market: Market) -> None:
    bars, actions = market
    table = breadth_of(bars, actions)
    assert table["session"].to_list() == bars["session"].unique().sort().to_list()
    assert (table["advances"] + table["declines"] <= table["symbols"]).all()
    assert (table["symbols"] <= bars["symbol"].n_unique()).all()
    assert (table.select(pl.col("advances", "declines", "new_highs_252", "new_lows_252").min() >= 0)).row(0) == (
        True,
    ) * 4
    for name in ("up_volume_share", "above_sma_50_share", "above_sma_200_share"):
        assert table[name].drop_nulls().is_between(0, 1).all()


def test_each_symbol_counts_once_as_up_down_or_unchanged() -> None:
    bars = pl.concat([closes("UP", 10, 11, volume=300.0), closes("DOWN", 10, 9), closes("SAME", 10, 10, volume=200.0)])
    row = breadth_of(bars, splits_of()).row(-1, named=True)
    assert (row["symbols"], row["advances"], row["declines"]) == (3, 1, 1)
    assert row["up_volume_share"] == 0.5


def test_the_first_session_has_no_move_and_no_shares() -> None:
    row = breadth_of(closes("AAA", 10, 11), splits_of()).row(0, named=True)
    assert (row["symbols"], row["advances"], row["declines"]) == (0, 0, 0)
    assert (row["up_volume_share"], row["above_sma_50_share"], row["above_sma_200_share"]) == (None, None, None)


def test_a_split_is_neither_an_advance_nor_a_decline() -> None:
    ex_date = days_from(2)[1]
    split = splits_of(("AAA", ex_date, 2.0))
    unchanged = breadth_of(closes("AAA", 10, 5), split).row(-1, named=True)
    assert (unchanged["symbols"], unchanged["advances"], unchanged["declines"]) == (1, 0, 0)
    risen = breadth_of(closes("AAA", 10, 5.5), split).row(-1, named=True)
    assert (risen["advances"], risen["declines"]) == (1, 0)


def test_a_symbol_that_missed_the_session_before_is_not_counted() -> None:
    whole = closes("AAA", 10, 11, 12)
    gap = pl.concat([whole.filter(pl.col("session") != days_from(3)[1]), closes("BBB", 10, 11, 12)])
    assert breadth_of(gap, splits_of())["symbols"].to_list() == [0, 1, 1]


def test_new_highs_and_lows_need_a_full_year_of_bars() -> None:
    rising = closes("AAA", *np.linspace(100, 200, 260))
    falling = closes("BBB", *np.linspace(200, 100, 260))
    table = breadth_of(pl.concat([rising, falling]), splits_of())
    assert table["new_highs_252"].to_list() == [0] * 251 + [1] * 9
    assert table["new_lows_252"].to_list() == [0] * 251 + [1] * 9


def test_a_share_above_a_mean_counts_only_symbols_that_have_the_mean() -> None:
    old = closes("AAA", *np.linspace(100, 200, 60))
    young = walk("BBB", 20, seed=1, first=days_from(60)[40])
    row = breadth_of(pl.concat([old, young]), splits_of()).row(-1, named=True)
    assert row["symbols"] == 2
    assert (row["above_sma_50_share"], row["above_sma_200_share"]) == (1.0, None)


def test_the_row_is_knowable_when_its_last_bar_is() -> None:
    bars = pl.concat([closes("AAA", 10, 11), closes("BBB", 10, 11)])
    assert breadth_of(bars, splits_of())["knowable_at"].equals(bars["knowable_at"].unique().sort())


def test_history_before_the_span_is_needed_only_for_the_session_before() -> None:
    bars, actions = embedded()
    days = bars["session"].unique().sort()
    span = Span(date(2010, 1, 4), date(2010, 3, 31))
    indicators = indicator_panel(bars, actions, span=span)
    recent = bars.filter(pl.col("session") >= days[days.index_of(span.first) - 1])  # type: ignore[operator]
    assert breadth(recent, actions, indicators, span=span).equals(breadth(bars, actions, indicators, span=span))


def test_breadth_on_real_bars_agrees_with_counting_by_hand() -> None:
    bars, actions = embedded()
    day, before = date(2008, 10, 13), date(2008, 10, 10)
    closing = {row["symbol"]: row["close"] for row in bars.filter(pl.col("session") == before).iter_rows(named=True)}
    today = bars.filter(pl.col("session") == day)
    up = [row for row in today.iter_rows(named=True) if row["close"] > closing[row["symbol"]]]
    row = breadth_of(bars, actions, Span(day, day)).row(0, named=True)
    assert (row["symbols"], row["advances"]) == (4, len(up))
    assert row["up_volume_share"] == pytest.approx(sum(r["volume"] for r in up) / today["volume"].sum(), rel=1e-15)


def test_sums_add_in_row_order_and_leave_empty_sessions_at_zero() -> None:
    days = pl.Series(days_from(3))
    values = pl.Series([1e16, 1.0, 1.0, 5.0])
    rows = pl.Series([days[0], days[0], days[0], days[2]])
    assert session_sums(days, rows, values).to_list() == [(1e16 + 1.0) + 1.0, 0.0, 5.0]


def test_no_bars_give_no_rows() -> None:
    bars = closes("AAA", 10, 11)
    assert breadth_of(bars.clear(), splits_of(), span_of(bars)).equals(BREADTH.empty())
