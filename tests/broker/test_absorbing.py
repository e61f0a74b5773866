"""Single events: what each proves at once, and that their order, number and loss make no difference in the end."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from functools import reduce

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.broker.accounts import (
    LATER,
    SENT,
    after,
    booked,
    bracket,
    cancels,
    facts,
    fill,
    knowing,
    leg_states,
    looked,
    mismatches,
    protects,
    report,
    seen,
    states,
)
from tests.broker.truths import Event, Truth, truths
from trading_assets.broker.absorbing import absorb, brought_up
from trading_assets.broker.applying import applied
from trading_assets.broker.evidence import effective
from trading_assets.broker.lifecycle import WAYS, FeeBooked, IntentChanged, IntentState, Known
from trading_assets.broker.model import BrokerStatus, Commission, Commissioned, Executed, Reported

SUBMITTED = bracket(state="SUBMITTING", legs="sent", named=False)
WORKING = bracket()
ENTRY, TARGET, STOP = WORKING.legs


def told(known: Known, *events: Event) -> Known:
    return reduce(lambda so_far, event: applied(so_far, absorb(so_far, event)), events, known)


def essence(known: Known) -> tuple[object, ...]:
    """What must not depend on how it was learned; an execution that was replaced is audit, not fact."""
    legs = [(leg.key, leg.state, leg.filled, leg.perm_ids) for intent in known.intents for leg in intent.legs]
    intents = [(intent.id, intent.state, intent.absences) for intent in known.intents]
    counted = [execution.exec_id for execution in effective(known.executions.values())]
    return intents, legs, counted, known.position("AAPL"), known.cash


@given(truth=truths(), data=st.data())
@settings(max_examples=25, deadline=None)
@pytest.mark.fault(52)
@pytest.mark.fault(53)
@pytest.mark.fault(54)
@pytest.mark.fault(55)
def test_any_shuffle_of_events_and_one_reconciliation_end_where_the_snapshot_alone_leads(
    truth: Truth, data: st.DataObject
) -> None:
    start = knowing(*truth.intents, cash=Decimal(10_000))
    snapshot = truth.snapshot(numbered=data.draw(st.booleans()))
    alone = after(start, looked(start, snapshot))
    events = data.draw(st.lists(st.sampled_from(truth.events), max_size=30)) if truth.events else []
    known = told(start, *events)
    known = after(known, looked(known, snapshot))
    assert essence(known) == essence(alone)


@given(truth=truths())
@settings(max_examples=25, deadline=None)
def test_reconciling_again_changes_nothing_that_lasts(truth: Truth) -> None:
    known, snapshot = knowing(*truth.intents, cash=Decimal(10_000)), truth.snapshot(numbered=False)
    known = after(known, looked(known, snapshot))
    assert facts(looked(known, snapshot, previous=snapshot)) == ()


@given(truth=truths(), data=st.data())
@settings(max_examples=25, deadline=None)
def test_positions_and_cash_are_conserved(truth: Truth, data: st.DataObject) -> None:
    """Whatever was told before, the ledger ends with the broker's shares and, fees that are told included, with its cash."""
    start = knowing(*truth.intents, cash=Decimal(10_000))
    known = told(start, *data.draw(st.permutations(truth.events)))
    changes = looked(known, truth.snapshot(numbered=True))
    known = after(known, changes)
    assert known.position("AAPL") == truth.position
    assert known.cash == truth.cash
    assert not mismatches(changes)
    shares = sum((leg.filled * (1 if leg.side == "buy" else -1) for i in known.intents for leg in i.legs), Decimal(0))
    assert shares == known.booked.get("AAPL", 0)


@given(truth=truths(), data=st.data())
@settings(max_examples=25, deadline=None)
def test_every_change_of_a_state_is_a_way_that_the_life_cycle_allows(truth: Truth, data: st.DataObject) -> None:
    known = knowing(*truth.intents)
    events = data.draw(st.lists(st.sampled_from(truth.events), max_size=25)) if truth.events else []
    for event in events:
        changes = absorb(known, event)
        for change in changes:
            if isinstance(change, IntentChanged):
                assert change.state in WAYS[next(i.state for i in known.intents if i.id == change.intent_id)]
            known = applied(known, [change])


