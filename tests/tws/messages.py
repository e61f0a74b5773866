"""The layouts of what the broker sends at server version 176, field by field."""

from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from tests.tws.book import Fill, Instrument, Market, Order
from tests.tws.gateway import Message

UNSET: Final = "1.7976931348623157E308"
UNSET_INT: Final = 2147483647
UNSET_LONG: Final = 9223372036854775807
TICK_PRICE, TICK_SIZE, ORDER_STATUS, ERROR, OPEN_ORDER = 1, 2, 3, 4, 5
ACCOUNT_VALUE, PORTFOLIO, ACCOUNT_TIME, NEXT_ID = 6, 7, 8, 9
CONTRACT, EXECUTION, MANAGED_ACCOUNTS = 10, 11, 15
TICK_GENERIC, TICK_STRING, TIME = 45, 46, 49
CONTRACT_END, OPEN_ORDER_END, ACCOUNT_END, EXECUTION_END = 52, 53, 54, 55
SNAPSHOT_END, DATA_KIND, COMMISSION = 57, 58, 59
POSITION, POSITION_END, SUMMARY, SUMMARY_END = 61, 62, 63, 64
MULTI_VALUE, MULTI_END, COMPLETED_ORDER, COMPLETED_END = 73, 74, 101, 102
ZONE = ZoneInfo("America/New_York")
DELAYED = frozenset({3, 4})


