"""What orders, quotes and the clock do to an account: the matching engine by itself."""

from datetime import timedelta
from decimal import Decimal

import pytest

from tests.brokers.paper.books import (
    CLOSE,
    NOW,
    STARTING_CASH,
    book,
    bracket,
    by_id,
    codes,
    exchange,
    order,
    place,
    prices,
    quote,
    statuses,
)
from trading_assets.core.calendar import XNYS

# Where orders fill


def test_a_market_order_pays_the_far_side_and_the_slippage_to_the_tick() -> None:
    on = exchange()
    place(on, order(1, "buy", 10), order(2, "sell", 5))
    assert prices(on) == [(1, 10, Decimal("100.05")), (2, 5, Decimal("99.98"))]


def test_a_limit_that_is_marketable_when_it_comes_gets_the_far_side() -> None:
    on = exchange()
    place(on, order(1, "buy", 10, "limit", "101.00"))
    assert prices(on) == [(1, 10, Decimal("100.02"))]


def test_a_limit_that_rested_fills_at_its_own_price() -> None:
    on = exchange()
    place(on, order(1, "buy", 10, "limit", "99.00"))
    on.quote(quote("98.00", "98.02", after=1))
    assert prices(on) == [(1, 10, Decimal("99.00"))]


@pytest.mark.parametrize(("bid", "ask", "fills"), [("98.99", "99.01", 0), ("98.98", "99.00", 1), ("98.00", "98.50", 1)])
def test_a_limit_never_fills_beyond_its_price(bid: str, ask: str, fills: int) -> None:
    on = exchange()
    place(on, order(1, "buy", 10, "limit", "99.00"))
    on.quote(quote(bid, ask, after=1))
    assert len(prices(on)) == fills


@pytest.mark.fault(67)
def test_a_stop_fills_at_the_gap_and_not_at_its_price() -> None:
    on = exchange()
    place(on, *bracket(1, 100))
    on.quote(quote("90.00", "90.02", after=1))
    assert prices(on)[-1] == (3, 100, Decimal("89.98"))


def test_a_stop_is_triggered_by_the_last_price_and_sells_at_the_bid() -> None:
    on = exchange()
    place(on, *bracket(1, 100))
    on.quote(quote("98.50", "98.52", last=Decimal("98.00"), after=1))
    assert prices(on)[-1] == (3, 100, Decimal("98.48"))


def test_a_stop_that_is_triggered_without_a_bid_sells_at_the_next_one_wherever_it_is() -> None:
    on = exchange()
    place(on, *bracket(1, 100))
    on.quote(quote("97.99", None, bid_size=0, after=1))
    assert len(prices(on)) == 1
    on.quote(quote("99.50", "99.52", after=2))
    assert prices(on)[-1] == (3, 100, Decimal("99.48"))


def test_a_bought_stop_covers_a_short_position_above() -> None:
    on = exchange()
    place(on, order(1, "sell", 100), order(2, "buy", 100, "stop", "101.00"))
    on.quote(quote("100.98", "101.00", after=1))
    assert prices(on)[-1] == (2, 100, Decimal("101.03"))
    assert on.book.holdings == {}


# When nothing fills


@pytest.mark.fault(83)
def test_a_market_order_waits_out_a_halt() -> None:
    on = exchange()
    on.quote(quote("100.00", "100.02", halted=True, after=1))
    place(on, order(1, "buy", 10), now=NOW + timedelta(seconds=2))
    assert (prices(on), by_id(on, 1).status) == ([], "working")
    on.quote(quote("97.00", "97.02", after=300))
    assert prices(on) == [(1, 10, Decimal("97.04"))]


def test_no_stop_is_triggered_in_a_halt() -> None:
    on = exchange()
    place(on, *bracket(1, 100))
    on.quote(quote("90.00", "90.02", halted=True, after=1))
    on.quote(quote("99.00", "99.02", after=2))
    assert len(prices(on)) == 1


