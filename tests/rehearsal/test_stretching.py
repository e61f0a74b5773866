"""What bounds the machine grows with the speed of a replay; what bounds the market never does; live knows no replay."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.process import run_gateway
from resources.clock import FixedClock, RealClock, ReplayedClock
from resources.desk import DeskResource
from resources.stretching import LIMITS, REACTIONS, RHYTHM, WATCH, pace_of, stretched
from trading_assets.broker.settings import ExecutionSettings, InteractiveBrokers
from trading_assets.core.calendar import XNYS
from trading_assets.core.errors import ConfigurationError
from trading_assets.core.preferences import Preferences
from trading_assets.core.settings import PROJECT, Home, Settings, load_settings
from trading_assets.core.slots import NoSlot, due_slot
from warden.process import run_watchdog

NOW = datetime(2023, 6, 26, 13, 30, tzinfo=UTC)
EXECUTION, LIMITS_OF_FILE = ExecutionSettings(broker="paper"), Preferences()
SETTINGS: Settings = load_settings(PROJECT / "config")
LIVE = ExecutionSettings(broker="ib", mode="live", ib=InteractiveBrokers(account="U1234567"))
REPLAY = ReplayedClock(NOW, 60.0, NOW)
MARKET_BOUNDS = (
    "flatten_minutes_before_close",
    "breaker_minutes",
    "breaker_fraction",
    "crash_seconds",
    "crash_fraction",
    "trim_gain_fraction",
)


@given(st.floats(1.01, 3600))
def test_bounds_of_the_machine_stay_what_they_are_in_its_time(speed: float) -> None:
    execution, limits, _ = stretched(EXECUTION, LIMITS_OF_FILE, SETTINGS, speed)
    for group, names in (("rhythm", RHYTHM), ("reactions", REACTIONS), ("watch", WATCH)):
        for name in names:
            before, after = getattr(getattr(EXECUTION, group), name), getattr(getattr(execution, group), name)
            assert after / speed == pytest.approx(before)
    for name in LIMITS:
        assert getattr(limits, name) / speed == pytest.approx(getattr(LIMITS_OF_FILE, name))
    assert limits.bar_age_intervals_max == pytest.approx(1 + 0.5 * speed)


@given(st.floats(1.01, 3600))
def test_bounds_of_the_market_and_of_money_never_move(speed: float) -> None:
    execution, limits, settings = stretched(EXECUTION, LIMITS_OF_FILE, SETTINGS, speed)
    assert all(getattr(execution.reactions, n) == getattr(EXECUTION.reactions, n) for n in MARKET_BOUNDS)
    moved = {n for n in Preferences.model_fields if getattr(limits, n) != getattr(LIMITS_OF_FILE, n)}
    assert moved == {*LIMITS, "bar_age_intervals_max"}
    assert (execution.watch.cash_fraction, execution.rhythm.absences) == (EXECUTION.watch.cash_fraction, 3)
    assert (execution.broker, execution.mode, execution.feed) == (EXECUTION.broker, EXECUTION.mode, EXECUTION.feed)
    assert settings.market == SETTINGS.market


@pytest.mark.parametrize("speed", [1.0, 0.5, 0.0, float("nan")])
def test_a_clock_that_is_not_faster_than_the_machine_changes_nothing(speed: float) -> None:
    assert stretched(EXECUTION, LIMITS_OF_FILE, SETTINGS, speed) == (EXECUTION, LIMITS_OF_FILE, SETTINGS)


@given(st.floats(1.01, 3600), st.integers(0, 390))
def test_a_slot_never_stays_due_beyond_the_next(speed: float, minute: int) -> None:
    _, _, settings = stretched(EXECUTION, LIMITS_OF_FILE, SETTINGS, speed)
    at = NOW + timedelta(minutes=minute)
    usual, longer = (
        due_slot(XNYS, each.decisions.slots, as_of=at, grace=each.decisions.grace) for each in (SETTINGS, settings)
    )
    assert settings.decisions.grace <= timedelta(minutes=30)
    if not isinstance(usual, NoSlot):
        assert longer == usual
    elif not isinstance(longer, NoSlot):
        assert timedelta(minutes=10) <= at - longer.at < timedelta(minutes=30)


def test_few_slots_may_stay_due_longer_but_at_most_until_the_closest_next_one() -> None:
    few = SETTINGS.model_copy(update={"decisions": SETTINGS.decisions.model_copy(update={"slots": ("09:30", "12:00")})})
    _, _, settings = stretched(EXECUTION, LIMITS_OF_FILE, few, 60.0)
    assert settings.decisions.grace == timedelta(minutes=150)
    _, _, slower = stretched(EXECUTION, LIMITS_OF_FILE, few, 2.0)
    assert slower.decisions.grace == timedelta(minutes=20)


@pytest.mark.parametrize("clock", [FixedClock(NOW), REPLAY], ids=["fixed", "replayed"])
def test_mode_live_is_refused_on_any_clock_but_the_machines(clock: FixedClock | ReplayedClock) -> None:
    with pytest.raises(ConfigurationError, match="mode live knows no clock but the machine's"):
        pace_of(clock, LIVE)
    assert pace_of(RealClock(), LIVE) == 1.0


def test_only_a_replay_that_is_faster_than_the_machine_stretches() -> None:
    clocks = (RealClock(), FixedClock(NOW), ReplayedClock(NOW, 0.5, NOW), REPLAY)
    assert [pace_of(clock, EXECUTION) for clock in clocks] == [1.0, 1.0, 1.0, 60.0]


def config_of(folder: Path, monkeypatch: pytest.MonkeyPatch, **changes: str) -> None:
    """A configuration folder with some lines of execution.yaml replaced."""
    folder.mkdir()
    for path in (PROJECT / "config").glob("*.yaml"):
        text = path.read_text()
        if path.name == "execution.yaml":
            for before, after in changes.items():
                text = "\n".join(after if line.startswith(f"{before}:") else line for line in text.splitlines())
            text = text.replace('account: ""', 'account: "U1234567"')
        (folder / path.name).write_text(text)
    monkeypatch.setenv("DESK_CONFIG", str(folder))
    monkeypatch.setenv("DESK_CLOCK", "2023-06-26T09:29:00-04:00@60/2026-11-21T20:00:00Z")


def test_every_process_reads_the_stretched_bounds(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config_of(tmp_path / "config", monkeypatch, broker="broker: paper")
    desk = DeskResource()
    assert desk.execution().rhythm.signature_seconds == 3600.0
    assert desk.settings().decisions.grace == timedelta(minutes=30)
    from gateway.opening import opened as gateway_opened
    from warden.opening import opened as watchdog_opened

    with gateway_opened() as (setup, _, _, speed):
        assert (setup.settings.watch.gateway_seconds, setup.preferences.quote_age_seconds_max, speed) == (1800, 300, 60)
    with watchdog_opened() as (means, _, speed):
        assert (means.settings.watch.every_seconds, means.preferences.clock_skew_seconds_max, speed) == (60, 60, 60)
    assert desk.rules("desk").preferences.quote_age_seconds_max == 5.0


@pytest.mark.parametrize("start", [run_gateway, run_watchdog], ids=["gateway", "watchdog"])
def test_no_process_of_a_live_desk_starts_on_a_replayed_clock(
    start: object, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config_of(tmp_path / "config", monkeypatch, broker="broker: ib", mode="mode: live")
    assert callable(start)
    with pytest.raises(ConfigurationError, match="DESK_CLOCK"):
        start(typed_account="U1234567")
    with pytest.raises(ConfigurationError, match="DESK_CLOCK"):
        DeskResource().execution()
