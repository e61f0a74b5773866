"""What may be asked for, and what the words of a fault mean."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desk.rehearse import rehearsal_of
from desk.rehearsing.plan import (
    FAULTS,
    MOMENTS,
    SYMBOLS,
    BrokerChoice,
    MarketName,
    Rehearsal,
    checked_symbols,
    fault_of,
)
from trading_assets.core.calendar import NEW_YORK, XNYS
from trading_assets.core.errors import NotASession, PermanentFailure

DAY = date(2023, 6, 26)
HALF_DAY = date(2023, 7, 3)
SESSION, HALF = XNYS.session(DAY), XNYS.session(HALF_DAY)


def asked(
    day: date = DAY,
    speed: float = 60.0,
    *,
    market: MarketName = "simulated",
    files: Path | None = None,
    broker: BrokerChoice = "paper",
    slots: str = "",
    faults: tuple[str, ...] = (),
    start: str = "",
    until: str = "",
) -> Rehearsal:
    return rehearsal_of(day, speed, market, files, broker, slots, faults, "warm", start, until, 7)


def test_an_ordinary_day_begins_before_its_morning_and_has_no_end() -> None:
    day = asked()
    assert day.begins == datetime(2023, 6, 26, 12, 10, tzinfo=UTC)
    assert (day.until, day.prepared, day.slots, day.premarket_from) == (None, False, (), "08:15")


def test_a_clock_that_begins_late_has_its_morning_prepared() -> None:
    day = asked(start="09:25", until="11:00", slots="09:30, 10:30")
    assert day.begins == datetime(2023, 6, 26, 13, 25, tzinfo=UTC)
    assert (day.prepared, day.slots) == (True, ("09:30", "10:30"))
    assert day.until == datetime(2023, 6, 26, 15, 0, tzinfo=UTC)


@given(st.floats(1, 400))
def test_the_morning_has_its_time_of_the_machine_at_any_speed(speed: float) -> None:
    day = asked(speed=speed)
    begins = datetime.combine(DAY, datetime.strptime(day.premarket_from, "%H:%M").time(), NEW_YORK)  # noqa: DTZ007
    left = day.machine(SESSION.open - begins.astimezone(UTC))
    assert begins.time() <= datetime(2023, 1, 1, 8, 30, tzinfo=UTC).time()
    assert left >= 74 or begins.hour == 0


@pytest.mark.parametrize("speed", [0.0, 0.5, 401.0, float("nan"), float("inf"), -60.0])
def test_a_speed_beyond_the_bounds_is_refused(speed: float) -> None:
    with pytest.raises(PermanentFailure, match="1 to 400"):
        asked(speed=speed)


def test_a_day_without_a_session_is_refused_with_its_neighbours() -> None:
    with pytest.raises(NotASession, match="2023-07-03 or 2023-07-05"):
        asked(date(2023, 7, 4))


def test_a_market_of_files_needs_its_folder_and_no_other_market_takes_one(tmp_path: Path) -> None:
    with pytest.raises(PermanentFailure, match="folder"):
        asked(market="files")
    with pytest.raises(PermanentFailure, match="folder"):
        asked(market="simulated", files=tmp_path)
    assert asked(market="files", files=tmp_path).files == tmp_path.resolve()


@pytest.mark.parametrize("symbols", [0, -1, 9])
def test_a_number_of_symbols_beyond_its_bounds_is_refused(symbols: int) -> None:
    with pytest.raises(PermanentFailure, match="1 to 8"):
        checked_symbols(symbols)
    assert [checked_symbols(count) for count in (1, SYMBOLS)] == [1, 8]


def test_a_day_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(PermanentFailure, match="before it begins"):
        asked(start="11:00", until="10:00")


@pytest.mark.parametrize(
    ("text", "at", "machine_s"),
    [
        ("broker-outage@10:00:05+120s", datetime(2023, 6, 26, 14, 0, 5, tzinfo=UTC), 2.0),
        ("kill-daemon@11:10+30m", datetime(2023, 6, 26, 15, 10, tzinfo=UTC), 30.0),
        ("lock-ledger@12:00:00+5real", datetime(2023, 6, 26, 16, 0, tzinfo=UTC), 5.0),
        ("lock-ledger@12:00", datetime(2023, 6, 26, 16, 0, tzinfo=UTC), 5.0),
        ("kill-gateway@09:30", datetime(2023, 6, 26, 13, 30, tzinfo=UTC), 5.0),
        ("flash-crash@15:59", datetime(2023, 6, 26, 19, 59, tzinfo=UTC), 0.0),
    ],
)
def test_a_fault_says_when_and_how_long(text: str, at: datetime, machine_s: float) -> None:
    fault = fault_of(text, SESSION, 60.0)
    assert (fault.at, fault.moment, fault.machine_s) == (at, None, machine_s)
    assert fault.words.startswith(f"{fault.name} at ")


def test_a_fault_may_wait_for_a_moment_that_no_clock_tells() -> None:
    fault = fault_of("broker-outage@submitting+300s", SESSION, 60.0)
    assert (fault.at, fault.moment, fault.machine_s) == (None, "submitting", 5.0)
    assert fault.words == "broker-outage while submitting for 5 s of the machine"
    assert fault_of("kill-run@deciding", SESSION, 60.0).moment == "deciding"


@pytest.mark.parametrize(
    "text",
    [
        "earthquake@10:00",
        "broker-outage",
        "broker-outage@",
        "broker-outage@noon",
        "broker-outage@10:00+soon",
        "broker-outage@10:00+-5s",
        "broker-outage@10:00+nans",
        "broker-outage@09:29:59",
        "broker-outage@16:00",
        "flash-crash@submitting",
    ],
)
def test_what_is_no_fault_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(PermanentFailure, match="--fault broker-outage@10:00:05"):
        fault_of(text, SESSION, 60.0)


def test_a_fault_after_an_early_close_is_refused() -> None:
    with pytest.raises(PermanentFailure, match="09:30 to 13:00"):
        fault_of("kill-daemon@13:00", HALF, 60.0)
    assert fault_of("kill-daemon@12:59", HALF, 60.0).at == HALF.close - timedelta(minutes=1)


@pytest.mark.parametrize("name", ["broker-outage", "kill-gateway", "flash-crash"])
def test_without_a_gateway_its_faults_are_refused(name: str) -> None:
    with pytest.raises(PermanentFailure, match="no gateway"):
        asked(broker="bars", faults=(f"{name}@10:00",))
    assert asked(broker="bars", faults=("kill-daemon@10:00",)).faults


@given(st.sampled_from(FAULTS), st.sampled_from(MOMENTS), st.integers(1, 9_999), st.floats(1, 400))
def test_a_length_in_machine_seconds_is_the_same_at_any_speed(
    name: str, moment: str, seconds: int, speed: float
) -> None:
    if name == "flash-crash":
        return
    assert fault_of(f"{name}@{moment}+{seconds}real", SESSION, speed).machine_s == seconds
    assert fault_of(f"{name}@{moment}+{seconds}s", SESSION, speed).machine_s == pytest.approx(seconds / speed)
