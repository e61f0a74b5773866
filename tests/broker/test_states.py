"""The small functions that make states of evidence, and the arithmetic of what is known."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.broker.accounts import bracket, fill, filled, knowing, report
from trading_assets.broker.applying import applied, lasting
from trading_assets.broker.evidence import effective, family_of, relatives
from trading_assets.broker.lifecycle import (
    TERMINAL,
    WAYS,
    Absent,
    Booked,
    Change,
    FeeBooked,
    IntentChanged,
    IntentState,
    LegChanged,
    LegState,
    Mismatch,
    MustCancel,
    MustProtect,
)
from trading_assets.broker.model import BrokerStatus, Commission, Execution
from trading_assets.broker.states import evident_state, given_up, leg_state, liveliest, way

WORKING = bracket()
ENTRY = WORKING.legs[0]
STATES: list[IntentState] = sorted(WAYS)


@given(st.sampled_from(STATES), st.none() | st.sampled_from(STATES))
@settings(max_examples=25, deadline=None)
def test_every_step_of_a_way_is_allowed(now: IntentState, then: IntentState | None) -> None:
    at = now
    for step in way(now, then):
        assert step in WAYS[at]
        at = step
    if now in TERMINAL or then is None:
        assert at == now


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("pending", "sent"),
        ("held", "held"),
        ("working", "working"),
        ("pending_cancel", "pending_cancel"),
        ("cancelled", "cancelled"),
        ("rejected", "rejected"),
    ],
)
def test_an_order_is_what_the_broker_says(status: BrokerStatus, state: LegState) -> None:
    sent = replace(ENTRY, state="sent")
    assert leg_state(sent, report(sent, status), is_sure=True) == state


def test_a_report_of_being_filled_waits_for_the_executions() -> None:
    assert leg_state(ENTRY, report(ENTRY, "filled", done=100), is_sure=True) == "working"
    assert leg_state(replace(ENTRY, filled=Decimal(100)), None, is_sure=False) == "filled"


def test_a_rejection_of_an_order_that_traded_is_a_cancel() -> None:
    partly = replace(ENTRY, filled=Decimal(40))
    assert leg_state(partly, report(ENTRY, "rejected", done=40), is_sure=True) == "cancelled"


def test_an_absent_order_lives_again_for_a_snapshot_and_not_for_an_event() -> None:
    gone = replace(ENTRY, state="absent")
    assert leg_state(gone, report(ENTRY), is_sure=True) == "working"
    assert leg_state(gone, report(ENTRY), is_sure=False) == "absent"


@pytest.mark.parametrize("state", ["cancelled", "rejected"])
def test_what_the_broker_ended_stays_ended(state: LegState) -> None:
    assert leg_state(replace(ENTRY, state=state), report(ENTRY), is_sure=True) == state


def test_an_order_that_a_correction_made_less_than_full_is_open_again_when_a_snapshot_shows_it() -> None:
    corrected = replace(ENTRY, state="filled", filled=Decimal(90))
    assert leg_state(corrected, report(ENTRY, done=90), is_sure=True) == "working"
    assert leg_state(corrected, report(ENTRY, done=90), is_sure=False) == "filled"
    assert leg_state(corrected, report(ENTRY, "filled", done=90, quantity=90), is_sure=True) == "filled"


def test_of_two_orders_the_one_that_can_do_more_counts() -> None:
    assert liveliest([report(ENTRY, "cancelled"), report(ENTRY, "working")]).status == "working"
    assert liveliest([report(ENTRY, "held"), report(ENTRY, "pending_cancel")]).status == "pending_cancel"


def test_an_intent_whose_orders_are_only_planned_says_nothing() -> None:
    assert evident_state(bracket(legs="planned")) is None
    assert evident_state(bracket(legs="sent")) is None


def test_an_entry_of_which_parts_are_still_to_come_is_partial_as_soon_as_one_has_filled() -> None:
    part = replace(bracket(quantity=50).legs[0], state="filled", filled=Decimal(50))
    assert evident_state(replace(bracket(state="WORKING"), legs=(part,))) == "PARTIAL"
    unfilled = replace(part, state="cancelled", filled=Decimal(0))
    assert evident_state(replace(bracket(state="WORKING"), legs=(unfilled,))) is None


def test_given_up_slices_end_an_intent_that_has_nothing_at_work() -> None:
    part = replace(bracket(quantity=50).legs[0], state="filled", filled=Decimal(50))
    sliced = replace(bracket(state="PARTIAL"), legs=(part,))
    assert given_up(sliced) == "CANCELLED"
    assert given_up(replace(sliced, legs=(replace(part, state="working", filled=Decimal(20)),))) is None
    assert given_up(filled(bracket(), 100)) is None
    assert given_up(bracket(state="EXPIRED", legs="cancelled")) is None


def test_demands_do_not_last_and_change_nothing() -> None:
    demands: list[Change] = [
        Mismatch("cash", "x"),
        MustCancel(1, 11, "D1:a", "x"),
        MustProtect("AAPL", 7, Decimal(1), "x"),
    ]
    known = knowing(WORKING)
    assert applied(known, demands) is known
    assert lasting([*demands, Absent("a", 1)]) == (Absent("a", 1),)


def test_a_change_is_applied_once_and_only_along_the_ways() -> None:
    execution = fill(ENTRY, 40)
    booking = Booked(execution, "a-entry", "a")
    fee = FeeBooked(Commission("x1.01", Decimal("1.05")))
    known = applied(knowing(WORKING, cash=Decimal(10_000)), [booking, fee, booking, fee])
    assert known.position("AAPL") == 40
    assert known.cash == Decimal("5998.95")
    assert known.intents[0].legs[0].filled == 40
    dead = applied(known, [IntentChanged("a", "CANCELLED"), IntentChanged("a", "WORKING")])
    assert dead.intents[0].state == "CANCELLED"
    assert applied(known, [IntentChanged("nobody", "CANCELLED"), LegChanged("nothing", "filled")]) == known


def test_a_correction_and_a_bust_move_cash_and_shares_by_the_difference() -> None:
    known = applied(knowing(WORKING, cash=Decimal(10_000)), [Booked(fill(ENTRY, 40), "a-entry", "a")])
    cheaper = fill(ENTRY, 40, "x1.02", price=Decimal(99))
    known = applied(known, [Booked(cheaper, "a-entry", "a", replaces="x1.01")])
    assert known.cash == 10_000 - 40 * 99
    known = applied(known, [Booked(fill(ENTRY, 0, "x1.03"), "a-entry", "a", busts="x1.02")])
    assert known.cash == 10_000
    assert known.position("AAPL") == 0
    assert known.intents[0].legs[0].filled == 0


def test_of_a_line_of_executions_the_last_counts_and_a_bust_ends_it() -> None:
    line = [fill(ENTRY, 40), fill(ENTRY, 30, "x1.02"), fill(ENTRY, 7, "y1.01")]
    assert [one.exec_id for one in effective(line)] == ["x1.02", "y1.01"]
    assert [one.exec_id for one in effective([*line, fill(ENTRY, 0, "x1.03")])] == ["y1.01"]


@pytest.mark.parametrize("last", ["01", "1", "001"])
def test_relatives_are_found_whatever_the_width_of_their_numbers(last: str) -> None:
    found: dict[str, Execution] = {}
    for stem in ("a.b", "a.c"):
        for number in (1, 2):
            name = f"{stem}.{number:0{len(last)}d}"
            found[name] = fill(ENTRY, 1, name)
    assert [one.exec_id for one in relatives(found, f"a.b.{last}")] == [f"a.b.{n:0{len(last)}d}" for n in (1, 2)]
    assert family_of(f"a.b.{last}") == "a.b"
    assert relatives(found, "plain") == []
