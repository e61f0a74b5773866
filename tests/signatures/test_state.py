"""What losses allow: -2 % reduces, -4 % halts, 8 % below the peak halts, and an open halt wins over everything."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.signatures.gated import LIMITS
from tests.signatures.test_risk_gate import STATE_FIELDS
from trading_assets.core.preferences import Preferences
from trading_assets.signatures.state import StateRuling, trading_state


def _after(*equity: str | int, limits: Preferences = LIMITS, open_halt: str | None = None) -> StateRuling:
    return trading_state([Decimal(value) for value in equity], limits, open_halt=open_halt)


@pytest.mark.control("C11", "C12")
@pytest.mark.parametrize(
    ("equity", "state"),
    [
        (("100000", "98000.01"), "ACTIVE"),
        (("100000", "98000.00"), "REDUCING"),
        (("100000", "96000.01"), "REDUCING"),
        (("100000", "96000.00"), "HALTED"),
        (("100000", "97000", "94500", "92000.01"), "REDUCING"),
        (("100000", "97000", "94500", "92000.00"), "HALTED"),
        (("100000", "98500", "97100", "95700", "94300", "93000", "92000.01"), "ACTIVE"),
        (("100000", "98500", "97100", "95700", "94300", "93000", "92000.00"), "HALTED"),
    ],
)
def test_the_state_changes_exactly_at_its_bounds(equity: tuple[str, ...], state: str) -> None:
    assert _after(*equity).state == state


def test_a_daily_loss_is_named_with_its_control_value_and_bound() -> None:
    assert _after(100, "97.5") == StateRuling("REDUCING", "C11 daily loss: 2.50%, reduces only from 2.00%")
    halted = "C11 daily loss: 5.00%, halts at 4.00%"
    assert _after(100, 95) == StateRuling("HALTED", halted, halt=halted)


def test_a_drawdown_is_named_with_its_control_value_and_bound() -> None:
    cause = "C12 drawdown: 9.00% from the peak, halts at 8.00%"
    assert _after(100, "97.5", 95, 93, 91) == StateRuling("HALTED", cause, halt=cause)


@pytest.mark.control("C11")
def test_a_gap_past_both_bounds_halts() -> None:
    assert _after(100, 50).state == "HALTED"


def test_only_the_last_sessions_loss_reduces() -> None:
    assert _after(100, 97, 97).state == "ACTIVE"


def test_reducing_asks_for_no_halt() -> None:
    assert _after(100, 97).halt is None


def test_an_open_halt_wins_and_is_not_recorded_again() -> None:
    ruling = _after(100, 150, open_halt="the operator said so")
    assert ruling == StateRuling("HALTED", "halted: the operator said so", halt=None)
    assert _after(100, 50, open_halt="the operator said so") == ruling
    assert _after(open_halt="before the first session").state == "HALTED"


def test_a_new_book_is_active() -> None:
    assert _after() == StateRuling("ACTIVE", "a new book")
    assert _after(100).state == "ACTIVE"


@pytest.mark.parametrize("equity", [("0",), ("100", "0"), ("0", "0"), ("100", "-1"), ("-1", "-2"), ("0", "100", "0")])
def test_a_book_without_equity_is_halted(equity: tuple[str, ...]) -> None:
    ruling = _after(*equity)
    assert ruling.state == "HALTED"
    assert ruling.halt


@pytest.mark.parametrize("value", ["NaN", "Infinity"])
def test_an_equity_that_is_no_amount_of_money_is_halted(value: str) -> None:
    assert _after(100, value).state == "HALTED"
    assert _after(value, 100).state == "HALTED"


def test_a_history_that_begins_anew_forgets_the_peak_before() -> None:
    """The ledger hands out closes since the acknowledgement only."""
    assert _after(100, 91).state == "HALTED"
    assert _after(91).state == "ACTIVE"
    assert _after(91, 90).state == "ACTIVE"


@pytest.mark.parametrize(
    ("limit", "value", "equity", "state"),
    [
        ("daily_loss_reduce_only_fraction", 0.01, ("100", "99"), "REDUCING"),
        ("daily_loss_halt_fraction", 0.03, ("100", "97"), "HALTED"),
        ("drawdown_halt_fraction", 0.05, ("100", "98.5", "97", "95.1", "95"), "HALTED"),
    ],
)
def test_the_bound_is_the_preferences_own_value(limit: str, value: float, equity: tuple[str, ...], state: str) -> None:
    assert limit in STATE_FIELDS
    assert _after(*equity, limits=LIMITS.model_copy(update={limit: value})).state == state
    assert _after(*equity).state != state


_EQUITY = st.lists(st.integers(1, 200_000).map(lambda cents: Decimal(cents) / 100), min_size=1, max_size=30)


@settings(deadline=None, max_examples=80)
@given(_EQUITY)
def test_an_active_state_means_that_no_limit_is_reached(equity: list[Decimal]) -> None:
    ruling = trading_state(equity, LIMITS)
    lost = equity[-2] - equity[-1] if len(equity) > 1 else Decimal(0)
    base = equity[-2] if len(equity) > 1 else Decimal(1)
    deep = equity[-1] <= max(equity) * Decimal("0.92") or lost >= base * Decimal("0.04")
    assert (ruling.state == "HALTED") == deep == (ruling.halt is not None)
    assert (ruling.state == "ACTIVE") == (not deep and lost < base * Decimal("0.02"))


@settings(deadline=None)
@given(_EQUITY, st.integers(1, 100))
def test_a_worse_last_close_never_loosens_the_state(equity: list[Decimal], cents: int) -> None:
    strictness = ("ACTIVE", "REDUCING", "HALTED")
    worse = [*equity[:-1], equity[-1] - Decimal(cents) / 100]
    before, after = (strictness.index(trading_state(each, LIMITS).state) for each in (equity, worse))
    assert len(equity) == 1 or after >= before