@pytest.mark.fault(76)
def test_nothing_trades_against_a_crossed_quote() -> None:
    on = exchange(quoted=False)
    on.quote(quote("100.10", "100.00"))
    place(on, order(1, "buy", 10, "limit", "101.00"))
    assert prices(on) == []


@pytest.mark.fault(75)
@pytest.mark.parametrize("side", ["buy", "sell"])
def test_nothing_trades_against_a_side_that_is_missing(side: str) -> None:
    on = exchange()
    on.quote(quote(None, "100.02", after=1) if side == "sell" else quote("100.00", None, after=1))
    place(on, order(1, "sell" if side == "sell" else "buy", 10))
    assert prices(on) == []


@pytest.mark.parametrize("minutes", [-31, 391])
def test_nothing_trades_outside_the_session(minutes: int) -> None:
    at = XNYS.session(NOW.date()).open + timedelta(minutes=minutes)
    on = exchange(quoted=False)
    place(on, order(1, "buy", 10, "limit", "101.00"), now=at)
    on.quote(quote("100.00", "100.02", after=(at - NOW).total_seconds()))
    assert prices(on) == []
    assert codes(on) == [399]


def test_an_order_does_not_meet_a_quote_that_is_old_but_the_next_one() -> None:
    on = exchange()
    place(on, order(1, "buy", 10), now=NOW + timedelta(seconds=61))
    assert prices(on) == []
    on.quote(quote("100.50", "100.52", after=62))
    assert prices(on) == [(1, 10, Decimal("100.55"))]


def test_a_quote_that_is_older_than_the_market_is_ignored() -> None:
    on = exchange()
    place(on, order(1, "buy", 10, "limit", "99.00"))
    on.quote(quote("98.00", "98.02", after=-1))
    assert prices(on) == []


# How much fills


@pytest.mark.fault(59)
def test_a_displayed_size_bounds_what_all_orders_take_of_it() -> None:
    on = exchange(quoted=False)
    on.quote(quote("100.00", "100.02", ask_size=150))
    place(on, order(1, "buy", 100), order(2, "buy", 100))
    assert prices(on) == [(1, 100, Decimal("100.05")), (2, 50, Decimal("100.05"))]


def test_the_same_picture_again_shows_no_new_shares_and_another_one_does() -> None:
    on = exchange(quoted=False)
    on.quote(quote("100.00", "100.02", ask_size=60))
    place(on, order(1, "buy", 100))
    on.quote(quote("100.00", "100.02", ask_size=60, after=1))
    assert by_id(on, 1).filled == 60
    on.quote(quote("100.00", "100.02", ask_size=61, after=2))
    assert by_id(on, 1).status == "filled"


def test_without_a_size_the_sessions_volume_bounds_the_sessions_fills() -> None:
    on = exchange(quoted=False)
    on.quote(quote("100.00", "100.02", volume=1000))
    place(on, order(1, "buy", 100))
    assert by_id(on, 1).filled == 50
    on.quote(quote("100.00", "100.02", volume=1400, after=1))
    assert by_id(on, 1).filled == 70


# Brackets and groups


def test_nothing_of_a_bracket_trades_before_its_last_order_is_transmitted() -> None:
    on, legs = exchange(), bracket(1, 100)
    place(on, *legs[:2])
    on.quote(quote("99.00", "99.02", after=1))
    assert (prices(on), [by_id(on, n).status for n in (1, 2)]) == ([], ["held", "held"])
    place(on, legs[2], now=NOW + timedelta(seconds=1))
    assert prices(on) == [(1, 100, Decimal("99.02"))]
    assert [by_id(on, n).status for n in (1, 2, 3)] == ["filled", "working", "working"]


def test_children_trade_what_the_parent_has_bought_and_grow_with_it() -> None:
    on = exchange()
    place(on, *bracket(1, 100, entry="99.00"))
    on.quote(quote("98.98", "99.00", ask_size=40, after=1))
    on.quote(quote("104.00", "104.02", after=2))
    assert prices(on) == [(1, 40, Decimal("99.00")), (2, 40, Decimal("104.00"))]
    on.quote(quote("98.98", "99.00", ask_size=60, after=3))
    on.quote(quote("97.00", "97.02", after=4))
    assert prices(on)[-1][:2] == (3, 60)
    assert on.book.holdings == {}
    assert [by_id(on, n).status for n in (1, 2, 3)] == ["filled", "cancelled", "filled"]


