"""What takes shares off: signed exits, halts, the end of the day, stops that failed; nothing is ever sold twice."""

from datetime import timedelta
from decimal import Decimal

import pytest

from gateway.core import Gateway
from tests.gateway.parts import exit_of
from tests.gateway.world import World, quick, run
from trading_assets.broker.settings import Reactions
from trading_assets.execution.ports import Intent


async def holding(world: World, **changed: object) -> tuple[Gateway, Intent]:
    """A gateway with a filled entry and its bracket."""
    gateway = await world.started()
    intent = world.signed(**changed)
    assert await gateway.dispatch() == 1, world.why(intent)
    await gateway.pump()
    assert world.state(intent) == "FILLED"
    await world.run(gateway, 6)
    return gateway, intent


def sold(world: World) -> Decimal:
    return sum((done.quantity for done in world.exchange.executions if done.side == "sell"), Decimal(0))


def test_a_signed_exit_is_a_capped_limit_in_the_group_of_the_bracket(world: World) -> None:
    async def work() -> None:
        gateway, _ = await holding(world)
        exit_ = world.signed(plan=exit_of(as_of=world.hand.at))
        await gateway.dispatch()
        assert world.state(exit_) in {"SUBMITTING", "FILLED"}, world.why(exit_)
        order = world.broker.placed[-1]
        assert order.kind == "limit"
        assert order.oca_group == world.broker.placed[2].oca_group
        await gateway.pump()
        assert world.state(exit_) == "FILLED"
        assert sold(world) == 40
        assert not [o for o in world.exchange.orders if o.is_open]
        assert await gateway.look()
        assert world.halts() == []

    run(work)


def test_an_exit_goes_although_a_halt_is_open(world: World) -> None:
    async def work() -> None:
        gateway, _ = await holding(world)
        world.store.halt("an operator wants quiet", as_of=world.hand.at)
        exit_ = world.signed(plan=exit_of(as_of=world.hand.at))
        await gateway.dispatch()
        await gateway.pump()
        assert world.state(exit_) == "FILLED", world.why(exit_)

    run(work)


def test_an_exit_that_does_not_fill_is_cancelled_and_replaced_by_a_market_order(world: World) -> None:
    async def work() -> None:
        gateway, _ = await holding(world)
        world.exchange.fills = False
        exit_ = world.signed(plan=exit_of(as_of=world.hand.at))
        await gateway.dispatch()
        limit = world.broker.placed[-1]
        await world.run(gateway, 14)
        assert world.broker.cancelled == []
        await world.run(gateway, 4)
        assert world.broker.cancelled == [limit.order_id]
        assert world.state(exit_) == "CANCELLED"
        last = world.broker.placed[-1]
        assert (last.kind, last.quantity) == ("market", 40)
        world.exchange.fills = True
        world.exchange.match()
        await world.run(gateway, 2)
        assert sold(world) == 40

    run(work)


def test_how_long_an_exit_may_wait_is_a_setting(world: World) -> None:
    async def work() -> None:
        world.settings = world.settings.model_copy(update={"reactions": Reactions(exit_seconds=4.0)})
        gateway, _ = await holding(world)
        world.exchange.fills = False
        world.signed(plan=exit_of(as_of=world.hand.at))
        await gateway.dispatch()
        await world.run(gateway, 3)
        assert world.broker.cancelled == []
        await world.run(gateway, 3)
        assert len(world.broker.cancelled) == 1

    run(work)


@pytest.mark.control("C11")
def test_a_halt_over_losses_cancels_entries_and_flattens_once(world: World) -> None:
    async def work() -> None:
        gateway, _ = await holding(world)
        world.exchange.fills = False
        world.exchange.requote()
        await gateway.pump()
        waiting = world.signed(symbol="MSFT", slot="10:00")
        assert await gateway.dispatch() == 1, world.why(waiting)
        world.store.halt("C11 daily loss: 5.00%, halts at 4.00%", as_of=world.hand.at)
        gateway.keeper.keep()
        await gateway.react()
        world.exchange.fills = True
        await world.run(gateway, 3)
        assert world.state(waiting) == "CANCELLED"
        assert sold(world) == 40
        assert world.exchange.held["AAPL"] == 0
        await world.run(gateway, 10)
        assert sold(world) == 40

    run(work)


@pytest.mark.fault(70)
def test_a_flattening_that_is_refused_is_tried_again_with_pauses_and_told(world: World) -> None:
    async def work() -> None:
        gateway, _ = await holding(world)
        world.exchange.rejects = 3
        world.store.halt("C12 drawdown", as_of=world.hand.at)
        await world.run(gateway, 30)
        tries = [order for order in world.broker.placed if order.kind == "market"]
        assert len(tries) == 4
        assert world.exchange.held["AAPL"] == 0
        assert "flatten_failed" in world.told.codes
        assert len({order.key for order in tries}) == 4

    run(work)


