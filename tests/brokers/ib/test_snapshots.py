"""A snapshot is the whole account at one moment, or it is not one."""

import asyncio
from decimal import Decimal

import pytest

from tests.brokers.ib.hands import REF, Desk, bracket, desk_of, market, order, with_desk
from tests.tws.client import until
from tests.tws.faults import LateAnswer, LinkLost, Rewritten, Withhold
from tests.tws.gateway import ACCOUNT, Connection, Message, Tap
from trading_assets.broker.model import Disconnected, Executed, Noticed, Reported
from trading_assets.broker.ports import BrokerDown, SnapshotIncomplete

POSITIONS, ALL_OPEN, COMPLETED, EXECUTIONS, VALUES = 61, 16, 99, 7, 76
FAST = {"messages_per_second_max": 45, "messages_reserved_for_cancels": 1}
ENDS = {"positions": 62, "open orders": 53, "completed orders": 102, "executions": 55, "account values": 74}


def test_a_snapshot_holds_everything_that_the_broker_knows() -> None:
    async def work(desk: Desk) -> None:
        desk.broker.place(bracket(limit="100.50"))
        await desk.hears(1, "filled")
        hand = gateway.place_by_hand("MSFT", "BUY", 5, "98.00")
        snapshot = await desk.broker.snapshot()
        assert snapshot.accounts == (ACCOUNT,)
        (held,) = snapshot.positions
        assert (held.account, held.symbol, held.quantity) == (ACCOUNT, "AAPL", Decimal(10))
        assert held.average_cost == Decimal("100.02")
        assert {(r.order_id, r.ref, r.status, r.parent_id) for r in snapshot.open_orders} == {
            (2, REF, "working", 1),
            (3, REF, "working", 1),
            (0, "", "working", 0),
        }
        assert next(r for r in snapshot.open_orders if not r.is_ours).perm_id == hand.perm_id
        (done,) = snapshot.completed_orders
        assert (done.order_id, done.client_id, done.ref, done.status) == (0, 0, REF, "filled")
        (execution,) = snapshot.executions
        assert execution.perm_id == done.perm_id
        assert [fee.exec_id for fee in snapshot.commissions] == [execution.exec_id]
        assert snapshot.values.cash == gateway.truth().cash
        assert snapshot.values.initial_margin is not None
        assert snapshot.values.intraday_excess_liquidity is None

    with market() as gateway:
        with_desk(gateway, work)


def test_a_position_that_was_closed_is_not_held() -> None:
    async def work(desk: Desk) -> None:
        desk.broker.place([order(1), order(2, "sell")])
        await desk.hears(2, "filled")
        snapshot = await desk.broker.snapshot()
        assert snapshot.positions == ()
        assert len(snapshot.executions) == 2

    with market() as gateway:
        with_desk(gateway, work)


@pytest.mark.fault(37)
@pytest.mark.parametrize(("part", "end"), ENDS.items())
def test_a_part_that_is_not_answered_to_its_end_is_named_and_makes_no_snapshot(part: str, end: int) -> None:
    async def work(desk: Desk) -> None:
        gateway.hold("AAPL", 10, "100.00")
        gateway.with_faults(Withhold(end))
        with pytest.raises(SnapshotIncomplete, match=f"the {part} were not answered"):
            await desk.broker.snapshot()
        gateway.without_faults()
        assert len((await desk.broker.snapshot()).positions) == 1
        assert len((await desk.broker.snapshot()).positions) == 1

    with market() as gateway:
        with_desk(gateway, work, timeout_seconds=0.5, **FAST)


@pytest.mark.fault(37)
@pytest.mark.parametrize("part", ["positions", "open orders", "completed orders"])
def test_half_of_a_late_list_never_passes_for_a_whole_one(part: str) -> None:
    async def work(desk: Desk) -> None:
        gateway.hold("AAPL", 10, "100.00")
        gateway.hold("MSFT", 10, "100.00")
        desk.broker.place([order(1, limit="99.00"), order(2), order(3, limit="98.00"), order(4)])
        await desk.hears(4, "filled")
        whole = await desk.broker.snapshot()
        late = LateAnswer(ENDS[part])
        gateway.with_faults(late)
        with pytest.raises(SnapshotIncomplete):
            await desk.broker.snapshot()
        gateway.without_faults()
        late.release(gateway)
        again = await desk.broker.snapshot()
        assert (len(again.positions), len(again.open_orders), len(again.completed_orders)) == (2, 2, 2)
        assert {report.perm_id for report in again.reports} == {report.perm_id for report in whole.reports}

    with market() as gateway:
        with_desk(gateway, work, timeout_seconds=0.5, **FAST)


