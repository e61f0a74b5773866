"""Which run starts for which slot, asked of the pure decision and of the sensor over a real ledger."""

from datetime import UTC, date, datetime, timedelta

import dagster as dg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resources.desk import DESK, DeskResource
from sensors.reports import request_report
from sensors.slots import AskForRun, Skip, decide, decision_slots
from tests.orchestration.homes import living_in
from trading_assets.core.calendar import NEW_YORK, XNYS
from trading_assets.core.settings import PROJECT, Decisions, Home, load_settings
from trading_assets.core.slots import slots_of
from trading_assets.definitions import defs
from trading_assets.execution.ports import Decision

DECISIONS: Decisions = load_settings(PROJECT / "config").decisions
MONDAY = date(2013, 2, 25)


def at(text: str) -> datetime:
    """A New York instant."""
    return datetime.fromisoformat(text).replace(tzinfo=NEW_YORK)


def answer(moment: datetime, *, decided: bool = False) -> AskForRun | Skip:
    """The pure decision, with a ledger that says the same of every slot."""
    return decide(DECISIONS, as_of=moment, is_decided=lambda _: decided)


# The decision


def test_a_due_slot_asks_for_a_run_with_its_own_key() -> None:
    asked = answer(at("2013-02-25T09:31"))
    assert isinstance(asked, AskForRun)
    assert asked.run_key == "desk|2013-02-25|09:30"
    assert (asked.slot.session.day, asked.slot.label) == (MONDAY, "09:30")


def test_a_slot_that_is_decided_is_skipped_with_its_name() -> None:
    assert answer(at("2013-02-25T09:31"), decided=True) == Skip("slot 09:30 of 2013-02-25 is decided already")


@pytest.mark.parametrize(
    ("moment", "says"),
    [
        pytest.param("2013-02-25T09:29:59", "no slot of 2013-02-25 has begun at 09:29:59", id="before the open"),
        pytest.param("2013-02-25T09:40:00", "slot 09:30 of 2013-02-25 ended at 09:40:00", id="grace is over"),
        pytest.param("2013-02-25T16:00:00", "the session of 2013-02-25 closed at 16:00", id="after the close"),
        pytest.param("2013-02-23T09:31:00", "2013-02-23 is not a session; the next one is 2013-02-25", id="Saturday"),
        pytest.param("2024-07-04T09:31:00", "2024-07-04 is not a session; the next one is 2024-07-05", id="holiday"),
        pytest.param("2024-07-03T13:00:00", "the session of 2024-07-03 closed at 13:00", id="early close"),
    ],
)
def test_out_of_hours_the_sensor_says_why_it_waits(moment: str, says: str) -> None:
    skipped = answer(at(moment))
    assert isinstance(skipped, Skip)
    assert says in skipped.reason


def test_the_last_slot_before_an_early_close_still_runs() -> None:
    asked = answer(at("2024-07-03T12:31"))
    assert isinstance(asked, AskForRun)
    assert asked.run_key == "desk|2024-07-03|12:30"


@settings(deadline=None)
@given(st.datetimes(datetime(1990, 1, 3), datetime(2028, 12, 27)))  # noqa: DTZ001 - made aware below
def test_a_run_is_asked_for_only_within_the_grace_of_a_slot_that_exists(naive: datetime) -> None:
    moment = naive.replace(tzinfo=UTC)
    asked = answer(moment)
    session = XNYS.today(moment)
    due = [
        slot
        for slot in (slots_of(session, DECISIONS.slots) if session else ())
        if slot.at <= moment < min(slot.at + DECISIONS.grace, slot.session.close)
    ]
    assert [asked.slot] == due if isinstance(asked, AskForRun) else due == []


@settings(deadline=None)
@given(st.sampled_from(XNYS.days), st.integers(0, 12), st.integers(0, 599))
def test_the_same_slot_has_the_same_key_at_every_moment_of_its_grace(day: date, index: int, seconds: int) -> None:
    slots = slots_of(XNYS.session(day), DECISIONS.slots)
    slot = slots[index % len(slots)]
    asked = answer(slot.at + timedelta(seconds=seconds))
    assert isinstance(asked, AskForRun)
    assert asked.run_key == f"desk|{day}|{slot.label}"


# The sensor


