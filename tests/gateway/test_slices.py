"""Entries that go out in parts over time: each judged again, none after a halt, an exit, a restart, or too late."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from decimal import Decimal

import pytest

from gateway.core import Gateway
from gateway.slicer import AFTER_A_RESTART, LATE, without
from gateway.view import NOTHING_KNOWN
from tests.gateway.parts import exit_of
from tests.gateway.world import World, quick, run
from trading_assets.execution.ports import Intent

CHEAP = {
    "reference": Decimal(10),
    "entry": Decimal("10.04"),
    "stop": Decimal("9.80"),
    "target": Decimal("10.60"),
    "quantity": 300,
}


async def sliced(world: World, **changed: object) -> tuple[Gateway, Intent]:
    """Three hundred shares of which a thin market takes a hundred at a time; the first part has gone."""
    world.settings = quick(lease_seconds=300.0)
    world.prices.prices["AAPL"] = Decimal(10)
    thin(world)
    gateway = await world.started()
    intent = world.signed(**{**CHEAP, **changed})
    assert await gateway.dispatch() == 1, world.why(intent)
    await gateway.pump()
    return gateway, intent


def thin(world: World, ask: str = "10.01") -> None:
    bid = Decimal(ask) - Decimal("0.02")
    world.exchange.quote("AAPL", str(bid), ask, bid_size=5_000, ask_size=5)


def entries(world: World, intent: Intent) -> list[tuple[str, int]]:
    return [
        (order.key.removeprefix(f"{intent.id}-"), order.quantity)
        for order in world.broker.placed
        if order.ref == f"D1:{intent.id}" and order.side == "buy"
    ]


async def pass_time(world: World, gateway: Gateway, seconds: float) -> None:
    await world.run(gateway, seconds, step=30.0)


def test_a_thin_market_gets_an_entry_in_parts_each_a_bracket_of_its_own(world: World) -> None:
    async def work() -> None:
        gateway, intent = await sliced(world)
        assert entries(world, intent) == [("entry", 100)]
        await pass_time(world, gateway, 90)
        assert entries(world, intent) == [("entry", 100)]
        assert world.state(intent) == "PARTIAL"
        await pass_time(world, gateway, 30)
        assert entries(world, intent) == [("entry", 100), ("entry-2", 100)]
        await pass_time(world, gateway, 150)
        assert entries(world, intent) == [("entry", 100), ("entry-2", 100), ("entry-3", 100)]
        assert world.state(intent) == "FILLED"
        stops = [o for o in world.exchange.of("-stop") if o.is_open]
        assert [o.left for o in stops] == [100, 100, 100]
        assert len({o.request.oca_group for o in stops}) == 3
        assert world.halts() == []
        await pass_time(world, gateway, 150)
        assert len(entries(world, intent)) == 3

    run(work)


def test_parts_carry_the_signed_limit_at_most_and_follow_the_market_below_it(world: World) -> None:
    async def work() -> None:
        gateway, _ = await sliced(world)
        thin(world, "10.06")
        await pass_time(world, gateway, 150)
        limits = [order.limit_price for order in world.broker.placed if order.side == "buy"]
        assert limits == [Decimal("10.04"), Decimal("10.04")]

    run(work)


async def halted(world: World, _: Gateway, __: Intent) -> None:
    world.store.halt("an operator wants quiet", as_of=world.hand.at)


async def left(world: World, gateway: Gateway, _: Intent) -> None:
    exit_ = world.signed(plan=exit_of(as_of=world.hand.at, quantity=100))
    await gateway.dispatch()
    assert world.state(exit_) != "VETOED", world.why(exit_)


async def stopped_out(world: World, gateway: Gateway, _: Intent) -> None:
    thin(world, "9.79")
    await gateway.pump()
    thin(world)


async def unlisted_price(world: World, _: Gateway, __: Intent) -> None:
    world.prices.prices.clear()


async def crashed_symbol(_: World, gateway: Gateway, __: Intent) -> None:
    gateway.view.closed["AAPL"] = "it moved too far"


async def other_limits(world: World, _: Gateway, __: Intent) -> None:
    world.limits = "cd" * 32


@pytest.mark.parametrize(
    ("happens", "word"),
    [
        (halted, "halted: an operator"),
        (left, "exit "),
        (stopped_out, "has traded"),
        (unlisted_price, "C26"),
        (crashed_symbol, "C24"),
        (other_limits, "C32"),
    ],
)
def test_what_ends_a_schedule_ends_the_intent_with_what_it_has_filled(
    world: World, happens: Callable[[World, Gateway, Intent], Awaitable[None]], word: str
) -> None:
    async def work() -> None:
        gateway, intent = await sliced(world)
        await pass_time(world, gateway, 30)
        await happens(world, gateway, intent)
        await pass_time(world, gateway, 150)
        assert entries(world, intent) == [("entry", 100)]
        assert world.state(intent) == "CANCELLED"
        assert world.why(intent).startswith("the rest is not sent: ")
        assert word in world.why(intent)

    run(work)


@pytest.mark.control("C1")
def test_a_part_waits_while_the_desk_may_only_reduce_and_goes_when_it_may_open_in_time(world: World) -> None:
    async def work() -> None:
        gateway, intent = await sliced(world)
        await pass_time(world, gateway, 90)
        gateway.view.problems["test"] = "something is odd"
        await pass_time(world, gateway, 40)
        assert len(entries(world, intent)) == 1
        del gateway.view.problems["test"]
        await pass_time(world, gateway, 30)
        assert len(entries(world, intent)) == 2

    run(work)


def test_a_part_that_is_too_late_is_never_caught_up_on(world: World) -> None:
    async def work() -> None:
        gateway, intent = await sliced(world)
        gateway.view.problems["test"] = "something is odd"
        await pass_time(world, gateway, 150 + LATE.total_seconds())
        del gateway.view.problems["test"]
        await pass_time(world, gateway, 120)
        assert len(entries(world, intent)) == 1
        assert world.state(intent) == "CANCELLED"

    run(work)


def test_no_part_is_sent_after_a_restart_and_the_intent_ends(world: World) -> None:
    async def work() -> None:
        _, intent = await sliced(world)
        world.broker.drop("the process died")
        world.hand.move(301)
        world.exchange.requote()
        again = await world.started()
        await pass_time(world, again, 140)
        assert entries(world, intent) == [("entry", 100)]
        assert world.state(intent) == "CANCELLED"
        assert AFTER_A_RESTART in world.why(intent)
        assert again.view.known.position("AAPL") == 100
        assert world.halts() == []

    run(work)


def test_an_entry_that_still_works_is_waited_for_before_the_intent_ends(world: World) -> None:
    async def work() -> None:
        world.exchange.fills = False
        gateway, intent = await sliced(world)
        await pass_time(world, gateway, 30)
        world.prices.prices.clear()
        await pass_time(world, gateway, 150)
        assert world.state(intent) == "WORKING"
        world.exchange.fills = True
        await pass_time(world, gateway, 30)
        assert (world.state(intent), gateway.view.known.position("AAPL")) == ("CANCELLED", Decimal(100))

    run(work)


def test_a_third_entry_into_a_symbol_is_not_refused_its_own_further_parts(world: World) -> None:
    async def work() -> None:
        gateway, intent = await sliced(world)
        counters = world.store.counters(intent.session, decision="", as_of=world.hand.at)
        assert counters.entries_today == {"AAPL": 1}
        world.preferences = world.preferences.model_copy(update={"entries_per_symbol_max": 1})
        gateway.dispatcher._setup = world.setup()  # the limit is reached by this very entry
        await pass_time(world, gateway, 150)
        assert len(entries(world, intent)) == 2

    run(work)


def test_the_last_part_is_due_before_entries_end(world: World) -> None:
    async def work() -> None:
        world.settings = quick(lease_seconds=3600.0)
        world.prices.prices["AAPL"] = Decimal(10)
        thin(world)
        gateway = await world.started()
        late = world.hand.at.replace(hour=15, minute=28, second=30)
        while world.hand.at < late:
            world.hand.move(min(900.0, (late - world.hand.at).total_seconds()))
            world.watchdog()
            gateway.keeper.keep()
        world.exchange.requote()
        await world.run(gateway, 66, step=22.0)
        thin(world)
        await world.settle(gateway)
        intent = world.signed(**CHEAP)
        assert await gateway.dispatch() == 1, world.why(intent)
        assert entries(world, intent) == [("entry", 300)]

    run(work)


def test_a_large_entry_shows_a_part_of_itself_and_no_algorithm_works_it_too(world: World) -> None:
    async def work() -> None:
        world.broker.name = "ib"
        world.prices.prices["AAPL"] = Decimal(10)
        world.exchange.quote("AAPL", "9.99", "10.01", bid_size=20, ask_size=5_000)
        gateway = await world.started()
        intent = world.signed(**CHEAP)
        assert await gateway.dispatch() == 1, world.why(intent)
        entry = world.broker.placed[0]
        assert (entry.quantity, entry.display_quantity, entry.algo) == (300, 100, "")
        assert [order.display_quantity for order in world.broker.placed[1:]] == [0, 0]

    run(work)


@pytest.mark.parametrize(("broker", "algo"), [("ib", "adaptive"), ("paper", ""), ("scripted", "")])
def test_only_interactive_brokers_is_asked_to_work_an_order_patiently(world: World, broker: str, algo: str) -> None:
    async def work() -> None:
        world.broker.name = broker
        gateway = await world.started()
        intent = world.signed()
        assert await gateway.dispatch() == 1, world.why(intent)
        assert [order.algo for order in world.broker.placed] == [algo, "", ""]

    run(work)


def test_a_passive_limit_is_worked_by_nobody(world: World) -> None:
    async def work() -> None:
        world.broker.name = "ib"
        gateway = await world.started()
        intent = world.signed(style="passive_limit", entry=Decimal("99.95"))
        assert await gateway.dispatch() == 1, world.why(intent)
        assert (world.broker.placed[0].algo, world.broker.placed[0].limit_price) == ("", Decimal("99.95"))

    run(work)


def test_an_intent_counts_for_nothing_beside_itself(world: World) -> None:
    async def work() -> None:
        gateway, intent = await sliced(world)
        known, brought = without(gateway.view.known, intent.id)
        assert (brought, known.position("AAPL")) == (Decimal(100), Decimal(0))
        assert known.intents == ()
        assert without(NOTHING_KNOWN, "nobody") == (NOTHING_KNOWN, Decimal(0))
        assert gateway.view.known.position("AAPL") == 100
        assert timedelta(seconds=60) >= LATE

    run(work)
