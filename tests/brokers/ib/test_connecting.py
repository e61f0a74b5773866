"""Connecting, losing the connection and connecting again, over the real wire."""

import asyncio
import socket
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from ib_async.util import getLoop

from resources.brokers.ib import InteractiveBrokersBroker
from tests.brokers.ib.hands import AAPL, REF, Desk, bracket, desk_of, market, order, settings, with_desk
from tests.tws.client import until
from tests.tws.faults import CutAfter, CutBefore, HalfOpen, ResetAfter
from tests.tws.gateway import ACCOUNT, LoopbackGateway, running
from tests.tws.trading import TradingGateway
from trading_assets.broker.model import Disconnected
from trading_assets.broker.ports import BrokerDown, ClientIdInUse

TIME = 49


def refused(gateway: LoopbackGateway, kind: type[Exception], **changes: Any) -> str:
    """What a connect that fails says."""

    async def connect() -> str:
        desk = desk_of(gateway, **changes)
        with pytest.raises(kind) as failed:
            await desk.broker.connect()
        assert not desk.broker.is_connected
        assert desk.told(Disconnected) == []
        return str(failed.value)

    return asyncio.run(connect())


def test_the_welcome_holds_accounts_the_next_order_id_and_the_time() -> None:
    async def work(desk: Desk) -> None:
        desk.broker.listen(desk.events.append)
        welcome = await desk.broker.connect()
        assert welcome.accounts == (ACCOUNT,)
        assert welcome.next_order_id == 41
        assert abs(welcome.server_time - datetime.now(UTC)) < timedelta(seconds=3)  # noqa: TID251 - the Gateway's clock
        assert desk.broker.is_connected
        assert (desk.broker.name, desk.broker.client_id) == ("ib", 11)
        await desk.broker.time()
        assert gateway.asked(59)[-1] == ["1", "1"]

    with market() as gateway:
        gateway.next_ids[11] = 41
        with_desk(gateway, work)
        assert gateway.asked(71)[-1][1] == "11"


@pytest.mark.fault(30)
def test_a_closed_port_is_named_with_host_account_and_mode() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    gateway = TradingGateway()
    gateway.port = port
    said = refused(gateway, BrokerDown)
    gateway.loop.close()
    assert f"127.0.0.1:{port}" in said
    assert ACCOUNT in said
    assert "mode paper" in said
    assert "config/execution.yaml" in said


@pytest.mark.fault(41)
def test_a_client_id_in_use_is_refused_and_never_replaced() -> None:
    async def work(_: Desk) -> None:
        other = desk_of(gateway)
        with pytest.raises(ClientIdInUse, match="client id 11 is in use"):
            await other.broker.connect()
        assert not other.broker.is_connected
        assert other.events == []

    with market() as gateway:
        with_desk(gateway, work)
        assert {fields[1] for fields in gateway.asked(71)} == {"11"}
        assert len(gateway.asked(71)) == 2


@pytest.mark.fault(41)
def test_the_holder_of_a_client_id_does_not_notice_that_another_was_refused() -> None:
    async def work(desk: Desk) -> None:
        with pytest.raises(ClientIdInUse):
            await desk_of(gateway).broker.connect()
        await desk.broker.time()
        assert desk.told(Disconnected) == []

    with market() as gateway:
        with_desk(gateway, work)


@pytest.mark.fault(36)
def test_a_handshake_that_is_never_answered_is_a_failure_in_time() -> None:
    with market() as gateway:
        gateway.mute = True
        assert "in time" in refused(gateway, BrokerDown, timeout_seconds=0.5)


@pytest.mark.fault(36)
def test_a_connection_whose_time_is_not_told_is_a_failure() -> None:
    with market() as gateway:
        gateway.handlers[TIME] = lambda *_: None
        assert "not answered in 0.5 s" in refused(gateway, BrokerDown, timeout_seconds=0.5)


@pytest.mark.parametrize("told", [3, 40, 60])
def test_a_connection_that_breaks_in_the_handshake_is_a_failure(told: int) -> None:
    with market() as gateway:
        gateway.with_faults(ResetAfter(told=told))
        refused(gateway, BrokerDown)


@pytest.mark.fault(36)
def test_a_half_open_socket_is_found_by_asking_the_time() -> None:
    async def work(desk: Desk) -> None:
        gateway.with_faults(HalfOpen())
        with pytest.raises(BrokerDown, match=r"not answered in 0\.5 s"):
            await desk.broker.time()

    with market() as gateway:
        with_desk(gateway, work, timeout_seconds=0.5)


