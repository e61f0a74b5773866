"""Orders written and heard over the real wire: what leaves is what was asked for, and what is told is what the broker said."""

import asyncio
from decimal import Decimal

import pytest

from resources.brokers.ib.written import ORDER_ID_BELOW, OrderNotSound
from tests.brokers.ib.hands import AAPL, REF, Desk, bracket, market, order, with_desk
from tests.tws.client import until
from tests.tws.faults import (
    LateCancel,
    PacingLimit,
    RefuseCancel,
    Rewritten,
    Verdict,
    Withhold,
    warn,
)
from tests.tws.gateway import ACCOUNT
from tests.tws.placed import read_order
from tests.tws.trading import TradingGateway
from tests.tws.wire import Fields
from trading_assets.broker.model import Contract, Noticed, OrderRequest, Reported

PLACE, STATUS, EXECUTION, OPEN_ORDER = 3, 3, 11, 5
BROKEN = [
    order(1, quantity=0, limit="99.00"),
    order(1, quantity=-5, limit="99.00"),
    order(1, quantity=10**9, limit="99.00"),
    order(1, quantity=1.5, limit="99.00"),  # type: ignore[arg-type]
    order(1, quantity=float("nan"), limit="99.00"),  # type: ignore[arg-type]
    order(1, limit="NaN"),
    order(1, limit="Infinity"),
    order(1, limit="-1"),
    order(1, limit="0"),
    order(1, kind="limit"),
    order(1, kind="stop"),
    order(1, stop="90.00", limit_price=Decimal("90.00")),
    order(1, limit="99.00", stop_price=Decimal("90.00")),
    order(1, kind="market", limit_price=Decimal("90.00")),
    order(0, limit="99.00"),
    order(ORDER_ID_BELOW, limit="99.00"),
    order(1, algo="adaptive"),
    order(1, limit="99.00", contract=Contract("AAPL", 0)),
]


def written(gateway: TradingGateway, *requests: OrderRequest) -> list[list[str]]:
    """The messages that leave for some orders."""

    async def work(desk: Desk) -> None:
        desk.broker.place(requests)
        await desk.broker.drain()
        await desk.broker.time()

    with_desk(gateway, work)
    return gateway.asked(PLACE)


def test_a_bracket_leaves_in_its_sequence_with_everything_explicit() -> None:
    with market() as gateway:
        entry, target, stop = (read_order(Fields(fields), 11).order for fields in written(gateway, *bracket()))
    assert [o.order_id for o in (entry, target, stop)] == [1, 2, 3]
    assert [o.transmit for o in (entry, target, stop)] == [False, False, True]
    assert [o.parent_id for o in (entry, target, stop)] == [0, 1, 1]
    assert [(o.oca_group, o.oca_type) for o in (entry, target, stop)] == [("", 0), (REF, 2), (REF, 2)]
    assert [(o.action, o.kind, o.tif) for o in (entry, target, stop)] == [
        ("BUY", "LMT", "DAY"),
        ("SELL", "LMT", "GTC"),
        ("SELL", "STP", "GTC"),
    ]
    assert (entry.limit, entry.aux, target.limit) == (Decimal("99.00"), None, Decimal("120.00"))
    assert (stop.limit, stop.aux) == (None, Decimal("90.00"))
    assert {(o.ref, o.account, o.quantity, o.outside_rth) for o in (entry, target, stop)} == {
        (REF, ACCOUNT, Decimal(10), False)
    }


def test_prices_leave_with_their_own_digits() -> None:
    with market() as gateway:
        (fields,) = written(gateway, order(1, limit="100.10"))
    assert "100.10" in fields


def test_a_patient_order_an_iceberg_and_one_outside_hours_say_so() -> None:
    with market() as gateway:
        sent = written(
            gateway,
            order(1, limit="99.00", algo="adaptive"),
            order(2, limit="99.00", display_quantity=5, quantity=100),
            order(3, "sell", stop="90.00", outside_hours=True),
            order(4, "sell"),
        )
        patient, iceberg, outside, at_market = (read_order(Fields(fields), 11).order for fields in sent)
    assert (patient.algo, patient.algo_params) == ("Adaptive", (("adaptivePriority", "Normal"),))
    assert (iceberg.display_size, iceberg.quantity, iceberg.algo) == (5, Decimal(100), "")
    assert (outside.outside_rth, patient.outside_rth) == (True, False)
    assert (at_market.kind, at_market.limit, at_market.aux) == ("MKT", None, None)


