"""The connection: lost, half open, interrupted inside the broker, taken over; and what may not happen meanwhile."""

from datetime import timedelta

import pytest

from gateway.core import Gateway
from resources.ledger.state import LeaseLost
from tests.gateway.parts import exit_of
from tests.gateway.world import World, quick, run
from trading_assets.broker.model import Executed, Reported
from trading_assets.broker.ports import ClientIdInUse
from trading_assets.core.errors import TransientFailure
from trading_assets.execution.ports import Halt, Intent


def state_of(gateway: Gateway) -> str:
    return gateway.state.state


def link_of(gateway: Gateway) -> str:
    return gateway.view.link


async def sent(world: World, gateway: Gateway) -> Intent:
    intent = world.signed()
    assert await gateway.dispatch() == 1, world.why(intent)
    return intent


@pytest.mark.fault(31)
def test_a_link_that_is_lost_before_the_sending_sends_nothing_late(world: World) -> None:
    async def work() -> None:
        gateway = await world.started()
        intent = world.signed()
        world.broker.drop()
        world.broker.refuses_connections = True
        await world.run(gateway, 66, step=3)
        assert world.state(intent) == "EXPIRED"
        world.broker.refuses_connections = False
        await world.run(gateway, 60, step=3)
        assert world.broker.placed == []
        assert link_of(gateway) == "up"

    run(work)


def test_an_intent_outlives_a_short_interruption(world: World) -> None:
    async def work() -> None:
        gateway = await world.started()
        world.broker.drop()
        await gateway.pump()
        intent = world.signed()
        await gateway.dispatch()
        assert world.state(intent) == "SIGNED"
        await world.run(gateway, 4)
        assert world.state(intent) == "FILLED", world.why(intent)

    run(work)


@pytest.mark.fault(32)
@pytest.mark.fault(6)
def test_a_link_that_is_lost_after_the_sending_finds_the_order_by_its_reference(world: World) -> None:
    async def work() -> None:
        gateway = await world.started()
        world.exchange.fills = False
        world.broker.loses_events = True
        intent = await sent(world, gateway)
        assert world.state(intent) == "SUBMITTING"
        world.broker.loses_events = False
        world.broker.drop()
        await world.run(gateway, 5)
        assert world.state(intent) == "WORKING"
        assert len(world.exchange.entries(intent.id)) == 1

    run(work)


@pytest.mark.fault(33)
@pytest.mark.fault(60)
def test_what_filled_while_the_link_was_down_is_booked_though_no_event_told_it(world: World) -> None:
    async def work() -> None:
        gateway = await world.started()
        world.exchange.fills = False
        intent = await sent(world, gateway)
        await world.run(gateway, 2)
        world.broker.drop()
        world.broker.loses_events = True
        (entry,) = world.exchange.entries(intent.id)
        world.exchange.fill(entry, 15, entry.request.limit_price or 0)  # type: ignore[arg-type] # the entry has a limit
        world.broker.loses_events = False
        await world.run(gateway, 5)
        assert world.state(intent) == "PARTIAL"
        assert gateway.view.known.position("AAPL") == 15
        assert world.halts() == []

    run(work)


@pytest.mark.fault(4)
@pytest.mark.fault(38)
def test_an_order_that_vanished_is_abandoned_after_proof_and_never_sent_again(world: World) -> None:
    async def work() -> None:
        gateway = await world.started()
        world.broker.loses_orders_after = 0
        intent = await sent(world, gateway)
        await world.run(gateway, 10)
        assert world.state(intent) == "UNKNOWN"
        await world.run(gateway, 15)
        assert world.state(intent) == "UNKNOWN"
        await world.run(gateway, 30)
        assert world.state(intent) == "ABANDONED"
        world.broker.loses_orders_after = None
        await world.run(gateway, 20)
        assert world.exchange.orders == []

    run(work)


