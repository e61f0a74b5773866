"""The way to flat from one snapshot: nothing is sold twice, nothing that is not the desk's, and no cover goes before its shares."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.warden.views import held, order, snapshot
from trading_assets.broker.model import OrderReport
from warden.steps import Sale, steps_to_flat, unproven

BUY_LIMIT: dict[str, Any] = {"side": "buy", "kind": "limit", "perm_id": 20, "order_id": 20, "oca_group": ""}


def sold(orders: tuple[OrderReport, ...], quantity: str = "10") -> tuple[Sale, ...]:
    return steps_to_flat(snapshot((held(quantity=quantity),), orders), {}).sell


def test_shares_go_in_the_group_of_their_stop_and_the_rest_in_none() -> None:
    assert sold((order(quantity="6"),)) == (Sale("AAPL", 1, "sell", 6, "D1:i"), Sale("AAPL", 1, "sell", 4))


def test_what_sells_already_is_not_sold_again() -> None:
    selling = order(kind="market", quantity="7", perm_id=9, order_id=9)
    assert sold((order(), selling)) == (Sale("AAPL", 1, "sell", 3, "D1:i"),)
    assert sold((order(), replace(selling, quantity=Decimal(10)))) == ()


def test_without_a_stop_the_group_of_the_target_keeps_the_two_apart() -> None:
    assert sold((order(kind="limit"),)) == (Sale("AAPL", 1, "sell", 10, "D1:i"),)


def test_an_exit_in_no_group_is_cancelled_before_its_shares_are_sold() -> None:
    loose = order(kind="limit", oca_group="", quantity="4")
    steps = steps_to_flat(snapshot((held(),), (loose,)), {})
    assert steps.cancel == (loose,)
    assert steps.sell == (Sale("AAPL", 1, "sell", 6),)
    gone = replace(loose, status="pending_cancel")
    waiting = steps_to_flat(snapshot((held(),), (gone,)), {})
    assert (waiting.cancel, [each.quantity for each in waiting.sell]) == ((), [6])


def test_the_children_of_an_entry_that_waits_stay_until_it_is_gone() -> None:
    parent = order(**BUY_LIMIT)
    child = order(parent_id=20)
    assert steps_to_flat(snapshot((), (parent, child)), {}).cancel == (parent,)
    assert steps_to_flat(snapshot((), (child,)), {}).cancel == (child,)


def test_a_stop_is_cancelled_only_when_its_shares_are_gone() -> None:
    stop = order()
    assert steps_to_flat(snapshot((held(),), (stop,)), {}).cancel == ()
    assert steps_to_flat(snapshot((), (stop,)), {}).cancel == (stop,)


def test_a_part_of_a_share_is_left_to_a_person() -> None:
    steps = steps_to_flat(snapshot((held(quantity="0.4"),), ()), {})
    assert steps.sell == ()
    assert "by hand" in steps.stuck[0]


def test_before_the_ledger_has_spoken_only_what_the_stop_of_a_bracket_covers_is_the_desks() -> None:
    bracket = (order(quantity="4"), order(quantity="4", kind="limit", perm_id=8))
    alone = order("MSFT", side="buy", oca_group="D1:protect")
    told = snapshot((held(), held("IBM", "5"), held("MSFT", "-3")), (*bracket, order("IBM", ref=""), alone))
    assert unproven(told) == {"AAPL": Decimal(6), "IBM": Decimal(5), "MSFT": Decimal(-3)}
    assert steps_to_flat(told, unproven(told)).sell == (Sale("AAPL", 1, "sell", 4, "D1:i"),)


ORDERS = st.lists(
    st.builds(
        order,
        side=st.sampled_from(["buy", "sell"]),
        quantity=st.integers(1, 30).map(str),
        kind=st.sampled_from(["market", "limit", "stop"]),
        status=st.sampled_from(["working", "pending", "pending_cancel", "cancelled", "held"]),
        perm_id=st.integers(1, 500),
        oca_group=st.sampled_from(["", "D1:a", "D1:b"]),
        ref=st.sampled_from(["D1:a", "D1:b", ""]),
    ),
    max_size=6,
    unique_by=lambda each: each.perm_id,
)


@settings(max_examples=25)
@given(st.integers(-40, 40), st.integers(-40, 40), ORDERS)
def test_never_more_is_sold_than_the_desk_holds_and_strangers_stay(
    quantity: int, spared: int, orders: list[OrderReport]
) -> None:
    """Whatever is at work: market orders, the new ones among them, and exits in no group are at most what is held."""
    told = snapshot((held(quantity=str(quantity)),) if quantity else (), tuple(orders))
    steps = steps_to_flat(told, {"AAPL": Decimal(spared)})
    own = abs(quantity - spared) if (quantity - spared) * quantity > 0 else 0
    closing = "sell" if quantity > 0 else "buy"
    at_work = sum(
        (each.remaining for each in orders if each.is_ours and each.side == closing and each.kind == "market"),
        Decimal(0),
    )
    new = sum(sale.quantity for sale in steps.sell)
    assert new == 0 or new + at_work <= min(own, abs(quantity))
    assert all(sale.side == closing for sale in steps.sell)
    assert all(each.is_ours for each in steps.cancel)
    assert not any(each.kind == "stop" and each.side == closing for each in steps.cancel if own)