def test_a_class_share_is_written_as_the_broker_writes_it() -> None:
    with market() as gateway:
        (fields,) = written(gateway, order(1, limit="99.00", contract=Contract("BRK.B", 72063691)))
    assert fields[1:3] == ["72063691", "BRK B"]


@pytest.mark.fault(72)
@pytest.mark.parametrize(
    "broken", BROKEN, ids=[f"{each.quantity} {each.kind} {number}" for number, each in enumerate(BROKEN)]
)
def test_an_order_without_meaning_is_refused_and_its_whole_batch_with_it(broken: OrderRequest) -> None:
    async def work(desk: Desk) -> None:
        with pytest.raises(OrderNotSound):
            desk.broker.place([order(2, limit="99.00"), broken])
        with pytest.raises(OrderNotSound):
            await desk.broker.what_if(broken)
        await desk.broker.time()

    with market() as gateway:
        with_desk(gateway, work)
        assert gateway.asked(PLACE) == []


def test_orders_leave_before_the_caller_waits_for_anything() -> None:
    async def work(desk: Desk) -> None:
        before = await desk.broker.drain()
        desk.broker.place([order(1, limit="99.00")])
        assert await desk.broker.drain() > before + 100

    with market() as gateway:
        with_desk(gateway, work)
        assert len(gateway.truth().orders) == 1


@pytest.mark.fault(6)
def test_an_order_is_told_with_its_reference_and_its_permanent_number() -> None:
    async def work(desk: Desk) -> None:
        desk.broker.place([order(7, limit="99.00")])
        report = await desk.hears(7, "working")
        assert (report.ref, report.client_id, report.account) == (REF, 11, ACCOUNT)
        assert (report.symbol, report.con_id, report.side, report.kind) == ("AAPL", 265598, "buy", "limit")
        assert (report.quantity, report.filled, report.limit_price) == (Decimal(10), Decimal(0), Decimal(99))
        assert report.perm_id == gateway.truth().orders[0].perm_id

    with market() as gateway:
        with_desk(gateway, work)


def test_a_bracket_whose_stop_was_not_sent_is_held_and_can_be_cancelled() -> None:
    async def work(desk: Desk) -> None:
        desk.broker.place(bracket()[:2])
        snapshot = await desk.broker.snapshot()
        assert [report.status for report in snapshot.open_orders] == ["held", "held"]
        desk.broker.cancel(1)
        await desk.hears(1, "cancelled")

    with market() as gateway:
        with_desk(gateway, work)
        assert [each.ended for each in gateway.truth().orders] == [True, True]


@pytest.mark.fault(49)
@pytest.mark.parametrize("code", [201, 460, 10289, 203, 434])
@pytest.mark.parametrize("reported", [True, False])
def test_a_refused_order_is_rejected_with_the_text_of_the_broker(code: int, reported: bool) -> None:
    async def work(desk: Desk) -> None:
        gateway.judge(Verdict(code, "NOT ACCEPTED", reported=reported))
        desk.broker.place([order(7, limit="99.00")])
        report = await desk.hears(7, "rejected")
        assert (report.ref, report.why, report.remaining) == (REF, f"{code}: NOT ACCEPTED", Decimal(0))
        (notice,) = desk.notices(code)
        assert (notice.order_id, notice.reaction, notice.text) == (7, "order_rejected", "NOT ACCEPTED")

    with market() as gateway:
        with_desk(gateway, work)


@pytest.mark.fault(49)
def test_a_price_off_the_tick_and_an_unknown_contract_are_rejected_by_code() -> None:
    async def work(desk: Desk) -> None:
        desk.broker.place([order(7, limit="99.005"), order(8, limit="9.00", contract=Contract("NOPE", 5))])
        assert "110: " in (await desk.hears(7, "rejected")).why
        assert "200: " in (await desk.hears(8, "rejected")).why
        assert desk.notices(200)[0].reaction == "no_contract"

    with market() as gateway:
        with_desk(gateway, work)


@pytest.mark.fault(40)
def test_a_duplicate_order_id_rejects_nothing_and_makes_the_gateway_look() -> None:
    async def work(desk: Desk) -> None:
        gateway.next_ids[11] = 50
        desk.broker.place([order(7, limit="99.00")])
        notice = await desk.hears_code(103)
        assert (notice.order_id, notice.reaction) == (7, "look_again")
        assert desk.reports(7) == []

    with market() as gateway:
        with_desk(gateway, work)


