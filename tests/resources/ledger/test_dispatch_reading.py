"""What the gateway reads back: counters, equity, what the broker said last, and intents of its own making."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from resources.ledger.dispatch_told import read_at_broker
from resources.ledger.engine import open_ledger, reading, transaction
from resources.ledger.history import intent_of
from resources.ledger.schema import INTENTS, MODEL_CALLS
from resources.ledger.store import SqlLedger
from tests.resources.ledger.dispatching import (
    CLIENT,
    NOW,
    Desk,
    contract,
    executed,
    held,
    later,
    leg_changed,
    legs_of,
    proposed,
    seals_on,
    snapshot,
)
from tests.resources.ledger.entries import DAYS, at, close
from tests.resources.ledger.rows import row_of
from trading_assets.broker.lifecycle import Adopted, FeeBooked, IntentChanged
from trading_assets.broker.model import Commission, OrderRequest
from trading_assets.core.errors import PermanentFailure
from trading_assets.execution.at_broker import book_now
from trading_assets.execution.dispatch import NewLeg, Reduction
from trading_assets.execution.model import Book, Costs

COSTS = Costs(Decimal("0.0035"), Decimal("0.35"), Decimal("0.01"), Decimal(2), Decimal("0.1"))


@pytest.fixture
def desk(engine: sa.Engine) -> Desk:
    return Desk(engine)


# Counters


@pytest.mark.control("C14")
@pytest.mark.control("C15")
def test_orders_and_entries_are_counted_from_the_ledger_by_a_process_that_began_anew(desk: Desk) -> None:
    first = desk.submitted("AAA", 1)
    (second,) = proposed(desk.engine, "BBB", slot="10:00")
    desk.store.seal(seals_on(second), as_of=NOW)
    desk.store.accept(second.id, token=desk.token, as_of=NOW)
    desk.store.submit(second.id, legs_of(second, 10), token=desk.token, as_of=later(50))
    anew = Desk(desk.engine).store
    for moment, minute in ((later(59), 2), (later(60), 1), (later(111), 0)):
        counted = anew.counters(DAYS[0], decision="desk/x", as_of=moment)
        assert (counted.orders_last_minute, counted.orders_today) == (minute, 2)
    assert counted.entries_today == {"AAA": 1, "BBB": 1}
    assert counted.last_order == {"AAA": NOW, "BBB": later(50)}
    assert anew.counters(DAYS[1], decision="", as_of=at(DAYS[1])).orders_today == 0
    assert first.id != second.id


@pytest.mark.control("C13")
def test_a_stop_that_traded_is_one_stop_out_however_many_executions_it_took(desk: Desk) -> None:
    wanted = desk.submitted()
    desk.apply(executed(wanted, "a"), executed(wanted, "t", "1", role="target"))
    assert desk.store.counters(DAYS[0], decision="", as_of=NOW).stop_outs == 0
    desk.apply(executed(wanted, "b", "3", role="stop"), executed(wanted, "c", "3", role="stop"))
    assert desk.store.counters(DAYS[0], decision="", as_of=NOW).stop_outs == 1
    assert desk.store.counters(DAYS[1], decision="", as_of=NOW).stop_outs == 0


@pytest.mark.control("C31")
def test_model_cost_is_summed_by_decision_and_by_day_without_backfills(desk: Desk) -> None:
    calls = [("desk/a", DAYS[0], ""), ("desk/a", DAYS[0], ""), ("desk/b", DAYS[0], ""), ("desk/a", DAYS[1], "")]
    with transaction(desk.engine) as connection:
        for number, (decision, day, backfill) in enumerate([*calls, ("desk/a", DAYS[0], "bench")], start=1):
            row = row_of(MODEL_CALLS, number, "desk")
            told = {"decision": decision, "day": day, "backfill": backfill, "cost": Decimal("0.01")}
            connection.execute(MODEL_CALLS.insert(), {**row, **told})
    counted = desk.store.counters(DAYS[0], decision="desk/a", as_of=NOW)
    assert (counted.decision_cost_usd, counted.day_cost_usd) == (Decimal("0.03"), Decimal("0.03"))


# Equity


def told(desk: Desk, equity: str | None, seconds: float) -> None:
    desk.store.keep_snapshot(snapshot(equity=equity), token=desk.token, as_of=later(seconds))


@pytest.mark.control("C11")
@pytest.mark.control("C12")
def test_the_peak_survives_a_restart_and_midnight_and_ends_with_an_answered_halt(desk: Desk) -> None:
    nothing = desk.store.equity(DAYS[0])
    assert (nothing.day_open, nothing.peak) == (None, None)
    for equity, seconds in (("100", 0), ("130", 5), (None, 6), ("90", 10)):
        told(desk, equity, seconds)
    anew = Desk(desk.engine)
    desk.token = anew.token
    known = anew.store.equity(DAYS[0])
    assert (known.day_open, known.peak) == (Decimal(100), Decimal(130))
    night = timedelta(days=1).total_seconds()
    told(desk, "95", night)
    known = desk.store.equity(DAYS[1])
    assert (known.day_open, known.peak) == (Decimal(95), Decimal(130))
    desk.store.halt("a reason", as_of=later(night))
    with SqlLedger(desk.engine, "desk").session() as ledger:
        ledger.acknowledge(desk.store.halts()[0].id, "seen", as_of=later(night + 5))
    assert desk.store.equity(DAYS[1]).peak is None
    told(desk, "94", night + 10)
    assert desk.store.equity(DAYS[1]).peak == Decimal(94)


def test_a_settled_book_begins_its_day_with_the_close_before(desk: Desk) -> None:
    with SqlLedger(desk.engine, "desk").session() as ledger:
        ledger.add_settlement(close(DAYS[0], "50000"), [], [])
        ledger.add_settlement(close(DAYS[1], "40000"), [], [])
    told(desk, "45000", timedelta(days=1).total_seconds())
    assert desk.store.equity(DAYS[1]).day_open == close(DAYS[0], "50000").equity
    known = desk.store.equity(DAYS[2])
    assert (known.day_open, known.peak) == (close(DAYS[1], "40000").equity, close(DAYS[0], "50000").equity)


@pytest.mark.control("W2")
def test_a_snapshot_says_whether_positions_agree(desk: Desk) -> None:
    assert desk.store.snapshot() is None
    wanted = desk.submitted()
    desk.apply(executed(wanted), Adopted(held("ZZZ", "-2"), Decimal(-2), "there before"))
    for positions, agrees in (
        ((held("AAA", "7"), held("ZZZ", "-2")), True),
        ((held("AAA", "7"),), False),
        ((held("AAA", "7"), held("ZZZ", "-2"), held("NEW", "1")), False),
        ((held("AAA", "6"), held("ZZZ", "-2")), False),
    ):
        desk.store.keep_snapshot(snapshot(*positions), token=desk.token, as_of=NOW)
        kept = desk.store.snapshot()
        assert kept is not None
        assert (kept.agrees, kept.positions, kept.at, kept.token) == (agrees, positions, NOW, desk.token)


# What is known


def test_what_is_over_leaves_and_what_can_still_trade_stays(desk: Desk) -> None:
    """Sessions after the last two with executions, an entry that filled stays for its stop, and goes with it."""
    old = desk.submitted("AAA", 1)
    desk.apply(executed(old, "a"), leg_changed(old, "entry", "filled"), IntentChanged(old.id, "FILLED"))
    for number, day in enumerate(DAYS[1:4], start=1):
        other = desk.submitted(f"S{number}", 10 * number, day=day)
        desk.apply(executed(other, f"b{number}", at_instant=at(day)), IntentChanged(other.id, "CANCELLED"))
        ended = [leg_changed(other, role, "cancelled") for role in ("entry", "stop", "target")]
        desk.apply(*ended)
    known = desk.store.known()
    assert [each.symbol for each in known.intents] == ["AAA", "S2", "S3"]
    assert known.booked == dict.fromkeys(("AAA", "S1", "S2", "S3"), Decimal(7))
    desk.apply(leg_changed(old, "stop", "cancelled"), leg_changed(old, "target", "cancelled"))
    assert [each.symbol for each in desk.store.known().intents] == ["S2", "S3"]


def test_a_session_is_told_to_decisions_and_settlements(desk: Desk) -> None:
    sent = desk.submitted("AAA", 1)
    (waits,) = proposed(desk.engine, "BBB", slot="10:00")
    desk.apply(
        executed(sent, "b", "3", at_instant=later(9)),
        executed(sent, "a", "4", at_instant=later(3)),
        FeeBooked(Commission("a", Decimal("0.40"))),
        Adopted(held("ZZZ", "20", "9.5"), Decimal(20), "there before"),
    )
    desk.store.keep_snapshot(snapshot(cash="1000"), token=desk.token, as_of=NOW)
    with reading(desk.engine) as connection:
        said = read_at_broker(connection, "desk", DAYS[0])
        other = read_at_broker(connection, "desk", DAYS[1])
    assert [(b.execution.exec_id, b.role, b.fee) for b in said.executions] == [
        ("a", "entry", Decimal("0.4000")),
        ("b", "entry", None),
    ]
    assert [(a.symbol, a.quantity, a.cash) for a in said.adoptions] == [
        ("ZZZ", Decimal(20), None),
        ("", Decimal(0), Decimal(1000)),
    ]
    assert {leg.key: leg.state for leg in said.legs if leg.intent_id == waits.id} == dict.fromkeys(
        (f"{waits.id}-entry", f"{waits.id}-stop", f"{waits.id}-target"), "planned"
    )
    book = book_now(Book(Decimal(0)), said, COSTS)
    assert {symbol: p.quantity for symbol, p in book.positions.items()} == {"AAA": 7, "ZZZ": 20}
    assert len(book.orders) == 6
    assert (other.executions, other.adoptions) == ((), ())


# Of the gateway's own making


def flatten(symbol: str = "AAA", quantity: int = 7, key: str = "flatten/AAA/1", cause: str = "the close") -> Reduction:
    return Reduction(key, symbol, "flatten", quantity, cause)


@pytest.mark.fault(9)
def test_one_occasion_makes_one_reduction_and_it_is_sent_under_a_halt(desk: Desk) -> None:
    wanted = desk.submitted()
    desk.apply(executed(wanted))
    made = desk.store.reduce(flatten(), contract(), token=desk.token, as_of=NOW)
    assert made is not None
    assert desk.store.reduce(flatten(quantity=5), contract(), token=desk.token, as_of=later(90_000)) is None
    assert desk.store.reduce(flatten(key="flatten/AAA/2"), contract(), token=desk.token, as_of=NOW) not in {None, made}
    desk.store.halt("everything stops", as_of=NOW)
    request = OrderRequest(f"{made}-flatten", f"D1:{made}", 50, contract(), "sell", "market", 7, "day")
    desk.store.submit(made, [NewLeg(request, "flatten")], token=desk.token, as_of=NOW)
    tracked = next(each for each in desk.store.known().intents if each.id == made)
    assert (tracked.opens, tracked.side, tracked.quantity, tracked.state) == (False, "sell", 7, "SUBMITTING")
    assert tracked.first_leg.key == f"{made}-flatten"
    waiting = desk.store.waiting()[0]
    assert (waiting.state, waiting.seals, waiting.intent.plan.reasons) == ("INTENT", (), ("the close",))
    assert desk.problems() == ()
    assert desk.store.newest_order_id(CLIENT) == 50


def test_a_short_position_is_bought_back_and_what_the_gateway_makes_never_opens(desk: Desk) -> None:
    desk.apply(Adopted(held("AAA", "-7"), Decimal(-7), "there before"))
    made = desk.store.reduce(flatten(), contract(), token=desk.token, as_of=NOW)
    (waiting,) = desk.store.waiting()
    assert (waiting.intent.id, waiting.intent.plan.side, waiting.intent.plan.reference) == (made, "short", Decimal(50))
    for strange in (flatten(quantity=0, key="k"), flatten(quantity=10**7, key="k")):
        with pytest.raises(PermanentFailure, match="needs shares"):
            desk.store.reduce(strange, contract(), token=desk.token, as_of=NOW)
    with pytest.raises(PermanentFailure, match="never opens"):
        desk.store.reduce(replace(flatten(key="k"), role="entry"), contract(), token=desk.token, as_of=NOW)
    with pytest.raises(PermanentFailure, match="another symbol's"):
        desk.store.reduce(flatten(), contract("BBB"), token=desk.token, as_of=NOW)


@pytest.fixture(scope="module")
def lone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A book in a file that many examples share."""
    engine = open_ledger(tmp_path_factory.mktemp("lone") / "desk.sqlite", durability="NORMAL")
    yield Desk(engine)
    engine.dispose()


