"""Accounting of fills, and what the book refuses."""

from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.execution.desks import book, bracket, order
from trading_assets.core.errors import PermanentFailure
from trading_assets.execution.book import apply_fill, cancel, held_quantity, place
from trading_assets.execution.model import Book, Fill, Order, Position

ENTRY = order("i-entry", type="limit", limit="100")


def fill(of: Order, quantity: int, price: str, fee: str = "1.00") -> Fill:
    return Fill(
        id=f"{of.id}#{of.fills + 1}",
        order_id=of.id,
        intent_id=of.intent_id,
        symbol=of.symbol,
        side=of.side,
        role=of.role,
        quantity=quantity,
        price=Decimal(price),
        fee=Decimal(fee),
        session=of.session,
        at=of.placed_at,
        reason="open",
    )


def test_a_purchase_costs_its_price_and_its_fee() -> None:
    after = apply_fill(book(ENTRY, cash=20_000), fill(ENTRY, 100, "99.50"))
    assert after.cash == Decimal("10049.00")
    assert after.positions["AAA"] == Position("AAA", 100, Decimal("9951.00"))
    assert after.positions["AAA"].average_cost == Decimal("99.51")


def test_a_second_purchase_averages_the_cost() -> None:
    first = apply_fill(book(ENTRY), fill(ENTRY, 60, "99"))
    second = apply_fill(first, fill(first.orders["i-entry"], 40, "101"))
    assert second.positions["AAA"] == Position("AAA", 100, Decimal("9982.00"))
    assert second.orders["i-entry"].status == "filled"
    assert second.orders["i-entry"].fills == 2


def test_cost_leaves_in_proportion_and_the_last_sale_takes_the_rest() -> None:
    sale = order("x", "exit", quantity=3)
    start = Book(Decimal(0), {"AAA": Position("AAA", 3, Decimal("100.0000"))}, {"x": sale})
    costs = []
    for _ in range(3):
        start = apply_fill(start, fill(start.orders["x"], 1, "50", "0"))
        costs.append(start.positions["AAA"].cost if "AAA" in start.positions else Decimal(0))
    assert costs == [Decimal("66.6667"), Decimal("33.3333"), Decimal(0)]
    assert start.cash == 150
    assert start.positions == {}


def test_the_book_before_a_fill_is_left_as_it_was() -> None:
    before = book(ENTRY)
    apply_fill(before, fill(ENTRY, 100, "99"))
    assert before == book(ENTRY)


@given(st.lists(st.tuples(st.integers(1, 500), st.integers(1, 100_000)), min_size=1, max_size=12), st.data())
@settings(deadline=None)
def test_buying_and_selling_everything_leaves_no_cost_behind(lots: list[tuple[int, int]], data: st.DataObject) -> None:
    total = sum(quantity for quantity, _ in lots)
    state = book(order("i", quantity=total), cash=10**9)
    for quantity, cents in lots:
        state = apply_fill(state, fill(state.orders["i"], quantity, str(Decimal(cents) / 100)))
    assert state.positions["AAA"].cost == 10**9 - state.cash
    state = place(state, [order("x", "exit", quantity=total)])
    while held := held_quantity(state, "AAA"):
        cost = state.positions["AAA"].cost
        sold = data.draw(st.integers(1, held))
        state = apply_fill(state, fill(state.orders["x"], sold, "10", "0"))
        left = state.positions["AAA"].cost if "AAA" in state.positions else Decimal(0)
        assert 0 <= left <= cost
        assert abs((cost - left) - cost * sold / held) <= Decimal("0.00005")
    assert state.positions == {}


def test_a_fill_beyond_its_order_is_refused() -> None:
    with pytest.raises(PermanentFailure, match="does not fit its order"):
        apply_fill(book(ENTRY), fill(ENTRY, 101, "99"))


def test_a_fill_of_an_unknown_order_is_refused() -> None:
    with pytest.raises(PermanentFailure, match="does not fit its order"):
        apply_fill(book(), fill(ENTRY, 1, "99"))


def test_a_fill_of_a_held_child_is_refused() -> None:
    entry, stop, target = bracket(ENTRY)
    with pytest.raises(PermanentFailure, match="does not fit its order"):
        apply_fill(book(entry, stop, target, held={"AAA": 100}), fill(stop, 1, "95"))


def test_a_fill_that_cash_cannot_pay_is_refused() -> None:
    with pytest.raises(PermanentFailure, match="more than the book's cash"):
        apply_fill(book(ENTRY, cash=9_900), fill(ENTRY, 100, "99"))


def test_a_fill_that_sells_more_than_is_held_is_refused() -> None:
    sale = order("x", "exit")
    with pytest.raises(PermanentFailure, match="sells more than is held"):
        apply_fill(book(sale, held={"AAA": 99}), fill(sale, 100, "99"))
    with pytest.raises(PermanentFailure, match="sells more than is held"):
        apply_fill(book(sale), fill(sale, 100, "99"))


def test_placing_keeps_the_orders_that_stand_already() -> None:
    state = place(book(ENTRY), [order("j", symbol="BBB")])
    assert sorted(state.orders) == ["i-entry", "j"]


def test_children_may_stand_before_their_entry_in_a_batch() -> None:
    assert len(book(*reversed(bracket(ENTRY))).orders) == 3


