"""Interactive Brokers' words become the desk's: unset is None, digits stay, times are UTC, what is unclear is refused."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ib_async.contract import Contract as Wire
from ib_async.decoder import Decoder
from ib_async.order import Order, OrderState

from resources.brokers.ib import told
from resources.brokers.ib.told import NotReadable, instant, number, price, zone_of
from trading_assets.broker.model import OrderReport

UNSET = "1.7976931348623157E308"
EXECUTION = [
    *("11", "-1", "13", "76792991", "TSLA", "STK", "", "0.0", "", "", "ISLAND", "USD", "TSLA", "NMS"),
    *(
        "00025b46.63f8f39c.01.01",
        "20230224  12:04:56",
        "DU1234567",
        "ISLAND",
        "BOT",
        "100",
        "196.52",
        "1376327563",
        "100",
    ),
    *("0", "100", "196.52", "D1:x", "", "", "", "2"),
]
POSITION = [
    *("61", "3", "DU1234567", "76792991", "TSLA", "STK", "", "0.0", "", "", "NASDAQ", "USD", "TSLA", "NMS"),
    *("500", "196.77"),
]
FEE = ["59", "1", "00025b46.63f8f39c.01.01", "1.0", "USD", "0.0", "0.0", ""]
BERLIN = timezone(timedelta(hours=1))


def changed(fields: Sequence[str], place: int, text: str) -> list[str]:
    return [*fields[:place], text, *fields[place + 1 :]]


@pytest.mark.fault(75)
@pytest.mark.parametrize("said", ["", UNSET, "-" + UNSET, "nan", "inf", "-inf", "none", None, 1.7976931348623157e308])
def test_what_is_unset_is_none_and_never_zero(said: str | float | None) -> None:
    assert number(said) is None
    assert price(said) is None


@pytest.mark.fault(75)
@pytest.mark.parametrize("said", ["0", "0.0", "-1", "-1.0", "-0.01"])
def test_a_price_that_is_not_above_zero_is_no_price(said: str) -> None:
    assert price(said) is None


@settings(max_examples=25)
@given(st.decimals(min_value="0.0001", max_value="1000000", places=4))
def test_a_price_keeps_its_digits(value: Decimal) -> None:
    assert str(price(f"{value:f}")) == f"{value:f}"


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("20230224  12:04:56", datetime(2023, 2, 24, 11, 4, 56, tzinfo=UTC)),
        ("20230224 12:04:56", datetime(2023, 2, 24, 11, 4, 56, tzinfo=UTC)),
        ("20250708 02:35:00 America/New_York", datetime(2025, 7, 8, 6, 35, tzinfo=UTC)),
        ("20250108 02:35:00 US/Eastern", datetime(2025, 1, 8, 7, 35, tzinfo=UTC)),
        ("20250708-02:35:00", datetime(2025, 7, 8, 2, 35, tzinfo=UTC)),
        ("20250415 19:38:31 British Summer Time", datetime(2025, 4, 15, 18, 38, 31, tzinfo=UTC)),
        ("1678323335", datetime(2023, 3, 9, 0, 55, 35, tzinfo=UTC)),
    ],
)
def test_a_time_becomes_utc_by_its_own_zone_or_that_of_the_program(said: str, expected: datetime) -> None:
    assert instant(said, BERLIN) == expected


@pytest.mark.parametrize(
    "said", ["", "yesterday", "20250708", "20251308 02:35:00", "20250708 02:35:00", "20250708 02:35:00 Nowhere/Land"]
)
def test_a_time_that_is_not_certain_is_refused(said: str) -> None:
    with pytest.raises(NotReadable):
        instant(said, None)


@pytest.mark.parametrize(
    ("greeting", "server_time", "hours"),
    [
        ("20250415 19:38:30 British Summer Time", datetime(2025, 4, 15, 18, 38, 31, tzinfo=UTC), 1.0),
        ("20250323 22:21:01 Greenwich Mean Time", datetime(2025, 3, 23, 22, 21, 1, tzinfo=UTC), 0.0),
        ("20251121 09:30:00 EST", datetime(2025, 11, 21, 14, 30, 4, tzinfo=UTC), -5.0),
        ("20251121 20:00:00 IST", datetime(2025, 11, 21, 14, 30, 1, tzinfo=UTC), 5.5),
    ],
)
def test_the_zone_of_the_program_follows_from_its_own_clock(greeting: str, server_time: datetime, hours: float) -> None:
    assert zone_of(greeting, server_time) == timezone(timedelta(hours=hours))


@pytest.mark.parametrize("greeting", ["", "soon", "20140703 19:00:00 EST"])
def test_a_clock_that_is_days_off_tells_no_zone(greeting: str) -> None:
    assert zone_of(greeting, datetime(2026, 1, 5, 14, 30, tzinfo=UTC)) is None


def test_a_recorded_execution_is_read() -> None:
    request, execution = told.execution(EXECUTION, timezone(timedelta(hours=-5)))
    assert request == -1
    assert (execution.exec_id, execution.ref, execution.account) == ("00025b46.63f8f39c.01.01", "D1:x", "DU1234567")
    assert (execution.symbol, execution.side, execution.con_id) == ("TSLA", "buy", 76792991)
    assert (execution.quantity, execution.price) == (Decimal(100), Decimal("196.52"))
    assert (execution.perm_id, execution.order_id, execution.client_id) == (1376327563, 13, 100)
    assert execution.at == datetime(2023, 2, 24, 17, 4, 56, tzinfo=UTC)
    assert not execution.liquidation


@pytest.mark.fault(71)
def test_a_liquidation_is_marked() -> None:
    assert told.execution(changed(EXECUTION, 23, "1"), UTC)[1].liquidation


@pytest.mark.fault(57)
def test_a_correction_keeps_its_id_and_its_family() -> None:
    first = told.execution(EXECUTION, UTC)[1]
    second = told.execution(changed(EXECUTION, 14, "00025b46.63f8f39c.01.02"), UTC)[1]
    assert second.exec_id == "00025b46.63f8f39c.01.02"
    assert second.family == first.family


@pytest.mark.parametrize(
    ("place", "text"), [(18, "LEND"), (19, ""), (19, "nan"), (20, UNSET), (14, ""), (15, "noon"), (21, "x")]
)
def test_an_execution_that_is_not_certain_is_refused(place: int, text: str) -> None:
    with pytest.raises(NotReadable):
        told.execution(changed(EXECUTION, place, text), UTC)


@pytest.mark.fault(56)
@pytest.mark.parametrize(
    ("said", "amount"),
    [
        ("1.0", Decimal("1.0")),
        ("0", Decimal(0)),
        ("-0.35", Decimal("-0.35")),
        ("-1", None),
        ("-1.0", None),
        (UNSET, None),
    ],
)
def test_a_fee_that_the_broker_does_not_know_is_none(said: str, amount: Decimal | None) -> None:
    assert told.commission(changed(FEE, 3, said)).amount == amount


def test_a_recorded_position_is_read() -> None:
    held = told.position(POSITION)
    assert (held.account, held.symbol, held.con_id, held.currency) == ("DU1234567", "TSLA", 76792991, "USD")
    assert (held.quantity, held.average_cost) == (Decimal(500), Decimal("196.77"))


def test_an_option_never_has_the_name_of_its_stock() -> None:
    option = changed(changed(POSITION, 5, "OPT"), 12, "TSLA  260116C00200000")
    assert told.position(option).symbol == "TSLA  260116C00200000 (OPT)"


@pytest.mark.parametrize("text", ["", "nan", "many"])
def test_a_position_without_a_quantity_is_refused(text: str) -> None:
    with pytest.raises(NotReadable):
        told.position(changed(POSITION, 14, text))


@pytest.mark.parametrize("desk", ["BRK.B", "AAPL", "BF.B"])
def test_a_class_of_shares_is_written_in_either_way(desk: str) -> None:
    assert told.desk_symbol(told.broker_symbol(desk)) == desk
    assert "." not in told.broker_symbol(desk)


def test_account_values_that_are_not_told_are_none() -> None:
    values = told.account_values({"NetLiquidation": ("1000.50", "EUR"), "TotalCashValue": (UNSET, "EUR")})
    assert (values.equity, values.cash, values.initial_margin) == (Decimal("1000.50"), None, None)
    assert values.intraday_excess_liquidity is None
    assert values.currency == "EUR"


def test_margins_that_the_broker_leaves_unset_are_none() -> None:
    impact = told.margin_impact(OrderState(initMarginAfter=UNSET, maintMarginAfter="", equityWithLoanAfter="100.25"))
    assert (impact.initial_margin_after, impact.maintenance_margin_after) == (None, None)
    assert impact.equity_after == Decimal("100.25")


def recorded(folder: Path, kind: str) -> list[list[str]]:
    lines = (folder / "ib_wire" / "rust_ibapi_recorded_messages.txt").read_text().splitlines()
    return [line.split("|")[:-1] for line in lines if line.startswith(f"{kind}|")]


class Completed:
    """Takes completed orders from the library's decoder."""

    def __init__(self) -> None:
        self.fields: list[str] = []
        self.reports: list[OrderReport] = []

    def completedOrder(self, contract: Wire, order: Order, state: OrderState) -> None:  # noqa: N802 - the library's name
        told.with_digits(order, self.fields, 13)
        report, understood = told.completed_order(contract, order, state)
        assert understood
        self.reports.append(report)


