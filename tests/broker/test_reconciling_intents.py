"""What a complete snapshot proves about intents: that they live, that they ended, that they were never there."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from tests.broker.accounts import (
    LATER,
    SENT,
    after,
    booked,
    bracket,
    cancels,
    facts,
    fill,
    filled,
    knowing,
    leg_states,
    looked,
    mismatches,
    protects,
    reducing,
    report,
    seen,
    states,
)
from trading_assets.broker.lifecycle import AT_BROKER, Absent, IntentState, LegChanged

SUBMITTED = bracket(state="SUBMITTING", legs="sent", named=False)


@pytest.mark.fault(6)
@pytest.mark.fault(7)
@pytest.mark.fault(32)
def test_an_intent_whose_acknowledgement_was_lost_is_found_by_its_reference() -> None:
    changes = looked(knowing(SUBMITTED), seen(report(leg) for leg in SUBMITTED.legs))
    assert states(changes) == ["WORKING"]
    assert {c.key: c.perm_id for c in changes if isinstance(c, LegChanged)} == {
        "a-entry": 1001,
        "a-target": 1002,
        "a-stop": 1003,
    }
    assert not cancels(changes)
    assert not mismatches(changes)


@pytest.mark.fault(8)
@pytest.mark.fault(33)
@pytest.mark.fault(35)
@pytest.mark.fault(60)
def test_fills_of_the_time_away_are_booked_by_their_ids() -> None:
    entry = SUBMITTED.legs[0]
    executions = [fill(entry, 40, "x1.01"), fill(entry, 60, "x2.01")]
    reports = [report(entry, "filled", done=100, numbered=False), *(report(leg) for leg in SUBMITTED.legs[1:])]
    changes = looked(knowing(SUBMITTED), seen(reports, executions, held=100))
    assert booked(changes) == [("x1.01", "a-entry"), ("x2.01", "a-entry")]
    assert states(changes) == ["FILLED"]
    assert not mismatches(changes)
    assert after(knowing(SUBMITTED), changes).position("AAPL") == 100


@pytest.mark.fault(9)
def test_recovery_that_is_interrupted_and_begun_again_ends_in_the_same_place() -> None:
    entry = SUBMITTED.legs[0]
    snapshot = seen([report(entry, "filled", done=100)], [fill(entry, 100)], held=100)
    changes = facts(looked(knowing(SUBMITTED), snapshot))
    whole = after(knowing(SUBMITTED), changes)
    for cut in range(len(changes) + 1):
        begun = after(knowing(SUBMITTED), changes[:cut])
        assert after(begun, looked(begun, snapshot)) == whole


def test_a_submitted_intent_without_a_trace_is_unknown_and_stays_at_full_size() -> None:
    changes = looked(knowing(SUBMITTED), seen(at=SENT + timedelta(seconds=5)))
    assert states(changes) == ["UNKNOWN"]
    assert not any(isinstance(change, Absent) for change in changes)
    assert states(changes)[0] in AT_BROKER


@pytest.mark.fault(4)
@pytest.mark.fault(38)
def test_three_late_snapshots_without_a_trace_abandon_an_intent_and_nothing_is_sent_again() -> None:
    known, previous, told = knowing(SUBMITTED), None, []
    for number in range(3):
        snapshot = seen(at=SENT + timedelta(seconds=30 + 5 * number))
        changes = looked(known, snapshot, previous=previous)
        told += states(changes)
        known, previous = after(known, changes), snapshot
        assert not cancels(changes)
    assert told == ["UNKNOWN", "ABANDONED"]
    assert {leg.state for leg in known.intents[0].legs} == {"absent"}
    assert known.intents[0].absences == 3


@pytest.mark.fault(38)
def test_early_snapshots_prove_no_absence() -> None:
    known = knowing(SUBMITTED)
    for seconds in range(1, 29):
        known = after(known, looked(known, seen(at=SENT + timedelta(seconds=seconds))))
    assert (known.intents[0].state, known.intents[0].absences) == ("UNKNOWN", 0)


def test_one_snapshot_counts_as_one_absence_however_often_it_is_read() -> None:
    known, snapshot = knowing(SUBMITTED), seen()
    for _ in range(5):
        known = after(known, looked(known, snapshot, previous=snapshot))
    assert known.intents[0].absences == 0


def test_a_trace_begins_the_count_anew() -> None:
    known = after(knowing(SUBMITTED), looked(knowing(SUBMITTED), seen()))
    assert known.intents[0].absences == 1
    known = after(known, looked(known, seen(report(leg) for leg in SUBMITTED.legs)))
    assert (known.intents[0].state, known.intents[0].absences) == ("WORKING", 0)


def test_an_intent_sent_after_the_snapshot_is_not_judged_by_it() -> None:
    assert not states(looked(knowing(SUBMITTED), seen(at=SENT - timedelta(seconds=1))))


@pytest.mark.parametrize("state", ["SUBMITTING", "WORKING", "PARTIAL", "PENDING_CANCEL"])
def test_whatever_vanishes_is_unknown_first(state: IntentState) -> None:
    gone = bracket(state=state)
    assert states(looked(knowing(gone), seen())) == ["UNKNOWN"]


def test_an_orphan_stop_does_not_make_a_missing_parent_look_seen() -> None:
    """The prototype's design error: the stop carried the reference, and the intent stayed in SUBMITTING for ever."""
    stop = SUBMITTED.legs[2]
    known = knowing(SUBMITTED)
    first = looked(known, seen([report(stop)]))
    assert states(first) == ["UNKNOWN"]
    assert cancels(first) == [stop.order_id]
    known = after(known, first)
    for number in range(3):
        gone = seen([report(stop, "cancelled", numbered=False)], at=LATER + timedelta(seconds=5 * (number + 1)))
        known = after(known, looked(known, gone))
    assert known.intents[0].state == "ABANDONED"


