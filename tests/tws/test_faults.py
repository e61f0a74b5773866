"""Each scripted fault does what it says, to an unmodified client, and leaves everything else alone."""

import asyncio
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from resources.clock import FixedClock
from tests.tws import faults, messages
from tests.tws.client import until, with_client
from tests.tws.faults import (
    CutAfter,
    CutBefore,
    Duplicate,
    HalfOpen,
    Late,
    LateAnswer,
    LateCancel,
    LinkLost,
    PacingLimit,
    RefuseCancel,
    Reordered,
    ResetAfter,
    Rewritten,
    Vanish,
    Withhold,
    refuse,
    warn,
)
from tests.tws.gateway import Tap, running
from tests.tws.orders import CANCEL, PLACE, REFUSALS
from tests.tws.test_orders import errors, limit, messages_of, placed, stock, stop
from tests.tws.trading import AAPL, TradingGateway

NOON = datetime(2026, 1, 5, 17, 0, tzinfo=UTC)


@pytest.fixture
def gateway() -> Iterator[TradingGateway]:
    """One quote, nothing held."""
    with running(TradingGateway(clock=FixedClock(NOON))) as loopback:
        loopback.set_quote("AAPL", "100.00", "100.02")
        yield loopback


async def is_cut(client: Any) -> bool:
    await until(lambda: not client.isConnected())
    return True


def test_a_tap_lets_everything_through(gateway: TradingGateway) -> None:
    gateway.with_faults(Tap(), Tap())
    with_client(gateway, lambda client: placed(client, limit("BUY", 10, 90)))
    assert [order.status for order in gateway.truth().orders] == ["Submitted"]


def test_a_connection_that_is_cut_before_an_order_leaves_none(gateway: TradingGateway) -> None:
    async def work(client: Any) -> bool:
        gateway.with_faults(CutBefore(PLACE))
        client.placeOrder(stock(), limit("BUY", 10, 90))
        return await is_cut(client)

    assert with_client(gateway, work)
    assert gateway.truth().orders == ()


@pytest.mark.parametrize("answered", [False, True])
def test_a_connection_that_is_cut_after_an_order_leaves_it_with_or_without_an_answer(
    gateway: TradingGateway, answered: bool
) -> None:
    async def work(client: Any) -> str:
        heard = messages_of(client)
        gateway.with_faults(CutAfter(PLACE, answered=answered))
        client.placeOrder(stock(), limit("BUY", 10, 90))
        await is_cut(client)
        return " ".join(heard)

    heard = with_client(gateway, work)
    assert ("3 Submitted" in heard) == answered
    assert bool(heard) == answered
    assert [order.status for order in gateway.truth().orders] == ["Submitted"]


def test_a_cut_between_parent_and_stop_leaves_a_parent_that_is_not_transmitted(gateway: TradingGateway) -> None:
    async def work(client: Any) -> bool:
        gateway.with_faults(CutBefore(PLACE, number=2))
        client.placeOrder(stock(), limit("BUY", 10, 101, orderId=21, transmit=False))
        client.placeOrder(stock(), stop("SELL", 10, 95, orderId=22, parentId=21))
        return await is_cut(client)

    assert with_client(gateway, work)
    (parent,) = gateway.truth().orders
    assert (parent.order_id, parent.transmit, parent.status) == (21, False, "PendingSubmit")


def test_bytes_that_do_not_arrive_are_no_order(gateway: TradingGateway) -> None:
    async def work(client: Any) -> bool:
        gateway.with_faults(ResetAfter(heard=500))
        for number in range(5):
            client.placeOrder(stock(), limit("BUY", 10, 90, orderRef=f"D1:{number}"))
        return await is_cut(client)

    assert with_client(gateway, work)
    refs = [order.ref for order in gateway.truth().orders]
    assert refs == [f"D1:{number}" for number in range(len(refs))]
    assert 0 < len(refs) < 5


