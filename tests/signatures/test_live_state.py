"""The state of a book at a broker, in session: losses, halts, a dead watchdog, an unknown book; worse news never loosens it."""

from dataclasses import fields, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.signatures.gated import LIMITS
from tests.signatures.test_risk_gate import STATE_FIELDS
from trading_assets.signatures.state import FIRST_START, STRICTNESS, Standing, StateRuling, live_state

SECOND = timedelta(seconds=1)
WELL = Standing(
    equity=Decimal(100_000),
    day_open=Decimal(100_000),
    peak=Decimal(100_000),
    stop_outs=0,
    halts=(),
    halt_file="",
    watchdog_age=SECOND,
    watchdog_age_max=15 * SECOND,
    reconciled_age=SECOND,
    breaker="",
    ever_released=True,
)


def state(**otherwise: Any) -> StateRuling:
    """The state of a desk that stands well but for what is said otherwise."""
    return live_state(replace(WELL, **otherwise), LIMITS)


def test_a_desk_that_stands_well_is_active() -> None:
    assert state() == StateRuling("ACTIVE", "nothing speaks against it")
    assert state(equity=Decimal(120_000), peak=Decimal(120_000)).state == "ACTIVE"


@pytest.mark.control("C11")
@pytest.mark.parametrize(
    ("equity", "expected", "halts"),
    [
        ("98000.01", "ACTIVE", False),
        ("98000.00", "REDUCING", False),
        ("96000.01", "REDUCING", False),
        ("96000.00", "HALTED", True),
        ("50000", "HALTED", True),
        ("0.01", "HALTED", True),
        ("0", "HALTED", True),
        ("-1", "HALTED", True),
    ],
)
def test_a_daily_loss_reduces_then_halts_and_flattens(equity: str, expected: str, halts: bool) -> None:
    """A gap past both bounds does both at once."""
    ruling = state(equity=Decimal(equity))
    assert (ruling.state, ruling.halt is not None, ruling.flatten) == (expected, halts, halts)
    assert ("C11" in ruling.reason) == (expected != "ACTIVE")


@pytest.mark.control("C12")
@pytest.mark.parametrize(("equity", "halts"), [("92000.01", False), ("92000.00", True), ("91000", True)])
def test_a_drawdown_from_the_peak_halts_and_flattens(equity: str, halts: bool) -> None:
    """The day itself lost nothing: the peak is of another session."""
    ruling = state(equity=Decimal(equity), day_open=Decimal(equity))
    assert (ruling.state, ruling.flatten) == (("HALTED", True) if halts else ("ACTIVE", False))
    assert (ruling.halt or "").startswith("C12") == halts


@pytest.mark.control("C11", "C12")
@pytest.mark.parametrize("name", ["equity", "day_open", "peak"])
@pytest.mark.parametrize("amount", [None, "NaN", "Infinity", "-Infinity"])
def test_an_amount_that_is_not_known_opens_nothing(name: str, amount: str | None) -> None:
    """It is no reason to sell: the broker may answer in a second."""
    ruling = state(**{name: Decimal(amount) if amount else None})
    assert (ruling.state, ruling.halt, ruling.flatten) == ("REDUCING", None, False)
    assert ruling.reason.startswith("C11")


@pytest.mark.control("C12")
@pytest.mark.parametrize("name", ["day_open", "peak"])
@pytest.mark.parametrize("amount", ["0", "-5"])
def test_a_mark_that_cannot_be_halts(name: str, amount: str) -> None:
    assert state(**{name: Decimal(amount)}).state == "HALTED"


@pytest.mark.control("C13")
@pytest.mark.parametrize(
    ("count", "expected"),
    [(0, "ACTIVE"), (3, "ACTIVE"), (4, "REDUCING"), (40, "REDUCING"), (None, "REDUCING"), (-1, "REDUCING")],
)
def test_four_stop_outs_in_a_session_end_its_entries(count: int | None, expected: str) -> None:
    ruling = state(stop_outs=count)
    assert (ruling.state, "C13" in ruling.reason, ruling.halt) == (expected, expected == "REDUCING", None)


@pytest.mark.control("C1")
def test_a_desk_that_nobody_ever_released_begins_halted() -> None:
    """The halt is recorded once, so that there is something to acknowledge."""
    first = state(ever_released=False)
    assert (first.state, first.halt, first.flatten) == ("HALTED", FIRST_START, False)
    recorded = state(ever_released=False, halts=(FIRST_START,))
    assert (recorded.state, recorded.halt) == ("HALTED", None)


@pytest.mark.control("C1")
def test_open_halts_and_the_halt_file_win_and_are_not_recorded_again() -> None:
    both = state(halts=("the operator said so", "zombie order"), halt_file="the ledger was locked")
    assert (both.state, both.halt, both.flatten) == ("HALTED", None, False)
    assert both.reason == "halted: the operator said so; halted: zombie order; halted: the ledger was locked"
    assert state(halt_file="x").state == "HALTED"


def test_a_loss_that_halts_flattens_whoever_halted_before() -> None:
    ruling = state(halts=("the operator said so",), equity=Decimal(95_000))
    assert (ruling.state, ruling.halt, ruling.flatten) == ("HALTED", None, True)


@pytest.mark.fault(106)
@pytest.mark.parametrize(
    ("age", "expected"),
    [(15 * SECOND, "ACTIVE"), (15.001 * SECOND, "REDUCING"), (None, "REDUCING"), (-16 * SECOND, "REDUCING")],
)
def test_a_dead_watchdog_opens_nothing(age: timedelta | None, expected: str) -> None:
    ruling = state(watchdog_age=age)
    assert (ruling.state, "watchdog" in ruling.reason) == (expected, expected == "REDUCING")


