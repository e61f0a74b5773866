"""The watchdog's controls: each is tripped, none speaks on a desk that is well, and worse is never judged milder."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.warden.views import (
    LIMITS,
    NOW,
    SESSION,
    SETTINGS,
    brief,
    found,
    held,
    ledger,
    order,
    seen,
    sign,
    snapshot,
)
from trading_assets.broker.model import Execution
from trading_assets.core.calendar import XNYS
from warden.judging import CASH_PATIENCE, judge, naked
from warden.seen import LEVELS, Identity, Memory, Seen, Trade

LONG = timedelta(hours=1)


def test_on_a_desk_that_is_well_nothing_is_found() -> None:
    assert found(seen(), after=LONG) == []


# W1


@pytest.mark.control("W1")
@pytest.mark.fault(65)
@pytest.mark.fault(66)
@pytest.mark.parametrize(
    "orders",
    [
        (),
        (order(quantity="9"),),
        (order(side="buy"),),
        (order(status="rejected"),),
        (order(status="cancelled"),),
        (order(kind="limit"),),
        (order(symbol="IBM"),),
    ],
    ids=["none", "too small", "wrong side", "rejected", "cancelled", "a target", "another symbol"],
)
def test_shares_without_a_resting_stop_of_their_size_get_one_and_are_sold_if_that_fails(orders: Any) -> None:
    for gateway, bound in ((sign("gateway", 7), 10), (sign("gateway", acts=False), 10), (sign("gateway"), 20)):
        look = seen(broker=snapshot((held(),), orders), signs={"gateway": gateway, "feed": sign("feed")})
        assert brief(found(look, after=timedelta(seconds=bound - 1))) == []
        assert brief(found(look, after=timedelta(seconds=bound))) == [("W1", "protect", "AAPL")]
        assert brief(found(look, after=timedelta(seconds=30))) == [("W1", "flatten", "AAPL")]


@pytest.mark.control("W1")
def test_a_stop_whose_parent_has_not_filled_covers_nothing() -> None:
    parent = order(side="buy", kind="limit", perm_id=6, order_id=6)
    child = order(parent_id=6)
    assert naked(seen(broker=snapshot((held(),), (parent, child)))) == {"AAPL": Decimal(10)}
    filled = replace(parent, filled=Decimal(4))
    assert naked(seen(broker=snapshot((held(),), (filled, child)))) == {"AAPL": Decimal(6)}


def test_an_order_of_another_connection_with_the_parents_number_is_not_the_parent() -> None:
    stranger = order(side="buy", kind="limit", perm_id=6, order_id=6, client_id=99)
    assert naked(seen(broker=snapshot((held(),), (stranger, order(parent_id=6))))) == {}


def test_a_short_position_is_covered_by_a_stop_that_buys() -> None:
    short = (held(quantity="-10"),)
    assert naked(seen(broker=snapshot(short, (order(),)))) == {"AAPL": Decimal(-10)}
    assert naked(seen(broker=snapshot(short, (order(side="buy"),)))) == {}


def test_shares_that_are_not_the_desks_are_not_protected_here() -> None:
    look = seen(broker=snapshot((held(),), ()), ledger=ledger(adopted={"AAPL": Decimal(10)}))
    assert naked(look) == {}


# W2


@pytest.mark.control("W2")
@pytest.mark.parametrize("told", [(held(quantity="9"),), (held(quantity="11"),), (), (held(), held("IBM"))])
def test_positions_that_differ_halt_when_it_lasts(told: Any) -> None:
    stops = tuple(order(each.symbol, quantity="20") for each in told)
    look = seen(broker=snapshot(told, stops))
    assert brief(found(look, after=timedelta(seconds=9))) == []
    (finding,) = found(look, after=timedelta(seconds=10))
    assert (finding.control, finding.level) == ("W2", "halt")


@pytest.mark.control("W2")
def test_fills_that_overlap_are_each_booked_in_their_time() -> None:
    """The broker holds one share more than the ledger all the while, and it is never the same one for ten seconds."""
    memory = Memory()
    for second, (booked, told) in enumerate([(10, 11)] * 7 + [(10, 12)] + [(11, 12)] * 4):
        look = seen(
            now=NOW + timedelta(seconds=second),
            ledger=ledger(positions={"AAPL": Decimal(booked)}),
            broker=snapshot((held(quantity=str(told)),), (order(quantity="20"),)),
        )
        findings, memory = judge(look, memory, SETTINGS, LIMITS)
        assert [finding for finding in findings if finding.control == "W2"] == []


@pytest.mark.control("W2")
def test_cash_that_differs_by_more_than_its_fraction_halts_after_the_brokers_own_rhythm() -> None:
    near, far = (seen(broker=snapshot((held(),), (order(),), cash=cash)) for cash in ("99009.99", "99010.01"))
    assert found(near, after=LONG) == []
    assert found(far, after=CASH_PATIENCE - timedelta(seconds=1)) == []
    assert brief(found(far, after=CASH_PATIENCE)) == [("W2", "halt", "cash")]


def test_what_fills_while_no_gateway_lives_to_book_it_is_no_difference_until_one_has_had_its_time() -> None:
    """A gateway that is started again reads the broker and books; that it is silent for too long is W3's."""
    look = seen(broker=snapshot((), (order(),)), signs={"gateway": sign("gateway", 15), "feed": sign("feed")})
    assert found(look, after=LONG) == []
    _, memory = judge(replace(look, now=NOW - LONG), Memory(), SETTINGS, LIMITS)
    back = seen(broker=look.broker)
    findings, memory = judge(back, replace(memory, looked=NOW), SETTINGS, LIMITS)
    assert findings == ()
    findings, _ = judge(replace(back, now=NOW + timedelta(seconds=10)), memory, SETTINGS, LIMITS)
    assert brief(list(findings)) == [("W2", "halt", "AAPL")]


