"""Runs that fail are told of once and never started again; runs that hang are ended."""

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resources.desk import DESK, DeskResource
from resources.ledger.bus import read_messages
from resources.ledger.engine import reading
from resources.ledger.journal import read_journal
from sensors.runs import Seen, end_hanging, failure_of, hanging, tell_failure
from tests.schedules.outlines import DECISIONS, at
from trading_assets.core.messages import Alert, Wanted
from trading_assets.core.settings import Home

DAY = date(2024, 3, 25)
REAL = datetime(2030, 1, 1, 12, tzinfo=UTC)
LONG = timedelta(minutes=30)


def seen(slot: str = "", age: timedelta = timedelta(0)) -> Seen:
    return Seen("run", "decide", REAL - age, DAY, slot)


def ended(run: Seen, moment: str) -> list[str]:
    found = hanging([run], as_of=at(moment), machine=REAL, longest=LONG, decisions=DECISIONS)
    return [one.why for one in found]


# The decision


def test_a_run_may_take_as_long_as_the_bound_and_no_longer() -> None:
    assert ended(seen(age=LONG), "2024-03-25T12:00") == []
    assert ended(seen(age=LONG + timedelta(seconds=6)), "2024-03-25T12:00") == [
        "it has worked for 30.1 minutes, bound 30"
    ]


@pytest.mark.parametrize(
    ("slot", "moment", "hangs"),
    [
        pytest.param("10:00", "2024-03-25T10:19:59", False, id="within twice its grace"),
        pytest.param("10:00", "2024-03-25T10:20", True, id="its grace has passed twice"),
        pytest.param("", "2024-03-25T23:00", False, id="no slot"),
        pytest.param("10:03:13", "2024-03-25T12:00", False, id="an event's slot is bounded by the clock alone"),
    ],
)
def test_a_decision_ends_with_the_time_of_its_slot(slot: str, moment: str, hangs: bool) -> None:
    assert bool(ended(seen(slot), moment)) == hangs


def test_a_grace_that_reaches_the_next_slot_ends_there_and_the_last_one_at_the_close() -> None:
    wide = DECISIONS.model_copy(update={"slot_grace_minutes": 30})
    for slot, day, inside, over in (
        ("10:00", DAY, "2024-03-25T10:29:59", "2024-03-25T10:30"),
        ("12:30", date(2024, 7, 3), "2024-07-03T12:59:59", "2024-07-03T13:00"),
    ):
        run = Seen("run", "decide", REAL, day, slot)
        for moment, hangs in ((inside, False), (over, True)):
            found = hanging([run], as_of=at(moment), machine=REAL, longest=LONG, decisions=wide)
            assert bool(found) == hangs


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(0, 4000), max_size=8), st.integers(1, 60))
def test_exactly_the_runs_beyond_the_bound_are_ended(ages: list[int], minutes: int) -> None:
    runs = [Seen(str(n), "postclose", REAL - timedelta(seconds=age), DAY) for n, age in enumerate(ages)]
    bound = timedelta(minutes=minutes)
    found = hanging(runs, as_of=at("2024-03-25T20:00"), machine=REAL, longest=bound, decisions=DECISIONS)
    assert [one.run.run_id for one in found] == [str(n) for n, age in enumerate(ages) if age > 60 * minutes]


def test_a_failure_names_job_slot_and_reason_and_is_cut() -> None:
    code, sentence = failure_of("decide", "10:00", "2024-03-25", ["the gate is closed", "x" * 900])
    assert code == "decide failed"
    assert sentence.startswith(
        "decide for slot 10:00 of 2024-03-25 failed and is not started again by itself: the gate"
    )
    assert len(sentence) < 500
    assert failure_of("report", "", "2024-03-25", [])[1].endswith("no step said why")


# The sensors


def alerts() -> list[Alert]:
    with reading(DeskResource().engine(DESK)) as connection:
        said = [each.draft.payload for each in read_messages(connection, Wanted(), after=0, limit=50)]
    return [each for each in said if isinstance(each, Alert)]


@dg.op
def refuses() -> None:
    raise dg.Failure("the book cannot be read")


@dg.job(name="decide", tags={"desk/slot": "10:00", "dagster/partition": "2024-03-25"})
def decide_badly() -> None:
    refuses()


