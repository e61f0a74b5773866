"""Each check at, below and above its bound; what cannot be seen is not well; one check that fails hides no other."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resources.hardware import Machine
from resources.health import checks
from resources.health.checks import examine, session_due
from resources.health.model import STATES, Check, Report, State, graded, worst
from resources.health.sight import Agent, Alive, Breaker, Gate, LedgerSeen, Sight
from resources.ledger.state import Heartbeat
from trading_assets.broker.settings import ExecutionSettings
from trading_assets.core.calendar import NEW_YORK, XNYS
from trading_assets.core.operations import OperationsSettings
from trading_assets.core.settings import PROJECT, load_settings

NOW = datetime(2024, 3, 26, 12, 10, tzinfo=NEW_YORK).astimezone(UTC)
NIGHT = datetime(2024, 3, 26, 22, 0, tzinfo=NEW_YORK).astimezone(UTC)
GB = 1_000_000_000
SETTINGS = load_settings(PROJECT / "config")
FIRST, LAST = datetime.fromisoformat("2010-01-04"), datetime.fromisoformat("2027-12-01")
OVER = [label for label in SETTINGS.decisions.slots if label <= "12:00"]


def beat(process: str, seconds: float = 1.0, pid: int = 7) -> Heartbeat:
    return Heartbeat(process, pid, "{}", NOW - timedelta(seconds=seconds), timedelta(seconds=seconds))


def seen(**changed: Any) -> LedgerSeen:
    well: dict[str, Any] = {
        "beats": {name: beat(name) for name in checks.PROCESSES},
        "halts": (),
        "snapshot_at": NOW - timedelta(seconds=4),
        "agrees": True,
        "decided": frozenset(OVER),
        "decides": True,
        "gates": {date(2024, 3, 25): Gate(date(2024, 3, 25), True, "")},
        "breakers": (),
        "agents": {},
    }
    return LedgerSeen(**{**well, **changed})


def sight(ledger: LedgerSeen | None = None, **changed: Any) -> Sight:
    well: dict[str, Any] = {
        "now": NOW,
        "machine_now": NOW,
        "speed": 1.0,
        "operations": OperationsSettings(),
        "execution": ExecutionSettings(broker="paper"),
        "settings": SETTINGS,
        "machine": Machine(2.0, 8 * GB, 2 * GB, "cores", "memory of the machine"),
        "disk_free_bytes": 50 * GB,
        "ledger_bytes": 1_000_000,
        "wal_bytes": 0,
        "alive": {7: Alive(7, 100_000_000, 3.0, 20)},
        "ledger": ledger or seen(),
    }
    return Sight(**{**well, **changed})


def found(made: Sight, *, drift_s: float = 0.0) -> dict[str, Check]:
    return {check.name: check for check in examine(made, drift_s=drift_s).checks}


def state(made: Sight, name: str) -> State:
    return found(made)[name].state


def test_a_desk_that_is_well_is_normal_and_asks_for_nothing() -> None:
    report = examine(sight())
    assert {check.state for check in report.checks} == {"normal"}
    assert report.state == "normal"
    assert [check.hint for check in report.checks if check.hint] == []


@pytest.mark.parametrize(
    ("age", "now", "wanted"),
    [(15.0, NOW, "normal"), (15.1, NOW, "warning"), (45.1, NOW, "critical"), (45.1, NIGHT, "warning")],
)
def test_a_silent_process_is_graver_while_the_exchange_is_open(age: float, now: datetime, wanted: State) -> None:
    ledger = seen(beats={**seen().beats, "watchdog": beat("watchdog", age)})
    check = found(sight(ledger, now=now))["watchdog"]
    assert (check.state, check.hint) == (wanted, "" if wanted == "normal" else "desk watchdog")


def test_a_process_that_never_spoke_or_does_not_live_is_seen() -> None:
    never = seen(beats={"watchdog": beat("watchdog"), "daemon": beat("daemon")})
    assert (state(sight(never), "gateway"), found(sight(never))["gateway"].value) == ("warning", "never")
    assert state(sight(alive={7: None}), "gateway") == "critical"
    assert state(sight(alive={7: None}, now=NIGHT), "gateway") in {"warning", "critical"}


def test_a_desk_without_a_broker_needs_no_processes() -> None:
    made = found(sight(seen(beats={}, snapshot_at=None, agrees=False), execution=ExecutionSettings(broker="bars")))
    assert made["processes"].state == made["broker"].state == "normal"
    assert "gateway" not in made


@pytest.mark.parametrize(
    ("used", "wanted"), [(0.79, "normal"), (0.80, "warning"), (0.92, "critical"), (1.5, "critical")]
)
def test_memory_is_held_against_what_may_be_used(used: float, wanted: State) -> None:
    made = sight(machine=Machine(2.0, GB, int(used * GB), "", "limit of /desk"))
    assert state(made, "memory") == wanted
    assert "limit of /desk" in found(made)["memory"].sentence


@pytest.mark.parametrize(
    ("free", "wanted"), [(5.1, "normal"), (5.0, "warning"), (1.1, "warning"), (1.0, "critical"), (0, "critical")]
)
def test_disk_is_what_is_free(free: float, wanted: State) -> None:
    assert state(sight(disk_free_bytes=int(free * GB)), "disk") == wanted


@pytest.mark.parametrize(("mb", "wanted"), [(255, "normal"), (256, "warning"), (2048, "critical")])
def test_a_log_of_the_ledger_that_grows_is_told(mb: int, wanted: State) -> None:
    assert state(sight(wal_bytes=mb * 1_000_000), "ledger") == wanted


def test_a_ledger_that_cannot_be_read_is_critical_and_makes_the_rest_unknown() -> None:
    made = found(replace(sight(), ledger=None, problem="database disk image is malformed"))
    assert made["ledger"].state == "critical"
    assert "malformed" in made["ledger"].sentence
    unknown = {name for name, check in made.items() if check.state == "unknown"}
    assert unknown == {*checks.PROCESSES, "halts", "broker", "data", "slots", "routes", "agents"}
    assert made["memory"].state == made["disk"].state == "normal"


@pytest.mark.parametrize(("age", "wanted"), [(29.0, "normal"), (30.0, "warning"), (90.0, "critical")])
def test_the_newest_look_at_the_account_has_an_age(age: float, wanted: State) -> None:
    assert state(sight(seen(snapshot_at=NOW - timedelta(seconds=age))), "broker") == wanted


def test_a_ledger_that_disagrees_with_the_broker_is_critical_and_no_look_is_unknown() -> None:
    assert state(sight(seen(agrees=False)), "broker") == "critical"
    assert state(sight(seen(snapshot_at=None)), "broker") == "unknown"


def test_an_open_halt_is_told_with_its_cause() -> None:
    check = found(sight(seen(halts=("C2 daily loss",))))["halts"]
    assert (check.state, check.sentence) == ("warning", "C2 daily loss")


@pytest.mark.parametrize(
    ("now", "wanted"),
    [
        ("2024-03-26T09:14", "2024-03-22"),
        ("2024-03-26T09:15", "2024-03-25"),
        ("2024-03-26T23:00", "2024-03-25"),
        ("2024-03-28T12:00", "2024-03-27"),
        ("2024-03-30T12:00", "2024-03-27"),
        ("2024-04-01T09:15", "2024-03-28"),
        ("2024-11-29T14:00", "2024-11-27"),
    ],
)
def test_bars_are_due_before_the_next_open_over_weekends_and_holidays(now: str, wanted: str) -> None:
    assert session_due(datetime.fromisoformat(now).replace(tzinfo=NEW_YORK)).isoformat() == wanted


@settings(max_examples=60, deadline=None)
@given(st.datetimes(FIRST, LAST))
def test_what_is_due_is_always_a_session_that_has_closed(now: datetime) -> None:
    here = now.replace(tzinfo=UTC)
    assert XNYS.session(session_due(here)).close <= here


def test_yesterdays_bars_that_are_absent_refused_or_never_seen_are_told_apart() -> None:
    old = {date(2024, 3, 22): Gate(date(2024, 3, 22), True, "")}
    refused = {date(2024, 3, 25): Gate(date(2024, 3, 25), False, "AAPL fell by 90 %")}
    assert state(sight(seen(gates=old)), "data") == "warning"
    assert "90 %" in found(sight(seen(gates=refused)))["data"].sentence
    assert state(sight(seen(gates={})), "data") == "unknown"


@pytest.mark.parametrize(
    ("left_out", "wanted"), [([], "normal"), (OVER[:1], "warning"), (OVER[-1:], "warning"), (OVER[-2:], "critical")]
)
def test_slots_that_nobody_decided_are_told(left_out: list[str], wanted: State) -> None:
    made = sight(seen(decided=frozenset(OVER) - set(left_out)))
    assert state(made, "slots") == wanted
    assert all(label in found(made)["slots"].sentence for label in left_out)


def test_a_slot_within_its_grace_is_not_missed_and_a_resting_desk_misses_nothing() -> None:
    at_noon = NOW.replace(minute=5)
    assert state(sight(seen(decided=frozenset(OVER[:-1])), now=at_noon), "slots") == "normal"
    assert state(sight(seen(decided=frozenset(), decides=False)), "slots") == "normal"


def test_a_route_that_is_passed_over_is_told_with_the_reason() -> None:
    check = found(sight(seen(breakers=(Breaker("openai", "open", "", "429 too many"),))))["routes"]
    assert (check.state, check.value) == ("warning", "openai (open)")
    assert "429" in check.sentence


@pytest.mark.parametrize(
    ("answers", "failures", "wanted"), [(8, 2, "normal"), (7, 3, "warning"), (1, 3, "normal"), (0, 5, "warning")]
)
def test_an_agent_that_fails_too_often_is_told_once_it_was_asked_often_enough(
    answers: int, failures: int, wanted: State
) -> None:
    agents = {"technical": Agent(answers, failures, Decimal("0.5"), 1_000), "chief": Agent(9, 0, Decimal(0), 0)}
    check = found(sight(seen(agents=agents)))["agents"]
    assert check.state == wanted
    assert ("technical" in check.sentence) == (wanted == "warning")
    assert "0.5000 USD" in check.value


@pytest.mark.parametrize(
    ("drift", "wanted"), [(1.9, "normal"), (-2.0, "warning"), (30.0, "critical"), (-3600.0, "critical")]
)
def test_a_clock_that_steps_is_told(drift: float, wanted: State) -> None:
    assert found(sight(), drift_s=drift)["clock"].state == wanted


def test_a_sign_of_life_from_the_future_is_a_clock_that_went_back() -> None:
    ahead = seen(beats={**seen().beats, "gateway": beat("gateway", -40.0)})
    assert state(sight(ahead), "clock") == "critical"
    assert state(sight(ahead, speed=60.0), "clock") == "normal"


def test_a_check_that_fails_by_itself_is_unknown_and_hides_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: Sight) -> Any:
        raise ZeroDivisionError("bug")

    monkeypatch.setattr(checks, "CHECKS", {**checks.CHECKS, "memory": broken})
    made = found(sight())
    assert made["memory"].state == "unknown"
    assert "ZeroDivisionError" in made["memory"].sentence
    assert made["disk"].state == "normal"


@given(st.lists(st.sampled_from(STATES), min_size=1, max_size=6))
@settings(max_examples=60, deadline=None)
def test_the_whole_is_the_worst_and_unknown_counts_as_a_warning(states: list[State]) -> None:
    made = tuple(Check(str(number), each, "", "", "") for number, each in enumerate(states))
    told = ["warning" if each == "unknown" else each for each in states]
    assert Report(NOW, NOW, made).state == max(told, key=STATES.index)
    assert worst(states) in states


def test_no_checks_are_no_health_and_no_number_is_unknown() -> None:
    assert Report(NOW, NOW, ()).state == "warning"
    assert graded(float("nan"), warning=1, critical=2) == "unknown"