def test_a_vanished_child_is_absent_and_its_parent_goes_on() -> None:
    intent = bracket()
    changes = looked(knowing(intent), seen([report(intent.legs[0]), report(intent.legs[2])]))
    assert leg_states(changes) == {"a-target": "absent"}
    assert not states(changes)


@pytest.mark.fault(49)
def test_a_rejection_is_told_in_the_brokers_words() -> None:
    intent = bracket(state="SUBMITTING", legs="sent")
    changes = looked(knowing(intent), seen(report(leg, "rejected", why="201 margin") for leg in intent.legs))
    assert states(changes) == ["REJECTED"]
    assert [change.why for change in changes if isinstance(change, LegChanged)] == ["201 margin"] * 3


@pytest.mark.fault(51)
def test_an_order_that_the_client_calls_cancelled_works_when_the_broker_says_so() -> None:
    intent = bracket(state="PENDING_CANCEL", legs="pending_cancel")
    assert states(looked(knowing(intent), seen(report(leg) for leg in intent.legs))) == ["WORKING"]


@pytest.mark.fault(55)
def test_executions_alone_fill_an_intent() -> None:
    changes = looked(knowing(SUBMITTED), seen(executions=[fill(SUBMITTED.legs[0], 100)], held=100))
    assert states(changes) == ["FILLED"]


@pytest.mark.fault(59)
def test_a_part_filled_entry_that_is_cancelled_keeps_its_fill() -> None:
    intent = bracket()
    entry = intent.legs[0]
    changes = looked(knowing(intent), seen([report(entry, "cancelled", done=40)], [fill(entry, 40)], held=40))
    assert states(changes) == ["CANCELLED"]
    ended = after(knowing(intent), changes).intents[0]
    assert (ended.legs[0].state, str(ended.filled)) == ("cancelled", "40")


@pytest.mark.fault(62)
def test_a_fill_wins_over_a_cancel() -> None:
    intent = bracket(state="PENDING_CANCEL", legs="pending_cancel")
    entry = intent.legs[0]
    changes = looked(knowing(intent), seen([report(entry, "cancelled", done=100)], [fill(entry, 100)], held=100))
    assert states(changes) == ["FILLED"]
    assert leg_states(changes)["a-entry"] == "filled"


@pytest.mark.fault(62)
def test_a_cancel_waits_for_the_fills_that_it_tells() -> None:
    intent = bracket(state="PENDING_CANCEL", legs="pending_cancel")
    changes = looked(knowing(intent), seen([report(intent.legs[0], "cancelled", done=40)]))
    assert "CANCELLED" not in states(changes)
    assert "a-entry" not in leg_states(changes)


@pytest.mark.fault(63)
@pytest.mark.fault(64)
def test_an_asked_cancel_is_none_until_the_broker_says_so() -> None:
    intent = bracket(state="PENDING_CANCEL", legs="pending_cancel")
    for minute in range(5):
        held_back = seen([report(leg, "pending_cancel") for leg in intent.legs], at=LATER + timedelta(minutes=minute))
        assert looked(knowing(intent), held_back) == ()
    confirmed = looked(knowing(intent), seen(report(leg, "cancelled", numbered=False) for leg in intent.legs))
    assert states(confirmed) == ["CANCELLED"]


def test_an_unknown_intent_reaches_a_pending_cancel_over_a_state_that_allows_it() -> None:
    intent = bracket(state="UNKNOWN")
    assert states(looked(knowing(intent), seen(report(leg, "pending_cancel") for leg in intent.legs))) == [
        "WORKING",
        "PENDING_CANCEL",
    ]


@pytest.mark.fault(5)
def test_an_untransmitted_parent_without_a_transmitted_child_is_cancelled() -> None:
    entry, target, _ = SUBMITTED.legs
    changes = looked(knowing(SUBMITTED), seen([report(entry, "held"), report(target, "held")]))
    assert entry.order_id in cancels(changes)
    assert states(changes) == ["WORKING"]


