"""Fills, corrections and fees over the real wire: each is told as the broker numbers it."""

from decimal import Decimal

import pytest

from tests.brokers.ib.hands import REF, Desk, market, order, with_desk
from tests.tws.client import until
from tests.tws.faults import Duplicate, Reordered, Rewritten, Withhold
from trading_assets.broker.model import Commissioned, Executed, Reported

STATUS, EXECUTION, OPEN_ORDER, FEE = 3, 11, 5, 59


def test_a_fill_is_told_with_its_price_time_and_fee() -> None:
    async def work(desk: Desk) -> None:
        desk.broker.place([order(7, limit="100.50")])
        await desk.hears(7, "filled")
        await until(lambda: desk.told(Commissioned))
        execution = (await desk.hears_fill()).execution
        fill = gateway.truth().fills[0]
        assert (execution.exec_id, execution.quantity, execution.price) == (
            fill.exec_id,
            Decimal(10),
            Decimal("100.02"),
        )
        assert (execution.ref, execution.order_id, execution.side) == (REF, 7, "buy")
        assert abs((execution.at - fill.at).total_seconds()) < 1
        assert desk.told(Commissioned)[-1].commission.amount == fill.fee
        assert desk.reports(7)[-1].filled == Decimal(10)

    with market() as gateway:
        with_desk(gateway, work)


@pytest.mark.fault(59)
def test_a_partial_fill_then_a_cancel_keeps_what_was_filled() -> None:
    async def work(desk: Desk) -> None:
        desk.broker.place([order(7, limit="99.00")])
        await desk.hears(7, "working")
        gateway.fill(gateway.book.working[0], 4, "99.00")
        await until(lambda: desk.reports(7)[-1].filled == Decimal(4))
        desk.broker.cancel(7)
        assert (await desk.hears(7, "cancelled")).filled == Decimal(4)
        assert desk.notices(202)[0].reaction == "order_cancelled"

    with market() as gateway:
        with_desk(gateway, work)


@pytest.mark.fault(52)
@pytest.mark.fault(53)
def test_what_the_broker_says_twice_is_one_report_and_executions_keep_their_id() -> None:
    async def work(desk: Desk) -> None:
        gateway.with_faults(Duplicate())
        desk.broker.place([order(7, limit="100.50")])
        await desk.hears(7, "filled")
        await until(lambda: len(desk.told(Executed)) == 2 and desk.told(Commissioned))
        await desk.broker.time()
        assert len({event.execution.exec_id for event in desk.told(Executed)}) == 1
        assert len(desk.told(Commissioned)) == 1
        assert desk.statuses(7) == ["working", "filled"]
        snapshot = await desk.broker.snapshot()
        assert len(snapshot.executions) == len(snapshot.completed_orders) == len(snapshot.positions) == 1

    with market() as gateway:
        with_desk(gateway, work)


@pytest.mark.fault(54)
def test_an_execution_before_the_acknowledgement_is_told_as_it_comes() -> None:
    async def work(desk: Desk) -> None:
        gateway.with_faults(Reordered((2, 0, 1), OPEN_ORDER, STATUS, EXECUTION))
        desk.broker.place([order(7)])
        await desk.hears(7, "filled")
        assert desk.told(Executed)[0].execution.quantity == Decimal(10)

    with market() as gateway:
        with_desk(gateway, work)


@pytest.mark.fault(55)
def test_when_only_executions_arrive_they_are_told_and_the_snapshot_knows_the_rest() -> None:
    async def work(desk: Desk) -> None:
        silence = Withhold(OPEN_ORDER, STATUS)
        gateway.with_faults(silence)
        desk.broker.place([order(7)])
        execution = (await desk.hears_fill()).execution
        assert desk.told(Reported) == []
        gateway.without_faults()
        (report,) = (await desk.broker.snapshot()).completed_orders
        assert (report.status, report.filled, report.perm_id) == ("filled", Decimal(10), execution.perm_id)

    with market() as gateway:
        with_desk(gateway, work)


@pytest.mark.fault(56)
@pytest.mark.parametrize("said", ["-1.0", "1.7976931348623157E308", ""])
def test_a_fee_that_is_not_known_is_pending_and_the_fill_counts(said: str) -> None:
    async def work(desk: Desk) -> None:
        gateway.with_faults(Rewritten(FEE, 3, said))
        desk.broker.place([order(7)])
        await until(lambda: desk.told(Commissioned))
        assert desk.told(Commissioned)[0].commission.amount is None
        assert desk.told(Executed)[0].execution.quantity == Decimal(10)
        gateway.without_faults()
        snapshot = await desk.broker.snapshot()
        assert [fee.amount for fee in snapshot.commissions] == [Decimal(1)]
        assert desk.told(Commissioned)[-1].commission.amount == Decimal(1)

    with market() as gateway:
        with_desk(gateway, work)


@pytest.mark.fault(56)
def test_a_fee_that_never_comes_is_missing_from_the_snapshot() -> None:
    async def work(desk: Desk) -> None:
        gateway.with_faults(Withhold(FEE))
        desk.broker.place([order(7)])
        await desk.hears(7, "filled")
        snapshot = await desk.broker.snapshot()
        assert (len(snapshot.executions), snapshot.commissions) == (1, ())

    with market() as gateway:
        with_desk(gateway, work)


@pytest.mark.fault(57)
@pytest.mark.fault(58)
@pytest.mark.parametrize(("quantity", "price"), [(8, "100.02"), (0, "100.02"), (10, "100.01")])
def test_a_correction_or_a_bust_passes_through_untouched(quantity: int, price: str) -> None:
    async def work(desk: Desk) -> None:
        desk.broker.place([order(7)])
        first = (await desk.hears_fill()).execution
        gateway.correct(first.exec_id, quantity=quantity, price=price)
        await until(lambda: len(desk.told(Executed)) == 2)
        second = desk.told(Executed)[-1].execution
        assert (second.quantity, second.price) == (Decimal(quantity), Decimal(price))
        assert second.exec_id != first.exec_id
        assert second.family == first.family

    with market() as gateway:
        with_desk(gateway, work)


@pytest.mark.fault(61)
def test_an_overfill_is_told_in_full() -> None:
    async def work(desk: Desk) -> None:
        desk.broker.place([order(7, limit="99.00")])
        await desk.hears(7, "working")
        gateway.fill(gateway.book.working[0], 12, "99.00")
        assert (await desk.hears(7, "filled")).filled == Decimal(12)

    with market() as gateway:
        with_desk(gateway, work)


@pytest.mark.fault(71)
def test_a_liquidation_is_told_as_one() -> None:
    async def work(desk: Desk) -> None:
        gateway.hold("AAPL", 10, "100.00")
        gateway.liquidate("AAPL")
        execution = (await desk.hears_fill()).execution
        assert execution.liquidation
        assert (execution.ref, execution.signed) == ("", Decimal(-10))

    with market() as gateway:
        with_desk(gateway, work)