@pytest.mark.fault(39)
def test_an_abandoned_order_that_turns_up_is_cancelled_its_shares_covered_and_the_desk_halts(world: World) -> None:
    async def work() -> None:
        gateway = await world.started()
        world.broker.loses_orders_after = 0
        intent = await sent(world, gateway)
        orders = [leg for tracked in gateway.view.known.intents for leg in tracked.legs]
        await world.run(gateway, 55)
        assert world.state(intent) == "ABANDONED"
        requests = world.late(intent, orders[0].order_id)
        world.exchange.fills = False
        for request in requests:
            world.exchange.accept(request, 11)
        await world.run(gateway, 8)
        assert requests[0].order_id in world.broker.cancelled
        assert any("zombie" in cause for cause in world.halts())
        assert not any(order.is_open for order in world.exchange.entries(intent.id))

    run(work)


@pytest.mark.fault(5)
def test_an_entry_without_its_stop_is_held_at_the_broker_and_cancelled(world: World) -> None:
    async def work() -> None:
        gateway = await world.started()
        world.broker.loses_orders_after = 1
        intent = await sent(world, gateway)
        world.broker.drop()
        await world.run(gateway, 16)
        (entry,) = world.exchange.entries(intent.id)
        assert entry.status == "cancelled"
        assert world.exchange.held == {}
        assert world.state(intent) == "CANCELLED"

    run(work)


@pytest.mark.fault(34)
@pytest.mark.parametrize("back", ["link_back", "link_back_data_lost"])
def test_a_broken_line_of_the_broker_reduces_until_a_complete_look(world: World, back: str) -> None:
    async def work() -> None:
        gateway = await world.started()
        world.broker.notice(1100, "link_lost")
        await gateway.pump()
        gateway.keeper.keep()
        assert state_of(gateway) == "REDUCING"
        watched, looks = len(world.broker.watched), world.broker.snapshots
        world.broker.snapshot_fails = True
        world.broker.notice(1102, back)
        await world.run(gateway, 2)
        assert state_of(gateway) == "REDUCING"
        world.broker.snapshot_fails = False
        await world.run(gateway, 6)
        assert state_of(gateway) == "ACTIVE", gateway.state
        assert world.broker.snapshots > looks
        assert len(world.broker.watched) > watched

    run(work)


@pytest.mark.fault(35)
def test_fills_while_the_line_of_the_broker_was_broken_are_booked(world: World) -> None:
    async def work() -> None:
        gateway = await world.started()
        world.exchange.fills = False
        intent = await sent(world, gateway)
        world.broker.notice(1100, "link_lost")
        world.broker.loses_events, world.exchange.fills = True, True
        world.exchange.match()
        world.broker.loses_events = False
        world.broker.notice(1102, "link_back")
        await world.run(gateway, 2)
        assert world.state(intent) == "FILLED"

    run(work)


@pytest.mark.fault(36)
def test_a_socket_that_answers_nothing_is_closed_and_opened_anew(world: World) -> None:
    async def work() -> None:
        gateway = await world.started()
        world.broker.is_silent = True
        await world.run(gateway, 32)
        world.broker.is_silent = False
        assert "link" in world.told.codes
        await world.run(gateway, 3)
        assert link_of(gateway) == "up"

    run(work)


@pytest.mark.fault(37)
@pytest.mark.control("C34")
def test_a_look_that_is_not_answered_in_full_is_no_empty_account(world: World) -> None:
    async def work() -> None:
        world.exchange.held["AAPL"] = 10
        world.broker.snapshot_fails = True
        gateway = await world.started()
        assert link_of(gateway) == "reconciling"
        intent = world.signed()
        await gateway.dispatch()
        assert world.state(intent) == "SIGNED"
        assert world.broker.placed == []
        world.broker.snapshot_fails = False
        await world.run(gateway, 8)
        assert link_of(gateway) == "up"
        assert gateway.view.known.position("AAPL") == 10

    run(work)


@pytest.mark.fault(37)
def test_looks_that_fail_for_too_long_close_the_desk_to_entries(world: World) -> None:
    async def work() -> None:
        gateway = await world.started()
        world.broker.snapshot_fails = True
        await world.run(gateway, 20)
        assert state_of(gateway) == "REDUCING"
        assert "C34" in gateway.state.reason

    run(work)


