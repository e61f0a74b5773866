"""What leaves in part leaves from a group of its own size, under both readings of what a group's orders do to each other."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from decimal import Decimal
from typing import Literal

import pytest

from gateway.brackets import Share, groups_of, regrouped, shares_of
from gateway.core import Gateway
from tests.gateway.exchange import Resting
from tests.gateway.parts import exit_of
from tests.gateway.test_brackets import AAPL, known, leg
from tests.gateway.test_exits import holding, sold
from tests.gateway.world import World, run
from trading_assets.broker.settings import Reactions

READINGS: tuple[Literal["shares", "proportion"], ...] = ("shares", "proportion")
both = pytest.mark.parametrize("reading", READINGS)
NAKED_S = 10.0


class Watch:
    """Reads the exchange after each step: shares are never owed, and never without stops of their number for too long."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._since: datetime | None = None
        self.naked_s = 0.0
        self.least = 0

    def look(self) -> None:
        held = self._world.exchange.held.get("AAPL", 0)
        self.least = min(self.least, held)
        covered = sum(self._sells(order) for order in self._world.exchange.orders if order.request.kind == "stop")
        self._since = None if covered >= held else self._since or self._world.hand.at
        if self._since is not None:
            self.naked_s = max(self.naked_s, (self._world.hand.at - self._since).total_seconds())

    def _sells(self, order: Resting) -> int:
        return order.left if order.status == "working" and order.request.side == "sell" else 0

    def could_sell(self) -> int:
        """Shares that orders at the exchange could sell at most, each group once."""
        groups: dict[str, int] = {}
        for number, order in enumerate(self._world.exchange.orders):
            name = order.request.oca_group or f"alone {number}"
            groups[name] = max(groups.get(name, 0), self._sells(order))
        return sum(groups.values())


async def steps(world: World, gateway: Gateway, watch: Watch, seconds: int) -> None:
    for _ in range(seconds):
        world.hand.move(1)
        world.exchange.requote()
        await world.settle(gateway)
        watch.look()
        await gateway.dispatch()
        watch.look()
        assert watch.could_sell() <= world.exchange.held.get("AAPL", 0)


async def trimmed(world: World, gateway: Gateway) -> None:
    """A gain that nobody believes in: twelve of forty leave."""
    for _ in range(2):
        world.hand.move(1)
        world.exchange.quote("AAPL", "103.99", "104.01")
        await world.settle(gateway)


async def signed_away(world: World, gateway: Gateway) -> None:
    """Three signers let twelve of forty go."""
    world.signed(plan=exit_of(as_of=world.hand.at, quantity=12))
    await gateway.dispatch()


@both
@pytest.mark.parametrize("leave", [trimmed, signed_away])
def test_a_part_leaves_and_the_rest_keeps_its_stop_and_its_target(
    world: World, reading: Literal["shares", "proportion"], leave: Callable[[World, Gateway], Awaitable[None]]
) -> None:
    async def work() -> None:
        world.exchange.reduces = reading
        gateway, _ = await holding(world, confidence=0.5)
        watch = Watch(world)
        await leave(world, gateway)
        await steps(world, gateway, watch, 12)
        assert (sold(world), world.exchange.held["AAPL"]) == (Decimal(12), 28)
        resting = [(o.request.kind, o.left, o.request.stop_price or o.request.limit_price) for o in _open(world)]
        assert resting == [("stop", 28, Decimal("98.00")), ("limit", 28, Decimal("105.00"))]
        assert (watch.least, watch.naked_s) == (0, 0.0)
        assert not world.exchange.of("-protect")
        assert world.halts() == []

    run(work)


