"""The broker's own book: matching, brackets, groups, sessions, money; without a wire."""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resources.clock import FixedClock
from tests.tws.book import Book, CancelTold, FeeTold, FillTold, Market, Order, OrderTold, Reduces, Told
from tests.tws.trading import AAPL

NOON = datetime(2026, 1, 5, 17, 0, tzinfo=UTC)
MILLION = Decimal(1_000_000)


class Desk:
    """Client 11 of a book, and what it was told."""

    def __init__(self, *, reduces: Reduces = "shares") -> None:
        self.book = Book(FixedClock(NOON), reduces=reduces)
        self.told: list[str] = []
        self.book.tell = self._hear
        self._ids = count(1)
        self.quote("100.00", "100.02")

    def _hear(self, told: Told) -> None:
        match told:
            case OrderTold(order):
                self.told.append(f"{order.kind} {order.status}")
            case FillTold(fill):
                self.told.append(f"fill {fill.quantity}")
            case FeeTold():
                self.told.append("fee")
            case CancelTold():
                self.told.append("cancel")

    def quote(self, bid: str | None, ask: str | None, **sizes: int) -> None:
        low, high = (Decimal(side) if side else None for side in (bid, ask))
        shown = {name: Decimal(size) for name, size in sizes.items()}
        self.book.move("AAPL", Market(low, high, low or high, shown.get("bid_size"), shown.get("ask_size")))

    def order(self, action: str, quantity: int, kind: str = "MKT", price: str | None = None, **more: object) -> Order:
        order = Order(11, next(self._ids), AAPL, action, Decimal(quantity), kind)
        number = Decimal(price) if price else None
        order.limit, order.aux = (number, None) if kind == "LMT" else (None, number)
        for name, value in more.items():
            setattr(order, name, value)
        self.book.enter(order)
        return order

    def bracket(self, quantity: int, entry: str = "100.02") -> tuple[Order, Order, Order]:
        first = self.order("BUY", quantity, "LMT", entry, transmit=False)
        more = {"parent_id": first.order_id, "oca_group": "g", "oca_type": 2, "tif": "GTC"}
        target = self.order("SELL", quantity, "LMT", "104", transmit=False, **more)
        return first, target, self.order("SELL", quantity, "STP", "98", **more)


def shares(*numbers: Decimal) -> tuple[int, ...]:
    """Whole numbers, to compare with."""
    return tuple(map(int, numbers))


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_a_filled_order_is_told_in_the_order_that_was_recorded(desk: Desk) -> None:
    desk.order("BUY", 100)
    assert desk.told == ["MKT PreSubmitted", "fill 100", "MKT Filled", "fee"]


def test_an_order_that_rests_is_submitted_and_a_stop_stays_presubmitted(desk: Desk) -> None:
    desk.order("BUY", 1, "LMT", "90")
    desk.order("SELL", 1, "STP", "90")
    assert desk.told == ["LMT PreSubmitted", "LMT Submitted", "STP PreSubmitted"]


@pytest.mark.parametrize(
    ("action", "kind", "price", "bid", "ask", "paid"),
    [
        ("BUY", "LMT", "99.00", "98.90", "99.00", "99.00"),
        ("BUY", "LMT", "99.00", "98.90", "99.01", None),
        ("SELL", "LMT", "101.00", "101.00", "101.10", "101.00"),
        ("SELL", "LMT", "101.00", "100.99", "101.10", None),
        ("SELL", "STP", "98.00", "98.00", "98.10", "98.00"),
        ("SELL", "STP", "98.00", "98.01", "98.10", None),
        ("SELL", "STP", "98.00", "80.00", "80.10", "80.00"),
        ("BUY", "STP", "102.00", "101.95", "102.00", "102.00"),
        ("BUY", "LMT", "99.00", "98.90", None, "98.90"),
    ],
)
def test_an_order_trades_when_the_far_side_reaches_it(
    desk: Desk, action: str, kind: str, price: str, bid: str, ask: str | None, paid: str | None
) -> None:
    order = desk.order(action, 10, kind, price)
    desk.quote(bid, ask)
    assert [str(fill.price) for fill in desk.book.fills] == ([paid] if paid else [])
    assert order.ended == bool(paid)


