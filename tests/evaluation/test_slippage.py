"""Implementation shortfall by hand: what was decided, what was met, what was paid, and what never traded."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.evaluation.books import actions, bar_row, bars, day, fill_row, fills, rows, split_row
from tests.evaluation.measured import BOOK, entry, order_row, orders, plan_rows, trade_id
from trading_assets.core.calendar import XNYS
from trading_assets.evaluation.model import SLIPPAGE
from trading_assets.evaluation.slippage import Market, slippage
from trading_assets.market.model import INTRADAY_BARS, QUOTE_BARS

MADE = entry(1)  # decided at 99, at most 100, stop 95, target 110
SHORT = entry(1, side="short", entry=Decimal(98), stop=Decimal(103), target=Decimal(90))


def fill(number: int, role: str, price: object, made: Any = MADE, **more: Any) -> dict[str, Any]:
    opens = role in {"entry", "addition"}
    side = "buy" if opens == (made.side == "long") else "sell"
    named = {"order_id": f"{trade_id(made)}-{role}", "intent_id": trade_id(made), "role": role}
    return fill_row(number, 1, side, price, **{**named, "fill_id": f"{role}#{number}", **more})


def market(*daily: dict[str, Any], intraday: Any = (), quotes: Any = (), splits: Any = ()) -> Market:
    return Market.of(bars(*daily), rows(INTRADAY_BARS, intraday), rows(QUOTE_BARS, quotes), actions(*splits))


def rows_of(*made: dict[str, Any], placed: Any, seen: Market, plan: Any = MADE, last: int = 9) -> list[dict[str, Any]]:
    frame = slippage(fills(*made), orders(*placed), plan_rows(plan), seen, first=day(1), last=day(last), book=BOOK)
    assert dict(frame.schema) == dict(SLIPPAGE.polars_schema())
    return list(frame.rows(named=True))


def test_an_entry_costs_what_it_paid_above_the_decision_in_two_parts() -> None:
    """Decided at 99.00, opened at 99.40, paid 99.50 for ten shares: 5 USD, of which the night took 4."""
    (row,) = rows_of(fill(1, "entry", 99.5), placed=[order_row(MADE, "entry")], seen=market(bar_row(1, 99.4, 101)))
    assert (row["reference"], row["arrival"], row["arrival_source"]) == (Decimal(99), Decimal("99.4"), "open")
    assert (row["delay"], row["execution"], row["shortfall"]) == (Decimal(4), Decimal(1), Decimal(5))
    assert row["shortfall_bp"] == pytest.approx(0.5 / 99 * 10_000, abs=1e-6)
    assert (row["time_of_day"], row["strategy"], row["type"]) == ("09:30", "pullback", "limit")


def test_a_short_sale_costs_what_it_got_below_the_decision() -> None:
    placed = [order_row(SHORT, "entry")]
    (row,) = rows_of(fill(1, "entry", 98.5, SHORT), placed=placed, seen=market(bar_row(1, 98.8, 97)), plan=SHORT)
    assert row["side"] == "sell"
    assert (row["delay"], row["execution"], row["shortfall"]) == (Decimal(2), Decimal(3), Decimal(5))
    assert row["shortfall_bp"] > 0


def test_what_did_not_fill_is_valued_at_the_close_that_it_missed() -> None:
    """Perold's opportunity cost: 6 of 10 shares at 99, the other 4 would have cost 104 at the close."""
    placed = [order_row(MADE, "entry"), order_row(MADE, "stop"), order_row(MADE, "target")]
    done, missed = sorted(
        rows_of(fill(1, "entry", 99, quantity=6), placed=placed, seen=market(bar_row(1, 99, 104))),
        key=lambda row: -len(row["fill_id"]),
    )
    assert (done["shortfall"], done["quantity"]) == (Decimal(0), 6)
    assert (missed["fill_id"], missed["quantity"], missed["price"]) == ("", 4, Decimal(104))
    assert missed["shortfall"] == Decimal(20)
    assert (missed["delay"], missed["execution"], missed["fee"]) == (None, None, Decimal(0))


