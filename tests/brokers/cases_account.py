"""B45 to B56: snapshots, other people's orders, and money."""

import asyncio
from decimal import Decimal

import pytest

from tests.brokers.scene import Cases, Scene, moment, until
from trading_assets.broker.ports import SnapshotIncomplete

case = Cases()
CENT, MILLION = Decimal("0.01"), Decimal(1_000_000)


@case("B45")
async def the_snapshot_of_a_new_account_is_complete_and_empty(scene: Scene) -> None:
    snapshot = await scene.broker.snapshot()
    assert snapshot.accounts == scene.welcome.accounts
    assert (snapshot.positions, snapshot.reports, snapshot.executions) == ((), (), ())
    assert (snapshot.values.cash, snapshot.values.equity) == (MILLION, MILLION)
    assert snapshot.values.currency == "USD"


@case("B46")
async def a_snapshot_is_the_ground_truth(scene: Scene) -> None:
    await scene.bought(100)
    snapshot, truth = await scene.broker.snapshot(), await scene.truth()
    assert {p.symbol: p.quantity for p in snapshot.positions} == truth.positions
    assert {o.perm_id for o in snapshot.open_orders} == {o.perm_id for o in truth.orders if o.lives}
    assert {e.exec_id for e in snapshot.executions} == {f.exec_id for f in truth.fills}
    assert {c.exec_id: c.amount for c in snapshot.commissions} == {f.exec_id: f.fee for f in truth.fills}
    (held,) = snapshot.positions
    assert held.average_cost == pytest.approx(truth.fills[0].price, abs=CENT)


@case("B47")
async def orders_that_have_ended_are_in_the_snapshot_by_reference_and_permanent_id(scene: Scene) -> None:
    filled, cancelled = scene.order("buy", 10, at="100.10", name="one"), scene.order("buy", 10, at="90.00", name="two")
    await scene.place(filled, cancelled)
    scene.broker.cancel(cancelled.order_id)
    await scene.has_status(cancelled, "cancelled")
    await scene.has_status(filled, "filled")
    snapshot, truth = await scene.broker.snapshot(), await scene.truth()
    told = {(report.ref, report.status): report for report in snapshot.completed_orders}
    assert set(told) == {(filled.ref, "filled"), (cancelled.ref, "cancelled")}
    assert {report.perm_id for report in told.values()} == {order.perm_id for order in truth.orders}
    assert [report.filled for report in snapshot.completed_orders if report.ref == filled.ref] == [10]


@case("B48")
async def a_list_without_an_end_is_no_snapshot(scene: Scene) -> None:
    await scene.bought(100)
    await scene.stage.withhold_ends()
    with pytest.raises(SnapshotIncomplete):
        await scene.broker.snapshot()


@case("B49")
async def orders_of_another_client_are_seen_and_cannot_be_cancelled(scene: Scene) -> None:
    other = await scene.another()
    theirs = scene.order("buy", 10, at="90.00", name="theirs", client_id=12)
    other.broker.place((theirs,))
    await other.broker.drain()
    await until(lambda: other.status(theirs.order_id) == "working", "the other client's order works")
    seen = [r for r in (await scene.broker.snapshot()).open_orders if r.ref == theirs.ref]
    assert [(report.client_id, report.status) for report in seen] == [(12, "working")]
    scene.broker.cancel(theirs.order_id)
    await until(lambda: scene.ear.notices(theirs.order_id), "the refusal of the cancel")
    (true,) = (await scene.truth()).of(theirs.ref)
    assert true.lives
    await other.broker.close()


@case("B50")
async def an_order_by_hand_is_seen_as_nobodys(scene: Scene) -> None:
    await scene.stage.foreign_order("AAPL", "buy", 7, "90.00")
    (report,) = (await scene.broker.snapshot()).open_orders
    assert (report.is_ours, report.order_id, report.quantity) == (False, 0, Decimal(7))
    assert report.perm_id > 0


@case("B51")
async def what_is_told_live_and_what_a_snapshot_tells_are_the_same_executions(scene: Scene) -> None:
    order = scene.order("buy", 100, at="99.00")
    await scene.place(order)
    for _ in range(3):
        await scene.stage.quote("AAPL", "98.98", "99.00", ask_size=30)
    await scene.has_filled(order, 90)
    live = {(e.exec_id, e.quantity, e.price) for e in scene.ear.executions}
    asked = {(e.exec_id, e.quantity, e.price) for e in (await scene.broker.snapshot()).executions}
    assert live == asked
    assert len(live) == 3


@case("B52")
async def snapshots_asked_at_once_agree(scene: Scene) -> None:
    await scene.bought(100)
    one, two = await asyncio.gather(scene.broker.snapshot(), scene.broker.snapshot())
    assert (one.positions, one.executions) == (two.positions, two.executions)
    assert {r.perm_id for r in one.reports} == {r.perm_id for r in two.reports}


@case("B53")
async def cash_is_what_trades_and_fees_leave(scene: Scene) -> None:
    await scene.bought(100)
    await scene.stage.quote("AAPL", "104.00", "104.02")
    await until(lambda: sum(e.signed for e in scene.ear.executions) == 0, "the target fills")
    truth = await scene.truth()
    flow = sum((f.quantity * f.price * (1 if f.side == "sell" else -1) - f.fee for f in truth.fills), Decimal(0))
    assert truth.cash == 1_000_000 + flow
    told = (await scene.broker.snapshot()).values
    assert told.cash is not None
    assert abs(told.cash - truth.cash) <= CENT
    assert told.equity == told.cash


@case("B54")
async def equity_counts_what_is_held(scene: Scene) -> None:
    await scene.bought(100)
    await scene.stage.quote("AAPL", "101.00", "101.02", last="101.00")
    await moment()
    values = (await scene.broker.snapshot()).values
    assert values.cash is not None
    assert values.equity is not None
    assert abs(values.equity - values.cash - Decimal("10100")) <= Decimal("3")


@case("B55")
async def cancelling_everything_ends_orders_of_every_client(scene: Scene) -> None:
    other = await scene.another()
    theirs = scene.order("buy", 10, at="90.00", name="theirs", client_id=12)
    other.broker.place((theirs,))
    await other.broker.drain()
    await until(lambda: other.status(theirs.order_id) == "working", "the other client's order works")
    mine = scene.order("buy", 10, at="90.00")
    await scene.place(mine)
    scene.broker.cancel_everything()
    await scene.has_status(mine, "cancelled")
    await until(lambda: other.status(theirs.order_id) == "cancelled", "the other client hears of it")
    assert not any(order.lives for order in (await scene.truth()).orders)
    await other.broker.close()


@case("B56")
async def the_executions_of_another_client_reach_only_that_client(scene: Scene) -> None:
    other = await scene.another()
    theirs = scene.order("buy", 10, at="100.10", name="theirs", client_id=12)
    other.broker.place((theirs,))
    await other.broker.drain()
    await until(lambda: other.filled(theirs.order_id) == 10, "the other client's order fills")
    await moment()
    assert scene.ear.executions == []
    assert [(p.symbol, p.quantity) for p in (await scene.broker.snapshot()).positions] == [("AAPL", Decimal(10))]
    await other.broker.close()