@pytest.mark.fault(50)
@pytest.mark.parametrize("code", [399, 404, 2109, 10318, 10349])
def test_a_warning_about_a_live_order_leaves_it_working(code: int) -> None:
    async def work(desk: Desk) -> None:
        gateway.judge(warn(code))
        desk.broker.place([order(7, limit="99.00")])
        notice = await desk.hears_code(code)
        assert (notice.order_id, notice.reaction) == (7, "order_lives")
        assert desk.reports(7)[-1].status == "working"
        (report,) = (await desk.broker.snapshot()).open_orders
        assert report.status == "working"

    with market() as gateway:
        with_desk(gateway, work)


@pytest.mark.fault(51)
@pytest.mark.parametrize("code", [321, 103, 10999, 4711])
def test_a_code_that_says_nothing_certain_about_a_live_order_leaves_it_working(code: int) -> None:
    async def work(desk: Desk) -> None:
        gateway.judge(warn(code))
        desk.broker.place([order(7, limit="99.00")])
        notice = await desk.hears_code(code)
        assert (notice.order_id, notice.reaction) == (7, "look_again")
        gateway.set_price("AAPL", "98.00")
        assert (await desk.hears(7, "filled")).filled == Decimal(10)
        assert "cancelled" not in desk.statuses(7)

    with market() as gateway:
        with_desk(gateway, work)


@pytest.mark.fault(51)
def test_even_a_rejecting_code_does_not_end_an_order_that_the_broker_works() -> None:
    async def work(desk: Desk) -> None:
        gateway.judge(warn(201))
        desk.broker.place([order(7, limit="99.00")])
        await desk.hears_code(201)
        await desk.broker.snapshot()
        assert set(desk.statuses(7)) <= {"pending", "working"}

    with market() as gateway:
        with_desk(gateway, work)


@pytest.mark.fault(63)
@pytest.mark.parametrize("code", [10147, 10148])
def test_a_refused_cancel_is_a_reason_to_look_and_no_cancel(code: int) -> None:
    async def work(desk: Desk) -> None:
        gateway.with_faults(RefuseCancel(code))
        desk.broker.place([order(7, limit="99.00")])
        await desk.hears(7, "working")
        desk.broker.cancel(7)
        notice = await desk.hears_code(code)
        assert (notice.order_id, notice.reaction) == (7, "look_again")
        (report,) = (await desk.broker.snapshot()).open_orders
        assert report.status == "working"
        assert "cancelled" not in desk.statuses(7)

    with market() as gateway:
        with_desk(gateway, work)


@pytest.mark.fault(64)
def test_a_cancel_that_is_acknowledged_later_is_pending_until_then() -> None:
    async def work(desk: Desk) -> None:
        late = LateCancel()
        gateway.with_faults(late)
        desk.broker.place([order(7, limit="99.00")])
        await desk.hears(7, "working")
        desk.broker.cancel(7)
        await desk.hears(7, "pending_cancel")
        assert [report.status for report in (await desk.broker.snapshot()).open_orders] == ["pending_cancel"]
        late.release(gateway)
        await desk.hears(7, "cancelled")

    with market() as gateway:
        with_desk(gateway, work)


@pytest.mark.fault(42)
def test_a_burst_keeps_the_rate_and_a_cancel_overtakes_it() -> None:
    async def work(desk: Desk) -> None:
        desk.broker.place([order(1, limit="99.00")])
        await desk.hears(1, "working")
        await asyncio.sleep(1.0)
        limit = PacingLimit(10)
        gateway.with_faults(limit)
        desk.broker.place([order(number, limit="99.00") for number in range(2, 14)])
        desk.broker.cancel(1)
        await desk.hears(1, "cancelled")
        assert 8 in {len(gateway.asked(PLACE)), limit.heard_so_far}
        limit.release()
        await desk.broker.drain()
        await until(lambda: len(gateway.truth().orders) == 13)
        assert limit.refused == 0
        assert [int(fields[0]) for fields in gateway.asked(PLACE)] == list(range(1, 14))

    with market() as gateway:
        with_desk(gateway, work, messages_per_second_max=10, messages_reserved_for_cancels=3)