def test_resting_stops_and_targets_decide_at_their_own_price_and_are_never_unfilled() -> None:
    placed = [order_row(MADE, role) for role in ("stop", "target")]
    (stop,) = rows_of(fill(4, "stop", 94), placed=placed, seen=market(bar_row(4, 94, 94)))
    assert (stop["reference"], stop["shortfall"], stop["time_of_day"]) == (Decimal(95), Decimal(10), "resting")
    (target,) = rows_of(fill(4, "target", 111), placed=placed, seen=market(bar_row(4, 111, 111)))
    assert (target["reference"], target["shortfall"]) == (Decimal(110), Decimal(-10))


def test_a_split_between_the_decision_and_the_fill_changes_the_reference() -> None:
    seen = market(bar_row(4, 47, 47), splits=[split_row(3, 2.0)])
    (stop,) = rows_of(fill(4, "stop", 47, quantity=20), placed=[order_row(MADE, "stop")], seen=seen)
    assert (stop["reference"], stop["shortfall"]) == (Decimal("47.5"), Decimal(10))


def test_a_split_on_the_day_of_the_decision_is_in_its_price_already() -> None:
    seen = market(bar_row(1, 99, 99), splits=[split_row(1, 2.0)])
    (row,) = rows_of(fill(1, "entry", 99), placed=[order_row(MADE, "entry")], seen=seen)
    assert row["shortfall"] == 0


def test_a_leg_that_trades_at_the_close_is_compared_with_the_close() -> None:
    placed = [order_row(MADE, "close")]
    (row,) = rows_of(fill(1, "close", 100.9), placed=placed, seen=market(bar_row(1, 99, 101)))
    assert (row["reference"], row["shortfall"], row["role"]) == (Decimal(101), Decimal(1), "close")


def later(role: str, slot: str, **more: Any) -> pl.DataFrame:
    """An order of a slot after the open."""
    hours, minutes = map(int, slot.split(":")[:2])
    at = XNYS.session(day(1)).open + timedelta(hours=hours - 9, minutes=minutes - 30)
    return orders(order_row(MADE, role, slot=slot, **more)).with_columns(
        pl.lit(at).cast(pl.Datetime("us", "UTC")).alias("knowable_at")
    )


def intraday_row(minutes: int, opens: float, frequency: str) -> dict[str, Any]:
    begin = XNYS.session(day(1)).open + timedelta(minutes=minutes)
    prices = {"open": opens, "high": opens, "low": opens, "close": opens, "volume": 1e5, "source": "test"}
    return {"symbol": "AAPL", "session": day(1), "frequency": frequency, "start": begin, **prices}


def quote_row(minutes: int, bid: float, ask: float) -> dict[str, Any]:
    begin = XNYS.session(day(1)).open + timedelta(minutes=minutes)
    return {"symbol": "AAPL", "session": day(1), "start": begin, "bid": bid, "ask": ask, "source": "test"}


@pytest.mark.parametrize(
    ("intraday", "quotes", "arrival", "source"),
    [
        ([], [], None, ""),
        ([intraday_row(30, 99.2, "5m")], [], Decimal("99.2"), "bar"),
        ([intraday_row(30, 99.2, "5m"), intraday_row(30, 99.3, "1m")], [], Decimal("99.3"), "bar"),
        ([intraday_row(30, 99.2, "1m")], [quote_row(30, 99.3, 99.5)], Decimal("99.4"), "quote"),
        ([intraday_row(25, 98.0, "1m")], [quote_row(31, 99.3, 99.5)], None, ""),
        ([], [quote_row(30, 99.5, 99.3)], None, ""),
        ([], [quote_row(30, float("nan"), 99.3)], None, ""),
    ],
)
def test_arrival_is_the_best_price_of_the_orders_own_minute_or_unknown(
    intraday: Any, quotes: Any, arrival: Decimal | None, source: str
) -> None:
    seen = market(bar_row(1, 99, 101), intraday=intraday, quotes=quotes)
    frame = slippage(
        fills(fill(1, "entry", 99.5)),
        later("entry", "10:00"),
        plan_rows(MADE),
        seen,
        first=day(1),
        last=day(1),
        book=BOOK,
    )
    row = frame.row(0, named=True)
    assert (row["arrival"], row["arrival_source"], row["time_of_day"]) == (arrival, source, "10:00")
    assert (row["delay"] is None) == (arrival is None)
    assert row["shortfall"] == Decimal(5)