@pytest.mark.fault(102)
def test_a_failed_decision_is_journaled_with_its_slot_and_paged_once_and_asks_for_nothing(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DESK_CLOCK", "2024-03-25T10:00:09-04:00")
    with dg.DagsterInstance.ephemeral() as instance:
        result = decide_badly.execute_in_process(instance=instance, raise_on_error=False)
        [event] = [each for each in result.all_events if each.is_run_failure]
        context = dg.build_run_status_sensor_context(
            sensor_name="failed_runs",
            dagster_event=event,
            dagster_instance=instance,
            dagster_run=result.dagster_run,
        ).for_run_failure()
        for _ in range(2):
            tell_failure(context, DeskResource())
    [record] = read_journal(DeskResource().engine(DESK), kind="note")
    assert (record.entry.session, record.entry.title) == (DAY, "decide failed")
    assert record.entry.body["slot"] == "10:00"
    [alert] = alerts()
    assert (alert.severity, alert.code) == ("critical", "decide failed")
    assert "the book cannot be read" in alert.sentence


def run_of(instance: dg.DagsterInstance, run_id: str, status: dg.DagsterRunStatus, **tags: str) -> None:
    told = {f"desk/{name}": value for name, value in tags.items()} | {"dagster/partition": "2024-03-25"}
    instance.add_run(dg.DagsterRun("decide", run_id=run_id, status=status, tags=told))


def test_a_run_that_nobody_can_reach_is_marked_as_failed_and_told_of_once(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The daemon died in it: the history still says that it works."""
    monkeypatch.setenv("DESK_CLOCK", "2024-03-25T10:25:00-04:00")
    with dg.DagsterInstance.ephemeral() as instance:
        run_of(instance, "dead", dg.DagsterRunStatus.STARTED, slot="10:00")
        run_of(instance, "young", dg.DagsterRunStatus.STARTED)
        run_of(instance, "over", dg.DagsterRunStatus.SUCCESS, slot="10:00")
        machine = datetime.now(UTC)  # noqa: TID251 - the history stamps runs by the machine's clock
        [sentence] = end_hanging(DeskResource(), instance, machine=machine)
        assert "decide for slot 10:00 of 2024-03-25 was ended: its slot ended at 10:20:00 New York" in sentence
        assert "could not be reached" in sentence
        found = {run.run_id: run.status for run in instance.get_runs()}
        assert end_hanging(DeskResource(), instance, machine=machine) == []
    assert found["dead"] == dg.DagsterRunStatus.FAILURE
    assert found["young"] == dg.DagsterRunStatus.STARTED
    assert [alert.code for alert in alerts()] == ["decide hung"]


def test_a_walk_over_the_past_may_take_as_long_as_it_needs(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DESK_CLOCK", "2024-03-25T10:25:00-04:00")
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_run(dg.DagsterRun("backtest", run_id="walk", status=dg.DagsterRunStatus.STARTED))
        machine = datetime.now(UTC) + timedelta(days=1)  # noqa: TID251 - as above
        assert end_hanging(DeskResource(), instance, machine=machine) == []


_SLEEPER = """
import sys, time
print("up", flush=True)
time.sleep(120)
"""


class _Launcher:
    """A run launcher that knows one process."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process

    def terminate(self, run_id: str) -> bool:
        """Ends it."""
        assert run_id == "hung"
        self.process.terminate()
        return True


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen([sys.executable, "-c", _SLEEPER], stdout=-1, text=True, env=dict(os.environ))
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    yield process
    process.kill()
    process.wait()


def test_a_run_that_hangs_is_told_to_end(
    home: Home, monkeypatch: pytest.MonkeyPatch, sleeper: "subprocess.Popen[str]"
) -> None:
    monkeypatch.setenv("DESK_CLOCK", "2024-03-25T10:25:00-04:00")
    with dg.DagsterInstance.ephemeral() as instance:
        monkeypatch.setattr(type(instance), "run_launcher", property(lambda _: _Launcher(sleeper)))
        run_of(instance, "hung", dg.DagsterRunStatus.STARTED, slot="10:00")
        machine = datetime.now(UTC)  # noqa: TID251 - as above
        [sentence] = end_hanging(DeskResource(), instance, machine=machine)
    assert sentence.endswith("its process was told to end")
    assert sleeper.wait(10) != 0