@pytest.mark.fault(85)
@pytest.mark.control("C23")
def test_a_day_position_is_closed_five_minutes_before_the_close(world: World) -> None:
    async def work() -> None:
        world.settings = quick(lease_seconds=3600.0)
        gateway, _ = await holding(world, flat_by_close=True)
        await to(world, gateway, 15, 54, 50)
        assert sold(world) == 0
        await to(world, gateway, 15, 55, 3)
        assert world.exchange.held["AAPL"] == 0
        assert world.exchange.of("-close")
        assert sold(world) == 40

    run(work)


async def to(world: World, gateway: Gateway, hour: int, minute: int, second: int) -> None:
    """Lets the rest of the time pass at once, with the lease renewed on the way."""
    until = world.hand.at.replace(hour=hour, minute=minute, second=second)
    while world.hand.at < until:
        world.hand.move(min(900.0, (until - world.hand.at).total_seconds()))
        world.watchdog()
        gateway.keeper.keep()
    world.exchange.requote()
    await world.settle(gateway)
    await world.run(gateway, 2)


@pytest.mark.control("W1")
@pytest.mark.fault(66)
def test_a_stop_that_was_cancelled_at_the_broker_is_replaced_at_once(world: World) -> None:
    async def work() -> None:
        gateway, _ = await holding(world)
        (stop,) = world.exchange.of("-stop")
        world.exchange.end(stop)
        await world.run(gateway, 8)
        (cover,) = [o for o in world.exchange.of("-protect") if o.is_open]
        assert cover.left == 40
        assert cover.request.stop_price is not None
        assert cover.request.stop_price < 100
        await world.run(gateway, 20)
        assert len(world.exchange.of("-protect")) == 1
        assert world.exchange.held["AAPL"] == 40

    run(work)


@pytest.mark.fault(65)
def test_shares_whose_new_stop_is_refused_too_are_sold(world: World) -> None:
    async def work() -> None:
        gateway, _ = await holding(world)
        (stop,) = world.exchange.of("-stop")
        world.exchange.rejects_stops = True
        world.exchange.end(stop)
        await world.run(gateway, 12)
        assert world.exchange.held["AAPL"] == 0
        assert sold(world) == 40

    run(work)


def test_a_price_that_falls_through_a_stop_which_does_not_fill_flattens(world: World) -> None:
    async def work() -> None:
        gateway, _ = await holding(world)
        world.exchange.fills = False
        for _ in range(14):
            world.hand.move(1)
            world.exchange.quote("AAPL", "96.99", "97.01")
            await world.settle(gateway)
        assert any(order.kind == "market" and "flatten" in order.key for order in world.broker.placed)

    run(work)


def test_half_of_the_symbols_crashing_closes_the_desk_to_entries(world: World) -> None:
    async def work() -> None:
        gateway = await world.started()
        for step in range(12):
            world.hand.move(2)
            fallen = Decimal(100) - step
            world.exchange.quote("AAPL", str(fallen - Decimal("0.01")), str(fallen + Decimal("0.01")))
            world.exchange.quote("MSFT", str(2 * fallen - Decimal("0.01")), str(2 * fallen + Decimal("0.01")))
            await world.settle(gateway)
        assert gateway.state.state == "REDUCING"
        assert "flash_crash" in world.told.codes
        intent = world.signed()
        await gateway.dispatch()
        assert world.state(intent) == "VETOED"

    run(work)


@pytest.mark.fault(46)
def test_shares_that_were_there_before_are_adopted_and_get_a_stop(world: World) -> None:
    async def work() -> None:
        world.exchange.held["MSFT"] = 30
        gateway = await world.started()
        assert gateway.view.known.position("MSFT") == 30
        assert world.halts() == []
        (cover,) = world.exchange.of("-protect")
        assert (cover.request.contract.symbol, cover.left) == ("MSFT", 30)

    run(work)


def test_a_trim_takes_a_part_off_a_gain_that_nobody_believes_in_once(world: World) -> None:
    async def work() -> None:
        gateway, _ = await holding(world, confidence=0.5)
        for _ in range(20):
            world.hand.move(1)
            world.exchange.quote("AAPL", "103.99", "104.01")
            await world.settle(gateway)
        assert sold(world) == 12
        stops = [o for o in world.exchange.of("-stop") if o.is_open]
        assert [o.left for o in stops] == [28]

    run(work)


def test_two_exits_at_once_sell_what_is_held_and_not_more(world: World) -> None:
    async def work() -> None:
        gateway, _ = await holding(world)
        world.exchange.fills = False
        world.signed(plan=exit_of(as_of=world.hand.at))
        await gateway.dispatch()
        world.store.halt("C11 daily loss", as_of=world.hand.at)
        await world.run(gateway, 3)
        world.exchange.fills = True
        world.exchange.match()
        await world.run(gateway, 20)
        assert sold(world) == 40
        assert world.exchange.held["AAPL"] == 0
        assert timedelta(0) < world.hand.at - world.exchange.executions[0].at

    run(work)
