"""B13 to B32: one order at a time."""

from contextlib import suppress
from dataclasses import replace
from decimal import Decimal

from tests.brokers.scene import Cases, Scene, has_ended, moment, until
from trading_assets.broker.model import Contract, OrderRequest
from trading_assets.core.errors import PermanentFailure

case = Cases()


@case("B13")
async def an_order_that_rests_is_acknowledged_with_everything_that_names_it(scene: Scene) -> None:
    order = scene.order("buy", 10, at="90.00")
    await scene.place(order)
    await scene.has_status(order, "working")
    report = scene.ear.reports(order.order_id)[-1]
    (account,) = scene.welcome.accounts
    assert (report.ref, report.account, report.symbol, report.side) == (order.ref, account, "AAPL", "buy")
    assert (report.order_id, report.client_id, report.con_id) == (order.order_id, 11, order.contract.con_id)
    assert (report.quantity, report.filled, report.limit_price) == (Decimal(10), Decimal(0), Decimal("90.00"))
    true = await scene.really(order)
    assert true is not None
    assert (report.perm_id, true.lives) == (true.perm_id, True)


@case("B14")
async def a_marketable_limit_order_fills_at_its_price_or_better_and_its_fee_follows(scene: Scene) -> None:
    order = scene.order("buy", 10, at="100.10")
    await scene.place(order)
    await scene.has_status(order, "filled")
    (execution,) = scene.ear.executions
    assert (execution.ref, execution.order_id, execution.client_id) == (order.ref, order.order_id, 11)
    assert (execution.side, execution.quantity, execution.symbol) == ("buy", Decimal(10), "AAPL")
    assert Decimal("100.02") <= execution.price <= Decimal("100.10")
    await until(lambda: execution.exec_id in scene.ear.fees, "the fee is told")
    (true,) = (await scene.truth()).fills
    assert (true.exec_id, true.price, true.fee) == (
        execution.exec_id,
        execution.price,
        scene.ear.fees[execution.exec_id],
    )


@case("B15")
async def an_order_that_rests_fills_when_the_market_comes_to_it(scene: Scene) -> None:
    order = scene.order("buy", 10, at="99.00")
    await scene.place(order)
    await scene.stage.quote("AAPL", "99.50", "99.52")
    await moment()
    assert scene.ear.filled(order.order_id) == 0
    await scene.stage.quote("AAPL", "98.98", "99.00")
    await scene.has_status(order, "filled")
    assert [e.price for e in scene.ear.executions] == [Decimal("99.00")]


@case("B16")
async def an_order_fills_in_parts_when_less_is_shown_and_each_part_has_an_id_of_its_own(scene: Scene) -> None:
    order = scene.order("buy", 100, at="99.00")
    await scene.place(order)
    await scene.stage.quote("AAPL", "98.98", "99.00", ask_size=40)
    await scene.has_left(order, 60)
    assert scene.ear.status(order.order_id) == "working"
    await scene.stage.quote("AAPL", "98.98", "99.00", ask_size=60)
    await scene.has_status(order, "filled")
    assert [e.quantity for e in scene.ear.executions] == [40, 60]
    assert len({e.exec_id for e in scene.ear.executions}) == 2


@case("B17")
async def a_market_order_fills_at_the_far_side_or_worse(scene: Scene) -> None:
    order = scene.order("buy", 10, "market")
    await scene.place(order)
    await scene.has_status(order, "filled")
    (execution,) = scene.ear.executions
    assert Decimal("100.02") <= execution.price <= Decimal("100.52")


@case("B18")
async def a_stop_sells_through_a_gap_at_the_gap(scene: Scene) -> None:
    await _held(scene, 10)
    stop = scene.order("sell", 10, "stop", at="98.00", leg="stop", tif="gtc")
    await scene.place(stop)
    await scene.stage.quote("AAPL", "90.00", "90.02")
    await scene.has_status(stop, "filled")
    paid = [e.price for e in scene.ear.executions if e.order_id == stop.order_id]
    assert all(Decimal("89.50") <= price <= Decimal("90.02") for price in paid)
    assert (await scene.truth()).positions == {}


@case("B19")
async def a_stop_waits_for_its_price(scene: Scene) -> None:
    await _held(scene, 10)
    stop = scene.order("sell", 10, "stop", at="98.00", leg="stop", tif="gtc")
    await scene.place(stop)
    await scene.stage.quote("AAPL", "98.50", "98.52")
    await moment()
    report = scene.ear.reports(stop.order_id)[-1]
    assert (report.status, report.stop_price, report.limit_price) == ("working", Decimal("98.00"), None)
    assert scene.ear.filled(stop.order_id) == 0


@case("B20")
async def a_cancelled_order_is_told_as_cancelled_and_never_fills(scene: Scene) -> None:
    order = scene.order("buy", 10, at="99.00")
    await scene.place(order)
    scene.broker.cancel(order.order_id)
    await scene.has_status(order, "cancelled")
    await scene.stage.quote("AAPL", "90.00", "90.02")
    await moment()
    assert (await scene.truth()).fills == ()