def test_cash_is_compared_when_nothing_has_traded_for_as_long_as_it_may_be_late() -> None:
    trade = Trade("x.1", "AAPL", "buy", Decimal(100), Decimal(100), NOW - CASH_PATIENCE, liquidation=False)
    late = replace(trade, at=NOW - CASH_PATIENCE + timedelta(seconds=1))
    far = snapshot((held(),), (order(),), cash="98000")
    assert brief(found(seen(broker=far, ledger=ledger(trades=(trade,))), after=LONG)) == [("W2", "halt", "cash")]
    assert found(seen(broker=far, ledger=ledger(trades=(trade, late))), after=LONG) == []


@pytest.mark.control("W2")
def test_an_order_of_the_desk_that_only_the_broker_knows_halts() -> None:
    stray = order(ref="D1:gone", perm_id=8, order_id=8, quantity="5", side="buy", kind="limit")
    assert brief(found(seen(broker=snapshot((held(),), (order(), stray))), after=LONG)) == [("W2", "halt", "D1:gone")]
    foreign = replace(stray, ref="")
    assert found(seen(broker=snapshot((held(),), (order(), foreign))), after=LONG) == []


# W3


@pytest.mark.control("W3")
@pytest.mark.parametrize(("process", "bound"), [("gateway", 30), ("feed", 10)])
def test_a_silent_process_reduces_and_at_three_times_the_bound_halts(process: str, bound: int) -> None:
    def level(seconds: float) -> list[tuple[str, str, str]]:
        return brief(found(seen(signs={**seen().signs, process: sign(process, seconds)})))

    assert level(bound) == []
    assert level(bound + 0.1) == [("W3", "reduce", process)]
    assert level(3 * bound) == [("W3", "reduce", process)]
    assert level(3 * bound + 0.1) == [("W3", "halt", process)]
    assert level(-bound - 0.1) == [("W3", "reduce", process)]


@pytest.mark.control("W3")
def test_a_process_that_never_lived_reduces() -> None:
    assert brief(found(seen(signs={"feed": sign("feed")}), after=LONG)) == [("W3", "reduce", "gateway")]


def test_the_feed_may_sleep_out_of_hours() -> None:
    assert found(seen(session=None, signs={"gateway": sign("gateway")})) == []