def test_a_stop_that_was_touched_goes_on_as_a_market_order(desk: Desk) -> None:
    stop = desk.order("SELL", 100, "STP", "98")
    desk.quote("97.00", "97.02", bid_size=30)
    desk.quote("99.00", "99.02")
    assert [(int(fill.quantity), str(fill.price)) for fill in desk.book.fills] == [(30, "97.00"), (70, "99.00")]
    assert stop.status == "Filled"


def test_what_is_shown_bounds_what_trades_for_all_orders_together(desk: Desk) -> None:
    first, second = desk.order("BUY", 30, "LMT", "99"), desk.order("BUY", 30, "LMT", "99")
    desk.quote("98.90", "99.00", ask_size=40)
    assert shares(first.filled, second.filled) == (30, 10)


def test_the_plan_of_an_order_bounds_what_it_trades(desk: Desk) -> None:
    order = desk.order("BUY", 100, "LMT", "99", fill_at_most=Decimal(25))
    desk.quote("98.90", "99.00")
    assert (int(order.filled), order.status) == (25, "Submitted")
    order.fill_at_most = None
    desk.quote("98.90", "99.00")
    assert order.status == "Filled"


def test_nothing_trades_while_halted_or_out_of_hours(desk: Desk) -> None:
    order, late = desk.order("BUY", 10, "LMT", "90", tif="GTC"), desk.order("BUY", 10, "LMT", "90", outside_rth=True)
    desk.book.move("AAPL", Market(Decimal(80), Decimal(80), Decimal(80), halted=True))
    assert desk.book.fills == []
    desk.book.session_open = False
    desk.quote("80.00", "80.02")
    assert shares(order.filled, late.filled) == (0, 10)
    desk.book.open_session()
    assert order.filled == 10


def test_the_end_of_the_session_ends_orders_for_the_day(desk: Desk) -> None:
    day, stays = desk.order("BUY", 10, "LMT", "90"), desk.order("BUY", 10, "LMT", "90", tif="GTC")
    desk.book.close_session()
    assert (day.status, stays.status) == ("Cancelled", "Submitted")


def test_an_untransmitted_order_waits_for_a_sibling_that_is_transmitted(desk: Desk) -> None:
    entry = desk.order("BUY", 100, "LMT", "100.02", transmit=False)
    desk.quote("100.00", "100.02")
    assert (desk.told, entry.status, desk.book.fills) == ([], "PendingSubmit", [])
    desk.order("SELL", 100, "STP", "98", parent_id=entry.order_id)
    assert entry.status == "Filled"


def test_exits_are_told_before_the_entry_trades(desk: Desk) -> None:
    desk.bracket(100)
    assert desk.told[:3] == ["LMT PreSubmitted", "LMT PreSubmitted", "STP PreSubmitted"]
    assert desk.told[3:6] == ["LMT Submitted", "fill 100", "LMT Filled"]


def test_an_exit_is_submitted_only_when_its_entry_has_bought(desk: Desk) -> None:
    _, target, stop = desk.bracket(100, entry="99.00")
    assert (target.status, stop.status) == ("PreSubmitted", "PreSubmitted")
    desk.quote("98.90", "99.00")
    assert (target.status, stop.status) == ("Submitted", "PreSubmitted")


def test_exits_trade_only_what_their_entry_has_bought(desk: Desk) -> None:
    entry, _, stop = desk.bracket(100, entry="99.00")
    desk.quote("97.00", "99.50")
    assert stop.filled == 0
    desk.quote("98.90", "99.00", ask_size=40)
    # What the market did before the entry bought does not set the stop off.
    assert shares(entry.filled, stop.filled) == (40, 0)
    desk.quote("97.00", "99.50")
    assert shares(entry.filled, stop.filled) == (40, 40)
    assert desk.book.positions == {}


