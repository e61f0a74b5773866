"""Round trips: hand-computed ones, and in random worlds their profit against the cash that moved."""

from collections.abc import Sequence
from dataclasses import fields, replace
from decimal import Decimal

import pytest

from tests.execution.desks import SESSIONS
from tests.execution.test_properties import Steps, fills_of
from tests.execution.worlds import SYMBOLS, World, held, in_every_world
from trading_assets.core.errors import PermanentFailure
from trading_assets.execution.corporate import Action
from trading_assets.execution.model import OPENING, TRADES, Fill, OrderRole, Side
from trading_assets.execution.ports import DividendPaid
from trading_assets.execution.round_trips import Origin, RoundTrip, round_trips

ORIGINS = {name: Origin("pullback", "mild_trend", Decimal(95)) for name in ("i", "j")}


def fill(
    text: str,
    day: int,
    *,
    role: OrderRole = "entry",
    side: Side = "buy",
    intent: str = "i",
    fee: str = "1",
    symbol: str = "AAA",
) -> Fill:
    """A fill from "quantity @ price" of a trip whose entry trades on `side`."""
    other: Side = "sell" if side == "buy" else "buy"
    quantity, price = text.split(" @ ")
    session = SESSIONS[day]
    return Fill(
        id=f"{intent}-{role}-{day}#1",
        order_id=f"{intent}-{role}",
        intent_id=intent,
        symbol=symbol,
        side=side if role in OPENING else other,
        role=role,
        quantity=int(quantity),
        price=Decimal(price),
        fee=Decimal(fee),
        session=session.day,
        at=session.open,
        reason="open",
    )


def split(ratio: str, day: int) -> Action:
    return Action("AAA", SESSIONS[day].day, "split", ratio=Decimal(ratio))


def paid(amount: str, day: int) -> DividendPaid:
    return DividendPaid(SESSIONS[day].day, "AAA", Decimal(amount))


def trips(
    fills: Sequence[Fill], splits: Sequence[Action] = (), dividends: Sequence[DividendPaid] = ()
) -> tuple[RoundTrip, ...]:
    return round_trips(fills, splits, dividends, ORIGINS)


def test_a_round_trip_has_the_columns_of_its_table() -> None:
    assert {field.name for field in fields(RoundTrip)} == {column.name for column in TRADES.columns}


def test_a_round_trip_makes_a_row_of_its_table() -> None:
    (trip,) = trips([fill("100 @ 100", 0), fill("100 @ 110", 2, role="target")])
    frame = TRADES.frame([{field.name: getattr(trip, field.name) for field in fields(trip)}])
    assert frame.height == 1


def test_a_simple_trip_earns_its_price_difference_minus_fees() -> None:
    (trip,) = trips([fill("100 @ 100", 0), fill("100 @ 110", 2, role="target")])
    assert trip == RoundTrip(
        session=SESSIONS[2].day,
        trade_id="i",
        symbol="AAA",
        side="long",
        strategy="pullback",
        regime="mild_trend",
        opened=SESSIONS[0].day,
        quantity=100,
        entry_price=Decimal(100),
        exit_price=Decimal(110),
        stop_price=Decimal(95),
        fees=Decimal(2),
        dividends=Decimal(0),
        pnl=Decimal(998),
        return_fraction=998 / 10_001,
        sessions_held=3,
        exit_reason="target",
        knowable_at=SESSIONS[2].close,
    )


def test_a_trip_within_one_session_was_held_for_one() -> None:
    (trip,) = trips([fill("100 @ 100", 0), fill("100 @ 95", 0, role="stop")])
    assert (trip.sessions_held, trip.exit_reason, trip.pnl) == (1, "stop", Decimal(-502))


def test_entries_and_exits_in_parts_are_averaged() -> None:
    (trip,) = trips(
        [
            fill("60 @ 100", 0),
            fill("40 @ 105", 1),
            fill("30 @ 110", 2, role="target"),
            fill("70 @ 96", 3, role="stop"),
        ]
    )
    assert trip.quantity == 100
    assert trip.entry_price == 102
    assert trip.exit_price == Decimal("100.2")
    assert trip.pnl == Decimal(-184)  # 3,300 + 6,720 - 6,000 - 4,200 - 4
    assert trip.exit_reason == "stop"


def test_an_open_position_is_no_round_trip() -> None:
    assert trips([fill("100 @ 100", 0), fill("99 @ 110", 2, role="target")]) == ()


def test_dividends_count_for_the_trip_that_was_open() -> None:
    first, second = trips(
        [
            fill("100 @ 100", 0),
            fill("100 @ 100", 2, role="exit"),
            fill("100 @ 100", 2, intent="j"),
            fill("100 @ 100", 4, role="exit", intent="j"),
        ],
        dividends=[paid("25", 2), paid("30", 3)],
    )
    assert (first.trade_id, first.dividends, first.pnl) == ("i", Decimal(25), Decimal(23))
    assert (second.trade_id, second.dividends, second.pnl) == ("j", Decimal(30), Decimal(28))


