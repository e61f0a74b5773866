"""The watchdog at work: beside a gateway that lives, one that stands still, a ledger that is locked and a market that is closed."""

import sqlite3
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest

from resources.ledger.store import SqlLedger
from tests.gateway.parts import BOOK
from tests.gateway.world import run
from tests.warden.desk import GATEWAY, WATCHDOG, Desk
from trading_assets.broker.model import OrderRequest
from trading_assets.core.errors import DeskError


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_beside_a_desk_that_is_well_it_does_nothing(desk: Desk) -> None:
    async def work() -> None:
        gateway = await desk.holding()
        rulings = await desk.watch(20, gateway=gateway)
        assert {ruling.state for ruling in rulings} == {"ACTIVE"}, rulings[-1].reason
        assert desk.broker.placed == []
        assert desk.world.halts() == []
        assert desk.pages() == []

    run(work)


@pytest.mark.control("W4")
@pytest.mark.control("W3")
def test_with_the_gateway_stopped_it_halts_and_sells_and_then_cancels_the_stops(desk: Desk) -> None:
    async def work() -> None:
        await desk.holding()
        rulings = await desk.watch(40)
        states = [ruling.state for ruling in rulings]
        assert states.index("REDUCING") == pytest.approx(10, abs=2)
        assert states.index("HALTED") == pytest.approx(30, abs=2)
        assert [order.client_id for order in desk.world.exchange.of("flatten")] == [WATCHDOG]
        assert desk.world.exchange.held == {"AAPL": 0}
        assert [order for order in desk.world.exchange.orders if order.is_open] == []
        assert any("feed gave its last sign of life" in cause for cause in desk.world.halts())
        assert ("critical", "W3 feed") in desk.pages()

    run(work)


@pytest.mark.control("W4")
@pytest.mark.control("C11")
def test_a_loss_beyond_the_limit_is_halted_in_one_look_and_sold_after_a_moment_for_the_gateway(desk: Desk) -> None:
    async def work() -> None:
        await desk.holding()
        await desk.watch(1)
        desk.world.exchange.cash -= Decimal(5_000)
        (ruling,) = await desk.watch(1)
        assert ruling.state == "HALTED"
        assert len(desk.world.halts()) == 1
        assert desk.broker.placed == []
        await desk.watch(3)
        assert desk.world.exchange.held == {"AAPL": 0}
        assert len(desk.world.halts()) == 1

    run(work)


@pytest.mark.control("W4")
def test_without_a_gateway_that_acts_it_is_sold_in_the_look_that_halts(desk: Desk) -> None:
    async def work() -> None:
        await desk.holding()
        await desk.watch(8)
        desk.world.exchange.cash -= Decimal(5_000)
        await desk.watch(1)
        assert desk.world.exchange.held == {"AAPL": 0}

    run(work)


def test_what_it_sells_is_recorded_before_and_booked_after(desk: Desk) -> None:
    async def work() -> None:
        await desk.holding()
        desk.world.exchange.cash -= Decimal(5_000)
        await desk.watch(5)
        known = desk.world.store.known()
        assert known.position("AAPL") == 0
        (sold,) = [intent for intent in known.intents if not intent.opens]
        assert (sold.state, sold.filled) == ("FILLED", Decimal(40))
        assert desk.world.exchange.of("flatten")[0].request.ref == sold.ref

    run(work)


def test_the_sale_goes_into_the_group_of_the_stop_so_that_nothing_is_sold_twice(desk: Desk) -> None:
    async def work() -> None:
        await desk.holding()
        group = next(order.request.oca_group for order in desk.world.exchange.of("stop"))
        desk.world.exchange.cash -= Decimal(5_000)
        desk.world.exchange.fills = False
        await desk.watch(5)
        assert desk.broker.placed[0].oca_group == group
        desk.world.exchange.fills = True
        desk.world.exchange.quote("AAPL", "80.00", "80.02")
        await desk.watch(3)
        assert desk.world.exchange.held == {"AAPL": 0}

    run(work)


@pytest.mark.control("W4")
def test_entries_are_cancelled_in_the_gateways_place_when_the_gateway_does_not(desk: Desk) -> None:
    async def work() -> None:
        gateway = await desk.world.started()
        desk.world.exchange.fills = False
        desk.world.signed()
        await gateway.dispatch()
        (entry,) = desk.world.exchange.of("entry")
        await desk.watch(1)
        desk.world.exchange.cash -= Decimal(5_000)
        await desk.watch(3)
        assert entry.is_open
        assert desk.place.taken == 0
        await desk.watch(2)
        assert desk.place.taken > 0
        assert not entry.is_open

    run(work)


def test_a_place_that_cannot_be_had_is_paged(desk: Desk) -> None:
    async def work() -> None:
        gateway = await desk.world.started()
        desk.world.exchange.fills = False
        desk.world.signed()
        await gateway.dispatch()
        desk.place.free = False
        await desk.watch(1)
        desk.world.exchange.cash -= Decimal(5_000)
        await desk.watch(6)
        assert ("critical", "W4") in desk.pages()

    run(work)


@pytest.mark.control("W4")
def test_with_the_ledger_locked_it_leaves_a_note_and_sells_all_the_same(desk: Desk) -> None:
    async def work() -> None:
        await desk.holding()
        await desk.watch(2)
        with sqlite3.connect(desk.folder / "desk.sqlite", isolation_level=None) as other:
            other.execute("begin exclusive")
            desk.world.exchange.cash -= Decimal(5_000)
            (ruling, *_) = await desk.watch(5)
            assert ruling.state == "HALTED"
            assert desk.world.exchange.held == {"AAPL": 0}
            assert "lost since" in desk.note.causes[0]
            other.execute("rollback")

    run(work)


