"""The gateway from start to a filled bracket and out again, on a real ledger."""

import json
from decimal import Decimal

import pytest

from resources.ledger.state import Heartbeats
from tests.gateway.parts import LIMITS
from tests.gateway.world import World, quick, run
from trading_assets.broker.model import Contract
from trading_assets.broker.ports import BrokerDown, ClientIdInUse
from trading_assets.core.errors import TradingHalted
from trading_assets.core.messages import BarClosed
from trading_assets.signatures.model import SIGNERS


def test_a_signed_entry_goes_out_as_a_bracket_and_its_fill_is_booked(world: World) -> None:
    async def work() -> None:
        gateway = await world.started()
        assert gateway.state.state == "ACTIVE", gateway.state
        world.exchange.fills = False
        intent = world.signed()
        assert await gateway.dispatch() == 1, world.why(intent)
        entry, target, stop = world.broker.placed
        assert [order.transmit for order in (entry, target, stop)] == [False, False, True]
        assert {order.ref for order in (entry, target, stop)} == {f"D1:{intent.id}"}
        assert entry.tif == "day"
        assert target.tif == stop.tif == "gtc"
        assert target.oca_group == stop.oca_group != ""
        assert target.parent_id == stop.parent_id == entry.order_id
        assert world.state(intent) == "SUBMITTING"
        world.exchange.fills = True
        world.exchange.match()
        await gateway.pump()
        assert world.state(intent) == "FILLED"
        assert gateway.view.known.position("AAPL") == 40
        assert await gateway.look()
        assert world.halts() == []

    run(work)


def test_the_entry_is_never_sent_beyond_the_cap_through_the_quote_nor_beyond_the_plan(world: World) -> None:
    async def work() -> None:
        gateway = await world.started()
        world.signed()
        await gateway.dispatch()
        entry = world.broker.placed[0]
        assert entry.limit_price is not None
        assert entry.limit_price <= Decimal("100.40")
        assert entry.limit_price <= Decimal("100.01") * Decimal("1.005")

    run(work)


@pytest.mark.control("C1")
def test_a_book_that_no_operator_released_opens_nothing(world: World) -> None:
    async def work() -> None:
        world.watchdog()
        gateway = world.gateway()
        await gateway.start()
        await world.quoted(gateway)
        intent = world.signed()
        await gateway.dispatch()
        assert gateway.state.state == "HALTED"
        assert world.state(intent) == "VETOED"
        assert world.broker.placed == []

    run(work)


@pytest.mark.control("C2")
@pytest.mark.parametrize("missing", SIGNERS)
def test_two_signatures_are_none(world: World, missing: str) -> None:
    async def work() -> None:
        gateway = await world.started()
        intent = world.propose()
        world.sign(intent, [signer for signer in SIGNERS if signer != missing])
        await gateway.dispatch()
        assert world.state(intent) == "PROPOSED"
        assert world.broker.placed == []
        await world.run(gateway, 62)
        assert world.state(intent) == "EXPIRED"

    run(work)


def test_signatures_that_ended_expire_the_intent(world: World) -> None:
    async def work() -> None:
        gateway = await world.started()
        intent = world.signed()
        world.hand.move(0)
        for _ in range(21):
            world.hand.move(3)
            await world.settle(gateway)
        await gateway.dispatch()
        assert world.state(intent) == "EXPIRED"
        assert world.broker.placed == []

    run(work)


@pytest.mark.control("C32")
def test_a_limits_file_that_changed_halts_and_opens_nothing(world: World) -> None:
    async def work() -> None:
        gateway = await world.started()
        world.limits = "cd" * 32
        intent = world.signed()
        await gateway.dispatch()
        assert world.state(intent) == "VETOED"
        assert any(cause.startswith("C32") for cause in world.halts())
        assert world.broker.placed == []

    run(work)


def test_a_limits_file_that_changed_while_it_started_refuses_the_start(world: World) -> None:
    world.limits = "cd" * 32
    with pytest.raises(TradingHalted, match="limits file"):
        run(world.gateway().start)


@pytest.mark.control("C21")
def test_a_margin_that_the_broker_does_not_tell_refuses(world: World) -> None:
    async def work() -> None:
        gateway = await world.started()
        world.broker.margin = None
        intent = world.signed()
        await gateway.dispatch()
        assert world.state(intent) == "VETOED"
        assert "C21" in world.why(intent)

    run(work)


@pytest.mark.control("C26")
@pytest.mark.parametrize("price", [None, Decimal(1_000), Decimal(10)])
def test_a_second_source_that_is_silent_or_disagrees_refuses(world: World, price: Decimal | None) -> None:
    async def work() -> None:
        gateway = await world.started()
        world.prices.prices = {} if price is None else {"AAPL": price}
        intent = world.signed()
        await gateway.dispatch()
        assert "C26" in world.why(intent)
        assert world.broker.placed == []

    run(work)


@pytest.mark.control("C17")
def test_a_symbol_of_two_contracts_is_refused(world: World) -> None:
    async def work() -> None:
        world.broker.contracts["AAPL"] = (Contract("AAPL", 1), Contract("AAPL", 7))
        gateway = await world.started()
        intent = world.signed()
        await gateway.dispatch()
        assert "C17" in world.why(intent)
        assert world.broker.placed == []

    run(work)


