"""The gateway over the real client: what the broker, the exchange and other hands do to orders, and what becomes of them.

The observer reads the broker's own book (`Wired.wrong`): never two entries for one intent, no fill unbooked, cash to the cent.
"""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from tests.gateway.wired import Wired, wired
from tests.tws.book import Order
from tests.tws.faults import Duplicate, LateAnswer, LateCancel, RefuseCancel, Reordered, Rewritten, Withhold
from tests.tws.orders import refuse, warn

STATUS, OPEN, EXECUTION, FEE = 3, 5, 11, 59


def is_entry(order: Order) -> bool:
    return order.ref.startswith("D1:") and not order.parent_id


def is_stop(order: Order) -> bool:
    return order.ref.startswith("D1:") and order.kind == "STP"


@pytest.mark.fault(46)
def test_an_order_by_hand_is_counted_and_never_touched_until_its_shares_need_cover(tmp_path: Path) -> None:
    async def work(desk: Wired) -> None:
        await desk.started()
        order = desk.tws.place_by_hand("MSFT", "BUY", 5, "150.00")
        await desk.run(12, step=3)
        assert order.perm_id in desk.store.known().foreign
        assert not order.ended
        assert desk.wrong() == []
        desk.tws.fill(order, 5, "150.00")
        await desk.run(40, step=4)
        assert desk.store.known().position("MSFT") == 5
        assert desk.covered("MSFT") == 5
        assert desk.halts() == []

    wired(tmp_path, work)


@pytest.mark.fault(47)
def test_two_orders_behind_one_reference_are_both_cancelled_and_halt(tmp_path: Path) -> None:
    async def work(desk: Wired) -> None:
        await desk.started()
        intent = await desk.resting()
        twin = replace(desk.entry(intent), perm_id=0, order_id=900, status="PendingSubmit")
        desk.tws.do(lambda: desk.tws.book.enter(twin))
        await desk.run(12, step=2)
        assert any("two_perm_ids" in cause or "more than one order" in cause for cause in desk.halts())
        assert all(order.ended for order in desk.orders(intent) if not order.parent_id)
        assert desk.tws.truth().positions == {}

    wired(tmp_path, work)


@pytest.mark.fault(49)
@pytest.mark.parametrize("code", [110, 200, 201, 203, 434, 460, 10289])
def test_an_order_that_the_broker_refuses_is_rejected_in_its_words_and_leaves_nothing(
    tmp_path: Path, code: int
) -> None:
    async def work(desk: Wired) -> None:
        await desk.started()
        desk.tws.judge(refuse(code, fits=is_entry))
        intent = await desk.sent()
        await desk.until(lambda: desk.state(intent) == "REJECTED")
        assert str(code) in desk.why(intent)
        await desk.run(36, step=6)
        assert not desk.tws.book.working
        assert desk.tws.truth().positions == {}
        assert desk.halts() == []
        assert len(desk.tws.asked(3)) <= 5

    wired(tmp_path, work)


@pytest.mark.fault(50)
@pytest.mark.parametrize("code", [399, 404, 2109, 10318, 10349])
def test_a_warning_about_an_order_that_lives_ends_nothing(tmp_path: Path, code: int) -> None:
    async def work(desk: Wired) -> None:
        await desk.started()
        desk.shows = 0
        desk.quote()
        desk.tws.judge(warn(code, fits=is_entry))
        intent = await desk.sent()
        await desk.run(6, step=3)
        assert desk.state(intent) == "WORKING"
        desk.tws.fill(desk.entry(intent), 40, "100.01")
        await desk.run(6, step=3)
        assert desk.state(intent) == "FILLED"
        assert desk.wrong() == []

    wired(tmp_path, work)


@pytest.mark.fault(51)
@pytest.mark.parametrize("code", [399_999, 10_999, 2_999])
def test_a_code_that_nobody_listed_ends_no_order(tmp_path: Path, code: int) -> None:
    async def work(desk: Wired) -> None:
        await desk.started()
        desk.shows = 0
        desk.quote()
        desk.tws.judge(warn(code, fits=is_entry))
        intent = await desk.sent()
        await desk.run(12, step=3)
        assert desk.state(intent) == "WORKING"
        assert not desk.entry(intent).ended
        assert desk.wrong() == []

    wired(tmp_path, work)


@pytest.mark.fault(52)
@pytest.mark.fault(53)
def test_everything_said_twice_counts_once(tmp_path: Path) -> None:
    async def work(desk: Wired) -> None:
        await desk.started()
        desk.tws.with_faults(Duplicate())
        intent = await desk.held()
        await desk.run(6, step=3)
        assert desk.state(intent) == "FILLED"
        assert desk.wrong() == []

    wired(tmp_path, work)


@pytest.mark.fault(54)
@pytest.mark.parametrize("places", [(3, 2, 1, 0), (2, 0, 3, 1)])
def test_what_is_said_in_the_wrong_order_ends_in_the_right_state(tmp_path: Path, places: tuple[int, ...]) -> None:
    async def work(desk: Wired) -> None:
        await desk.started()
        desk.fault_at("submitted", Reordered(places))
        intent = await desk.sent()
        await desk.run(12, step=3)
        assert desk.state(intent) == "FILLED"
        assert desk.wrong() == []

    wired(tmp_path, work)


