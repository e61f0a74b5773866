"""How orders are shaped and divided: pure, and never more than is there."""

from datetime import UTC, datetime
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.brackets import Part, bracket, crossing, reducing, reduction, shares_of
from gateway.view import NOTHING_KNOWN, View, positions
from tests.gateway.parts import LIMITS, plan_of
from trading_assets.broker.lifecycle import Known, Leg, LegRole, LegState, Tracked
from trading_assets.broker.model import Contract, Quote, Side
from trading_assets.execution.orders import intent_for
from trading_assets.signatures.model import Verdict

AAPL = Contract("AAPL", 1)
NOW = datetime(2024, 3, 25, 14, tzinfo=UTC)


def leg(
    number: int, role: LegRole, quantity: int, *, side: Side = "sell", state: LegState = "working", **more: object
) -> Leg:
    fields = {
        "key": f"k{number}-{role}",
        "intent_id": f"k{number}",
        "ref": f"D1:k{number}",
        "role": role,
        "symbol": "AAPL",
        "con_id": 1,
        "side": side,
        "kind": "stop",
        "quantity": quantity,
        "state": state,
        "order_id": number,
        "oca_group": f"D1:k{number}",
        **more,
    }
    return Leg(**fields)  # type: ignore[arg-type] # the fields above


def known(*legs: Leg, booked: int = 0) -> Known:
    tracked = tuple(
        Tracked(each.intent_id, each.ref, each.symbol, each.side, False, each.quantity, "WORKING", (each,))
        for each in legs
    )
    return Known(tracked, {}, frozenset(), {}, {"AAPL": Decimal(booked)}, None, frozenset())


@settings(max_examples=25)
@given(st.lists(st.integers(1, 500), max_size=5), st.integers(1, 2_000))
def test_a_reduction_divides_into_exactly_its_shares_and_no_group_gets_more_than_it_covers(
    covers: list[int], wanted: int
) -> None:
    legs = [leg(number, "stop", quantity) for number, quantity in enumerate(covers, 1)]
    shares = shares_of(known(*legs), "AAPL", "sell", wanted)
    assert sum(share.quantity for share in shares) == wanted
    covered = {each.oca_group: each.quantity for each in legs}
    assert all(share.quantity <= covered[share.group] for share in shares if share.group)
    assert all(share.quantity > 0 for share in shares)
    assert sum(not share.group for share in shares) <= 1


@settings(max_examples=20)
@given(st.integers(1, 500), st.integers(1, 10_000), st.integers(1, 4))
def test_a_bracket_transmits_only_with_its_stop_which_is_written_last(quantity: int, first: int, number: int) -> None:
    plan = plan_of(quantity=quantity)
    verdict = Verdict(
        signer="risk_gate", plan_id=plan.id, plan_digest=plan.digest, ruling="approve", quantity=quantity, breaches=()
    )
    intent = intent_for(plan, verdict, book="desk", limits_hash=LIMITS)
    legs = bracket(intent, AAPL, Part(quantity, Decimal("100.40"), number=number), first)
    requests = [each.request for each in legs]
    assert [each.role for each in legs] == ["entry", "target", "stop"]
    assert [request.transmit for request in requests] == [False, False, True]
    assert [request.order_id for request in requests] == [first, first + 1, first + 2]
    assert len({request.key for request in requests}) == 3
    assert {request.quantity for request in requests} == {quantity}
    assert {each.parent_key for each in legs[1:]} == {requests[0].key}
    assert {request.parent_id for request in requests[1:]} == {first}
    assert requests[1].oca_group == requests[2].oca_group != ""


def test_parts_of_an_entry_have_groups_of_their_own() -> None:
    plan = plan_of()
    verdict = Verdict(
        signer="risk_gate", plan_id=plan.id, plan_digest=plan.digest, ruling="approve", quantity=40, breaches=()
    )
    intent = intent_for(plan, verdict, book="desk", limits_hash=LIMITS)
    groups = {bracket(intent, AAPL, Part(20, None, number=number), 1)[2].request.oca_group for number in (1, 2)}
    assert len(groups) == 2


def test_a_reduction_without_a_limit_is_at_the_market_and_one_with_it_is_not() -> None:
    shares = shares_of(known(leg(1, "stop", 10)), "AAPL", "sell", 10)
    (market,) = reduction("i", "flatten", AAPL, "sell", shares, 5, limit_price=None)
    (limit,) = reduction("i", "exit", AAPL, "sell", shares, 5, limit_price=Decimal("99.50"))
    assert (market.request.kind, limit.request.kind) == ("market", "limit")
    assert market.request.oca_group == "D1:k1"


def test_what_leaves_already_counts_and_what_rests_does_not() -> None:
    book = known(
        leg(1, "stop", 10),
        leg(2, "target", 10),
        leg(3, "exit", 4),
        leg(4, "flatten", 3),
        leg(5, "exit", 9, state="cancelled"),
    )
    assert reducing(book, "AAPL") == 7


def test_own_orders_that_could_trade_with_each_other_are_told() -> None:
    target = leg(1, "target", 10, kind="limit", limit_price=Decimal(105))
    stop = leg(2, "stop", 10, stop_price=Decimal(98))
    assert crossing(known(target, stop), "AAPL", "buy", Decimal(100)) == ()
    assert len(crossing(known(target, stop), "AAPL", "buy", Decimal(105))) == 1
    assert len(crossing(known(target, stop), "AAPL", "buy", Decimal(97))) == 1
    assert len(crossing(known(target, stop), "AAPL", "buy", None)) == 2
    assert crossing(known(target, stop), "MSFT", "buy", None) == ()


def test_a_flat_book_holds_nothing() -> None:
    assert positions(NOTHING_KNOWN) == {}
    assert positions(known(booked=5)) == {"AAPL": 5}


def test_an_older_quote_changes_nothing_and_the_end_of_a_halt_is_remembered() -> None:
    view = View()
    view.hear(Quote("AAPL", NOW, Decimal(99), Decimal(101), halted=True))
    assert "AAPL" in view.halted_symbols
    later = NOW.replace(minute=1)
    view.hear(Quote("AAPL", later, Decimal(99), Decimal(101)))
    assert view.opened_again == {"AAPL": later}
    view.hear(Quote("AAPL", NOW, Decimal(1), Decimal(2)))
    assert view.price("AAPL") == 100