def test_a_look_between_slots_has_its_own_name() -> None:
    frame = slippage(
        fills(fill(1, "exit", 98)),
        later("exit", "10:03:13"),
        plan_rows(MADE),
        market(),
        first=day(1),
        last=day(1),
        book=BOOK,
    )
    assert frame["time_of_day"].to_list() == ["event"]


def test_a_fill_that_no_decision_ordered_has_no_reference_and_no_strategy() -> None:
    (row,) = rows_of(fill(1, "exit", 98), placed=[], seen=market(bar_row(1, 99, 101)))
    assert (row["reference"], row["shortfall"], row["shortfall_bp"]) == (None, None, None)
    assert (row["strategy"], row["time_of_day"], row["price"]) == ("unknown", "", Decimal(98))


def test_an_order_whose_plan_is_lost_has_no_reference() -> None:
    other = entry(2)
    (row,) = rows_of(fill(1, "entry", 98), placed=[order_row(MADE, "entry")], seen=market(), plan=other)
    assert row["reference"] is None


def test_an_unfilled_order_without_a_close_is_there_without_a_number() -> None:
    (row,) = rows_of(placed=[order_row(MADE, "entry")], seen=market())
    assert (row["quantity"], row["price"], row["shortfall"]) == (10, None, None)


def test_orders_and_fills_outside_the_sessions_are_left_out() -> None:
    made = [fill(1, "entry", 99.5), fill(3, "stop", 94)]
    placed = orders(order_row(MADE, "entry"), order_row(MADE, "stop"))
    frame = slippage(fills(*made), placed, plan_rows(MADE), market(), first=day(2), last=day(3), book=BOOK)
    assert frame["role"].to_list() == ["stop"]


def test_nothing_traded_is_no_row() -> None:
    assert rows_of(placed=[], seen=market()) == []


@settings(max_examples=50, deadline=None)
@given(
    cents=st.lists(st.tuples(st.integers(5_000, 20_000), st.integers(1, 5)), min_size=1, max_size=5),
    opened=st.integers(5_000, 20_000),
    closed=st.integers(5_000, 20_000),
    long=st.booleans(),
)
def test_fills_and_what_was_missed_sum_to_the_paper_books_advantage(
    cents: list[tuple[int, int]], opened: int, closed: int, long: bool
) -> None:
    """Perold's identity: the rows sum to what a book that traded everything at the decision price would have kept at the close."""
    made, sign = (MADE, 1) if long else (SHORT, -1)
    wanted = sum(shares for _, shares in cents) + 2
    given_fills = [
        fill(1, "entry", Decimal(price) / 100, made, quantity=shares, fill_id=f"f{n}")
        for n, (price, shares) in enumerate(cents)
    ]
    seen = market(bar_row(1, opened / 100, closed / 100))
    placed = [order_row(made, "entry", quantity=wanted)]
    found = rows_of(*given_fills, placed=placed, seen=seen, plan=made)
    close = Decimal(closed) / 100
    paper = sign * wanted * (close - made.reference)
    actual = sum((sign * row["quantity"] * (close - row["price"]) for row in found if row["fill_id"]), Decimal(0))
    assert sum((row["shortfall"] for row in found), Decimal(0)) == paper - actual
    assert all(row["delay"] + row["execution"] == row["shortfall"] for row in found if row["fill_id"])