@pytest.mark.fault(54)
def test_a_fill_that_is_told_before_its_order_is_acknowledged_is_booked(tmp_path: Path) -> None:
    async def work(desk: Wired) -> None:
        await desk.started()
        late = LateAnswer(STATUS, OPEN)
        desk.fault_at("submitted", late)
        intent = await desk.sent()
        assert desk.store.known().position("AAPL") == 40
        desk.tws.without_faults()
        late.release(desk.tws)
        await desk.run(6, step=3)
        assert desk.state(intent) == "FILLED"
        assert desk.wrong() == []

    wired(tmp_path, work)


@pytest.mark.fault(55)
def test_executions_alone_fill_an_order(tmp_path: Path) -> None:
    async def work(desk: Wired) -> None:
        await desk.started()
        desk.fault_at("submitted", Withhold(STATUS, OPEN))
        intent = await desk.sent()
        assert desk.state(intent) == "FILLED"
        desk.tws.without_faults()
        await desk.run(6, step=3)
        assert desk.wrong() == []

    wired(tmp_path, work)


@pytest.mark.fault(56)
def test_a_fill_counts_while_its_fee_is_unknown_and_the_fee_is_booked_when_it_is_told(tmp_path: Path) -> None:
    async def work(desk: Wired) -> None:
        await desk.started()
        desk.tws.with_faults(Rewritten(FEE, 3, "-1.0"))
        intent = await desk.held()
        await desk.run(3)
        assert desk.state(intent) == "FILLED"
        assert desk.store.known().fees == frozenset()
        assert desk.halts() == []
        desk.tws.without_faults()
        await desk.run(6, step=3)
        assert desk.store.known().fees == desk.booked()
        assert desk.wrong() == []

    wired(tmp_path, work)


@pytest.mark.fault(57)
def test_a_corrected_execution_takes_the_place_of_the_first_and_both_stay_in_the_ledger(tmp_path: Path) -> None:
    async def work(desk: Wired) -> None:
        await desk.started()
        await desk.held()
        await desk.run(6, step=3)
        (first,) = desk.tws.truth().fills
        desk.tws.correct(first.exec_id, price="99.50")
        await desk.run(12, step=3)
        (second,) = desk.tws.truth().fills
        assert {first.exec_id, second.exec_id} <= desk.booked()
        assert desk.store.known().cash == desk.tws.truth().cash
        assert desk.store.known().position("AAPL") == 40
        assert desk.halts() == []

    wired(tmp_path, work)


@pytest.mark.fault(58)
def test_a_busted_trade_is_taken_back_in_full_and_halts(tmp_path: Path) -> None:
    async def work(desk: Wired) -> None:
        await desk.started()
        await desk.held()
        await desk.run(6, step=3)
        (fill,) = desk.tws.truth().fills
        desk.tws.correct(fill.exec_id, quantity=0)
        await desk.run(12, step=3)
        cash = desk.store.known().cash
        assert desk.store.known().position("AAPL") == 0
        assert cash is not None
        # The loopback keeps the fee of a busted trade; nobody knows what the real one does.
        assert abs(cash - desk.tws.truth().cash) <= fill.fee
        assert any("took back" in cause for cause in desk.halts())

    wired(tmp_path, work)


@pytest.mark.fault(59)
def test_a_partial_fill_and_a_cancel_leave_the_filled_shares_and_a_stop_of_their_size(tmp_path: Path) -> None:
    async def work(desk: Wired) -> None:
        await desk.started()
        intent = await desk.resting()
        desk.tws.fill(desk.entry(intent), 15, "100.01")
        await desk.run(2)
        assert desk.state(intent) == "PARTIAL"
        desk.tws.cancel_by_hand(desk.entry(intent))
        await desk.run(9, step=3)
        assert desk.state(intent) == "CANCELLED"
        assert desk.store.known().position("AAPL") == 15
        assert desk.covered() == 15
        assert desk.wrong() == []

    wired(tmp_path, work)


@pytest.mark.fault(60)
@pytest.mark.fault(8)
def test_a_partial_fill_and_a_lost_link_lose_nothing(tmp_path: Path) -> None:
    async def work(desk: Wired) -> None:
        await desk.started()
        intent = await desk.resting()
        desk.tws.fill(desk.entry(intent), 10, "100.01")
        desk.tws.away()
        desk.tws.fill(desk.entry(intent), 15, "100.02")
        await desk.run(2)
        desk.tws.back()
        await desk.until(lambda: desk.store.known().position("AAPL") == 25)
        assert desk.state(intent) == "PARTIAL"
        await desk.run(9, step=3)
        assert desk.wrong() == []

    wired(tmp_path, work)


