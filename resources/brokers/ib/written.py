"""An order as Interactive Brokers wants it written. Everything that the broker would fill in by a preset is explicit."""

from decimal import Decimal
from typing import Any, Final

from resources.brokers.ib.told import broker_symbol
from trading_assets.broker.model import Contract, OrderRequest
from trading_assets.core.errors import PermanentFailure

ORDER_ID_BELOW: Final = 2_000_000_000
"""Numbers from here on are questions, so that an error about one is never taken for one about an order."""
_REDUCE: Final = 2
_KINDS: Final = {"market": "MKT", "limit": "LMT", "stop": "STP"}
_TIFS: Final = {"day": "DAY", "gtc": "GTC"}
_ACTIONS: Final = {"buy": "BUY", "sell": "SELL"}


class OrderNotSound(PermanentFailure):
    """An order that can have no meaning at the broker; nothing was written."""


def problem(order: OrderRequest) -> str:
    """What keeps an order from being written, in one sentence; empty when nothing does."""
    if not (isinstance(order.quantity, int) and 0 < order.quantity <= 1_000_000):
        return f"the quantity is {order.quantity}"
    if not 0 < order.order_id < ORDER_ID_BELOW:
        return f"the order id is {order.order_id}"
    if not order.contract.con_id > 0:
        return f"{order.contract.symbol} is not resolved to a contract"
    if order.algo and order.kind != "limit":
        return f"the algorithm {order.algo} is for limit orders"
    return _price_problem(order)


def _price_problem(order: OrderRequest) -> str:
    needed = {"limit": order.limit_price, "stop": order.stop_price, "market": Decimal(1)}[order.kind]
    spare = [order.limit_price if order.kind != "limit" else None, order.stop_price if order.kind != "stop" else None]
    if needed is None or not (needed.is_finite() and 0 < needed <= 1_000_000):
        return f"the price of a {order.kind} order is {needed}"
    return "" if spare == [None, None] else f"a {order.kind} order has a price that is not its own"


def checked(order: OrderRequest) -> OrderRequest:
    """The same order, or OrderNotSound."""
    wrong = problem(order)
    if wrong:
        raise OrderNotSound(f"the order {order.key} cannot be written: {wrong}", value=order.ref)
    return order


def contract_of(contract: Contract) -> Any:
    """A contract in the library's words; the number decides, the rest is for people."""
    from ib_async.contract import Contract as Wire

    return Wire(
        conId=contract.con_id,
        symbol=broker_symbol(contract.symbol),
        secType=contract.kind,
        exchange=contract.exchange,
        primaryExchange=contract.primary_exchange,
        currency=contract.currency,
    )


def order_of(order: OrderRequest, account: str, *, what_if: bool = False) -> Any:
    """An order in the library's words, with the digits of its prices as they are."""
    from ib_async.contract import TagValue
    from ib_async.order import Order

    wire = Order(
        orderId=order.order_id,
        action=_ACTIONS[order.side],
        totalQuantity=order.quantity,
        orderType=_KINDS[order.kind],
        tif=_TIFS[order.tif],
        outsideRth=order.outside_hours,
        account=account,
        orderRef=order.ref,
        transmit=order.transmit or what_if,
        parentId=0 if what_if else order.parent_id,
        displaySize=order.display_quantity,
        whatIf=what_if,
    )
    if order.limit_price is not None:
        wire.lmtPrice = _plain(order.limit_price)
    if order.stop_price is not None:
        wire.auxPrice = _plain(order.stop_price)
    if order.oca_group and not what_if:
        wire.ocaGroup, wire.ocaType = order.oca_group, _REDUCE
    if order.algo:
        wire.algoStrategy, wire.algoParams = "Adaptive", [TagValue("adaptivePriority", "Normal")]
    return wire


def _plain(price: Decimal) -> Any:
    """Digits without an exponent; the library writes a text as it is."""
    return f"{price:f}"