def test_children_may_join_an_entry_that_stands_in_the_book_unfilled() -> None:
    entry, *children = bracket(ENTRY)
    assert len(place(book(entry), children).orders) == 3
    with pytest.raises(PermanentFailure, match="parent_id is wrong"):
        place(apply_fill(book(entry), fill(entry, 1, "99")), children)


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"quantity": 0}, "quantity"),
    ({"quantity": -5}, "quantity"),
    ({"quantity": 1.5}, "quantity"),
    ({"quantity": True}, "quantity"),
    ({"filled": 1}, "filled"),
    ({"fills": 1}, "fills"),
    ({"status": "held"}, "status"),
    ({"status": "filled"}, "status"),
    ({"placed_at": datetime(2014, 1, 2, 9, 30)}, "placed_at"),  # noqa: DTZ001 - the fault under test
    ({"side": "hold"}, "side"),
    ({"limit_price": None}, "limit_price"),
    ({"limit_price": Decimal(0)}, "limit_price"),
    ({"limit_price": Decimal(-1)}, "limit_price"),
    ({"limit_price": Decimal("NaN")}, "limit_price"),
    ({"limit_price": Decimal("Infinity")}, "limit_price"),
    ({"limit_price": Decimal("100.005")}, "limit_price"),
    ({"stop_price": Decimal(95)}, "stop_price"),
    ({"type": "stop"}, "limit_price"),
    ({"type": "market"}, "limit_price"),
    ({"role": "exit", "side": "sell", "parent_id": "i-entry", "status": "held"}, "role"),
]


@pytest.mark.parametrize(("change", "field"), WRONG)
def test_a_wrong_order_is_refused_by_the_name_of_its_field(change: dict[str, Any], field: str) -> None:
    with pytest.raises(PermanentFailure, match=f"{field} is wrong"):
        book(replace(ENTRY, **change))


WRONG_CHILDREN: list[tuple[int, dict[str, Any], str]] = [
    (1, {"stop_price": Decimal(100)}, "stop_price"),  # a stop at the entry
    (1, {"stop_price": Decimal(105)}, "stop_price"),
    (2, {"limit_price": Decimal(100)}, "limit_price"),  # a target at the entry
    (2, {"limit_price": Decimal(94)}, "stop_price"),  # the stop is looked at first, and lies above it
    (1, {"parent_id": "nobody"}, "parent_id"),
    (1, {"parent_id": "i-target"}, "parent_id"),
    (1, {"symbol": "BBB"}, "parent_id"),
    (1, {"status": "working"}, "status"),
    (1, {"type": "market", "stop_price": None}, "type"),
    (2, {"type": "stop", "limit_price": None, "stop_price": Decimal(95), "role": "stop"}, "role"),
    (2, {"side": "buy"}, "side"),
]


@pytest.mark.parametrize(("position", "change", "field"), WRONG_CHILDREN)
def test_a_wrong_child_is_refused_by_the_name_of_its_field(position: int, change: dict[str, Any], field: str) -> None:
    orders = list(bracket(ENTRY))
    orders[position] = replace(orders[position], **change)
    with pytest.raises(PermanentFailure, match=f"{field} is wrong"):
        book(*orders)


def test_the_legs_of_a_market_entry_are_checked_against_one_another() -> None:
    with pytest.raises(PermanentFailure, match="stop_price is wrong"):
        book(*bracket(order("i-entry"), stop="110", target="105"))


def test_an_id_stands_once_in_a_book() -> None:
    with pytest.raises(PermanentFailure, match="id is wrong"):
        book(ENTRY, ENTRY)
    with pytest.raises(PermanentFailure, match="id is wrong"):
        place(book(ENTRY), [ENTRY])


def test_an_error_says_the_value_and_the_bound() -> None:
    with pytest.raises(PermanentFailure) as caught:
        book(replace(ENTRY, quantity=0))
    assert str(caught.value) == (
        "order i-entry: quantity is wrong | value: 0 | bound: 1 or more | next: mend the code that made the order"
    )


def test_cancelling_an_entry_cancels_the_children_that_wait_for_it() -> None:
    state = cancel(book(*bracket(ENTRY)), ["i-entry"], reason="halted")
    assert {o.id: o.reason for o in state.orders.values()} == {
        "i-entry": "halted",
        "i-stop": "its entry was cancelled: halted",
        "i-target": "its entry was cancelled: halted",
    }
    assert {o.status for o in state.orders.values()} == {"cancelled"}


def test_cancelling_a_partly_filled_entry_keeps_its_protection() -> None:
    entry, *children = bracket(ENTRY)
    state = cancel(apply_fill(book(entry, *children), fill(entry, 40, "99")), ["i-entry"], reason="halted")
    assert {o.id: (o.status, o.open_quantity) for o in state.orders.values()} == {
        "i-entry": ("cancelled", 0),
        "i-stop": ("working", 40),
        "i-target": ("working", 40),
    }


def test_cancelling_twice_keeps_the_first_reason() -> None:
    state = cancel(cancel(book(ENTRY), ["i-entry"], reason="first"), ["i-entry"], reason="second")
    assert state.orders["i-entry"].reason == "first"


def test_an_unknown_order_cannot_be_cancelled() -> None:
    with pytest.raises(PermanentFailure, match="only an order of the book"):
        cancel(book(), ["nobody"], reason="halted")


def test_held_quantity_is_nothing_without_a_position() -> None:
    assert held_quantity(book(held={"AAA": 7}), "AAA") == 7
    assert held_quantity(book(), "AAA") == 0