def tick(home: Home, clock: str) -> dg.RunRequest | dg.SkipReason:
    """What the sensor answers at a moment, over the home's own ledger."""
    with living_in(home.root, clock=clock), dg.build_sensor_context() as context:
        answered = decision_slots(context, desk=DeskResource())
    assert isinstance(answered, dg.RunRequest | dg.SkipReason)
    return answered


DUE = "2013-02-25T09:31:00-05:00"


def test_the_sensor_asks_with_partition_slot_and_tags(home: Home) -> None:
    request = tick(home, DUE)
    assert isinstance(request, dg.RunRequest)
    assert request.run_key == "desk|2013-02-25|09:30"
    assert request.partition_key == "2013-02-25"
    assert request.run_config == {"ops": {"desk_decisions": {"config": {"slot": "09:30"}}}}
    assert request.tags == {"desk/book": "desk", "desk/slot": "09:30"}


def test_what_the_sensor_asks_for_fits_the_job(home: Home) -> None:
    request = tick(home, DUE)
    assert isinstance(request, dg.RunRequest)
    assert dg.validate_run_config(defs.resolve_job_def("decide"), request.run_config)
    assert decision_slots.job_name == "decide"


def test_two_looks_at_the_same_instant_give_the_same_run_key(home: Home) -> None:
    assert tick(home, DUE) == tick(home, DUE)


def test_the_sensor_rests_once_the_ledger_holds_the_decision(home: Home) -> None:
    book = DeskResource().ledger(DESK)
    taken = Decision(MONDAY, "09:30", at("2013-02-25T09:31"), "decided", "no plan", 0, 0, "limits")
    with book.session() as ledger:
        ledger.add_decision(taken, [], [], [])
    assert tick(home, DUE) == dg.SkipReason("slot 09:30 of 2013-02-25 is decided already")
    later = tick(home, "2013-02-25T10:00:00-05:00")
    assert isinstance(later, dg.RunRequest), "another slot of the session is another decision"
    assert later.run_key == "desk|2013-02-25|10:00"


def test_the_sensor_says_why_it_waits_on_a_closed_day(home: Home) -> None:
    skipped = tick(home, "2024-07-04T10:00:00-04:00")
    assert skipped == dg.SkipReason("2024-07-04 is not a session; the next one is 2024-07-05")


def test_the_sensors_wait_for_the_operator_to_start_them() -> None:
    """A clone that opens the UI must not begin to trade, not even on paper."""
    names = {"decision_slots", "report_after_success", "report_after_failure"}
    for name in names:
        assert defs.resolve_sensor_def(name).default_status == dg.DefaultSensorStatus.STOPPED


# The report after the post-close run


def finished(status: dg.DagsterRunStatus, tags: dict[str, str]) -> dg.DagsterRun:
    """A post-close run as Dagster stores it."""
    return dg.DagsterRun(job_name="postclose", run_id="11111111-aaaa", status=status, tags=tags)


@pytest.mark.parametrize("status", [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE])
def test_a_post_close_run_is_followed_by_the_report_of_its_session(status: dg.DagsterRunStatus) -> None:
    request = request_report(finished(status, {"dagster/partition": "2013-02-25"}))
    assert isinstance(request, dg.RunRequest)
    assert (request.job_name, request.partition_key, request.run_key) == ("report", "2013-02-25", "11111111-aaaa")


def test_a_post_close_run_over_a_range_is_followed_by_the_report_of_its_last_session() -> None:
    """A catch-up over days that were missed ends with one report, not with none."""
    tags = {"dagster/asset_partition_range_start": "2013-02-20", "dagster/asset_partition_range_end": "2013-02-25"}
    request = request_report(finished(dg.DagsterRunStatus.FAILURE, tags))
    assert isinstance(request, dg.RunRequest)
    assert request.partition_key == "2013-02-25"


def test_a_run_without_a_session_is_skipped_with_its_id() -> None:
    assert request_report(finished(dg.DagsterRunStatus.SUCCESS, {})) == dg.SkipReason(
        "run 11111111-aaaa has no session"
    )


def test_the_report_sensors_watch_the_post_close_job_and_start_the_report(home: Home) -> None:
    for name, status in (("report_after_success", "SUCCESS"), ("report_after_failure", "FAILURE")):
        sensor = defs.resolve_sensor_def(name)
        assert sensor.targets[0].job_name == "report" or sensor.job_name == "report", status
