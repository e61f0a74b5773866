"""Values, signs of life and leases, and that a paused holder's late write is refused."""

import signal
import time
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from resources.ledger.engine import transaction
from resources.ledger.state import AppState, Heartbeats, Lease, LeaseLost, Leases, require
from tests.resources.ledger.calls import CALLS, NOW, processes
from tests.resources.ledger.entries import python
from trading_assets.core.errors import PermanentFailure, TradingHalted

TTL = timedelta(seconds=10)
LATER = NOW + timedelta(seconds=10)


@pytest.fixture
def state(engine: sa.Engine) -> AppState:
    return AppState(engine)


@pytest.fixture
def leases(engine: sa.Engine) -> Leases:
    return Leases(engine)


def taken(leases: Leases, holder: str = "one", seconds: float = 0) -> Lease:
    lease = leases.acquire("gateway", holder, as_of=NOW + timedelta(seconds=seconds), ttl=TTL)
    assert lease is not None
    return lease


# Values


def test_a_value_is_replaced_and_read_back(state: AppState) -> None:
    assert state.get("k") is None
    for value in ("", "one", "zwei é"):
        state.set("k", value, as_of=NOW)
        assert state.get("k") == value
    assert state.get("K") is None


def test_compare_and_set_needs_the_value_that_stands(state: AppState) -> None:
    assert state.compare_and_set("k", None, "1", as_of=NOW)
    assert not state.compare_and_set("k", None, "2", as_of=NOW)
    assert not state.compare_and_set("k", "2", "3", as_of=NOW)
    assert not state.compare_and_set("other", "1", "3", as_of=NOW)
    assert state.compare_and_set("k", "1", "2", as_of=NOW)
    assert state.get("k") == "2"


def test_eight_processes_that_add_by_compare_and_set_lose_nothing(engine: sa.Engine, ledger_where: Path | str) -> None:
    processes(*(("raise_value", ledger_where, 5) for _ in range(8)))
    assert AppState(engine).get("number") == "40"


@pytest.mark.parametrize("text", ["nul \x00", "half \ud800"])
def test_a_value_that_a_database_would_change_is_refused(state: AppState, text: str) -> None:
    with pytest.raises(PermanentFailure, match="cannot be stored"):
        state.set("k", text, as_of=NOW)
    with pytest.raises(PermanentFailure, match="cannot be stored"):
        state.set(text, "v", as_of=NOW)


# Signs of life


def test_a_heartbeat_has_an_age(engine: sa.Engine) -> None:
    beats = Heartbeats(engine)
    assert beats.ages(as_of=NOW) == {}
    beats.beat("gateway", pid=7, state="connected", as_of=NOW)
    beats.beat("watchdog", pid=8, state="well", as_of=NOW)
    beats.beat("gateway", pid=9, state="reconciling", as_of=NOW + timedelta(seconds=4))
    ages = beats.ages(as_of=NOW + timedelta(seconds=5))
    assert [(name, beat.pid, beat.state, beat.age.total_seconds()) for name, beat in ages.items()] == [
        ("gateway", 9, "reconciling", 1),
        ("watchdog", 8, "well", 5),
    ]


def test_a_beat_from_the_future_proves_no_life(engine: sa.Engine) -> None:
    """A process whose clock was an hour ahead and that died would look alive for an hour."""
    beats, limit = Heartbeats(engine), timedelta(seconds=5)
    beats.beat("gateway", pid=7, state="well", as_of=NOW + timedelta(hours=1))
    fresh = [
        beats.ages(as_of=NOW + timedelta(seconds=second))["gateway"].is_fresh(limit)
        for second in (0, 3594, 3595, 3600, 3605, 3606)
    ]
    assert fresh == [False, False, True, True, True, False]


def test_the_latest_call_counts_also_when_the_clock_stepped_back(engine: sa.Engine) -> None:
    beats = Heartbeats(engine)
    beats.beat("gateway", pid=7, state="well", as_of=LATER)
    beats.beat("gateway", pid=7, state="well", as_of=NOW)
    assert beats.ages(as_of=NOW)["gateway"].age == timedelta(0)


# Leases


def test_one_holder_at_a_time(leases: Leases) -> None:
    lease = taken(leases)
    assert (lease.token, lease.until) == (1, LATER)
    assert leases.acquire("gateway", "two", as_of=NOW, ttl=TTL) is None
    assert leases.acquire("gateway", "one", as_of=NOW, ttl=TTL) is None, "a second process of the same name is another"
    assert leases.acquire("watchdog", "two", as_of=NOW, ttl=TTL) is not None
    assert leases.current("gateway") == lease


def test_every_grant_has_a_greater_token(leases: Leases) -> None:
    tokens = [taken(leases, f"h{n}", seconds=10 * n).token for n in range(4)]
    lease = taken(leases, "h4", seconds=40)
    assert leases.release(lease, as_of=NOW + timedelta(seconds=41))
    assert [*tokens, lease.token, taken(leases, "h4", seconds=41).token] == [1, 2, 3, 4, 5, 6]


