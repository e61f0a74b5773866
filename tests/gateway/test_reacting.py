"""Between a price and its order lies one transaction; everything less urgent waits until the orders of a burst are out."""

from collections.abc import Callable, Sequence
from decimal import Decimal

import pytest
import sqlalchemy as sa

from gateway.core import Gateway
from resources.ledger import schema as t
from resources.ledger.dispatch import SqlDispatch
from resources.ledger.engine import reading
from resources.ledger.state import LeaseLost, Leases
from tests.gateway.exchange import ScriptedBroker
from tests.gateway.parts import BOOK
from tests.gateway.world import World, run
from trading_assets.broker.model import Contract, OrderRequest
from trading_assets.broker.ports import BrokerDown
from trading_assets.broker.settings import Reactions
from trading_assets.core.errors import TransientFailure
from trading_assets.core.messages import BarClosed, Draft
from trading_assets.execution.dispatch import NewLeg, Reduction

HELD = {"AAPL": 40, "MSFT": 40}
GAIN = (Decimal("104.00"), Decimal("104.02"))
PLAN = {
    "quantity": 40,
    "reference": Decimal(100),
    "entry": Decimal("100.40"),
    "stop": Decimal("98.00"),
    "target": Decimal("105.00"),
    "confidence": 0.5,
}


class Died(BaseException):
    """The process ends here."""


async def holding(world: World) -> Gateway:
    """Both symbols held, each with its bracket, and an exchange that fills nothing more; all of a gain leaves."""
    world.settings = world.settings.model_copy(update={"reactions": Reactions(trim_share=1.0)})
    world.exchange.quote("MSFT", "99.99", "100.01", bid_size=5_000, ask_size=5_000)
    world.prices.prices["MSFT"] = Decimal(100)
    gateway = await world.started()
    for symbol in HELD:
        intent = world.signed(symbol=symbol, slot=symbol, **PLAN)
        assert await gateway.dispatch() == 1, world.why(intent)
        await gateway.pump()
        await world.run(gateway, 12, step=4.0)
    assert world.exchange.held == HELD
    world.exchange.fills = False
    return gateway


def gain(world: World, *symbols: str, cent: str = "0") -> None:
    """A price above the gain; the second one in a row is believed."""
    world.hand.move(1)
    for symbol in symbols or tuple(HELD):
        bid, ask = (side + Decimal(cent) for side in GAIN)
        world.exchange.quote(symbol, str(bid), str(ask), bid_size=4_000, ask_size=4_000)


async def minute(world: World, gateway: Gateway) -> None:
    """Lets the minute run out, so that the next quotes complete a bar each."""
    while world.hand.at.second != 57:
        world.hand.move(1)
        world.watchdog()
        gateway.keeper.keep()


def sold(world: World) -> dict[str, int]:
    """Shares that orders at the exchange would sell now, resting stops and targets aside."""
    found: dict[str, int] = {}
    for order in world.exchange.orders:
        if "-exit" in order.request.key or "-flatten" in order.request.key:
            found[order.request.contract.symbol] = found.get(order.request.contract.symbol, 0) + order.request.quantity
    return found


def counted(world: World, kind: str) -> Callable[[], int]:
    """How often the ledger has done something since."""
    seen: list[int] = []
    sa.event.listen(world.engine, kind, lambda _: seen.append(1))
    return lambda: len(seen)


def test_one_transaction_lies_between_a_price_and_its_order_and_bars_wait_for_the_whole_burst(world: World) -> None:
    async def work() -> None:
        gateway = await holding(world)
        await minute(world, gateway)
        gain(world)
        await gateway.pump()
        world.told.drafts.clear()
        begun, at_order, bars_then = counted(world, "begin"), list[int](), list[int]()
        place = world.broker.place

        def watched(orders: list[OrderRequest]) -> None:
            at_order.append(begun())
            bars_then.append(len(world.told.drafts))
            place(orders)

        world.broker.place = watched  # type: ignore[method-assign, assignment]
        world.hand.move(2)
        gain(world, cent="0.01")
        await gateway.pump()
        assert at_order == [1, 2]
        assert bars_then == [0, 0]
        bars = [draft.payload for draft in world.told.drafts if isinstance(draft.payload, BarClosed)]
        assert sorted(bar.symbol for bar in bars) == ["AAPL", "MSFT"]
        assert sold(world) == HELD

    run(work)


def test_orders_of_a_burst_are_noted_as_sent_and_the_picture_is_the_ledgers(world: World) -> None:
    async def work() -> None:
        gateway = await holding(world)
        gain(world)
        gain(world, cent="0.01")
        await gateway.pump()
        assert sold(world) == HELD
        known = world.store.known()
        assert (gateway.view.known.intents, gateway.view.known.booked) == (known.intents, known.booked)
        with reading(world.engine) as connection:
            query = sa.select(t.INTENT_STATES.c.sent_at).where(t.INTENT_STATES.c.opens.is_(False))
            noted: list[str | None] = list(connection.execute(query).scalars())
        assert len(noted) == 2
        assert all(noted)
        world.exchange.fills = True
        world.exchange.match()
        await world.run(gateway, 12)
        assert world.exchange.held == dict.fromkeys(HELD, 0)
        assert world.halts() == []

    run(work)