@pytest.mark.parametrize(
    ("seconds", "expected"), [(10, []), (11, [("W3", "reduce", "feed")]), (31, [("W3", "halt", "feed")])]
)
def test_a_feed_that_slept_over_night_is_silent_only_since_the_open(seconds: int, expected: Any) -> None:
    slept = {"gateway": sign("gateway"), "feed": sign("feed", 17.5 * 3600)}
    look = seen(now=SESSION.open + timedelta(seconds=seconds), signs=slept)
    assert brief(found(look)) == expected


@pytest.mark.parametrize(("seconds", "expected"), [(10, []), (11, [("W3", "reduce", "feed")])])
def test_the_first_quote_of_a_new_desk_has_as_long_as_any_other(seconds: int, expected: Any) -> None:
    look = seen(now=SESSION.open + timedelta(seconds=seconds), signs={"gateway": sign("gateway")})
    assert brief(found(look, after=LONG)) == expected


def test_a_silence_that_nobody_watched_halts_nobody() -> None:
    look = seen(signs={**seen().signs, "gateway": sign("gateway", 40_000)})
    assert brief(found(look, watched=timedelta(seconds=90))) == [("W3", "reduce", "gateway")]
    assert brief(found(look, watched=timedelta(seconds=91))) == [("W3", "halt", "gateway")]


def test_a_line_to_the_broker_that_is_down_over_night_halts_nobody() -> None:
    """The broker's Gateway restarts itself every night, and is away for whole weekends."""
    assert brief(found(seen(session=None, broker=None), after=LONG)) == [("W3", "reduce", "broker")]
    at_open = seen(broker=None, now=SESSION.open + timedelta(seconds=90))
    assert brief(found(at_open, after=LONG)) == [("W3", "reduce", "broker")]
    later = seen(broker=None, now=SESSION.open + timedelta(seconds=91))
    assert brief(found(later, after=LONG)) == [("W3", "halt", "broker")]


def test_a_machine_that_slept_has_not_watched_anything_being_wrong_meanwhile() -> None:
    uncovered = seen(broker=snapshot((held(),), ()), signs={**seen().signs, "gateway": sign("gateway", 4_000)})
    _, memory = judge(uncovered, Memory(), SETTINGS, LIMITS)
    awake = replace(uncovered, now=NOW + timedelta(hours=1))
    findings, memory = judge(awake, memory, SETTINGS, LIMITS)
    assert {finding.level for finding in findings} <= {"reduce", "protect"}
    assert memory.watched(awake.now) == timedelta(seconds=10)


@pytest.mark.control("W3")
@pytest.mark.parametrize("silent", ["ledger", "broker"])
def test_a_ledger_or_a_broker_that_does_not_answer_is_not_taken_for_empty(silent: str) -> None:
    look = seen(**{silent: None})
    assert brief(found(look)) == [("W3", "reduce", silent)]
    assert brief(found(look, after=timedelta(seconds=90))) == [("W3", "reduce", silent)]
    assert brief(found(look, after=timedelta(seconds=91))) == [("W3", "halt", silent)]


@pytest.mark.control("W3")
@pytest.mark.fault(87)
def test_a_clock_that_differs_from_the_brokers_reduces() -> None:
    assert brief(found(seen(clock_skew=timedelta(seconds=-1.1)))) == [("W3", "reduce", "clock")]
    assert found(seen(clock_skew=timedelta(seconds=1))) == []


# W4


@pytest.mark.control("W4")
@pytest.mark.parametrize(
    ("equity", "marks", "expected"),
    [
        ("96000.01", {}, []),
        ("96000", {}, [("W4", "halt", "the day")]),
        ("92000", {"day_open": Decimal(92_000)}, [("W4", "halt", "the peak")]),
        ("92001", {"day_open": Decimal(92_001)}, []),
        ("0", {}, [("W4", "halt", "equity")]),
        ("-5", {}, [("W4", "halt", "equity")]),
        ("NaN", {}, [("W4", "halt", "equity")]),
        (None, {}, [("W4", "reduce", "equity")]),
    ],
)
def test_losses_beyond_the_limits_halt(equity: str | None, marks: Any, expected: Any) -> None:
    look = seen(broker=snapshot((held(),), (order(),), equity=equity), ledger=ledger(**marks))
    assert brief(found(look)) == expected


