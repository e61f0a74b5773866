"""The daemon's sign of life: beaten by whoever looks for slots, at each look, where orders rest at a broker."""

import hashlib
from datetime import datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from resources.desk import DESK, DeskResource
from resources.ledger.state import Heartbeat, Heartbeats
from sensors.slots import DAEMON, decision_slots
from tests.desk.at_a_broker import held, with_execution
from tests.orchestration.homes import living_in
from trading_assets.core.settings import Home

DUE, CLOSED = "2013-02-25T09:31:00-05:00", "2024-07-04T10:00:00-04:00"


@pytest.fixture
def dispatching(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration whose orders rest at the paper broker."""
    with_execution(tmp_path / "config", "broker: paper\n", monkeypatch)
    return tmp_path / "config"


def looked(home: Home, clock: str, config: Path | None) -> dg.RunRequest | dg.SkipReason:
    """One evaluation on a Dagster instance."""
    with (
        living_in(home.root, clock=clock, config=config),
        dg.DagsterInstance.ephemeral() as instance,
        dg.build_sensor_context(instance=instance) as context,
    ):
        answered = decision_slots(context, desk=DeskResource())
    assert isinstance(answered, dg.RunRequest | dg.SkipReason)
    return answered


def sign(home: Home, clock: str) -> Heartbeat | None:
    with living_in(home.root):
        beats = Heartbeats(DeskResource().engine(DESK)).ages(as_of=datetime.fromisoformat(clock))
    return beats.get(DAEMON)


@pytest.mark.parametrize("clock", [DUE, CLOSED])
def test_each_look_is_a_sign_of_life_whether_it_asks_for_a_run_or_not(
    home: Home, dispatching: Path, clock: str
) -> None:
    answered = looked(home, clock, dispatching)
    assert isinstance(answered, dg.RunRequest if clock == DUE else dg.SkipReason)
    beat = sign(home, clock)
    assert beat is not None
    assert beat.age == timedelta(0)
    assert beat.limits_hash == hashlib.sha256((dispatching / "preferences.yaml").read_bytes()).hexdigest()
    assert beat.version


def test_the_next_look_renews_it(home: Home, dispatching: Path) -> None:
    looked(home, "2024-07-04T10:00:00-04:00", dispatching)
    looked(home, "2024-07-04T10:00:05-04:00", dispatching)
    beat = sign(home, "2024-07-04T10:00:06-04:00")
    assert beat is not None
    assert beat.age == timedelta(seconds=1)


def test_a_desk_without_a_gateway_writes_nothing(home: Home) -> None:
    looked(home, CLOSED, None)
    assert sign(home, CLOSED) is None


@pytest.mark.fault(15)
def test_a_ledger_that_is_locked_costs_the_sign_and_not_the_slot(
    home: Home, dispatching: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with living_in(home.root), held(home):
        answered = looked(home, DUE, dispatching)
    assert isinstance(answered, dg.RunRequest)
    assert "the daemon could not say that it lives" in caplog.text
    assert sign(home, DUE) is None
