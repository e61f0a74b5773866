"""Splits and dividends on positions, cash and open orders."""

import csv
from dataclasses import replace
from datetime import date
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.execution.desks import FREE, SESSIONS, bar, book, bracket, one, order
from trading_assets.core.calendar import XNYS
from trading_assets.core.errors import DataNotReady, PermanentFailure
from trading_assets.core.money import share_ratio, usd
from trading_assets.execution.book import place
from trading_assets.execution.corporate import Action, ActionResult, apply_actions, split_shares
from trading_assets.execution.matching import match_session
from trading_assets.execution.model import Book, Order, Position, PriceBar
from trading_assets.execution.ports import DividendPaid

DAY = SESSIONS[1].day
DAILY = Path(__file__).parents[2].parent / "shared" / "data" / "lean" / "daily"
CLOSES = {"AAA": Decimal(100)}


def split(ratio: str, symbol: str = "AAA") -> Action:
    return Action(symbol, DAY, "split", ratio=Decimal(ratio))


def dividend(amount: str, symbol: str = "AAA") -> Action:
    return Action(symbol, DAY, "cash_dividend", amount=Decimal(amount))


def acted(start: Book, *actions: Action) -> ActionResult:
    return apply_actions(start, actions, session=DAY, last_close=CLOSES)


def test_a_dividend_pays_every_share_held() -> None:
    result = acted(book(cash=0, held={"AAA": 300}), dividend("0.2475"))
    assert result.book.cash == result.cash_dividends == Decimal("74.25")
    assert result.payments == (DividendPaid(DAY, "AAA", Decimal("74.25")),)
    assert result.book.positions["AAA"] == Position("AAA", 300, Decimal(30_000))


def test_a_dividend_of_a_symbol_that_is_not_held_changes_nothing() -> None:
    start = book(order("a", symbol="BBB"), held={"AAA": 300})
    result = acted(start, dividend("1", "BBB"))
    assert result.book == start
    assert result.payments == ()
    assert result.notes == ()


def test_a_split_multiplies_shares_and_keeps_their_cost() -> None:
    result = acted(book(held={"AAA": 300}), split("2"))
    assert result.book.positions["AAA"] == Position("AAA", 600, Decimal(30_000))
    assert result.payments == ()


def test_what_is_left_of_a_share_is_paid_at_the_previous_close_in_the_new_count() -> None:
    result = acted(book(cash=0, held={"AAA": 5}), split("1.5"))
    assert result.book.positions["AAA"].quantity == 7
    assert result.cash_in_lieu == result.book.cash == Decimal("33.3333")  # half of 100 / 1.5


def test_a_ratio_without_an_exact_decimal_still_makes_whole_shares() -> None:
    result = acted(book(cash=0, held={"AAA": 300}), Action("AAA", DAY, "split", ratio=share_ratio(1 / 30)))
    assert result.book.positions["AAA"].quantity == 10
    assert result.cash_in_lieu == 0


def test_a_ratio_without_an_exact_decimal_adds_no_cent_to_a_price() -> None:
    entry = order("i", type="limit", limit="10", quantity=300)
    target = order("t", "target", "limit", limit="10", quantity=300)
    result = acted(book(entry, target, held={"AAA": 300}), Action("AAA", DAY, "split", ratio=share_ratio(1 / 30)))
    assert {o.limit_price for o in result.book.orders.values()} == {Decimal("300.00")}


def test_a_reverse_split_that_leaves_no_share_pays_the_position_out() -> None:
    protective = order("s", "stop", "stop", quantity=3, stop="90")
    result = acted(book(protective, cash=0, held={"AAA": 3}), split("0.1"))
    assert result.book.positions == {}
    assert result.book.cash == 300
    assert result.book.orders["s"].status == "cancelled"


def test_a_dividend_of_a_split_session_is_paid_on_the_shares_before_the_split() -> None:
    result = acted(book(cash=0, held={"AAA": 5}), split("1.5"), dividend("3.05"))
    assert result.cash_dividends == Decimal("15.25")
    assert result.payments == (DividendPaid(DAY, "AAA", Decimal("48.5833")),)
    assert len(result.notes) == 2


def test_open_orders_move_into_the_new_share_count() -> None:
    entry = order("i-entry", type="limit", limit="100")
    result = acted(book(*bracket(entry)), split("2"))
    assert {o.id: (o.quantity, str(o.limit_price or o.stop_price)) for o in result.book.orders.values()} == {
        "i-entry": (200, "50.00"),
        "i-stop": (200, "47.50"),
        "i-target": (200, "55.00"),
    }