def test_a_try_that_the_broker_never_told_of_is_cancelled_before_the_next(desk: Desk) -> None:
    async def work() -> None:
        await desk.holding()
        await desk.watch(8)
        desk.broker.loses_orders_after = 0
        desk.world.exchange.cash -= Decimal(5_000)
        await desk.watch(5)
        assert desk.broker.cancelled[:1] == [1]

    run(work)


@pytest.mark.control("W5")
@pytest.mark.fault(70)
def test_a_sale_that_is_refused_is_tried_again_with_growing_pauses_and_paged(desk: Desk) -> None:
    async def work() -> None:
        await desk.holding()
        await desk.watch(1)
        desk.broker.loses_orders_after = 0
        desk.world.exchange.cash -= Decimal(5_000)
        tried = []
        place = desk.broker.place

        def placing(orders: Sequence[OrderRequest]) -> None:
            tried.append(desk.world.hand.at)
            place(orders)

        desk.broker.place = placing  # type: ignore[method-assign]
        await desk.watch(40)
        pauses = [(later - earlier).total_seconds() for earlier, later in pairwise(tried)]
        assert pauses == sorted(pauses)
        assert pauses[0] == 2
        assert desk.world.exchange.held == {"AAPL": 40}
        desk.broker.loses_orders_after = None
        await desk.watch(40)
        assert desk.world.exchange.held == {"AAPL": 0}
        assert ("critical", "W4") in desk.pages()

    run(work)


@pytest.mark.control("W5")
def test_while_the_exchange_is_closed_nothing_is_sold_and_somebody_is_told(desk: Desk) -> None:
    async def work() -> None:
        await desk.holding()
        desk.world.hand.at += timedelta(hours=8)
        desk.world.store.halt("a cause", as_of=desk.world.hand.at)
        await desk.watch(3)
        assert desk.broker.placed == []
        assert ("warning", "W5") in desk.pages()
        desk.world.hand.at += timedelta(hours=16)
        await desk.watch(3)
        assert desk.world.exchange.held == {"AAPL": 0}

    run(work)


@pytest.mark.control("W6")
def test_only_the_operator_lifts_a_halt_and_time_does_not(desk: Desk) -> None:
    async def work() -> None:
        gateway = await desk.holding()
        desk.world.exchange.cash -= Decimal(5_000)
        await desk.watch(2, gateway=gateway)
        desk.world.exchange.cash += Decimal(5_000)
        rulings = await desk.watch(30, gateway=gateway)
        assert {ruling.state for ruling in rulings} == {"HALTED"}
        for halt in desk.world.store.halts():
            with SqlLedger(desk.world.engine, BOOK).session() as ledger:
                ledger.acknowledge(halt.id, "looked at it", as_of=desk.world.hand.at)
        assert (await desk.watch(1, gateway=gateway))[-1].state == "ACTIVE"

    run(work)


@pytest.mark.control("W6")
def test_its_role_in_the_ledger_cannot_answer_a_halt(desk: Desk) -> None:
    from resources.ledger import schema as t
    from resources.ledger.engine import transaction
    from resources.ledger.roles import open_ledger_as

    desk.world.store.halt("a cause", as_of=desk.world.hand.at)
    engine = open_ledger_as(desk.folder / "desk.sqlite", "watchdog")
    row = {"halt_id": 1, "reason": "none", "at": "2024-03-25T14:00:00+00:00"}
    with pytest.raises((DeskError, Exception), match="acknowledgements"), transaction(engine) as connection:
        connection.execute(t.ACKNOWLEDGEMENTS.insert(), row)


@pytest.mark.control("W1")
def test_shares_whose_stop_is_gone_get_one_within_seconds_while_the_gateway_stands_still(desk: Desk) -> None:
    async def work() -> None:
        await desk.holding()
        await desk.watch(1)
        for order in [*desk.world.exchange.of("stop"), *desk.world.exchange.of("target")]:
            desk.world.exchange.cancel(order.request.order_id, GATEWAY)
        await desk.watch(20)
        (stop,) = desk.world.exchange.of("protect")
        assert (stop.client_id, stop.request.kind, stop.request.quantity, stop.request.tif) == (
            WATCHDOG,
            "stop",
            40,
            "gtc",
        )
        assert stop.request.stop_price == Decimal("95.00")
        assert stop.request.oca_group == stop.request.ref
        await desk.watch(8)
        assert len(desk.world.exchange.of("protect")) == 1
        assert desk.world.exchange.held == {"AAPL": 40}

    run(work)


def test_a_broker_that_does_not_answer_reduces_and_nothing_is_taken_for_flat(desk: Desk) -> None:
    async def work() -> None:
        gateway = await desk.holding()
        await desk.watch(1, gateway=gateway)
        desk.broker.snapshot_fails = True
        rulings = await desk.watch(5, gateway=gateway)
        assert {ruling.state for ruling in rulings} == {"REDUCING"}
        assert desk.broker.placed == []

    run(work)


def test_shares_that_are_not_the_desks_are_never_sold(desk: Desk) -> None:
    async def work() -> None:
        await desk.holding(MSFT=7)
        desk.world.exchange.cash -= Decimal(5_000)
        await desk.watch(6)
        assert desk.world.exchange.held == {"AAPL": 0, "MSFT": 7}

    run(work)
