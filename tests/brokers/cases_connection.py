"""B01 to B12: connections, ids, and a broker that is away."""

from decimal import Decimal

import pytest

from tests.brokers.scene import Cases, Scene, moment, until
from trading_assets.broker.model import Disconnected
from trading_assets.broker.ports import BrokerDown, ClientIdInUse

case = Cases()


@case("B01")
async def connecting_tells_the_account_an_order_id_and_the_time(scene: Scene) -> None:
    assert len(scene.welcome.accounts) == 1
    assert scene.welcome.next_order_id >= 1
    assert scene.welcome.server_time.utcoffset() is not None
    assert scene.broker.is_connected


@case("B02")
async def nothing_can_be_done_without_a_connection(scene: Scene) -> None:
    await scene.broker.close()
    assert not scene.broker.is_connected
    order = scene.order("buy", 10, at="90.00")
    with pytest.raises(BrokerDown):
        scene.broker.place((order,))
    with pytest.raises(BrokerDown):
        scene.broker.cancel(order.order_id)
    with pytest.raises(BrokerDown):
        await scene.broker.snapshot()
    with pytest.raises(BrokerDown):
        await scene.broker.time()
    assert (await scene.truth()).orders == ()


@case("B03")
async def a_client_id_belongs_to_one_connection(scene: Scene) -> None:
    with pytest.raises(ClientIdInUse):
        await scene.stage.another(scene.broker.client_id).connect()
    assert scene.broker.is_connected
    await scene.place(scene.order("buy", 10, at="90.00"))


@case("B04")
async def two_client_ids_are_connected_at_once(scene: Scene) -> None:
    other = await scene.another()
    assert scene.broker.is_connected
    assert other.broker.is_connected
    await other.broker.close()


@case("B05")
async def the_same_object_connects_again_after_it_was_closed(scene: Scene) -> None:
    await scene.broker.close()
    assert (await scene.broker.connect()).accounts == scene.welcome.accounts
    await scene.place(scene.order("buy", 10, at="90.00"))


@case("B06")
async def orders_stay_where_they_are_when_the_connection_is_closed(scene: Scene) -> None:
    order = scene.order("buy", 10, at="90.00")
    await scene.place(order)
    await scene.broker.close()
    assert await scene.lives(order)


@case("B07")
async def a_connection_that_breaks_is_told_once_and_nothing_is_written_after_it(scene: Scene) -> None:
    await scene.stage.outage(on=True)
    await until(lambda: not scene.broker.is_connected, "the broken connection is noticed")
    await moment()
    assert len([event for event in scene.ear.events if isinstance(event, Disconnected)]) == 1
    with pytest.raises(BrokerDown):
        scene.broker.place((scene.order("buy", 10, at="90.00"),))
    with pytest.raises(BrokerDown):
        await scene.broker.connect()
    await scene.stage.outage(on=False)
    await scene.broker.connect()
    assert (await scene.truth()).orders == ()


@case("B08")
async def what_filled_while_nobody_was_connected_is_in_the_next_snapshot(scene: Scene) -> None:
    other = await scene.another()
    order = scene.order("buy", 10, at="99.00")
    await scene.place(order)
    await scene.broker.close()
    await scene.stage.quote("AAPL", "98.98", "99.00")
    await scene.broker.connect()
    snapshot = await scene.broker.snapshot()
    (true,) = (await scene.truth()).fills
    assert [(e.exec_id, e.ref, e.quantity) for e in snapshot.executions] == [(true.exec_id, order.ref, Decimal(10))]
    assert [(p.symbol, p.quantity) for p in snapshot.positions] == [("AAPL", Decimal(10))]
    await other.broker.close()


@case("B09")
async def the_next_order_id_is_above_every_one_that_was_used(scene: Scene) -> None:
    order = scene.order("buy", 10, at="90.00")
    await scene.place(order)
    await scene.broker.close()
    assert (await scene.broker.connect()).next_order_id > order.order_id


@case("B10")
async def the_broker_has_a_clock_that_does_not_run_backwards(scene: Scene) -> None:
    first, second = await scene.broker.time(), await scene.broker.time()
    assert first.utcoffset() is not None
    assert first <= second


@case("B11")
async def a_broker_knows_its_name_and_its_client_id(scene: Scene) -> None:
    assert scene.broker.name == scene.stage.name
    assert scene.broker.client_id == 11


@case("B12")
async def closing_twice_is_closing_once(scene: Scene) -> None:
    await scene.broker.close()
    await scene.broker.close()
    assert not scene.broker.is_connected
    await scene.broker.connect()
    assert scene.broker.is_connected