@settings(max_examples=20, deadline=None)
@given(
    symbol=st.sampled_from(["AAA", "BRK.B", "ÄÖ"]),
    quantity=st.integers(-1_000_000, 1_000_000).filter(bool),
    cause=st.text(max_size=40),
    micros=st.integers(0, 999_999),
    price=st.decimals("0.0001", "99999", places=4),
)
def test_a_reduction_is_a_plan_like_any_other(
    lone: Desk, symbol: str, quantity: int, cause: str, micros: int, price: Decimal
) -> None:
    """The plan is written without the plan's model; read by it, it has the digest that the intent names."""
    moment = NOW.replace(microsecond=micros)
    now = lone.store.known().position(symbol)
    lone.apply(Adopted(held(symbol, str(now + 1), str(price)), Decimal(1), "one more"))
    reduction = Reduction(f"protect/{symbol}/{now}", symbol, "protect", quantity, cause)
    made = lone.store.reduce(reduction, contract(symbol), token=lone.token, as_of=moment)
    with reading(lone.engine) as connection:
        row = connection.execute(sa.select(INTENTS).where(INTENTS.c.id == made)).one()
    plan, verdict = intent_of(row).plan, intent_of(row).verdict
    assert plan.digest == row.plan_digest == verdict.plan_digest
    assert (plan.id, plan.quantity, plan.as_of) == (verdict.plan_id, abs(quantity), moment)
    with SqlLedger(lone.engine, "desk").reading() as ledger:
        (placed,) = [order for order, of in ledger.orders_placed(DAYS[0], DAYS[0]) if of.id == made]
    assert (placed.role, placed.side, placed.time_in_force) == ("stop", "buy" if quantity < 0 else "sell", "gtc")
    assert placed.placed_at == moment
