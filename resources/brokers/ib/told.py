"""Interactive Brokers' words in those of the desk: numbers, instants, orders, executions. Pure; nothing of the client library.

What is unset on the wire (an empty field, 1.797e308, NaN) is None, never 0. Prices and quantities keep the digits of the text.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal, InvalidOperation
from types import MappingProxyType
from typing import Any, Final
from zoneinfo import ZoneInfo

from trading_assets.broker.model import (
    AccountValues,
    BrokerStatus,
    Commission,
    Contract,
    Execution,
    HeldPosition,
    MarginImpact,
    OrderReport,
    Side,
)

_HUGE: Final = Decimal("1E+300")
_FEE_UNKNOWN: Final = Decimal(-1)
_QUARTER: Final = timedelta(minutes=15)
_QUARTERS_A_DAY: Final = 96
_DATE_DIGITS: Final = 8
SIDES: Final[Mapping[str, Side]] = MappingProxyType({"BUY": "buy", "BOT": "buy", "SELL": "sell", "SLD": "sell"})
KINDS: Final[Mapping[str, str]] = MappingProxyType({"MKT": "market", "LMT": "limit", "STP": "stop"})
STATUSES: Final[Mapping[str, BrokerStatus]] = MappingProxyType(
    {
        "ApiPending": "pending",
        "PendingSubmit": "pending",
        "PreSubmitted": "working",
        "Submitted": "working",
        "PendingCancel": "pending_cancel",
        "ApiCancelled": "cancelled",
        "Cancelled": "cancelled",
        "Filled": "filled",
    }
)
INACTIVE: Final = "Inactive"
"""Refused, or only waiting: it ends an order where the broker gives a reason, see `OrdersHeard`."""
TAGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "NetLiquidation": "equity",
        "TotalCashValue": "cash",
        "ExcessLiquidity": "excess_liquidity",
        "InitMarginReq": "initial_margin",
        "MaintMarginReq": "maintenance_margin",
        "IntradayExcessLiquidity": "intraday_excess_liquidity",
    }
)


class NotReadable(ValueError):
    """A message whose meaning is not certain."""


def number(said: str | float | Decimal | None) -> Decimal | None:
    """A number as it was written; None when it is unset, not finite or no number."""
    try:
        value = Decimal(str(said))
    except InvalidOperation:
        return None
    return value if value.is_finite() and abs(value) < _HUGE else None


def price(said: str | float | None) -> Decimal | None:
    """A price of a stock; None where there is none: 0, -1 and unset."""
    value = number(said)
    return value if value is not None and value > 0 else None


def amount(said: str | float | None) -> Decimal:
    """A number that must be there."""
    value = number(said)
    if value is None:
        raise NotReadable(f"{said!r} is no number")
    return value


def whole(said: str) -> int:
    """An integer; an empty field is 0."""
    try:
        return int(said or 0)
    except ValueError as broken:
        raise NotReadable(f"{said!r} is no whole number") from broken


def side(said: str) -> Side:
    """The side of an order or an execution."""
    if said not in SIDES:
        raise NotReadable(f"{said!r} is no side")
    return SIDES[said]


def desk_symbol(symbol: str, kind: str = "STK", local: str = "") -> str:
    """The desk writes BRK.B where Interactive Brokers writes BRK B; what is no stock never has the name of one."""
    return symbol.replace(" ", ".") if kind == "STK" else f"{local or symbol} ({kind})"


def broker_symbol(symbol: str) -> str:
    """As Interactive Brokers writes it."""
    return symbol.replace(".", " ").replace("-", " ")


def zone_of(greeting: str, server_time: datetime) -> timezone | None:
    """The zone in which the broker's program writes times that carry no zone, from its own clock when the connection began.

    Args:
        greeting: The second field of the handshake, for example `20250415 19:38:30 British Summer Time`.
        server_time: The same moment in UTC, some seconds later.
    """
    try:
        local = _stamp(" ".join(greeting.split()[:2]), "%Y%m%d %H:%M:%S")
    except ValueError:
        return None
    quarters = round((local - server_time) / _QUARTER)
    return timezone(quarters * _QUARTER) if abs(quarters) < _QUARTERS_A_DAY else None


def instant(said: str, zone: timezone | None) -> datetime:
    """An execution's time in UTC: with the name of a zone, with a dash in UTC, else in the program's zone."""
    try:
        return _instant(said, zone)
    except (ValueError, OverflowError) as broken:
        raise NotReadable(f"the time {said!r} is not certain: {broken}") from broken


def _instant(said: str, zone: timezone | None) -> datetime:
    if said.isdigit() and len(said) > _DATE_DIGITS:
        return datetime.fromtimestamp(int(said), UTC)
    if "-" in said.split(" ", 1)[0]:
        return _stamp(said.split(" ", 1)[0], "%Y%m%d-%H:%M:%S")
    day, clock, *named = said.split(maxsplit=2)
    where = _zone(named[0], zone) if named else zone
    if where is None:
        raise NotReadable("its zone is not known")
    return _stamp(f"{day} {clock}", "%Y%m%d %H:%M:%S").replace(tzinfo=where).astimezone(UTC)


def _stamp(said: str, form: str) -> datetime:
    return datetime.strptime(said, form).replace(tzinfo=UTC)


def _zone(name: str, otherwise: timezone | None) -> timezone | ZoneInfo | None:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return otherwise


def with_digits(order: Any, fields: Sequence[str], first: int) -> None:
    """Puts the digits of quantity and prices back as they were on the wire; the library has made binary fractions of them.

    Args:
        first: Where the quantity stands; the prices follow the kind of order.
    """
    order.totalQuantity, order.lmtPrice, order.auxPrice = fields[first], fields[first + 2], fields[first + 3]


def open_order(order_id: int, contract: Any, order: Any, status: BrokerStatus, filled: Decimal) -> OrderReport:
    """An order from the library's reading of openOrder or completedOrder."""
    return OrderReport(
        perm_id=order.permId,
        order_id=max(order_id, 0),
        client_id=order.clientId if order_id > 0 else 0,
        ref=order.orderRef,
        account=order.account,
        symbol=desk_symbol(contract.symbol, contract.secType, contract.localSymbol),
        con_id=contract.conId,
        side=side(order.action),
        kind=KINDS.get(order.orderType, order.orderType),
        quantity=amount(order.totalQuantity),
        filled=filled,
        status=status,
        limit_price=price(order.lmtPrice),
        stop_price=price(order.auxPrice),
        parent_id=max(order.parentId, 0),
        oca_group=order.ocaGroup,
    )