def test_cash_that_is_no_number_differs() -> None:
    look = seen(broker=snapshot((held(),), (order(),), cash="NaN"))
    assert brief(found(look, after=CASH_PATIENCE)) == [("W2", "halt", "cash")]


def test_margin_beyond_its_bound_reduces() -> None:
    used = seen(broker=snapshot((held(),), (order(),), maintenance_margin="80000.01"))
    assert brief(found(used)) == [("W4", "reduce", "margin")]


# W5 to W9


@pytest.mark.control("W5")
def test_a_halt_with_shares_over_a_closed_exchange_is_paged() -> None:
    halted = ledger(halts={1: "a cause"})
    assert brief(found(seen(session=None, ledger=halted))) == [("W5", "page", "")]
    assert found(seen(session=None, ledger=replace(halted, positions={}), broker=snapshot())) == []


@pytest.mark.control("W7")
def test_an_operator_who_does_not_answer_has_the_desk_flat_before_the_close() -> None:
    late = SESSION.close - timedelta(minutes=5)
    asked = ledger(unanswered={"look": late - timedelta(minutes=10)})
    levels = {finding.level for finding in found(seen(now=late, ledger=asked)) if finding.control == "W7"}
    assert levels == {"flatten"}
    for look in (
        seen(now=late - timedelta(seconds=1), ledger=asked),
        seen(now=late, ledger=ledger(unanswered={"look": late - timedelta(minutes=9)})),
        seen(now=late, ledger=replace(asked, positions={}), broker=snapshot()),
    ):
        assert "W7" not in {finding.control for finding in found(look)}


@pytest.mark.control("W8")
@pytest.mark.parametrize(
    ("side", "price", "bad"), [("buy", "100.51", True), ("buy", "100.50", False), ("sell", "99.49", True)]
)
def test_an_execution_far_from_what_was_ordered_reduces(side: Any, price: str, bad: bool) -> None:
    trade = Trade("x.1", "AAPL", side, Decimal(price), Decimal(100), NOW, liquidation=False)
    expected = [("W8", "reduce", "AAPL")] if bad else []
    assert brief(found(seen(ledger=ledger(trades=(trade,))))) == expected


@pytest.mark.control("W9")
def test_a_page_that_nobody_answers_is_found_again() -> None:
    look = seen(ledger=ledger(unanswered={"look": NOW - timedelta(minutes=5)}))
    assert brief(found(look)) == [("W9", "page", "look")]
    assert found(seen(ledger=ledger(unanswered={"look": NOW - timedelta(minutes=4)}))) == []


# W10 to W12


@pytest.mark.control("W10")
@pytest.mark.parametrize("other", [Identity("0.9", "limits"), Identity("1.0", "others")])
def test_processes_of_other_programs_or_limits_reduce_and_halt_when_it_lasts(other: Identity) -> None:
    look = seen(signs={"gateway": sign("gateway", identity=other), "feed": sign("feed", identity=Identity("", ""))})
    assert brief(found(look)) == [("W10", "reduce", "gateway")]
    assert brief(found(look, after=timedelta(seconds=90))) == [("W10", "reduce", "gateway")]
    assert brief(found(look, after=timedelta(seconds=91))) == [("W10", "halt", "gateway")]


def test_the_last_sign_of_last_nights_program_is_no_other_program() -> None:
    old = sign("feed", 40_000, identity=Identity("0.9", "limits"))
    assert found(seen(session=None, signs={"gateway": sign("gateway"), "feed": old}), after=LONG) == []


@pytest.mark.control("W11")
@pytest.mark.fault(71)
def test_a_position_that_the_broker_closed_by_itself_halts() -> None:
    done = Execution(
        *("x.1", 1, 0, 0, "", "DU1234567", "AAPL", 1, "sell"), Decimal(1), Decimal(90), NOW, liquidation=True
    )  # fmt: skip
    look = seen(broker=snapshot((held(),), (order(),), executions=(done,)))
    assert brief(found(look)) == [("W11", "halt", "AAPL")]