def test_the_time_asked_twice_at_once_is_one_question() -> None:
    async def work(desk: Desk) -> None:
        before = len(gateway.asked(TIME))
        first, second = await asyncio.gather(desk.broker.time(), desk.broker.time())
        assert first == second
        assert len(gateway.asked(TIME)) == before + 1
        await desk.broker.time()
        assert len(gateway.asked(TIME)) == before + 2

    with market() as gateway:
        with_desk(gateway, work)


@pytest.mark.fault(32)
def test_a_lost_connection_is_told_once_and_ends_every_wait() -> None:
    async def work(desk: Desk) -> None:
        gateway.handlers[TIME] = lambda *_: None
        waiting = asyncio.ensure_future(desk.broker.time())
        await asyncio.sleep(0.02)
        gateway.drop()
        with pytest.raises(BrokerDown):
            await waiting
        await until(lambda: desk.told(Disconnected))
        assert not desk.broker.is_connected
        with pytest.raises(BrokerDown):
            desk.broker.place([order(1, limit="99.00")])
        with pytest.raises(BrokerDown):
            desk.broker.cancel(1)
        with pytest.raises(BrokerDown):
            desk.broker.watch([AAPL])
        for asked in (desk.broker.snapshot(), desk.broker.time(), desk.broker.drain(), desk.broker.resolve("AAPL")):
            with pytest.raises(BrokerDown):
                await asked
        assert len(desk.told(Disconnected)) == 1

    with market() as gateway:
        with_desk(gateway, work)
        assert gateway.asked(3) == []


def test_nothing_can_be_done_before_the_first_connect() -> None:
    async def work() -> None:
        desk = desk_of(TradingGateway(), port=1)
        assert not desk.broker.is_connected
        with pytest.raises(BrokerDown, match="not connected"):
            await desk.broker.snapshot()
        with pytest.raises(BrokerDown):
            desk.broker.cancel_everything()
        await desk.broker.close()

    asyncio.run(work())


def test_closing_is_no_loss_and_frees_the_client_id() -> None:
    async def work(desk: Desk) -> None:
        await desk.broker.close()
        await desk.broker.close()
        assert desk.told(Disconnected) == []
        await until(lambda: 11 not in gateway.clients)
        await desk.broker.connect()
        assert desk.broker.is_connected

    with market() as gateway:
        with_desk(gateway, work)


def test_closing_ends_who_still_waits() -> None:
    async def work(desk: Desk) -> None:
        gateway.with_faults(HalfOpen())
        waiting = [asyncio.ensure_future(desk.broker.snapshot()), asyncio.ensure_future(desk.broker.time())]
        await asyncio.sleep(0.02)
        await desk.broker.close()
        for wait in waiting:
            with pytest.raises(BrokerDown, match="was closed"):
                await wait

    with market() as gateway:
        with_desk(gateway, work)


@pytest.mark.fault(31)
def test_what_was_queued_at_a_loss_is_never_written_afterwards() -> None:
    async def work(desk: Desk) -> None:
        desk.broker.place([order(number, limit="99.00") for number in range(1, 21)])
        await until(lambda: gateway.asked(3))
        gateway.drop()
        await until(lambda: not desk.broker.is_connected)
        sent = len(gateway.asked(3))
        await until(lambda: 11 not in gateway.clients)
        await desk.broker.connect()
        assert await desk.broker.drain() > 0
        await asyncio.sleep(1.1)
        assert len(gateway.asked(3)) == sent < 20

    with market() as gateway:
        with_desk(gateway, work, messages_per_second_max=10, messages_reserved_for_cancels=2)


@pytest.mark.fault(40)
def test_after_a_restart_the_welcome_says_the_ids_that_the_broker_says() -> None:
    async def work(desk: Desk) -> None:
        desk.broker.place([order(57, limit="99.00")])
        await desk.hears(57, "working")
        gateway.restart(next_ids={11: 5})
        await until(lambda: desk.told(Disconnected))
        await until(lambda: 11 not in gateway.clients)
        assert (await desk.broker.connect()).next_order_id == 5

    with market() as gateway:
        with_desk(gateway, work)