@pytest.mark.fault(40)
def test_an_id_counter_that_rolled_back_gives_no_id_twice(world: World) -> None:
    async def work() -> None:
        gateway = await world.started()
        await sent(world, gateway)
        used = {order.order_id for order in world.broker.placed}
        world.broker.next_order_id = 1
        world.broker.drop()
        await world.run(gateway, 62, step=2)
        world.signed(symbol="MSFT", slot="10:00")
        await world.run(gateway, 65, step=2)
        later = [order.order_id for order in world.broker.placed if order.order_id not in used]
        assert all(number > max(used) for number in later)

    run(work)


@pytest.mark.fault(41)
def test_a_client_id_that_somebody_took_while_the_link_was_down_ends_the_gateway(world: World) -> None:
    async def work() -> None:
        gateway = await world.started()
        world.broker.drop()
        world.broker.in_use = True
        await gateway.pump()
        with pytest.raises(ClientIdInUse):
            await gateway.tend()

    run(work)


@pytest.mark.fault(43)
def test_the_nightly_restart_pages_nobody_and_opens_nothing(world: World) -> None:
    async def work() -> None:
        world.settings = quick(lease_seconds=3600.0)
        gateway = await world.started()
        night = world.hand.at.replace(hour=23, minute=45)
        while world.hand.at < night:
            world.hand.move(min(3_000.0, (night - world.hand.at).total_seconds()))
            gateway.keeper.keep()
        world.broker.drop()
        world.broker.refuses_connections = True
        await world.run(gateway, 30, step=5)
        assert "link" not in world.told.codes
        assert state_of(gateway) == "REDUCING"
        world.broker.refuses_connections = False
        await world.run(gateway, 60, step=5)
        assert link_of(gateway) == "up"

    run(work)


@pytest.mark.fault(44)
def test_a_competing_login_halts(world: World) -> None:
    async def work() -> None:
        gateway = await world.started()
        world.broker.notice(10197, "competing_login", "no market data during competing live session")
        await world.run(gateway, 2)
        assert state_of(gateway) == "HALTED"
        assert any("10197" in cause for cause in world.halts())

    run(work)


@pytest.mark.fault(77)
def test_a_feed_without_live_data_opens_nothing_until_it_is_live_again(world: World) -> None:
    async def work() -> None:
        gateway = await world.started()
        world.broker.notice(10168, "no_live_data", "delayed market data is not enabled")
        await gateway.pump()
        gateway.keeper.keep()
        assert state_of(gateway) == "REDUCING"
        world.exchange.requote()
        await gateway.pump()
        gateway.keeper.keep()
        assert state_of(gateway) == "ACTIVE"

    run(work)


@pytest.mark.fault(48)
def test_an_account_that_changed_while_the_link_was_down_halts_and_is_not_traded(world: World) -> None:
    async def work() -> None:
        gateway = await world.started()
        world.broker.drop()
        world.broker.accounts = ("U9999999",)
        await world.run(gateway, 3)
        assert any(cause.startswith("C29") for cause in world.halts())
        assert not world.broker.is_connected

    run(work)


@pytest.mark.fault(12)
@pytest.mark.control("C33")
def test_a_gateway_that_slept_through_its_lease_writes_nothing_and_ends(world: World) -> None:
    async def work() -> None:
        sleeper = await world.started()
        world.signed()
        world.points = lambda name: world.hand.move(61) if name == "before_submit" else None
        with pytest.raises(LeaseLost):
            await sleeper.dispatch()
        assert world.broker.placed == []
        with pytest.raises(LeaseLost):
            sleeper.keeper.keep()

    run(work)