def test_prices_round_so_that_no_approved_term_gets_worse() -> None:
    entry = order("i-entry", type="limit", limit="100")
    result = acted(book(*bracket(entry)), split("3"))
    prices = {o.id: str(o.limit_price or o.stop_price) for o in result.book.orders.values()}
    assert prices == {"i-entry": "33.33", "i-stop": "31.67", "i-target": "36.67"}


def test_a_stop_entry_rounds_down_like_every_purchase() -> None:
    result = acted(book(order("i", type="stop", stop="100")), split("3"))
    assert result.book.orders["i"].stop_price == Decimal("33.33")


def test_the_protection_of_a_position_covers_it_after_a_split_with_a_remainder() -> None:
    entered = one(book(*bracket(order("i-entry", quantity=5))), "100 105 98 104").book
    result = acted(entered, split("1.5"))
    assert result.book.positions["AAA"].quantity == 7
    assert {o.open_quantity for o in result.book.orders.values()} == {7}


def test_protection_in_two_parts_covers_the_whole_and_no_more_after_a_split() -> None:
    first, second = bracket(order("i-entry", quantity=3)), bracket(order("j-entry", quantity=3))
    result = acted(one(book(*first, *second), "100 105 98 104").book, split("1.5"))
    stops = [o.open_quantity for o in result.book.orders.values() if o.role == "stop"]
    assert result.book.positions["AAA"].quantity == 9
    assert stops == [5, 4]


def test_a_purchase_of_less_than_one_new_share_is_cancelled_with_its_children() -> None:
    entry = order("i-entry", type="limit", limit="100", quantity=5)
    result = acted(book(*bracket(entry)), split("0.1"))
    assert {o.status for o in result.book.orders.values()} == {"cancelled"}
    assert result.book.orders["i-entry"].reason == "a split left less than one share to buy"


def test_an_order_that_a_split_cancels_keeps_the_terms_it_had() -> None:
    """Found by a random world: it became an order of no shares, which looks like a filled one."""
    entry = order("i-entry", type="limit", limit="8.50", quantity=1)
    ended = acted(book(*bracket(entry, stop="8.00", target="8.68")), split("0.5")).book.orders["i-entry"]
    assert (ended.quantity, ended.filled, ended.limit_price) == (1, 0, Decimal("8.50"))


def test_a_split_that_pays_a_position_out_ends_the_rest_of_its_entry() -> None:
    """Found by a random world: the rest bought a share later, when the stop was gone."""
    costs = replace(FREE, volume_share_max=Decimal("0.01"))
    part = one(book(*bracket(order("i-entry", quantity=15))), "100 105 98 104", costs, volume=500).book
    result = acted(part, split("0.1"))
    assert result.book.positions == {}
    assert {o.reason for o in result.book.orders.values()} == {"nothing is held"}


def test_a_position_sold_through_another_bracket_ends_the_rest_of_an_entry() -> None:
    costs = replace(FREE, volume_share_max=Decimal("0.5"))
    slow = bracket(order("j-entry", type="limit", limit="100", quantity=5), stop="50", target="200")
    quick = bracket(order("i-entry", quantity=1))
    start = one(book(*quick, *slow), "100 105 98 104", costs, volume=4).book
    assert start.positions["AAA"].quantity == 2
    halved = acted(start, split("0.5")).book
    sold = match_session(halved, {"AAA": bar("225 226 221 221", day=1)}, FREE)
    assert halved.positions["AAA"].quantity == 1
    assert sold.book.positions == {}
    assert sold.book.orders == {}


def test_a_partly_filled_order_keeps_its_parts_in_proportion() -> None:
    part = one(
        book(*bracket(order("i-entry"))), "100 105 98 104", replace(FREE, volume_share_max=Decimal("0.05")), volume=900
    )
    entry = acted(part.book, split("2")).book.orders["i-entry"]
    assert (entry.quantity, entry.filled, entry.open_quantity, entry.fills) == (200, 90, 110, 1)


def test_orders_of_other_symbols_and_closed_orders_are_left_alone() -> None:
    other = order("b", type="limit", limit="50", symbol="BBB")
    closed = replace(order("c", type="limit", limit="50"), status="cancelled", reason="halted")
    start = book(other)
    start = replace(start, orders={**start.orders, "c": closed})
    assert acted(start, split("2")).book == start


def test_dividends_do_not_move_orders() -> None:
    start = book(*bracket(order("i-entry", type="limit", limit="100")), held={"AAA": 10})
    assert acted(start, dividend("5")).book.orders == start.orders


def test_actions_in_any_order_give_the_same_result() -> None:
    start = book(cash=0, held={"AAA": 5, "BBB": 7})
    actions = (split("1.5"), dividend("3.05"), dividend("0.5", "BBB"), split("2", "BBB"))
    assert acted(start, *actions) == acted(start, *reversed(actions))


