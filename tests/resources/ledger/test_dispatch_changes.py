"""What the broker said is written once, in any order and however often it is told, and what contradicts the ledger halts."""

from dataclasses import replace
from decimal import Decimal

import pytest
import sqlalchemy as sa

from resources.ledger.engine import reading, transaction
from resources.ledger.schema import EXECUTIONS, FOREIGN_ORDERS, LEGS
from resources.ledger.store import SqlLedger
from tests.resources.ledger.dispatching import (
    CLIENT,
    NOW,
    Desk,
    executed,
    held,
    later,
    leg_changed,
    snapshot,
)
from trading_assets.broker.lifecycle import (
    Absent,
    Adopted,
    Booked,
    Change,
    FeeBooked,
    ForeignOrder,
    IntentChanged,
    Mismatch,
    MustCancel,
    MustProtect,
)
from trading_assets.broker.model import Commission, OrderReport
from trading_assets.core.errors import PermanentFailure

ENTRY_ROLES = ("entry", "stop", "target")


@pytest.fixture
def desk(engine: sa.Engine) -> Desk:
    return Desk(engine)


def fee(exec_id: str = "0001.01", amount: str | None = "0.35") -> FeeBooked:
    return FeeBooked(Commission(exec_id, None if amount is None else Decimal(amount)))


def count(desk: Desk, table: sa.Table) -> int:
    with reading(desk.engine) as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0


# Once


@pytest.mark.fault(7)
@pytest.mark.fault(8)
@pytest.mark.fault(52)
@pytest.mark.fault(53)
def test_a_list_that_is_told_twice_changes_nothing_the_second_time(desk: Desk) -> None:
    wanted = desk.submitted()
    changes: list[Change] = [
        *(leg_changed(wanted, role, "working", 500 + number) for number, role in enumerate(ENTRY_ROLES, start=1)),
        IntentChanged(wanted.id, "WORKING"),
        executed(wanted, "0001.01", "3"),
        IntentChanged(wanted.id, "PARTIAL"),
        executed(wanted, "0002.01", "4"),
        leg_changed(wanted, "entry", "filled"),
        IntentChanged(wanted.id, "FILLED", "all of it"),
        fee("0001.01"),
        fee("0002.01"),
        Adopted(held("ZZZ", "20"), Decimal(20), "there before"),
        Mismatch("position", "AAA differs"),
        ForeignOrder(foreign(900)),
    ]
    assert desk.apply(*changes) == changes
    before = desk.store.known()
    heard = {topic: desk.heard(topic) for topic in ("state", "execution", "halt")}
    for again in (changes, changes[3:9], changes[::-1], [*changes, *changes]):
        assert desk.apply(*again, at_instant=later(5)) == []
    assert desk.store.known() == before
    assert {topic: desk.heard(topic) for topic in heard} == heard
    assert desk.past(wanted)[3:] == ["SUBMITTING", "WORKING", "PARTIAL", "FILLED"]
    assert desk.problems() == ()


def test_what_asks_for_an_action_is_always_told_and_never_stored(desk: Desk) -> None:
    asked = (MustCancel(4, CLIENT, "D1:x", "a zombie"), MustProtect("AAA", 1, Decimal(7), "naked"))
    for _ in range(2):
        assert desk.apply(*asked) == list(asked)
    assert desk.apply() == []


@pytest.mark.fault(54)
@pytest.mark.fault(55)
def test_a_fill_that_comes_before_the_acknowledgement_is_booked_and_the_late_report_changes_nothing(desk: Desk) -> None:
    wanted = desk.submitted()
    desk.apply(executed(wanted), leg_changed(wanted, "entry", "filled", 501), IntentChanged(wanted.id, "FILLED"))
    late = [leg_changed(wanted, "entry", "working", 501), IntentChanged(wanted.id, "WORKING")]
    assert desk.apply(*late) == []
    assert (desk.state(wanted), desk.tracked(wanted).filled) == ("FILLED", Decimal(7))
    assert desk.store.halts() == []


@pytest.mark.fault(62)
def test_a_cancelled_order_may_still_turn_out_filled_and_not_working(desk: Desk) -> None:
    wanted = desk.submitted()
    desk.apply(leg_changed(wanted, "entry", "cancelled"), IntentChanged(wanted.id, "CANCELLED"))
    assert desk.apply(leg_changed(wanted, "entry", "working")) == []
    assert len(desk.apply(executed(wanted), leg_changed(wanted, "entry", "filled"))) == 2
    assert desk.apply(leg_changed(wanted, "entry", "cancelled")) == []
    tracked = desk.tracked(wanted)
    assert (tracked.state, tracked.filled, tracked.first_leg.state) == ("CANCELLED", Decimal(7), "filled")


