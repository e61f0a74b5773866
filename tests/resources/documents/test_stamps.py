"""Times as publishers word them."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.documents.stamps import end_of_day, instant, of_day, published, usual_release
from trading_assets.market.documents.ports import SeriesWanted

NOON = datetime(2013, 3, 4, 12, 0, tzinfo=UTC)
SECONDS = 1_362_398_400


@pytest.mark.parametrize(
    "raw",
    [
        "2013-03-04T12:00:00Z",
        "2013-03-04T12:00:00.000Z",
        "2013-03-04 12:00+00:00",
        "2013-03-04T07:00:00-05:00",
        "2013-03-05T02:00:00+14:00",
        "20130304T120000Z",
        "Mon, 04 Mar 2013 12:00:00 GMT",
        "Mon, 04 Mar 2013 07:00:00 EST",
        "Mon, 04 Mar 2013 05:00:00 MST",
        "Mon, 4 Mar 2013 12:00 UT",
        "04 Mar 2013 13:00:00 +0100",
        "  Mon, 04 Mar 2013 12:00:00 +0000 ",
        SECONDS,
        float(SECONDS),
        SECONDS * 1000,
    ],
)
def test_one_instant_in_many_wordings(raw: object) -> None:
    found = published(raw)
    assert found is not None
    assert (found.at, found.earliest) == (NOON, None)


def test_summer_and_winter_time_are_what_the_publisher_says_not_what_the_date_suggests() -> None:
    winter, summer = published("Mon, 11 Mar 2013 08:30:00 EST"), published("Mon, 11 Mar 2013 08:30:00 EDT")
    assert winter is not None
    assert summer is not None
    assert winter.at - summer.at == timedelta(hours=1)


@pytest.mark.parametrize(
    "raw",
    [
        "2013-03-04T12:00:00",
        "Mon, 04 Mar 2013 12:00:00",
        "Mon, 04 Mar 2013 12:00:00 -0000",
        "Mon, 04 Mar 2013 12:00:00 CEST",
    ],
)
def test_a_time_without_a_known_zone_is_a_range_and_the_latest_counts(raw: str) -> None:
    found = published(raw)
    assert found is not None
    assert found.at == NOON + timedelta(hours=12)
    assert found.earliest is not None
    assert found.earliest <= NOON - timedelta(hours=2)


def test_a_day_lasts_until_its_end_in_new_york() -> None:
    found = published("2013-03-04")
    assert found == of_day(date(2013, 3, 4))
    assert found is not None
    assert found.at == datetime(2013, 3, 5, 4, 59, tzinfo=UTC)
    assert end_of_day(date(2013, 7, 4)) == datetime(2013, 7, 5, 3, 59, tzinfo=UTC), "summer time"


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "yesterday",
        "2013-13-04",
        "2013-02-30T00:00:00Z",
        "04/03/2013",
        None,
        True,
        0,
        -1,
        12.0,
        1e17,
        float("nan"),
        float("inf"),
        [],
        {},
    ],
)
def test_what_is_no_time_is_none(raw: object) -> None:
    assert published(raw) is None


@pytest.mark.parametrize("raw", ["9999-12-31T23:00:00-10:00", "0001-01-01T00:00:00"])
def test_times_at_the_ends_of_the_calendar_are_none(raw: str) -> None:
    assert published(raw) is None


@given(st.integers(100_000_000, 4_000_000_000))
def test_seconds_and_milliseconds_are_told_apart(seconds: int) -> None:
    one, other = published(seconds), published(seconds * 1000)
    assert one is not None
    assert one == other


@given(st.text(max_size=40) | st.floats() | st.integers())
def test_no_input_raises_and_no_range_is_upside_down(raw: object) -> None:
    found = published(raw)
    if found is not None and found.earliest is not None:
        assert found.earliest < found.at
        assert found.at - found.earliest <= timedelta(hours=48)


@pytest.mark.parametrize("raw", ["2013-03-04T12:00:00", "2013-03-04", "noon", ""])
def test_an_instant_needs_an_offset(raw: str) -> None:
    assert instant(raw) is None
    assert instant("2013-03-04T12:00:00Z") == NOON


def test_a_usual_release_is_the_end_of_a_day_so_many_days_later() -> None:
    found = usual_release(date(2013, 3, 1), SeriesWanted("X", "percent", 10))
    assert found.at == end_of_day(date(2013, 3, 11))
    assert found.earliest is not None
    assert found.earliest < datetime(2013, 3, 1, tzinfo=UTC)
