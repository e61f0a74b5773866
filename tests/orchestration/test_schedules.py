"""The schedules over whole years: sessions get requests, closed days reasons, and the morning asks until the facts are there."""

from datetime import date, datetime, time, timedelta

import dagster as dg
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from desk.runner import run_job
from resources.desk import DESK, DeskResource
from schedules.day import (
    PREMARKET_TICKS,
    NothingToDo,
    Wanted,
    plan_postclose,
    plan_premarket,
    postclose_schedule,
    premarket_schedule,
)
from tests.orchestration.homes import AFTER_EVERYTHING
from trading_assets.catalog import key_of
from trading_assets.core.calendar import NEW_YORK, XNYS
from trading_assets.core.ports import GateRecord, Span
from trading_assets.core.settings import Home
from trading_assets.definitions import defs
from trading_assets.jobs import DOCUMENTS, FACTS
from trading_assets.market.model import DAILY_BARS
from trading_assets.partitions import SESSIONS
from trading_assets.theses.model import OPINIONS

DAYS = st.dates(date(1990, 1, 3), date(2028, 12, 28))
MORNING, AFTERNOON = time(8, 30), time(16, 20)


def at(day: date | str, moment: time | str) -> datetime:
    """A New York instant."""
    day = date.fromisoformat(day) if isinstance(day, str) else day
    return datetime.combine(day, time.fromisoformat(moment) if isinstance(moment, str) else moment, NEW_YORK)


# The plans


@settings(deadline=None)
@given(DAYS)
def test_a_session_gets_its_post_close_request_and_a_closed_day_a_reason(day: date) -> None:
    plan = plan_postclose(as_of=at(day, AFTERNOON))
    if XNYS.is_session(day):
        assert plan == Wanted(XNYS.session(day), "day")
    else:
        assert plan == NothingToDo(f"{day} is not a session")


@settings(deadline=None)
@given(DAYS, st.booleans(), st.none() | st.just("the gate refused"))
def test_a_session_gets_its_pre_market_request_and_a_closed_day_a_reason(
    day: date, briefed: bool, problem: str | None
) -> None:
    plan = plan_premarket(as_of=at(day, MORNING), facts_problem=problem, briefs_exist=briefed)
    if not XNYS.is_session(day):
        assert plan == NothingToDo(f"{day} is not a session")
    elif problem:
        assert plan == Wanted(XNYS.previous(day), "facts")
    elif briefed:
        assert plan == NothingToDo(f"the briefs for {day} exist")
    else:
        assert plan == Wanted(XNYS.session(day), "briefs")


@pytest.mark.parametrize("year", [2001, 2012, 2024])
def test_the_requests_of_a_year_are_exactly_its_sessions(year: int) -> None:
    every = [date(year, 1, 1) + timedelta(days=n) for n in range(366) if (date(year, 1, 1) + timedelta(n)).year == year]
    asked = [day for day in every if isinstance(plan_postclose(as_of=at(day, AFTERNOON)), Wanted)]
    assert asked == [session.day for session in XNYS.sessions(every[0], every[-1])]


def test_post_close_waits_twenty_minutes_for_the_close() -> None:
    close = at("2024-07-05", "16:00")
    early = plan_postclose(as_of=close + timedelta(minutes=19, seconds=59))
    assert early == NothingToDo("the session of 2024-07-05 has not been closed for twenty minutes")
    assert isinstance(plan_postclose(as_of=close + timedelta(minutes=20)), Wanted)


def test_an_early_close_is_older_by_the_afternoon_and_asked_for_once() -> None:
    assert isinstance(plan_postclose(as_of=at("2024-07-03", "13:20")), Wanted)
    assert plan_postclose(as_of=at("2024-07-03", AFTERNOON)) == Wanted(XNYS.session(date(2024, 7, 3)), "day")


# The shells


def morning(day: str, moment: str) -> dg.RunRequest | dg.SkipReason:
    """What the pre-market schedule answers at a tick."""
    with dg.build_schedule_context(scheduled_execution_time=at(day, moment)) as context:
        answer = premarket_schedule(context, desk=DeskResource())
    assert isinstance(answer, dg.RunRequest | dg.SkipReason)
    return answer


def afternoon(day: str, moment: str = "16:20") -> dg.RunRequest | dg.SkipReason:
    """What the post-close schedule answers at its tick."""
    with dg.build_schedule_context(scheduled_execution_time=at(day, moment)) as context:
        answer = postclose_schedule(context)
    assert isinstance(answer, dg.RunRequest | dg.SkipReason)
    return answer


def asked(answer: dg.RunRequest | dg.SkipReason) -> dg.RunRequest:
    """The request, or a failure that shows the reason."""
    assert isinstance(answer, dg.RunRequest), answer
    assert answer.partition_key is not None
    assert SESSIONS.has_partition_key(answer.partition_key)
    return answer