def test_a_trip_through_a_split_is_told_in_the_share_count_of_the_exit() -> None:
    (trip,) = trips([fill("100 @ 100", 0), fill("200 @ 55", 2, role="exit")], [split("2", 1)])
    assert (trip.quantity, trip.entry_price, trip.exit_price) == (200, Decimal(50), Decimal(55))
    assert trip.stop_price == Decimal("47.5")
    assert trip.pnl == 998


def test_a_ratio_without_an_exact_decimal_keeps_the_quantity_whole() -> None:
    (trip,) = trips([fill("300 @ 10", 0), fill("10 @ 330", 2, role="exit")], [split("0.03333333333333333", 1)])
    assert (trip.quantity, trip.entry_price, trip.pnl) == (10, Decimal(300), Decimal(298))


def test_a_sale_before_a_split_counts_in_the_share_count_of_the_exit() -> None:
    (trip,) = trips(
        [fill("100 @ 100", 0), fill("50 @ 110", 1, role="target"), fill("100 @ 60", 3, role="exit")], [split("2", 2)]
    )
    assert (trip.quantity, trip.exit_price, trip.pnl) == (200, Decimal("57.5"), Decimal(1_497))


def test_the_cash_for_a_part_of_a_share_belongs_to_the_trip() -> None:
    (trip,) = trips([fill("5 @ 100", 0), fill("7 @ 70", 2, role="exit")], [split("1.5", 1)], [paid("33.3333", 1)])
    assert (trip.quantity, trip.entry_price) == (7, Decimal("66.6667"))
    assert (trip.dividends, trip.pnl) == (Decimal("33.3333"), Decimal("21.3333"))


def test_a_split_on_the_day_of_the_entry_lies_before_it() -> None:
    (trip,) = trips([fill("100 @ 50", 1), fill("100 @ 55", 2, role="exit")], [split("2", 1)])
    assert (trip.quantity, trip.entry_price, trip.stop_price) == (100, Decimal(50), Decimal(95))


def test_a_split_that_leaves_no_share_ends_the_trip_at_what_was_paid() -> None:
    (trip,) = trips([fill("3 @ 100", 0)], [split("0.1", 2)], [paid("330", 2)])
    assert (trip.session, trip.quantity, trip.exit_price) == (SESSIONS[2].day, 3, Decimal(110))
    assert (trip.dividends, trip.pnl, trip.exit_reason) == (Decimal(0), Decimal(29), "exit")


def test_trips_of_several_symbols_come_in_the_order_of_their_end() -> None:
    found = trips(
        [
            fill("10 @ 100", 0),
            fill("10 @ 100", 0, intent="j", symbol="BBB"),
            fill("10 @ 90", 1, role="stop", intent="j", symbol="BBB"),
            fill("10 @ 110", 2, role="target"),
        ]
    )
    assert [(trip.symbol, trip.exit_reason) for trip in found] == [("BBB", "stop"), ("AAA", "target")]


def test_dividend_actions_among_the_splits_are_ignored() -> None:
    action = Action("AAA", SESSIONS[1].day, "cash_dividend", amount=Decimal(1))
    bought = [fill("10 @ 100", 0), fill("10 @ 100", 2, role="exit")]
    assert trips(bought, [action]) == trips(bought)


def test_a_sale_or_a_payment_without_a_position_is_refused() -> None:
    with pytest.raises(PermanentFailure, match="without an open position"):
        trips([fill("10 @ 100", 0, role="exit")])
    with pytest.raises(PermanentFailure, match="without an open position"):
        trips([], dividends=[paid("1", 0)])


def test_a_sale_of_more_than_is_held_is_refused() -> None:
    with pytest.raises(PermanentFailure, match="sells more than is held"):
        trips([fill("10 @ 100", 0), fill("11 @ 100", 1, role="exit")])


def test_an_opening_by_an_unknown_intent_is_refused() -> None:
    with pytest.raises(PermanentFailure, match="unknown intent"):
        trips([fill("10 @ 100", 0, intent="nobody")])


# Short trips


def test_a_short_trip_earns_what_the_price_falls_minus_fees() -> None:
    (trip,) = trips([fill("100 @ 100", 0, side="sell"), fill("100 @ 90", 2, role="target", side="sell")])
    assert (trip.side, trip.quantity, trip.pnl) == ("short", 100, Decimal(998))
    assert (trip.entry_price, trip.exit_price, trip.stop_price) == (Decimal(100), Decimal(90), Decimal(95))
    assert trip.return_fraction == 998 / 10_001


def test_a_short_trip_loses_what_the_price_rises_and_what_it_pays_in_dividends() -> None:
    bought_back = fill("100 @ 104", 3, role="stop", side="sell")
    (trip,) = trips([fill("100 @ 100", 0, side="sell"), bought_back], dividends=[paid("-50", 1)])
    assert (trip.pnl, trip.dividends, trip.exit_reason) == (Decimal(-452), Decimal(-50), "stop")


