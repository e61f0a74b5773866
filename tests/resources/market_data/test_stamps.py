from datetime import UTC, date, datetime, timedelta, timezone

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from resources.market_data.stamps import days, starts
from trading_assets.core.calendar import NEW_YORK

HALF_PAST = datetime(2014, 6, 9, 13, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "2014-06-09 09:30:00",
        "2014-06-09T09:30:00",
        "2014-06-09T09:30",
        " 2014-06-09T09:30:00.000 ",
        "2014-06-09T13:30:00Z",
        "2014-06-09 09:30:00-04:00",
        "2014-06-09T15:30:00+0200",
    ],
)
def test_a_start_is_new_york_time_unless_it_carries_an_offset(text: str) -> None:
    assert starts(pl.Series([text])).to_list() == [HALF_PAST]


@pytest.mark.parametrize("text", ["", "noon", "2014-06-09", "09:30:00", "2014-06-31T09:30:00", "06/09/2014 09:30"])
def test_what_is_no_time_cannot_be_read(text: str) -> None:
    assert starts(pl.Series([text])).to_list() == [None]


@pytest.mark.parametrize("text", ["2014-03-09T02:30:00", "2014-11-02T01:30:00"])
def test_local_times_that_clocks_skip_or_repeat_cannot_be_read(text: str) -> None:
    assert starts(pl.Series([text])).to_list() == [None]


def test_with_an_offset_a_repeated_time_is_clear() -> None:
    assert starts(pl.Series(["2014-11-02T01:30:00-05:00"])).to_list() == [datetime(2014, 11, 2, 6, 30, tzinfo=UTC)]


def test_rows_of_one_file_may_carry_different_offsets() -> None:
    read = starts(pl.Series(["2014-11-02T01:30:00-04:00", "2014-11-02T01:30:00-05:00", "2014-11-03T09:30:00"]))
    assert (read.diff()[1], read.dt.hour()[2]) == (timedelta(hours=1), 14)


def test_stamps_of_a_parquet_file_are_read_by_their_type() -> None:
    naive = pl.Series([datetime(2014, 6, 9, 9, 30)])  # noqa: DTZ001 - a file without a time zone is the case
    aware = pl.Series([HALF_PAST]).dt.cast_time_unit("ns")
    assert starts(naive).to_list() == starts(aware).to_list() == [HALF_PAST]
    assert starts(pl.Series([1.5])).to_list() == [None]


def test_days_are_iso_dates_or_midnights() -> None:
    the_day = date(2014, 6, 9)
    midnight = datetime(2014, 6, 9)  # noqa: DTZ001 - a file without a time zone is the case
    assert days(pl.Series(["2014-06-09", "9 June 2014", ""])).to_list() == [the_day, None, None]
    assert days(pl.Series([the_day])).to_list() == [the_day]
    assert days(pl.Series([midnight, midnight + timedelta(hours=9)])).to_list() == [the_day, None]
    assert days(pl.Series([20140609])).to_list() == [None]


@settings(deadline=None)
@given(
    st.datetimes(datetime(1990, 1, 2), datetime(2028, 12, 28)),  # noqa: DTZ001 - offsets are drawn apart
    st.integers(-14 * 60, 14 * 60),
)
def test_an_offset_never_changes_the_instant(naive: datetime, minutes: int) -> None:
    told = naive.replace(microsecond=0, tzinfo=timezone(timedelta(minutes=minutes)))
    assert starts(pl.Series([told.isoformat()])).to_list() == [told.astimezone(UTC)]


@settings(deadline=None)
@given(st.datetimes(datetime(1990, 1, 2), datetime(2028, 12, 28)))  # noqa: DTZ001 - New York time is meant
@example(datetime(2002, 4, 7, 2, 0, fold=1))  # noqa: DTZ001 - an hour that clocks skipped, read as its second occurrence
def test_local_times_agree_with_the_standard_library(naive: datetime) -> None:
    local = naive.replace(microsecond=0, fold=0, tzinfo=NEW_YORK)
    is_clear = local.utcoffset() == local.replace(fold=1).utcoffset()
    read = starts(pl.Series([naive.replace(microsecond=0).isoformat()])).to_list()
    assert read[0] == (local.astimezone(UTC) if is_clear else None)
