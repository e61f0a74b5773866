"""Breakers: when a route is left alone, for how long, and that one caller over all processes tries it again."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from resources.ledger.breakers import AT_LEAST_MAX, BreakerState, SqlBreakers
from tests.resources.ledger.calls import NOW, POLICY, processes
from trading_assets.reasoning.ports import BreakerPolicy, Breakers

HOUR, TEN_MINUTES = timedelta(hours=1), timedelta(minutes=10)


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


@pytest.fixture
def breakers(engine: sa.Engine) -> SqlBreakers:
    return SqlBreakers(engine)


def fail(breakers: Breakers, times: int = 1, seconds: float = 0, route: str = "r", reason: str = "500") -> None:
    for _ in range(times):
        breakers.failed(route, POLICY, reason, as_of=at(seconds))


def gates(breakers: Breakers, *seconds: float, route: str = "r") -> list[str]:
    return [breakers.acquire(route, POLICY, as_of=at(second)) for second in seconds]


def state(breakers: SqlBreakers, route: str = "r") -> BreakerState:
    return next(each for each in breakers.states() if each.route == route)


def writes(engine: sa.Engine) -> list[str]:
    """The changing statements that the engine runs from now on."""
    seen: list[str] = []

    def note(*run: object) -> None:
        statement = str(run[2]).lstrip().upper()
        if statement.startswith(("INSERT", "UPDATE", "DELETE", "BEGIN IMMEDIATE")) or "ADVISORY" in statement:
            seen.append(statement)

    sa.event.listen(engine, "before_cursor_execute", note)
    return seen


# Opening


def test_a_route_that_never_failed_passes(breakers: SqlBreakers) -> None:
    assert gates(breakers, 0, 1) == ["pass", "pass"]
    assert breakers.states() == []


@pytest.mark.fault(91)
def test_the_third_failure_opens_and_the_fourth_call_is_not_made(breakers: SqlBreakers) -> None:
    fail(breakers, 2)
    assert gates(breakers, 0) == ["pass"]
    fail(breakers)
    assert gates(breakers, 0, 29.999999) == ["open", "open"]
    told = state(breakers)
    assert (told.state, told.failures, told.until, told.reason) == ("open", 3, at(30), "500")


def test_a_success_in_between_forgets_the_failures(breakers: SqlBreakers) -> None:
    fail(breakers, 2)
    breakers.succeeded("r", as_of=NOW)
    fail(breakers, 2)
    assert gates(breakers, 0) == ["pass"]


def test_routes_have_breakers_of_their_own(breakers: SqlBreakers) -> None:
    fail(breakers, 3, route="r")
    assert gates(breakers, 0, route="other") == ["pass"]


@pytest.mark.parametrize(("wait", "until"), [(HOUR, 3600), (TEN_MINUTES, 600), (timedelta(0), 30)])
def test_what_time_alone_cannot_mend_opens_at_once(breakers: SqlBreakers, wait: timedelta, until: int) -> None:
    """A quota that is used up, a key that is refused, a model that does not exist."""
    breakers.failed("r", POLICY, "quota", as_of=NOW, at_least=wait, open_now=True)
    assert gates(breakers, until - 1, until) == ["open", "trial"]


def test_a_servers_retry_after_is_honoured_beyond_the_longest_cool_down(breakers: SqlBreakers) -> None:
    fail(breakers, 2)
    breakers.failed("r", POLICY, "429", as_of=NOW, at_least=timedelta(seconds=2_000))
    assert gates(breakers, 1_999, 2_000) == ["open", "trial"]


def test_a_retry_after_is_honoured_also_when_a_later_failure_opens(breakers: SqlBreakers) -> None:
    breakers.failed("r", POLICY, "429", as_of=NOW, at_least=timedelta(seconds=300))
    assert gates(breakers, 0) == ["pass"]
    fail(breakers, 2, seconds=1)
    assert gates(breakers, 60, 299, 300) == ["open", "open", "trial"]


def test_a_shorter_wait_never_shortens_a_longer_one(breakers: SqlBreakers) -> None:
    breakers.failed("r", POLICY, "quota", as_of=NOW, at_least=HOUR, open_now=True)
    fail(breakers, 1, seconds=1)
    assert gates(breakers, 3_599, 3_600) == ["open", "trial"]


@pytest.mark.parametrize("wait", [timedelta.max, timedelta(days=400)])
def test_an_absurd_wait_is_taken_to_be_a_day(breakers: SqlBreakers, wait: timedelta) -> None:
    breakers.failed("r", POLICY, "429", as_of=NOW, at_least=wait, open_now=True)
    assert state(breakers).until == NOW + AT_LEAST_MAX


def test_a_negative_wait_is_none(breakers: SqlBreakers) -> None:
    breakers.failed("r", POLICY, "429", as_of=NOW, at_least=-HOUR, open_now=True)
    assert state(breakers).until == at(30)


def test_whatever_a_server_says_can_be_stored_as_the_reason(breakers: SqlBreakers) -> None:
    breakers.failed("r", POLICY, "nul \x00, half \ud800, " + "x" * 5_000, as_of=NOW)
    assert len(state(breakers).reason) == 1_000


# Trials


def test_after_the_cool_down_one_caller_tries_and_the_others_wait(breakers: SqlBreakers) -> None:
    fail(breakers, 3)
    assert gates(breakers, 30, 30, 31, 149) == ["trial", "open", "open", "open"]
    assert state(breakers).state == "half_open"


def test_a_trial_that_succeeds_closes_and_everything_begins_anew(breakers: SqlBreakers) -> None:
    fail(breakers, 3)
    gates(breakers, 30)
    breakers.succeeded("r", as_of=at(31))
    assert gates(breakers, 31) == ["pass"]
    assert (state(breakers).state, state(breakers).failures, state(breakers).until) == ("closed", 0, None)
    fail(breakers, 3, seconds=40)
    assert gates(breakers, 69, 70) == ["open", "trial"], "the cool-down begins at its first length"


def test_each_trial_that_fails_doubles_the_cool_down_up_to_the_cap(breakers: SqlBreakers) -> None:
    fail(breakers, 3)
    now, waits = 0.0, []
    for _ in range(8):
        until = state(breakers).until
        assert until is not None
        waits.append((until - at(now)).total_seconds())
        now = (until - NOW).total_seconds()
        assert gates(breakers, now - 0.001, now) == ["open", "trial"]
        fail(breakers, seconds=now)
    assert waits == [30, 60, 120, 240, 480, 900, 900, 900]


def test_a_trial_whose_process_died_frees_itself(breakers: SqlBreakers) -> None:
    fail(breakers, 3)
    assert gates(breakers, 30, 149.999, 150, 150) == ["trial", "open", "trial", "open"]


def test_a_trial_that_asked_nothing_is_given_back(breakers: SqlBreakers) -> None:
    fail(breakers, 3)
    assert gates(breakers, 30) == ["trial"]
    breakers.give_back("r", as_of=at(31))
    assert gates(breakers, 31, 31) == ["trial", "open"]


def test_giving_back_what_nobody_has_changes_nothing(breakers: SqlBreakers) -> None:
    breakers.give_back("r", as_of=NOW)
    fail(breakers, 3)
    breakers.give_back("r", as_of=NOW)
    assert gates(breakers, 29) == ["open"]


# Calls that began before the breaker opened


def test_thirty_failures_at_once_do_not_double_the_cool_down(breakers: SqlBreakers) -> None:
    fail(breakers, 30)
    assert gates(breakers, 29, 30) == ["open", "trial"]


def test_a_success_that_began_before_does_not_close_an_open_breaker(breakers: SqlBreakers) -> None:
    breakers.failed("r", POLICY, "quota", as_of=NOW, at_least=HOUR, open_now=True)
    breakers.succeeded("r", as_of=at(2))
    assert gates(breakers, 3) == ["open"]


def test_a_trial_that_succeeds_after_its_lease_still_closes(breakers: SqlBreakers) -> None:
    fail(breakers, 3)
    gates(breakers, 30)
    breakers.succeeded("r", as_of=at(500))
    assert gates(breakers, 500) == ["pass"]


# What it costs


def test_a_closed_breaker_costs_no_write(breakers: SqlBreakers, engine: sa.Engine) -> None:
    fail(breakers, 3)
    gates(breakers, 30)
    breakers.succeeded("r", as_of=at(31))
    seen = writes(engine)
    for second in range(5):
        assert gates(breakers, 40 + second) == ["pass"]
        breakers.succeeded("r", as_of=at(40 + second))
        breakers.succeeded("never failed", as_of=at(40 + second))
    assert seen == []


def test_an_open_breaker_costs_no_write_either(breakers: SqlBreakers, engine: sa.Engine) -> None:
    fail(breakers, 3)
    seen = writes(engine)
    assert gates(breakers, 1, 2) == ["open", "open"]
    assert seen == []


# Many processes


@pytest.mark.fault(91)
def test_eight_processes_get_one_trial_in_each_of_four_rounds(engine: sa.Engine, ledger_where: Path | str) -> None:
    breakers = SqlBreakers(engine)
    for round_, route in enumerate(("a", "b", "c", "d")):
        fail(breakers, 3, route=route)
        told = processes(*(("try_route", ledger_where, route, 30 + round_) for _ in range(8)))
        assert sorted(told) == ["open"] * 7 + ["trial"]


def test_failures_of_eight_processes_are_all_counted(engine: sa.Engine, ledger_where: Path | str) -> None:
    processes(*(("fail_route", ledger_where, "r", 5) for _ in range(8)))
    told = state(SqlBreakers(engine))
    assert (told.state, told.failures, told.until) == ("open", 40, at(30))


# Clocks

STEPS = st.lists(
    st.tuples(st.sampled_from(["acquire", "failed", "quota", "succeeded"]), st.integers(-600, 600)), max_size=25
)
NEVER = BreakerPolicy(failures_max=2, cooldown=timedelta(seconds=60), cooldown_max=timedelta(seconds=240))


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(steps=STEPS)
def test_no_gate_opens_before_the_last_promise_whatever_clocks_do(
    engine: sa.Engine, steps: list[tuple[str, int]]
) -> None:
    """Clocks step forwards and backwards at random; a promised wait only ever ends at its instant or later."""
    breakers = SqlBreakers(engine)
    with engine.begin() as connection:
        connection.exec_driver_sql("delete from breakers")
    promised: datetime | None = None
    for what, second in steps:
        now = at(second)
        if what == "acquire":
            gate = breakers.acquire("r", NEVER, as_of=now)
            assert gate == "open" or promised is None or now >= promised
            assert (gate == "pass") == (promised is None)
        elif what == "succeeded":
            breakers.succeeded("r", as_of=now)
        else:
            wait = HOUR if what == "quota" else timedelta(0)
            breakers.failed("r", NEVER, what, as_of=now, at_least=wait, open_now=what == "quota")
        told = next(iter(breakers.states()), None)
        if told is None or told.state == "closed":
            assert promised is None or what == "succeeded"
            promised = None
        elif told.state == "open":
            assert told.until is not None
            assert promised is None or told.until >= promised
            promised = told.until


def test_a_clock_that_steps_back_cannot_open_the_gate_early(breakers: SqlBreakers) -> None:
    fail(breakers, 3)
    fail(breakers, 1, seconds=-1_000)
    assert gates(breakers, -1_000, 0, 29) == ["open"] * 3