@case("B21")
async def what_was_filled_before_a_cancel_stays_filled(scene: Scene) -> None:
    order = scene.order("buy", 100, at="99.00")
    await scene.place(order)
    await scene.stage.quote("AAPL", "98.98", "99.00", ask_size=40)
    await scene.has_left(order, 60)
    scene.broker.cancel(order.order_id)
    await scene.has_status(order, "cancelled")
    assert scene.ear.reports(order.order_id)[-1].filled == 40
    assert (await scene.truth()).positions == {"AAPL": 40}


@case("B22")
async def a_cancel_of_an_order_that_is_not_there_is_answered_with_a_notice(scene: Scene) -> None:
    scene.broker.cancel(987_654)
    await until(lambda: scene.ear.notices(987_654), "the refusal of the cancel")
    assert scene.ear.notices(987_654)[0].reaction != "order_cancelled"


@case("B23")
async def a_cancel_of_a_filled_order_leaves_it_filled(scene: Scene) -> None:
    order = scene.order("buy", 10, at="100.10")
    await scene.place(order)
    await scene.has_status(order, "filled")
    scene.broker.cancel(order.order_id)
    await until(lambda: scene.ear.notices(order.order_id), "the refusal of the cancel")
    assert scene.ear.status(order.order_id) == "filled"
    assert (await scene.truth()).positions == {"AAPL": 10}


@case("B24")
async def a_refused_order_is_told_as_refused_with_the_words_of_the_broker(scene: Scene) -> None:
    await scene.stage.reject_next()
    order = scene.order("buy", 10, at="100.10")
    await _is_refused(scene, order)
    said = [notice.text for notice in scene.ear.notices(order.order_id)]
    assert any([*said, *(report.why for report in scene.ear.reports(order.order_id))])


@case("B25")
async def a_price_between_two_ticks_is_refused(scene: Scene) -> None:
    await _is_refused(scene, scene.order("buy", 10, at="90.005"))


@case("B26")
async def an_order_for_nothing_is_refused_before_it_is_written_or_by_the_broker(scene: Scene) -> None:
    order = scene.order("buy", 0, at="90.00")
    with suppress(PermanentFailure):
        await _is_refused(scene, order)
    assert not any(true.lives for true in (await scene.truth()).orders)


@case("B27")
async def an_order_for_a_stock_that_nobody_lists_is_refused(scene: Scene) -> None:
    order = scene.order("buy", 10, at="90.00")
    await _is_refused(scene, replace(order, contract=Contract("NOPE", 999_999_999)))


@case("B28")
async def a_burst_of_orders_is_acknowledged_in_full_and_nothing_twice(scene: Scene) -> None:
    orders = [scene.order("buy", 1, at="90.00", name=f"burst{number}") for number in range(20)]
    await scene.place(*orders)
    held = [order.ref for order in (await scene.truth()).orders]
    assert sorted(held) == sorted(order.ref for order in orders)


@case("B29")
async def an_order_id_that_comes_twice_is_never_two_orders(scene: Scene) -> None:
    order = scene.order("buy", 10, at="90.00")
    await scene.place(order)
    scene.broker.place((order,))
    await scene.broker.drain()
    await moment()
    true = await scene.really(order)
    assert true is not None
    assert true.quantity == 10
    assert true.lives


@case("B30")
async def an_order_that_is_not_transmitted_never_trades_and_can_be_cancelled(scene: Scene) -> None:
    order = scene.order("buy", 10, at="100.10", transmit=False)
    scene.broker.place((order,))
    await scene.broker.drain()
    await scene.stage.quote("AAPL", "95.00", "95.02")
    await moment()
    assert (await scene.truth()).fills == ()
    told = [report for report in (await scene.broker.snapshot()).open_orders if report.order_id == order.order_id]
    assert [report.status in {"held", "pending"} for report in told] == [True]
    scene.broker.cancel(order.order_id)
    await scene.has_status(order, "cancelled")
    assert not await scene.lives(order)


@case("B31")
async def what_is_written_is_counted(scene: Scene) -> None:
    before = await scene.broker.drain()
    scene.broker.place((scene.order("buy", 10, at="90.00"),))
    assert await scene.broker.drain() > before


@case("B32")
async def nothing_is_told_of_an_order_after_its_end_that_would_open_it_again(scene: Scene) -> None:
    order = scene.order("buy", 10, at="100.10")
    await scene.place(order)
    await scene.has_status(order, "filled")
    await scene.stage.quote("AAPL", "90.00", "90.02")
    await moment()
    told = scene.ear.reports(order.order_id)
    first_end = next(place for place, report in enumerate(told) if has_ended(report))
    assert {report.status for report in told[first_end:]} == {"filled"}
    assert scene.ear.filled(order.order_id) == 10


async def _held(scene: Scene, quantity: int) -> None:
    """Shares in the account."""
    order = scene.order("buy", quantity, at="100.10")
    await scene.place(order)
    await scene.has_status(order, "filled")


async def _is_refused(scene: Scene, order: OrderRequest) -> None:
    """It is said to be refused, and nothing of it is left."""
    scene.broker.place((order,))
    await scene.broker.drain()
    await until(lambda: scene.ear.was_refused(order.order_id), f"{order.key} is refused")
    assert not await scene.lives(order)
    assert (await scene.truth()).fills == ()
