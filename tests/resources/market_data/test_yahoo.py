"""Yahoo over the real wire: unmodified yfinance, real TLS, real host names, a server on this machine."""

import itertools
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.market_data.yahoo import YahooMarketData
from resources.market_data.yahoo_wire import Patience
from tests.market.frames import SHARED
from tests.resources.market_data.listings import APPLE, FIRST, LAST, SPLIT_DAY
from tests.resources.market_data.yahoo_server import Listing, LoopbackYahoo, Traded
from trading_assets.core.calendar import XNYS
from trading_assets.core.ports import Span
from trading_assets.market.ingest import collect_bars
from trading_assets.market.model import Frequency
from trading_assets.market.ports import (
    EmptyAnswer,
    MalformedAnswer,
    ProviderUnavailable,
    UnknownSymbol,
    UnsupportedRequest,
)

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:yfinance")
Desk = Callable[..., YahooMarketData]
WHOLE = Span(FIRST, LAST)
JUNE = Span(date(2014, 6, 5), date(2014, 6, 10))


def traded(bars: tuple[Traded, ...] | list[Traded], first: date, last: date) -> list[tuple[float, float, float]]:
    return [(bar.open, bar.close, bar.volume) for bar in bars if first <= bar.start.date() <= last]


def delivered(frame: pl.DataFrame) -> list[tuple[float, float, float]]:
    return frame.select("open", "close", "volume").rows()


def test_daily_bars_come_back_as_they_were_traded(desk: Desk) -> None:
    assert delivered(desk().bars("AAPL", "1d", WHOLE)) == traded(list(APPLE.bars["1d"]), FIRST, LAST)


def test_a_span_that_ends_before_a_split_is_undone_by_the_split_after_it(desk: Desk) -> None:
    before = Span(date(2014, 5, 1), date(2014, 5, 30))
    assert delivered(desk().bars("AAPL", "1d", before)) == traded(list(APPLE.bars["1d"]), before.first, before.last)


def test_the_request_reaches_from_the_span_to_the_moment_of_asking(desk: Desk, yahoo: LoopbackYahoo) -> None:
    desk().bars("AAPL", "1d", Span(date(2014, 5, 1), date(2014, 5, 2)))
    asked = [request for request in yahoo.requests if "period1" in request][-1]
    days = (int(asked["period2"]) - int(asked["period1"])) / 86_400
    assert days == pytest.approx((date(2014, 7, 4) - date(2014, 5, 1)).days)


def test_fetched_before_and_after_a_split_a_session_is_the_same(desk: Desk, yahoo: LoopbackYahoo) -> None:
    early = Span(FIRST, date(2014, 6, 6))
    after = desk().bars("AAPL", "1d", early)
    known_before = tuple(bar for bar in APPLE.bars["1d"] if bar.start.date() < SPLIT_DAY)
    yahoo.listings = {"AAPL": Listing({"1d": known_before})}
    before = desk(datetime(2014, 6, 6, 21, 0, tzinfo=UTC)).bars("AAPL", "1d", early)
    assert before.equals(after)


@pytest.mark.parametrize(
    ("frequency", "first"), [("1h", date(2014, 4, 1)), ("5m", date(2014, 5, 19)), ("1m", date(2014, 6, 4))]
)
def test_intraday_bars_come_back_as_they_were_traded(desk: Desk, frequency: Frequency, first: date) -> None:
    frame = desk().bars("AAPL", frequency, Span(first, LAST))
    assert delivered(frame) == traded(list(APPLE.bars[frequency]), first, LAST)


def test_minutes_are_asked_for_in_parts_that_yahoo_accepts(desk: Desk, yahoo: LoopbackYahoo) -> None:
    desk().bars("AAPL", "1m", Span(date(2014, 6, 4), LAST))
    parts = sorted((int(r["period1"]), int(r["period2"])) for r in yahoo.requests if r["interval"] == "1m")
    assert all(end - first <= 8 * 86_400 for first, end in parts)
    assert all(one[1] == other[0] for one, other in itertools.pairwise(parts))


