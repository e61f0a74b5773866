"""The gate over real bars: what was traded must pass, what Yahoo once delivered wrongly must not."""

from datetime import date, datetime, time

import polars as pl
import pytest

from resources.market_data.embedded import EmbeddedMarketData
from tests.market.frames import SHARED, actions_frame, daily_frame, daily_row
from trading_assets.core.calendar import NEW_YORK, XNYS
from trading_assets.core.ports import Span
from trading_assets.market.ingest import collect_actions, collect_bars
from trading_assets.market.model import INTRADAY_BARS
from trading_assets.market.quality import SessionVerdict, judge_daily, judge_intraday

EMBEDDED = EmbeddedMarketData()
YEARS = Span(date(2000, 3, 1), date(2013, 3, 1))


def embedded_verdicts(*, with_splits: bool) -> list[SessionVerdict]:
    bars = collect_bars(EMBEDDED, EMBEDDED.symbols(), "1d", YEARS).frame
    actions = collect_actions(EMBEDDED, EMBEDDED.symbols(), YEARS).frame
    known = actions if with_splits else actions.filter(pl.col("kind") != "split")
    return judge_daily(bars, known, span=YEARS, calendar=XNYS)


def test_all_sessions_of_the_embedded_set_pass() -> None:
    verdicts = embedded_verdicts(with_splits=True)
    assert len(verdicts) == 3270
    assert [verdict for verdict in verdicts if not verdict.passed] == []


def test_the_fall_of_apple_in_september_2000_is_the_only_warning() -> None:
    warned = [verdict for verdict in embedded_verdicts(with_splits=True) if verdict.warnings]
    assert [verdict.session for verdict in warned] == [date(2000, 9, 29)]
    assert "-51.9%" in warned[0].warnings[0]


def test_without_its_split_records_exactly_the_ex_dates_fail() -> None:
    red = [verdict.session for verdict in embedded_verdicts(with_splits=False) if not verdict.passed]
    assert red == [date(2000, 6, 21), date(2003, 2, 18), date(2005, 2, 28)]


def test_minutes_of_the_embedded_set_pass() -> None:
    life = EMBEDDED.life("AAPL", "1m")
    verdicts = judge_intraday(EMBEDDED.bars("AAPL", "1m", life), span=life, calendar=XNYS)
    assert verdicts == [SessionVerdict(session.day, passed=True) for session in XNYS.sessions(life.first, life.last)]


def test_two_hourly_sessions_of_the_embedded_set_have_too_few_bars() -> None:
    life = EMBEDDED.life("AAPL", "1h")
    verdicts = judge_intraday(EMBEDDED.bars("AAPL", "1h", life), span=life, calendar=XNYS)
    assert [verdict.session for verdict in verdicts if not verdict.passed] == [date(2026, 1, 30), date(2026, 2, 2)]


def lean_days(name: str, first: date, last: date) -> pl.DataFrame:
    path = SHARED / "lean" / "daily" / f"{name}_daily.csv"
    if not path.exists():
        pytest.skip("the Lean data are test data that are not part of the project")
    bars = pl.read_csv(path, try_parse_dates=True).filter(pl.col("date").is_between(first, last))
    values = ("open", "high", "low", "close", "volume")
    rows = [
        daily_row(
            name.upper(), XNYS.session(row["date"]), row["close"], **{value: float(row[value]) for value in values}
        )
        for row in bars.iter_rows(named=True)
    ]
    return daily_frame(rows)


@pytest.mark.parametrize(("day", "ratio"), [(date(2014, 6, 9), 7.0), (date(2020, 8, 31), 4.0)])
def test_later_splits_of_apple_need_their_records(day: date, ratio: float) -> None:
    span = Span(XNYS.previous(day, 5).day, XNYS.next(day, 5).day)
    bars = lean_days("aapl", XNYS.previous(day, 40).day, span.last)
    recorded, unrecorded = actions_frame(("AAPL", day, "split", ratio)), actions_frame()
    assert all(v.passed for v in judge_daily(bars, recorded, span=span, calendar=XNYS))
    assert [v.session for v in judge_daily(bars, unrecorded, span=span, calendar=XNYS) if not v.passed] == [day]


def test_a_ticker_that_ends_and_returns_is_not_one_life() -> None:
    """Washington Mutual ends in September 2008; Waste Management takes its ticker in August 2009."""
    span = Span(date(2008, 9, 26), date(2009, 8, 14))
    verdicts = judge_daily(lean_days("wm", date(2008, 6, 2), span.last), actions_frame(), span=span, calendar=XNYS)
    by_day = {verdict.session: verdict for verdict in verdicts}
    assert "no action explains a factor beyond 4" in by_day[date(2008, 9, 26)].failures[0]
    assert by_day[date(2009, 8, 5)].passed


@pytest.mark.parametrize(("name", "found"), [("ibm", 389), ("spy", 390), ("bac", 390), ("shy", 333)])
def test_real_minutes_pass(name: str, found: int) -> None:
    path = SHARED / "lean" / "minute" / f"{name}_1min_trade.csv"
    if not path.exists():
        pytest.skip("the Lean data are test data that are not part of the project")
    trades = pl.read_csv(path, try_parse_dates=True).rename({"time_et_bar_start": "local"})
    first = trades["local"][0].date()
    regular = trades.filter(
        (pl.col("local").dt.date() == first) & pl.col("local").dt.time().is_between(time(9, 30), time(15, 59))
    )
    rows = [
        daily_row(
            name.upper(),
            XNYS.session(first),
            row["close"],
            frequency="1m",
            start=datetime.combine(first, row["local"].time(), NEW_YORK),
            **{value: float(row[value]) for value in ("open", "high", "low", "close", "volume")},
        )
        for row in regular.iter_rows(named=True)
    ]
    frame = pl.DataFrame(rows, schema=dict(INTRADAY_BARS.polars_schema()))
    assert frame.height == found
    assert all(v.passed for v in judge_intraday(frame, span=Span(first, first), calendar=XNYS))


def test_prices_a_hundred_times_too_small_are_red() -> None:
    path = SHARED / "yfinance_repair" / "AET-L-1d-100x-error.csv"
    if not path.exists():
        pytest.skip("the repair cases are test data that are not part of the project")
    broken = pl.read_csv(path).with_columns(pl.col("Date").str.head(10).str.to_date()).sort("Date")
    days = [day for day in broken["Date"] if XNYS.is_session(day)]
    rows = [
        daily_row("AET", XNYS.session(row["Date"]), row["Close"], volume=float(row["Volume"]))
        for row in broken.filter(pl.col("Date").is_in(days)).iter_rows(named=True)
    ]
    verdicts = judge_daily(daily_frame(rows), actions_frame(), span=Span(days[0], days[-1]), calendar=XNYS)
    assert any("no action explains a factor beyond 4" in s for v in verdicts for s in v.failures)