def test_a_short_trip_is_told_in_the_share_count_of_its_exit() -> None:
    entered, left = fill("100 @ 100", 0, side="sell"), fill("200 @ 45", 2, role="exit", side="sell")
    (trip,) = trips([entered, left], [split("2", 1)])
    assert (trip.quantity, trip.entry_price, trip.exit_price) == (200, Decimal(50), Decimal(45))
    assert (trip.stop_price, trip.pnl) == (Decimal("47.5"), Decimal(998))


def test_a_split_that_closes_a_short_position_is_its_exit() -> None:
    (trip,) = trips([fill("3 @ 100", 0, side="sell")], [split("0.1", 1)], [paid("-270", 1)])
    assert (trip.pnl, trip.exit_price, trip.dividends) == (Decimal(29), Decimal(90), Decimal(0))
    assert trip.exit_reason == "exit"


@pytest.mark.parametrize("side", ["buy", "sell"])
def test_an_addition_belongs_to_the_trip_that_is_open(side: Side) -> None:
    fills = [
        fill("100 @ 100", 0, side=side),
        fill("50 @ 97", 1, role="addition", side=side, intent="j"),
        fill("150 @ 99", 2, role="close", side=side),
    ]
    (trip,) = trips(fills)
    assert (trip.trade_id, trip.quantity, trip.entry_price) == ("i", 150, Decimal(99))
    assert (trip.pnl, trip.exit_reason) == (Decimal(-3), "close")


def test_an_entry_against_an_open_trip_is_refused() -> None:
    with pytest.raises(PermanentFailure, match="opens against a position"):
        trips([fill("10 @ 100", 0), fill("10 @ 100", 1, side="sell")])


@pytest.mark.parametrize("side", ["buy", "sell"])
def test_a_reduction_on_the_wrong_side_is_refused(side: Side) -> None:
    wrong = replace(fill("10 @ 100", 1, role="exit"), side=side)
    with pytest.raises(PermanentFailure, match="does not reduce its position"):
        trips([fill("10 @ 100", 0, side=side), wrong])


def test_more_bought_back_than_owed_is_refused() -> None:
    with pytest.raises(PermanentFailure, match="buys back more than is owed"):
        trips([fill("10 @ 100", 0, side="sell"), fill("11 @ 100", 1, role="exit", side="sell")])


def trips_of(world: World, steps: Steps) -> tuple[RoundTrip, ...]:
    splits = [action for day in world.days for action in day.actions]
    payments = [payment for step in steps for payment in step.acted.payments]
    origins = {order.intent_id: Origin("any", "any", Decimal(1)) for day in world.days for order in day.orders}
    return round_trips(fills_of(steps), splits, payments, origins)


@in_every_world()
def test_in_a_book_that_is_flat_profits_sum_to_the_change_of_cash(world: World, steps: Steps) -> None:
    """Sells and buys back everything after the world's last day, so that every trip ends."""
    state = steps[-1].matched.book
    closing = [
        replace(
            fill(f"{abs(quantity)} @ 12.34", len(world.days), role="exit", intent=symbol, symbol=symbol),
            side="sell" if quantity > 0 else "buy",
        )
        for symbol, quantity in held(state).items()
        if quantity
    ]
    splits = [action for day in world.days for action in day.actions]
    payments = [payment for step in steps for payment in step.acted.payments]
    origins = {order.intent_id: Origin("any", "any", Decimal(1)) for day in world.days for order in day.orders}
    found = round_trips([*fills_of(steps), *closing], splits, payments, origins)
    end = state.cash + sum((each.cash for each in closing), Decimal(0))
    assert sum((trip.pnl for trip in found), Decimal(0)) == end - world.cash
    assert sum((trip.fees for trip in found), Decimal(0)) == sum(
        (each.fee for each in [*fills_of(steps), *closing]), Decimal(0)
    )


@in_every_world()
def test_a_trip_is_told_once_with_sane_numbers(world: World, steps: Steps) -> None:
    found = trips_of(world, steps)
    keys = [(trip.session, trip.trade_id) for trip in found]
    assert len(set(keys)) == len(keys)
    for trip in found:
        assert trip.quantity >= 1
        assert trip.entry_price > 0
        assert trip.exit_price > 0
        assert trip.opened <= trip.session
        assert trip.exit_reason in {"stop", "target", "close", "exit"}
        assert 1 <= trip.sessions_held <= len(world.days)


@in_every_world()
def test_a_longer_history_never_changes_a_finished_trip(world: World, steps: Steps) -> None:
    earlier = set[RoundTrip]()
    for end in range(1, len(steps) + 1):
        part = replace(world, days=world.days[:end])
        now = set(trips_of(part, steps[:end]))
        assert earlier <= now
        earlier = now
    assert {trip.symbol for trip in earlier} <= set(SYMBOLS)