@pytest.mark.fault(37)
def test_a_part_that_is_refused_is_no_empty_part() -> None:
    async def work(desk: Desk) -> None:
        gateway.handlers[EXECUTIONS] = lambda connection, fields: connection.error(_second(fields), 321, "read-only")
        with pytest.raises(SnapshotIncomplete, match=r"the executions were refused.*321: read-only"):
            await desk.broker.snapshot()

    def _second(fields: object) -> str:
        fields.skip(1)  # type: ignore[attr-defined]
        return fields.text()  # type: ignore[attr-defined, no-any-return]

    with market() as gateway:
        with_desk(gateway, work)


@pytest.mark.fault(37)
@pytest.mark.parametrize(("kind", "place", "text"), [(61, 14, "many"), (11, 18, "LEND"), (101, 12, "HOLD")])
def test_a_row_that_cannot_be_read_makes_no_snapshot(kind: int, place: int, text: str) -> None:
    async def work(desk: Desk) -> None:
        desk.broker.place([order(1)])
        await desk.hears(1, "filled")
        gateway.with_faults(Rewritten(kind, place, text))
        with pytest.raises(SnapshotIncomplete, match="could not be read"):
            await desk.broker.snapshot()
        assert [notice.reaction for notice in desk.told(Noticed)[-1:]] == ["protocol"]

    with market() as gateway:
        with_desk(gateway, work)


def test_snapshots_asked_at_the_same_time_are_one() -> None:
    async def work(desk: Desk) -> None:
        first, second = await asyncio.gather(desk.broker.snapshot(), desk.broker.snapshot())
        assert first is second
        assert all(len(gateway.asked(kind)) == 1 for kind in (POSITIONS, ALL_OPEN, COMPLETED, EXECUTIONS, VALUES))
        assert await desk.broker.snapshot() is not first

    with market() as gateway:
        with_desk(gateway, work)


def test_who_stops_waiting_does_not_take_the_snapshot_from_the_others() -> None:
    async def work(desk: Desk) -> None:
        impatient = asyncio.ensure_future(desk.broker.snapshot())
        await asyncio.sleep(0)
        patient = asyncio.ensure_future(desk.broker.snapshot())
        await asyncio.sleep(0)
        impatient.cancel()
        assert (await patient).accounts == (ACCOUNT,)

    with market() as gateway:
        with_desk(gateway, work)


@pytest.mark.fault(32)
def test_a_connection_that_breaks_while_a_snapshot_is_taken_is_a_failure() -> None:
    async def work(desk: Desk) -> None:
        gateway.with_faults(Withhold(*ENDS.values()))
        taking = asyncio.ensure_future(desk.broker.snapshot())
        await until(lambda: gateway.asked(VALUES))
        gateway.drop()
        with pytest.raises(BrokerDown):
            await taking

    with market() as gateway:
        with_desk(gateway, work)


class FillsWhileAsked(Tap):
    """An order fills between the answer about positions and that about executions."""

    def __init__(self, times: int) -> None:
        self.times = times

    def heard(self, connection: Connection, fields: list[str]) -> bool:
        """Fills one share."""
        if fields[0] == str(EXECUTIONS) and self.times:
            self.times -= 1
            book = connection.gateway.book  # type: ignore[attr-defined]
            book.trade(book.working[0], Decimal(1), Decimal("99.00"))
        return True


@pytest.mark.parametrize("times", [1, 2])
def test_a_fill_while_the_questions_are_out_makes_the_account_be_asked_again(times: int) -> None:
    async def work(desk: Desk) -> None:
        desk.broker.place([order(1, limit="99.00")])
        await desk.hears(1, "working")
        gateway.with_faults(FillsWhileAsked(times))
        snapshot = await desk.broker.snapshot()
        assert sum(execution.quantity for execution in snapshot.executions) == times
        assert sum(held.quantity for held in snapshot.positions) == times
        assert snapshot.open_orders[0].filled == times
        assert len(gateway.asked(POSITIONS)) >= 2

    with market() as gateway:
        with_desk(gateway, work)


def test_an_account_that_never_stands_still_makes_no_snapshot() -> None:
    async def work(desk: Desk) -> None:
        desk.broker.place([order(1, limit="99.00", quantity=500)])
        await desk.hears(1, "working")
        gateway.with_faults(FillsWhileAsked(400))
        with pytest.raises(SnapshotIncomplete, match="did not stand still"):
            await desk.broker.snapshot()
        assert len(gateway.asked(POSITIONS)) == 3

    with market() as gateway:
        with_desk(gateway, work)