@given(st.lists(st.sampled_from(["working", "pending_cancel", "held", "cancelled"]), min_size=1, max_size=4))
@settings(max_examples=25, deadline=None)
@pytest.mark.fault(47)
def test_of_several_entries_behind_one_intent_none_is_left_to_live(statuses: list[BrokerStatus]) -> None:
    twins = [replace(report(ENTRY, status, perm_id=3000 + n), order_id=50 + n) for n, status in enumerate(statuses)]
    changes = looked(knowing(SUBMITTED), seen(twins))
    if len(twins) > 1:
        assert "two_perm_ids" in mismatches(changes)
        assert {50 + n for n, status in enumerate(statuses) if status != "cancelled"} <= set(cancels(changes))


@pytest.mark.fault(52)
def test_a_report_told_twice_is_told_once() -> None:
    known = told(knowing(SUBMITTED), Reported(report(ENTRY)))
    assert known.intents[0].state == "WORKING"
    assert absorb(known, Reported(report(ENTRY))) == ()


@pytest.mark.fault(53)
def test_an_execution_told_twice_is_one_fill() -> None:
    known = told(knowing(SUBMITTED), Executed(fill(ENTRY, 40)), Executed(fill(ENTRY, 40)))
    assert known.position("AAPL") == 40
    assert known.intents[0].state == "PARTIAL"


@pytest.mark.fault(54)
def test_an_execution_before_the_acknowledgement_is_booked_at_once() -> None:
    known = knowing(SUBMITTED)
    changes = absorb(known, Executed(fill(ENTRY, 40)))
    assert booked(changes) == [("x1.01", "a-entry")]
    assert states(changes) == ["PARTIAL"]
    known = told(after(known, changes), Reported(report(ENTRY, done=40)))
    assert known.intents[0].state == "PARTIAL"
    assert known.intents[0].legs[0].perm_ids == (1001,)


def test_an_execution_without_numbers_goes_to_the_order_at_the_nearest_price() -> None:
    bare = replace(fill(STOP, 40, price=Decimal("94.90")), perm_id=0, order_id=0, client_id=0)
    assert booked(absorb(knowing(WORKING, held=100), Executed(bare))) == [("x1.01", "a-stop")]
    dear = replace(bare, exec_id="x2.01", price=Decimal("110.10"))
    assert booked(absorb(knowing(WORKING, held=100), Executed(dear))) == [("x2.01", "a-target")]


def test_an_execution_that_lost_its_reference_is_found_by_the_brokers_number() -> None:
    bare = replace(fill(ENTRY, 40), ref="", order_id=0, client_id=0)
    assert booked(absorb(knowing(WORKING), Executed(bare))) == [("x1.01", "a-entry")]


def test_what_no_intent_knows_waits_for_the_snapshot() -> None:
    foreign = replace(fill(ENTRY, 40), ref="", perm_id=9, order_id=0, client_id=0)
    assert absorb(knowing(WORKING), Executed(foreign)) == ()
    assert absorb(knowing(WORKING), Executed(replace(foreign, ref="D1:later"))) == ()
    assert absorb(knowing(WORKING), Reported(replace(report(ENTRY), ref="", perm_id=9))) == ()


def test_a_late_event_brings_nothing_back_to_life() -> None:
    known = told(knowing(WORKING), Reported(report(ENTRY, "cancelled")))
    assert known.intents[0].state == "CANCELLED"
    assert absorb(known, Reported(report(ENTRY))) == ()


@pytest.mark.fault(39)
@pytest.mark.parametrize("state", ["ABANDONED", "EXPIRED", "VETOED"])
def test_a_sign_of_life_of_the_dead_halts_at_once(state: IntentState) -> None:
    dead = bracket(state=state, legs="absent", named=False)
    changes = absorb(knowing(dead), Reported(report(ENTRY)))
    assert mismatches(changes) == ["zombie"]
    assert cancels(changes) == [1]
    assert mismatches(absorb(knowing(dead), Executed(fill(ENTRY, 10)))) == ["zombie"]


