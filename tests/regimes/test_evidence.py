"""The equal-weighted market: whose moves it is made of."""

from datetime import date

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.features.frames import bars_of, days_from, embedded, from_returns, markets, splits_of, walk
from trading_assets.features.epochs import usable_bars
from trading_assets.regimes.evidence import market_evidence, market_index, symbol_evidence

LAST = date(2028, 12, 29)
Market = tuple[pl.DataFrame, pl.DataFrame]


def index_of(bars: pl.DataFrame, actions: pl.DataFrame) -> pl.DataFrame:
    return market_index(usable_bars(bars, last=LAST), actions)


def closes(symbol: str, *prices: float) -> pl.DataFrame:
    line = np.array(prices, dtype=np.float64)
    return bars_of(symbol, days_from(line.size), line * 1.02, line * 0.99, line, np.full(line.size, 100.0))


def test_the_index_moves_by_the_mean_move_whatever_the_price_or_volume() -> None:
    index = index_of(pl.concat([closes("CHEAP", 1, 1.1, 1.1), closes("DEAR", 900, 900, 990)]), splits_of())
    assert index["close"].to_list() == pytest.approx([105.0, 110.25])
    assert index["symbols"].to_list() == [2, 2]


def test_the_index_range_is_the_mean_range_over_the_close_before() -> None:
    index = index_of(pl.concat([closes("AAA", 10, 11), closes("BBB", 10, 9)]), splits_of())
    assert index["high"].to_list() == pytest.approx([100 * 1.02 * (1.1 + 0.9) / 2])
    assert index["low"].to_list() == pytest.approx([100 * 0.99 * (1.1 + 0.9) / 2])


def test_the_index_of_one_symbol_is_its_price_over_its_first_close() -> None:
    bars = walk("AAA", 300, seed=1)
    index = index_of(bars, splits_of())
    for name in ("high", "low", "close"):
        expected = bars[name][1:] / bars["close"][0] * 100
        np.testing.assert_allclose(index[name].to_numpy(), expected.to_numpy(), rtol=1e-12)


def test_a_split_does_not_move_the_index() -> None:
    ex_date = days_from(2)[1]
    bars = pl.concat([closes("AAA", 10, 5), closes("BBB", 10, 10)])
    assert index_of(bars, splits_of(("AAA", ex_date, 2.0)))["close"].to_list() == [100.0]


def test_only_symbols_with_a_bar_in_both_sessions_move_the_index() -> None:
    days = days_from(3)
    late = closes("BBB", 10, 10, 20).filter(pl.col("session") != days[0])
    index = index_of(pl.concat([closes("AAA", 10, 10, 10), late]), splits_of())
    assert index["symbols"].to_list() == [1, 2]
    assert index["close"].to_list() == pytest.approx([100.0, 150.0])


def test_a_symbol_that_joins_later_leaves_earlier_sessions_to_the_bit() -> None:
    bars, actions = embedded()
    flotation = date(2004, 8, 19)
    without = index_of(bars.filter(pl.col("symbol") != "GOOG"), actions).filter(pl.col("session") <= flotation)
    assert index_of(bars, actions).filter(pl.col("session") <= flotation).equals(without)


@given(markets())
@settings(deadline=None, max_examples=25)
def test_the_index_is_positive_and_its_close_lies_within_its_range(market: Market) -> None:
    index = index_of(*market)
    assert (index["low"] > 0).all()
    assert (index["low"] <= index["close"] * (1 + 1e-12)).all()
    assert (index["close"] <= index["high"] * (1 + 1e-12)).all()


@given(st.integers(0, 999))
@settings(deadline=None, max_examples=15)
def test_equal_symbols_make_a_market_that_looks_like_each_of_them(seed: int) -> None:
    """The index begins one bar later, which the smoothed ADX forgets within two hundred bars."""
    one = walk("AAA", 300, seed=seed)
    both = usable_bars(pl.concat([one, one.with_columns(symbol=pl.lit("BBB"))]), last=LAST)
    single = symbol_evidence(usable_bars(one, last=LAST), splits_of())[1:]
    market = market_evidence(both, splits_of())
    for name, begin, rtol in (("volatility", 15, 1e-9), ("trend_strength", 30, 1e-9), ("adx_14", 200, 1e-3)):
        np.testing.assert_allclose(
            market[name][begin:].to_numpy(), single[name][begin:].to_numpy(), rtol=rtol, atol=1e-9
        )


def test_climbing_needs_a_price_above_a_rising_mean() -> None:
    rising = symbol_evidence(usable_bars(from_returns("AAA", np.full(100, 0.004)), last=LAST), splits_of())
    assert rising["climbs"].tail(30).unique().to_list() == [1.0]
    assert rising["climbs"].head(59).unique().to_list() == [0.0]
    turned = from_returns("AAA", np.concatenate([np.full(90, 0.004), np.full(10, -0.03)]))
    assert symbol_evidence(usable_bars(turned, last=LAST), splits_of())["climbs"][-1] == 0.0


def test_no_bars_make_no_evidence() -> None:
    nothing = usable_bars(walk("AAA", 2, seed=1).clear(), last=LAST)
    assert symbol_evidence(nothing, splits_of()).is_empty()
    assert market_evidence(nothing, splits_of()).is_empty()
