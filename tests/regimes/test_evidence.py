"""The equal-weighted market: whose moves it is made of."""

import math
from datetime import date

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.features import textbook
from tests.features.frames import bars_of, days_from, embedded, from_returns, markets, splits_of, walk
from trading_assets.regimes.evidence import MEASURES, Evidence, market_evidence, market_index, symbol_evidence

LAST = date(2028, 12, 29)
Market = tuple[pl.DataFrame, pl.DataFrame]


def index_of(bars: pl.DataFrame, actions: pl.DataFrame) -> pl.DataFrame:
    return market_index(bars, actions, last=LAST)


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
    both = pl.concat([one, one.with_columns(symbol=pl.lit("BBB"))])
    single = symbol_evidence(one, splits_of(), last=LAST)
    market = market_evidence(both, splits_of(), last=LAST)
    for name, begin, rtol in (("volatility", 15, 1e-9), ("trend_strength", 30, 1e-9), ("adx_14", 200, 1e-3)):
        np.testing.assert_allclose(market.line(name)[begin:], single.line(name)[begin + 1 :], rtol=rtol, atol=1e-9)


def test_climbing_needs_a_price_above_a_rising_mean() -> None:
    rising = climbs_of(from_returns("AAA", np.full(100, 0.004)))
    assert set(rising[-30:]) == {1.0}
    assert set(rising[:59]) == {0.0}
    turned = from_returns("AAA", np.concatenate([np.full(90, 0.004), np.full(10, -0.03)]))
    assert climbs_of(turned)[-1] == 0.0


def climbs_of(bars: pl.DataFrame) -> list[float]:
    climbs: list[float] = symbol_evidence(bars, splits_of(), last=LAST).line("climbs").tolist()
    return climbs


def test_no_bars_make_no_evidence() -> None:
    nothing = walk("AAA", 2, seed=1).clear()
    assert symbol_evidence(nothing, splits_of(), last=LAST).rows.is_empty()
    assert market_evidence(nothing, splits_of(), last=LAST).rows.is_empty()


def written_out(bars: pl.DataFrame) -> dict[str, list[float]]:
    """The measures of one symbol from their definitions."""
    high, low, close = (bars[name].to_list() for name in ("high", "low", "close"))
    returns = textbook.log_steps(close)
    spread, mean = textbook.deviation(returns, 30), textbook.sma(close, 50)
    moved = [math.fsum(returns[i - 29 : i + 1]) if i >= 30 else math.nan for i in range(len(close))]
    return {
        "volatility": textbook.deviation(returns, 15),
        "trend_strength": [m / (s * math.sqrt(30)) for m, s in zip(moved, spread, strict=True)],
        "adx_14": textbook.adx(high, low, 14, first_sum=13),
        "climbs": [
            float(i >= 59 and price > average > mean[i - 10])
            for i, (price, average) in enumerate(zip(close, mean, strict=True))
        ],
    }


@given(st.integers(0, 999), st.integers(1, 400))
@settings(deadline=None, max_examples=20)
def test_every_measure_agrees_with_its_definition_at_any_length(seed: int, count: int) -> None:
    bars = walk("AAA", count, seed=seed)
    evidence = symbol_evidence(bars, splits_of(), last=LAST)
    expected = written_out(bars)
    assert set(expected) == set(MEASURES)
    for name, line in expected.items():
        np.testing.assert_allclose(evidence.line(name), np.array(line), rtol=1e-9, atol=1e-12, err_msg=name)


@given(markets(sessions_max=120))
@settings(deadline=None, max_examples=15)
def test_each_symbols_evidence_is_what_it_is_alone(market: Market) -> None:
    bars, actions = market
    together = symbol_evidence(bars, actions, last=LAST)
    for symbol, rows in zip(bars["symbol"].unique().sort(), together.of_symbols(), strict=True):
        alone = symbol_evidence(bars.filter(pl.col("symbol") == symbol), actions, last=LAST)
        assert together.rows[rows].equals(alone.rows)
        assert np.ascontiguousarray(together.values[:, rows]).tobytes() == alone.values.tobytes()


def ranked(values: list[float], longest: int, least: int) -> list[float]:
    rows = pl.DataFrame({"session": range(len(values))})
    line = np.array([values, values, values, values])
    order, starts = np.arange(len(values)), np.array([0, len(values)])
    ranks: list[float] = Evidence(rows, order, starts, line).percentiles(longest, least).tolist()
    return ranks


def by_definition(values: list[float], place: int, longest: int, least: int) -> float:
    window = [v for v in values[max(place + 1 - longest, 0) : place + 1] if not math.isnan(v)]
    if math.isnan(values[place]) or len(window) < least:
        return math.nan
    below, equal = (sum(test) for test in ([v < values[place] for v in window], [v == values[place] for v in window]))
    return (below + equal / 2) / len(window)


@given(st.lists(st.sampled_from([1.0, 2.0, 3.0, 4.0, math.nan]), min_size=1, max_size=60), st.integers(1, 20))
@settings(deadline=None, max_examples=25)
def test_a_percentile_is_the_mid_rank_of_the_numbers_in_its_window(values: list[float], longest: int) -> None:
    least = 1 + longest // 3
    expected = [by_definition(values, place, longest, least) for place in range(len(values))]
    assert ranked(values, longest, least) == pytest.approx(expected, nan_ok=True, rel=1e-15)
