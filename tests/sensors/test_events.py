"""The bus between the slots: one look for an event, whatever dies, and a cursor that loses nothing."""

from datetime import date, datetime, timedelta

import dagster as dg
import pytest

from resources.desk import DESK, DeskResource
from resources.ledger.bus import Consumer, publish
from sensors.events import CONSUMER, ask_for_look
from tests.schedules.outlines import at
from trading_assets.core.messages import Alert, Draft, Halted, Payload
from trading_assets.core.settings import Home
from trading_assets.definitions import defs
from trading_assets.execution.ports import Decision

DAY = date(2024, 3, 25)


@pytest.fixture
def instance(home: Home) -> dg.DagsterInstance:
    return dg.DagsterInstance.ephemeral()


def tell(payload: Payload, moment: datetime) -> int:
    [number] = publish(DeskResource().engine(DESK), [Draft(DESK, DAY, moment, "test", payload)])
    return number


def look(moment: datetime, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> dg.RunRequest | str:
    monkeypatch.setenv("DESK_CLOCK", moment.isoformat())
    return ask_for_look(DeskResource(), instance)


def position() -> int:
    desk = DeskResource()
    with Consumer(desk.engine(DESK), CONSUMER, clock=desk.clock(), start="end") as consumer:
        return consumer.position


def decided(label: str, moment: datetime) -> None:
    with DeskResource().ledger(DESK).session() as ledger:
        ledger.add_decision(Decision(DAY, label, moment, "REDUCING", "an event", 0, 0, "limits"), [], [], [])


HALT = Halted(halt_id=1, cause="somebody said so")
EVENT = at("2024-03-25T10:12:30")


def test_an_event_asks_for_one_look_with_its_own_slot(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert look(EVENT, instance, monkeypatch) == "nothing happened"
    number = tell(HALT, EVENT)
    now = EVENT + timedelta(seconds=1)
    request = look(now, instance, monkeypatch)
    assert isinstance(request, dg.RunRequest)
    assert request.run_config == {"ops": {"desk_decisions": {"config": {"slot": "10:12:30", "event": number}}}}
    assert (request.job_name, request.partition_key) == ("decide", "2024-03-25")
    assert request.tags["desk/slot"] == "10:12:30"
    assert dg.validate_run_config(defs.resolve_job_def("decide"), request.run_config)
    assert position() < number, "the event is not behind the cursor before its look is decided"
    other = dg.DagsterInstance.ephemeral()
    for again in (instance, other):
        said = look(now, again, monkeypatch)
        assert isinstance(said, str)
        assert "a look at 10:12:30 was asked for already" in said


def test_the_cursor_passes_an_event_when_its_look_is_decided(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    look(EVENT, instance, monkeypatch)
    number = tell(HALT, EVENT)
    look(EVENT + timedelta(seconds=1), instance, monkeypatch)
    decided("10:12:30", EVENT)
    said = look(EVENT + timedelta(minutes=6), instance, monkeypatch)
    assert isinstance(said, str)
    assert "newer than the last look" in said
    assert position() == number


def test_an_event_within_the_pause_waits_for_its_end_and_is_not_lost(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    look(EVENT, instance, monkeypatch)
    decided("10:12:30", EVENT)
    moment = EVENT + timedelta(minutes=2)
    number = tell(HALT, moment)
    waits = look(moment + timedelta(seconds=1), instance, monkeypatch)
    assert isinstance(waits, str)
    assert "minutes lie between two looks" in waits
    assert position() < number
    assert isinstance(look(EVENT + timedelta(minutes=5), instance, monkeypatch), dg.RunRequest)


def test_what_deserves_no_look_is_passed_over(instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> None:
    look(EVENT, instance, monkeypatch)
    number = tell(Alert(severity="critical", code="decide failed", sentence="a run failed"), EVENT)
    said = look(EVENT + timedelta(seconds=1), instance, monkeypatch)
    assert isinstance(said, str)
    assert "none of 1 messages" in said
    assert position() == number


def test_out_of_hours_it_says_why_it_does_not_look(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    look(at("2024-03-25T08:00"), instance, monkeypatch)
    tell(HALT, at("2024-03-25T08:30"))
    said = look(at("2024-03-25T08:30:05"), instance, monkeypatch)
    assert said == "the exchange is closed: the slot at the open sees what happens until then"


def test_a_look_that_was_lost_is_not_asked_for_twice_and_the_next_event_makes_the_next(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    look(EVENT, instance, monkeypatch)
    tell(HALT, EVENT)
    assert isinstance(look(EVENT + timedelta(seconds=1), instance, monkeypatch), dg.RunRequest)
    tell(Halted(halt_id=2, cause="again"), EVENT + timedelta(seconds=40))
    request = look(EVENT + timedelta(seconds=41), instance, monkeypatch)
    assert isinstance(request, dg.RunRequest)
    assert request.tags["desk/slot"] == "10:13:10"