def test_an_exit_that_joins_a_group_takes_its_shares_off_the_stop() -> None:
    on = exchange()
    place(on, *bracket(1, 100))
    place(on, order(9, "sell", 30, oca_group="D1:1"))
    assert [(by_id(on, n).quantity, by_id(on, n).status) for n in (2, 3)] == [(70, "working"), (70, "working")]
    on.quote(quote("97.00", "97.02", after=1))
    assert on.book.holdings == {}


def test_cancelling_an_entry_in_part_leaves_its_exits_that_part_and_gtc() -> None:
    on = exchange()
    place(on, *bracket(1, 100, entry="99.00"))
    on.quote(quote("98.98", "99.00", ask_size=40, after=1))
    on.cancel(1, client_id=11, ended=False)
    on.expire(CLOSE + timedelta(hours=1))
    assert [(by_id(on, n).quantity, by_id(on, n).status) for n in (2, 3)] == [(40, "working"), (40, "working")]


def test_an_exit_that_sells_more_than_was_bought_leaves_no_exit_of_less_than_nothing() -> None:
    on = exchange()
    place(on, *bracket(1, 100, entry="99.00"))
    on.quote(quote("98.98", "99.00", ask_size=40, after=1))
    place(on, order(9, "sell", 80, oca_group="D1:1"), now=NOW + timedelta(seconds=1))
    on.cancel(1, client_id=11, ended=False)
    assert on.book.held("AAPL") == -40
    assert [(by_id(on, n).quantity, by_id(on, n).status) for n in (2, 3)] == [(0, "cancelled"), (0, "cancelled")]


def test_cancelling_an_entry_that_bought_nothing_ends_its_exits() -> None:
    on = exchange()
    place(on, *bracket(1, 100, entry="99.00"))
    on.cancel(1, client_id=11, ended=False)
    assert [by_id(on, n).status for n in (1, 2, 3)] == ["cancelled"] * 3
    assert codes(on) == [202, 202, 202]


@pytest.mark.fault(62)
def test_a_cancel_that_comes_after_the_fill_is_refused_and_the_fill_stands() -> None:
    on = exchange()
    place(on, order(1, "buy", 10))
    on.cancel(1, client_id=11, ended=True)
    assert (codes(on), by_id(on, 1).status) == ([10148], "filled")


@pytest.mark.fault(63)
@pytest.mark.parametrize("client_id", [12, 11])
def test_a_cancel_of_an_order_that_is_not_ones_own_is_refused(client_id: int) -> None:
    on = exchange()
    place(on, order(1, "buy", 10, "limit", "90.00"))
    on.cancel(1 if client_id == 12 else 2, client_id=client_id, ended=False)
    assert (codes(on), by_id(on, 1).status) == ([10147], "working")
    assert on.happened[-1].client_id == client_id


# The end of a session


def test_a_day_order_ends_with_its_session_and_a_gtc_order_does_not() -> None:
    on = exchange()
    place(on, order(1, "buy", 10, "limit", "90.00", tif="day"), order(2, "buy", 10, "limit", "90.00"))
    on.expire(CLOSE + timedelta(seconds=1))
    assert by_id(on, 1).status == "working"
    on.expire(CLOSE + timedelta(seconds=2))
    assert [by_id(on, n).status for n in (1, 2)] == ["cancelled", "working"]
    assert by_id(on, 1).why == "the session ended"


@pytest.mark.fault(85)
def test_a_day_order_of_an_early_close_ends_at_that_close() -> None:
    session = next(s for s in XNYS.sessions(NOW.date(), XNYS.last) if s.is_early_close)
    on = exchange(quoted=False)
    place(on, order(1, "buy", 10, "limit", "90.00", tif="day"), now=session.open)
    assert by_id(on, 1).ends_at == session.close


