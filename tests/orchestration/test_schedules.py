"""The schedules at their ticks: sessions get requests that are claimed, closed days reasons, a late tick nothing."""

from datetime import date, datetime, timedelta

import dagster as dg
import polars as pl
import pytest

from desk.runner import prepare_home, run_job
from resources.desk import DESK, DeskResource
from schedules.day import lateness, postclose_schedule, premarket_schedule, slot_schedule
from tests.orchestration.homes import AFTER_EVERYTHING
from trading_assets.catalog import key_of
from trading_assets.core.calendar import NEW_YORK
from trading_assets.core.ports import GateRecord, Span
from trading_assets.core.settings import Home
from trading_assets.definitions import defs
from trading_assets.jobs import DOCUMENTS, FACTS
from trading_assets.market.model import DAILY_BARS
from trading_assets.partitions import SESSIONS
from trading_assets.theses.model import OPINIONS

Answer = list[dg.RunRequest] | dg.SkipReason


def at(day: str, moment: str) -> datetime:
    """A New York instant."""
    return datetime.fromisoformat(f"{day}T{moment}").replace(tzinfo=NEW_YORK)


def tick(
    schedule: dg.ScheduleDefinition,
    day: str,
    moment: str,
    monkeypatch: pytest.MonkeyPatch,
    *,
    late: timedelta = timedelta(seconds=0.05),
) -> Answer:
    """What a schedule answers at a tick that is evaluated so late, on the home's own history."""
    scheduled = at(day, moment)
    monkeypatch.setenv("DESK_CLOCK", (scheduled + late).isoformat())
    prepare_home()
    with (
        dg.DagsterInstance.get() as instance,
        dg.build_schedule_context(instance=instance, scheduled_execution_time=scheduled) as context,
    ):
        answer = schedule(context, desk=DeskResource())
    assert isinstance(answer, list | dg.SkipReason)
    return answer


def asked(answer: Answer) -> dg.RunRequest:
    """The one request, or a failure that shows the reason."""
    assert isinstance(answer, list), answer
    [request] = answer
    assert request.partition_key is None or SESSIONS.has_partition_key(request.partition_key)
    return request


# Ticks that are now, and others


