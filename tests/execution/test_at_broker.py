"""The book from what a broker told: shares and cash conserve, nothing is matched again, and a position may turn over."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from trading_assets.broker.lifecycle import Leg, LegRole, LegState
from trading_assets.broker.model import Execution, Side
from trading_assets.core.calendar import XNYS
from trading_assets.execution.at_broker import book_now, order_of, settle_told
from trading_assets.execution.model import Book, Costs, Position
from trading_assets.execution.settlement import Opening
from trading_assets.execution.told import Adoption, AtBroker, BookedExecution

DAY = date(2024, 3, 25)
AT = datetime(2024, 3, 25, 14, 0, tzinfo=UTC)
COSTS = Costs(Decimal("0.005"), Decimal(1), Decimal("0.01"), Decimal(2), Decimal("0.05"))
CASH = Decimal(100_000)


def executed(
    side: Side,
    quantity: int,
    price: str,
    *,
    number: int = 1,
    role: LegRole | None = "entry",
    fee: str | None = "1.0",
    symbol: str = "AAPL",
) -> BookedExecution:
    done = Execution(
        exec_id=f"x.{number}.01",
        perm_id=number,
        order_id=number,
        client_id=11,
        ref="D1:i",
        account="DU1234567",
        symbol=symbol,
        con_id=1,
        side=side,
        quantity=Decimal(quantity),
        price=Decimal(price),
        at=AT + timedelta(seconds=number),
    )
    key = f"i-{role}" if role else ""
    return BookedExecution(done, key, "i" if role else "", role, None if fee is None else Decimal(fee))


def leg(role: LegRole, *, state: LegState = "working", filled: int = 0, parent: str = "") -> Leg:
    return Leg(
        key=f"i-{role}",
        intent_id="i",
        ref="D1:i",
        role=role,
        symbol="AAPL",
        con_id=1,
        side="buy" if role == "entry" else "sell",
        kind="limit" if role == "entry" else "stop",
        quantity=10,
        state=state,
        filled=Decimal(filled),
        limit_price=Decimal(101) if role == "entry" else None,
        stop_price=None if role == "entry" else Decimal(95),
        parent_key=parent,
        sent_at=AT,
    )


def test_an_execution_moves_cash_and_shares_by_exactly_what_it_says() -> None:
    book = book_now(Book(CASH), AtBroker((executed("buy", 10, "100.5"),)), COSTS)
    assert book.cash == Decimal("98994.0000")
    assert book.positions == {"AAPL": Position("AAPL", 10, Decimal("1006.0000"))}


def test_a_fee_that_nobody_told_yet_is_estimated_and_never_zero() -> None:
    told = AtBroker((executed("buy", 400, "100", fee=None),))
    assert book_now(Book(CASH), told, COSTS).cash == CASH - 40_000 - Decimal(2)
    settled = settle_told(XNYS.session(DAY), Opening(Book(CASH), {}, ()), told, {"AAPL": Decimal(101)}, COSTS)
    assert (settled.fills[0].fee, settled.fills[0].reason) == (Decimal(2), "broker, fee estimated")


def test_a_sale_takes_shares_off_at_average_cost_and_the_last_one_leaves_nothing() -> None:
    told = AtBroker((executed("buy", 10, "100", fee="0"), executed("sell", 4, "110", number=2, role="stop", fee="0")))
    assert book_now(Book(CASH), told, COSTS).positions == {"AAPL": Position("AAPL", 6, Decimal("600.0000"))}
    rest = AtBroker((*told.executions, executed("sell", 6, "110", number=3, role="exit", fee="0")))
    assert book_now(Book(CASH), rest, COSTS).positions == {}


def test_a_position_that_the_broker_turned_over_opens_at_the_price_of_what_turned_it() -> None:
    told = AtBroker((executed("buy", 10, "100", fee="0"), executed("sell", 15, "90", number=2, role="exit", fee="0")))
    assert book_now(Book(CASH), told, COSTS).positions == {"AAPL": Position("AAPL", -5, Decimal("-450.0000"))}


def test_adopted_shares_count_at_what_they_cost_and_the_first_balance_replaces_the_cash() -> None:
    told = AtBroker(
        adoptions=(Adoption("", Decimal(0), Decimal(0), Decimal(5000)), Adoption("IBM", Decimal(7), Decimal("20.5")))
    )
    book = book_now(Book(CASH), told, COSTS)
    assert (book.cash, book.positions) == (Decimal(5000), {"IBM": Position("IBM", 7, Decimal("143.5000"))})


def test_an_execution_without_an_order_moves_the_book_and_is_no_fill_of_the_desk() -> None:
    told = AtBroker((executed("buy", 10, "100", role=None),))
    settled = settle_told(XNYS.session(DAY), Opening(Book(CASH), {}, ()), told, {}, COSTS)
    assert settled.fills == ()
    assert settled.close.book.positions["AAPL"].quantity == 10
    assert settled.close.prices == {"AAPL": Decimal("100.0000")}


def test_a_settled_session_is_worth_cash_and_closes() -> None:
    told = AtBroker((executed("buy", 10, "100"),), legs=(leg("stop"),))
    settled = settle_told(XNYS.session(DAY), Opening(Book(CASH), {}, ()), told, {"AAPL": Decimal(103)}, COSTS)
    assert settled.close.equity == CASH - 1 + 30
    assert (settled.close.fees, settled.close.traded_value) == (Decimal(1), Decimal(1000))
    assert [fill.role for fill in settled.fills] == ["entry"]
    assert settled.close.book.orders["i-stop"].stop_price == Decimal(95)


def test_what_the_gateway_did_by_itself_is_settled_as_an_exit_and_a_stop() -> None:
    told = AtBroker((executed("sell", 1, "9", role="flatten"), executed("sell", 1, "9", number=2, role="protect")))
    settled = settle_told(XNYS.session(DAY), Opening(Book(CASH), {}, ()), told, {"AAPL": Decimal(9)}, COSTS)
    assert [fill.role for fill in settled.fills] == ["exit", "stop"]


def test_a_leg_becomes_the_order_that_plans_and_signers_know() -> None:
    entry, stop = order_of(leg("entry", filled=4)), order_of(leg("stop", state="held", parent="i-entry"))
    assert (entry.status, entry.open_quantity, entry.time_in_force) == ("working", 6, "day")
    assert (stop.status, stop.parent_id, stop.time_in_force) == ("held", "i-entry", "gtc")


@given(st.lists(st.tuples(st.sampled_from(["buy", "sell"]), st.integers(1, 50), st.integers(1, 90_000)), max_size=12))
def test_cash_shares_and_cost_conserve(trades: list[tuple[Side, int, int]]) -> None:
    told = AtBroker(
        tuple(
            executed(side, quantity, str(Decimal(cents) / 100), number=number, fee="0")
            for number, (side, quantity, cents) in enumerate(trades)
        )
    )
    book = book_now(Book(CASH), told, COSTS)
    shares = sum(booked.execution.signed for booked in told.executions)
    spent = sum(booked.execution.signed * booked.execution.price for booked in told.executions)
    assert book.cash == CASH - spent
    held = book.positions.get("AAPL", Position("AAPL", 0, Decimal(0)))
    assert held.quantity == shares
    assert held.quantity * held.cost >= 0