def test_a_cancelled_entry_takes_its_exits_along_or_leaves_them_for_what_it_bought(desk: Desk) -> None:
    entry, target, stop = desk.bracket(100, entry="99.00")
    desk.quote("98.90", "99.00", ask_size=40)
    desk.book.cancel(entry)
    assert [(int(order.quantity), order.ended) for order in (target, stop)] == [(40, False), (40, False)]
    first, second, third = desk.bracket(100, entry="90.00")
    desk.book.cancel(first)
    assert {second.status, third.status} == {"Cancelled"}


@pytest.mark.parametrize(("oca_type", "left"), [(1, 0), (2, 60), (3, 60)])
def test_a_group_is_cancelled_or_reduced_by_its_type(desk: Desk, oca_type: int, left: int) -> None:
    desk.bracket(100)
    desk.order("SELL", 40, oca_group="g", oca_type=oca_type)
    assert {order.left for order in desk.book.working} == ({Decimal(left)} if left else set())


def test_reducing_by_proportion_ends_the_group_with_a_small_order_that_fills(desk: Desk) -> None:
    """How the broker's own words may be read: a trim of 40 that fills in full would leave 60 shares without a stop."""
    strict = Desk(reduces="proportion")
    strict.bracket(100)
    strict.order("SELL", 40, oca_group="g", oca_type=2)
    assert strict.book.working == []
    assert strict.book.positions == {"AAPL": 60}


def test_reducing_by_proportion_takes_the_share_that_was_traded() -> None:
    strict = Desk(reduces="proportion")
    _, target, stop = strict.bracket(100)
    strict.quote("104.00", "104.02", bid_size=25)
    assert shares(target.left, stop.left) == (75, 75)
    strict.book.cancel(target)
    assert stop.status == "Cancelled"


def test_children_of_one_parent_reduce_each_other_without_a_group(desk: Desk) -> None:
    entry = desk.order("BUY", 100, "LMT", "100.02", transmit=False)
    target = desk.order("SELL", 100, "LMT", "104", parent_id=entry.order_id, transmit=False)
    stop = desk.order("SELL", 100, "STP", "98", parent_id=entry.order_id)
    desk.quote("104.00", "104.02", bid_size=30)
    assert shares(target.left, stop.left) == (70, 70)
    desk.quote("104.00", "104.02")
    assert stop.status == "Cancelled"


def test_groups_of_different_stocks_or_names_do_not_touch_each_other(desk: Desk) -> None:
    desk.bracket(100)
    desk.order("SELL", 40, oca_group="other", oca_type=2)
    assert [order.left for order in desk.book.working] == [100, 100]


def test_a_modified_order_keeps_its_number_and_is_matched_again(desk: Desk) -> None:
    order = desk.order("BUY", 10, "LMT", "90")
    new = Order(11, order.order_id, AAPL, "BUY", Decimal(20), "LMT", Decimal(101))
    desk.book.modified(order, new)
    assert (int(order.filled), order.status, len(desk.book.orders)) == (20, "Filled", 1)


def test_a_correction_replaces_the_execution_and_a_bust_takes_it_back(desk: Desk) -> None:
    desk.order("BUY", 100)
    first = desk.book.fills[0]
    desk.book.correct(first.exec_id, price=Decimal("100.00"))
    assert desk.book.fills[0].exec_id == first.exec_id.replace(".01.01", ".01.02")
    assert desk.book.cash == MILLION - 10_000 - first.fee
    desk.book.correct(desk.book.fills[0].exec_id, quantity=Decimal(0))
    assert (desk.book.positions, desk.book.cash) == ({}, MILLION - first.fee)
    assert desk.book.fills[0].exec_id.endswith(".03")


