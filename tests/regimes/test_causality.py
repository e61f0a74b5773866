"""F5 and F6 for regimes: the same labels however they are asked for, and whatever comes after."""

from datetime import date

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.features.frames import embedded, markets, scrambled_after, span_of, splits_of
from trading_assets.core.ports import Span
from trading_assets.regimes.model import REGIME_LABELS
from trading_assets.regimes.rules import regime_labels

Market = tuple[pl.DataFrame, pl.DataFrame]
long_markets = markets(sessions_min=290, sessions_max=340)


def days_of(bars: pl.DataFrame) -> list[date]:
    return bars["session"].unique().sort().to_list()


def labels_until(market: Market, day: date, span: Span) -> pl.DataFrame:
    """The labels of the span from what was known on `day`."""
    bars, actions = market
    known = pl.col("session") <= day
    return regime_labels(bars.filter(known), actions.filter(known), span=span)


@given(long_markets, st.data())
@settings(deadline=None, max_examples=15)
def test_two_halves_are_the_whole_to_the_bit(market: Market, data: st.DataObject) -> None:
    days = days_of(market[0])
    cut = data.draw(st.integers(260, len(days) - 1))
    earlier = labels_until(market, days[cut - 1], Span(days[0], days[cut - 1]))
    later = regime_labels(*market, span=Span(days[cut], days[-1]))
    whole = regime_labels(*market, span=Span(days[0], days[-1]))
    assert pl.concat([earlier, later]).equals(whole, null_equal=True)
    assert whole.height > 0


@given(long_markets)
@settings(deadline=None, max_examples=6)
def test_one_session_at_a_time_is_the_whole_to_the_bit(market: Market) -> None:
    days = days_of(market[0])[-20:]
    single = [labels_until(market, day, Span(day, day)) for day in days]
    assert pl.concat(single).equals(regime_labels(*market, span=Span(days[0], days[-1])), null_equal=True)


@given(long_markets, st.data())
@settings(deadline=None, max_examples=15)
def test_altering_the_future_changes_nothing(market: Market, data: st.DataObject) -> None:
    bars, actions = market
    days = days_of(bars)
    day = days[data.draw(st.integers(270, len(days) - 2))]
    changed = scrambled_after(bars, day, seed=data.draw(st.integers(0, 999)))
    past = pl.col("session") <= day
    other = pl.concat([actions.filter(past), splits_of(("AAA", days[-1], 5.0))])
    original = regime_labels(bars, actions, span=Span(days[0], days[-1])).filter(past)
    assert regime_labels(changed, other, span=Span(days[0], days[-1])).filter(past).equals(original, null_equal=True)


@pytest.mark.parametrize("day", [date(2003, 2, 18), date(2004, 8, 20), date(2005, 2, 28), date(2008, 10, 10)])
def test_real_bars_give_the_same_labels_on_their_own_day_as_in_thirteen_years(day: date) -> None:
    market = embedded()
    days = [session for session in days_of(market[0]) if session >= day][:5]
    single = [labels_until(market, one, Span(one, one)) for one in days]
    whole = regime_labels(*market, span=span_of(market[0])).filter(pl.col("session").is_in(days))
    assert pl.concat(single).equals(whole, null_equal=True)


def test_a_real_split_changes_no_regime_at_its_ex_date() -> None:
    bars, actions = embedded()
    ex_date = date(2005, 2, 28)
    labels = regime_labels(bars, actions, span=Span(date(2005, 2, 1), date(2005, 3, 31))).filter(
        pl.col("symbol") == "AAPL"
    )
    at = labels.filter(pl.col("session") == ex_date).row(0, named=True)
    before = labels.filter(pl.col("session") < ex_date).row(-1, named=True)
    assert at["regime"] == before["regime"]
    assert abs(at["volatility_percentile"] - before["volatility_percentile"]) < 0.2
    assert abs(at["trend_strength"] - before["trend_strength"]) < 0.5


def test_the_order_of_rows_does_not_matter() -> None:
    bars, actions = embedded()
    span = Span(date(2009, 1, 2), date(2009, 12, 31))
    shuffled = bars.sample(fraction=1.0, shuffle=True, seed=1)
    assert regime_labels(shuffled, actions.reverse(), span=span).equals(regime_labels(bars, actions, span=span))


def test_no_bars_give_no_labels() -> None:
    bars, actions = embedded()
    assert regime_labels(bars.clear(), actions, span=span_of(bars)).equals(REGIME_LABELS.empty())
