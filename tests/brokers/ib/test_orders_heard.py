"""What is heard of an order in several messages is one order, and only the broker's own word is its state."""

from datetime import UTC
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ib_async.contract import Contract as Wire
from ib_async.order import Order

from resources.brokers.ib.orders import OrdersHeard
from resources.brokers.ib.told import STATUSES, execution
from tests.brokers.ib.hands import bracket, order
from tests.brokers.ib.test_told import EXECUTION, changed
from trading_assets.broker.model import OrderReport

OURS = 11


def opened(heard: OrdersHeard, words: str, *, order_id: int = 1, perm_id: int = 7, **changes: object) -> OrderReport:
    wire = Order(clientId=OURS, permId=perm_id, action="BUY", totalQuantity=10, orderType="LMT", orderRef="D1:x")
    for name, value in changes.items():
        setattr(wire, name, value)
    report = heard.on_open(order_id, Wire(conId=265598, symbol="AAPL", secType="STK"), wire, words)
    assert report is not None
    return report


def status(words: str, *, order_id: int = 1, filled: str = "0", perm_id: int = 7, why: str = "") -> list[str]:
    return ["3", str(order_id), words, filled, "0", "0", str(perm_id), "0", "0", str(OURS), why, "0"]


@pytest.mark.parametrize(("words", "expected"), STATUSES.items())
def test_each_word_of_the_broker_is_one_state(words: str, expected: str) -> None:
    heard = OrdersHeard(OURS)
    assert opened(heard, words).status == expected
    told = heard.on_status(status(words))
    assert told is not None
    assert told.status == expected


def test_a_word_that_nobody_knows_counts_as_pending() -> None:
    heard = OrdersHeard(OURS)
    opened(heard, "Submitted")
    told = heard.on_status(status("Resting"))
    assert told is not None
    assert told.status == "pending"
    assert not heard.is_readable("Resting")
    assert heard.is_readable("Inactive")


def test_a_status_of_an_order_whose_terms_are_unknown_is_no_report() -> None:
    assert OrdersHeard(OURS).on_status(status("Submitted")) is None


def test_a_status_that_comes_before_the_terms_of_an_order_we_placed_is_a_report() -> None:
    heard = OrdersHeard(OURS)
    heard.placed(order(1, limit="99.00"), "DU1")
    told = heard.on_status(status("Submitted"))
    assert told is not None
    assert (told.perm_id, told.ref, told.status, told.limit_price) == (7, "D1:intent", "working", Decimal("99.00"))


@pytest.mark.fault(55)
def test_executions_alone_say_how_much_is_filled() -> None:
    heard = OrdersHeard(OURS)
    opened(heard, "Submitted")
    fields = changed(changed(changed(EXECUTION, 2, "1"), 21, "7"), 22, str(OURS))
    heard.on_execution(execution(changed(fields, 19, "4"), UTC)[1])
    told = heard.on_status(status("Submitted"))
    assert told is not None
    assert told.filled == Decimal(4)


@pytest.mark.fault(57)
def test_a_correction_takes_the_place_of_what_it_corrects() -> None:
    heard = OrdersHeard(OURS)
    opened(heard, "Submitted")
    fields = changed(changed(changed(EXECUTION, 2, "1"), 21, "7"), 22, str(OURS))
    heard.on_execution(execution(changed(fields, 19, "4"), UTC)[1])
    heard.on_execution(execution(changed(changed(fields, 19, "3"), 14, "00025b46.63f8f39c.01.02"), UTC)[1])
    assert opened(heard, "Submitted").filled == Decimal(3)


def test_an_order_that_the_broker_calls_filled_is_filled_in_full() -> None:
    assert opened(OrdersHeard(OURS), "Filled").filled == Decimal(10)


def test_shares_once_filled_never_become_fewer_by_an_older_status() -> None:
    heard = OrdersHeard(OURS)
    opened(heard, "Submitted")
    heard.on_status(status("Submitted", filled="6"))
    told = heard.on_status(status("Submitted", filled="2"))
    assert told is not None
    assert told.filled == Decimal(6)


def test_an_untransmitted_order_is_held_until_a_child_transmits_it() -> None:
    heard = OrdersHeard(OURS)
    entry, target, stop = bracket()
    heard.placed(entry, "DU1")
    assert opened(heard, "PendingSubmit").status == "held"
    heard.placed(target, "DU1")
    assert opened(heard, "PreSubmitted").status == "held"
    heard.placed(stop, "DU1")
    assert opened(heard, "PreSubmitted").status == "working"