@pytest.mark.parametrize("moment", ["08:30", "08:45", "09:00", "09:15"])
def test_missing_facts_are_asked_for_again_at_every_tick(home: Home, moment: str) -> None:
    request = asked(morning("2012-12-31", moment))
    assert request.partition_key == "2012-12-28"
    assert request.run_key == f"2012-12-28|facts|{moment}"
    assert set(request.asset_selection or ()) == set(FACTS)


def test_facts_that_passed_are_followed_by_the_documents_and_briefs_of_the_session_itself(quarter: Home) -> None:
    request = asked(morning("2012-12-31", "08:30"))
    assert request.partition_key == "2012-12-31"
    assert request.asset_selection == [*DOCUMENTS, *(key_of(table, DESK) for table in OPINIONS)]


def test_a_gate_that_failed_asks_for_the_facts_again(own_quarter: Home) -> None:
    day = date(2012, 12, 28)
    desk = DeskResource()
    version = desk.lake().versions(DAILY_BARS, Span(day, day))[day]
    desk.gates().record_gates(
        [GateRecord(DAILY_BARS.name, day, version, False, ("IBM: high below low",))], as_of=at("2012-12-28", "16:30")
    )
    assert asked(morning("2012-12-31", "08:45")).partition_key == "2012-12-28"


def test_bars_that_changed_after_the_verdict_ask_for_the_facts_again(own_quarter: Home) -> None:
    day, lake = date(2012, 12, 28), DeskResource().lake()
    bars = lake.read(DAILY_BARS, as_of=AFTER_EVERYTHING, first=day, last=day)
    lake.write(DAILY_BARS, bars.with_columns(volume=pl.col("volume") + 1), Span(day, day))
    assert asked(morning("2012-12-31", "08:45")).run_key == "2012-12-28|facts|08:45"


def test_the_morning_runs_what_it_asks_for_and_then_rests(own_quarter: Home) -> None:
    """Facts, judged; then briefs; then nothing more to do."""
    request = asked(morning("2013-01-02", "08:30"))
    assert (request.partition_key, request.run_key) == ("2013-01-02", "2013-01-02|briefs|08:30")
    span = Span(date(2013, 1, 2), date(2013, 1, 2))
    facts = asked(morning("2013-01-03", "08:30"))
    assert (facts.partition_key, facts.run_key) == ("2013-01-02", "2013-01-02|facts|08:30")
    assert run_job("premarket", span, selection=facts.asset_selection).success
    assert DeskResource().gates().gates(DAILY_BARS.name, span)[span.first].passed, "the gate judged what it asked for"
    briefs = asked(morning("2013-01-03", "08:45"))
    assert (briefs.partition_key, briefs.run_key) == ("2013-01-03", "2013-01-03|briefs|08:45")
    day = Span(date(2013, 1, 3), date(2013, 1, 3))
    assert run_job("premarket", day, selection=briefs.asset_selection).success
    assert morning("2013-01-03", "09:00") == dg.SkipReason("the briefs for 2013-01-03 exist")


@pytest.mark.parametrize(
    "day",
    [
        pytest.param("2024-07-04", id="holiday"),
        pytest.param("2024-07-06", id="Saturday"),
        pytest.param("2012-10-29", id="hurricane"),
        pytest.param("2024-03-10", id="clocks go forward"),
    ],
)
def test_a_closed_day_is_skipped_with_its_date(home: Home, day: str) -> None:
    assert morning(day, "08:30") == dg.SkipReason(f"{day} is not a session")
    assert afternoon(day) == dg.SkipReason(f"{day} is not a session")


@pytest.mark.parametrize(
    "day",
    [
        pytest.param("2024-07-03", id="early close"),
        pytest.param("2024-07-05", id="after a holiday"),
        pytest.param("2024-03-08", id="the Friday before clocks go forward"),
        pytest.param("2024-03-11", id="the Monday after"),
        pytest.param("2024-11-01", id="the Friday before clocks go back"),
        pytest.param("2024-11-04", id="the Monday after that"),
    ],
)
def test_post_close_asks_for_its_own_session_whatever_the_clocks_do(day: str) -> None:
    request = asked(afternoon(day))
    assert request.partition_key == request.run_key == day
    assert request.asset_selection is None


def test_post_close_before_the_close_is_skipped() -> None:
    assert isinstance(afternoon("2024-07-05", "16:00"), dg.SkipReason)


def test_the_schedules_tick_in_new_york_at_the_hours_that_they_promise() -> None:
    premarket, postclose = (
        defs.resolve_schedule_def("premarket_schedule"),
        defs.resolve_schedule_def("postclose_schedule"),
    )
    assert premarket.cron_schedule == PREMARKET_TICKS
    assert postclose.cron_schedule == "20 16 * * 1-5"
    assert premarket.execution_timezone == postclose.execution_timezone == "America/New_York"


def test_both_schedules_wait_for_the_operator_to_start_them() -> None:
    for name in ("premarket_schedule", "postclose_schedule"):
        assert defs.resolve_schedule_def(name).default_status == dg.DefaultScheduleStatus.STOPPED