def plain(value: Decimal) -> str:
    """A number as the wire has it: no exponent, no needless zeros."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def contract(one: Instrument, exchange: str) -> Message:
    """The eleven fields of a stock in an answer, without the primary exchange."""
    return (
        *(one.con_id, one.symbol, "STK", "", 0, "?", "", exchange, one.currency),
        *(one.symbol, "NMS" if one.primary == "NASDAQ" else one.symbol),
    )


def order_status(order: Order) -> Message:
    """Message 3."""
    return (
        *(ORDER_STATUS, order.order_id, order.status, plain(order.filled), plain(order.left), plain(order.average)),
        *(order.perm_id, order.parent_id, plain(order.last_price), order.client_id, order.why, 0),
    )


def open_order(order: Order, *, margins: Message | None = None, with_fee: bool = False) -> Message:
    """Message 5, of 136 fields for a stock order without algorithm.

    Args:
        order: Told with 2147483647 as its display size where it shows all.
        margins: The nine values of a what-if, and then the five of a fee.
        with_fee: As the last message of a filled order has it.
    """
    fee = (plain(order.fees), "", "", "USD", "") if with_fee else ("", "", "", "", "")
    return (
        *(OPEN_ORDER, order.order_id, *contract(order.instrument, "SMART"), *_terms(order)),
        *("", 0, order.ref, order.client_id, order.perm_id, order.outside_rth),  # openClose, origin
        *(0, 0, "", f"{order.perm_id}.0/{order.account}/100", "", "", "", ""),  # hidden … faPercentage, faProfile
        *("", "", "", "", "", 0, "", -1, 0, "", "", "", "", ""),  # model … stock range
        *(order.display_size or UNSET_INT, 0, 0, 0, ""),  # display size, block, sweep, all or none, minimum
        *(order.oca_type or 3, 0, 0, "", order.parent_id, 0, "", 0, "None", ""),
        *(0, "", "", "", "?", 0, 0, ""),  # delta neutral: none
        *(0, 0, "", "", "", "", ""),  # continuous update … combo legs
        *(0, 0, 0, UNSET_INT, UNSET_INT, "", ""),  # legs, routing, scale, hedge
        *(0, "", "IB", 0, 0, *_algo(order)),  # opt out, clearing, not held, delta neutral contract
        *(0, order.what_if, order.status, *(margins or ((UNSET,) * 9 + fee))),
        *(0, 0, 0),  # random size, random price, conditions
        *("None", *(UNSET,) * 6, 0, "", "", "", 0, 1, 0, 0, 0),  # adjusted orders … price management
        *("", "", 0, "", "", "", "", ""),  # duration, post to ATS, cancel with parent, size and offsets
    )


def completed_order(order: Order, at: str) -> Message:
    """Message 101: it names neither the order id nor the client."""
    told = f"Filled Size: {plain(order.filled)}" if order.status == "Filled" else "Cancelled by Trader"
    return (
        *(COMPLETED_ORDER, *contract(order.instrument, "SMART"), *_terms(order)),
        *("", 0, order.ref, order.perm_id, order.outside_rth, 0, 0, ""),  # openClose, origin … good after
        *("", "", "", "", "", "", "", "", "", 0, "", -1, "", "", "", "", ""),  # groups, profile, model … stock range
        *(order.display_size or UNSET_INT, 0, 0, "", order.oca_type or 3, 0, "", 0, "None", ""),
        *(0, 0, 0, ""),  # delta neutral: none
        *(0, 0, "", "", "", 0, 0, 0, UNSET_INT, UNSET_INT, "", ""),  # continuous update … hedge
        *("", "IB", 0, 0, *_algo(order)),
        *(0, order.status, 0, 0, 0, UNSET, UNSET, 0, 1, 0, ""),  # solicited … automatic cancel date
        *(plain(order.filled), UNSET_INT, 0, "Not an insider or substantial shareholder", 0, 0, UNSET_LONG),
        *(at, order.why or told, "", "", "", "", ""),
    )


def _terms(order: Order) -> Message:
    return (
        *(order.action, plain(order.quantity), order.kind, _price(order.limit), _price(order.aux)),
        *(order.tif, order.oca_group, order.account),
    )


def _price(price: Decimal | None) -> str:
    return plain(price) if price else "0.0"


def _algo(order: Order) -> Message:
    if not order.algo:
        return ("",)
    return (order.algo, len(order.algo_params), *(field for pair in order.algo_params for field in pair))


def execution(request: int, fill: Fill) -> Message:
    """Message 11."""
    order, one = fill.order, fill.order.instrument
    return (
        *(EXECUTION, request, order.order_id, one.con_id, one.symbol, "STK", "", "0.0", "", "", "ISLAND"),
        *(one.currency, one.symbol, contract(one, "")[-1], fill.exec_id),
        *(f"{fill.at.astimezone(ZONE):%Y%m%d %H:%M:%S} {ZONE.key}", order.account, "ISLAND"),
        *("BOT" if order.action == "BUY" else "SLD", plain(fill.quantity), plain(fill.price), order.perm_id),
        *(order.client_id, int(fill.liquidation), plain(fill.cumulative), plain(fill.average), order.ref),
        *("", "", "", 2),
    )


def commission(fill: Fill) -> Message:
    """Message 59."""
    profit = UNSET if fill.profit is None else plain(fill.profit)
    return (COMMISSION, 1, fill.exec_id, plain(fill.fee), "USD", profit, UNSET, "")


def position(one: Instrument, account: str, quantity: Decimal, cost: Decimal) -> Message:
    """Message 61."""
    fields = contract(one, one.primary)
    return (POSITION, 3, account, *fields[:4], "0.0", "", *fields[6:], plain(quantity), plain(cost))


def portfolio(one: Instrument, account: str, quantity: Decimal, price: Decimal, cost: Decimal) -> Message:
    """Message 7."""
    fields = contract(one, one.primary)
    worth, gain = quantity * price, quantity * (price - cost)
    return (
        *(PORTFOLIO, 8, *fields[:4], "0.0", "", *fields[6:]),
        *(plain(quantity), plain(price), plain(worth), plain(cost), plain(gain), "0.0", account),
    )


def details(request: str, one: Instrument) -> Message:
    """Message 10, at 164 and above."""
    name = contract(one, "")[-1]
    hours = "20260105:0400-20260105:2000;20260106:0400-20260106:2000"
    regular = "20260105:0930-20260105:1600;20260106:0930-20260106:1600"
    return (
        *(CONTRACT, request, one.symbol, "STK", "", 0, "", "SMART", one.currency, one.symbol, name, name, one.con_id),
        *(plain(one.min_tick), "", "ACTIVETIM,ADJUST,ALGO,DAY,GTC,LMT,MKT,OCA,STP,WHATIF", "SMART,NYSE,NASDAQ,ARCA"),
        *(1, 0, one.name or one.symbol, one.primary, "", "Technology", "Computers", "Computers", ZONE.key),
        *(hours, regular, "", "", 0, 1, "", "", "26,26,26,26", "", "COMMON", 1, 1, 100),
    )


def ticks(request: str, market: Market, kind: int) -> list[Message]:
    """Messages 1, 2 and 45 of one quote; -1 where a side is missing. Delayed data have types of their own."""
    bid, ask, last, volume, halted = (66, 67, 68, 74, 90) if kind in DELAYED else (1, 2, 4, 8, 49)
    sides = ((bid, market.bid, market.bid_size), (ask, market.ask, market.ask_size), (last, market.last, None))
    return [
        *((TICK_PRICE, 6, request, tick, _side(price), _size(price, size), 0) for tick, price, size in sides),
        (TICK_SIZE, 6, request, volume, market.volume),
        (TICK_GENERIC, 6, request, halted, "1.0" if market.halted else "0.0"),
    ]


def _side(price: Decimal | None) -> str:
    return "-1.0" if price is None else plain(price)


def _size(price: Decimal | None, size: Decimal | None) -> str:
    return "0" if price is None else plain(size if size is not None else Decimal(100))