def test_a_renewed_lease_keeps_its_token_and_runs_longer(leases: Leases) -> None:
    lease = leases.renew(taken(leases), as_of=NOW + timedelta(seconds=8), ttl=TTL)
    assert (lease.token, lease.until) == (1, NOW + timedelta(seconds=18))
    assert leases.acquire("gateway", "two", as_of=NOW + timedelta(seconds=17), ttl=TTL) is None


def test_a_clock_that_steps_back_does_not_shorten_a_lease(leases: Leases) -> None:
    lease = leases.renew(taken(leases), as_of=NOW - timedelta(hours=1), ttl=TTL)
    assert lease.until == LATER


def test_a_lease_that_ran_out_is_lost_even_if_nobody_took_it(leases: Leases, engine: sa.Engine) -> None:
    lease = taken(leases)
    with pytest.raises(LeaseLost, match="run out"):
        leases.renew(lease, as_of=LATER, ttl=TTL)
    with pytest.raises(LeaseLost, match="run out"), transaction(engine) as connection:
        require(connection, lease, as_of=LATER)
    assert not leases.release(lease, as_of=LATER)


def test_a_released_lease_is_free_at_once_and_lost_for_who_had_it(leases: Leases) -> None:
    lease = taken(leases)
    assert leases.release(lease, as_of=NOW + timedelta(seconds=1))
    assert not leases.release(lease, as_of=NOW + timedelta(seconds=1))
    with pytest.raises(LeaseLost):
        leases.renew(lease, as_of=NOW + timedelta(seconds=1), ttl=TTL)
    assert taken(leases, "two", seconds=1).token == 2


def test_an_old_holder_cannot_release_the_new_ones_lease(leases: Leases) -> None:
    old = taken(leases)
    new = taken(leases, "two", seconds=10)
    assert not leases.release(old, as_of=NOW)
    assert leases.current("gateway") == new


def test_a_guarded_write_of_the_holder_is_made_and_a_late_one_is_not(leases: Leases, engine: sa.Engine) -> None:
    old = taken(leases)
    with leases.guarded(old, as_of=NOW) as connection:
        connection.exec_driver_sql("insert into app_state (key, value, at) values ('a', '1', '')")
    taken(leases, "two", seconds=10)
    with pytest.raises(LeaseLost, match="passed on.*two.*token 2"), leases.guarded(old, as_of=NOW) as connection:
        connection.exec_driver_sql("insert into app_state (key, value, at) values ('b', '1', '')")
    assert [AppState(engine).get(key) for key in "ab"] == ["1", None]


def test_a_lost_lease_is_a_control_that_forbids(leases: Leases) -> None:
    with pytest.raises(TradingHalted, match="next: stop"), leases.guarded(Lease("x", "h", 1, LATER), as_of=NOW):
        pass


@pytest.mark.parametrize("ttl", [timedelta(0), timedelta(seconds=-1)])
def test_a_lease_runs_for_some_time(leases: Leases, ttl: timedelta) -> None:
    with pytest.raises(PermanentFailure, match="some time"):
        leases.acquire("gateway", "one", as_of=NOW, ttl=ttl)


def test_of_eight_processes_one_gets_the_lease_in_each_round(engine: sa.Engine, ledger_where: Path | str) -> None:
    for round_ in range(3):
        jobs = (("take_lease", ledger_where, f"p{n}", 10 * round_) for n in range(8))
        tokens = [token for token in processes(*jobs) if token is not None]
        assert tokens == [round_ + 1]


@pytest.mark.fault(12)
def test_a_holder_that_was_paused_and_woken_cannot_write(engine: sa.Engine, ledger_where: Path | str) -> None:
    """Fault 12: SIGSTOP between reading the clock and writing; meanwhile the lease runs out and another takes it."""
    paused = python(CALLS + "write_when_told(*sys.argv[1:])", ledger_where)
    assert paused.stdout is not None
    assert paused.stdout.readline() == "held\n"
    paused.send_signal(signal.SIGSTOP)
    assert paused.stdin is not None
    paused.stdin.write("write\n")
    paused.stdin.flush()
    leases = Leases(engine)
    other = taken(leases, "other", seconds=11)
    with leases.guarded(other, as_of=NOW + timedelta(seconds=12)) as connection:
        connection.exec_driver_sql("insert into app_state (key, value, at) values ('by', 'other', '')")
    time.sleep(0.2)
    assert AppState(engine).get("by") == "other", "the stopped process has not run"
    paused.send_signal(signal.SIGCONT)
    out, errors = paused.communicate()
    assert "LeaseLost: the lease gateway has passed on" in out, errors
    assert AppState(engine).get("by") == "other"
