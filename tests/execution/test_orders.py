"""An approved plan becomes a bracket, an exit or a trim one market order; ids come from the slot and never from the answer."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.signatures.gated import DAY, LOOSE, SLOT, around, holding, leaving, plan, portfolio, short, tight
from trading_assets.core.calendar import XNYS
from trading_assets.core.errors import DataNotReady, PermanentFailure
from trading_assets.execution.book import place
from trading_assets.execution.model import Book, Order, Position
from trading_assets.execution.orders import intent_for, orders_of
from trading_assets.execution.portfolio import portfolio_of, ratios_since
from trading_assets.execution.ports import Intent
from trading_assets.execution.settlement import Opening
from trading_assets.plans.model import PlanSide, TradePlan
from trading_assets.plans.portfolio import Holding
from trading_assets.signatures.exposure import PendingEntry
from trading_assets.signatures.risk_gate import judge


def _intent(asked: TradePlan, *, book: str = "backtest", quantity_max: int = 100_000) -> Intent:
    sign = 1 if asked.side == "long" else -1
    held = portfolio(holding(asked.symbol, 1_000 * sign, quantity=1_000 * sign))
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


def test_a_short_plan_sells_first_and_its_legs_buy_back() -> None:
    entry, stop, target = orders_of(_intent(short()))
    assert [_told(order) for order in (entry, stop, target)] == [
        ("entry", "sell", "limit", "day", "working", 100),
        ("stop", "buy", "stop", "gtc", "held", 100),
        ("target", "buy", "limit", "gtc", "held", 100),
    ]
    assert (entry.limit_price, stop.stop_price, target.limit_price) == (Decimal(50), Decimal(51), Decimal(48))


def test_an_addition_is_a_bracket_of_its_own() -> None:
    addition, stop, target = orders_of(_intent(plan(action="add")))
    assert _told(addition) == ("addition", "buy", "limit", "day", "working", 100)
    assert (stop.parent_id, target.parent_id) == (addition.id, addition.id)


@pytest.mark.parametrize(("side", "closing"), [("long", "sell"), ("short", "buy")])
def test_a_trim_is_one_market_order_that_reduces(side: PlanSide, closing: str) -> None:
    (order,) = orders_of(_intent(leaving(30, side=side, action="trim")))
    assert _told(order) == ("exit", closing, "market", "day", "working", 30)


def test_the_styles_with_a_limit_are_day_limits_at_the_plans_entry() -> None:
    for style in ("capped_limit", "passive_limit", "bid_plus_tick"):
        entry, *_ = orders_of(_intent(plan().model_copy(update={"style": style})))
        assert (entry.type, entry.limit_price, entry.time_in_force) == ("limit", Decimal(50), "day")


def test_a_market_style_has_no_limit() -> None:
    entry, *_ = orders_of(replace(_intent(plan()), plan=plan().model_copy(update={"style": "market"})))
    assert (entry.type, entry.limit_price) == ("market", None)


@pytest.mark.parametrize(("asked", "closing"), [(plan(), "sell"), (short(), "buy")])
def test_a_plan_that_ends_with_its_session_has_a_leg_that_trades_at_the_close(asked: TradePlan, closing: str) -> None:
    intent = _intent(asked.model_copy(update={"flat_by_close": True}))
    entry, *_, close = orders_of(intent)
    assert _told(close) == ("close", closing, "market", "day", "held", 100)
    assert (close.parent_id, close.id) == (entry.id, f"{intent.id}-close")
    assert len(place(Book(Decimal(100_000)), orders_of(intent)).orders) == 4


def test_a_working_entry_counts_at_its_limit_and_its_children_do_not() -> None:
    intent = _intent(plan())
    book = place(Book(Decimal(100_000)), orders_of(intent))
    seen = portfolio_of(Opening(book, {}, ()), {}, DAY)
    assert seen.pending == (PendingEntry("AAA", Decimal(5_000), "long", 100, Decimal(100)),)
    assert (seen.holdings, seen.exiting, seen.equity) == ({}, frozenset(), Decimal(100_000))


def test_a_half_filled_entry_counts_with_its_open_half() -> None:
    orders = {order.id: order for order in orders_of(_intent(plan()))}
    entry = next(iter(orders.values()))
    book = Book(Decimal(100_000), orders={**orders, entry.id: replace(entry, filled=60)})
    seen = portfolio_of(Opening(book, {}, ()), {}, DAY)
    assert seen.pending == (PendingEntry("AAA", Decimal(2_000), "long", 40, Decimal(40)),)


def test_a_pending_short_counts_with_its_side_and_what_it_loses_at_its_stop() -> None:
    book = place(Book(Decimal(100_000)), orders_of(_intent(short())))
    seen = portfolio_of(Opening(book, {}, ()), {}, DAY)
    assert seen.pending == (PendingEntry("AAA", Decimal(5_000), "short", 100, Decimal(100)),)


def test_all_of_a_pending_entry_without_a_stop_is_at_risk() -> None:
    entry, *_ = orders_of(_intent(plan()))
    book = Book(Decimal(100_000), orders={entry.id: entry})
    assert portfolio_of(Opening(book, {}, ()), {}, DAY).pending[0] == PendingEntry(
        "AAA", Decimal(5_000), "long", 100, Decimal(5_000)
    )


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
    book = Book(Decimal(5_000), {"AAA": Position("AAA", 100, Decimal(4_901))})
    seen = portfolio_of(Opening(book, {"AAA": Decimal("51.5")}, ()), {"AAA": intent}, XNYS.next(DAY, 20).day)
    assert seen.holdings["AAA"] == Holding(
        symbol="AAA",
        quantity=100,
        value=Decimal(5_150),
        strategy="momentum_breakout",
        opened=DAY,
        sessions_held=20,
        thesis_id="thesis",
        entry=Decimal("49.01"),
        stop=None,
        target=None,
        base_quantity=100,
        pair="",
    )
    assert seen.equity == Decimal(10_150)


def _protected(asked: TradePlan, *more: Order) -> Holding:
    """The holding of a filled bracket, with further orders beside it."""
    intent = _intent(asked)
    _, *legs = orders_of(intent)
    working = [replace(leg, status="working", parent_id=None) for leg in (*legs, *more)]
    quantity, cost = (100, 5_001) if asked.side == "long" else (-100, -4_999)
    book = Book(Decimal(0), {"AAA": Position("AAA", quantity, Decimal(cost))}, {leg.id: leg for leg in working})
    return portfolio_of(Opening(book, {"AAA": Decimal(50)}, ()), {"AAA": intent}, DAY).holdings["AAA"]


def test_a_holding_knows_the_stop_and_the_target_that_rest_at_the_broker() -> None:
    long, owed = _protected(plan()), _protected(short(pair="p"))
    assert (long.stop, long.target, long.entry, long.side) == (Decimal(49), Decimal(52), Decimal("50.01"), "long")
    assert (owed.stop, owed.target, owed.entry, owed.side) == (Decimal(51), Decimal(48), Decimal("49.99"), "short")
    assert (owed.quantity, owed.value, owed.pair) == (-100, Decimal(-5_000), "p")


@pytest.mark.parametrize(
    ("asked", "further", "stop", "target"),
    [
        (plan(), plan(action="add", stop="48.00", target="53.00"), "48", "52"),
        (plan(), plan(action="add", stop="49.50", target="51.00"), "49", "51"),
        (short(), short(action="add", stop="52.00", target="47.00"), "52", "48"),
    ],
)
def test_the_widest_stop_and_the_nearest_target_of_several_brackets_count(
    asked: TradePlan, further: TradePlan, stop: str, target: str
) -> None:
    _, *more = orders_of(_intent(further))
    seen = _protected(asked, *more)
    assert (seen.stop, seen.target) == (Decimal(stop), Decimal(target))


def test_the_first_size_of_a_holding_is_told_in_todays_share_count() -> None:
    intent, day = _intent(plan(25)), XNYS.next(DAY, 3).day
    rows = [
        {"symbol": "AAA", "session": XNYS.next(DAY, n).day, "kind": kind, "ratio": ratio}
        for n, kind, ratio in [(0, "split", 7.0), (1, "split", 2.0), (2, "cash_dividend", 1.0), (3, "split", 1.5)]
    ]
    strangers = [{**rows[1], "symbol": "BBB"}, {**rows[1], "session": XNYS.next(DAY, 4).day}]
    ratios = ratios_since({"AAA": intent}, [*rows, *strangers], day)
    assert ratios == {"AAA": Decimal(3)}
    book = Book(Decimal(0), {"AAA": Position("AAA", 75, Decimal(1_250))})
    seen = portfolio_of(Opening(book, {"AAA": Decimal(20)}, ()), {"AAA": intent}, day, ratios=ratios)
    assert seen.holdings["AAA"].base_quantity == 75


def test_a_position_without_a_price_stops_the_decision_rather_than_being_worth_nothing() -> None:
    book = Book(Decimal(5_000), {"AAA": Position("AAA", 100, Decimal(4_900))})
    with pytest.raises(DataNotReady, match="no price is known for the position in AAA"):
        portfolio_of(Opening(book, {}, ()), {"AAA": _intent(plan())}, DAY)
