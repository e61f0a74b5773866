"""The frozen calendar against independent answers, over all its years."""

import csv
import json
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core import make_xnys
from trading_assets.core.calendar import NEW_YORK, XNYS, Session
from trading_assets.core.errors import NotASession, OutOfCalendar

DAYS = st.dates(date(1990, 3, 1), date(2027, 12, 31))


def test_the_frozen_table_is_what_exchange_calendars_says_today() -> None:
    stored = make_xnys.TARGET.read_text().splitlines()[1:]
    assert stored == [",".join(row) for row in make_xnys.rows()]


def test_the_years_1990_to_2027_have_9569_sessions() -> None:
    assert len(XNYS.sessions(date(1990, 1, 2), date(2027, 12, 31))) == 9569


def test_every_session_until_2023_opens_and_closes_at_the_recorded_instant(shared_data: Path) -> None:
    with (shared_data / "calendars" / "exchange_calendars_xnys_1990_2023.csv").open() as file:
        rows = list(csv.DictReader(file))
    recorded = [
        (datetime.fromisoformat(row["open"]).astimezone(UTC), datetime.fromisoformat(row["close"]).astimezone(UTC))
        for row in rows
    ]
    sessions = XNYS.sessions(date(1990, 1, 2), date(2023, 1, 13))
    assert [(session.open, session.close) for session in sessions] == recorded


def test_official_holidays_and_early_closes_2025_to_2027_are_all_there(shared_data: Path) -> None:
    with (shared_data / "calendars" / "nyse_official_2025_2027.csv").open() as file:
        official = {date.fromisoformat(row["date"]): row for row in csv.DictReader(file)}
    years = date(2025, 1, 1), date(2027, 12, 31)
    assert {d for d, row in official.items() if row["kind"] == "holiday"} == _weekdays_closed(*years)
    early = {s.day: _local(s.close) for s in XNYS.sessions(*years) if s.is_early_close}
    assert early == {d: time.fromisoformat(row["close_et"]) for d, row in official.items() if row["kind"] == "early"}


def test_every_holiday_of_the_second_source_since_1990_is_closed(shared_data: Path) -> None:
    lines = (shared_data / "calendars" / "nyse_all_full_day_holidays_since_1928.csv").read_text().split()
    listed = {datetime.strptime(line, "%m/%d/%Y").date() for line in lines}  # noqa: DTZ007 - a date, not an instant
    expected = {day for day in listed if day >= XNYS.first and day.weekday() < 5}
    assert expected == _weekdays_closed(XNYS.first, max(listed))


def test_early_closes_since_2000_are_those_of_the_third_source_but_for_its_sunday(shared_data: Path) -> None:
    hours = json.loads((shared_data / "calendars" / "lean_equity_usa_market_hours.json").read_text())
    listed = {datetime.strptime(text, "%m/%d/%Y").date() for text in hours["earlyCloses"]}  # noqa: DTZ007
    ours = {session.day for session in XNYS.sessions(date(2000, 1, 3), XNYS.last) if session.is_early_close}
    assert {day for day in listed if day.year >= 2000} - ours == {date(2017, 12, 24)}
    assert ours <= listed


def test_2025_01_09_is_closed_and_says_its_neighbours() -> None:
    with pytest.raises(NotASession, match="2025-01-08 or 2025-01-10"):
        XNYS.session(date(2025, 1, 9))


def test_days_outside_the_table_are_refused_with_the_bound() -> None:
    with pytest.raises(OutOfCalendar, match="1990-01-02 to 2028-12-29"):
        XNYS.is_session(date(1989, 12, 29))
    with pytest.raises(OutOfCalendar):
        XNYS.previous(XNYS.first)


def test_the_table_reaches_two_hundred_days_past_this_release() -> None:
    assert XNYS.last > date(2026, 11, 21) + timedelta(days=200)


@given(DAYS)
@settings(deadline=None)
def test_previous_and_next_are_the_nearest_sessions(day: date) -> None:
    before, after = XNYS.previous(day), XNYS.next(day)
    assert before.day < day < after.day
    between = XNYS.sessions(before.day + timedelta(days=1), after.day - timedelta(days=1))
    assert [session.day for session in between] == ([day] if XNYS.is_session(day) else [])


@given(DAYS, st.integers(1, 30))
@settings(deadline=None)
def test_going_back_and_forth_returns_to_the_same_session(day: date, count: int) -> None:
    there = XNYS.next(day, count)
    assert XNYS.previous(there.day, count).day <= day
    assert XNYS.next(XNYS.previous(there.day, count).day, count) == there


@given(DAYS)
@settings(deadline=None)
def test_a_session_is_a_weekday_that_opens_at_half_past_nine_and_closes_on_the_same_day(day: date) -> None:
    session = XNYS.next(day)
    assert session.day.weekday() < 5
    assert _local(session.open) == time(9, 30)
    assert session.open < session.close
    assert session.close.astimezone(NEW_YORK).date() == session.day
    assert _local(session.close) in {time(13), time(14), time(16)}


@given(DAYS, st.integers(0, 24 * 60 - 1))
@settings(deadline=None)
def test_the_last_closed_session_is_the_newest_one_whose_close_has_passed(day: date, minute: int) -> None:
    now = datetime.combine(day, time(minute // 60, minute % 60), NEW_YORK).astimezone(UTC)
    closed = XNYS.last_closed(now)
    assert closed.close <= now < XNYS.next(closed.day).close


@pytest.mark.parametrize(
    ("day", "offset"), [("2024-03-08", -5), ("2024-03-11", -4), ("2024-11-01", -4), ("2024-11-04", -5)]
)
def test_daylight_saving_moves_the_open_in_utc_and_not_in_new_york(day: str, offset: int) -> None:
    session = XNYS.session(date.fromisoformat(day))
    assert session.open == datetime.combine(session.day, time(9, 30), UTC) - timedelta(hours=offset)


def test_sessions_order_by_time_and_name_their_partition() -> None:
    first, second = XNYS.sessions(date(2024, 7, 3), date(2024, 7, 5))
    assert first < second
    assert (first.key, first.is_early_close, second.is_early_close) == ("2024-07-03", True, False)
    assert isinstance(first, Session)


def _local(instant: datetime) -> time:
    return instant.astimezone(NEW_YORK).time()


def _weekdays_closed(first: date, last: date) -> set[date]:
    return {day for day in XNYS.closed if first <= day <= last}