@pytest.mark.fault(12)
def test_a_gateway_that_slept_between_the_commit_and_the_socket_sends_nothing(world: World) -> None:
    async def work() -> None:
        gateway = await world.started()
        intent = world.signed()
        world.points = lambda name: world.hand.move(3) if name == "submitted" else None
        assert await gateway.dispatch() == 0
        world.points = lambda _: None
        assert world.broker.placed == []
        assert "unsent" in world.told.codes
        await world.run(gateway, 60)
        assert world.state(intent) == "ABANDONED"
        assert world.broker.placed == []

    run(work)


@pytest.mark.fault(14)
def test_an_exception_in_a_callback_halts_and_the_loop_goes_on(world: World) -> None:
    async def work() -> None:
        gateway = await world.started()
        gateway.hear(Reported(None))  # type: ignore[arg-type] # the bug
        await gateway.pump()
        await world.run(gateway, 2)
        assert state_of(gateway) == "HALTED"
        assert any(cause.startswith("F14") for cause in world.halts())
        assert link_of(gateway) == "up"
        assert await gateway.look()

    run(work)


@pytest.mark.fault(15)
def test_a_ledger_that_does_not_answer_opens_nothing_and_halts_in_the_file(world: World) -> None:
    async def work() -> None:
        gateway = await world.started()
        halts = world.store.halts
        world.store.halts = _fails  # type: ignore[method-assign] # the ledger's failure, at its edge
        for _ in range(8):
            world.hand.move(1)
            gateway.keeper.keep()
        assert state_of(gateway) == "REDUCING"
        assert "ledger" in world.halt_file
        world.store.halts = halts  # type: ignore[method-assign]
        gateway.keeper.keep()
        assert state_of(gateway) == "HALTED"

    run(work)


def _fails() -> list[Halt]:
    raise TransientFailure("another process writes")


@pytest.mark.fault(52)
@pytest.mark.fault(53)
@pytest.mark.fault(54)
def test_reports_and_fills_that_come_twice_and_in_the_wrong_order_count_once(world: World) -> None:
    async def work() -> None:
        gateway = await world.started()
        heard: list[Executed | Reported] = []
        world.broker.listen(lambda event: heard.append(event) if isinstance(event, Executed | Reported) else None)
        intent = await sent(world, gateway)
        for event in [*reversed(heard), *heard]:
            gateway.hear(event)
        await gateway.pump()
        world.broker.listen(gateway.hear)
        assert world.state(intent) == "FILLED"
        assert gateway.view.known.position("AAPL") == 40
        assert await gateway.look()
        assert world.halts() == []

    run(work)


def test_a_fill_during_a_look_is_no_mismatch(world: World) -> None:
    async def work() -> None:
        gateway = await world.started()
        world.exchange.fills = False
        intent = await sent(world, gateway)

        def fills() -> None:
            world.broker.during_snapshot = lambda: None
            world.exchange.fills = True
            world.exchange.match()

        world.broker.during_snapshot = fills
        assert await gateway.look()
        await gateway.pump()
        assert world.state(intent) == "FILLED"
        assert world.halts() == []

    run(work)


@pytest.mark.control("W2")
def test_shares_that_nothing_explains_halt_the_desk(world: World) -> None:
    async def work() -> None:
        gateway = await world.started()
        await world.run(gateway, 6)
        world.exchange.held["AAPL"] = 7
        await world.run(gateway, 15)
        assert state_of(gateway) == "HALTED"
        assert any("AAPL" in cause for cause in world.halts())

    run(work)


def test_an_exit_waits_for_both_sides_of_the_market_and_then_goes(world: World) -> None:
    async def work() -> None:
        gateway = await world.started()
        await sent(world, gateway)
        await world.run(gateway, 3)
        world.exchange.quote("AAPL", "99.99", "100.01", bid=None)
        await gateway.pump()
        exit_ = world.signed(plan=exit_of(as_of=world.hand.at))
        await gateway.dispatch()
        assert world.state(exit_) == "SIGNED"
        world.exchange.quote("AAPL", "99.99", "100.01")
        await gateway.pump()
        await gateway.dispatch()
        await gateway.pump()
        assert world.state(exit_) == "FILLED"
        assert world.hand.at - world.exchange.executions[0].at > timedelta(0)

    run(work)