def test_an_answer_may_break_off_in_the_middle(gateway: TradingGateway) -> None:
    async def work(client: Any) -> list[str]:
        heard = messages_of(client)
        gateway.with_faults(ResetAfter(told=100))
        client.placeOrder(stock(), limit("BUY", 10, 90))
        await is_cut(client)
        return heard

    assert with_client(gateway, work) == []
    assert len(gateway.truth().orders) == 1


def test_a_half_open_connection_is_there_and_answers_nothing(gateway: TradingGateway) -> None:
    async def work(client: Any) -> bool:
        gateway.with_faults(HalfOpen())
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.reqCurrentTimeAsync(), 0.1)
        return bool(client.isConnected())

    assert with_client(gateway, work)


@pytest.mark.parametrize(
    ("end", "ask"),
    [
        (messages.POSITION_END, "reqPositionsAsync"),
        (messages.OPEN_ORDER_END, "reqAllOpenOrdersAsync"),
        (messages.EXECUTION_END, "reqExecutionsAsync"),
    ],
)
def test_a_list_may_have_no_end(gateway: TradingGateway, end: int, ask: str) -> None:
    async def work(client: Any) -> int:
        gateway.with_faults(Withhold(end, times=1))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(getattr(client, ask)(), 0.1)
        return len(await asyncio.wait_for(getattr(client, ask)(), 5))

    assert with_client(gateway, work) == 0


def test_callbacks_may_come_twice(gateway: TradingGateway) -> None:
    async def work(client: Any) -> list[str]:
        gateway.with_faults(Duplicate())
        heard = messages_of(client)
        await placed(client, limit("BUY", 10, 101), status="Filled")
        await until(lambda: heard.count("59") == 2)
        return heard

    heard = with_client(gateway, work)
    assert (heard.count("11"), heard.count("3 Filled")) == (2, 2)
    assert len(gateway.truth().fills) == 1


def test_callbacks_may_come_late(gateway: TradingGateway) -> None:
    async def work(client: Any) -> list[str]:
        late = LateAnswer(messages.EXECUTION, messages.COMMISSION)
        gateway.with_faults(late)
        heard = messages_of(client)
        await placed(client, limit("BUY", 10, 101), status="Filled")
        seen = ["11" in heard]
        late.release(gateway)
        await until(lambda: "59" in heard)
        return [*map(str, seen), *heard[-2:]]

    assert with_client(gateway, work) == ["False", "11", "59"]


def test_an_execution_may_come_before_the_order_is_acknowledged(gateway: TradingGateway) -> None:
    async def work(client: Any) -> list[str]:
        gateway.with_faults(Reordered((4, 0, 1, 2, 3)))
        heard = messages_of(client)
        client.placeOrder(stock(), limit("BUY", 10, 101))
        await until(lambda: "59" in heard)
        return heard[:5]

    assert with_client(gateway, work) == ["11", "5", "3 PreSubmitted", "5", "3 Submitted"]


def test_a_request_may_vanish_and_the_next_one_arrives(gateway: TradingGateway) -> None:
    async def work(client: Any) -> None:
        gateway.with_faults(Vanish(PLACE, skip=1))
        await placed(client, limit("BUY", 10, 90, orderRef="D1:a"))
        client.placeOrder(stock(), limit("BUY", 10, 90, orderRef="D1:b"))
        await placed(client, limit("BUY", 10, 90, orderRef="D1:c"))

    with_client(gateway, work)
    assert [order.ref for order in gateway.truth().orders] == ["D1:a", "D1:c"]


def test_a_request_may_arrive_when_its_connection_has_long_gone(gateway: TradingGateway) -> None:
    late = Late(PLACE)

    async def work(client: Any) -> None:
        gateway.with_faults(late)
        client.placeOrder(stock(), limit("BUY", 10, 101, orderRef="D1:zombie"))
        await until(lambda: late.waiting)

    with_client(gateway, work)
    assert gateway.truth().orders == ()
    late.release(gateway)
    (zombie,) = gateway.truth().orders
    assert (zombie.ref, zombie.status) == ("D1:zombie", "Filled")


