"""F5 and F6: a value is the same to the last bit however it is asked for, and whatever comes after it."""

from collections.abc import Callable
from datetime import date

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.features.frames import embedded, markets, scrambled_after, span_of, splits_of, walk
from trading_assets.core.ports import Span
from trading_assets.features.breadth import breadth
from trading_assets.features.indicators import indicator_panel

Market = tuple[pl.DataFrame, pl.DataFrame]
Feature = Callable[[pl.DataFrame, pl.DataFrame, Span], pl.DataFrame]


def panel(bars: pl.DataFrame, actions: pl.DataFrame, span: Span) -> pl.DataFrame:
    return indicator_panel(bars, actions, span=span)


def participation(bars: pl.DataFrame, actions: pl.DataFrame, span: Span) -> pl.DataFrame:
    return breadth(bars, actions, indicator_panel(bars, actions, span=span), span=span)


both = pytest.mark.parametrize("feature", [panel, participation])


def known_on(bars: pl.DataFrame, actions: pl.DataFrame, day: date) -> Market:
    return bars.filter(pl.col("session") <= day), actions.filter(pl.col("session") <= day)


def days_of(bars: pl.DataFrame) -> list[date]:
    return bars["session"].unique().sort().to_list()


@both
@given(markets(), st.data())
@settings(deadline=None, max_examples=25)
def test_two_halves_are_the_whole_to_the_bit(feature: Feature, market: Market, data: st.DataObject) -> None:
    bars, actions = market
    days = days_of(bars)
    cut = data.draw(st.integers(1, len(days) - 1))
    earlier, later = Span(days[0], days[cut - 1]), Span(days[cut], days[-1])
    halves = [feature(*known_on(bars, actions, days[cut - 1]), earlier), feature(bars, actions, later)]
    assert pl.concat(halves).equals(feature(bars, actions, span_of(bars)), null_equal=True)


@both
@given(markets(sessions_max=280))
@settings(deadline=None, max_examples=10)
def test_one_session_at_a_time_is_the_whole_to_the_bit(feature: Feature, market: Market) -> None:
    bars, actions = market
    days = days_of(bars)[-25:]
    single = [feature(*known_on(bars, actions, day), Span(day, day)) for day in days]
    assert pl.concat(single).equals(feature(bars, actions, Span(days[0], days[-1])), null_equal=True)


@both
@given(markets(), st.data())
@settings(deadline=None, max_examples=25)
def test_altering_the_future_changes_nothing(feature: Feature, market: Market, data: st.DataObject) -> None:
    """Later prices move, later bars vanish, a split is announced: rows up to the session stay as they were."""
    bars, actions = market
    days = days_of(bars)
    day = days[data.draw(st.integers(0, len(days) - 2))]
    changed = scrambled_after(bars, day, seed=data.draw(st.integers(0, 999)))
    announced = splits_of(("AAA", days[-1], 5.0)) if days[-1] > day else splits_of()
    other = pl.concat([actions.filter(pl.col("session") <= day), announced])
    past = pl.col("session") <= day
    original = feature(bars, actions, span_of(bars)).filter(past)
    assert feature(changed, other, Span(days[0], days[-1])).filter(past).equals(original, null_equal=True)


@both
@given(markets(), st.integers(0, 99))
@settings(deadline=None, max_examples=15)
def test_the_order_of_rows_does_not_matter(feature: Feature, market: Market, seed: int) -> None:
    bars, actions = market
    shuffled = bars.sample(fraction=1.0, shuffle=True, seed=seed)
    assert feature(shuffled, actions.reverse(), span_of(bars)).equals(feature(bars, actions, span_of(bars)))


@given(markets())
@settings(deadline=None, max_examples=15)
def test_another_symbol_changes_no_indicator(market: Market) -> None:
    bars, actions = market
    more = pl.concat([bars, walk("AAB", 200, seed=5), walk("ZZZ", 200, seed=6)])
    beside = panel(more, actions, span_of(bars)).filter(pl.col("symbol").is_in(bars["symbol"].unique().implode()))
    assert beside.equals(panel(bars, actions, span_of(bars)))


@both
@pytest.mark.parametrize(
    "day", [date(2000, 6, 21), date(2003, 2, 18), date(2004, 8, 19), date(2005, 2, 28), date(2012, 5, 18)]
)
def test_real_bars_give_the_same_bits_on_their_own_day_as_in_thirteen_years(feature: Feature, day: date) -> None:
    """The days are the splits of AAPL and MSFT and the first sessions of GOOG and FB."""
    bars, actions = embedded()
    days = [session for session in days_of(bars) if session >= day][:5]
    whole = feature(bars, actions, span_of(bars)).filter(pl.col("session").is_in(days))
    single = [feature(*known_on(bars, actions, one), Span(one, one)) for one in days]
    assert pl.concat(single).equals(whole, null_equal=True)