@pytest.mark.fault(39)
def test_an_abandoned_intent_stays_known_and_its_orders_may_turn_up(desk: Desk) -> None:
    wanted = desk.submitted()
    desk.apply(
        IntentChanged(wanted.id, "UNKNOWN"),
        *(leg_changed(wanted, role, "absent") for role in ENTRY_ROLES),
        IntentChanged(wanted.id, "ABANDONED", "three snapshots"),
    )
    assert desk.store.open_legs() == []
    assert desk.tracked(wanted).state == "ABANDONED"
    assert len(desk.apply(leg_changed(wanted, "entry", "working", 501), Mismatch("zombie", "it lives"))) == 2
    assert [leg.key for leg in desk.store.open_legs()] == [f"{wanted.id}-entry"]
    assert desk.past(wanted)[-2:] == ["UNKNOWN", "ABANDONED"]


@pytest.mark.fault(63)
@pytest.mark.fault(64)
def test_a_cancel_that_is_refused_goes_back_to_working(desk: Desk) -> None:
    wanted = desk.submitted()
    there = [leg_changed(wanted, "entry", "pending_cancel"), IntentChanged(wanted.id, "PENDING_CANCEL")]
    back = [leg_changed(wanted, "entry", "working"), IntentChanged(wanted.id, "WORKING")]
    desk.apply(*back)
    assert desk.apply(*there) == there
    assert desk.apply(*back) == back
    assert desk.past(wanted)[4:] == ["WORKING", "PENDING_CANCEL", "WORKING"]


def test_a_list_that_leads_up_to_the_present_state_is_not_gone_through_again(desk: Desk) -> None:
    wanted = desk.submitted()
    told = [
        *(leg_changed(wanted, "entry", "working"), IntentChanged(wanted.id, "WORKING")),
        *(leg_changed(wanted, "entry", "pending_cancel"), IntentChanged(wanted.id, "PENDING_CANCEL")),
    ]
    assert desk.apply(*told) == told
    assert desk.apply(*told) == []
    assert desk.past(wanted)[4:] == ["WORKING", "PENDING_CANCEL"]


def test_absences_count_and_begin_anew(desk: Desk) -> None:
    wanted = desk.submitted()
    for number in (1, 2, 0):
        assert len(desk.apply(Absent(wanted.id, number))) == 1
        assert desk.apply(Absent(wanted.id, number)) == []
        assert desk.tracked(wanted).absences == number


# What contradicts the ledger


def test_an_intent_that_was_never_submitted_and_lives_at_the_broker_halts(desk: Desk) -> None:
    wanted = desk.signed()
    assert len(desk.apply(IntentChanged(wanted.id, "WORKING"))) == 1
    assert desk.state(wanted) == "SIGNED"
    assert "is SIGNED here and WORKING at the broker" in desk.store.halts()[0].cause


@pytest.mark.fault(47)
def test_one_name_for_two_orders_halts_and_two_names_for_one_are_kept(desk: Desk) -> None:
    wanted = desk.submitted()
    desk.apply(leg_changed(wanted, "entry", "working", 501), leg_changed(wanted, "entry", "working", 502))
    assert desk.tracked(wanted).first_leg.perm_ids == (501, 502)
    assert desk.store.halts() == []
    desk.apply(leg_changed(wanted, "stop", "working", 501))
    assert "calls both" in desk.store.halts()[0].cause


def test_a_mismatch_halts_once_for_each_sentence_and_again_after_an_answer(desk: Desk) -> None:
    one, two = Mismatch("position", "AAA: 7 here, 0 there"), Mismatch("position", "AAA: 7 here, 3 there")
    assert [len(desk.apply(each)) for each in (one, one, two, one)] == [1, 0, 1, 0]
    with SqlLedger(desk.engine, "desk").session() as ledger:
        ledger.acknowledge(desk.store.halts()[0].id, "seen", as_of=NOW)
    assert len(desk.apply(one)) == 1
    assert [halt.cause for halt in desk.store.halts()] == [f"position: {two.sentence}", f"position: {one.sentence}"]
    assert desk.problems() == ()


