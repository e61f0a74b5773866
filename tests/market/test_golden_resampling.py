"""Minutes put together: six sessions of SPY against their daily bars, and hours that begin at the open."""

from datetime import date, datetime, timedelta
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.market.frames import SESSIONS, SHARED, intraday_frame, minute_rows
from trading_assets.core.calendar import NEW_YORK, XNYS
from trading_assets.market.hours import resampled

HOUR = timedelta(hours=1)
VALUES = ("open", "high", "low", "close", "volume")


def minutes_of_spy() -> pl.DataFrame:
    path = SHARED / "lean" / "minute" / "spy_1min_trade.csv"
    if not path.exists():
        pytest.skip("the Lean data are test data that are not part of the project")
    raw = pl.read_csv(path, try_parse_dates=True).filter(pl.col("time_et_bar_start").dt.year() == 2013)
    local = pl.col("time_et_bar_start").dt.replace_time_zone(NEW_YORK.key)
    return raw.select(local.dt.convert_time_zone("UTC").alias("start"), *VALUES)


def test_minutes_of_six_sessions_of_spy_make_their_daily_bars() -> None:
    """Open, high, close and volume to the last digit; one low is a cent apart in the files themselves."""
    made = resampled(minutes_of_spy(), length=None, calendar=XNYS)
    daily = pl.read_csv(SHARED / "lean" / "daily" / "spy_daily.csv", try_parse_dates=True)
    expected = daily.filter(pl.col("date").is_in(made["session"].to_list()))
    assert made["session"].to_list() == [date(2013, 10, day) for day in (4, 7, 8, 9, 10, 11)]
    for name in ("open", "high", "close", "volume"):
        assert made[name].to_list() == expected[name].to_list()
    apart = {row[0]: row[1] for row in zip(made["session"], made["low"] - expected["low"], strict=True) if row[1]}
    assert apart == {date(2013, 10, 8): pytest.approx(-0.01)}
    assert made["start"].to_list() == [XNYS.session(day).open for day in made["session"]]


def test_pre_and_post_market_minutes_have_no_part_in_a_session() -> None:
    minutes = minutes_of_spy()
    regular = minutes.filter(
        pl.col("start").dt.convert_time_zone(NEW_YORK.key).dt.time().is_between(pl.time(9, 30), pl.time(15, 59))
    )
    assert regular.height < minutes.height
    assert resampled(minutes, length=None, calendar=XNYS).equals(resampled(regular, length=None, calendar=XNYS))


def test_hours_begin_at_the_open_and_the_last_one_is_short() -> None:
    hours = resampled(minutes_of_spy(), length=HOUR, calendar=XNYS)
    first = hours.filter(pl.col("session") == date(2013, 10, 4))
    assert [f"{at:%H:%M}" for at in first["start"].dt.convert_time_zone(NEW_YORK.key)] == [
        "09:30", "10:30", "11:30", "12:30", "13:30", "14:30", "15:30",
    ]  # fmt: skip


def test_an_early_close_ends_its_last_hour() -> None:
    session = next(session for session in SESSIONS if session.is_early_close)
    after = [row | {"start": session.close + timedelta(minutes=5)} for row in minute_rows("AAA", session)[:1]]
    rows = intraday_frame([*minute_rows("AAA", session), *after])
    hours = resampled(rows, length=HOUR, calendar=XNYS)
    assert hours["start"].to_list() == [session.open + number * HOUR for number in range(4)]
    assert hours["volume"].sum() == 42 * 1_000_000


def test_hours_follow_the_change_of_clocks() -> None:
    days = [XNYS.session(date(2024, 3, 8)), XNYS.session(date(2024, 3, 11))]
    rows = intraday_frame([row for day in days for row in minute_rows("AAA", day)])
    starts = resampled(rows, length=HOUR, calendar=XNYS)["start"].dt.convert_time_zone(NEW_YORK.key)
    assert {f"{at:%H:%M}" for at in starts} == {"09:30", "10:30", "11:30", "12:30", "13:30", "14:30", "15:30"}


def test_no_bars_make_no_bars() -> None:
    empty = intraday_frame([])
    assert resampled(empty, length=HOUR, calendar=XNYS).is_empty()
    assert resampled(empty, length=None, calendar=XNYS).is_empty()


@settings(deadline=None, max_examples=25)
@given(
    st.lists(st.integers(0, 77), min_size=1, unique=True),
    st.sampled_from([timedelta(minutes=15), timedelta(minutes=30), HOUR, None]),
    st.randoms(use_true_random=False),
)
def test_nothing_is_filled_lost_or_counted_twice(kept: list[int], length: timedelta | None, chance: object) -> None:
    session = SESSIONS[0]
    every = minute_rows("AAA", session)
    rows = [every[number] | {"close": 50.0 + number, "volume": float(number)} for number in kept]
    made = resampled(intraday_frame(rows), length=length, calendar=XNYS)
    assert made["volume"].sum() == sum(kept)
    assert made["close"][-1] == 50.0 + max(kept)
    assert made["open"][0] == every[min(kept)]["open"]
    assert all(earlier < later for earlier, later in pairwise(made["start"]))
    if length is not None:
        cells = {(every[number]["start"] - session.open) // length for number in kept}
        assert made["start"].to_list() == [session.open + cell * length for cell in sorted(cells)]


def test_rows_may_come_in_any_order() -> None:
    rows = intraday_frame([row for session in SESSIONS[:2] for row in minute_rows("AAA", session)])
    turned = rows.reverse()
    assert resampled(turned, length=HOUR, calendar=XNYS).equals(resampled(rows, length=HOUR, calendar=XNYS))
    assert isinstance(rows["start"][0], datetime)