def test_a_liquidation_that_an_operator_has_answered_for_halts_no_more() -> None:
    done = Trade("x.1", "AAPL", "sell", Decimal(90), None, NOW, liquidation=True)
    (finding,) = found(seen(ledger=ledger(trades=(done,))))
    answered = ledger(trades=(done,), answered=(f"{finding.code}: {finding.sentence}; W3 feed: silent",))
    assert found(seen(ledger=answered)) == []
    again = replace(answered, trades=(done, replace(done, exec_id="x.10")))
    assert brief(found(seen(ledger=again))) == [("W11", "halt", "AAPL")]


@pytest.mark.control("W12")
@pytest.mark.fault(69)
@pytest.mark.fault(85)
@pytest.mark.parametrize("day", [date(2024, 3, 25), date(2024, 7, 3), date(2024, 11, 29), date(2024, 12, 24)])
def test_day_positions_are_sold_before_the_close_of_that_day_and_halt_at_it(day: date) -> None:
    session = XNYS.session(day)
    holding = ledger(day_symbols=frozenset({"AAPL"}))

    def levels(before: timedelta) -> list[str]:
        look = seen(now=session.close - before, session=session, ledger=holding)
        return [finding.level for finding in found(look) if finding.control == "W12"]

    assert levels(timedelta(minutes=5, seconds=1)) == []
    assert levels(timedelta(minutes=5)) == ["flatten"]
    assert levels(timedelta(seconds=60)) == ["halt"]


@pytest.mark.parametrize("before", [timedelta(minutes=5), timedelta(seconds=30)])
def test_shares_that_are_not_the_desks_are_nobodys_day_position(before: timedelta) -> None:
    day = ledger(day_symbols=frozenset({"AAPL"}), adopted={"AAPL": Decimal(10)})
    assert "W12" not in {each.control for each in found(seen(now=SESSION.close - before, ledger=day))}
    partly = replace(day, adopted={"AAPL": Decimal(9)})
    assert "W12" in {each.control for each in found(seen(now=SESSION.close - before, ledger=partly))}


def test_what_is_held_over_night_on_purpose_is_left_alone_at_the_close() -> None:
    assert found(seen(now=SESSION.close - timedelta(minutes=1))) == []


# C29


@pytest.mark.control("C29")
@pytest.mark.fault(48)
def test_another_account_reduces_and_is_no_silent_broker() -> None:
    look = seen(broker=None, stranger="the broker answers for U1234567, not for DU1234567")
    assert brief(found(look, after=LONG)) == [("C29", "reduce", "account")]


# What all of them keep


def test_what_is_well_again_is_forgotten() -> None:
    naked_look = seen(broker=snapshot((held(),), ()))
    _, memory = judge(naked_look, Memory(), SETTINGS, LIMITS)
    _, healed = judge(replace(seen(), now=NOW + timedelta(seconds=9)), memory, SETTINGS, LIMITS)
    assert healed.since == {}
    assert memory.since.keys() == {("W1", "AAPL")}
    findings, _ = judge(replace(naked_look, now=NOW + timedelta(seconds=12)), healed, SETTINGS, LIMITS)
    assert findings == ()


@given(st.lists(st.integers(0, 400), min_size=2, max_size=8))
def test_what_lasts_longer_is_never_judged_milder(seconds: list[int]) -> None:
    broken: Seen = seen(broker=snapshot((held(),), ()), signs={})
    levels = [
        {finding.key: LEVELS.index(finding.level) for finding in found(broken, after=timedelta(seconds=each))}
        for each in sorted(seconds)
    ]
    for earlier, later in pairwise(levels):
        assert all(later.get(key, -1) >= level for key, level in earlier.items())


def test_the_worst_comes_first_and_each_thing_once() -> None:
    look = seen(
        ledger=ledger(unanswered={"look": NOW - LONG}),
        broker=snapshot((held(),), (), equity="90000"),
        signs={"gateway": sign("gateway", 31), "feed": sign("feed")},
    )
    findings = found(look, after=timedelta(seconds=10))
    order_of = [LEVELS.index(finding.level) for finding in findings]
    assert order_of == sorted(order_of, reverse=True)
    assert len({finding.key for finding in findings}) == len(findings)
