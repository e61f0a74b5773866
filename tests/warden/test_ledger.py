"""The ledger as the watchdog reads and writes it: what a day position is, what was signed, and one sale at a time."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from tests.gateway.world import run
from tests.warden.desk import WATCHDOG, Desk
from trading_assets.core.calendar import XNYS
from warden.ledger import ON_THE_WAY
from warden.seen import LedgerSeen
from warden.steps import Sale

SALE = Sale("AAPL", 1, "sell", 40, "")


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def look(desk: Desk) -> LedgerSeen:
    return desk.watchdog.means.ledger.look(XNYS.today(desk.world.hand.at))


def test_shares_are_for_the_day_alone_when_the_entry_that_filled_says_so(desk: Desk) -> None:
    async def work() -> None:
        gateway = await desk.world.started()
        desk.world.signed(flat_by_close=True)
        assert look(desk).day_symbols == frozenset()
        await gateway.dispatch()
        await desk.world.settle(gateway)
        assert look(desk).day_symbols == {"AAPL"}

    run(work)


def test_a_day_plan_that_filled_nothing_does_not_make_shares_of_another_day_a_day_position(desk: Desk) -> None:
    async def work() -> None:
        await desk.holding()
        desk.world.propose(flat_by_close=True, slot="10:30")
        assert look(desk).positions["AAPL"] == 40
        assert look(desk).day_symbols == frozenset()

    run(work)


@pytest.mark.control("W8")
def test_an_entry_is_measured_against_the_price_that_was_decided_on_and_not_against_its_limit(desk: Desk) -> None:
    async def work() -> None:
        await desk.holding()
        (trade,) = look(desk).trades
        assert (trade.ordered, trade.price) == (Decimal(100), Decimal("100.01"))

    run(work)


def test_a_sale_waits_for_one_that_the_gateway_has_recorded_and_the_broker_not_told_of(desk: Desk) -> None:
    async def work() -> None:
        gateway = await desk.holding()
        now = desk.world.hand.at
        desk.world.exchange.fills = False
        assert await gateway.reducer.take_off("AAPL", "flatten", 40, "a cause", "once")
        (leg,) = [each for each in look(desk).orders if not each.opens and each.key.endswith("flatten")]
        ledger = desk.watchdog.means.ledger
        seen = frozenset({leg.ref})
        assert ledger.write_ahead(SALE, 1, WATCHDOG, "a cause", visible=frozenset(), as_of=now) == ""
        assert ledger.write_ahead(replace(SALE, symbol="MSFT"), 2, WATCHDOG, "", visible=frozenset(), as_of=now)
        assert ledger.write_ahead(replace(SALE, side="buy"), 3, WATCHDOG, "", visible=frozenset(), as_of=now)
        assert ledger.write_ahead(SALE, 4, WATCHDOG, "a cause", visible=seen, as_of=now)
        later = now + ON_THE_WAY + timedelta(seconds=1)
        assert ledger.write_ahead(SALE, 5, WATCHDOG, "a cause", visible=frozenset(), as_of=later)

    run(work)


def test_what_is_recorded_of_the_gateways_sale_counts_in_its_own_picture_too(desk: Desk) -> None:
    """The other way round: a sale of the watchdog keeps the gateway from a second one."""

    async def work() -> None:
        gateway = await desk.holding()
        desk.world.exchange.fills = False
        now = desk.world.hand.at
        assert desk.watchdog.means.ledger.write_ahead(SALE, 1, WATCHDOG, "", visible=frozenset(), as_of=now)
        await gateway.look()
        assert not await gateway.reducer.take_off("AAPL", "flatten", 40, "a cause", "once")

    run(work)


@pytest.mark.control("W4")
def test_with_both_hands_at_work_on_shares_without_a_stop_they_are_sold_once(desk: Desk) -> None:
    async def work() -> None:
        gateway = await desk.holding()
        for order in [*desk.world.exchange.of("stop"), *desk.world.exchange.of("target")]:
            desk.world.exchange.cancel(order.request.order_id, 11)
        desk.world.exchange.cash -= Decimal(5_000)
        await desk.watch(15, gateway=gateway)
        assert desk.world.exchange.held == {"AAPL": 0}
        assert len(desk.world.exchange.of("flatten")) == 1

    run(work)


def test_a_halt_is_one_row_however_its_words_change(desk: Desk) -> None:
    async def work() -> None:
        gateway = await desk.holding()
        for _ in range(5):
            desk.world.exchange.cash -= Decimal(5_000)
            await desk.watch(2, gateway=gateway)
        assert len([cause for cause in desk.world.halts() if cause.startswith("W4")]) <= 2

    run(work)


def test_causes_that_an_operator_answered_are_told(desk: Desk) -> None:
    desk.world.release()
    assert look(desk).answered == ("C1 first start",)
    assert look(desk).halts == {}
    desk.world.store.halt("another", as_of=desk.world.hand.at)
    assert list(look(desk).halts.values()) == ["another"]


def test_a_protective_stop_is_in_a_group_that_a_sale_can_join(desk: Desk) -> None:
    desk.world.release()
    ledger, now = desk.watchdog.means.ledger, desk.world.hand.at
    ref = ledger.protect_ahead("AAPL", 1, 40, Decimal(95), 7, WATCHDOG, "naked", as_of=now)
    (stop,) = look(desk).orders
    assert (stop.ref, stop.oca_group, stop.order_id, stop.client_id) == (ref, ref, 7, WATCHDOG)
    assert ledger.newest_order_id(WATCHDOG) == 7


def test_signs_say_whether_a_gateway_is_connected_and_has_looked(desk: Desk) -> None:
    async def work() -> None:
        gateway = await desk.holding()
        await desk.watch(3, gateway=gateway)
        signs = desk.watchdog.means.ledger.signs(as_of=desk.world.hand.at)
        assert signs["gateway"].acts
        assert not signs["feed"].acts
        desk.world.broker.drop()
        desk.world.broker.refuses_connections = True
        await desk.watch(3, gateway=gateway)
        assert not desk.watchdog.means.ledger.signs(as_of=desk.world.hand.at)["gateway"].acts

    run(work)
