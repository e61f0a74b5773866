"""Positions, cash and whose account it is: what is booked, what is adopted, and what nothing explains."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from tests.broker.accounts import (
    ACCOUNT,
    LATER,
    SENT,
    after,
    booked,
    bracket,
    cancels,
    fill,
    filled,
    knowing,
    looked,
    mismatches,
    report,
    seen,
    states,
)
from trading_assets.broker.lifecycle import Adopted, Booked, Change, FeeBooked, ForeignOrder, Known
from trading_assets.broker.model import Commission, HeldPosition, OrderReport

HOLDING = filled(bracket(), 100)
ENTRY, TARGET, STOP = HOLDING.legs
RESTING = [report(TARGET), report(STOP)]
BY_HAND = replace(report(ENTRY, "filled", done=30, perm_id=7007, quantity=30), ref="", order_id=0, client_id=0)
OLD = SENT - timedelta(hours=1)


def adopted(changes: tuple[Change, ...]) -> list[tuple[str, Decimal]]:
    return [(change.position.symbol, change.difference) for change in changes if isinstance(change, Adopted)]


def spending(cash: int | str) -> Known:
    return knowing(HOLDING, held=100, cash=Decimal(cash))


def test_agreement_changes_nothing() -> None:
    assert looked(knowing(HOLDING, held=100, cash=Decimal(5000)), seen(RESTING, held=100, cash=Decimal(5000))) == ()


def test_a_difference_that_nothing_explains_halts_and_is_not_repaired() -> None:
    changes = looked(knowing(HOLDING, held=100), seen(RESTING, held=70))
    assert mismatches(changes) == ["position"]
    assert not adopted(changes)
    assert not booked(changes)


def test_a_position_that_the_broker_does_not_have_is_a_mismatch() -> None:
    assert "position" in mismatches(looked(knowing(HOLDING, held=100), seen()))


def test_shares_of_a_symbol_that_the_ledger_never_heard_of_are_a_mismatch() -> None:
    assert mismatches(looked(knowing(), seen(held={"MSFT": 10}))) == ["position"]


def test_what_was_there_at_the_first_start_is_adopted_with_its_cash() -> None:
    first = replace(knowing(), is_new=True)
    snapshot = seen(held={"MSFT": 10, "TSLA": -5}, cash=Decimal(1234))
    changes = looked(first, snapshot)
    assert adopted(changes) == [("MSFT", Decimal(10)), ("TSLA", Decimal(-5))]
    known = after(first, changes)
    assert (known.is_new, known.cash) == (False, Decimal(1234))
    assert not adopted(looked(known, snapshot))
    assert not mismatches(looked(known, snapshot))


@pytest.mark.fault(46)
def test_an_order_by_hand_is_counted_and_never_managed() -> None:
    snapshot = seen([*RESTING, BY_HAND], held=130, cash=Decimal(2000))
    changes = looked(knowing(HOLDING, held=100, cash=Decimal(5000)), snapshot)
    assert adopted(changes) == [("AAPL", Decimal(30))]
    assert [change.report.perm_id for change in changes if isinstance(change, ForeignOrder)] == [7007]
    assert not mismatches(changes)
    assert not cancels(changes)
    known = after(knowing(HOLDING, held=100, cash=Decimal(5000)), changes)
    assert known.position("AAPL") == 130
    assert known.cash == 2000
    assert not mismatches(looked(known, snapshot))


@pytest.mark.fault(46)
def test_a_live_order_by_hand_is_told_once_and_never_cancelled() -> None:
    live = replace(BY_HAND, status="working", filled=Decimal(0))
    changes = looked(knowing(HOLDING, held=100), seen([*RESTING, live], held=100))
    assert [type(change).__name__ for change in changes] == ["ForeignOrder"]
    assert looked(after(knowing(HOLDING, held=100), changes), seen([*RESTING, live], held=100)) == ()


@pytest.mark.parametrize(
    ("foreign", "held"),
    [
        (replace(BY_HAND, side="sell"), 130),
        (replace(BY_HAND, symbol="MSFT"), 130),
        (replace(BY_HAND, filled=Decimal(10)), 130),
        (BY_HAND, 70),
    ],
    ids=["the other side", "another symbol", "too little", "the other way"],
)
def test_a_foreign_order_explains_only_what_it_traded(foreign: OrderReport, held: int) -> None:
    assert mismatches(looked(knowing(HOLDING, held=100), seen([*RESTING, foreign], held=held))) == ["position"]


@pytest.mark.fault(46)
def test_a_foreign_execution_is_booked_without_an_order_and_explains_its_shares() -> None:
    hand = replace(fill(ENTRY, 30, "h1.01", at=OLD), ref="", order_id=0, client_id=0, perm_id=7007)
    changes = looked(knowing(HOLDING, held=100), seen(RESTING, [hand], held=130))
    assert booked(changes) == [("h1.01", "")]
    assert not mismatches(changes)
    assert not adopted(changes)


def test_an_execution_of_the_desks_own_connection_that_no_intent_explains_halts() -> None:
    stray = replace(fill(ENTRY, 30, "s1.01"), ref="", perm_id=7007, order_id=55)
    changes = looked(knowing(HOLDING, held=100), seen(RESTING, [stray], held=130))
    assert booked(changes) == [("s1.01", "")]
    assert mismatches(changes) == ["zombie"]


def test_an_unknown_order_with_the_desks_reference_halts_and_is_cancelled_if_it_could_open() -> None:
    stray = replace(report(ENTRY, perm_id=7007), ref="D1:lost", order_id=55)
    changes = looked(knowing(HOLDING, held=100), seen([*RESTING, stray], held=100))
    assert mismatches(changes) == ["zombie"]
    assert cancels(changes) == [55]


def test_an_unknown_order_of_the_desk_that_only_reduces_is_left_to_work() -> None:
    """The watchdog flattens under its own connection when the ledger cannot be written."""
    stray = replace(report(STOP, perm_id=7007), ref="D1:lost", order_id=55, client_id=12, kind="market")
    changes = looked(knowing(HOLDING, held=100), seen([*RESTING, stray], held=100))
    assert mismatches(changes) == ["zombie"]
    assert not cancels(changes)


@pytest.mark.parametrize("accounts", [(), ("DU7654321",), (ACCOUNT, "DU7654321")])
def test_another_account_halts_and_nothing_else_follows(accounts: tuple[str, ...]) -> None:
    changes = looked(knowing(), replace(seen(held=100), accounts=accounts))
    assert mismatches(changes) == ["account"]
    assert len(changes) == 1


def test_a_position_of_another_account_halts() -> None:
    other = replace(seen(), positions=(HeldPosition("U1", "AAPL", 7, Decimal(1), Decimal(1)),))
    assert mismatches(looked(knowing(), other)) == ["account"]


def test_a_position_told_before_its_execution_was_counted_is_not_yet_a_mismatch() -> None:
    recent = fill(ENTRY, 100, at=LATER - timedelta(seconds=1))
    changes = looked(knowing(bracket()), seen([report(leg) for leg in HOLDING.legs], [recent], held=0))
    assert not mismatches(changes)
    assert "position" in mismatches(looked(knowing(bracket()), seen(executions=[replace(recent, at=OLD)], held=0)))


def test_a_position_that_just_moved_is_judged_by_the_next_snapshot() -> None:
    before, now = seen(RESTING, held=100, at=LATER), seen(RESTING, held=60, at=LATER + timedelta(seconds=5))
    known = knowing(HOLDING, held=100)
    assert not mismatches(looked(known, now, previous=before))
    still = replace(now, at=now.at + timedelta(seconds=5))
    assert mismatches(looked(known, still, previous=now)) == ["position"]


@pytest.mark.parametrize(
    ("cash", "verdict"), [("5000.49", []), ("4999.51", []), ("5000.51", ["cash"]), ("0", ["cash"])]
)
def test_cash_agrees_within_its_fraction(cash: str, verdict: list[str]) -> None:
    assert mismatches(looked(spending(5000), seen(RESTING, held=100, cash=Decimal(cash)))) == verdict


def test_unknown_cash_gives_no_verdict() -> None:
    assert looked(spending(5000), seen(RESTING, held=100, cash=None)) == ()
    assert looked(knowing(HOLDING, held=100), seen(RESTING, held=100, cash=Decimal(1))) == ()


@pytest.mark.fault(73)
def test_cash_of_another_currency_is_not_compared() -> None:
    euros = seen(RESTING, held=100, cash=Decimal(1))
    euros = replace(euros, values=replace(euros.values, currency="EUR"))
    assert looked(spending(5000), euros) == ()


@pytest.mark.fault(56)
@pytest.mark.parametrize("told", [None, Decimal("NaN")])
def test_a_fill_counts_while_its_fee_is_pending(told: Decimal | None) -> None:
    known = replace(knowing(bracket()), cash=Decimal(20_000))
    execution = fill(ENTRY, 100, at=OLD)
    snapshot = seen(RESTING, [execution], held=100, fees=[Commission("x1.01", told)], cash=Decimal("9998.95"))
    changes = looked(known, snapshot)
    assert [change.execution.exec_id for change in changes if isinstance(change, Booked)] == ["x1.01"]
    assert not any(isinstance(change, FeeBooked) for change in changes)
    assert not mismatches(changes)


@pytest.mark.fault(56)
def test_a_late_fee_is_booked_once_and_the_cash_agrees_to_the_cent() -> None:
    known = replace(knowing(bracket()), cash=Decimal(20_000))
    snapshot = seen(
        RESTING,
        [fill(ENTRY, 100, at=OLD)],
        held=100,
        fees=[Commission("x1.01", Decimal("1.05"))],
        cash=Decimal("9998.95"),
    )
    changes = looked(known, snapshot)
    assert [str(c.commission.amount) for c in changes if isinstance(c, FeeBooked)] == ["1.05"]
    known = after(known, changes)
    assert known.cash == Decimal("9998.95")
    assert looked(known, snapshot) == ()


def test_a_fee_of_an_execution_that_nobody_knows_waits() -> None:
    assert looked(knowing(), seen(fees=[Commission("z9.01", Decimal(1))])) == ()


@pytest.mark.fault(53)
def test_an_execution_is_booked_once_however_often_it_is_told() -> None:
    execution = fill(ENTRY, 40, at=OLD)
    snapshot = seen([report(leg) for leg in HOLDING.legs], [execution, execution], held=40)
    changes = looked(knowing(bracket()), snapshot)
    assert booked(changes) == [("x1.01", "a-entry")]
    assert not booked(looked(after(knowing(bracket()), changes), snapshot))


@pytest.mark.fault(53)
def test_an_execution_told_again_without_its_permanent_number_is_still_the_same() -> None:
    execution = fill(ENTRY, 40, at=OLD)
    bare = replace(execution, perm_id=0)
    assert len(booked(looked(knowing(bracket()), seen(executions=[execution, bare], held=40)))) == 1


@pytest.mark.fault(57)
def test_a_correction_replaces_what_it_corrects_and_leaves_it_in_the_audit() -> None:
    known = after(knowing(bracket()), looked(knowing(bracket()), seen(executions=[fill(ENTRY, 40, at=OLD)], held=40)))
    corrected = fill(ENTRY, 30, "x1.02", price=Decimal(99), at=OLD)
    changes = looked(known, seen(executions=[fill(ENTRY, 40, at=OLD), corrected], held=30))
    assert [(change.execution.exec_id, change.replaces) for change in changes if isinstance(change, Booked)] == [
        ("x1.02", "x1.01")
    ]
    known = after(known, changes)
    assert known.position("AAPL") == 30
    assert known.intents[0].legs[0].filled == 30
    assert set(known.executions) == {"x1.01", "x1.02"}


@pytest.mark.fault(57)
def test_a_correction_that_comes_first_is_not_undone_by_what_it_corrects() -> None:
    corrected = fill(ENTRY, 30, "x1.02", at=OLD)
    known = after(knowing(bracket()), looked(knowing(bracket()), seen(executions=[corrected], held=30)))
    assert not booked(looked(known, seen(executions=[fill(ENTRY, 40, at=OLD), corrected], held=30)))


@pytest.mark.fault(58)
@pytest.mark.parametrize("shape", ["nothing", "the other side"])
def test_a_bust_is_reversed_and_halts(shape: str) -> None:
    known = after(knowing(bracket()), looked(knowing(bracket()), seen(executions=[fill(ENTRY, 40, at=OLD)], held=40)))
    bust = fill(ENTRY, 0, "x1.02", at=OLD) if shape == "nothing" else fill(ENTRY, 40, "x1.02", at=OLD, side="sell")
    changes = looked(known, seen(executions=[bust], held=0))
    assert [change.busts for change in changes if isinstance(change, Booked)] == ["x1.01"]
    assert mismatches(changes) == ["bust"]
    known = after(known, changes)
    assert known.position("AAPL") == 0
    assert known.intents[0].legs[0].filled == 0


def test_a_bust_of_nothing_halts_and_books_nothing() -> None:
    changes = looked(knowing(bracket()), seen(executions=[fill(ENTRY, 0, "x1.02")]))
    assert mismatches(changes) == ["bust"]
    assert not booked(changes)


@pytest.mark.fault(61)
def test_an_overfill_is_booked_in_full_and_halts() -> None:
    executions = [fill(ENTRY, 100, "x1.01", at=OLD), fill(ENTRY, 20, "x2.01", at=OLD)]
    changes = looked(knowing(bracket()), seen(RESTING, executions, held=120))
    assert booked(changes) == [("x1.01", "a-entry"), ("x2.01", "a-entry")]
    assert mismatches(changes) == ["overfill"]
    assert states(changes) == ["FILLED"]


@pytest.mark.fault(71)
def test_a_liquidation_is_booked_and_halts() -> None:
    sold = replace(fill(STOP, 100, "l1.01", liquidation=True, at=OLD), ref="", perm_id=9, order_id=0, client_id=0)
    changes = looked(knowing(HOLDING, held=100), seen([], [sold], held=0))
    assert booked(changes) == [("l1.01", "")]
    assert mismatches(changes) == ["liquidation"]


@pytest.mark.fault(72)
@pytest.mark.parametrize("shares", [Decimal("NaN"), Decimal("Infinity"), Decimal(-5)])
def test_an_execution_of_no_number_of_shares_halts_and_books_nothing(shares: Decimal) -> None:
    changes = looked(knowing(bracket()), seen(executions=[fill(ENTRY, shares)]))
    assert mismatches(changes) == ["bust"]
    assert not booked(changes)


def test_fractional_shares_that_the_broker_tells_are_counted_exactly() -> None:
    held = replace(seen(RESTING), positions=(HeldPosition(ACCOUNT, "AAPL", 7, Decimal("100.5"), Decimal(1)),))
    assert mismatches(looked(knowing(HOLDING, held=100), held)) == ["position"]


def test_two_lines_of_one_symbol_are_one_position() -> None:
    first = replace(knowing(), is_new=True)
    lines = tuple(HeldPosition(ACCOUNT, "MSFT", 7, Decimal(shares), Decimal(1)) for shares in (10, 5))
    (change,) = [one for one in looked(first, replace(seen(), positions=lines)) if isinstance(one, Adopted)]
    assert (change.difference, change.position.quantity) == (Decimal(15), Decimal(15))
    assert not mismatches(looked(after(first, [change]), replace(seen(), positions=lines)))
