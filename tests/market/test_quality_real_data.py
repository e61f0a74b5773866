"""The gate over real bars: what was traded must pass, what Yahoo once delivered wrongly must not."""

import math
from datetime import date, datetime, time

import polars as pl
import pytest

from resources.market_data.embedded import EmbeddedMarketData
from resources.market_data.rows import VALUES, intraday_rows
from tests.market.frames import SHARED, actions_frame, daily_frame, daily_row
from trading_assets.core.calendar import NEW_YORK, XNYS
from trading_assets.core.ports import Span
from trading_assets.core.settings import Instrument
from trading_assets.market.expectations import SessionVerdict
from trading_assets.market.hours import BAR_LENGTH, resampled
from trading_assets.market.ingest import collect_actions, collect_bars
from trading_assets.market.model import INTRADAY_BARS
from trading_assets.market.quality import judge_daily, judge_intraday

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


RETURNS = {
    "wm": (date(2008, 9, 26), date(2009, 8, 5), "WM-20080926"),
    "fb": (date(2003, 3, 28), date(2012, 5, 18), "FB-20030328"),
}


@pytest.mark.parametrize("name", RETURNS)
def test_a_ticker_with_a_new_owner_is_red_until_both_are_declared(name: str) -> None:
    """Washington Mutual and Waste Management; another company and Facebook."""
    last, back, earlier = RETURNS[name]
    span = Span(back, XNYS.next(back, 6).day)
    bars = lean_days(name, XNYS.previous(last, 30).day, span.last)
    undeclared = judge_daily(bars, actions_frame(), span=span, calendar=XNYS)
    assert [verdict.session for verdict in undeclared if not verdict.passed] == [back]
    (sentence,) = undeclared[0].failures
    assert f"as {earlier} (ticker {name.upper()}, last_session {last})" in sentence
    assert f"{name.upper()} with first_session {back}" in sentence
    present = Instrument(symbol=name.upper(), sector="Test", first_session=back)
    declared = judge_daily(bars, actions_frame(), span=span, calendar=XNYS, instruments=[present])
    assert declared == [SessionVerdict(s.day, passed=True) for s in XNYS.sessions(span.first, span.last)]


def test_the_end_of_washington_mutual_is_a_fall_that_nothing_explains() -> None:
    span = Span(date(2008, 9, 26), date(2008, 10, 10))
    others = lean_days("aapl", date(2008, 6, 2), span.last)
    bars = pl.concat([lean_days("wm", date(2008, 6, 2), span.last), others])
    verdicts = judge_daily(bars, actions_frame(), span=span, calendar=XNYS)
    assert "no action explains a factor beyond 4" in verdicts[0].failures[0]
    assert [verdict.session for verdict in verdicts if not verdict.passed][1:] == [
        session.day for session in XNYS.sessions(date(2008, 9, 29), date(2008, 10, 3))
    ]
    ended = Instrument(symbol="WM", sector="Test", last_session=date(2008, 9, 26))
    declared = judge_daily(bars, actions_frame(), span=span, calendar=XNYS, instruments=[ended])
    assert [verdict.session for verdict in declared if not verdict.passed] == [date(2008, 9, 26)]


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


def as_traded(name: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """A repair case as the Yahoo adapter would deliver it, row after row on consecutive sessions: bars, and actions.

    The files are in the share count of their end and from other exchanges, some weekly: the order of the rows is what the gate
    looks at, so each row gets a session of its own.
    """
    path = SHARED / "yfinance_repair" / f"{name}.csv"
    if not path.exists():
        pytest.skip("the repair cases are test data that are not part of the project")
    raw = pl.read_csv(path, infer_schema_length=None)
    days = XNYS.sessions(date(2019, 1, 2), XNYS.next(date(2019, 1, 2), raw.height - 1).day)
    raw = raw.sort(raw.columns[0]).with_columns(session=pl.Series([day.day for day in days]))
    events = raw.filter(pl.col("Stock Splits") > 0)
    splits = {row["session"]: float(row["Stock Splits"]) for row in events.iter_rows(named=True)}
    rows, actions = [], [("T", day, "split", ratio) for day, ratio in splits.items()]
    for row, session in zip(raw.iter_rows(named=True), days, strict=True):
        later = math.prod(ratio for day, ratio in splits.items() if day > session.day)
        prices = {price: float(row[price.title()]) * later for price in ("open", "high", "low", "close")}
        rows.append(daily_row("T", session, prices["close"], volume=float(row["Volume"]) / later, **prices))
        if row["Dividends"]:
            held = later * splits.get(session.day, 1.0)
            actions.append(("T", session.day, "cash_dividend", float(row["Dividends"]) * held))
    return daily_frame(rows), actions_frame(*actions)


def red_rows(name: str) -> dict[int, tuple[str, ...]]:
    """Number of the row, in order of time, and its failures."""
    bars, actions = as_traded(name)
    days = bars["session"].to_list()
    verdicts = judge_daily(bars, actions, span=Span(days[0], days[-1]), calendar=XNYS)
    return {days.index(verdict.session): verdict.failures for verdict in verdicts if not verdict.passed}


def test_prices_a_hundred_times_too_small_are_caught_and_named() -> None:
    """AET: rows 0 to 3 and 13 to 22 are in another unit; what came first counts as usual until the median has changed."""
    red = red_rows("AET-L-1d-100x-error")
    assert all("T: close" in sentence for failures in red.values() for sentence in failures)
    assert "looks 100 times too large: pence and pounds?" in red[4][0]
    assert {13, 14, 15, 16, 17} <= red.keys()
    assert all("looks 100 times too small: pence and pounds?" in red[row][0] for row in (13, 14, 15, 16, 17))


@pytest.mark.parametrize(("name", "row"), [("LA-V-1d-bad-stock-split", 16), ("AV-L-1wk-bad-stock-split", 22)])
def test_a_split_that_yahoo_forgot_to_apply_is_caught_in_its_row(name: str, row: int) -> None:
    red = red_rows(name)
    assert row in red
    assert any("does not show it" in sentence for sentence in red[row])
    assert red.keys() <= {row, row + 1}


@pytest.mark.parametrize(
    "name",
    [
        "AET-L-1d-100x-error-fixed",
        "LA-V-1d-bad-stock-split-fixed",
        "AV-L-1wk-bad-stock-split-fixed",
        "CALM-1d-no-bad-divs",
        "EA-15m-no-bad-divs",
    ],
)
def test_good_series_are_not_flagged(name: str) -> None:
    assert red_rows(name) == {}


def test_quarter_hours_of_electronic_arts_pass_the_intraday_gate_as_hours() -> None:
    path = SHARED / "yfinance_repair" / "EA-15m-no-bad-divs.csv"
    if not path.exists():
        pytest.skip("the repair cases are test data that are not part of the project")
    raw = pl.read_csv(path, infer_schema_length=None).rename(str.lower)
    quarters = raw.select(pl.col("datetime").str.to_datetime(time_zone="UTC").alias("start"), *VALUES)
    hours = resampled(quarters, length=BAR_LENGTH["1h"], calendar=XNYS).select("start", *VALUES)
    rows = intraday_rows(hours, symbol="EA", frequency="1h", source="test")
    span = Span(rows["session"][0], rows["session"][-1])
    assert rows.height == 6 * 7 + 5
    assert all(verdict.passed for verdict in judge_intraday(rows, span=span, calendar=XNYS))