@pytest.mark.parametrize("code", sorted(REFUSALS))
def test_an_order_may_be_refused_with_any_code(gateway: TradingGateway, code: int) -> None:
    async def work(client: Any) -> tuple[list[tuple[int, int]], list[str]]:
        heard, told = errors(client), messages_of(client)
        gateway.judge(refuse(code))
        trade = client.placeOrder(stock(), limit("BUY", 10, 101))
        await until(lambda: heard and (code != 201 or "3 Inactive" in told))
        await placed(client, limit("BUY", 10, 90))
        return heard[:1], [str(trade.order.orderId), *told]

    heard, told = with_client(gateway, work)
    assert heard == [(int(told[0]), code)]
    assert ("3 Inactive" in told) == (code == 201)
    assert gateway.truth().fills == ()
    assert [order.status for order in gateway.truth().orders if not order.ended] == ["Submitted"]


def test_a_refused_entry_takes_its_exits_along(gateway: TradingGateway) -> None:
    async def work(client: Any) -> None:
        gateway.judge(refuse(201))
        heard = errors(client)
        client.placeOrder(stock(), limit("BUY", 10, 101, orderId=21, transmit=False))
        client.placeOrder(stock(), stop("SELL", 10, 95, orderId=22, parentId=21))
        await until(lambda: {201, 202} <= {code for _, code in heard})

    with_client(gateway, work)
    assert [order.status for order in gateway.truth().orders] == ["Inactive", "Cancelled"]


def test_a_verdict_waits_for_the_order_that_it_fits(gateway: TradingGateway) -> None:
    async def work(client: Any) -> None:
        gateway.judge(refuse(201, fits=lambda order: order.kind == "STP"))
        heard = errors(client)
        client.placeOrder(stock(), limit("BUY", 10, 101, orderId=21, transmit=False))
        client.placeOrder(stock(), stop("SELL", 10, 95, orderId=22, parentId=21))
        await until(lambda: heard)

    with_client(gateway, work)
    entry, protection = gateway.truth().orders
    assert (entry.status, protection.status) == ("Filled", "Inactive")


@pytest.mark.parametrize("code", [399, 404, 2109, 10318, 10349])
def test_something_may_be_said_about_an_order_that_lives(gateway: TradingGateway, code: int) -> None:
    """What the client makes of it is another matter: some of these it takes for the end."""

    async def work(client: Any) -> tuple[str, list[int]]:
        heard = errors(client)
        gateway.judge(warn(code))
        trade = client.placeOrder(stock(), limit("BUY", 10, 90))
        await until(lambda: heard and trade.orderStatus.permId)
        return str(trade.orderStatus.status), [one for _, one in heard]

    _, heard = with_client(gateway, work)
    assert heard == [code]
    assert [order.status for order in gateway.truth().orders] == ["Submitted"]


def test_the_client_takes_an_unlisted_code_for_the_end_of_a_live_order(gateway: TradingGateway) -> None:
    """Why nothing may be believed that the client says of a state; see trap T3."""

    async def work(client: Any) -> str:
        trade = await placed(client, limit("BUY", 10, 90))
        connection = gateway.clients[5]
        gateway.do(lambda: connection.error(trade.order.orderId, 10318, "This order doesn't support modification."))
        await until(trade.isDone)
        return str(trade.orderStatus.status)

    assert with_client(gateway, work) == "Cancelled"
    assert [order.status for order in gateway.truth().orders] == ["Submitted"]


@pytest.mark.parametrize("code", [10147, 10148])
def test_a_cancel_may_be_refused_while_the_order_works(gateway: TradingGateway, code: int) -> None:
    async def work(client: Any) -> list[tuple[int, int]]:
        heard = errors(client)
        trade = await placed(client, limit("BUY", 10, 90, orderId=31))
        gateway.with_faults(RefuseCancel(code))
        client.client.cancelOrder(trade.order.orderId)
        await until(lambda: heard)
        return heard

    assert with_client(gateway, work) == [(31, code)]
    assert [order.status for order in gateway.truth().orders] == ["Submitted"]


