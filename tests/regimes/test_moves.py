"""Daily moves: splits are no moves, MARKET is the mean of those who traded twice, and later rows change nothing."""

import math
from datetime import date

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.features.frames import bars_of, days_from, embedded, markets, scrambled_after, splits_of, walk
from trading_assets.regimes.model import MARKET
from trading_assets.regimes.moves import daily_moves, volatility_and_trend

LAST = date(2028, 12, 29)
Market = tuple[pl.DataFrame, pl.DataFrame]


def closes(symbol: str, *prices: float) -> pl.DataFrame:
    line = np.array(prices, dtype=np.float64)
    return bars_of(symbol, days_from(line.size), line, line, line, np.full(line.size, 100.0))


def moves_of(bars: pl.DataFrame, actions: pl.DataFrame, symbol: str) -> list[float | None]:
    return daily_moves(bars, actions, last=LAST).filter(pl.col("symbol") == symbol)["move"].to_list()


def test_a_move_is_the_log_of_close_over_close() -> None:
    assert moves_of(closes("AAA", 10, 11, 9.9), splits_of(), "AAA") == [
        None,
        pytest.approx(math.log(1.1)),
        pytest.approx(math.log(0.9)),
    ]


def test_a_split_is_no_move_even_if_its_day_has_no_bar() -> None:
    days = days_from(4)
    bars = closes("AAA", 10, 10, 10, 5).filter(pl.col("session") != days[2])
    for ex_date in days[2:]:
        assert moves_of(bars, splits_of(("AAA", ex_date, 2.0)), "AAA") == [None, 0.0, 0.0]


def test_two_splits_between_two_bars_multiply() -> None:
    days = days_from(4)
    bars = closes("AAA", 60, 60, 60, 10).filter(pl.col("session") != days[2])
    assert moves_of(bars, splits_of(("AAA", days[2], 2.0), ("AAA", days[3], 3.0)), "AAA") == [None, 0.0, 0.0]


def test_a_split_of_another_symbol_and_one_before_the_first_bar_do_nothing() -> None:
    bars = closes("AAA", 10, 10)
    others = splits_of(("BBB", days_from(2)[1], 2.0), ("AAA", days_from(1)[0], 5.0))
    assert moves_of(bars, others, "AAA") == [None, 0.0]


def test_the_market_is_the_mean_of_symbols_with_a_bar_in_this_session_and_the_one_before() -> None:
    days = days_from(3)
    late = closes("BBB", 10, 10, 30).filter(pl.col("session") != days[0])
    both = pl.concat([closes("AAA", 10, 20, 20), late])
    assert moves_of(both, splits_of(), MARKET) == [pytest.approx(math.log(2)), pytest.approx(math.log(2))]


def test_volatility_and_trend_are_those_of_their_definitions() -> None:
    moves = np.random.default_rng(1).normal(0.001, 0.01, 60)
    volatility, trend = volatility_and_trend(moves)
    assert volatility[40] == pytest.approx(moves[26:41].std(ddof=1))
    assert trend[40] == pytest.approx(moves[11:41].sum() / (moves[11:41].std(ddof=1) * math.sqrt(30)))
    assert np.isnan(volatility[:14]).all()
    assert np.isnan(trend[:29]).all()
    assert not np.isnan(trend[29:]).any()
    assert volatility_and_trend(np.zeros(40))[1][39] == 0.0


@given(markets(sessions_max=120), st.data())
@settings(deadline=None, max_examples=20)
def test_later_bars_and_splits_change_no_earlier_bit(market: Market, data: st.DataObject) -> None:
    bars, actions = market
    days = bars["session"].unique().sort().to_list()
    day = days[data.draw(st.integers(1, len(days) - 2))]
    past = pl.col("session") <= day
    other = pl.concat([actions.filter(past), splits_of(("AAA", days[-1], 7.0))])
    whole = daily_moves(bars, actions, last=LAST).filter(past)
    assert daily_moves(scrambled_after(bars, day, seed=3), other, last=LAST).filter(past).equals(whole)
    assert daily_moves(bars, actions, last=day).equals(whole)


@given(markets(sessions_max=80))
@settings(deadline=None, max_examples=15)
def test_every_bar_has_a_row_and_keeps_the_instant_from_which_it_is_known(market: Market) -> None:
    bars, actions = market
    moves = daily_moves(bars.sample(fraction=1.0, shuffle=True, seed=2), actions, last=LAST)
    own = moves.filter(pl.col("symbol") != MARKET)
    assert own.height == bars.height
    assert own.join(bars, on=["symbol", "session", "knowable_at"], how="anti").is_empty()
    assert own["move"].null_count() == bars["symbol"].n_unique()
    assert moves.filter(pl.col("symbol") == MARKET)["move"].null_count() == 0


def test_unusable_bars_are_left_out() -> None:
    bars = walk("AAA", 5, seed=1)
    broken = bars.with_columns(
        pl.when(pl.int_range(pl.len()) == 2).then(math.nan).otherwise(pl.col("close")).alias("close")
    )
    assert daily_moves(broken, splits_of(), last=LAST).filter(pl.col("symbol") == "AAA").height == 4


def test_real_splits_leave_no_move_beyond_those_that_were_real() -> None:
    """AAPL fell 51.9 % on 2000-09-29; three splits of 2 would each be -69 % as a log."""
    moves = daily_moves(*embedded(), last=LAST).drop_nulls("move")
    assert moves.filter(pl.col("move").abs() > 0.5)["session"].unique().to_list() == [date(2000, 9, 29)]