def test_a_held_parent_whose_stop_was_transmitted_is_left_alone() -> None:
    entry, target, stop = SUBMITTED.legs
    assert not cancels(looked(knowing(SUBMITTED), seen([report(entry, "held"), report(target), report(stop)])))


def test_a_bracket_that_is_just_being_written_is_not_taken_for_a_torso() -> None:
    entry = SUBMITTED.legs[0]
    snapshot = seen([report(entry, "held")], at=SENT + timedelta(seconds=1))
    assert not cancels(looked(knowing(SUBMITTED), snapshot))


@pytest.mark.fault(39)
@pytest.mark.parametrize("state", ["ABANDONED", "EXPIRED", "VETOED", "CANCELLED", "REJECTED"])
def test_a_tombstone_that_turns_up_live_is_cancelled_and_halts(state: IntentState) -> None:
    dead = bracket(state=state, legs="absent" if state == "ABANDONED" else "cancelled", named=False)
    changes = looked(knowing(dead), seen(report(leg) for leg in dead.legs))
    assert "zombie" in mismatches(changes)
    assert dead.legs[0].order_id in cancels(changes)
    assert not states(changes)


@pytest.mark.fault(39)
def test_a_fill_of_a_tombstone_is_booked_covered_and_halts() -> None:
    dead = bracket(state="ABANDONED", legs="absent", named=False)
    entry = dead.legs[0]
    at = LATER - timedelta(seconds=1)
    changes = looked(knowing(dead), seen([report(entry, "filled", done=100)], [fill(entry, 100, at=at)], held=100))
    assert booked(changes) == [("x1.01", "a-entry")]
    assert mismatches(changes) == ["zombie"]
    assert protects(changes) == [("AAPL", Decimal(100))]
    assert not states(changes)


def test_the_living_stop_of_an_abandoned_but_part_filled_intent_is_no_zombie() -> None:
    intent = filled(bracket(state="ABANDONED", quantity=100), 40, state="ABANDONED", entry="absent")
    changes = looked(knowing(intent, held=40), seen([report(intent.legs[2], quantity=40)], held=40))
    assert not mismatches(changes)
    assert not cancels(changes)


@pytest.mark.fault(47)
def test_two_orders_behind_one_of_ours_are_both_cancelled_and_halt() -> None:
    intent = bracket()
    entry = intent.legs[0]
    twins = [report(entry), replace(report(entry, perm_id=2001), order_id=9)]
    changes = looked(knowing(intent), seen([*twins, report(intent.legs[1]), report(intent.legs[2])]))
    assert mismatches(changes) == ["two_perm_ids"]
    assert cancels(changes) == [1, 9]
    assert after(knowing(intent), changes).intents[0].legs[0].perm_ids == (1001, 2001)


def test_orders_of_one_intent_without_numbers_are_told_apart_by_what_they_are() -> None:
    reports = [report(leg, "cancelled", numbered=False) for leg in reversed(SUBMITTED.legs)]
    changes = looked(knowing(SUBMITTED), seen(reports))
    assert {c.key: c.perm_id for c in changes if isinstance(c, LegChanged)} == {
        "a-entry": 1001,
        "a-target": 1002,
        "a-stop": 1003,
    }


def test_a_reused_order_number_without_the_reference_is_not_ours() -> None:
    intent = bracket(named=False)
    stranger = replace(report(intent.legs[0], perm_id=5005), ref="", client_id=0)
    changes = looked(knowing(intent), seen([stranger, *(report(leg) for leg in intent.legs)]))
    assert leg_states(changes).keys() == {"a-entry", "a-target", "a-stop"}
    assert not mismatches(changes)


def test_a_sliced_intent_is_partial_until_its_last_slice_is_sent_and_filled() -> None:
    slice_one = replace(bracket(quantity=50).legs[0], state="filled", filled=Decimal(50))
    sliced = replace(bracket(state="PARTIAL"), legs=(slice_one,))
    assert not states(looked(knowing(sliced, held=50), seen([report(slice_one, "filled", done=50)], held=50)))
    second = replace(bracket(quantity=50, first_id=4).legs[0], key="a-entry-2")
    both = replace(sliced, legs=(slice_one, second))
    at = LATER - timedelta(minutes=5)
    reports = [report(slice_one, "filled", done=50), report(second, "filled", done=50)]
    assert states(looked(knowing(both, held=50), seen(reports, [fill(second, 50, at=at)], held=100))) == ["FILLED"]


def test_an_exit_whose_group_already_sold_a_part_is_filled_when_the_broker_says_so() -> None:
    leaving = reducing("x", "exit", 100, first_id=7)
    leg = leaving.legs[0]
    snapshot = seen([report(leg, "filled", done=60, quantity=60)], [fill(leg, 60)])
    assert states(looked(knowing(leaving, held=60), snapshot)) == ["FILLED"]