def test_a_cancel_may_be_acknowledged_late_and_the_order_may_fill_before(gateway: TradingGateway) -> None:
    async def work(client: Any) -> list[str]:
        late = LateCancel()
        gateway.with_faults(late)
        first = await placed(client, limit("BUY", 10, 90))
        second = await placed(client, limit("BUY", 10, 95))
        for trade in (first, second):
            client.client.cancelOrder(trade.order.orderId)
        await until(lambda: {trade.orderStatus.status for trade in (first, second)} == {"PendingCancel"})
        gateway.set_quote("AAPL", "94.98", "95.00")
        late.release(gateway)
        await until(lambda: first.orderStatus.status == "Cancelled")
        await until(lambda: second.orderStatus.status == "Filled")
        return [str(first.orderStatus.status), str(second.orderStatus.status)]

    assert with_client(gateway, work) == ["Cancelled", "Filled"]


def test_an_execution_may_be_corrected_and_taken_back(gateway: TradingGateway) -> None:
    async def work(client: Any) -> list[tuple[str, float, float]]:
        told: list[tuple[str, float, float]] = []
        client.execDetailsEvent += lambda _, fill: told.append(
            (fill.execution.execId[-2:], fill.execution.shares, fill.execution.price)
        )
        await placed(client, limit("BUY", 10, 101), status="Filled")
        first = gateway.truth().fills[0].exec_id
        second = gateway.correct(first, price="100.00").exec_id
        gateway.correct(second, quantity=0)
        await until(lambda: len(told) == 3)
        return told

    assert with_client(gateway, work) == [("01", 10, 100.02), ("02", 10, 100.0), ("03", 0, 100.0)]
    assert gateway.truth().positions == {}


@pytest.mark.parametrize(
    ("tap", "fees"),
    [(Withhold(messages.COMMISSION), []), (Rewritten(messages.COMMISSION, 3, "-1.0"), [-1.0])],
)
def test_a_fee_may_be_missing_or_not_known(gateway: TradingGateway, tap: Tap, fees: list[float]) -> None:
    async def work(client: Any) -> list[float]:
        told: list[float] = []
        client.commissionReportEvent += lambda *told_: told.append(told_[2].commission)
        gateway.with_faults(tap)
        await placed(client, limit("BUY", 10, 101), status="Filled")
        await client.reqCurrentTimeAsync()
        return told

    assert with_client(gateway, work) == fees
    assert gateway.truth().fills[0].fee == 1


def test_a_liquidation_is_told_to_every_client_with_its_flag(gateway: TradingGateway) -> None:
    gateway.hold("AAPL", 50, "90")

    async def work(client: Any) -> tuple[int, float, int]:
        heard = messages_of(client)
        gateway.liquidate("AAPL")
        await until(lambda: "59" in heard)
        (fill,) = await client.reqExecutionsAsync()
        return fill.execution.liquidation, fill.execution.shares, fill.execution.orderId

    assert with_client(gateway, work) == (1, 50, 0)
    assert gateway.truth().positions == {}


def test_an_overfill_is_possible(gateway: TradingGateway) -> None:
    async def work(client: Any) -> float:
        trade = await placed(client, limit("BUY", 10, 90))
        gateway.fill(gateway.book.working[0], 15, "90")
        await until(lambda: trade.orderStatus.status == "Filled")
        return float(trade.orderStatus.filled)

    assert with_client(gateway, work) == 15


@pytest.mark.parametrize("data_kept", [True, False])
def test_what_fills_while_the_link_is_lost_is_not_told_until_it_is_asked_for(
    gateway: TradingGateway, data_kept: bool
) -> None:
    async def work(client: Any) -> tuple[list[int], list[int], int, list[str]]:
        codes = errors(client)
        client.reqMktData(stock(conId=AAPL.con_id))
        trade = await placed(client, limit("BUY", 10, 95))
        link = LinkLost(gateway)
        link.begin()
        gateway.set_quote("AAPL", "94.98", "95.00")
        late = client.placeOrder(stock(), limit("BUY", 1, 80))
        await until(lambda: codes)
        known = [len(await client.reqExecutionsAsync()), len(await client.reqAllOpenOrdersAsync())]
        link.end(data_kept=data_kept)
        await until(lambda: late.orderStatus.status == "Submitted")
        known.append(len(trade.fills))
        asked = len(await client.reqExecutionsAsync())
        return [code for _, code in codes], known, asked, gateway.market.watched()

    codes, known, asked, watched = with_client(gateway, work)
    assert codes == [1100, 1102 if data_kept else 1101]
    assert (known, asked) == ([0, 1, 0], 1)
    assert watched == (["AAPL"] if data_kept else [])