@pytest.mark.parametrize("state", ["PROPOSED", "SIGNED", "INTENT"])
def test_an_event_may_be_younger_than_what_is_known_but_a_snapshot_is_not(state: IntentState) -> None:
    young = bracket(state=state, legs="planned", named=False)
    assert not mismatches(absorb(knowing(young), Reported(report(ENTRY))))
    assert "zombie" in mismatches(looked(knowing(young), seen([report(ENTRY)])))


@pytest.mark.fault(62)
def test_a_cancel_that_tells_fills_waits_for_them_in_either_order() -> None:
    cancelled, execution = Reported(report(ENTRY, "cancelled", done=40)), Executed(fill(ENTRY, 40))
    assert told(knowing(WORKING), cancelled).intents[0].state == "WORKING"
    assert told(knowing(WORKING), execution, cancelled).intents[0].state == "CANCELLED"


@pytest.mark.fault(61)
def test_an_overfill_halts_at_the_event() -> None:
    known = told(knowing(WORKING), Executed(fill(ENTRY, 100)))
    assert mismatches(absorb(known, Executed(fill(ENTRY, 1, "x2.01")))) == ["overfill"]


@pytest.mark.fault(71)
@pytest.mark.control("W11")
def test_a_liquidation_halts_at_the_event() -> None:
    forced = fill(STOP, 100, liquidation=True)
    assert mismatches(absorb(knowing(WORKING, held=100), Executed(forced))) == ["liquidation"]


@pytest.mark.fault(56)
def test_a_fee_is_booked_when_it_is_known_and_its_execution_too() -> None:
    known = told(knowing(WORKING), Executed(fill(ENTRY, 40)))
    assert absorb(known, Commissioned(Commission("x1.01", None))) == ()
    assert absorb(knowing(WORKING), Commissioned(Commission("x1.01", Decimal(1)))) == ()
    fee = Commissioned(Commission("x1.01", Decimal(1)))
    assert [type(change) for change in absorb(known, fee)] == [FeeBooked]
    assert absorb(told(known, fee), fee) == ()


def test_events_conclude_nothing_about_cover_or_absence() -> None:
    changes = absorb(knowing(WORKING, held=100), Reported(report(STOP, "cancelled")))
    assert leg_states(changes) == {"a-stop": "cancelled"}
    assert not protects(changes)
    assert not states(changes)


def test_a_snapshot_is_brought_up_to_what_was_heard_while_it_was_asked() -> None:
    stale = seen([report(leg) for leg in WORKING.legs], held=100, at=LATER)
    heard: list[Event] = [
        Reported(report(ENTRY, "working", done=40)),
        Executed(fill(ENTRY, 100, at=SENT + timedelta(seconds=5))),
        Reported(report(ENTRY, "filled", done=100)),
        Reported(report(ENTRY, "working", done=40)),
        Commissioned(Commission("x1.01", Decimal(1))),
    ]
    fresh = brought_up(stale, heard)
    assert [(one.perm_id, one.status) for one in fresh.open_orders] == [(1002, "working"), (1003, "working")]
    assert [(one.perm_id, one.status) for one in fresh.completed_orders] == [(1001, "filled")]
    assert [one.exec_id for one in fresh.executions] == ["x1.01"]
    assert fresh.positions == stale.positions
    known = told(knowing(WORKING), *heard)
    assert not mismatches(looked(known, fresh))


def test_a_cancel_heard_while_the_snapshot_was_asked_makes_no_zombie() -> None:
    stale = seen([report(leg) for leg in WORKING.legs])
    heard = [Reported(report(leg, "cancelled")) for leg in WORKING.legs]
    known = told(knowing(WORKING), *heard)
    assert "zombie" in mismatches(looked(known, stale))
    assert not mismatches(looked(known, brought_up(stale, heard)))


def test_an_order_first_heard_of_while_the_snapshot_was_asked_is_in_it() -> None:
    assert [one.perm_id for one in brought_up(seen(), [Reported(report(ENTRY))]).open_orders] == [1001]