@pytest.mark.parametrize(("days", "frequency"), [(30, "1m"), (60, "5m"), (730, "1h")])
def test_a_history_longer_than_yahoo_keeps_is_refused_with_the_limit(
    desk: Desk, days: int, frequency: Frequency
) -> None:
    too_old = LAST - timedelta(days=days + 1)
    with pytest.raises(UnsupportedRequest, match=f"{frequency} bars for {days} days"):
        desk().bars("AAPL", frequency, Span(too_old, LAST))


def test_a_bar_in_progress_is_left_out(desk: Desk) -> None:
    during = desk(datetime(2014, 6, 10, 15, 30, 30, tzinfo=UTC))
    assert during.bars("AAPL", "1d", JUNE)["session"].max() == date(2014, 6, 9)
    assert during.bars("AAPL", "1m", JUNE)["knowable_at"].max() == datetime(2014, 6, 10, 15, 30, tzinfo=UTC)
    assert during.bars("AAPL", "1h", JUNE)["knowable_at"].max() == datetime(2014, 6, 10, 15, 30, tzinfo=UTC)


def test_the_future_is_empty_without_a_request(desk: Desk, yahoo: LoopbackYahoo) -> None:
    later = Span(date(2014, 7, 7), date(2014, 7, 8))
    with pytest.raises(EmptyAnswer, match="after 2014-07-03"):
        desk().bars("AAPL", "1d", later)
    assert desk().corporate_actions("AAPL", later).is_empty()
    assert yahoo.requests == []


def test_splits_and_dividends_are_as_of_their_own_day(desk: Desk) -> None:
    rows = desk().corporate_actions("AAPL", WHOLE).select("session", "kind", "ratio", "amount").rows()
    assert rows == [
        (date(2014, 5, 8), "cash_dividend", 1.0, 3.29),
        (SPLIT_DAY, "split", 7.0, 0.0),
        (date(2014, 6, 30), "cash_dividend", 1.0, 0.47),
    ]


def test_a_symbol_without_actions_has_none(desk: Desk) -> None:
    assert desk().corporate_actions("OTHR", Span(date(2014, 6, 23), LAST)).is_empty()


def test_unknown_symbols_are_refused_without_a_second_attempt(desk: Desk) -> None:
    pauses: list[float] = []
    for symbol in ("NOPE", "NADA", "NIET"):
        with pytest.raises(UnknownSymbol, match=symbol):
            desk(sleep=pauses.append).bars(symbol, "1d", WHOLE)
    assert pauses == []


def test_no_bars_in_the_span_are_an_empty_answer(desk: Desk, yahoo: LoopbackYahoo) -> None:
    yahoo.fault = "empty"
    with pytest.raises(EmptyAnswer, match="AAPL"):
        desk().bars("AAPL", "1d", WHOLE)
    assert desk().corporate_actions("AAPL", WHOLE).is_empty()


def test_what_yahoo_refuses_is_unsupported_in_its_own_words(desk: Desk, yahoo: LoopbackYahoo) -> None:
    yahoo.fault = "too long"
    with pytest.raises(UnsupportedRequest, match="8 days worth"):
        desk().bars("OTHR", "1d", Span(date(2014, 6, 20), LAST))


@pytest.mark.parametrize("fault", ["rate limit", "html", "down"])
def test_a_passing_fault_heals_after_a_pause(desk: Desk, yahoo: LoopbackYahoo, fault: str) -> None:
    """The library remembers the broken answer of a past date; without emptying its memory the second attempt fails too."""
    pauses: list[float] = []

    def recover(seconds: float) -> None:
        pauses.append(seconds)
        yahoo.fault = None

    yahoo.fault = fault
    assert desk(sleep=recover).bars("AAPL", "1d", WHOLE).height == len(APPLE.bars["1d"])
    assert len(pauses) == 1