def test_more_messages_than_the_limit_are_refused_until_a_second_has_passed(gateway: TradingGateway) -> None:
    async def work(client: Any) -> list[int]:
        codes = errors(client)
        pacing = PacingLimit(5)
        gateway.with_faults(pacing)
        for _ in range(8):
            client.client.reqIds(1)
        await until(lambda: pacing.refused == 3)
        pacing.release()
        await client.reqCurrentTimeAsync()
        return [code for _, code in codes]

    assert with_client(gateway, work) == [100, 100, 100]


def test_faults_may_be_combined_and_taken_away(gateway: TradingGateway) -> None:
    async def work(client: Any) -> tuple[int, int]:
        heard = messages_of(client)
        gateway.with_faults(Duplicate(messages.EXECUTION), Withhold(messages.COMMISSION))
        await placed(client, limit("BUY", 10, 101), status="Filled")
        await until(lambda: heard.count("11") == 2)
        gateway.without_faults()
        await placed(client, limit("BUY", 10, 101), status="Filled")
        await until(lambda: heard.count("59") == 1)
        return heard.count("11"), heard.count("59")

    assert with_client(gateway, work) == (3, 1)


def test_the_broker_is_away_for_a_while_and_keeps_its_book(gateway: TradingGateway) -> None:
    with_client(gateway, lambda client: placed(client, limit("BUY", 10, 90)))
    port = gateway.port
    gateway.away()
    with pytest.raises(OSError, match=re.escape(str(port))):
        asyncio.run(_knock(port))
    gateway.back()

    async def open_orders(client: Any) -> list[Any]:
        return list(await client.reqAllOpenOrdersAsync())

    assert gateway.port == port
    assert [int(trade.order.totalQuantity) for trade in with_client(gateway, open_orders)] == [10]


async def _knock(port: int) -> None:
    await asyncio.open_connection("127.0.0.1", port)


def test_a_bracket_trades_over_the_wire_and_its_group_reduces(gateway: TradingGateway) -> None:
    async def work(client: Any) -> None:
        group = {"ocaGroup": "g", "ocaType": 2}
        client.placeOrder(stock(), limit("BUY", 100, 101, orderId=21, transmit=False))
        client.placeOrder(stock(), limit("SELL", 100, 104, orderId=22, parentId=21, transmit=False, **group))
        protection = client.placeOrder(stock(), stop("SELL", 100, 95, orderId=23, parentId=21, **group))
        await until(lambda: len(gateway.book.fills) == 1)
        await placed(client, limit("SELL", 40, 99, orderId=24, **group), status="Filled")
        await until(lambda: protection.orderStatus.remaining == 60)

    with_client(gateway, work)
    assert gateway.truth().positions == {"AAPL": 60}


def test_every_fault_that_is_offered_is_here() -> None:
    offered = {name for name in faults.__all__ if name != "Verdict"}
    assert offered <= set(globals())


def test_burst_of_a_thousand_orders_is_acknowledged_in_full(gateway: TradingGateway) -> None:
    """The Gateway is never what slows a burst down: the client's own limit is taken away here."""

    async def work(client: Any) -> int:
        client.client.MaxRequests = 0
        trades = [client.placeOrder(stock(), limit("BUY", 1, 90, orderRef=f"D1:{n}")) for n in range(1000)]
        await until(lambda: all(trade.orderStatus.status == "Submitted" for trade in trades), seconds=20)
        return len({trade.order.permId for trade in trades})

    assert with_client(gateway, work) == 1000
    refs = [order.ref for order in gateway.truth().orders]
    assert refs == [f"D1:{number}" for number in range(1000)]
    assert gateway.truth().cash == Decimal(1_000_000)
    assert len(gateway.asked(CANCEL)) == 0