def test_a_liquidation_belongs_to_no_client_and_says_so(desk: Desk) -> None:
    desk.order("BUY", 100)
    fill = desk.book.liquidate(AAPL)
    assert (fill.liquidation, fill.order.client_id, fill.order.order_id) == (True, 0, 0)
    assert desk.book.positions == {}


def test_an_overfill_is_booked_in_full(desk: Desk) -> None:
    order = desk.order("BUY", 10, "LMT", "90")
    desk.book.trade(order, Decimal(15), Decimal(90))
    assert (int(order.filled), order.status) == (15, "Filled")
    assert desk.book.positions == {"AAPL": 15}


def test_profit_is_known_where_something_was_closed(desk: Desk) -> None:
    desk.order("BUY", 100)
    desk.quote("101.02", "101.04")
    desk.order("SELL", 40)
    assert [fill.profit for fill in desk.book.fills] == [None, Decimal("40.00")]


MOVES = st.lists(
    st.tuples(
        st.sampled_from(["buy", "sell", "bracket", "trim", "cancel", "quote"]),
        st.integers(1, 120),
        st.integers(90, 110),
    ),
    max_size=30,
)


def play(moves: Sequence[tuple[str, int, int]]) -> Desk:
    desk = Desk()
    for kind, quantity, price in moves:
        if kind == "quote":
            desk.quote(f"{price}.00", f"{price}.02", ask_size=quantity, bid_size=quantity)
        elif kind == "bracket":
            desk.bracket(quantity, entry=f"{price}.00")
        elif kind == "trim":
            desk.order("SELL", quantity, "LMT", f"{price}.00", oca_group="g", oca_type=2)
        elif kind == "cancel" and desk.book.working:
            desk.book.cancel(desk.book.working[quantity % len(desk.book.working)])
        elif kind in {"buy", "sell"}:
            desk.order(kind.upper(), quantity, "LMT", f"{price}.00")
    return desk


@settings(max_examples=25)
@given(MOVES)
def test_shares_and_money_are_what_the_fills_say(moves: Sequence[tuple[str, int, int]]) -> None:
    book = play(moves).book
    signed = [(fill, fill.quantity if fill.order.action == "BUY" else -fill.quantity) for fill in book.fills]
    assert book.positions.get("AAPL", Decimal(0)) == sum(shares for _, shares in signed)
    assert book.cash == MILLION - sum(shares * fill.price + fill.fee for fill, shares in signed)


@settings(max_examples=25)
@given(MOVES)
def test_no_order_trades_more_than_it_asks_for_or_after_its_end(moves: Sequence[tuple[str, int, int]]) -> None:
    book = play(moves).book
    for order in book.orders:
        filled = sum(fill.quantity for fill in book.fills if fill.order is order)
        assert filled == order.filled <= order.quantity
        assert order.ended == (order.status in {"Filled", "Cancelled"})
        assert (order.left == 0) <= order.ended


@settings(max_examples=25)
@given(st.lists(st.tuples(st.integers(90, 110), st.integers(1, 60)), max_size=30))
def test_a_bracket_never_sells_more_than_it_bought(quotes: Sequence[tuple[int, int]]) -> None:
    desk = Desk()
    desk.bracket(100, entry="100.00")
    for price, size in quotes:
        desk.quote(f"{price}.00", f"{price}.02", bid_size=size, ask_size=size)
        held = desk.book.positions.get("AAPL", Decimal(0))
        assert held >= 0
        exits = [order for order in desk.book.working if order.action == "SELL"]
        assert all(order.left >= held for order in exits)
        assert exits or held == 0


@settings(max_examples=30)
@given(MOVES)
def test_the_same_day_is_told_in_the_same_words(moves: Sequence[tuple[str, int, int]]) -> None:
    assert play(moves).told == play(moves).told