@pytest.mark.control("C34")
@pytest.mark.parametrize(
    ("age", "expected"), [(15 * SECOND, "ACTIVE"), (15.001 * SECOND, "REDUCING"), (None, "REDUCING")]
)
def test_a_book_that_was_not_reconciled_opens_nothing(age: timedelta | None, expected: str) -> None:
    assert state(reconciled_age=age).state == expected


@pytest.mark.fault(84)
def test_a_breaker_of_the_desk_opens_nothing() -> None:
    assert state(breaker="flash crash: 4 of 5 symbols fell 3 % in 60 s") == StateRuling(
        "REDUCING", "flash crash: 4 of 5 symbols fell 3 % in 60 s"
    )


def test_every_reason_is_told_and_the_strictest_counts() -> None:
    ruling = state(
        equity=Decimal(90_000),
        stop_outs=9,
        watchdog_age=None,
        reconciled_age=None,
        breaker="crash",
        ever_released=False,
    )
    assert ruling.state == "HALTED"
    for word in ("C11", "C12", "C13", "C34", "watchdog", "crash", FIRST_START):
        assert word in ruling.reason


@pytest.mark.parametrize(
    ("limit", "value", "told", "expected"),
    [
        ("daily_loss_reduce_only_fraction", 0.01, {"equity": Decimal(99_000)}, "REDUCING"),
        ("daily_loss_halt_fraction", 0.03, {"equity": Decimal(97_000)}, "HALTED"),
        ("drawdown_halt_fraction", 0.05, {"equity": Decimal(99_000), "peak": Decimal(105_000)}, "HALTED"),
        ("stop_outs_reduce_only", 2, {"stop_outs": 2}, "REDUCING"),
    ],
)
def test_the_bounds_in_session_are_the_preferences_own(
    limit: str, value: float, told: dict[str, Any], expected: str
) -> None:
    assert limit in STATE_FIELDS
    tighter = LIMITS.model_copy(update={limit: value})
    assert live_state(replace(WELL, **told), tighter).state == expected
    assert live_state(replace(WELL, **told), LIMITS).state != expected


# Worse news

ORDER = {"equity": -1, "day_open": 1, "peak": 1, "stop_outs": 1}
_MONEY = st.integers(85_000, 110_000).map(Decimal)
_AGE = st.none() | st.integers(0, 40).map(lambda seconds: seconds * SECOND)
_STANDINGS = st.builds(
    Standing,
    equity=_MONEY,
    day_open=_MONEY,
    peak=_MONEY,
    stop_outs=st.integers(0, 6),
    halts=st.sampled_from([(), ("a halt",)]),
    halt_file=st.sampled_from(["", "", "a file"]),
    watchdog_age=_AGE,
    watchdog_age_max=st.just(15 * SECOND),
    reconciled_age=_AGE,
    breaker=st.sampled_from(["", "", "crash"]),
    ever_released=st.booleans(),
)


def worse(standing: Standing, name: str, step: int) -> Standing:
    """The same standing, one thing worse."""
    if name in ORDER:
        return replace(standing, **{name: getattr(standing, name) + ORDER[name] * step})
    changes: dict[str, Any] = {
        "halts": (*standing.halts, "another"),
        "halt_file": "a file",
        "breaker": "crash",
        "ever_released": False,
        "watchdog_age_max": timedelta(0),
    }
    age = getattr(standing, name) if name.endswith("_age") else None
    changes.setdefault(name, None if age is None else age + step * SECOND)
    return replace(standing, **{name: changes[name]})


@settings(deadline=None, max_examples=25)
@given(_STANDINGS, st.integers(1, 20_000))
def test_worse_news_never_loosens_the_state(standing: Standing, step: int) -> None:
    before = live_state(standing, LIMITS)
    for each in fields(Standing):
        after = live_state(worse(standing, each.name, step), LIMITS)
        assert STRICTNESS.index(after.state) >= STRICTNESS.index(before.state), each.name
        assert after.flatten or not before.flatten


@settings(deadline=None, max_examples=25)
@given(_STANDINGS, st.sampled_from(["stop_outs", "watchdog_age", "reconciled_age"]))
def test_what_is_not_known_is_never_looser_than_what_is(standing: Standing, name: str) -> None:
    nothing: dict[str, Any] = {name: None}
    unknown = live_state(replace(standing, **nothing), LIMITS)
    assert STRICTNESS.index(unknown.state) >= STRICTNESS.index(live_state(standing, LIMITS).state)
    assert unknown.state != "ACTIVE"


@settings(deadline=None, max_examples=25)
@given(_STANDINGS)
def test_an_active_state_means_that_nothing_speaks_against_it(standing: Standing) -> None:
    ruling = live_state(standing, LIMITS)
    assert standing.equity is not None
    assert standing.day_open is not None
    assert standing.peak is not None
    fine = (
        standing.equity > standing.day_open * Decimal("0.98")
        and standing.equity > standing.peak * Decimal("0.92")
        and (standing.stop_outs or 0) < 4
        and not (standing.halts or standing.halt_file or standing.breaker)
        and all(age is not None and age <= 15 * SECOND for age in (standing.watchdog_age, standing.reconciled_age))
        and standing.ever_released
    )
    assert (ruling.state == "ACTIVE") == fine
    assert ruling.state == "HALTED" or (ruling.halt is None and not ruling.flatten)
