"""Entries with a stop and a target: activation, one cancels the other, and what an exit does to them."""

from dataclasses import replace
from decimal import Decimal

from tests.execution.desks import FREE, SESSIONS, bar, book, bracket, one, order, run, told, why
from trading_assets.execution.book import cancel
from trading_assets.execution.matching import match_session

FIVE_PERCENT = replace(FREE, volume_share_max=Decimal("0.05"))
MARKET = bracket(order("i-entry"))
LIMIT = bracket(order("i-entry", type="limit", limit="100"))
BREAKOUT = bracket(order("i-entry", type="stop", stop="103"))


def test_children_wait_while_the_entry_has_not_filled() -> None:
    matched = one(book(*LIMIT), "105 120 101 104")
    assert told(matched) == []
    assert {o.status for o in matched.book.orders.values() if o.parent_id} == {"held"}


def test_children_go_to_work_when_the_entry_fills() -> None:
    matched = one(book(*MARKET), "100 105 98 104")
    assert {o.id: (o.status, o.open_quantity) for o in matched.book.orders.values()} == {
        "i-stop": ("working", 100),
        "i-target": ("working", 100),
    }


def test_children_cover_exactly_what_a_partly_filled_entry_has_bought() -> None:
    bars = [bar("100 105 98 104", day=day, volume=900) for day in range(3)]
    covered = [
        [step.book.orders[child].open_quantity for child in ("i-stop", "i-target")]
        for step in run(book(*MARKET), bars, FIVE_PERCENT)
    ]
    assert covered == [[45, 45], [90, 90], [100, 100]]


def test_an_entry_that_ends_partly_filled_leaves_its_part_protected() -> None:
    orders = bracket(order("i-entry", tif="day"))
    matched = one(book(*orders), "100 105 98 104", FIVE_PERCENT, volume=900)
    assert why(matched) == {"i-entry": "the session ended"}
    assert {o.open_quantity for o in matched.book.orders.values()} == {45}


def test_an_entry_that_ends_unfilled_takes_its_children_along() -> None:
    orders = bracket(order("i-entry", type="limit", limit="99", tif="day"))
    matched = one(book(*orders), "100 105 99 104")
    assert matched.book.orders == {}
    assert why(matched) == {
        "i-entry": "the session ended",
        "i-stop": "its entry was cancelled: the session ended",
        "i-target": "its entry was cancelled: the session ended",
    }


def test_the_stop_cancels_the_target() -> None:
    first, second = run(book(*MARKET), [bar("100 105 98 104"), bar("100 101 94 95", day=1)])
    assert told(second) == [("i-stop", 100, "95.00", "stop")]
    assert why(second) == {"i-target": "the stop filled"}
    assert first.book.positions["AAA"].quantity == 100
    assert second.book.positions == {}


def test_the_target_cancels_the_stop() -> None:
    _, second = run(book(*MARKET), [bar("100 105 98 104"), bar("108 111 107 110", day=1)])
    assert told(second) == [("i-target", 100, "110.00", "limit")]
    assert why(second) == {"i-stop": "the target filled"}


def test_a_bar_that_reaches_both_fills_the_stop() -> None:
    _, second = run(book(*MARKET), [bar("100 105 98 104"), bar("100 120 90 110", day=1)])
    assert told(second) == [("i-stop", 100, "95.00", "stop")]


def test_an_open_beyond_the_target_fills_the_target_though_the_bar_falls_to_the_stop_later() -> None:
    _, second = run(book(*MARKET), [bar("100 105 98 104"), bar("112 113 90 91", day=1)])
    assert told(second) == [("i-target", 100, "112.00", "open")]


def test_a_partly_filled_target_leaves_a_stop_for_the_rest() -> None:
    bars = [bar("100 105 98 104"), bar("108 111 107 110", day=1, volume=600), bar("100 101 94 95", day=2)]
    _, second, third = run(book(*MARKET), bars, FIVE_PERCENT)
    assert told(second) == [("i-target", 30, "110.00", "limit")]
    assert second.book.orders["i-stop"].open_quantity == second.book.orders["i-target"].open_quantity == 70
    assert told(third) == [("i-stop", 70, "95.00", "stop")]


