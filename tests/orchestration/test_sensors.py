"""Which run starts for which slot, and for which part of the day, over a real ledger."""

from datetime import UTC, date, datetime, timedelta

import dagster as dg
import pytest

from resources.clock import FixedClock
from resources.day.looking import DayLook, Look, outline_of
from resources.desk import DESK, DeskResource
from resources.ledger.journal import read_journal
from sensors.day import ASKED_HERE, day_parts
from sensors.reports import request_report
from sensors.slots import decision_slots
from tests.orchestration.homes import living_in
from trading_assets.core.calendar import NEW_YORK
from trading_assets.core.settings import Home
from trading_assets.definitions import defs
from trading_assets.execution.ports import Decision
from trading_assets.jobs import PART_JOBS, request_of

MONDAY = date(2013, 2, 25)
DUE = "2013-02-25T09:31:00-05:00"


def at(text: str) -> datetime:
    """A New York instant."""
    return datetime.fromisoformat(text).replace(tzinfo=NEW_YORK)


def tick(home: Home, clock: str, instance: dg.DagsterInstance | None = None) -> dg.RunRequest | dg.SkipReason:
    """What the sensor of slots answers at a moment, over the home's own ledger."""
    instance = instance or dg.DagsterInstance.ephemeral()
    with living_in(home.root, clock=clock), dg.build_sensor_context(instance=instance) as context:
        answered = decision_slots(context, desk=DeskResource())
    assert isinstance(answered, dg.RunRequest | dg.SkipReason)
    return answered


def said(answer: object) -> str:
    """Why nothing was asked for."""
    assert isinstance(answer, dg.SkipReason), answer
    return answer.skip_message or ""


# Slots


def test_the_sensor_asks_with_partition_slot_and_tags(home: Home) -> None:
    request = tick(home, DUE)
    assert isinstance(request, dg.RunRequest)
    assert request.run_key == "slot/2013-02-25/09:30#1"
    assert request.partition_key == "2013-02-25"
    assert request.run_config == {"ops": {"desk_decisions": {"config": {"slot": "09:30"}}}}
    assert request.tags["desk/slot"] == "09:30"
    assert dg.validate_run_config(defs.resolve_job_def("decide"), request.run_config)
    assert decision_slots.job_name == "decide"


@pytest.mark.parametrize(
    ("moment", "says"),
    [
        pytest.param("2013-02-25T09:29:59-05:00", "no slot of 2013-02-25 has begun at 09:29:59", id="before the open"),
        pytest.param("2013-02-25T09:40:00-05:00", "slot 09:30 of 2013-02-25 ended at 09:40:00", id="grace is over"),
        pytest.param("2013-02-25T16:00:00-05:00", "the session of 2013-02-25 closed at 16:00", id="after the close"),
        pytest.param("2013-02-23T09:31:00-05:00", "2013-02-23 is not a session", id="Saturday"),
        pytest.param("2024-07-04T09:31:00-04:00", "the next one is 2024-07-05", id="holiday"),
        pytest.param("2024-07-03T13:00:00-04:00", "the session of 2024-07-03 closed at 13:00", id="early close"),
    ],
)
def test_out_of_hours_the_sensor_says_why_it_waits(home: Home, moment: str, says: str) -> None:
    assert says in said(tick(home, moment))


@pytest.mark.fault(101)
@pytest.mark.fault(103)
def test_two_daemons_that_look_at_once_ask_for_one_run(home: Home) -> None:
    """Two Dagster instances on one ledger, each with a daemon of its own."""
    first, second = dg.DagsterInstance.ephemeral(), dg.DagsterInstance.ephemeral()
    assert isinstance(tick(home, DUE, first), dg.RunRequest)
    assert "its run is on its way" in said(tick(home, DUE, second))
    assert "its run is on its way" in said(tick(home, DUE, first)), "nor does a tick that is evaluated again"
    later = tick(home, "2013-02-25T10:00:00-05:00", second)
    assert isinstance(later, dg.RunRequest), "another slot of the session is another decision"


def test_the_sensor_rests_once_the_ledger_holds_the_decision(home: Home) -> None:
    book = DeskResource().ledger(DESK)
    taken = Decision(MONDAY, "09:30", at("2013-02-25T09:31"), "decided", "no plan", 0, 0, "limits")
    with book.session() as ledger:
        ledger.add_decision(taken, [], [], [])
    assert "slot 10:00 is due at 2013-02-25 10:00" in said(tick(home, DUE))
    assert isinstance(tick(home, "2013-02-25T10:00:00-05:00"), dg.RunRequest)