@both
@pytest.mark.parametrize("filled", [0, 5])
def test_a_part_that_fills_slowly_is_never_short_nor_long_without_a_stop(
    world: World, reading: Literal["shares", "proportion"], filled: int
) -> None:
    async def work() -> None:
        world.exchange.reduces = reading
        world.settings = world.settings.model_copy(update={"reactions": Reactions(exit_seconds=4.0)})
        gateway, _ = await holding(world)
        watch = Watch(world)
        world.exchange.fills = False
        await signed_away(world, gateway)
        await steps(world, gateway, watch, 2)
        (part,) = [o for o in _open(world) if "-exit" in o.request.key]
        if filled:
            world.exchange.fill(part, filled, Decimal("99.99"))
        await steps(world, gateway, watch, 6)
        world.exchange.fills = True
        world.exchange.match()
        await steps(world, gateway, watch, 12)
        assert world.exchange.held["AAPL"] == 28
        assert watch.least == 0
        assert watch.naked_s <= NAKED_S
        assert sum(o.left for o in _open(world) if o.request.kind == "stop") == 28

    run(work)


@both
def test_the_stop_that_fires_while_a_group_is_divided_wins_and_nothing_is_sold_twice(
    world: World, reading: Literal["shares", "proportion"]
) -> None:
    async def work() -> None:
        world.exchange.reduces = reading
        gateway, _ = await holding(world)
        world.exchange.is_slow = True
        await signed_away(world, gateway)
        assert len(world.broker.cancelled) == 2
        world.exchange.quote("AAPL", "97.50", "97.52")
        watch = Watch(world)
        await gateway.pump()
        await steps(world, gateway, watch, 12)
        assert (world.exchange.held["AAPL"], watch.least) == (0, 0)
        assert sold(world) == 40
        assert not _open(world)

    run(work)


@both
def test_a_division_that_is_never_confirmed_is_given_up_and_the_stop_stays(
    world: World, reading: Literal["shares", "proportion"]
) -> None:
    async def work() -> None:
        world.exchange.reduces = reading
        gateway, _ = await holding(world)
        world.exchange.is_slow = True
        exit_ = world.signed(plan=exit_of(as_of=world.hand.at, quantity=12))
        watch = Watch(world)
        await gateway.dispatch()
        await steps(world, gateway, watch, 8)
        assert "not_divided" in world.told.codes
        assert world.state(exit_) == "SIGNED"
        assert sold(world) == 0
        assert watch.naked_s == 0

    run(work)


@both
def test_a_halt_that_flattens_during_a_division_sells_everything_once(
    world: World, reading: Literal["shares", "proportion"]
) -> None:
    async def work() -> None:
        world.exchange.reduces = reading
        gateway, _ = await holding(world)
        world.exchange.is_slow = True
        await signed_away(world, gateway)
        world.store.halt("C11 daily loss", as_of=world.hand.at)
        watch = Watch(world)
        await steps(world, gateway, watch, 1)
        assert sold(world) == 0
        world.exchange.is_slow = False
        for order_id in world.broker.cancelled[:]:
            world.exchange.cancel(order_id, 11)
        await gateway.pump()
        await steps(world, gateway, watch, 4)
        assert (world.exchange.held["AAPL"], watch.least, sold(world)) == (0, 0, Decimal(40))
        assert not _open(world)

    run(work)


@both
def test_a_halt_flattens_although_the_broker_confirms_no_cancel(
    world: World, reading: Literal["shares", "proportion"]
) -> None:
    async def work() -> None:
        world.exchange.reduces = reading
        gateway, _ = await holding(world)
        world.exchange.is_slow = True
        await signed_away(world, gateway)
        world.store.halt("C11 daily loss", as_of=world.hand.at)
        await steps(world, gateway, Watch(world), 9)
        assert world.exchange.held["AAPL"] == 0
        assert sold(world) == 40

    run(work)