def test_a_tick_that_is_made_up_for_after_a_sleep_asks_for_nothing(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine slept from 08:00 to 11:00: Dagster evaluates the tick of ten o'clock at eleven."""
    answer = tick(slot_schedule, "2024-03-25", "10:00", monkeypatch, late=timedelta(hours=1))
    assert isinstance(answer, dg.SkipReason)
    assert "11:00:00, the tick is for 2024-03-25 10:00: day_parts asks" in (answer.skip_message or "")


def test_on_a_replay_of_another_day_the_schedules_ask_for_nothing(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    years = at("2012-12-28", "10:00") - at("2024-03-25", "10:00")
    answer = tick(slot_schedule, "2024-03-25", "10:00", monkeypatch, late=years)
    assert isinstance(answer, dg.SkipReason)
    assert "the desk's clock shows 2012-12-28" in (answer.skip_message or "")


def test_a_tick_is_now_within_the_bound_on_both_sides() -> None:
    now, bound = at("2024-03-25", "10:00"), timedelta(minutes=2)
    assert lateness(now, now + bound, bound) == lateness(now, now - bound, bound) == ""
    assert lateness(now, now + bound + timedelta(seconds=1), bound)
    assert lateness(now, now - bound - timedelta(seconds=1), bound)


# Slots


def test_a_slot_is_asked_for_at_its_minute_with_partition_slot_and_tags(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = asked(tick(slot_schedule, "2024-03-25", "10:00", monkeypatch))
    assert (request.job_name, request.partition_key) == ("decide", "2024-03-25")
    assert request.run_config == {"ops": {"desk_decisions": {"config": {"slot": "10:00"}}}}
    assert request.tags == {
        "desk/book": "desk",
        "desk/slot": "10:00",
        "desk/part": "slot/2024-03-25/10:00",
        "desk/attempt": "1",
    }


@pytest.mark.fault(101)
def test_a_slot_is_asked_for_once_however_often_its_tick_is_evaluated(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked(tick(slot_schedule, "2024-03-25", "10:00", monkeypatch))
    again = tick(slot_schedule, "2024-03-25", "10:00", monkeypatch)
    assert isinstance(again, dg.SkipReason)
    assert "slot 10:00: its run is on its way" in (again.skip_message or "")


def test_a_slot_after_an_early_close_is_no_tick(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    asked(tick(slot_schedule, "2024-07-03", "12:30", monkeypatch))
    assert isinstance(tick(slot_schedule, "2024-07-03", "13:00", monkeypatch), dg.SkipReason)


# The morning


@pytest.mark.parametrize("moment", ["08:30", "08:45", "09:00", "09:15"])
def test_missing_facts_are_asked_for_at_whichever_tick_comes_first(
    home: Home, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    request = asked(tick(premarket_schedule, "2012-12-31", moment, monkeypatch))
    assert request.partition_key == "2012-12-28"
    assert request.run_key == "facts/2012-12-31#1"
    assert set(request.asset_selection or ()) == set(FACTS)


def test_facts_that_passed_are_followed_by_the_documents_and_briefs_of_the_session_itself(
    own_quarter: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = asked(tick(premarket_schedule, "2012-12-31", "08:30", monkeypatch))
    assert request.partition_key == "2012-12-31"
    assert request.asset_selection == [*DOCUMENTS, *(key_of(table, DESK) for table in OPINIONS)]


def test_a_gate_that_failed_or_bars_that_changed_ask_for_the_facts_again(
    own_quarter: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    day, desk = date(2012, 12, 28), DeskResource()
    lake, span = desk.lake(), Span(day, day)
    bars = lake.read(DAILY_BARS, as_of=AFTER_EVERYTHING, first=day, last=day)
    lake.write(DAILY_BARS, bars.with_columns(volume=pl.col("volume") + 1), span)
    assert asked(tick(premarket_schedule, "2012-12-31", "08:45", monkeypatch)).partition_key == "2012-12-28"
    version = lake.versions(DAILY_BARS, span)[day]
    refused = GateRecord(DAILY_BARS.name, day, version, False, ("IBM: high below low",))
    desk.gates().record_gates([refused], as_of=at("2012-12-28", "16:30"))
    waiting = tick(premarket_schedule, "2012-12-31", "09:00", monkeypatch)
    assert isinstance(waiting, dg.SkipReason)
    assert "IBM: high below low" in (waiting.skip_message or ""), "the opinions wait for the facts and say why"


def test_the_morning_runs_what_it_asks_for_and_then_rests(own_quarter: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Facts, judged; then briefs; then nothing more to do."""
    facts = asked(tick(premarket_schedule, "2013-01-03", "08:30", monkeypatch))
    assert (facts.partition_key, facts.run_key) == ("2013-01-02", "facts/2013-01-03#1")
    span = Span(date(2013, 1, 2), date(2013, 1, 2))
    assert run_job("premarket", span, selection=facts.asset_selection).success
    briefs = asked(tick(premarket_schedule, "2013-01-03", "08:45", monkeypatch))
    assert (briefs.partition_key, briefs.run_key) == ("2013-01-03", "opinions/2013-01-03#1")
    day = Span(date(2013, 1, 3), date(2013, 1, 3))
    assert run_job("premarket", day, selection=briefs.asset_selection).success
    rests = tick(premarket_schedule, "2013-01-03", "09:00", monkeypatch)
    assert rests == dg.SkipReason("every part of 2013-01-03 is done")


# Closed days and the evening


@pytest.mark.parametrize(
    "day",
    [
        pytest.param("2024-07-04", id="holiday"),
        pytest.param("2024-07-06", id="Saturday"),
        pytest.param("2012-10-29", id="hurricane"),
        pytest.param("2024-03-10", id="clocks go forward"),
    ],
)
def test_a_closed_day_is_skipped_with_its_date(home: Home, monkeypatch: pytest.MonkeyPatch, day: str) -> None:
    for schedule, moment in ((premarket_schedule, "08:30"), (slot_schedule, "10:00"), (postclose_schedule, "16:20")):
        answer = tick(schedule, day, moment, monkeypatch)
        assert isinstance(answer, dg.SkipReason)
        assert f"{day} is not a session; the next one is" in (answer.skip_message or "")


@pytest.mark.parametrize(
    ("day", "moment"),
    [
        pytest.param("2024-07-03", "13:20", id="early close"),
        pytest.param("2024-07-05", "16:20", id="after a holiday"),
        pytest.param("2024-03-08", "16:20", id="the Friday before clocks go forward"),
        pytest.param("2024-03-11", "16:20", id="the Monday after"),
        pytest.param("2024-11-01", "16:20", id="the Friday before clocks go back"),
        pytest.param("2024-11-04", "16:20", id="the Monday after that"),
    ],
)
def test_post_close_asks_for_its_own_session_whatever_the_clocks_do(
    home: Home, monkeypatch: pytest.MonkeyPatch, day: str, moment: str
) -> None:
    request = asked(tick(postclose_schedule, day, moment, monkeypatch))
    assert (request.partition_key, request.run_key) == (day, f"postclose/{day}#1")
    assert request.asset_selection is None


def test_post_close_before_its_time_is_skipped_with_when_it_is_due(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = tick(postclose_schedule, "2024-07-05", "13:20", monkeypatch)
    assert answer == dg.SkipReason("postclose is due at 2024-07-05 16:20")


def test_the_schedules_tick_in_new_york_and_wait_for_the_operator_to_start_them() -> None:
    for name in ("premarket_schedule", "slot_schedule", "postclose_schedule"):
        schedule = defs.resolve_schedule_def(name)
        assert schedule.execution_timezone == "America/New_York"
        assert schedule.default_status == dg.DefaultScheduleStatus.STOPPED
        assert all(line.endswith("* * 1-5") for line in schedule.cron_schedule)