def test_recorded_completed_orders_are_read_with_what_they_filled(shared_data: Path) -> None:
    listener = Completed()
    for fields, version in zip(recorded(shared_data, "101"), (165, 176), strict=True):
        listener.fields = fields
        Decoder(listener, version).completedOrder(list(fields))
    apple, future = listener.reports
    assert (apple.status, apple.quantity, apple.filled) == ("filled", Decimal(100), Decimal(100))
    assert (apple.perm_id, apple.order_id, apple.client_id) == (1824933227, 0, 0)
    assert (future.status, future.quantity, future.filled) == ("cancelled", Decimal(1), Decimal(0))
    assert (future.limit_price, future.stop_price) == (Decimal("5800.0"), None)


def test_recorded_executions_positions_and_fees_are_read(shared_data: Path) -> None:
    executions = [told.execution(fields, UTC)[1] for fields in recorded(shared_data, "11")]
    assert {execution.at.date().year for execution in executions} == {2023, 2025}
    assert all(execution.price > 0 and execution.quantity > 0 for execution in executions)
    assert [told.position(fields).symbol for fields in recorded(shared_data, "61")] == ["TSLA"]
    assert all(told.commission(fields).amount for fields in recorded(shared_data, "59"))


@pytest.mark.parametrize(
    ("status", "expected", "understood"),
    [
        ("Filled", "filled", True),
        ("Cancelled", "cancelled", True),
        ("ApiCancelled", "cancelled", True),
        ("Inactive", "rejected", True),
        ("Paused", "pending", False),
    ],
)
def test_a_completed_order_whose_status_is_not_known_counts_as_pending(
    status: str, expected: str, understood: bool
) -> None:
    order = Order(action="BUY", totalQuantity=10, filledQuantity=0.0, permId=7, orderRef="D1:x")
    report, was_understood = told.completed_order(
        Wire(symbol="AAPL", secType="STK"), order, OrderState(status=status, completedStatus="Because")
    )
    assert (report.status, was_understood, report.why) == (expected, understood, "Because")