def completed_order(contract: Any, order: Any, state: Any) -> tuple[OrderReport, bool]:
    """An order that has ended, and whether its status was understood; one that was not counts as pending.

    The broker tells its quantity as 0 once it is filled, and neither order id nor client id.
    """
    status = "rejected" if state.status == INACTIVE else STATUSES.get(state.status)
    filled = max(number(order.filledQuantity) or Decimal(0), Decimal(0))
    order.totalQuantity = max(number(order.totalQuantity) or Decimal(0), filled)
    report = open_order(0, contract, order, status or "pending", filled)
    return replace(report, why=state.completedStatus), status is not None


def execution(fields: Sequence[str], zone: timezone | None) -> tuple[int, Execution]:
    """The request that it answers (-1: nobody asked), and the execution, from the fields of message 11."""
    told = Execution(
        exec_id=fields[14],
        perm_id=whole(fields[21]),
        order_id=max(whole(fields[2]), 0),
        client_id=whole(fields[22]),
        ref=fields[26],
        account=fields[16],
        symbol=desk_symbol(fields[4], fields[5], fields[12]),
        con_id=whole(fields[3]),
        side=side(fields[18]),
        quantity=amount(fields[19]),
        price=amount(fields[20]),
        at=instant(fields[15], zone),
        liquidation=whole(fields[23]) != 0,
    )
    if not told.exec_id:
        raise NotReadable("an execution without an id")
    return int(fields[1]), told


def commission(fields: Sequence[str]) -> Commission:
    """The fee from message 59; unset and -1 are not known yet."""
    value = number(fields[3])
    return Commission(fields[2], None if value == _FEE_UNKNOWN else value, fields[4] or "USD")


def position(fields: Sequence[str]) -> HeldPosition:
    """Shares held, from message 61."""
    return HeldPosition(
        account=fields[2],
        symbol=desk_symbol(fields[4], fields[5], fields[12]),
        con_id=whole(fields[3]),
        quantity=amount(fields[14]),
        average_cost=number(fields[15]) or Decimal(0),
        currency=fields[11],
    )


def account_values(rows: Mapping[str, tuple[str, str]]) -> AccountValues:
    """Totals from the value and currency of each tag; a tag that is not told is None."""
    values = {name: number(rows[tag][0]) for tag, name in TAGS.items() if tag in rows}
    currency = rows.get("NetLiquidation", ("", ""))[1]
    return AccountValues(currency=currency or "USD", **values)


def margin_impact(state: Any) -> MarginImpact:
    """What a what-if answer says; values that the broker leaves unset are None."""
    return MarginImpact(
        initial_margin_after=number(state.initMarginAfter),
        maintenance_margin_after=number(state.maintMarginAfter),
        equity_after=number(state.equityWithLoanAfter),
        commission=number(state.commission),
        warning=state.warningText,
    )


def contract(details: Any, symbol: str) -> Contract:
    """A contract under the symbol that was asked for."""
    found = details.contract
    return Contract(
        symbol=symbol,
        con_id=found.conId,
        primary_exchange=found.primaryExchange,
        currency=found.currency,
        kind=found.secType,
        min_tick=price(details.minTick) or Decimal("0.01"),
    )