def sells_beside(world: World, quantity: int) -> None:
    """The watchdog, over its own connection: in the ledger first, then at the exchange."""
    beside = SqlDispatch(world.engine, BOOK, client_id=12)
    token = Leases(world.engine).current(f"gateway:{BOOK}")
    assert token is not None
    contract = Contract("AAPL", 1)
    wanted = Reduction("watchdog/1", "AAPL", "flatten", quantity, "the gateway is silent")
    made = beside.reduce(wanted, contract, token=token.token, as_of=world.hand.at)
    assert made is not None
    order = OrderRequest(f"{made}-flatten", f"D1:{made}", 900, contract, "sell", "market", quantity, "day")
    beside.submit(made, [NewLeg(order, "flatten")], token=token.token, as_of=world.hand.at)
    world.exchange.accept(order, 12)


@pytest.mark.fault(9)
@pytest.mark.parametrize("quantity", [40, 15])
def test_what_the_watchdog_sold_since_the_last_look_is_not_sold_again(world: World, quantity: int) -> None:
    async def work() -> None:
        gateway = await holding(world)
        gain(world, "AAPL")
        await gateway.pump()
        sells_beside(world, quantity)
        gain(world, "AAPL", cent="0.01")
        await gateway.pump()
        assert sold(world).get("AAPL", 0) <= 40
        assert {leg.client_id for intent in gateway.view.known.intents for leg in intent.legs} == {11, 12}

    run(work)


@pytest.mark.fault(11)
@pytest.mark.parametrize(("point", "written"), [("submitted", 0), ("written", 1)])
def test_a_process_that_dies_in_a_reaction_leaves_one_order_or_none_and_the_next_one_sells_the_rest_once(
    world: World, point: str, written: int
) -> None:
    async def work() -> None:
        gateway = await holding(world)
        gain(world, "AAPL")
        await gateway.pump()

        def die(passed: str) -> None:
            if passed == point:
                raise Died

        world.points = die
        gain(world, "AAPL", cent="0.01")
        with pytest.raises(Died):
            await gateway.pump()
        world.points = lambda _: None
        assert len(world.exchange.of("-exit")) == written
        world.hand.move(60)
        world.exchange.lines.clear()
        world.broker = ScriptedBroker(world.exchange)
        world.exchange.fills = True
        following = await world.started()
        await world.run(following, 60, step=2.0)
        assert world.exchange.held["AAPL"] in {0, 40}
        if written:
            assert world.exchange.held["AAPL"] == 0
        assert sum(done.quantity for done in world.exchange.executions if done.side == "sell") <= 80
        assert min(world.exchange.held.values()) >= 0

    run(work)


@pytest.mark.fault(12)
def test_a_reaction_after_the_lease_has_passed_on_writes_nothing(world: World) -> None:
    async def work() -> None:
        gateway = await holding(world)
        gain(world, "AAPL")
        await gateway.pump()
        leases = Leases(world.engine)
        held = leases.current(f"gateway:{BOOK}")
        assert held is not None
        leases.release(held, as_of=world.hand.at)
        leases.acquire(f"gateway:{BOOK}", "another", as_of=world.hand.at, ttl=world.settings.lease)
        gain(world, "AAPL", cent="0.01")
        with pytest.raises(LeaseLost):
            await gateway.pump()
        assert sold(world) == {}

    run(work)


@pytest.mark.fault(33)
def test_a_line_that_breaks_behind_the_orders_keeps_no_bar_from_the_bus_and_halts_nothing(world: World) -> None:
    async def work() -> None:
        gateway = await holding(world)
        await minute(world, gateway)
        gain(world)
        await gateway.pump()
        world.told.drafts.clear()

        async def broken() -> int:
            raise BrokerDown("the line broke")

        world.broker.drain = broken  # type: ignore[method-assign]
        world.hand.move(2)
        gain(world, cent="0.01")
        await gateway.pump()
        assert sold(world) == HELD
        assert len([draft for draft in world.told.drafts if isinstance(draft.payload, BarClosed)]) == 2
        assert world.halts() == []

    run(work)


def test_a_bus_that_refuses_the_bars_halts_after_the_orders_and_not_instead_of_them(world: World) -> None:
    async def work() -> None:
        full = list[bool]()

        def refuses(_: Sequence[Draft]) -> None:
            if full:
                raise TransientFailure("the disk is full")

        world.told.publish = refuses  # type: ignore[method-assign, assignment]
        gateway = await holding(world)
        await minute(world, gateway)
        gain(world)
        await gateway.pump()
        full.append(True)
        world.hand.move(2)
        gain(world, cent="0.01")
        await gateway.pump()
        assert sold(world) == HELD
        assert [halt.split(":")[0] for halt in world.halts()] == ["F14 noting what was done failed"]

    run(work)


def test_a_ledger_that_moves_with_every_look_gives_up_loudly_and_sells_nothing(world: World) -> None:
    async def work() -> None:
        gateway = await holding(world)
        gain(world, "AAPL")
        await gateway.pump()
        world.store.reduce_and_submit = lambda *_, **__: "stale"  # type: ignore[method-assign]
        gain(world, "AAPL", cent="0.01")
        await gateway.pump()
        assert sold(world) == {}
        assert "changes with every look" in world.halts()[0]

    run(work)


def test_the_picture_during_a_look_is_never_older_than_what_the_ledger_said(world: World) -> None:
    """A look reads the ledger and may ask the broker again before it ends: whoever reacts meanwhile sees what was read."""

    async def work() -> None:
        gateway = await holding(world)
        sells_beside(world, 40)
        before = gateway.view.known
        seen: list[bool] = []
        world.broker.during_snapshot = lambda: seen.append(gateway.view.known is before)
        await gateway.look()
        assert gateway.view.known == world.store.known()
        assert seen[0] is True
        assert seen[1:] == [False] * (len(seen) - 1)

    run(work)