def test_what_names_no_order_or_intent_of_the_book_is_refused_whole(desk: Desk) -> None:
    wanted = desk.submitted()
    for strange in (leg_changed(replace(wanted, id="x"), "entry", "working"), IntentChanged("x", "WORKING")):
        with pytest.raises(PermanentFailure, match="book desk has"):
            desk.apply(executed(wanted), strange)
    assert count(desk, EXECUTIONS) == 0


@pytest.mark.fault(72)
@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "-1"])
def test_numbers_that_cannot_be_booked_are_refused(desk: Desk, number: str) -> None:
    wanted = desk.submitted()
    for change in (executed(wanted, quantity=number), executed(wanted, price=number), executed(wanted, quantity="0")):
        with pytest.raises(PermanentFailure, match="has no (quantity|price)"):
            desk.apply(change)
    assert count(desk, EXECUTIONS) == 0


# Corrections, busts, fees


@pytest.mark.fault(57)
@pytest.mark.parametrize("turned", [False, True], ids=["in order", "the last one first"])
def test_the_last_correction_counts_and_all_are_kept(desk: Desk, turned: bool) -> None:
    wanted = desk.submitted()
    told = [
        executed(wanted, "a.01", "7", "100"),
        executed(wanted, "a.02", "6", "101", replaces="a.01"),
        executed(wanted, "a.03", "5", "102", replaces="a.01"),
    ]
    for change in reversed(told) if turned else told:
        desk.apply(change)
    known = desk.store.known()
    assert sorted(known.executions) == ["a.01", "a.02", "a.03"]
    assert (known.booked, desk.tracked(wanted).filled) == ({"AAA": Decimal(5)}, Decimal(5))
    assert [b.execution.exec_id for b in desk.store.executions(NOW.date(), NOW.date())] == ["a.03"]


@pytest.mark.fault(58)
@pytest.mark.parametrize("turned", [False, True], ids=["in order", "the bust first"])
def test_a_bust_takes_the_execution_back_in_full(desk: Desk, turned: bool) -> None:
    wanted = desk.submitted()
    told = [executed(wanted, "a.01", "7"), executed(wanted, "b.01", "2"), executed(wanted, "c.01", "7", busts="a.01")]
    desk.apply(*(reversed(told) if turned else told))
    assert desk.store.known().booked == {"AAA": Decimal(2)}
    assert desk.tracked(wanted).filled == Decimal(2)


def test_a_store_that_stayed_and_one_that_began_anew_know_the_same(desk: Desk) -> None:
    wanted = desk.submitted()
    fresh = Desk.__new__(Desk)
    for change in (
        executed(wanted, "a.01"),
        executed(wanted, "a.02", "6", replaces="a.01"),
        fee("a.02"),
        executed(wanted, "b.01", "1", role="stop"),
        fee("b.01"),
    ):
        desk.apply(change)
        stayed = desk.store.known()
        fresh.__init__(desk.engine)  # type: ignore[misc] # another process takes over
        desk.token = fresh.token
        assert stayed == fresh.store.known()


@pytest.mark.fault(56)
def test_a_fee_that_is_not_known_yet_is_booked_when_it_is_and_once(desk: Desk) -> None:
    wanted = desk.submitted()
    desk.apply(executed(wanted))
    assert desk.apply(fee(amount=None)) == []
    assert desk.store.executions(NOW.date(), NOW.date())[0].fee is None
    assert len(desk.apply(fee(amount="0.35005"))) == 1
    assert desk.apply(fee(amount="9")) == []
    assert desk.store.executions(NOW.date(), NOW.date())[0].fee == Decimal("0.3500")
    assert desk.store.known().fees == {"0001.01"}


# Adoption and cash


def foreign(perm_id: int) -> OrderReport:
    return OrderReport(
        perm_id, 0, 0, "", "DU1", "ZZZ", 9, "sell", "limit", Decimal("1.5"), Decimal(0), "working", Decimal("9.99")
    )


@pytest.mark.fault(46)
def test_a_foreign_order_is_remembered_and_a_foreign_fill_counts(desk: Desk) -> None:
    wanted = desk.submitted()
    assert len(desk.apply(ForeignOrder(foreign(900)), ForeignOrder(foreign(900)))) == 1
    own = executed(wanted, "f.01", "2.5").execution
    desk.apply(Booked(replace(own, ref="", symbol="ZZZ", perm_id=900), "", ""))
    known = desk.store.known()
    assert (known.foreign, known.booked["ZZZ"], count(desk, FOREIGN_ORDERS)) == (frozenset({900}), Decimal("2.5"), 1)
    assert desk.problems() == ()