def test_a_stop_and_a_target_share_the_volume_of_a_bar() -> None:
    bars = [bar("100 105 98 104"), bar("100 120 90 110", day=1, volume=600)]
    assert told(run(book(*MARKET), bars, FIVE_PERCENT)[1]) == [("i-stop", 30, "95.00", "stop")]


def test_a_stop_that_gaps_takes_the_same_open_before_the_target_is_looked_at() -> None:
    _, second = run(book(*MARKET), [bar("100 105 98 104"), bar("93 120 90 110", day=1)])
    assert told(second) == [("i-stop", 100, "93.00", "gap")]


def test_an_entry_at_the_open_exposes_stop_and_target_to_the_same_bar() -> None:
    assert told(one(book(*MARKET), "100 111 96 104"))[1:] == [("i-target", 100, "110.00", "limit")]
    assert told(one(book(*MARKET), "100 105 94 104"))[1:] == [("i-stop", 100, "95.00", "stop")]
    assert told(one(book(*MARKET), "100 120 90 104"))[1:] == [("i-stop", 100, "95.00", "stop")]


def test_an_entry_inside_the_bar_exposes_only_the_stop() -> None:
    assert told(one(book(*LIMIT), "102 115 99 104")) == [("i-entry", 100, "100.00", "limit")]
    assert told(one(book(*LIMIT), "102 115 94 104")) == [
        ("i-entry", 100, "100.00", "limit"),
        ("i-stop", 100, "95.00", "stop"),
    ]


def test_a_breakout_inside_the_bar_leaves_its_target_for_the_next_bar() -> None:
    first, second = run(book(*BREAKOUT), [bar("100 111 99 105"), bar("106 111 105 109", day=1)])
    assert told(first) == [("i-entry", 100, "103.00", "stop")]
    assert told(second) == [("i-target", 100, "110.00", "limit")]


def test_a_triggered_stop_goes_before_its_target_at_the_next_open_whatever_their_ids() -> None:
    entry, stop, target = bracket(order("i-entry"))
    legs = (replace(stop, id="i-z"), replace(target, id="i-a"))
    bars = [bar("100 105 98 104"), bar("100 101 94 100", day=1, volume=19), bar("111 112 110 111", day=2)]
    third = run(book(entry, *legs), bars, FIVE_PERCENT)[2]
    assert told(third) == [("i-z", 100, "111.00", "open")]


def test_the_target_of_an_entry_inside_the_bar_may_fill_on_the_next_bar() -> None:
    _, second = run(book(*LIMIT), [bar("102 115 99 104"), bar("105 115 104 112", day=1)])
    assert told(second) == [("i-target", 100, "110.00", "limit")]


def test_a_breakout_inside_the_bar_is_stopped_at_the_stop_and_not_at_an_open_before_the_entry() -> None:
    orders = bracket(order("i-entry", type="stop", stop="103"), stop="98", target="120")
    assert told(one(book(*orders), "95 104 94 103")) == [
        ("i-entry", 100, "103.00", "stop"),
        ("i-stop", 100, "98.00", "stop"),
    ]


def test_an_open_already_below_the_stop_enters_and_leaves_at_the_open() -> None:
    assert told(one(book(*LIMIT), "94 99 93 98")) == [
        ("i-entry", 100, "94.00", "open"),
        ("i-stop", 100, "94.00", "gap"),
    ]


def test_an_open_already_above_the_target_enters_and_leaves_at_the_open() -> None:
    assert told(one(book(*MARKET), "112 113 100 101")) == [
        ("i-entry", 100, "112.00", "open"),
        ("i-target", 100, "112.00", "open"),
    ]


def test_the_volume_that_the_entry_took_is_gone_for_its_stop() -> None:
    bars = [bar("100 101 90 91", volume=2_000), bar("92 93 91 92", day=1)]
    first, second = run(book(*MARKET), bars, FIVE_PERCENT)
    assert told(first) == [("i-entry", 100, "100.00", "open")]
    assert told(second) == [("i-stop", 100, "92.00", "open")]


def test_a_sale_out_of_a_bracket_ends_the_rest_of_its_entry() -> None:
    bars = [bar("100 105 98 104", volume=900), bar("93 94 92 93", day=1, volume=2_000)]
    _, second = run(book(*LIMIT), bars, FIVE_PERCENT)
    assert told(second) == [("i-entry", 55, "93.00", "open"), ("i-stop", 45, "93.00", "gap")]
    _, third = run(book(*LIMIT), [bars[0], bar("104 111 103 110", day=1, volume=400)], FIVE_PERCENT)
    assert told(third) == [("i-target", 20, "110.00", "limit")]
    assert why(third) == {"i-entry": "the target filled"}
    assert {o.id: o.open_quantity for o in third.book.orders.values()} == {"i-stop": 25, "i-target": 25}


