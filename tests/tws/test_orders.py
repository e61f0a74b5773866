"""The Gateway that trades, through the unmodified client: what it answers, to whom, and in which order."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from resources.clock import FixedClock
from tests.tws.book import Instrument, Order
from tests.tws.client import until, with_client
from tests.tws.gateway import running
from tests.tws.market import COMPETING
from tests.tws.placed import read_order
from tests.tws.trading import AAPL, LISTINGS, MSFT, TradingGateway
from tests.tws.wire import Fields

NOON = datetime(2026, 1, 5, 17, 0, tzinfo=UTC)


@pytest.fixture
def gateway() -> Iterator[TradingGateway]:
    """Two quotes, nothing held."""
    with running(TradingGateway(clock=FixedClock(NOON))) as loopback:
        for symbol in ("AAPL", "MSFT"):
            loopback.set_quote(symbol, "100.00", "100.02")
        yield loopback


def stock(symbol: str = "AAPL", **more: Any) -> Any:
    from ib_async import Stock

    return Stock(symbol, "SMART", "USD", **more)


def limit(action: str, quantity: float, price: float, **more: Any) -> Any:
    from ib_async import LimitOrder

    return LimitOrder(action, quantity, price, **{"tif": "GTC", **more})


def stop(action: str, quantity: float, price: float, **more: Any) -> Any:
    from ib_async import StopOrder

    return StopOrder(action, quantity, price, **{"tif": "GTC", **more})


def errors(client: Any) -> list[tuple[int, int]]:
    """From now on, request and code of what the broker says."""
    heard: list[tuple[int, int]] = []
    client.errorEvent += lambda request, code, *_: heard.append((request, code))
    return heard


def messages_of(client: Any) -> list[str]:
    """From now on, the ids of the messages that arrive, in order."""
    heard: list[str] = []
    interpret = client.client.decoder.interpret

    def listening(fields: list[str]) -> None:
        heard.append(fields[0] + (f" {fields[2]}" if fields[0] == "3" else ""))
        interpret(fields)

    client.client.decoder.interpret = listening
    return heard


async def placed(client: Any, order: Any, symbol: str = "AAPL", *, status: str = "Submitted") -> Any:
    trade = client.placeOrder(stock(symbol), order)
    await until(lambda: trade.orderStatus.status == status)
    return trade


def test_every_field_of_an_order_that_the_desk_uses_arrives(gateway: TradingGateway) -> None:
    from ib_async import TagValue

    order = limit(
        "SELL",
        100,
        104.5,
        tif="DAY",
        orderRef="D1:x",
        ocaGroup="g",
        ocaType=2,
        displaySize=30,
        outsideRth=True,
        algoStrategy="Adaptive",
        algoParams=[TagValue("adaptivePriority", "Normal")],
        account="DU0000001",
    )
    with_client(gateway, lambda client: placed(client, order))
    (true,) = gateway.truth().of("D1:x")
    assert (true.action, int(true.quantity), true.kind, str(true.limit)) == ("SELL", 100, "LMT", "104.5")
    assert (true.tif, true.oca_group, true.oca_type, true.display_size) == ("DAY", "g", 2, 30)
    assert (true.outside_rth, true.algo, true.algo_params) == (True, "Adaptive", (("adaptivePriority", "Normal"),))
    assert (true.account, true.client_id, true.transmit, true.parent_id) == ("DU0000001", 5, True, 0)


def test_a_stop_arrives_with_its_price_and_its_parent(gateway: TradingGateway) -> None:
    async def work(client: Any) -> None:
        entry = limit("BUY", 10, 90, orderId=21, transmit=False)
        client.placeOrder(stock(), entry)
        await placed(client, stop("SELL", 10, 85.25, orderId=22, parentId=21), status="PreSubmitted")

    with_client(gateway, work)
    entry, child = gateway.truth().orders
    assert (entry.status, child.kind, str(child.aux), child.parent_id) == ("Submitted", "STP", "85.25", 21)


@pytest.mark.parametrize("field", ["conditions", "hedgeType"])
def test_an_order_of_a_kind_that_is_not_modelled_is_an_error_and_no_order(gateway: TradingGateway, field: str) -> None:
    from ib_async import PriceCondition

    async def work(client: Any) -> list[tuple[int, int]]:
        heard = errors(client)
        hedge: dict[str, Any] = {"hedgeType": "D", "hedgeParam": "1"}
        more = hedge if field == "hedgeType" else {"conditions": [PriceCondition()]}
        client.placeOrder(stock(), limit("BUY", 1, 90, **more))
        await until(lambda: heard)
        return heard

    assert with_client(gateway, work)[0][1] == 320
    assert gateway.truth().orders == ()


def test_a_message_that_is_too_long_is_refused() -> None:
    with pytest.raises(StopIteration):
        read_order(Fields(["1"]), 5)
    with pytest.raises(ValueError, match="2 fields too many"):
        Fields(["1", "2"]).end()


@pytest.mark.parametrize(
    ("order", "code"),
    [
        ({"price": 90.005}, 110),
        ({"quantity": 0}, 434),
        ({"quantity": -5}, 434),
        ({"quantity": 1.5}, 10243),
        ({"symbol": "NOPE"}, 200),
        ({"symbol": "TWIN"}, 200),
        ({"account": "DU9999999"}, 321),
        ({"parentId": 777}, 135),
    ],
)
def test_what_cannot_be_an_order_is_refused_with_its_code(
    gateway: TradingGateway, order: dict[str, Any], code: int
) -> None:
    async def work(client: Any) -> list[int]:
        heard = errors(client)
        asked = {"symbol": "AAPL", "quantity": 10, "price": 90.0, **order}
        more = {name: asked[name] for name in ("account", "parentId") if name in asked}
        client.placeOrder(stock(asked["symbol"]), limit("BUY", asked["quantity"], asked["price"], **more))
        await until(lambda: heard)
        return [code for _, code in heard]

    assert with_client(gateway, work) == [code]
    assert gateway.truth().orders == ()


def test_a_filled_order_is_told_in_the_order_of_the_recording(gateway: TradingGateway) -> None:
    from ib_async import MarketOrder

    async def work(client: Any) -> list[str]:
        heard = messages_of(client)
        trade = client.placeOrder(stock(), MarketOrder("BUY", 10, tif="DAY"))
        await until(lambda: trade.fills and trade.fills[0].commissionReport.execId)
        return heard

    assert with_client(gateway, work) == ["5", "3 PreSubmitted", "11", "5", "3 Filled", "5", "59", "61"]


def test_a_changed_order_keeps_its_id_and_a_filled_one_cannot_be_changed(gateway: TradingGateway) -> None:
    async def work(client: Any) -> list[tuple[int, int]]:
        heard = errors(client)
        trade = await placed(client, limit("BUY", 10, 90))
        trade.order.lmtPrice = 101.0
        client.placeOrder(trade.contract, trade.order)
        await until(lambda: trade.orderStatus.status == "Filled")
        client.client.placeOrder(trade.order.orderId, trade.contract, trade.order)
        await until(lambda: heard)
        return heard

    assert [code for _, code in with_client(gateway, work)] == [104]
    assert len(gateway.truth().orders) == 1


def test_an_order_id_below_the_next_one_is_a_duplicate(gateway: TradingGateway) -> None:
    async def work(client: Any) -> list[tuple[int, int]]:
        heard = errors(client)
        await placed(client, limit("BUY", 10, 90, orderId=40))
        client.client.placeOrder(39, stock(), limit("BUY", 10, 90))
        await until(lambda: heard)
        return heard

    assert with_client(gateway, work) == [(39, 103)]


@pytest.mark.parametrize(("target", "code"), [("unknown", 10147), ("done", 10148)])
def test_a_cancel_of_what_is_not_there_or_done_is_refused(gateway: TradingGateway, target: str, code: int) -> None:
    async def work(client: Any) -> list[tuple[int, int]]:
        trade = await placed(client, limit("BUY", 10, 101), status="Filled")
        heard = errors(client)
        client.client.cancelOrder(trade.order.orderId if target == "done" else 999)
        await until(lambda: heard)
        return heard

    assert [code for _, code in with_client(gateway, work)] == [code]


def test_a_client_sees_its_own_orders_and_everybodys_when_it_asks(gateway: TradingGateway) -> None:
    gateway.place_by_hand("AAPL", "BUY", 3, "90")

    async def work(client: Any) -> tuple[list[int], list[int]]:
        await placed(client, limit("BUY", 10, 90))
        own = [trade.order.clientId for trade in await client.reqOpenOrdersAsync()]
        everybodys = [trade.order.clientId for trade in await client.reqAllOpenOrdersAsync()]
        return own, everybodys

    assert with_client(gateway, work) == ([5], [0, 5])


def test_a_completed_order_names_its_reference_and_no_client(gateway: TradingGateway) -> None:
    async def work(client: Any) -> list[Any]:
        await placed(client, limit("BUY", 10, 101, orderRef="D1:done"), status="Filled")
        return list(await client.reqCompletedOrdersAsync(apiOnly=False))

    (trade,) = with_client(gateway, work)
    assert (trade.order.orderRef, trade.order.orderId, trade.order.clientId) == ("D1:done", 0, 0)
    assert (trade.orderStatus.status, trade.order.filledQuantity) == ("Filled", 10)


def test_executions_are_those_of_the_day_and_of_the_client() -> None:
    clock = FixedClock(NOON)
    with running(TradingGateway(clock=clock)) as gateway:
        gateway.set_quote("AAPL", "100.00", "100.02")

        async def work(client: Any) -> list[int]:
            await placed(client, limit("BUY", 10, 101), status="Filled")
            counts = [len(await client.reqExecutionsAsync())]
            gateway.place_by_hand("AAPL", "BUY", 3)
            counts.append(len(await client.reqExecutionsAsync()))
            gateway.orders.master = 5
            counts.append(len(await client.reqExecutionsAsync()))
            gateway.book.clock = FixedClock(NOON + timedelta(days=1))
            return [*counts, len(await client.reqExecutionsAsync())]

        assert with_client(gateway, work) == [1, 1, 2, 0]


def test_a_position_follows_its_fills_until_it_is_none(gateway: TradingGateway) -> None:
    async def work(client: Any) -> tuple[list[float], list[Any]]:
        held: list[float] = []
        await client.reqPositionsAsync()
        client.positionEvent += lambda position: held.append(position.position)
        await placed(client, limit("BUY", 10, 101), status="Filled")
        await placed(client, limit("SELL", 10, 99), status="Filled")
        await until(lambda: len(held) == 2)
        return held, client.positions()

    assert with_client(gateway, work) == ([10, 0], [])


def test_the_start_of_an_ordinary_client_learns_the_whole_account(gateway: TradingGateway) -> None:
    gateway.hold("AAPL", 50, "90")

    async def work(client: Any) -> tuple[Any, Any, Any]:
        (item,) = client.portfolio()
        values = {value.tag: value.value for value in client.accountValues()}
        return client.positions()[0].position, (item.position, item.marketPrice, item.unrealizedPNL), values

    held, item, values = with_client(gateway, work, everything=True)
    assert (held, item) == (50, (50, 100.01, 500.5))
    assert (values["TotalCashValue"], values["NetLiquidation"]) == ("1000000", "1005000.5")


def test_a_summary_holds_what_was_asked_for_and_lacks_what_the_broker_does_not_know(gateway: TradingGateway) -> None:
    gateway.account.extra = {"ExcessLiquidity": None, "Cushion": "1"}

    async def work(client: Any) -> list[str]:
        return sorted(value.tag for value in await client.accountSummaryAsync())

    tags = with_client(gateway, work)
    assert "NetLiquidation" in tags
    assert "Cushion" in tags
    assert "ExcessLiquidity" not in tags


def test_the_clock_of_the_broker_is_the_one_it_was_given_and_may_be_wrong(gateway: TradingGateway) -> None:
    async def work(client: Any) -> list[datetime]:
        right = await client.reqCurrentTimeAsync()
        gateway.account.skew_seconds = -2
        return [right, await client.reqCurrentTimeAsync()]

    assert with_client(gateway, work) == [NOON, NOON - timedelta(seconds=2)]


def test_contracts_are_one_several_or_none(gateway: TradingGateway) -> None:
    async def work(client: Any) -> list[list[int]]:
        return [
            [details.contract.conId for details in await client.reqContractDetailsAsync(stock(symbol))]
            for symbol in ("AAPL", "TWIN", "NOPE")
        ]

    assert with_client(gateway, work) == [[265598], [4001001, 4001002], []]


def test_a_contract_is_found_by_its_number_alone(gateway: TradingGateway) -> None:
    from ib_async import Contract

    async def work(client: Any) -> Any:
        (details,) = await client.reqContractDetailsAsync(Contract(conId=265598))
        return details

    details = with_client(gateway, work)
    assert (details.contract.symbol, details.contract.primaryExchange, details.minTick) == ("AAPL", "NASDAQ", 0.01)
    assert details.longName == "APPLE INC"


def test_quotes_are_told_with_their_kind_and_missing_sides_are_minus_one(gateway: TradingGateway) -> None:
    async def work(client: Any) -> list[Any]:
        ticker = client.reqMktData(stock(conId=AAPL.con_id))
        await until(lambda: ticker.last == 100.01)
        seen = [(ticker.bid, ticker.ask, ticker.last, ticker.marketDataType)]
        gateway.set_quote("AAPL", None, "99.50")
        gateway.halt("AAPL")
        await until(lambda: ticker.halted == 1)
        seen.append((ticker.bid, ticker.ask, ticker.last, ticker.marketDataType))
        return seen

    assert with_client(gateway, work) == [(100.0, 100.02, 100.01, 1), (-1, 99.5, 99.5, 1)]


def test_delayed_data_are_told_as_delayed(gateway: TradingGateway) -> None:
    async def work(client: Any) -> tuple[int, float]:
        ticker = client.reqMktData(stock(conId=AAPL.con_id))
        await until(lambda: ticker.bid == 100.0)
        gateway.do(lambda: gateway.market.change_kind(3))
        gateway.set_quote("AAPL", "101.00", "101.02")
        await until(lambda: ticker.ask == 101.02)
        return ticker.marketDataType, ticker.ask

    assert with_client(gateway, work) == (3, 101.02)


def test_a_competing_login_takes_the_data_away_and_later_requests_are_refused(gateway: TradingGateway) -> None:
    async def work(client: Any) -> list[int]:
        heard = errors(client)
        client.reqMktData(stock(conId=AAPL.con_id))
        await until(lambda: gateway.market.watched() == ["AAPL"])
        gateway.market.refusals["MSFT"] = COMPETING
        gateway.do(lambda: gateway.market.end_all(*COMPETING))
        client.reqMktData(stock("MSFT", conId=MSFT.con_id))
        await until(lambda: len(heard) == 2)
        gateway.set_price("AAPL", "50")
        return [code for _, code in heard]

    assert with_client(gateway, work) == [10197, 10197]
    assert gateway.market.watched() == []


def test_data_that_stop_without_a_word_just_stop(gateway: TradingGateway) -> None:
    async def work(client: Any) -> float:
        ticker = client.reqMktData(stock(conId=AAPL.con_id))
        await until(lambda: ticker.bid == 100.0)
        gateway.market.silent = True
        gateway.set_price("AAPL", "50")
        gateway.market.silent = False
        gateway.set_price("MSFT", "50")
        await client.reqCurrentTimeAsync()
        client.cancelMktData(ticker.contract)
        return float(ticker.bid)

    assert with_client(gateway, work) == 100.0


def test_what_an_order_would_do_is_told_and_nothing_is_placed(gateway: TradingGateway) -> None:
    async def work(client: Any) -> Any:
        return await client.whatIfOrderAsync(stock(), limit("BUY", 100, 100))

    state = with_client(gateway, work)
    assert (state.initMarginAfter, state.equityWithLoanAfter, state.commission) == ("2500", "1000000", 1.0)
    assert gateway.truth().orders == ()


def test_the_first_answer_to_a_what_if_may_hold_nothing(gateway: TradingGateway) -> None:
    gateway.orders.unset_margins = 1

    async def work(client: Any) -> tuple[list[str], Any]:
        heard = messages_of(client)
        state = await client.whatIfOrderAsync(stock(), limit("BUY", 100, 100))
        return heard, state.initMarginChange

    assert with_client(gateway, work) == (["5", "5"], "2500")


def test_an_account_of_several_names_and_another_one_after_a_restart(gateway: TradingGateway) -> None:
    async def accounts(client: Any) -> list[str]:
        await asyncio.sleep(0)
        return list(client.managedAccounts())

    gateway.accounts = ("DU0000001", "DU0000002")
    assert with_client(gateway, accounts) == ["DU0000001", "DU0000002"]
    gateway.accounts = ("U7654321",)
    gateway.restart()
    assert with_client(gateway, accounts) == ["U7654321"]


def test_order_ids_go_on_after_a_restart_or_begin_anew(gateway: TradingGateway) -> None:
    async def next_id(client: Any) -> int:
        await placed(client, limit("BUY", 1, 90))
        client.client.reqIds(1)
        return int(client.client.getReqId())

    first = with_client(gateway, next_id)
    gateway.restart()
    assert with_client(gateway, next_id) > first
    gateway.restart(next_ids={5: 1})
    assert gateway.next_ids[5] == 1


def test_everything_is_cancelled_protective_stops_too(gateway: TradingGateway) -> None:
    async def work(client: Any) -> None:
        await placed(client, limit("BUY", 10, 90))
        await placed(client, stop("SELL", 10, 85), status="PreSubmitted")
        client.reqGlobalCancel()
        await until(lambda: not gateway.book.working)

    with_client(gateway, work)
    assert {order.status for order in gateway.truth().orders} == {"Cancelled"}


def test_two_orders_behind_one_reference_have_two_permanent_ids(gateway: TradingGateway) -> None:
    async def work(client: Any) -> list[int]:
        trade = await placed(client, limit("BUY", 10, 90, orderRef="D1:two"))
        gateway.twin_of(gateway.book.by_ref("D1:two")[0])
        return [open_.order.permId for open_ in await client.reqAllOpenOrdersAsync() if trade]

    with_client(gateway, work)
    assert len({order.perm_id for order in gateway.truth().of("D1:two")}) == 2


def test_what_is_placed_before_a_price_is_known_waits_for_one() -> None:
    listings = {**LISTINGS, "NEWCO": (Instrument("NEWCO", 5001),)}
    with running(TradingGateway(clock=FixedClock(NOON), listings=listings)) as gateway:

        async def work(client: Any) -> None:
            trade = client.placeOrder(stock("NEWCO"), limit("BUY", 10, 5))
            await until(lambda: trade.orderStatus.status == "Submitted")
            gateway.set_quote("NEWCO", "4.98", "5.00")
            await until(lambda: trade.orderStatus.status == "Filled")

        with_client(gateway, work)
        assert gateway.truth().positions == {"NEWCO": 10}


def test_the_truth_is_a_copy(gateway: TradingGateway) -> None:
    gateway.place_by_hand("AAPL", "BUY", 3, "90")
    before = gateway.truth()
    gateway.set_quote("AAPL", "89.98", "90.00")
    assert before.orders[0].filled == 0
    assert replace(before.orders[0]).instrument == AAPL
    assert isinstance(gateway.truth().orders[0], Order)
    assert gateway.truth().cash == Decimal(1_000_000) - 270 - 1