def test_an_action_of_another_session_is_refused() -> None:
    with pytest.raises(PermanentFailure, match="belongs to another session"):
        acted(book(), replace(split("2"), session=SESSIONS[2].day))


@pytest.mark.parametrize("ratio", ["0", "-2", "NaN", "Infinity"])
def test_a_ratio_that_is_not_positive_is_refused(ratio: str) -> None:
    with pytest.raises(PermanentFailure, match="the ratio of the split of AAA must be positive"):
        acted(book(), split(ratio))


@pytest.mark.parametrize("amount", ["0", "-1", "NaN"])
def test_a_dividend_that_is_not_positive_is_refused(amount: str) -> None:
    with pytest.raises(PermanentFailure, match="the amount of the cash_dividend of AAA must be positive"):
        acted(book(), dividend(amount))


def test_a_remainder_without_a_known_close_waits_for_data() -> None:
    with pytest.raises(DataNotReady, match="no previous close is known"):
        apply_actions(book(held={"AAA": 5}), [split("1.5")], session=DAY, last_close={})


def test_an_even_split_needs_no_close() -> None:
    result = apply_actions(book(held={"AAA": 5}), [split("2")], session=DAY, last_close={})
    assert result.book.positions["AAA"].quantity == 10


def test_a_row_of_the_table_becomes_an_action() -> None:
    row = {"symbol": "AAA", "session": DAY, "kind": "cash_dividend", "ratio": 1.0, "amount": 0.2475, "source": "x"}
    assert Action.from_row(row) == Action("AAA", DAY, "cash_dividend", Decimal("1.0"), Decimal("0.2475"))


@given(st.integers(0, 10**6), st.sampled_from([2.0, 3.0, 1.5, 7.0, 0.5, 0.1, 1 / 3, 1 / 30, 1.25, 20.0]))
@settings(deadline=None)
def test_a_split_loses_less_than_one_share(quantity: int, ratio: float) -> None:
    whole, part = split_shares(quantity, share_ratio(ratio))
    assert 0 <= part < 1
    assert abs(float(whole + part) - quantity * ratio) <= 1e-5


@given(
    st.integers(1, 100_000),
    st.integers(100, 100_000),
    st.sampled_from(["2", "3", "1.5", "7", "0.5", "0.1", "1.25"]),
    st.integers(0, 500),
)
@settings(deadline=None)
def test_actions_keep_equity_up_to_the_dividend_and_a_rounded_payment(
    held: int, cents: int, ratio: str, dividend_cents: int
) -> None:
    close = Decimal(cents) / 100
    actions = [split(ratio)] + ([dividend(str(Decimal(dividend_cents) / 100))] if dividend_cents else [])
    before = book(cash=0, held={"AAA": held})
    result = apply_actions(before, actions, session=DAY, last_close={"AAA": close})
    after = result.book.equity({"AAA": close / Decimal(ratio)})
    assert abs(after - (before.equity({"AAA": close}) + result.cash_dividends)) <= Decimal("0.0001")
    assert result.book.cash == result.cash_dividends + result.cash_in_lieu


@pytest.mark.skipif(not DAILY.exists(), reason="the Lean sample data is not beside this checkout")
def test_apple_held_through_its_split_of_2005_keeps_its_value() -> None:
    with (DAILY / "aapl_daily.csv").open(newline="") as file:
        rows = {row["date"]: row for row in csv.DictReader(file) if "2005-02-01" <= row["date"] <= "2005-03-31"}
    bars = [_real_bar(date.fromisoformat(day), row) for day, row in sorted(rows.items())]
    state, equity, closes = place(book(), [_real_order(bars[0])]), [], dict[str, Decimal]()
    for each in bars:
        actions = [Action("AAPL", each.session, "split", ratio=Decimal(2))] if each.session == date(2005, 2, 28) else []
        state = apply_actions(state, actions, session=each.session, last_close=closes).book
        state = match_session(state, {"AAPL": each}, FREE).book
        closes = {"AAPL": each.close}
        equity.append(state.equity(closes))
    assert state.positions["AAPL"].quantity == 200
    assert equity[-1] == 100_000 - 100 * bars[0].open + 200 * bars[-1].close
    assert max(abs(b - a) / 10_000 for a, b in pairwise(equity)) < Decimal("0.10")


def _real_bar(day: date, row: dict[str, str]) -> PriceBar:
    session = XNYS.session(day)
    first, high, low, last = (usd(row[name]) for name in ("open", "high", "low", "close"))
    return PriceBar("AAPL", day, session.open, session.close, first, high, low, last, int(row["volume"]))


def _real_order(first: PriceBar) -> Order:
    return replace(order("i", symbol="AAPL"), placed_at=first.start)