def test_a_cancel_of_everything_reaches_orders_of_others() -> None:
    async def work(desk: Desk) -> None:
        gateway.place_by_hand("AAPL", "BUY", 5, "98.00")
        desk.broker.place([order(7, limit="99.00")])
        await desk.hears(7, "working")
        desk.broker.cancel_everything()
        await desk.hears(7, "cancelled")

    with market() as gateway:
        with_desk(gateway, work)
        assert [each.status for each in gateway.truth().orders] == ["Cancelled", "Cancelled"]


def test_a_status_in_words_that_nobody_knows_is_told_and_counts_as_pending() -> None:
    async def work(desk: Desk) -> None:
        gateway.with_faults(Rewritten(STATUS, 2, "Resting"))
        desk.broker.place([order(7, limit="99.00")])
        await until(lambda: [notice for notice in desk.told(Noticed) if "Resting" in notice.text])
        notice = next(notice for notice in desk.told(Noticed) if "Resting" in notice.text)
        assert (notice.reaction, notice.order_id) == ("look_again", 7)
        await desk.hears(7, "pending")

    with market() as gateway:
        with_desk(gateway, work)


@pytest.mark.parametrize(
    ("kind", "place", "text"), [(EXECUTION, 19, "many"), (OPEN_ORDER, 13, "HOLD"), (STATUS, 3, "x")]
)
def test_a_message_that_cannot_be_read_is_told_and_the_next_are_read(kind: int, place: int, text: str) -> None:
    async def work(desk: Desk) -> None:
        gateway.with_faults(Rewritten(kind, place, text))
        desk.broker.place([order(7)])
        await until(lambda: [notice for notice in desk.told(Noticed) if notice.reaction == "protocol"])
        assert all(f"message {kind}" in n.text for n in desk.told(Noticed) if n.reaction == "protocol")
        gateway.without_faults()
        assert len((await desk.broker.snapshot()).executions) == 1

    with market() as gateway:
        with_desk(gateway, work)


@pytest.mark.control("C21")
def test_a_what_if_tells_the_margin_and_places_nothing() -> None:
    async def work(desk: Desk) -> None:
        impact = await desk.broker.what_if(order(90, limit="100.00"))
        assert (impact.initial_margin_after, impact.maintenance_margin_after) == (Decimal(250), Decimal(250))
        assert (impact.equity_after, impact.commission) == (Decimal(1_000_000), Decimal(1))
        assert desk.told(Reported) == []

    with market() as gateway:
        with_desk(gateway, work)
        assert gateway.truth().orders == ()


@pytest.mark.control("C21")
def test_a_what_if_without_values_is_unknown_and_not_zero() -> None:
    async def work(desk: Desk) -> None:
        gateway.orders.unset_margins = 1
        impact = await desk.broker.what_if(order(90, limit="100.00"))
        assert (impact.initial_margin_after, impact.maintenance_margin_after, impact.equity_after) == (None, None, None)

    with market() as gateway:
        with_desk(gateway, work)


@pytest.mark.control("C21")
def test_a_refused_what_if_has_no_numbers_and_one_without_an_answer_is_a_failure() -> None:
    async def work(desk: Desk) -> None:
        impact = await desk.broker.what_if(order(90, limit="9.00", contract=Contract("NOPE", 5)))
        assert impact.initial_margin_after is None
        assert impact.warning.startswith("200:")
        gateway.with_faults(Withhold(OPEN_ORDER))
        with pytest.raises(Exception, match="what-if was not answered"):
            await desk.broker.what_if(order(91, limit="100.00"))

    with market() as gateway:
        with_desk(gateway, work, timeout_seconds=0.5)


@pytest.mark.fault(82)
def test_a_symbol_is_one_contract_or_two_or_none() -> None:
    async def work(desk: Desk) -> None:
        (apple,) = await desk.broker.resolve("AAPL")
        assert (apple.con_id, apple.symbol, apple.primary_exchange) == (AAPL.con_id, "AAPL", "NASDAQ")
        assert apple.min_tick == Decimal("0.01")
        assert [one.con_id for one in await desk.broker.resolve("TWIN")] == [4001001, 4001002]
        assert await desk.broker.resolve("NOPE") == ()
        gateway.with_faults(Withhold(52))
        with pytest.raises(Exception, match="the contract of AAPL was not answered"):
            await desk.broker.resolve("AAPL")

    with market() as gateway:
        with_desk(gateway, work, timeout_seconds=0.5)