def test_a_held_order_that_is_said_to_work_works() -> None:
    heard = OrdersHeard(OURS)
    heard.placed(bracket()[0], "DU1")
    assert opened(heard, "Submitted").status == "working"


@pytest.mark.fault(49)
def test_an_inactive_order_is_rejected_only_with_a_reason() -> None:
    heard = OrdersHeard(OURS)
    opened(heard, "PreSubmitted")
    told = heard.on_status(status("Inactive"))
    assert told is not None
    assert told.status == "pending"
    told = heard.on_status(status("Inactive", why="locate"))
    assert told is not None
    assert told.status == "pending"
    told = heard.on_refusal(1, "201: Order rejected")
    assert told is not None
    assert (told.status, told.why) == ("rejected", "201: Order rejected")


@pytest.mark.fault(49)
def test_a_reason_in_the_status_itself_rejects() -> None:
    heard = OrdersHeard(OURS)
    opened(heard, "PreSubmitted")
    told = heard.on_status(status("Inactive", why="not enough money"))
    assert told is not None
    assert (told.status, told.why) == ("rejected", "not enough money")


@pytest.mark.fault(51)
def test_a_refusal_ends_no_order_that_was_acknowledged() -> None:
    heard = OrdersHeard(OURS)
    opened(heard, "Submitted")
    assert heard.on_refusal(1, "201: Order rejected") is None
    assert opened(heard, "Submitted").status == "working"
    assert heard.on_refusal(99, "201: never heard of") is None


@pytest.mark.fault(49)
def test_a_refusal_ends_an_order_of_which_nothing_was_heard() -> None:
    heard = OrdersHeard(OURS)
    heard.placed(order(1, limit="99.00"), "DU1")
    told = heard.on_refusal(1, "460: no permission")
    assert told is not None
    assert (told.status, told.why, told.perm_id) == ("rejected", "460: no permission", 0)
    assert opened(heard, "Submitted").status == "working"


@pytest.mark.fault(51)
def test_a_refusal_ends_no_order_that_has_traded() -> None:
    heard = OrdersHeard(OURS)
    heard.placed(order(13, limit="99.00"), "DU1")
    heard.on_execution(execution(changed(changed(EXECUTION, 21, "7"), 22, str(OURS)), UTC)[1])
    assert heard.on_refusal(13, "201: late") is None


@pytest.mark.fault(47)
def test_an_order_id_under_another_perm_id_is_another_order() -> None:
    heard = OrdersHeard(OURS)
    first = opened(heard, "Submitted", perm_id=7)
    heard.on_status(status("Submitted", filled="5"))
    second = opened(heard, "Submitted", perm_id=8)
    assert (first.perm_id, second.perm_id) == (7, 8)
    assert second.filled == Decimal(0)


@pytest.mark.fault(46)
def test_an_order_by_hand_has_neither_order_id_nor_client() -> None:
    report = opened(OrdersHeard(OURS), "Submitted", order_id=-3, clientId=0, orderRef="")
    assert (report.order_id, report.client_id, report.is_ours) == (0, 0, False)


@pytest.mark.fault(52)
def test_the_same_report_is_news_once() -> None:
    heard = OrdersHeard(OURS)
    first = opened(heard, "Submitted")
    assert heard.is_news(first)
    assert not heard.is_news(opened(heard, "Submitted"))
    assert heard.is_news(opened(heard, "PendingCancel"))


WORDS = st.sampled_from([*STATUSES, "Inactive", "Whatever"])


@settings(max_examples=25)
@given(st.lists(st.tuples(WORDS, st.integers(0, 10), st.booleans()), min_size=1, max_size=12))
def test_whatever_is_heard_the_last_word_is_the_state_and_filled_never_shrinks(
    messages: list[tuple[str, int, bool]],
) -> None:
    heard, before = OrdersHeard(OURS), Decimal(0)
    opened(heard, "Submitted")
    for words, filled, is_terms in messages:
        report = opened(heard, words) if is_terms else heard.on_status(status(words, filled=str(filled)))
        assert report is not None
        assert report.status == STATUSES.get(words, "pending")
        assert report.filled >= before or before == Decimal(10)
        before = report.filled if words != "Filled" else before