@both
def test_shares_that_only_a_protection_covers_are_divided_into_protections(
    world: World, reading: Literal["shares", "proportion"]
) -> None:
    async def work() -> None:
        world.exchange.reduces = reading
        world.exchange.held["AAPL"] = 30
        gateway = await world.started()
        watch = Watch(world)
        await steps(world, gateway, watch, 3)
        await signed_away(world, gateway)
        await steps(world, gateway, watch, 12)
        assert (world.exchange.held["AAPL"], watch.least) == (18, 0)
        assert [(o.request.kind, o.left) for o in _open(world)] == [("stop", 18)]
        assert watch.naked_s == 0

    run(work)


@both
def test_an_entry_that_filled_in_part_leaves_without_its_oversized_stop(
    world: World, reading: Literal["shares", "proportion"]
) -> None:
    async def work() -> None:
        world.exchange.reduces = reading
        gateway = await world.started()
        world.exchange.fills = False
        intent = world.signed()
        assert await gateway.dispatch() == 1, world.why(intent)
        (entry,) = world.exchange.entries(intent.id)
        world.exchange.fill(entry, 15, Decimal(100))
        await gateway.pump()
        world.exchange.fills = True
        world.exchange.quotes["AAPL"] = world.exchange.quotes["MSFT"].__class__(
            "AAPL", world.hand.at, Decimal("101.99"), Decimal("102.01"), last=Decimal(102)
        )
        world.store.halt("C12 drawdown", as_of=world.hand.at)
        watch = Watch(world)
        for _ in range(6):
            world.hand.move(1)
            world.exchange.requote()
            await world.settle(gateway)
            watch.look()
        assert (world.exchange.held["AAPL"], watch.least, sold(world)) == (0, 0, Decimal(15))
        assert not _open(world)

    run(work)


def test_a_group_counts_what_its_stop_has_left_and_what_came_in_through_its_entry() -> None:
    entry = leg(1, "entry", 100, side="buy", filled=Decimal(30), oca_group="")
    stop = leg(2, "stop", 100, parent_key=entry.key, oca_group="g")
    gone = leg(3, "exit", 10, state="filled", filled=Decimal(10), oca_group="g")
    (found,) = groups_of(known(entry, stop, gone), "AAPL", "sell")
    assert (found.size, found.behind, found.is_busy) == (90, 30, False)
    busy = leg(4, "exit", 20, oca_group="g")
    (found,) = groups_of(known(entry, stop, busy), "AAPL", "sell")
    assert found.is_busy
    assert shares_of(known(entry, stop, busy), "AAPL", "sell", 20) == (Share(20, ""),)


def test_a_group_of_exactly_the_size_is_taken_first() -> None:
    book = known(leg(1, "stop", 30), leg(2, "stop", 12))
    assert shares_of(book, "AAPL", "sell", 12) == (Share(12, "D1:k2", 12),)
    uneven = shares_of(book, "AAPL", "sell", 35)
    assert [share.is_even for share in uneven] == [True, False]
    assert Share(5, "").is_even


def test_a_divided_group_keeps_its_prices_and_waits_for_no_entry() -> None:
    stop = leg(7, "stop", 40, stop_price=Decimal(98), parent_key="k7-entry")
    target = leg(7, "target", 40, kind="limit", limit_price=Decimal(105), parent_key="k7-entry")
    legs = regrouped(stop, target, AAPL, (12, 28), 50)
    assert [(each.role, each.request.quantity, each.request.order_id) for each in legs] == [
        ("stop", 12, 50),
        ("stop", 28, 51),
        ("target", 12, 52),
        ("target", 28, 53),
    ]
    requests = [each.request for each in legs]
    assert [request.oca_group for request in requests] == ["D1:k7-r50", "D1:k7-r51"] * 2
    assert all(request.transmit and not request.parent_id and request.tif == "gtc" for request in requests)
    assert {each.parent_key for each in legs} == {"k7-entry"}
    assert len({request.key for request in requests}) == 4
    assert len(regrouped(stop, None, AAPL, (40,), 50)) == 1


def _open(world: World) -> list[Resting]:
    return [order for order in world.exchange.orders if order.is_open]