def test_a_symbol_that_stands_for_another_contract_than_before_is_refused_and_told(world: World) -> None:
    async def work() -> None:
        await world.started()
        world.broker.contracts["AAPL"] = (Contract("AAPL", 99),)
        world.hand.move(11)
        gateway = await world.started()
        intent = world.signed()
        await gateway.dispatch()
        assert world.state(intent) == "VETOED"
        assert "contract" in world.told.codes

    run(work)


@pytest.mark.control("C14")
def test_the_same_symbol_is_not_ordered_twice_within_a_minute(world: World) -> None:
    async def work() -> None:
        gateway = await world.started()
        await gateway.dispatch()
        first = world.signed()
        await gateway.dispatch()
        await gateway.pump()
        second = world.signed(slot="10:00", strategy="pullback")
        await gateway.dispatch()
        assert world.state(first) == "FILLED"
        assert "C14" in world.why(second)

    run(work)


@pytest.mark.control("C33")
@pytest.mark.fault(103)
def test_a_second_gateway_is_refused_while_the_first_one_lives(world: World) -> None:
    async def work() -> None:
        await world.started()
        with pytest.raises(TradingHalted, match="holds the lease"):
            await world.gateway().start()

    run(work)


@pytest.mark.fault(41)
def test_a_client_id_in_use_refuses_the_start_and_no_other_is_tried(world: World) -> None:
    world.broker.in_use = True
    with pytest.raises(ClientIdInUse):
        run(world.gateway().start)


@pytest.mark.fault(30)
def test_a_broker_that_is_down_at_the_start_is_named(world: World) -> None:
    world.broker.refuses_connections = True
    with pytest.raises(BrokerDown, match=r"127\.0\.0\.1:4002, mode paper"):
        run(world.gateway().start)


@pytest.mark.control("C29")
@pytest.mark.fault(48)
@pytest.mark.parametrize("accounts", [(), ("U1234567",), ("DU1234567", "DU7654321"), ("DU7654321",)])
def test_another_account_than_the_configured_one_refuses_the_start(world: World, accounts: tuple[str, ...]) -> None:
    world.broker.accounts = accounts
    with pytest.raises(TradingHalted, match="account"):
        run(world.gateway().start)
    assert not world.broker.is_connected


def test_what_waited_before_the_start_expires_and_is_never_sent(world: World) -> None:
    async def work() -> None:
        proposed, signed = world.propose(slot="10:00", strategy="pullback"), world.signed()
        gateway = await world.started()
        await world.run(gateway, 5)
        assert [world.state(proposed), world.state(signed)] == ["EXPIRED", "EXPIRED"]
        assert world.broker.placed == []

    run(work)


def test_complete_minutes_become_bars_on_the_bus(world: World) -> None:
    async def work() -> None:
        gateway = await world.started()
        await world.run(gateway, 70, step=5.0)
        bars = [draft.payload for draft in world.told.drafts if isinstance(draft.payload, BarClosed)]
        assert {bar.symbol for bar in bars} == {"AAPL", "MSFT"}
        assert len({(bar.symbol, bar.start) for bar in bars}) == len(bars)

    run(work)


def test_a_watchdog_that_died_closes_the_desk_to_entries(world: World) -> None:
    async def work() -> None:
        gateway = await world.started()
        for _ in range(6):
            world.hand.move(3)
            world.exchange.requote()
            await gateway.pump()
            await gateway.tend()
            gateway.keeper.keep()
        intent = world.signed()
        await gateway.dispatch()
        assert gateway.state.state == "REDUCING"
        assert "watchdog" in gateway.state.reason
        assert world.state(intent) == "VETOED"

    run(work)


def test_order_ids_go_on_after_the_greatest_that_ledger_or_broker_ever_saw(world: World) -> None:
    async def work() -> None:
        world.broker.next_order_id = 500
        gateway = await world.started()
        world.signed()
        await gateway.dispatch()
        used = [order.order_id for order in world.broker.placed]
        assert min(used) >= 500
        world.broker.next_order_id = 3
        world.hand.move(70)
        world.settings = quick()
        again = await world.started()
        assert again.sender.take() > max(used)
        assert world.setup().limits_hash == LIMITS

    run(work)


@pytest.mark.control("W3")
@pytest.mark.control("W10")
def test_what_the_watchdog_says_is_heard_and_not_only_that_it_lives(world: World) -> None:
    async def work() -> None:
        gateway = await world.started()
        assert gateway.state.state == "ACTIVE"
        beats = Heartbeats(world.engine)
        for said, expected in [("REDUCING", "REDUCING"), ("HALTED", "REDUCING"), ("ACTIVE", "ACTIVE")]:
            state = json.dumps({"state": said, "reason": "a test"})
            beats.beat("watchdog", pid=1, state=state, as_of=world.hand.at)
            gateway.keeper.keep()
            assert gateway.state.state == expected, gateway.state.reason

    run(work)