@pytest.mark.fault(33)
@pytest.mark.fault(60)
def test_a_fill_while_away_is_found_by_the_next_snapshot_though_no_event_tells_of_it() -> None:
    async def work(desk: Desk) -> None:
        desk.broker.place([order(1, limit="99.00")])
        await desk.hears(1, "working")
        gateway.drop()
        await until(lambda: desk.told(Disconnected) and 11 not in gateway.clients)
        fill = gateway.fill(gateway.book.working[0], 10, "99.00")
        await desk.broker.connect()
        snapshot = await desk.broker.snapshot()
        assert [execution.exec_id for execution in snapshot.executions] == [fill.exec_id]
        assert [execution.ref for execution in snapshot.executions] == [REF]
        assert [(r.ref, r.status, r.filled) for r in snapshot.completed_orders] == [(REF, "filled", Decimal(10))]
        assert len(snapshot.commissions) == 1
        assert desk.told(Executed) == []

    with market() as gateway:
        with_desk(gateway, work)


@pytest.mark.fault(46)
@pytest.mark.fault(47)
def test_orders_by_hand_of_other_clients_and_twins_are_all_there() -> None:
    async def work(desk: Desk) -> None:
        other = desk_of(gateway, client_id=12)
        await other.broker.connect()
        other.broker.place([order(1, limit="97.00", ref="D1:other")])
        await other.hears(1, "working")
        desk.broker.place([order(1, limit="99.00")])
        await desk.hears(1, "working")
        twin = gateway.twin_of(gateway.truth().of(REF)[0])
        gateway.place_by_hand("AAPL", "SELL", 3, "130.00")
        snapshot = await desk.broker.snapshot()
        assert sorted((r.client_id, r.order_id, r.ref) for r in snapshot.open_orders) == [
            (0, 0, ""),
            (11, 1, REF),
            (11, 1, REF),
            (12, 1, "D1:other"),
        ]
        assert twin.perm_id in {report.perm_id for report in snapshot.open_orders}
        assert len({report.perm_id for report in snapshot.open_orders}) == 4
        await other.broker.close()

    with market() as gateway:
        with_desk(gateway, work)


@pytest.mark.fault(34)
@pytest.mark.fault(35)
@pytest.mark.parametrize("data_kept", [True, False])
def test_while_the_link_behind_the_program_is_lost_nothing_counts_as_a_snapshot(data_kept: bool) -> None:
    async def work(desk: Desk) -> None:
        desk.broker.place([order(1, limit="99.00")])
        await desk.hears(1, "working")
        link = LinkLost(gateway)
        link.begin()
        assert (await desk.hears_code(1100)).reaction == "link_lost"
        with pytest.raises(SnapshotIncomplete, match="link to Interactive Brokers is lost"):
            await desk.broker.snapshot()
        fill = gateway.fill(gateway.book.working[0], 10, "99.00")
        link.end(data_kept=data_kept)
        await desk.hears_code(1102 if data_kept else 1101)
        assert [execution.exec_id for execution in (await desk.broker.snapshot()).executions] == [fill.exec_id]

    with market() as gateway:
        with_desk(gateway, work)


def test_a_link_that_is_lost_while_a_snapshot_is_taken_makes_none() -> None:
    async def work(desk: Desk) -> None:
        gateway.with_faults(LinkFalls())
        with pytest.raises(SnapshotIncomplete, match="link to Interactive Brokers is lost"):
            await desk.broker.snapshot()

    with market() as gateway:
        with_desk(gateway, work)


class LinkFalls(Tap):
    """1100 in the middle of the answers."""

    def told(self, connection: Connection, message: Message) -> tuple[Message, ...]:  # noqa: ARG002
        """Before the end of the executions."""
        return ((4, 2, -1, 1100, "Connectivity lost.", ""), message) if message[0] == ENDS["executions"] else (message,)


def test_a_snapshot_waits_for_orders_that_are_still_queued() -> None:
    async def work(desk: Desk) -> None:
        desk.broker.place([order(number, limit="99.00") for number in range(1, 15)])
        assert len((await desk.broker.snapshot()).open_orders) == 14

    with market() as gateway:
        with_desk(gateway, work, messages_per_second_max=25, messages_reserved_for_cancels=10)


def test_what_a_snapshot_hears_again_is_not_told_as_news() -> None:
    async def work(desk: Desk) -> None:
        desk.broker.place(bracket())
        await desk.hears(3, "working")
        await desk.broker.snapshot()
        told = len(desk.told(Reported))
        await desk.broker.snapshot()
        assert len(desk.told(Reported)) == told

    with market() as gateway:
        with_desk(gateway, work)


@pytest.mark.fault(73)
def test_the_currency_of_the_account_is_told() -> None:
    async def work(desk: Desk) -> None:
        gateway.account.currency = "EUR"
        assert (await desk.broker.snapshot()).values.currency == "EUR"

    with market() as gateway:
        with_desk(gateway, work)
