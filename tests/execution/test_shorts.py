"""Short positions: sold first and bought back, the mirror image of long ones, and never turned over."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from tests.execution.desks import FREE, RETAIL, SESSIONS, bar, book, bracket, one, order, run, told, why
from tests.execution.test_book import fill
from trading_assets.core.errors import DataNotReady, PermanentFailure
from trading_assets.execution.book import apply_fill, place, reducible
from trading_assets.execution.corporate import Action, ActionResult, apply_actions
from trading_assets.execution.model import Book, Order, Position
from trading_assets.execution.ports import DividendPaid

SALE = order("i-entry", side="sell")
LIMIT_SALE = order("i-entry", type="limit", side="sell", limit="100")
SHORT = bracket(SALE, stop="105", target="90")
LIMIT_SHORT = bracket(LIMIT_SALE, stop="105", target="90")
FIVE_PERCENT = replace(FREE, volume_share_max=Decimal("0.05"))
DAY = SESSIONS[1].day


def acted(start: Book, kind: str, number: str, *, close: str | None = "100") -> ActionResult:
    action = Action("AAA", DAY, "split", ratio=Decimal(number))
    if kind == "dividend":
        action = Action("AAA", DAY, "cash_dividend", amount=Decimal(number))
    closes = {"AAA": Decimal(close)} if close else {}
    return apply_actions(start, [action], session=DAY, last_close=closes)


# Accounting


def test_a_short_sale_brings_its_proceeds_less_the_fee_and_costs_the_negative_of_that() -> None:
    after = apply_fill(book(SALE, cash=1_000), fill(SALE, 100, "99.50"))
    assert after.cash == Decimal("10949.00")
    assert after.positions["AAA"] == Position("AAA", -100, Decimal("-9949.00"))
    assert after.positions["AAA"].average_cost == Decimal("99.49")


def test_a_short_position_is_worth_less_the_more_the_price_rises() -> None:
    state = book(cash=20_000, held={"AAA": -100})
    assert state.market_value({"AAA": Decimal(103)}) == -10_300
    assert state.equity({"AAA": Decimal(103)}) == 9_700
    assert state.market_value({"AAA": Decimal(103)}) - state.positions["AAA"].cost == -300


def test_a_second_sale_averages_the_proceeds() -> None:
    first = apply_fill(book(SALE), fill(SALE, 60, "99"))
    second = apply_fill(first, fill(first.orders["i-entry"], 40, "101"))
    assert second.positions["AAA"] == Position("AAA", -100, Decimal("-9978.00"))


def test_proceeds_leave_in_proportion_and_the_last_purchase_takes_the_rest() -> None:
    cover = order("x", "exit", quantity=3, side="buy")
    state = Book(Decimal(300), {"AAA": Position("AAA", -3, Decimal("-100.0000"))}, {"x": cover})
    costs = []
    for _ in range(3):
        state = apply_fill(state, fill(state.orders["x"], 1, "50", "0"))
        costs.append(state.positions["AAA"].cost if "AAA" in state.positions else Decimal(0))
    assert costs == [Decimal("-66.6667"), Decimal("-33.3333"), Decimal(0)]
    assert state.cash == 150
    assert state.positions == {}


def test_what_a_short_sale_brought_in_is_no_buying_power() -> None:
    state = book(cash=15_000, held={"AAA": -100, "BBB": 10})
    assert state.buying_power == 5_000
    assert book(cash=15_000, held={"BBB": 10}).buying_power == 15_000


def test_the_broker_buys_nothing_with_the_proceeds_of_a_short_sale() -> None:
    purchase = order("p-entry", symbol="BBB", quantity=100)
    start = book(purchase, cash=15_000, held={"AAA": -100})
    matched = run(start, [bar("100 101 99 100", symbol="BBB")])[0]
    assert told(matched) == [("p-entry", 50, "100.00", "open")]
    assert why(matched) == {"p-entry": "cash does not pay for it"}


def test_a_purchase_beyond_the_buying_power_is_refused_by_the_book() -> None:
    purchase = order("p-entry", symbol="BBB")
    with pytest.raises(PermanentFailure, match="more than the book's cash"):
        apply_fill(book(purchase, cash=15_000, held={"AAA": -100}), fill(purchase, 51, "100"))


def test_buying_back_is_never_refused_for_want_of_cash() -> None:
    """A stop that waits for money is no stop: the loss is booked, and the cash is below zero."""
    cover = order("x", "exit", side="buy")
    matched = one(book(cover, cash=10_500, held={"AAA": -100}), "120 121 119 120")
    assert told(matched) == [("x", 100, "120.00", "open")]
    assert matched.book.cash == -1_500


def test_nothing_is_bought_while_the_cash_is_below_zero() -> None:
    purchase = order("p-entry", type="limit", limit="100")
    matched = one(replace(book(purchase), cash=Decimal(-1)), "99 101 98 100")
    assert (told(matched), why(matched)) == ([], {"p-entry": "cash does not pay for it"})


# Orders and fills


def test_a_market_sale_fills_at_the_open_and_slips_down() -> None:
    slipping = replace(FREE, slippage_bp=Decimal(10))
    assert told(one(book(SALE), "100 102 99 101", slipping)) == [("i-entry", 100, "99.90", "open")]


def test_a_short_sale_needs_no_cash_but_for_its_fee() -> None:
    assert told(one(book(SALE, cash=0), "100 102 99 101", RETAIL)) == [("i-entry", 100, "99.98", "open")]


def test_a_limit_sale_fills_at_a_better_open_and_else_when_the_bar_trades_through_it() -> None:
    assert told(one(book(LIMIT_SALE), "101 102 99 100")) == [("i-entry", 100, "101.00", "open")]
    assert told(one(book(LIMIT_SALE), "99 100.01 98 99")) == [("i-entry", 100, "100.00", "limit")]
    assert told(one(book(LIMIT_SALE), "99 100 98 99")) == []


def test_a_stop_sale_opens_below_the_market() -> None:
    entry = order("i-entry", type="stop", side="sell", stop="97")
    assert told(one(book(entry), "100 101 97 98")) == [("i-entry", 100, "97.00", "stop")]
    assert told(one(book(entry), "96 97 95 96")) == [("i-entry", 100, "96.00", "gap")]


def test_the_stop_of_a_short_lies_above_and_buys_back_at_worse_than_it() -> None:
    costs = replace(FREE, slippage_bp=Decimal(10))
    _, second = run(book(*SHORT), [bar("100 101 99 100"), bar("104 106 103 105", day=1)], costs)
    assert told(second) == [("i-stop", 100, "105.11", "stop")]
    assert why(second) == {"i-target": "the stop filled"}
    assert second.book.positions == {}


def test_a_gap_above_the_stop_buys_back_at_the_open() -> None:
    _, second = run(book(*SHORT), [bar("100 101 99 100"), bar("111 112 110 111", day=1)])
    assert told(second) == [("i-stop", 100, "111.00", "gap")]
    assert second.book.cash == 98_900


def test_the_target_of_a_short_lies_below_and_buys_back_at_its_price() -> None:
    _, second = run(book(*SHORT), [bar("100 101 99 100"), bar("95 96 89.99 91", day=1)])
    assert told(second) == [("i-target", 100, "90.00", "limit")]
    assert why(second) == {"i-stop": "the target filled"}
    assert second.book.cash == 101_000


def test_a_bar_that_reaches_both_legs_of_a_short_fills_the_stop() -> None:
    _, second = run(book(*SHORT), [bar("100 101 99 100"), bar("100 110 80 90", day=1)])
    assert told(second) == [("i-stop", 100, "105.00", "stop")]


def test_a_short_entry_inside_the_bar_exposes_only_its_stop() -> None:
    assert told(one(book(*LIMIT_SHORT), "98 101 85 90")) == [("i-entry", 100, "100.00", "limit")]
    assert told(one(book(*LIMIT_SHORT), "98 106 85 90")) == [
        ("i-entry", 100, "100.00", "limit"),
        ("i-stop", 100, "105.00", "stop"),
    ]


def test_a_short_entry_at_the_open_exposes_stop_and_target() -> None:
    assert told(one(book(*LIMIT_SHORT), "100 101 85 90"))[1:] == [("i-target", 100, "90.00", "limit")]


def test_the_legs_of_a_short_cover_what_has_been_sold_and_shrink_together() -> None:
    bars = [bar("100 101 99 100", volume=900), bar("100 101 99 100", day=1, volume=900)]
    first, second = run(book(*SHORT), bars, FIVE_PERCENT)
    assert [first.book.orders[leg].open_quantity for leg in ("i-stop", "i-target")] == [45, 45]
    assert [second.book.orders[leg].open_quantity for leg in ("i-stop", "i-target")] == [90, 90]
    third = run(second.book, [bar("91 92 89 90", day=2, volume=600)], FIVE_PERCENT)[0]
    assert told(third)[-1] == ("i-target", 20, "90.00", "limit")
    assert third.book.orders["i-stop"].open_quantity == third.book.orders["i-target"].open_quantity
    assert third.book.orders["i-stop"].open_quantity == -third.book.positions["AAA"].quantity


def test_a_cover_of_more_than_is_owed_is_cut() -> None:
    matched = one(book(order("x", "exit", side="buy"), held={"AAA": -60}), "100 102 99 101")
    assert told(matched) == [("x", 60, "100.00", "open")]
    assert (matched.book.positions, why(matched)) == ({}, {"x": "nothing is held"})


@pytest.mark.parametrize(("held", "side"), [(60, "buy"), (-60, "sell"), (0, "buy"), (0, "sell")])
def test_what_reduces_never_enlarges_or_opens(held: int, side: Any) -> None:
    holding = {"AAA": held} if held else {}
    matched = one(book(order("x", "exit", side=side), held=holding), "100 102 99 101")
    assert (told(matched), why(matched)) == ([], {"x": "nothing is held"})


@pytest.mark.parametrize("held", [60, -60])
def test_an_entry_against_a_position_is_cancelled_and_turns_nothing_over(held: int) -> None:
    entry = order("i-entry", side="sell" if held > 0 else "buy")
    matched = one(book(*bracket(entry, stop=None, target=None), held={"AAA": held}), "100 102 99 101")
    assert (told(matched), why(matched)) == ([], {"i-entry": "the other side is held"})


def test_a_fill_that_would_turn_a_position_over_is_refused_by_the_book() -> None:
    with pytest.raises(PermanentFailure, match="opens against a position"):
        apply_fill(book(SALE, held={"AAA": 60}), fill(SALE, 100, "100"))
    cover = order("x", "exit", side="buy")
    with pytest.raises(PermanentFailure, match="buys back more than is owed"):
        apply_fill(book(cover, held={"AAA": -60}), fill(cover, 61, "100"))


@pytest.mark.parametrize(
    ("held", "side", "most"), [(5, "sell", 5), (5, "buy", 0), (-5, "buy", 5), (-5, "sell", 0), (0, "buy", 0)]
)
def test_only_the_side_against_a_position_reduces_it(held: int, side: Any, most: int) -> None:
    assert reducible(held, side) == most


# What the book takes


@pytest.mark.parametrize(
    ("position", "change", "field"),
    [
        (1, {"stop_price": Decimal(100)}, "stop_price"),
        (1, {"stop_price": Decimal(95)}, "stop_price"),
        (2, {"limit_price": Decimal(100)}, "limit_price"),
        (2, {"limit_price": Decimal(101)}, "limit_price"),
        (1, {"side": "sell"}, "side"),
        (2, {"side": "sell"}, "side"),
    ],
)
def test_a_wrong_child_of_a_short_entry_is_refused(position: int, change: dict[str, Any], field: str) -> None:
    orders = list(LIMIT_SHORT)
    orders[position] = replace(orders[position], **change)
    with pytest.raises(PermanentFailure, match=f"{field} is wrong"):
        book(*orders)


def test_the_legs_of_a_short_market_entry_are_checked_against_one_another() -> None:
    with pytest.raises(PermanentFailure, match="stop_price is wrong"):
        book(*bracket(SALE, stop="90", target="95"))


# Splits and dividends


def test_who_is_short_pays_the_dividend() -> None:
    result = acted(book(cash=1_000, held={"AAA": -300}), "dividend", "0.2475")
    assert (result.book.cash, result.cash_dividends) == (Decimal("925.75"), Decimal("-74.25"))
    assert result.payments == (DividendPaid(DAY, "AAA", Decimal("-74.25")),)


def test_a_split_multiplies_what_is_owed_and_keeps_the_proceeds() -> None:
    assert acted(book(held={"AAA": -300}), "split", "2").book.positions["AAA"] == Position(
        "AAA", -600, Decimal(-30_000)
    )


def test_what_is_left_of_an_owed_share_is_paid_by_who_is_short() -> None:
    result = acted(book(cash=100, held={"AAA": -5}), "split", "1.5")
    assert result.book.positions["AAA"].quantity == -7
    assert result.cash_in_lieu == Decimal("-33.3333")
    with pytest.raises(DataNotReady, match="no previous close"):
        acted(book(held={"AAA": -5}), "split", "1.5", close=None)


def test_a_split_that_leaves_no_whole_share_closes_a_short_and_ends_its_orders() -> None:
    protective = order("s", "stop", "stop", 3, side="buy", stop="110")
    result = acted(book(protective, cash=1_000, held={"AAA": -3}), "split", "0.1")
    assert result.book.positions == {}
    assert result.book.cash == 700
    assert result.book.orders["s"].status == "cancelled"


def test_the_terms_of_a_short_round_so_that_none_gets_worse() -> None:
    result = acted(book(*LIMIT_SHORT), "split", "3")
    prices = {o.id: str(o.limit_price or o.stop_price) for o in result.book.orders.values()}
    assert prices == {"i-entry": "33.34", "i-stop": "35.00", "i-target": "30.00"}
    uneven = acted(book(*bracket(LIMIT_SALE, stop="110", target="91")), "split", "3")
    prices = {o.id: str(o.limit_price or o.stop_price) for o in uneven.book.orders.values()}
    assert prices == {"i-entry": "33.34", "i-stop": "36.66", "i-target": "30.33"}


def test_the_protection_of_a_short_covers_it_after_a_split_with_a_remainder() -> None:
    small = replace(SALE, quantity=5)
    entered = one(book(*bracket(small, stop="105", target="90")), "100 101 99 100").book
    result = acted(entered, "split", "1.5")
    assert result.book.positions["AAA"].quantity == -7
    assert {o.open_quantity for o in result.book.orders.values()} == {7}


def test_a_short_entry_of_less_than_one_new_share_is_cancelled() -> None:
    small = replace(LIMIT_SALE, quantity=5)
    result = acted(book(*bracket(small, stop="105", target="90")), "split", "0.1")
    assert result.book.orders["i-entry"].reason == "a split left less than one share to sell"


# Additions and trims


def test_an_addition_has_a_bracket_of_its_own_beside_the_first() -> None:
    held = one(book(*bracket(order("i-entry"))), "100 101 99 100").book
    more = bracket(order("j-addition", "addition", quantity=50, day=1), stop="94", target="108")
    matched = run(place(held, more), [bar("98 99 97 98", day=1)])[0]
    assert matched.book.positions["AAA"].quantity == 150
    assert {o.id: o.open_quantity for o in matched.book.orders.values()} == {
        "i-stop": 100,
        "i-target": 100,
        "j-stop": 50,
        "j-target": 50,
    }


def test_an_addition_to_nothing_is_cancelled() -> None:
    matched = one(book(*bracket(order("j-addition", "addition"))), "100 102 99 101")
    assert told(matched) == []
    assert why(matched)["j-addition"] == "nothing is held to add to"


def test_an_addition_ends_with_the_position_that_it_was_for() -> None:
    """The stop of the position fills first; the addition would open a position that nobody decided on."""
    held = one(book(*bracket(order("i-entry"))), "100 101 99 100").book
    more = bracket(order("j-addition", "addition", type="limit", limit="96", day=1), stop="80", target="120")
    matched = run(place(held, more), [bar("94 97 90 96", day=1)])[0]
    assert told(matched) == [("i-stop", 100, "94.00", "gap")]
    assert why(matched)["j-addition"] == "nothing is held"
    assert (matched.book.positions, matched.book.orders) == ({}, {})


def test_a_fill_of_an_addition_without_a_position_is_refused_by_the_book() -> None:
    more = order("j", "addition")
    with pytest.raises(PermanentFailure, match="adds to nothing"):
        apply_fill(book(more), fill(more, 1, "100"))


@pytest.mark.parametrize("side", ["buy", "sell"])
def test_after_a_trim_the_resting_orders_cover_exactly_what_is_left(side: Any) -> None:
    legs: dict[str, Any] = {"stop": "95", "target": "110"} if side == "buy" else {"stop": "105", "target": "90"}
    first = one(book(*bracket(order("i-entry", side=side), **legs)), "100 101 99 100").book
    more = bracket(order("j-addition", "addition", side=side, quantity=50, day=1), **legs)
    held = run(place(first, more), [bar("100 101 99 100", day=1)])[0].book
    leaves: Any = "sell" if side == "buy" else "buy"
    trim = order("t-exit", "exit", quantity=70, side=leaves, day=2, tif="day")
    matched = run(place(held, [trim]), [bar("100 101 99 100", day=2)])[0]
    assert abs(matched.book.positions["AAA"].quantity) == 80
    assert {o.id: o.open_quantity for o in matched.book.orders.values()} == {"i-stop": 80, "i-target": 80}
    assert why(matched)["j-stop"] == "the rest of the position is covered"


def test_a_trim_of_one_bracket_shrinks_both_of_its_legs() -> None:
    held = one(book(*bracket(order("i-entry"))), "100 101 99 100").book
    matched = run(place(held, [order("t-exit", "exit", quantity=30, day=1)]), [bar("100 101 99 100", day=1)])[0]
    assert {o.id: o.open_quantity for o in matched.book.orders.values()} == {"i-stop": 70, "i-target": 70}


# Positions that end with the session

CLOSING = bracket(order("i-entry", tif="day"), close=True)
SLIPPING = replace(FREE, slippage_bp=Decimal(10))


def test_a_close_sells_at_the_closing_price_and_slips() -> None:
    matched = one(book(*CLOSING), "100 105 98 104", SLIPPING)
    assert told(matched) == [("i-entry", 100, "100.10", "open"), ("i-close", 100, "103.89", "close")]
    assert matched.fills[-1].at == SESSIONS[0].close
    assert why(matched) == {"i-stop": "the close filled", "i-target": "the close filled"}
    assert (matched.book.positions, matched.book.orders) == ({}, {})


def test_a_close_buys_back_a_short() -> None:
    legs = bracket(order("i-entry", side="sell", tif="day"), stop="106", target="90", close=True)
    assert told(one(book(*legs), "100 105 98 104", SLIPPING))[-1] == ("i-close", 100, "104.11", "close")


def test_a_close_has_nothing_to_do_after_a_stop_or_a_target() -> None:
    for prices, leg in (("100 105 94 104", "stop"), ("100 111 98 104", "target")):
        matched = one(book(*CLOSING), prices)
        assert told(matched)[-1][0] == f"i-{leg}"
        assert why(matched)["i-close"] == f"the {leg} filled"


def test_a_close_waits_while_the_session_has_more_bars() -> None:
    matched = run(book(*CLOSING), [bar("100 105 98 104")], session_ends=False)[0]
    assert told(matched) == [("i-entry", 100, "100.00", "open")]
    assert matched.book.orders["i-close"].status == "working"


def test_what_the_close_leaves_for_want_of_volume_keeps_its_stop_and_target() -> None:
    matched = one(book(*CLOSING), "100 105 98 104", FIVE_PERCENT, volume=3_000)
    assert told(matched) == [("i-entry", 100, "100.00", "open"), ("i-close", 50, "104.00", "close")]
    assert why(matched) == {"i-close": "the session ended"}
    assert {o.id: o.open_quantity for o in matched.book.orders.values()} == {"i-stop": 50, "i-target": 50}


def test_an_entry_that_never_fills_takes_its_close_along() -> None:
    legs = bracket(order("i-entry", type="limit", limit="99", tif="day"), close=True)
    reasons = why(one(book(*legs), "100 105 99 104"))
    assert reasons["i-close"] == "its entry was cancelled: the session ended"


@pytest.mark.parametrize("wrong", ["entry", "close"])
def test_a_close_and_its_entry_are_day_orders(wrong: str) -> None:
    orders: list[Order] = [replace(o, time_in_force="gtc") if o.role == wrong else o for o in CLOSING]
    with pytest.raises(PermanentFailure, match="time_in_force is wrong"):
        book(*orders)
