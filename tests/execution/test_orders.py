"""An approved plan becomes a bracket, an exit becomes one market sale; ids come from the slot and never from the answer."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.signatures.gated import DAY, LOOSE, SLOT, holding, plan, portfolio
from tests.signatures.test_risk_gate import around, tight
from trading_assets.core.calendar import XNYS
from trading_assets.core.errors import DataNotReady, PermanentFailure
from trading_assets.execution.book import place
from trading_assets.execution.model import Book, Order, Position
from trading_assets.execution.orders import intent_for, orders_of
from trading_assets.execution.portfolio import portfolio_of
from trading_assets.execution.ports import Intent
from trading_assets.execution.settlement import Opening
from trading_assets.plans.model import TradePlan
from trading_assets.plans.portfolio import Holding, Pending
from trading_assets.signatures.risk_gate import judge


def _intent(asked: TradePlan, *, book: str = "backtest", quantity_max: int = 100_000) -> Intent:
    held = portfolio(holding(asked.symbol, quantity=1_000))
    free = portfolio() if asked.action == "enter" else held
    verdict = judge(asked, around(free, tight(order_quantity_max=quantity_max)))
    return intent_for(asked, verdict, book=book, limits_hash="pinned")


def _exit_plan(quantity: int = 100) -> TradePlan:
    return plan(quantity, stop=None, target=None)


def _told(order: Order) -> tuple[str, str, str, str, str, int]:
    return order.role, order.side, order.type, order.time_in_force, order.status, order.quantity


def test_an_entry_is_a_day_limit_with_stop_and_target_held_until_it_fills() -> None:
    intent = _intent(plan())
    entry, stop, target = orders_of(intent)
    assert [_told(order) for order in (entry, stop, target)] == [
        ("entry", "buy", "limit", "day", "working", 100),
        ("stop", "sell", "stop", "gtc", "held", 100),
        ("target", "sell", "limit", "gtc", "held", 100),
    ]
    assert (entry.limit_price, stop.stop_price, target.limit_price) == (Decimal(50), Decimal(49), Decimal(52))
    assert (stop.parent_id, target.parent_id, entry.parent_id) == (entry.id, entry.id, None)
    assert {(o.placed_at, o.session, o.intent_id) for o in (entry, stop, target)} == {(SLOT.at, DAY, intent.id)}


def test_an_exit_is_one_market_sale_for_the_day() -> None:
    (order,) = orders_of(_intent(_exit_plan()))
    assert _told(order) == ("exit", "sell", "market", "day", "working", 100)
    assert (order.limit_price, order.stop_price) == (None, None)


def test_orders_carry_the_quantity_of_the_verdict_and_not_of_the_plan() -> None:
    intent = _intent(plan(100), quantity_max=30)
    assert intent.quantity == 30
    assert {order.quantity for order in orders_of(intent)} == {30}


def test_an_intent_pins_plan_verdict_and_limits() -> None:
    intent = _intent(plan())
    assert intent.verdict.plan_digest == intent.plan.digest
    assert (intent.session, intent.slot, intent.limits_hash) == (DAY, "09:30", "pinned")


def test_the_same_idea_has_the_same_id_whatever_its_size_and_prices() -> None:
    assert _intent(plan(100)).id == _intent(plan(7, target="60.00")).id


def test_two_books_never_share_an_id() -> None:
    assert _intent(plan()).id != _intent(plan(), book="desk").id


def test_an_entry_and_an_exit_of_one_symbol_have_different_ids() -> None:
    assert _intent(plan()).id != _intent(_exit_plan()).id


@settings(deadline=None)
@given(st.integers(1, 5_000), st.integers(2_000, 90_000), st.integers(1, 1_900), st.integers(1, 4_000))
def test_every_approved_plan_makes_orders_that_the_broker_takes(
    quantity: int, entry: int, risk: int, reward: int
) -> None:
    asked = plan(
        quantity,
        entry=str(Decimal(entry) / 100),
        stop=str(Decimal(entry - risk) / 100),
        target=str(Decimal(entry + reward) / 100),
    )
    verdict = judge(asked, around(preferences=LOOSE))
    if verdict.quantity:
        orders = orders_of(intent_for(asked, verdict, book="backtest", limits_hash="pinned"))
        assert len(place(Book(Decimal(100_000)), orders).orders) == 3


def test_a_working_entry_counts_at_its_limit_and_its_children_do_not() -> None:
    intent = _intent(plan())
    book = place(Book(Decimal(100_000)), orders_of(intent))
    seen = portfolio_of(Opening(book, {}, ()), {}, DAY)
    assert seen.pending == (Pending("AAA", Decimal(5_000)),)
    assert (seen.holdings, seen.exiting, seen.equity) == ({}, frozenset(), Decimal(100_000))


def test_a_half_filled_entry_counts_with_its_open_half() -> None:
    entry, *_ = orders_of(_intent(plan()))
    book = Book(Decimal(100_000), orders={entry.id: replace(entry, filled=60)})
    assert portfolio_of(Opening(book, {}, ()), {}, DAY).pending == (Pending("AAA", Decimal(2_000)),)


def test_a_working_exit_marks_its_symbol_as_leaving() -> None:
    (order,) = orders_of(_intent(_exit_plan()))
    book = Book(Decimal(0), orders={order.id: order})
    assert portfolio_of(Opening(book, {}, ()), {}, DAY).exiting == {"AAA"}


def test_an_entry_without_a_limit_cannot_be_counted_and_is_refused() -> None:
    entry, *_ = orders_of(_intent(plan()))
    book = Book(Decimal(100_000), orders={entry.id: replace(entry, type="market", limit_price=None)})
    with pytest.raises(PermanentFailure, match="has no limit to count it at"):
        portfolio_of(Opening(book, {}, ()), {}, DAY)


def test_a_holding_is_worth_its_last_price_and_remembers_who_bought_it_when() -> None:
    intent = _intent(plan())
    book = Book(Decimal(5_000), {"AAA": Position("AAA", 100, Decimal(4_900))})
    seen = portfolio_of(Opening(book, {"AAA": Decimal("51.5")}, ()), {"AAA": intent}, XNYS.next(DAY, 20).day)
    assert seen.holdings["AAA"] == Holding("AAA", 100, Decimal(5_150), "momentum_breakout", DAY, 20)
    assert seen.equity == Decimal(10_150)


def test_a_position_without_a_price_stops_the_decision_rather_than_being_worth_nothing() -> None:
    book = Book(Decimal(5_000), {"AAA": Position("AAA", 100, Decimal(4_900))})
    with pytest.raises(DataNotReady, match="no price is known for the position in AAA"):
        portfolio_of(Opening(book, {}, ()), {"AAA": _intent(plan())}, DAY)
