"""The knowable rule, windows and sessions."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.market.documents.drafts import MONDAY, TUESDAY, WEEK, at, window
from trading_assets.core.calendar import XNYS
from trading_assets.core.errors import NotASession
from trading_assets.core.ports import Span
from trading_assets.market.documents.ports import Delivers, Published, SourceNotReady
from trading_assets.market.documents.times import NEWS_LAG, session_finder, session_of, stamped, window_of

LIVE: Delivers = "live"
INSTANTS = st.datetimes(datetime(1995, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - bounds


def test_an_item_fetched_within_a_day_is_knowable_when_it_was_fetched() -> None:
    fetched = at(TUESDAY, "12:00")
    stamp = stamped(Published(at(MONDAY, "12:00")), fetched_at=fetched, lag=NEWS_LAG, delivers=LIVE)
    assert stamp is not None
    assert (stamp.knowable_at, stamp.basis) == (fetched, "observed")


def test_an_item_fetched_later_than_a_day_is_knowable_by_its_publication_and_a_lag() -> None:
    fetched = at(TUESDAY, "12:00") + timedelta(microseconds=1)
    stamp = stamped(Published(at(MONDAY, "12:00")), fetched_at=fetched, lag=NEWS_LAG, delivers=LIVE)
    assert stamp is not None
    assert (stamp.knowable_at, stamp.basis) == (at(MONDAY, "12:15"), "published")


def test_an_item_from_the_future_has_no_times() -> None:
    fetched = at(MONDAY)
    assert stamped(Published(fetched + timedelta(seconds=1)), fetched_at=fetched, lag=NEWS_LAG, delivers=LIVE) is None
    assert stamped(Published(fetched), fetched_at=fetched, lag=NEWS_LAG, delivers=LIVE) is not None


def test_a_time_that_may_have_passed_counts_as_passed_when_the_item_is_here() -> None:
    """A day without a clock lasts until midnight; the desk holds the item at noon, so it was out."""
    day = Published(at(TUESDAY, "04:59"), earliest=at(MONDAY, "05:00"))
    stamp = stamped(day, fetched_at=at(MONDAY, "17:00"), lag=NEWS_LAG, delivers=LIVE)
    assert stamp is not None
    assert stamp.published_at == stamp.knowable_at == at(MONDAY, "17:00")


def test_an_archive_never_observes_anything() -> None:
    stamp = stamped(Published(at(MONDAY)), fetched_at=at(MONDAY, "12:01"), lag=NEWS_LAG, delivers="archive")
    assert stamp is not None
    assert (stamp.knowable_at, stamp.basis) == (at(MONDAY, "12:15"), "published")


def test_a_dropped_file_is_knowable_when_it_is_first_seen_however_old() -> None:
    stamp = stamped(Published(at(date(2005, 1, 3))), fetched_at=at(MONDAY), lag=NEWS_LAG, delivers="dropped")
    assert stamp is not None
    assert (stamp.knowable_at, stamp.basis) == (at(MONDAY), "observed")


@pytest.mark.parametrize("stated", [at(MONDAY, "11:00"), at(MONDAY, "13:00")])
def test_a_stated_time_counts_but_never_before_publication(stated: datetime) -> None:
    told = Published(at(MONDAY, "12:00"), knowable_at=stated)
    stamp = stamped(told, fetched_at=at(TUESDAY), lag=NEWS_LAG, delivers="dropped")
    assert stamp is not None
    assert (stamp.knowable_at, stamp.basis) == (max(stated, at(MONDAY, "12:00")), "published")


@given(INSTANTS, INSTANTS, st.integers(0, 40), st.sampled_from(["live", "archive", "dropped"]))
def test_nothing_is_knowable_before_it_was_published_nor_published_after_it_was_fetched(
    published: datetime, fetched: datetime, vague_hours: int, delivers: Delivers
) -> None:
    vague = Published(published, earliest=published - timedelta(hours=vague_hours))
    stamp = stamped(vague, fetched_at=fetched, lag=NEWS_LAG, delivers=delivers)
    if stamp is None:
        assert published - timedelta(hours=vague_hours) > fetched
    else:
        assert stamp.published_at <= stamp.fetched_at == fetched
        assert stamp.knowable_at >= stamp.published_at


@given(INSTANTS, st.integers(0, 60 * 24 * 30))
def test_a_later_fetch_of_a_live_item_never_makes_it_known_before_an_attentive_reader_had_it(
    published: datetime, minutes: int
) -> None:
    fetched = published + timedelta(minutes=minutes)
    stamp = stamped(Published(published), fetched_at=fetched, lag=NEWS_LAG, delivers=LIVE)
    assert stamp is not None
    assert stamp.knowable_at >= min(fetched, published + NEWS_LAG)


def test_what_becomes_known_at_the_close_is_of_that_session_and_a_moment_later_of_the_next() -> None:
    close = XNYS.session(MONDAY).close
    assert session_of(close, XNYS) == MONDAY
    assert session_of(close + timedelta(microseconds=1), XNYS) == TUESDAY
    assert session_of(close - timedelta(hours=1), XNYS) == MONDAY


@pytest.mark.parametrize(
    ("instant", "session"),
    [
        (datetime(2013, 3, 2, 15, 0, tzinfo=UTC), MONDAY),  # Saturday
        (datetime(2012, 11, 22, 15, 0, tzinfo=UTC), date(2012, 11, 23)),  # Thanksgiving
        (datetime(2012, 11, 23, 18, 1, tzinfo=UTC), date(2012, 11, 26)),  # after an early close
        (datetime(2013, 3, 8, 21, 1, tzinfo=UTC), date(2013, 3, 11)),  # after 16:00 in winter time
        (datetime(2013, 3, 11, 20, 1, tzinfo=UTC), date(2013, 3, 12)),  # after 16:00 in summer time
        (datetime(2012, 10, 29, 15, 0, tzinfo=UTC), date(2012, 10, 31)),  # the storm
    ],
)
def test_sessions_know_weekends_holidays_early_closes_and_summer_time(instant: datetime, session: date) -> None:
    assert session_of(instant, XNYS) == session


@given(INSTANTS)
def test_a_session_is_the_first_that_closes_at_or_after_the_instant(instant: datetime) -> None:
    session = XNYS.session(session_of(instant, XNYS))
    assert XNYS.previous(session.day).close < instant <= session.close


def test_a_window_reaches_from_close_to_close() -> None:
    found = window()
    assert found.after == XNYS.session(date(2013, 3, 1)).close
    assert found.until == XNYS.session(WEEK.last).close


def test_a_window_of_a_session_that_is_open_ends_now() -> None:
    now = at(TUESDAY, "15:00")
    assert window_of(Span(MONDAY, TUESDAY), as_of=now, calendar=XNYS).until == now


def test_a_session_whose_documents_cannot_exist_yet_is_not_ready() -> None:
    with pytest.raises(SourceNotReady, match="2013-03-05") as refused:
        window_of(Span(MONDAY, TUESDAY), as_of=XNYS.session(MONDAY).close, calendar=XNYS)
    assert "after 2013-03-04T21:00" in str(refused.value)


def test_a_closed_day_has_no_window() -> None:
    with pytest.raises(NotASession):
        window(Span(date(2013, 3, 2), date(2013, 3, 2)))


def test_the_finder_finds_nothing_outside_its_window() -> None:
    found = window(Span(TUESDAY, TUESDAY))
    find = session_finder(found, XNYS)
    assert find(found.after) is None
    assert find(found.after + timedelta(microseconds=1)) == TUESDAY
    assert find(found.until) == TUESDAY
    assert find(found.until + timedelta(microseconds=1)) is None
