"""Every share that is held has a stop at the broker, and nothing rests there that could sell what is not held."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from tests.broker.accounts import (
    LATER,
    RULES,
    SENT,
    bracket,
    cancels,
    fill,
    filled,
    knowing,
    looked,
    protects,
    reducing,
    report,
    seen,
)
from trading_assets.broker.lifecycle import Known, LegState, Tracked
from trading_assets.broker.model import BrokerStatus, OrderReport

HOLDING = filled(bracket(), 100)
ENTRY, TARGET, STOP = HOLDING.legs
RECENT = LATER - timedelta(seconds=2)


def with_stop(state: LegState) -> Tracked:
    return replace(HOLDING, legs=(ENTRY, TARGET, replace(STOP, state=state)))


def lacking(known: Known, reports: Sequence[OrderReport], held: int) -> list[tuple[str, Decimal]]:
    return protects(looked(known, seen(reports, held=held)))


def test_a_resting_stop_of_the_size_covers() -> None:
    assert not lacking(knowing(HOLDING, held=100), [report(TARGET), report(STOP)], 100)


@pytest.mark.control("W1")
@pytest.mark.fault(66)
@pytest.mark.parametrize("status", ["cancelled", "rejected"])
def test_a_position_whose_stop_is_gone_is_protected(status: BrokerStatus) -> None:
    assert lacking(knowing(HOLDING, held=100), [report(TARGET), report(STOP, status)], 100) == [("AAPL", Decimal(100))]


@pytest.mark.fault(65)
def test_a_rejected_stop_is_replaced_at_once_though_the_entry_has_just_filled() -> None:
    reports = [report(ENTRY, "filled", done=100), report(TARGET), report(STOP, "rejected")]
    changes = looked(knowing(bracket()), seen(reports, [fill(ENTRY, 100, at=RECENT)], held=100))
    assert protects(changes) == [("AAPL", Decimal(100))]


def test_a_stop_that_may_come_into_view_has_ten_seconds() -> None:
    reports = [report(ENTRY, "filled", done=100)]
    executions = [fill(ENTRY, 100, at=RECENT)]
    intent = replace(bracket(), legs=tuple(replace(leg, sent_at=RECENT) for leg in bracket().legs), submitted_at=RECENT)
    snapshot = seen(reports, executions, held=100)
    assert not protects(looked(knowing(intent), snapshot))
    assert protects(looked(knowing(intent), snapshot, now=LATER + timedelta(seconds=10))) == [("AAPL", Decimal(100))]


def test_a_position_that_is_just_being_sold_is_not_protected() -> None:
    leaving = reducing("x", "exit", 100, first_id=7)
    sold = fill(leaving.legs[0], 100, at=RECENT)
    known = knowing(with_stop("cancelled"), leaving, held=100)
    assert not protects(looked(known, seen([report(STOP, "cancelled")], [sold], held=100)))


@pytest.mark.parametrize("status", ["held"])
def test_a_stop_that_was_never_transmitted_covers_nothing(status: BrokerStatus) -> None:
    assert lacking(knowing(HOLDING, held=100), [report(STOP, status)], 100) == [("AAPL", Decimal(100))]


def test_a_target_is_no_cover_and_neither_is_a_stop_on_the_other_side() -> None:
    wrong = replace(report(STOP), side="buy")
    assert lacking(knowing(HOLDING, held=100), [report(TARGET), wrong], 100) == [("AAPL", Decimal(100))]


def test_a_stop_whose_cancel_is_not_confirmed_still_covers() -> None:
    assert not lacking(knowing(HOLDING, held=100), [report(STOP, "pending_cancel")], 100)


def test_only_what_lacks_cover_is_protected() -> None:
    known = knowing(HOLDING, held=160)
    assert lacking(known, [report(STOP)], 160) == [("AAPL", Decimal(60))]


def test_a_stop_that_waits_for_its_parent_covers_nothing_yet() -> None:
    waiting = bracket("b", first_id=4)
    reports = [*(report(leg) for leg in waiting.legs), report(STOP, "cancelled")]
    known = knowing(with_stop("working"), waiting, held=100)
    assert lacking(known, reports, 100) == [("AAPL", Decimal(100))]


def test_a_foreign_stop_covers() -> None:
    foreign = replace(report(STOP, perm_id=7007), ref="", order_id=0, client_id=0)
    assert not lacking(knowing(with_stop("cancelled"), held=100), [foreign], 100)


def test_a_short_position_is_covered_by_buying() -> None:
    known = replace(knowing(), booked={"AAPL": Decimal(-50)})
    assert lacking(known, [], -50) == [("AAPL", Decimal(-50))]
    foreign = replace(report(STOP, perm_id=7007, quantity=50), ref="", order_id=0, client_id=0, side="buy")
    assert not lacking(known, [foreign], -50)


def test_a_protection_on_its_way_is_not_sent_twice() -> None:
    guard = reducing("p", "protect", 100, first_id=8, kind="stop", stop=Decimal(95))
    sending = replace(guard.legs[0], state="sent", sent_at=LATER - timedelta(seconds=2))
    known = knowing(with_stop("cancelled"), replace(guard, legs=(sending,), state="SUBMITTING"), held=100)
    assert not lacking(known, [], 100)
    late = looked(known, seen(held=100), now=LATER + timedelta(seconds=9))
    assert protects(late) == [("AAPL", Decimal(100))]


def test_foreign_shares_are_protected_or_left_as_the_settings_say() -> None:
    known = replace(knowing(HOLDING, held=100), adopted={"AAPL": Decimal(50), "MSFT": Decimal(10)})
    snapshot = seen([report(STOP)], held={"AAPL": 150, "MSFT": 10})
    assert protects(looked(known, snapshot)) == [("AAPL", Decimal(50)), ("MSFT", Decimal(10))]
    assert not protects(looked(known, snapshot, rules=replace(RULES, foreign="warn")))


def test_children_of_nothing_are_cancelled() -> None:
    sold_by_hand = replace(knowing(HOLDING), booked={})
    assert cancels(looked(sold_by_hand, seen([report(TARGET), report(STOP)]))) == [TARGET.order_id, STOP.order_id]


def test_children_of_a_working_parent_wait_for_it() -> None:
    intent = bracket()
    assert not cancels(looked(knowing(intent), seen(report(leg) for leg in intent.legs)))


@pytest.mark.fault(59)
def test_a_stop_larger_than_what_was_filled_is_cancelled_and_then_the_rest_is_covered() -> None:
    intent = filled(bracket(state="CANCELLED"), 40, state="CANCELLED", entry="cancelled")
    known = knowing(intent, held=40)
    first = looked(known, seen([report(STOP), report(TARGET, "cancelled")], held=40))
    assert cancels(first) == [STOP.order_id]
    assert not protects(first)
    then = looked(known, seen([report(STOP, "cancelled"), report(TARGET, "cancelled")], held=40))
    assert protects(then) == [("AAPL", Decimal(40))]


def test_a_stop_that_the_broker_resized_itself_stays() -> None:
    intent = filled(bracket(state="CANCELLED"), 40, state="CANCELLED", entry="cancelled")
    reports = [report(STOP, quantity=40), report(TARGET, quantity=40)]
    assert looked(knowing(intent, held=40), seen(reports, held=40)) == ()


def test_an_exit_larger_than_the_position_is_cancelled() -> None:
    leaving = reducing("x", "exit", 100, first_id=7)
    known = knowing(leaving, held=60)
    assert cancels(looked(known, seen([report(leaving.legs[0])], held=60))) == [7]


def test_nothing_is_cancelled_as_too_large_while_its_symbol_trades() -> None:
    leaving = reducing("x", "exit", 40, first_id=7)
    sold = fill(leaving.legs[0], 40, at=RECENT)
    known = knowing(HOLDING, leaving, held=100)
    snapshot = seen([report(leaving.legs[0], "filled", done=40), report(STOP), report(TARGET)], [sold], held=60)
    assert not cancels(looked(known, snapshot))


def test_a_protection_that_other_stops_make_needless_is_cancelled() -> None:
    guard = reducing("p", "protect", 100, first_id=8, kind="stop", stop=Decimal(95))
    known = knowing(HOLDING, guard, held=100)
    changes = looked(known, seen([report(STOP), report(guard.legs[0])], held=100))
    assert cancels(changes) == [8]
    assert not protects(changes)


def test_of_stops_beyond_the_position_only_those_go_that_leave_it_covered() -> None:
    other = filled(bracket("b", first_id=4), 100)
    reports = [report(STOP), report(other.legs[2])]
    assert cancels(looked(knowing(HOLDING, other, held=100), seen(reports, held=100))) == [6]
    assert not cancels(looked(knowing(HOLDING, other, held=150), seen(reports, held=150)))


def test_a_stop_is_judged_by_the_larger_of_both_counts_before_it_is_cancelled() -> None:
    """A broker that forgets a position for a moment must not cost its stop."""
    changes = looked(knowing(HOLDING, held=100), seen([report(TARGET), report(STOP)], held=0))
    assert not cancels(changes)


def test_the_sent_moment_alone_makes_no_cover() -> None:
    stale = replace(STOP, state="sent", sent_at=SENT)
    known = knowing(replace(HOLDING, legs=(ENTRY, TARGET, stale)), held=100)
    assert lacking(known, [report(TARGET)], 100) == [("AAPL", Decimal(100))]
