"""Intents on their way to a broker: no step is skipped, nothing is sent twice, and a stale or halted sender sends nothing."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest
import sqlalchemy as sa

from resources.ledger.dispatch import SqlDispatch
from resources.ledger.engine import transaction
from resources.ledger.journal import read_journal
from resources.ledger.journal_files import JournalFiles
from resources.ledger.schema import INTENT_STATES, LEGS, ORDERS, PERM_IDS
from resources.ledger.state import LeaseLost
from resources.ledger.store import SqlLedger
from tests.resources.ledger.dispatching import (
    CLIENT,
    NOW,
    Desk,
    contract,
    executed,
    later,
    leg_changed,
    legs_of,
    proposed,
    seals_on,
    veto_of,
)
from tests.resources.ledger.entries import DAYS, at
from trading_assets.broker.lifecycle import TERMINAL, WAYS, IntentChanged
from trading_assets.broker.model import OrderRequest
from trading_assets.core.errors import PermanentFailure, TradingHalted
from trading_assets.execution.dispatch import NewLeg
from trading_assets.signatures.model import SIGNERS

LIFE = ["PROPOSED", "SIGNED", "INTENT", "SUBMITTING"]


@pytest.fixture
def desk(engine: sa.Engine) -> Desk:
    return Desk(engine)


# One way


def test_an_intent_goes_from_proposed_to_submitting_and_each_step_is_told(desk: Desk) -> None:
    wanted = desk.submitted()
    assert desk.past(wanted) == LIFE
    assert [f'"state":"{state}"' in told for state, told in zip(LIFE, desk.heard("state"), strict=True)] == [True] * 4
    assert desk.heard("signed") == [f'{{"intent_id":"{wanted.id}","symbol":"AAA"}}']
    assert desk.problems() == ()


def test_what_waits_is_told_with_its_seals_and_oldest_first(desk: Desk) -> None:
    first, second = proposed(desk.engine, "AAA", "BBB")
    desk.store.seal(seals_on(second), as_of=NOW)
    desk.store.seal(seals_on(first, SIGNERS[:2]), as_of=NOW)
    waiting = desk.store.waiting()
    assert [(w.intent.id, w.state, len(w.seals)) for w in waiting] == [
        (first.id, "PROPOSED", 2),
        (second.id, "SIGNED", 3),
    ]
    assert waiting[0].intent == first
    assert {w.decided_at for w in waiting} == {at(DAYS[0])}
    assert list(waiting[1].seals) == seals_on(second)


def test_what_was_sent_or_has_ended_waits_no_more(desk: Desk) -> None:
    desk.submitted()
    (refused, expired) = proposed(desk.engine, "BBB", "CCC", slot="10:00")
    desk.store.refuse(refused.id, veto_of(refused), as_of=NOW)
    desk.store.expire(expired.id, "too old", as_of=NOW)
    assert desk.store.waiting() == []
    assert (desk.state(refused), desk.state(expired)) == ("VETOED", "EXPIRED")


@pytest.mark.parametrize("missing", SIGNERS)
def test_two_signers_do_not_sign_for_three(desk: Desk, missing: str) -> None:
    (wanted,) = proposed(desk.engine, "AAA")
    desk.store.seal(seals_on(wanted, [s for s in SIGNERS if s != missing]), as_of=NOW)
    assert desk.state(wanted) == "PROPOSED"
    with pytest.raises(TradingHalted, match="PROPOSED and cannot become INTENT"):
        desk.store.accept(wanted.id, token=desk.token, as_of=NOW)


def test_a_signer_seals_once_and_the_rest_of_the_batch_is_given_up(desk: Desk) -> None:
    (wanted,) = proposed(desk.engine, "AAA")
    desk.store.seal(seals_on(wanted, SIGNERS[:1]), as_of=NOW)
    with pytest.raises(TradingHalted, match="risk_gate has sealed"):
        desk.store.seal(seals_on(wanted, [SIGNERS[1], SIGNERS[0]]), as_of=NOW)
    assert len(desk.store.waiting()[0].seals) == 1
    desk.store.seal(seals_on(wanted, SIGNERS[1:]), as_of=NOW)
    with pytest.raises(TradingHalted, match="SIGNED and takes no seal"):
        desk.store.seal(seals_on(wanted, SIGNERS[:1]), as_of=NOW)


def test_a_veto_is_a_ruling_of_its_own_and_a_second_one_changes_nothing(desk: Desk) -> None:
    wanted = desk.signed()
    for _ in range(2):
        desk.store.refuse(wanted.id, veto_of(wanted), as_of=NOW)
    assert desk.past(wanted) == ["PROPOSED", "SIGNED", "VETOED"]
    vetoes = [r.entry for r in read_journal(desk.engine, kind="veto") if "gateway" in r.entry.title]
    assert [entry.symbol for entry in vetoes] == ["AAA"]
    assert desk.problems() == ()
    with pytest.raises(PermanentFailure, match="only a veto refuses"):
        desk.store.refuse(wanted.id, wanted.verdict, as_of=NOW)


@pytest.mark.fault(3)
def test_an_intent_that_was_accepted_and_not_submitted_expires_and_is_never_sent_late(desk: Desk) -> None:
    wanted = desk.signed()
    desk.store.accept(wanted.id, token=desk.token, as_of=NOW)
    for _ in range(2):
        desk.store.expire(wanted.id, "the gateway began anew", as_of=later(1))
    with pytest.raises(TradingHalted, match="EXPIRED and not sent"):
        desk.store.submit(wanted.id, legs_of(wanted), token=desk.token, as_of=later(2))
    assert desk.past(wanted) == [*LIFE[:3], "EXPIRED"]
    assert rows(desk.engine, LEGS) == 0


def rows(engine: sa.Engine, table: sa.Table) -> int:
    with engine.connect() as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0


def test_nothing_is_submitted_twice(desk: Desk) -> None:
    wanted = desk.submitted()
    with pytest.raises(TradingHalted, match="SUBMITTING and not sent"):
        desk.store.submit(wanted.id, legs_of(wanted, 10), token=desk.token, as_of=NOW)
    assert rows(desk.engine, LEGS) == 3


def test_a_number_is_given_to_one_order_only(desk: Desk) -> None:
    desk.submitted("AAA", 1)
    second = desk.signed("BBB", slot="10:00")
    desk.store.accept(second.id, token=desk.token, as_of=NOW)
    with pytest.raises(sa.exc.IntegrityError):
        desk.store.submit(second.id, legs_of(second, 3), token=desk.token, as_of=NOW)
    assert desk.state(second) == "INTENT"
    assert desk.store.newest_order_id(CLIENT) == 3
    assert desk.store.newest_order_id(CLIENT + 1) == 0


def test_an_intent_of_another_book_is_not_found(engine: sa.Engine) -> None:
    theirs, mine = Desk(engine, "other"), Desk(engine)
    wanted = theirs.signed()
    with pytest.raises(PermanentFailure, match="book desk has no intent"):
        mine.store.accept(wanted.id, token=mine.token, as_of=NOW)
    assert mine.store.waiting() == []
    assert mine.store.known().intents == ()


@pytest.mark.parametrize(
    "change",
    [{"ref": "D1:another"}, {"order_id": 0}, {"order_id": -1}, {"quantity": 0}],
    ids=["another's reference", "no number", "a negative number", "no shares"],
)
def test_an_order_that_cannot_be_told_apart_is_not_handed_over(desk: Desk, change: dict[str, object]) -> None:
    wanted = desk.signed()
    desk.store.accept(wanted.id, token=desk.token, as_of=NOW)
    legs = legs_of(wanted)
    legs[0] = replace(legs[0], request=replace(legs[0].request, **change))  # type: ignore[arg-type]
    with pytest.raises(PermanentFailure, match="cannot be sent for intent"):
        desk.store.submit(wanted.id, legs, token=desk.token, as_of=NOW)
    assert desk.state(wanted) == "INTENT"


def test_a_store_without_a_connection_and_an_intent_without_orders_submit_nothing(desk: Desk) -> None:
    wanted = desk.signed()
    desk.store.accept(wanted.id, token=desk.token, as_of=NOW)
    with pytest.raises(PermanentFailure, match="no orders to send"):
        desk.store.submit(wanted.id, [], token=desk.token, as_of=NOW)
    with pytest.raises(PermanentFailure, match="client id"):
        SqlDispatch(desk.engine, "desk").submit(wanted.id, legs_of(wanted), token=desk.token, as_of=NOW)
    assert desk.state(wanted) == "INTENT"


# The lease


@pytest.mark.control("C33")
@pytest.mark.fault(12)
@pytest.mark.fault(103)
def test_a_sender_that_lost_its_lease_writes_nothing(desk: Desk) -> None:
    wanted = desk.signed()
    stale = desk.token
    desk.token = desk.grant()
    with pytest.raises(LeaseLost):
        desk.store.accept(wanted.id, token=stale, as_of=NOW)
    desk.store.accept(wanted.id, token=desk.token, as_of=NOW)
    with pytest.raises(LeaseLost):
        desk.store.submit(wanted.id, legs_of(wanted), token=stale, as_of=NOW)
    assert desk.past(wanted) == LIFE[:3]
    with pytest.raises(LeaseLost):
        desk.store.apply([IntentChanged(wanted.id, "EXPIRED")], token=stale, as_of=NOW)


@pytest.mark.control("C33")
def test_a_lease_that_ran_out_or_was_never_held_submits_nothing(desk: Desk) -> None:
    wanted = desk.signed()
    desk.store.accept(wanted.id, token=desk.token, as_of=NOW)
    for token, moment in ((desk.token, NOW + timedelta(days=366)), (0, NOW), (desk.token + 1, NOW)):
        with pytest.raises(LeaseLost):
            desk.store.submit(wanted.id, legs_of(wanted), token=token, as_of=moment)
    assert desk.state(wanted) == "INTENT"


# Halts


@pytest.mark.control("C1")
def test_nothing_that_opens_is_submitted_while_a_halt_is_open(desk: Desk) -> None:
    wanted = desk.signed()
    desk.store.accept(wanted.id, token=desk.token, as_of=NOW)
    desk.store.halt("a reason", as_of=NOW)
    with pytest.raises(TradingHalted, match="a halt is open.*a reason.*desk resume"):
        desk.store.submit(wanted.id, legs_of(wanted), token=desk.token, as_of=NOW)
    with SqlLedger(desk.engine, "desk").session() as ledger:
        ledger.acknowledge(desk.store.halts()[0].id, "mended", as_of=NOW)
    desk.store.submit(wanted.id, legs_of(wanted), token=desk.token, as_of=NOW)
    assert desk.state(wanted) == "SUBMITTING"


@pytest.mark.control("C1")
def test_the_database_itself_refuses_what_opens_under_a_halt_whoever_writes(desk: Desk) -> None:
    wanted = desk.signed()
    desk.store.accept(wanted.id, token=desk.token, as_of=NOW)
    desk.store.halt("a reason", as_of=NOW)
    submitting = INTENT_STATES.update().values(state="SUBMITTING")
    with pytest.raises(sa.exc.IntegrityError, match="a halt is open"), transaction(desk.engine) as connection:
        connection.execute(submitting)
    with pytest.raises(sa.exc.IntegrityError, match="what an intent is"), transaction(desk.engine) as connection:
        connection.execute(INTENT_STATES.update().values(opens=False))
    Desk(desk.engine, "other").submitted(slot="11:00")


def test_a_cause_that_is_open_is_recorded_once(desk: Desk) -> None:
    for _ in range(2):
        desk.store.halt("one", as_of=NOW)
    desk.store.halt("two", as_of=later(1))
    assert [(halt.cause, halt.at) for halt in desk.store.halts()] == [("one", NOW), ("two", later(1))]
    assert len(desk.heard("halt")) == 2
    assert desk.problems() == ()


# States that have ended


@pytest.mark.parametrize("ended", sorted(TERMINAL))
def test_the_database_itself_keeps_a_state_that_has_ended(desk: Desk, ended: str) -> None:
    wanted = desk.submitted()
    with transaction(desk.engine) as connection:
        connection.execute(INTENT_STATES.update().values(state=ended))
    for state in sorted(WAYS.keys() - {ended}):
        with pytest.raises(sa.exc.IntegrityError, match="has ended"), transaction(desk.engine) as connection:
            connection.execute(INTENT_STATES.update().values(state=state))
    desk.store.sent(wanted.id, 900, as_of=NOW)
    assert any(f"{wanted.id} is {ended}" in problem for problem in desk.problems())


@pytest.mark.parametrize("state", sorted(WAYS))
def test_an_intent_begins_as_proposed_and_only_a_reduction_as_intent(desk: Desk, state: str) -> None:
    (wanted,) = proposed(desk.engine, "AAA")
    with desk.engine.begin() as connection:
        other = connection.execute(sa.text("select * from intents")).mappings().one()
        connection.execute(
            sa.text(
                "insert into intents (id, book, session, slot, strategy, symbol, action, quantity, plan, plan_digest,"
                " verdict, limits_hash) select 'x', book, session, 'other', strategy, symbol, action, quantity, plan,"
                " plan_digest, verdict, limits_hash from intents"
            )
        )
    row = {"intent_id": "x", "book": "desk", "state": state, "why": "", "token": 0, "absences": 0, "at": ""}
    assert other["id"] == wanted.id
    for opens in (True, False):
        with desk.engine.connect() as connection:
            begun = connection.begin()
            if state == "PROPOSED" or (state == "INTENT" and not opens):
                connection.execute(INTENT_STATES.insert(), {**row, "opens": opens})
            else:
                with pytest.raises(sa.exc.IntegrityError, match="begins as PROPOSED"):
                    connection.execute(INTENT_STATES.insert(), {**row, "opens": opens})
            begun.rollback()


def test_what_a_broker_calls_an_order_never_changes(desk: Desk) -> None:
    wanted = desk.submitted()
    desk.apply(leg_changed(wanted, "entry", "working", 501))
    for change in ({"perm_id": 502}, {"key": f"{wanted.id}-stop"}):
        with pytest.raises(sa.exc.IntegrityError, match="never changes"), transaction(desk.engine) as connection:
            connection.execute(PERM_IDS.update().values(change))


# More of an intent


def slice_of(desk: Desk, intent_id: str, number: int, role: str = "entry", parent: str = "") -> NewLeg:
    request = OrderRequest(
        key=f"{intent_id}-{role}-{number}",
        ref=f"D1:{intent_id}",
        order_id=desk.store.newest_order_id(CLIENT) + 1,
        contract=contract(),
        side="buy" if role == "entry" else "sell",
        kind="limit",
        quantity=2,
        tif="day",
        limit_price=Decimal("100.25"),
    )
    return NewLeg(request, role, parent)  # type: ignore[arg-type]


def test_a_slice_gets_a_row_of_its_own_and_is_proven(desk: Desk) -> None:
    wanted = desk.submitted()
    desk.store.submit_more(wanted.id, [slice_of(desk, wanted.id, 2)], token=desk.token, as_of=later(5))
    assert [leg.quantity for leg in desk.tracked(wanted).legs if not leg.parent_key] == [7, 2]
    assert rows(desk.engine, ORDERS) == 4
    assert desk.problems() == ()
    with SqlLedger(desk.engine, "desk").reading() as ledger:
        assert [placed.limit_price for placed, _ in ledger.orders_placed(DAYS[0], DAYS[0])][-1] == Decimal("100.25")


@pytest.mark.control("C1")
def test_a_slice_that_opens_needs_lease_halts_and_a_living_intent_like_the_first(desk: Desk) -> None:
    wanted = desk.submitted()
    with pytest.raises(LeaseLost):
        desk.store.submit_more(wanted.id, [slice_of(desk, wanted.id, 2)], token=desk.token + 1, as_of=NOW)
    desk.store.halt("a reason", as_of=NOW)
    with pytest.raises(TradingHalted, match="a halt is open"):
        desk.store.submit_more(wanted.id, [slice_of(desk, wanted.id, 2)], token=desk.token, as_of=NOW)
    desk.apply(IntentChanged(wanted.id, "FILLED"))
    with pytest.raises(TradingHalted, match="FILLED: nothing more"):
        desk.store.submit_more(wanted.id, [slice_of(desk, wanted.id, 2)], token=desk.token, as_of=NOW)
    close = slice_of(desk, wanted.id, 3, "close", f"{wanted.id}-entry")
    desk.store.submit_more(wanted.id, [close], token=desk.token, as_of=NOW)
    assert [leg.role for leg in desk.tracked(wanted).legs].count("close") == 1


def test_an_intent_that_was_never_sent_takes_no_slices(desk: Desk) -> None:
    wanted = desk.signed()
    for role in ("entry", "close"):
        with pytest.raises(TradingHalted, match="SIGNED: nothing more"):
            desk.store.submit_more(wanted.id, [slice_of(desk, wanted.id, 2, role)], token=desk.token, as_of=NOW)


# Contracts and pages


def test_a_symbol_stays_one_contract(desk: Desk) -> None:
    assert desk.store.contract("AAA") is None
    for _ in range(2):
        desk.store.keep_contract(contract(), as_of=NOW)
    assert desk.store.contract("AAA") == contract()
    with pytest.raises(PermanentFailure, match="another contract than before.*only exits"):
        desk.store.keep_contract(replace(contract(), con_id=5), as_of=NOW)
    assert desk.store.contract("AAA") == contract()


def test_pages_of_what_is_being_sent_follow_when_it_was_sent(
    desk: Desk, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A page waits for the disk; an order that is committed does not wait for its page."""
    folder = tmp_path_factory.mktemp("journal")
    desk.store = SqlDispatch(desk.engine, "desk", JournalFiles(folder), client_id=CLIENT)
    wanted = desk.signed()
    pages = len(list(folder.rglob("*.md")))
    desk.store.accept(wanted.id, token=desk.token, as_of=NOW)
    desk.store.submit(wanted.id, legs_of(wanted), token=desk.token, as_of=NOW)
    assert len(list(folder.rglob("*.md"))) == pages
    desk.store.sent(wanted.id, 900, as_of=later(1))
    assert len(list(folder.rglob("*.md"))) == pages + 3
    desk.apply(executed(wanted))
    assert len(list(folder.rglob("*.md"))) == pages + 4
    assert JournalFiles(folder).rebuild(desk.engine, anchor=True).altered == []


def test_states_of_a_range_are_told_in_the_order_of_their_making(desk: Desk) -> None:
    first = desk.submitted()
    second = desk.signed("BBB", day=DAYS[1])
    told = desk.store.states(DAYS[0], DAYS[1])
    assert [(s.intent_id, s.state, s.symbol) for s in told] == [
        (first.id, "SUBMITTING", "AAA"),
        (second.id, "SIGNED", "BBB"),
    ]
    assert [s.intent_id for s in desk.store.states(DAYS[1], date.max)] == [second.id]