def test_a_day_order_of_the_evening_belongs_to_the_next_session() -> None:
    on = exchange(quoted=False)
    place(on, order(1, "buy", 10, "limit", "90.00", tif="day"), now=CLOSE + timedelta(hours=2))
    assert by_id(on, 1).ends_at == XNYS.next(NOW.date()).close


# What is refused


@pytest.mark.fault(72)
@pytest.mark.parametrize("quantity", [0, -1, 10**18, 1.5, float("nan"), float("inf"), True, Decimal("1.5")])
def test_a_quantity_that_is_no_number_of_whole_shares_is_refused(quantity: int) -> None:
    on = exchange()
    place(on, order(1, "buy", quantity))
    assert (codes(on), by_id(on, 1).status, prices(on)) == ([201], "rejected", [])


@pytest.mark.parametrize("price", ["100.005", "0", "-1", "NaN", "Infinity", "10000000"])
def test_a_price_off_the_tick_is_refused_with_110(price: str) -> None:
    on = exchange()
    place(on, order(1, "buy", 1, "limit", price))
    assert (codes(on), by_id(on, 1).status) == ([110], "rejected")


def test_an_unknown_contract_is_refused_with_200() -> None:
    on = exchange()
    on.book.contracts = {}
    place(on, order(1, "buy", 1))
    assert codes(on) == [200]


@pytest.mark.fault(40)
def test_an_order_id_twice_is_refused_and_the_first_order_lives() -> None:
    on = exchange()
    place(on, order(1, "buy", 10, "limit", "90.00"))
    place(on, order(1, "buy", 99, "limit", "91.00"))
    assert (codes(on), by_id(on, 1).quantity, by_id(on, 1).status) == ([103], 10, "working")
    assert statuses(on, 1) == ["working"]


@pytest.mark.fault(49)
def test_a_purchase_beyond_the_cash_is_refused_with_its_numbers() -> None:
    on = exchange()
    place(on, order(1, "buy", 1000, "limit", "100.00"))
    assert codes(on) == [201]
    assert by_id(on, 1).why == "insufficient buying power: the order needs 100005.00 USD of 100000.00"


def test_resting_purchases_hold_their_cash() -> None:
    on = exchange()
    place(on, order(1, "buy", 900, "limit", "90.00"), order(2, "buy", 900, "limit", "90.00"))
    assert [by_id(on, n).status for n in (1, 2)] == ["working", "rejected"]


def test_the_proceeds_of_a_short_sale_buy_nothing() -> None:
    on = exchange()
    place(on, order(1, "sell", 500))
    place(on, order(2, "buy", 1100, "limit", "90.00", symbol="MSFT"))
    assert by_id(on, 2).status == "working"
    place(on, order(3, "buy", 20, "limit", "90.00", symbol="MSFT"))
    assert by_id(on, 3).status == "rejected"


def test_what_reduces_a_position_needs_no_money() -> None:
    on = exchange()
    place(on, order(1, "sell", 500))
    on.book.cash = Decimal(0)
    place(on, order(2, "buy", 500))
    assert by_id(on, 2).status == "filled"


def test_a_child_without_its_parent_is_refused() -> None:
    on = exchange()
    legs = bracket(1, 2000)
    place(on, *legs)
    assert [by_id(on, n).status for n in (1, 2, 3)] == ["rejected"] * 3


def test_a_refusal_that_a_drill_asked_for_is_used_up() -> None:
    on = exchange()
    on.book.refusals = ("restricted",)
    place(on, order(1, "buy", 1), order(2, "buy", 1))
    assert [by_id(on, n).status for n in (1, 2)] == ["rejected", "filled"]
    assert by_id(on, 1).why == "restricted"


def test_an_empty_account_is_worth_its_cash() -> None:
    values = book().values()
    assert (values.equity, values.cash, values.excess_liquidity) == (STARTING_CASH,) * 3
    assert values.intraday_excess_liquidity is None
