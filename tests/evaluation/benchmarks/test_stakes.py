"""What the coin copies: every opening of the desk, its money, its side, and when and how it was left."""

from decimal import Decimal

from tests.evaluation.books import day, fill_row, fills, trade_row, trades
from trading_assets.evaluation.benchmarks.stakes import stakes_of

LONG = {"side": "long"}


def test_an_opening_carries_its_money_and_ends_with_its_trip() -> None:
    [stake] = stakes_of(
        fills(fill_row(2, 4, "buy", 100), fill_row(4, 4, "sell", 120)), trades(trade_row(4, 200, opened=day(2), **LONG))
    )
    assert (stake.id, stake.opened, stake.closed, stake.side) == ("trade-4", day(2), day(4), "long")
    assert (stake.value_usd, stake.leaves_at_open) == (Decimal(1000), False)


def test_fills_in_parts_are_one_opening() -> None:
    parts = [fill_row(2, 4, "buy", 100, quantity=q, fill_id=f"part-{q}") for q in (3, 7)]
    assert [stake.value_usd for stake in stakes_of(fills(*parts), trades())] == [1000]


def test_a_decision_to_leave_leaves_at_the_open_but_never_in_the_session_of_the_entry() -> None:
    for closed, at_open in ((3, True), (2, False)):
        trip = trade_row(closed, 5, opened=day(2), trade_id="trade-4", exit_reason="exit", **LONG)
        assert stakes_of(fills(fill_row(2, 4, "buy", 100)), trades(trip))[0].leaves_at_open is at_open


def test_what_is_still_held_has_no_end() -> None:
    [stake] = stakes_of(fills(fill_row(2, 4, "buy", 100)), trades())
    assert stake.closed is None


def test_an_addition_is_an_opening_that_ends_with_the_position() -> None:
    more = fill_row(3, 9, "buy", 90, role="addition", fill_id="more")
    found = stakes_of(fills(fill_row(2, 4, "buy", 100), more), trades(trade_row(4, 200, opened=day(2), **LONG)))
    assert [(stake.id, stake.opened, stake.closed) for stake in found] == [
        ("trade-4", day(2), day(4)),
        ("trade-9", day(3), day(4)),
    ]


def test_an_entry_in_the_session_that_closed_a_trip_begins_the_next() -> None:
    again = fill_row(4, 9, "buy", 90)
    found = stakes_of(fills(fill_row(2, 4, "buy", 100), again), trades(trade_row(4, 200, opened=day(2), **LONG)))
    assert [stake.closed for stake in found] == [day(4), None]


def test_a_trip_in_another_symbol_does_not_end_it_and_a_sale_that_opens_is_short() -> None:
    trip = trade_row(4, 200, opened=day(1), symbol="MSFT", **LONG)
    short = fill_row(2, 7, "sell", 100, role="entry")
    [stake] = stakes_of(fills(short, fill_row(4, 4, "sell", 1, symbol="MSFT")), trades(trip))
    assert (stake.side, stake.closed) == ("short", None)