@pytest.mark.fault(61)
def test_more_shares_than_were_ordered_are_booked_in_full_covered_and_halt(tmp_path: Path) -> None:
    async def work(desk: Wired) -> None:
        await desk.started()
        intent = await desk.resting()
        desk.tws.fill(desk.entry(intent), 50, "100.01")
        desk.shows = 5_000
        await desk.run(40, step=4)
        assert desk.store.known().position("AAPL") == 50
        assert any("more than was ordered" in cause for cause in desk.halts())
        assert desk.wrong(halts=True) == []

    wired(tmp_path, work)


@pytest.mark.fault(62)
def test_a_fill_wins_over_the_cancel_that_came_too_late(tmp_path: Path) -> None:
    async def work(desk: Wired) -> None:
        await desk.started()
        intent = await desk.resting()
        late = LateCancel()
        desk.tws.with_faults(late)
        desk.store.halt("an operator wants quiet", as_of=desk.hand.at)
        await desk.run(2)
        assert late.waiting
        desk.tws.fill(desk.entry(intent), 40, "100.01")
        desk.tws.without_faults()
        late.release(desk.tws)
        await desk.run(6, step=3)
        assert desk.state(intent) == "FILLED"
        assert desk.wrong(halts=True) == []

    wired(tmp_path, work)


@pytest.mark.fault(63)
@pytest.mark.parametrize("code", [10147, 10148, 161])
def test_a_refused_cancel_is_no_cancel_and_the_broker_is_asked_again(tmp_path: Path, code: int) -> None:
    async def work(desk: Wired) -> None:
        await desk.started()
        intent = await desk.resting()
        desk.tws.with_faults(RefuseCancel(code, times=99))
        desk.store.halt("an operator wants quiet", as_of=desk.hand.at)
        await desk.run(6, step=2)
        assert desk.state(intent) in {"WORKING", "PENDING_CANCEL"}
        assert not desk.entry(intent).ended
        desk.tws.without_faults()
        await desk.until(lambda: desk.state(intent) == "CANCELLED", step=3)
        assert desk.wrong(halts=True) == []

    wired(tmp_path, work)


@pytest.mark.fault(64)
def test_a_cancel_that_is_acknowledged_minutes_later_stays_pending_until_then(tmp_path: Path) -> None:
    async def work(desk: Wired) -> None:
        await desk.started()
        intent = await desk.resting()
        late = LateCancel()
        desk.tws.with_faults(late)
        desk.store.halt("an operator wants quiet", as_of=desk.hand.at)
        await desk.run(120, step=10)
        assert desk.state(intent) == "PENDING_CANCEL"
        desk.tws.without_faults()
        late.release(desk.tws)
        await desk.until(lambda: desk.state(intent) == "CANCELLED", step=3)
        assert desk.wrong(halts=True) == []

    wired(tmp_path, work)


@pytest.mark.fault(65)
@pytest.mark.control("W1")
def test_shares_whose_stop_the_broker_refused_get_another_one_within_ten_seconds(tmp_path: Path) -> None:
    async def work(desk: Wired) -> None:
        await desk.started()
        desk.tws.judge(refuse(201, fits=is_stop))
        await desk.sent()
        assert desk.tws.truth().positions == {"AAPL": 40}
        begun = desk.hand.passed
        await desk.until(lambda: desk.covered() >= 40 or not desk.tws.truth().positions)
        assert desk.hand.passed - begun <= 15
        await desk.run(6, step=3)
        assert desk.covered() <= 40
        assert desk.halts() == []

    wired(tmp_path, work)


@pytest.mark.fault(66)
def test_shares_whose_stop_a_person_cancelled_get_another_one(tmp_path: Path) -> None:
    async def work(desk: Wired) -> None:
        await desk.started()
        intent = await desk.held()
        await desk.run(3)
        desk.tws.cancel_by_hand(desk.child(intent, "STP"))
        begun = desk.hand.passed
        await desk.until(lambda: desk.covered() == 40)
        assert desk.hand.passed - begun <= 15
        await desk.run(10, step=5)
        assert desk.covered() == 40

    wired(tmp_path, work)


@pytest.mark.fault(67)
def test_a_stop_that_the_market_jumped_over_is_booked_at_the_price_of_the_gap(tmp_path: Path) -> None:
    async def work(desk: Wired) -> None:
        await desk.started()
        intent = await desk.held()
        await desk.run(3)
        desk.prices["AAPL"] = Decimal("92.00")
        await desk.run(9, step=3)
        assert desk.tws.truth().positions == {}
        assert desk.child(intent, "STP").average == Decimal("91.99")
        assert not desk.tws.book.working
        assert desk.wrong() == []

    wired(tmp_path, work)


@pytest.mark.fault(71)
@pytest.mark.control("W11")
def test_a_liquidation_by_the_broker_halts(tmp_path: Path) -> None:
    async def work(desk: Wired) -> None:
        await desk.started()
        await desk.held()
        await desk.run(3)
        desk.tws.liquidate("AAPL")
        await desk.run(12, step=3)
        assert any("liquidat" in cause for cause in desk.halts())
        assert desk.store.known().position("AAPL") == 0
        assert desk.tws.truth().positions == {}

    wired(tmp_path, work)