@pytest.mark.fault(88)
@pytest.mark.parametrize(
    ("fault", "reason"), [("rate limit", "limits the rate"), ("html", "no JSON"), ("down", "DOWN")]
)
def test_a_lasting_fault_ends_after_the_last_attempt(desk: Desk, yahoo: LoopbackYahoo, fault: str, reason: str) -> None:
    pauses: list[float] = []
    yahoo.fault = fault
    with pytest.raises(ProviderUnavailable, match=reason) as caught:
        desk(sleep=pauses.append, patience=Patience(attempts=4)).bars("AAPL", "1d", WHOLE)
    assert "yfinance" in str(caught.value)
    assert "AAPL" in str(caught.value)
    assert len(pauses) == 3
    assert pauses == [Patience().pause_after(attempt, "AAPL") for attempt in (1, 2, 3)]


def test_a_slow_answer_is_given_up(desk: Desk, yahoo: LoopbackYahoo) -> None:
    yahoo.fault = "slow"
    with pytest.raises(ProviderUnavailable, match="timed out"):
        desk(patience=Patience(attempts=1, timeout_s=0.3)).bars("AAPL", "1d", WHOLE)


def test_json_without_bars_is_malformed(desk: Desk, yahoo: LoopbackYahoo) -> None:
    desk().bars("AAPL", "1d", WHOLE)
    yahoo.fault = "nonsense"
    with pytest.raises(MalformedAnswer, match="AAPL"):
        desk().bars("AAPL", "1d", Span(FIRST, date(2014, 5, 5)))


def test_several_symbols_are_fetched_at_once(desk: Desk) -> None:
    collected = collect_bars(desk(), ["OTHR", "AAPL"], "1d", WHOLE)
    assert collected.frame["symbol"].unique().sort().to_list() == ["AAPL", "OTHR"]


def test_yfinance_keeps_its_files_in_the_cache(desk: Desk, yahoo_cache: Path) -> None:
    desk().bars("AAPL", "1d", WHOLE)
    assert (yahoo_cache / "tkr-tz.db").exists()


@given(st.integers(1, 40), st.text(min_size=1, max_size=5))
def test_pauses_grow_within_their_bounds(attempt: int, symbol: str) -> None:
    patience = Patience()
    base = min(2.0 ** (attempt - 1), patience.pause_s_max)
    assert 0.5 * base <= patience.pause_after(attempt, symbol) <= 1.5 * base
    assert patience.pause_after(attempt, symbol) == patience.pause_after(attempt, symbol)


def test_real_prices_of_apple_survive_the_way_through_yahoo(desk: Desk, yahoo: LoopbackYahoo) -> None:
    """The bars of June 2014 as traded, divided by Yahoo, rounded to single precision, and brought back."""
    path = SHARED / "lean" / "daily" / "aapl_daily.csv"
    if not path.exists():
        pytest.skip("the Lean data are test data that are not part of the project")
    raw = pl.read_csv(path, try_parse_dates=True).filter(pl.col("date").is_between(FIRST, LAST))
    bars = [
        Traded(datetime(d.year, d.month, d.day, 9, 30), *map(float, values))  # noqa: DTZ001 - New York local time
        for d, *values in raw.rows()
    ]
    yahoo.listings = {"AAPL": Listing({"1d": bars}, splits={SPLIT_DAY: 7, date(2014, 7, 1): 4})}
    frame = desk().bars("AAPL", "1d", Span(FIRST, date(2014, 6, 30)))
    expected = raw.filter(pl.col("date") <= date(2014, 6, 30))
    for name in ("open", "high", "low", "close", "volume"):
        assert frame[name].to_list() == pytest.approx(expected[name].to_list(), abs=1e-4)
    assert frame["session"].to_list() == [s.day for s in XNYS.sessions(FIRST, date(2014, 6, 30))]
