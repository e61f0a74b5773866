"""Single orders against single bars: where, when, how much and at what cost."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from tests.execution.desks import FREE, RETAIL, SESSIONS, bar, book, one, order, run, told, why
from trading_assets.execution.matching import fee, match_session, payable
from trading_assets.execution.model import Costs, Order

SLIPPING = replace(FREE, slippage_bp=Decimal(10))
FIVE_PERCENT = replace(FREE, volume_share_max=Decimal("0.05"))


def test_a_market_order_fills_at_the_open() -> None:
    matched = one(book(order("a")), "100 102 99 101")
    assert told(matched) == [("a", 100, "100.00", "open")]
    assert matched.fills[0].at == SESSIONS[0].open
    assert matched.book.cash == 90_000


def test_slippage_moves_a_purchase_up_and_a_sale_down() -> None:
    assert told(one(book(order("a")), "100 102 99 101", SLIPPING)) == [("a", 100, "100.10", "open")]
    sale = order("a", "exit")
    assert told(one(book(sale, held={"AAA": 100}), "100 102 99 101", SLIPPING)) == [("a", 100, "99.90", "open")]


def test_prices_round_to_the_cent_against_the_trader() -> None:
    assert told(one(book(order("a")), "33.33 34 33 34", SLIPPING)) == [("a", 100, "33.37", "open")]
    sale = order("a", "exit")
    assert told(one(book(sale, held={"AAA": 100}), "33.33 34 33 34", SLIPPING)) == [("a", 100, "33.29", "open")]


def test_an_open_between_two_cents_rounds_against_the_trader_without_slippage() -> None:
    assert told(one(book(order("a")), "100.0025 102 99 101")) == [("a", 100, "100.01", "open")]
    assert told(one(book(order("a", "exit"), held={"AAA": 100}), "100.0075 102 99 101"))[0][2] == "100.00"


def test_a_sale_never_fills_below_one_cent() -> None:
    costs = replace(FREE, slippage_bp=Decimal(500))
    sale = order("a", "exit")
    assert told(one(book(sale, held={"AAA": 100}), "0.01 0.01 0.01 0.01", costs)) == [("a", 100, "0.01", "open")]


def test_an_order_waits_for_a_bar_that_starts_at_or_after_it_was_placed() -> None:
    late = order("a", at=SESSIONS[0].open + timedelta(minutes=30))
    first, second = run(book(late), [bar("100 102 99 101"), bar("103 104 102 103", day=1)])
    assert told(first) == []
    assert told(second) == [("a", 100, "103.00", "open")]


def test_a_day_order_that_was_placed_within_the_bar_ends_with_its_session() -> None:
    late = order("a", at=SESSIONS[0].open + timedelta(minutes=30), tif="day")
    matched = one(book(late), "100 102 99 101")
    assert why(matched) == {"a": "the session ended"}
    assert matched.book.orders == {}


def test_a_limit_purchase_fills_at_an_open_below_its_limit() -> None:
    assert told(one(book(order("a", type="limit", limit="101")), "100 102 99 101")) == [("a", 100, "100.00", "open")]


def test_a_limit_purchase_fills_at_an_open_that_equals_its_limit() -> None:
    assert told(one(book(order("a", type="limit", limit="100")), "100 102 100 101")) == [("a", 100, "100.00", "open")]


def test_a_limit_purchase_fills_at_its_limit_when_the_bar_trades_through_it() -> None:
    matched = one(book(order("a", type="limit", limit="99.50")), "100 102 99.49 101", SLIPPING)
    assert told(matched) == [("a", 100, "99.50", "limit")]
    assert matched.fills[0].at == SESSIONS[0].close


def test_a_mere_touch_fills_no_limit() -> None:
    bought = one(book(order("a", type="limit", limit="99.50")), "100 102 99.50 101")
    sold = one(book(order("b", "exit", "limit", limit="102"), held={"AAA": 100}), "100 102 99.50 101")
    assert told(bought) == told(sold) == []


def test_a_limit_sale_fills_at_a_better_open_and_else_at_its_limit() -> None:
    sale = order("a", "exit", "limit", limit="101")
    held = {"AAA": 100}
    assert told(one(book(sale, held=held), "103 104 102 103")) == [("a", 100, "103.00", "open")]
    assert told(one(book(sale, held=held), "100 101.01 99 100")) == [("a", 100, "101.00", "limit")]


def test_a_stop_fills_at_its_price_when_the_bar_touches_it() -> None:
    protective = order("a", "stop", "stop", stop="95")
    assert told(one(book(protective, held={"AAA": 100}), "100 101 95 96")) == [("a", 100, "95.00", "stop")]


def test_a_gap_through_the_stop_fills_at_the_open() -> None:
    protective = order("a", "stop", "stop", stop="95")
    matched = one(book(protective, held={"AAA": 100}), "90 99 89 98")
    assert told(matched) == [("a", 100, "90.00", "gap")]
    assert matched.fills[0].at == SESSIONS[0].open


def test_stops_pay_slippage_at_their_price_and_in_a_gap() -> None:
    protective = order("a", "stop", "stop", stop="95")
    assert told(one(book(protective, held={"AAA": 100}), "100 101 95 96", SLIPPING))[0][2] == "94.90"
    assert told(one(book(protective, held={"AAA": 100}), "90 99 89 98", SLIPPING))[0][2] == "89.91"


def test_a_stop_entry_buys_above_the_market() -> None:
    entry = order("a", type="stop", stop="103")
    assert told(one(book(entry), "100 102.99 99 101")) == []
    assert told(one(book(entry), "100 103 99 101")) == [("a", 100, "103.00", "stop")]
    assert told(one(book(entry), "104 105 103 105")) == [("a", 100, "104.00", "gap")]


def test_fills_of_a_bar_take_at_most_the_volume_share() -> None:
    matched = one(book(order("a", quantity=100)), "100 102 99 101", FIVE_PERCENT, volume=1_199)
    assert told(matched) == [("a", 59, "100.00", "open")]
    assert matched.book.orders["a"].open_quantity == 41


def test_what_the_volume_left_over_fills_on_later_bars_with_new_fill_ids() -> None:
    steps = run(book(order("a")), [bar("100 102 99 101", day=day, volume=900) for day in range(3)], FIVE_PERCENT)
    assert [(fill.id, fill.quantity) for step in steps for fill in step.fills] == [
        ("a#1", 45),
        ("a#2", 45),
        ("a#3", 10),
    ]
    assert [len(step.filled) for step in steps] == [0, 0, 1]


def test_the_unfilled_rest_of_a_day_order_is_cancelled_at_the_end_of_the_session() -> None:
    matched = one(book(order("a", tif="day")), "100 102 99 101", FIVE_PERCENT, volume=900)
    assert told(matched) == [("a", 45, "100.00", "open")]
    assert why(matched) == {"a": "the session ended"}
    assert matched.cancelled[0].filled == 45


def test_a_day_order_lives_on_while_the_session_has_more_bars() -> None:
    matched = run(book(order("a", tif="day")), [bar("100 102 99 101", volume=900)], FIVE_PERCENT, session_ends=False)[0]
    assert matched.book.orders["a"].open_quantity == 55
    assert matched.cancelled == ()


def test_two_orders_of_a_symbol_share_one_volume() -> None:
    matched = one(book(order("a"), order("b")), "100 102 99 101", FIVE_PERCENT, volume=3_000)
    assert told(matched) == [("a", 100, "100.00", "open"), ("b", 50, "100.00", "open")]


def test_a_bar_without_volume_and_a_missing_bar_fill_and_trigger_nothing() -> None:
    start = book(order("a"), order("b", "stop", "stop", stop="105"), held={"AAA": 100})
    for bars in ({}, {"AAA": bar("100 102 99 101", volume=0)}):
        matched = match_session(start, bars, FREE)
        assert matched.fills == ()
        assert matched.book == start


def test_a_protective_stop_obeys_the_volume_share_and_finishes_at_the_next_open() -> None:
    protective = order("a", "stop", "stop", stop="95")
    bars = [bar("100 101 94 100", volume=1_000), bar("99 101 98 100", day=1)]
    first, second = run(book(protective, held={"AAA": 100}), bars, FIVE_PERCENT)
    assert told(first) == [("a", 50, "95.00", "stop")]
    assert told(second) == [("a", 50, "99.00", "open")]


def test_a_stop_that_was_triggered_on_a_bar_too_thin_to_fill_is_not_forgotten() -> None:
    protective = order("a", "stop", "stop", stop="95")
    bars = [bar("100 101 94 100", volume=19), bar("99 101 98 100", day=1)]
    first, second = run(book(protective, held={"AAA": 100}), bars, FIVE_PERCENT)
    assert told(first) == []
    assert told(second) == [("a", 100, "99.00", "open")]


def test_a_purchase_is_cut_to_what_cash_pays_with_the_fee() -> None:
    costs = Costs(Decimal(0), Decimal(1), Decimal(1), Decimal(0), Decimal(1))
    matched = one(book(order("a"), cash=5_000), "100 102 99 101", costs)
    assert told(matched) == [("a", 49, "100.00", "open")]
    assert matched.book.cash == 99
    assert why(matched) == {"a": "cash does not pay for it"}


def test_a_purchase_that_cash_cannot_pay_at_all_is_cancelled() -> None:
    matched = one(book(order("a"), cash=99), "100 102 99 101")
    assert told(matched) == []
    assert matched.book.cash == 99
    assert why(matched) == {"a": "cash does not pay for it"}


def test_cash_is_asked_only_for_what_the_volume_lets_through() -> None:
    matched = one(book(order("a"), cash=5_000), "100 102 99 101", FIVE_PERCENT, volume=1_000)
    assert told(matched) == [("a", 50, "100.00", "open")]
    assert matched.book.orders["a"].open_quantity == 50


def test_sales_at_the_open_pay_for_purchases_at_the_open_in_the_order_of_their_ids() -> None:
    sale, purchase = order("a", "exit"), order("b", symbol="BBB")
    bars = {"AAA": bar("100 101 99 100"), "BBB": bar("100 101 99 100", symbol="BBB")}
    assert len(match_session(book(sale, purchase, cash=0, held={"AAA": 100}), bars, FREE).fills) == 2


@pytest.mark.parametrize(
    "sale", [order("a", "exit", "limit", limit="101"), order("a", "stop", "stop", stop="99")], ids=["limit", "stop"]
)
def test_a_sale_inside_the_bar_pays_for_no_purchase_of_that_bar(sale: Order) -> None:
    purchase = order("b", type="limit", limit="99", symbol="BBB")
    bars = {"AAA": bar("100 102 98 100"), "BBB": bar("100 101 98 100", symbol="BBB")}
    matched = match_session(book(sale, purchase, cash=0, held={"AAA": 100}), bars, FREE)
    assert [fill.order_id for fill in matched.fills] == ["a"]
    assert why(matched) == {"b": "cash does not pay for it"}


def test_a_sale_of_more_than_is_held_is_cut() -> None:
    matched = one(book(order("a", "exit", quantity=100), held={"AAA": 60}), "100 102 99 101")
    assert told(matched) == [("a", 60, "100.00", "open")]
    assert matched.book.positions == {}
    assert why(matched) == {"a": "nothing is held"}


def test_a_sale_without_a_holding_is_cancelled_with_its_reason() -> None:
    matched = one(book(order("a", "exit")), "100 102 99 101")
    assert told(matched) == []
    assert why(matched) == {"a": "nothing is held"}


@pytest.mark.parametrize(
    ("price", "quantity", "expected"),
    [
        ("100", 1000, "5.00"),  # 1,000 x 0.005
        ("100", 100, "1.00"),  # the minimum
        ("0.50", 100, "0.50"),  # 1 % of 50 caps the minimum
        ("100", 333, "1.67"),  # 1.665 rounds up
        ("7.77", 3, "0.24"),  # 1 % of 23.31 is 0.2331, up to a cent
    ],
)
def test_the_fee_has_a_minimum_a_cap_and_rounds_up(price: str, quantity: int, expected: str) -> None:
    assert fee(RETAIL, Decimal(price), quantity) == Decimal(expected)


def test_the_fee_leaves_cash_on_both_sides() -> None:
    bought = one(
        book(order("a", quantity=1000), cash=200_000), "100 102 99 101", replace(RETAIL, slippage_bp=Decimal(0))
    )
    assert bought.book.cash == Decimal("99995.00")
    assert bought.book.positions["AAA"].cost == Decimal("100005.00")
    sale = order("b", "exit", quantity=1000)
    sold = one(book(sale, cash=0, held={"AAA": 1000}), "100 102 99 101", replace(RETAIL, slippage_bp=Decimal(0)))
    assert sold.book.cash == Decimal("99995.00")


def test_payable_is_the_last_quantity_whose_total_fits() -> None:
    assert payable(Decimal("1001.00"), Decimal(100), RETAIL, at_most=100) == 10
    assert payable(Decimal("1000.99"), Decimal(100), RETAIL, at_most=100) == 9
    assert payable(Decimal(0), Decimal(100), RETAIL, at_most=100) == 0
    assert payable(Decimal(10**9), Decimal(100), RETAIL, at_most=100) == 100


def test_orders_are_processed_by_placement_and_then_by_id() -> None:
    early = order("z", at=SESSIONS[0].open - timedelta(minutes=1), quantity=60)
    matched = one(book(order("b", quantity=60), order("a", quantity=60), early, cash=15_000), "100 102 99 101")
    assert told(matched) == [("z", 60, "100.00", "open"), ("a", 60, "100.00", "open"), ("b", 30, "100.00", "open")]


def test_matching_the_same_bar_again_gives_the_same_fills() -> None:
    start = book(order("a"), order("b", type="limit", limit="99.50"))
    assert one(start, "100 102 99 101", RETAIL) == one(start, "100 102 99 101", RETAIL)


def test_closed_orders_leave_the_book_once() -> None:
    first, second = run(
        book(order("a"), order("b", tif="day", type="limit", limit="1")), [bar("100 102 99 101", day=n) for n in (0, 1)]
    )
    assert [closed.id for closed in first.filled] == ["a"]
    assert [closed.id for closed in first.cancelled] == ["b"]
    assert second.filled == second.cancelled == ()
    assert second.book.orders == {}