@pytest.mark.fault(43)
@pytest.mark.fault(45)
def test_a_nightly_restart_refuses_for_a_while_and_then_shows_the_stops_that_stayed() -> None:
    async def work(desk: Desk) -> None:
        desk.broker.place(bracket(limit="100.50"))
        await desk.hears(1, "filled")
        gateway.away()
        await until(lambda: desk.told(Disconnected))
        for _ in range(2):
            with pytest.raises(BrokerDown):
                await desk.broker.connect()
        gateway.back()
        await desk.broker.connect()
        snapshot = await desk.broker.snapshot()
        assert {(report.ref, report.kind, report.order_id) for report in snapshot.open_orders} == {
            (REF, "limit", 2),
            (REF, "stop", 3),
        }
        assert [held.quantity for held in snapshot.positions] == [10]
        desk.broker.cancel(2)
        await desk.hears(2, "cancelled")

    with market() as gateway:
        with_desk(gateway, work)


@pytest.mark.fault(48)
def test_the_accounts_are_told_anew_at_each_connection() -> None:
    async def work(desk: Desk) -> None:
        await desk.broker.close()
        await until(lambda: 11 not in gateway.clients)
        gateway.accounts = ("U7654321", "DU7")
        assert (await desk.broker.connect()).accounts == ("U7654321", "DU7")
        with pytest.raises(Exception, match="does not answer"):
            desk.broker.place([order(1, limit="99.00")])

    with market() as gateway:
        with_desk(gateway, work)
        assert gateway.asked(3) == []


def test_nothing_of_the_earlier_connection_is_told_on_the_next() -> None:
    async def work(desk: Desk) -> None:
        desk.broker.watch([AAPL])
        await until(desk.quotes)
        await desk.broker.close()
        await until(lambda: 11 not in gateway.clients)
        await desk.broker.connect()
        desk.events.clear()
        gateway.set_price("AAPL", "101.00")
        await desk.broker.time()
        assert desk.quotes() == []
        desk.broker.watch([AAPL])
        await until(desk.quotes)
        assert len(gateway.market.watched()) == 1

    with market() as gateway:
        with_desk(gateway, work)


@pytest.mark.fault(32)
@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_connection_cut_before_or_after_an_order_says_so_and_proves_nothing(number: int) -> None:
    async def work(desk: Desk) -> None:
        gateway.with_faults(CutBefore(number=number) if number < 3 else CutAfter(number=number))
        desk.broker.place([order(each, limit="99.00", ref=f"{REF}{each}") for each in (1, 2, 3)])
        await until(lambda: desk.told(Disconnected))
        with pytest.raises(BrokerDown):
            await desk.broker.drain()
        gateway.without_faults()
        await until(lambda: 11 not in gateway.clients)
        await desk.broker.connect()
        snapshot = await desk.broker.snapshot()
        assert {report.ref for report in snapshot.open_orders} == {o.ref for o in gateway.truth().orders}

    with market() as gateway:
        with_desk(gateway, work)
        assert len(gateway.truth().orders) == (number - 1 if number < 3 else 3)


def test_a_loop_that_the_library_used_before_does_not_matter() -> None:
    other = asyncio.new_event_loop()

    async def used() -> None:
        getLoop()

    async def work(desk: Desk) -> None:
        assert (await desk.broker.snapshot()).accounts == (ACCOUNT,)

    other.run_until_complete(used())
    other.close()
    with market() as gateway:
        with_desk(gateway, work)


@pytest.mark.fault(14)
def test_a_listener_that_fails_breaks_neither_the_loop_nor_the_next_event() -> None:
    async def work(desk: Desk) -> None:
        failures: list[dict[str, object]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))

        def fails(event: object) -> None:
            desk.events.append(event)  # type: ignore[arg-type]
            raise ZeroDivisionError

        desk.broker.listen(fails)
        desk.broker.place([order(1, limit="99.00")])
        await desk.hears(1, "working")
        await desk.broker.time()
        assert {type(context["exception"]) for context in failures} == {ZeroDivisionError}

    with market() as gateway:
        with_desk(gateway, work)


def test_the_client_library_is_not_loaded_before_a_connection_opens() -> None:
    code = "import sys, resources.brokers.ib; sys.exit('ib_async' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_broker_without_a_clock_uses_that_of_the_machine() -> None:
    async def work() -> None:
        broker = InteractiveBrokersBroker(settings(gateway), client_id=12, mode="paper")
        await broker.connect()
        at = (await broker.snapshot()).at
        await broker.close()
        assert at.tzinfo is not None

    with running(TradingGateway()) as gateway:
        asyncio.run(work())
