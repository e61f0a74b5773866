"""Sessions as partitions: exactly the exchange's days, and the session before is the session before, over every kind of gap."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from functools import cache

import dagster as dg
import pytest
from dagster._core.definitions.partitions.context import partition_loading_context
from hypothesis import given, settings
from hypothesis import strategies as st

from trading_assets.core.calendar import NEW_YORK, XNYS
from trading_assets.core.ports import Span
from trading_assets.partitions import KNOWN_BEFORE, SESSIONS, span_of

AT_THE_END = datetime(2028, 12, 29, 12, tzinfo=NEW_YORK)
KEYS = tuple(day.isoformat() for day in XNYS.days)
AROUND_GAPS = [
    pytest.param("2024-07-05", "2024-07-03", id="after a holiday and an early close"),
    pytest.param("2024-07-03", "2024-07-02", id="an early close is a session"),
    pytest.param("2024-07-08", "2024-07-05", id="over a weekend"),
    pytest.param("2024-03-11", "2024-03-08", id="clocks go forward"),
    pytest.param("2024-11-04", "2024-11-01", id="clocks go back"),
    pytest.param("2012-10-31", "2012-10-26", id="Hurricane Sandy"),
    pytest.param("2001-09-17", "2001-09-10", id="11 September"),
    pytest.param("2007-01-03", "2006-12-29", id="a day of mourning after New Year"),
    pytest.param("2024-01-02", "2023-12-29", id="New Year"),
    pytest.param("2024-11-29", "2024-11-27", id="after Thanksgiving"),
]


@cache
def all_keys() -> Sequence[str]:
    """The keys on the calendar's last session."""
    with partition_loading_context(effective_dt=AT_THE_END):
        return tuple(SESSIONS.get_partition_keys())


def upstream(key: str) -> set[str]:
    """The keys that KNOWN_BEFORE reads for one key."""
    subset = SESSIONS.subset_with_partition_keys([key])
    result = KNOWN_BEFORE.get_upstream_mapped_partitions_result_for_partitions(subset, SESSIONS, SESSIONS)
    assert not result.required_but_nonexistent_subset.get_partition_keys()
    return set(result.partitions_subset.get_partition_keys())


def downstream(key: str) -> set[str]:
    """The keys that read one key through KNOWN_BEFORE."""
    subset = SESSIONS.subset_with_partition_keys([key])
    return set(KNOWN_BEFORE.get_downstream_partitions_for_partitions(subset, SESSIONS, SESSIONS).get_partition_keys())


def test_the_keys_are_the_exchanges_sessions_over_all_years_of_the_calendar() -> None:
    assert all_keys() == KEYS
    assert len(KEYS) == len(set(KEYS)) > 9_800


@settings(deadline=None)
@given(st.dates(XNYS.first, XNYS.last))
def test_a_day_is_a_key_exactly_when_the_exchange_trades(day: date) -> None:
    with partition_loading_context(effective_dt=AT_THE_END):
        assert SESSIONS.has_partition_key(day.isoformat()) == XNYS.is_session(day)


@settings(deadline=None)
@given(st.integers(1, len(XNYS.days) - 1))
def test_known_before_is_the_session_before_and_only_that(index: int) -> None:
    with partition_loading_context(effective_dt=AT_THE_END):
        assert upstream(KEYS[index]) == {KEYS[index - 1]} == {XNYS.previous(XNYS.days[index]).key}


@settings(deadline=None)
@given(st.integers(0, len(XNYS.days) - 2))
def test_known_before_turned_around_is_the_session_after_and_only_that(index: int) -> None:
    with partition_loading_context(effective_dt=AT_THE_END):
        assert downstream(KEYS[index]) == {KEYS[index + 1]} == {XNYS.next(XNYS.days[index]).key}


@pytest.mark.parametrize(("key", "before"), AROUND_GAPS)
def test_known_before_steps_over_every_kind_of_gap(key: str, before: str) -> None:
    assert upstream(key) == {before}
    assert downstream(before) == {key}


@pytest.mark.parametrize("length", [2, 63, 503])
def test_a_range_is_known_before_by_the_range_one_session_earlier(length: int) -> None:
    keys = list(KEYS[5_000 : 5_000 + length])
    subset = SESSIONS.subset_with_partition_keys(keys)
    result = KNOWN_BEFORE.get_upstream_mapped_partitions_result_for_partitions(subset, SESSIONS, SESSIONS)
    assert list(result.partitions_subset.get_partition_keys()) == list(KEYS[4_999 : 4_999 + length])


@pytest.mark.parametrize(
    ("moment", "last"),
    [
        pytest.param("2024-07-03T00:00", "2024-07-03", id="today exists from midnight"),
        pytest.param("2024-07-03T17:00", "2024-07-03", id="after an early close it is still today"),
        pytest.param("2024-07-04T10:00", "2024-07-05", id="on a holiday the last key lies ahead"),
        pytest.param("2024-07-05T00:01", "2024-07-05", id="the session after the holiday"),
        pytest.param("2024-07-06T12:00", "2024-07-08", id="on a Saturday the last key is Monday's"),
        pytest.param("2024-03-10T12:00", "2024-03-11", id="the Sunday on which clocks change"),
        pytest.param("2024-11-03T12:00", "2024-11-04", id="the Sunday on which clocks change back"),
    ],
)
def test_the_last_key_is_today_or_on_a_closed_day_the_next_session(moment: str, last: str) -> None:
    """So "today" is asked of the calendar, never of the partitions."""
    now = datetime.fromisoformat(moment).replace(tzinfo=NEW_YORK)
    with partition_loading_context(effective_dt=now):
        assert SESSIONS.get_last_partition_key() == last
        assert not SESSIONS.has_partition_key(XNYS.next(date.fromisoformat(last)).key)
    today = XNYS.today(now)
    assert (today.key if today else None) == (last if last == moment[:10] else None)


def test_yesterdays_last_key_does_not_move_while_the_day_goes_on() -> None:
    """A key appears at New York midnight, not at UTC midnight."""
    midnight = datetime(2024, 7, 9, tzinfo=NEW_YORK)
    for moment, last in ((midnight - timedelta(seconds=1), "2024-07-08"), (midnight, "2024-07-09")):
        with partition_loading_context(effective_dt=moment):
            assert SESSIONS.get_last_partition_key() == last


def test_a_range_over_a_closed_day_is_one_range() -> None:
    keys = SESSIONS.get_partition_keys_in_range(dg.PartitionKeyRange("2024-07-03", "2024-07-08"))
    assert list(keys) == ["2024-07-03", "2024-07-05", "2024-07-08"]
    assert span_of(list(keys)) == Span(date(2024, 7, 3), date(2024, 7, 8))


@settings(deadline=None)
@given(st.sets(st.sampled_from(KEYS), min_size=1))
def test_the_span_of_a_run_reaches_from_its_first_to_its_last_key_in_any_order(keys: set[str]) -> None:
    ordered = sorted(keys)
    assert span_of(list(keys)) == Span(date.fromisoformat(ordered[0]), date.fromisoformat(ordered[-1]))