def test_shares_are_adopted_when_that_makes_ledger_and_broker_agree(desk: Desk) -> None:
    """By hand 20 come, 20 go, 20 come: three adoptions, each once."""
    came, went = (
        Adopted(held("ZZZ", "20"), Decimal(20), "by hand"),
        Adopted(held("ZZZ", "0"), Decimal(-20), "by hand"),
    )
    for change, total in ((came, 20), (went, 0), (came, 20)):
        assert desk.apply(change) == [change]
        assert desk.apply(change) == []
        assert desk.store.adopted() == {"ZZZ": Decimal(total)}
    assert desk.apply(Adopted(held("ZZZ", "30"), Decimal(20), "a wrong sum")) == []
    assert desk.problems() == ()


def test_shares_that_come_by_hand_bring_the_cash_that_the_account_holds_then(desk: Desk) -> None:
    change = Adopted(held("ZZZ", "20"), Decimal(20), "by hand", cash=Decimal("48000.50"))
    assert desk.apply(change) == [change]
    assert desk.store.known().cash == Decimal("48000.50")
    assert desk.apply(change) == []
    without_word = Adopted(held("ZZZ", "30"), Decimal(10), "by hand")
    assert desk.apply(without_word) == [without_word]
    assert desk.store.known().cash == Decimal("48000.50")
    assert desk.problems() == ()


def test_cash_is_adopted_with_the_first_snapshot_whose_executions_are_booked(desk: Desk) -> None:
    wanted = desk.submitted()
    done = executed(wanted, "a.01", "7", "100")
    assert desk.store.known().is_new
    desk.store.keep_snapshot(snapshot(cash="50000", executions=[done.execution]), token=desk.token, as_of=NOW)
    assert (desk.store.known().cash, desk.store.known().is_new) == (None, False)
    desk.apply(done, FeeBooked(Commission("a.01", Decimal("0.35"))))
    desk.store.keep_snapshot(snapshot(cash="49299.65", executions=[done.execution]), token=desk.token, as_of=NOW)
    assert desk.store.known().cash == Decimal("49299.65")
    desk.apply(executed(wanted, "b.01", "2", "110", role="stop"), fee("b.01", "0.10"))
    assert desk.store.known().cash == Decimal("49299.65") + 220 - Decimal("0.10")
    desk.apply(executed(wanted, "a.02", "7", "101", replaces="a.01"))
    assert desk.store.known().cash == Decimal("49299.65") + 220 - Decimal("0.10") - 7
    desk.store.adopt_cash(Decimal(60_000), account="DU1", why="a deposit", token=desk.token, as_of=later(60))
    assert desk.store.known().cash == Decimal(60_000)
    assert desk.problems() == ()


def test_an_account_that_tells_no_cash_has_none(desk: Desk) -> None:
    desk.store.keep_snapshot(snapshot(cash=None, equity=None), token=desk.token, as_of=NOW)
    told = desk.store.snapshot()
    assert told is not None
    assert (told.cash, told.equity, desk.store.known().cash) == (None, None, None)


# By hand


@pytest.mark.parametrize(
    ("table", "change"),
    [
        ("executions", {"price": "1"}),
        ("executions", {"liquidation": True}),
        ("execution_fees", {"amount": Decimal(0)}),
        ("intent_history", {"state": "FILLED"}),
        ("seals", {"seal": "{}"}),
        ("adoptions", {"quantity": "1"}),
        ("intent_states", {"state": "FILLED"}),
        ("intent_states", {"token": 99}),
    ],
    ids=str,
)
def test_a_row_that_was_altered_by_hand_is_found(desk: Desk, table: str, change: dict[str, object]) -> None:
    wanted = desk.submitted()
    desk.apply(executed(wanted), fee(), Adopted(held("ZZZ", "20"), Decimal(20), "there before"))
    assert desk.problems() == ()
    of = EXECUTIONS.metadata.tables[table]
    with transaction(desk.engine) as connection:
        for trigger in (f"{table}_stay", f"{table}_rule_1"):
            drop = f"drop trigger if exists {trigger}"
            connection.exec_driver_sql(drop if desk.engine.dialect.name == "sqlite" else f"{drop} on {table}")
        connection.execute(of.update().values(change))
    assert any(problem.startswith(table) for problem in desk.problems())
    assert LEGS is not None
