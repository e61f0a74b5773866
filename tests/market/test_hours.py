from datetime import UTC, date, datetime, timedelta

from trading_assets.core.calendar import XNYS
from trading_assets.market.hours import BAR_LENGTH, session_hours


def test_hours_follow_daylight_saving() -> None:
    opens = session_hours(XNYS, date(2024, 3, 8), date(2024, 3, 11))["session_open"].to_list()
    assert opens == [datetime(2024, 3, 8, 14, 30, tzinfo=UTC), datetime(2024, 3, 11, 13, 30, tzinfo=UTC)]


def test_hours_respect_early_closes() -> None:
    hours = session_hours(XNYS, date(2024, 7, 3), date(2024, 7, 5))
    assert hours["session"].to_list() == [date(2024, 7, 3), date(2024, 7, 5)]
    assert hours["session_close"][0] == datetime(2024, 7, 3, 17, 0, tzinfo=UTC)


def test_a_closed_week_end_has_no_row() -> None:
    assert session_hours(XNYS, date(2024, 7, 6), date(2024, 7, 7)).is_empty()


def test_every_intraday_frequency_has_a_length() -> None:
    assert dict(BAR_LENGTH) == {
        "1h": timedelta(hours=1),
        "5m": timedelta(minutes=5),
        "1m": timedelta(minutes=1),
    }