def test_every_sensor_and_schedule_waits_for_the_operator_to_start_it() -> None:
    """A clone that opens the UI must not begin to trade, not even on paper."""
    repository = defs.get_repository_def()
    assert {sensor.default_status for sensor in repository.sensor_defs} == {dg.DefaultSensorStatus.STOPPED}
    assert {each.default_status for each in repository.schedule_defs} == {dg.DefaultScheduleStatus.STOPPED}
    assert len(repository.sensor_defs) == 10
    assert all(sensor.description for sensor in repository.sensor_defs)


# Every part of the day


class Day:
    """A desk whose clock and machine the test moves, on a history of its own."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.instance = dg.DagsterInstance.ephemeral()
        self.machine = datetime(2030, 1, 1, tzinfo=UTC)

    def look(self, moment: str, *, wait_s: float = 0.0, late: timedelta = timedelta(0)) -> Look:
        """One look at a New York moment, so many seconds of the machine after the last one."""
        self.machine += timedelta(seconds=wait_s)
        with living_in(self.home.root):
            desk = DeskResource()
            eyes = DayLook(desk, outline_of(desk, PART_JOBS), self.instance, FixedClock(self.machine))
            return eyes.look(as_of=at(moment), asks=ASKED_HERE, records=True, patience=late)

    def run(self, look: Look, status: dg.DagsterRunStatus) -> None:
        """The runs that a look asked for, at their end."""
        for one in look.asked:
            request = request_of(one.part, one.claim, one.span)
            job = request.job_name or ""
            self.instance.add_run(dg.DagsterRun(job, run_id=one.claim.run_key, status=status, tags=dict(request.tags)))

    def asked(self, moment: str, *, wait_s: float = 0.0) -> list[str]:
        """Run keys of one look."""
        return [one.claim.run_key for one in self.look(moment, wait_s=wait_s).asked]


@pytest.fixture
def day(home: Home) -> Day:
    return Day(home)


SUCCESS, FAILURE = dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE


def test_the_parts_of_an_evening_follow_each_other(day: Day) -> None:
    """The post-close; at the end of a week the weekly desk and housekeeping; the report by its sensors, or here when they sleep."""
    evening = day.look("2024-03-22T16:20")
    assert [one.claim.run_key for one in evening.asked] == ["postclose/2024-03-22#1"]
    day.run(evening, SUCCESS)
    assert day.asked("2024-03-22T16:40") == [], "that the run ended is written down at this look"
    after = day.look("2024-03-22T16:41")
    assert [one.claim.run_key for one in after.asked] == ["weekly/2024-03-22#1", "housekeep/2024-03-22#1"]
    day.run(after, SUCCESS)
    assert day.asked("2024-03-22T16:45", wait_s=60) == []
    assert day.asked("2024-03-22T16:46", wait_s=61) == ["report/2024-03-22#1"]


@pytest.mark.fault(105)
def test_a_machine_that_slept_for_days_makes_up_for_the_evenings_in_one_run_and_records_the_slots(day: Day) -> None:
    """Awake on Wednesday morning after the last look on Friday at eleven."""
    first = day.look("2024-03-22T11:00")
    assert (first.asked, first.missed) == ((), ()), (
        "what was over before the desk was ever started was never asked of it"
    )
    woken = day.look("2024-03-27T08:30")
    [one] = woken.asked
    assert (one.part.key, one.span.first, one.span.last) == (
        "postclose/2024-03-26",
        *(date(2024, 3, 22), date(2024, 3, 26)),
    )
    request = request_of(one.part, one.claim, one.span)
    assert request.partition_key is None
    assert request.tags["dagster/asset_partition_range_start"] == "2024-03-22"
    assert request.tags["dagster/asset_partition_range_end"] == "2024-03-26"
    slots = [key for key in woken.missed if key.startswith("slot/")]
    assert len(slots) == 13 * 3 - 3
    assert {"postclose/2024-03-22", "postclose/2024-03-25"} <= set(woken.missed)
    with living_in(day.home.root):
        titles = [record.entry.title for record in read_journal(DeskResource().engine(DESK), first=date(2024, 3, 25))]
    assert titles.count("missed: slot 10:00") == 2
    assert day.look("2024-03-27T08:30:05").missed == (), "each is told once"


def test_the_facts_wait_for_the_post_close_that_makes_them_and_are_asked_for_when_it_failed(day: Day) -> None:
    day.look("2024-03-22T11:00")
    woken = day.look("2024-03-25T08:30")
    assert [one.part.name for one in woken.asked] == ["postclose"]
    assert "facts: the post-close of 2024-03-22 makes them" in day.look("2024-03-25T08:30:05").why
    day.run(woken, FAILURE)
    day.look("2024-03-25T08:40")
    assert "facts/2024-03-25#1" in day.asked("2024-03-25T08:40:05")


@pytest.mark.fault(105)
def test_a_daemon_that_dies_between_the_claim_and_the_run_loses_nothing(day: Day) -> None:
    assert day.asked("2024-03-22T16:20") == ["postclose/2024-03-22#1"]
    assert day.asked("2024-03-22T16:21", wait_s=44) == []
    assert day.asked("2024-03-22T16:22", wait_s=2) == ["postclose/2024-03-22#2"]


def test_a_post_close_that_fails_is_asked_for_again_with_the_sessions_that_it_owes(day: Day) -> None:
    first = day.look("2024-03-20T16:20")
    day.run(first, FAILURE)
    assert day.asked("2024-03-20T16:30") == []
    second = day.look("2024-03-20T16:50")
    assert [one.claim.run_key for one in second.asked] == ["postclose/2024-03-20#2"]
    day.run(second, FAILURE)
    day.look("2024-03-20T17:30")
    third = day.look("2024-03-20T17:50")
    day.run(third, FAILURE)
    day.look("2024-03-20T18:30")
    assert "postclose: its run failed for good" in day.look("2024-03-20T18:31").why
    thursday = next(one for one in day.look("2024-03-21T16:20").asked if one.part.name == "postclose")
    assert (thursday.span.first, thursday.span.last) == (date(2024, 3, 20), date(2024, 3, 21))


def test_a_part_is_left_to_its_schedule_for_two_minutes(day: Day) -> None:
    late = timedelta(minutes=2)
    assert day.look("2024-03-22T16:21:59", late=late).asked == ()
    assert [one.part.name for one in day.look("2024-03-22T16:22", late=late).asked] == ["postclose"]


def test_a_slot_that_ran_and_left_no_decision_is_recorded_as_missed(day: Day) -> None:
    day.look("2024-03-22T09:20")
    tick(day.home, "2024-03-22T09:30:00-04:00", day.instance)
    day.instance.add_run(
        dg.DagsterRun(
            "decide",
            run_id="ran",
            status=FAILURE,
            tags={"desk/part": "slot/2024-03-22/09:30", "desk/attempt": "1"},
        )
    )
    day.look("2024-03-22T09:31")
    assert "slot 09:30: its run failed for good" in day.look("2024-03-22T09:32").why
    assert "slot/2024-03-22/09:30" in day.look("2024-03-22T09:40").missed


def test_out_of_hours_it_says_what_comes_next(day: Day) -> None:
    assert day.look("2024-03-25T07:00").why == "facts is due at 2024-03-25 08:30"
    saturday = Day(day.home).look("2024-03-23T12:00").why
    assert saturday.startswith("2024-03-23 is not a session; the next one is 2024-03-25")


def test_the_shell_asks_at_once_on_a_replay(home: Home) -> None:
    instance = dg.DagsterInstance.ephemeral()
    with (
        living_in(home.root, clock="2024-03-22T16:20:00-04:00"),
        dg.build_sensor_context(instance=instance, repository_def=defs.get_repository_def()) as context,
    ):
        result = day_parts(context, desk=DeskResource())
    assert isinstance(result, dg.SensorResult)
    [request] = result.run_requests or []
    assert (request.job_name, request.partition_key) == ("postclose", "2024-03-22")


# The report after the post-close run


def finished(status: dg.DagsterRunStatus, tags: dict[str, str]) -> dg.DagsterRun:
    """A post-close run as Dagster stores it."""
    return dg.DagsterRun(job_name="postclose", run_id="11111111-aaaa", status=status, tags=tags)


@pytest.mark.parametrize("status", [SUCCESS, FAILURE])
def test_a_post_close_run_is_followed_by_the_report_of_its_session(status: dg.DagsterRunStatus) -> None:
    request = request_report(finished(status, {"dagster/partition": "2013-02-25"}))
    assert isinstance(request, dg.RunRequest)
    assert (request.job_name, request.partition_key, request.run_key) == ("report", "2013-02-25", "11111111-aaaa")


def test_a_post_close_run_over_a_range_is_followed_by_the_report_of_its_last_session() -> None:
    """A catch-up over days that were missed ends with one report, not with none."""
    tags = {"dagster/asset_partition_range_start": "2013-02-20", "dagster/asset_partition_range_end": "2013-02-25"}
    request = request_report(finished(FAILURE, tags))
    assert isinstance(request, dg.RunRequest)
    assert request.partition_key == "2013-02-25"


def test_a_run_without_a_session_is_skipped_with_its_id() -> None:
    assert request_report(finished(SUCCESS, {})) == dg.SkipReason("run 11111111-aaaa has no session")


def test_the_report_sensors_watch_the_post_close_job_and_start_the_report(home: Home) -> None:
    for name, status in (("report_after_success", "SUCCESS"), ("report_after_failure", "FAILURE")):
        sensor = defs.resolve_sensor_def(name)
        assert sensor.targets[0].job_name == "report" or sensor.job_name == "report", status