def test_an_exit_cancels_stop_and_target_once_everything_is_sold() -> None:
    first = one(book(*MARKET), "100 105 98 104")
    leaving = replace(first.book, orders={**first.book.orders, "x": order("x", "exit", day=1)})
    second = run(leaving, [bar("102 103 90 101", day=1)])[0]
    assert told(second) == [("x", 100, "102.00", "open")]
    assert why(second) == {"i-stop": "nothing is held", "i-target": "nothing is held"}
    assert second.book.orders == {}


def test_a_partial_exit_leaves_stop_and_target_for_what_is_still_held() -> None:
    first = one(book(*MARKET), "100 105 98 104")
    leaving = replace(first.book, orders={**first.book.orders, "x": order("x", "exit", quantity=30, day=1)})
    second = run(leaving, [bar("102 103 101 101", day=1)])[0]
    assert {o.id: o.open_quantity for o in second.book.orders.values()} == {"i-stop": 70, "i-target": 70}


def test_an_exit_ends_an_entry_that_has_bought_and_spares_one_that_has_not() -> None:
    fresh = bracket(order("j-entry", type="limit", limit="50"), stop="45", target="60")
    first = one(book(*LIMIT, *fresh), "100 105 98 104", FIVE_PERCENT, volume=900)
    leaving = replace(first.book, orders={**first.book.orders, "x": order("x", "exit", quantity=45, day=1)})
    second = run(leaving, [bar("102 103 101 101", day=1)], FIVE_PERCENT)[0]
    assert why(second) == {"i-entry": "the exit filled", "i-stop": "nothing is held", "i-target": "nothing is held"}
    assert sorted(second.book.orders) == ["j-entry", "j-stop", "j-target"]


def test_two_brackets_of_one_symbol_never_sell_more_than_is_held() -> None:
    other = bracket(order("j-entry", quantity=50), stop="94", target="115")
    first = one(book(*MARKET, *other), "100 105 98 104")
    assert first.book.positions["AAA"].quantity == 150
    second = run(first.book, [bar("93 94 92 93", day=1)])[0]
    assert told(second) == [("i-stop", 100, "93.00", "gap"), ("j-stop", 50, "93.00", "gap")]
    assert second.book.positions == {}
    assert second.book.orders == {}


def test_an_exit_and_a_gapping_stop_sell_the_position_once() -> None:
    first = one(book(*MARKET), "100 105 98 104")
    leaving = replace(first.book, orders={**first.book.orders, "x": order("x", "exit", day=1)})
    second = run(leaving, [bar("93 94 92 93", day=1)])[0]
    assert told(second) == [("i-stop", 100, "93.00", "gap")]
    assert why(second) == {"i-target": "the stop filled", "x": "nothing is held"}


def test_a_child_that_was_cancelled_by_hand_stays_cancelled() -> None:
    start = cancel(book(*LIMIT), ["i-target"], reason="the operator said so")
    matched = one(start, "100 120 98 104")
    assert told(matched) == [("i-entry", 100, "100.00", "open")]
    assert why(matched) == {"i-target": "the operator said so"}


def test_a_bracket_without_a_target_works_with_its_stop_alone() -> None:
    orders = bracket(order("i-entry"), target=None)
    assert told(one(book(*orders), "100 120 94 95")) == [
        ("i-entry", 100, "100.00", "open"),
        ("i-stop", 100, "95.00", "stop"),
    ]


def test_an_intraday_walk_matches_bar_after_bar_of_one_session() -> None:
    session = SESSIONS[0]
    middle = session.open + (session.close - session.open) / 2
    morning = replace(bar("102 103 101 102"), end=middle)
    afternoon = replace(bar("101 112 99 111"), start=middle)
    first = match_session(book(*LIMIT), {"AAA": morning}, FREE, session_ends=False)
    second = match_session(first.book, {"AAA": afternoon}, FREE)
    assert told(first) == []
    assert [(fill.order_id, fill.at) for fill in second.fills] == [("i-entry", session.close)]
