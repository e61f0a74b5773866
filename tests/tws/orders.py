"""Orders on the wire: placing, changing, cancelling, asking, and what the broker says when one of them moves."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from tests.tws import messages
from tests.tws.book import Book, CancelTold, FeeTold, Fill, FillTold, Instrument, Order, OrderTold, Told
from tests.tws.gateway import Connection, Handler, LoopbackGateway, Message
from tests.tws.messages import ZONE
from tests.tws.placed import read_order
from tests.tws.wire import Fields

PLACE, CANCEL, OPEN_ORDERS, EXECUTIONS, IDS, AUTO_BIND, ALL_OPEN_ORDERS = 3, 4, 5, 7, 8, 15, 16
GLOBAL_CANCEL, COMPLETED_ORDERS = 58, 99
MARGIN_SHARE = Decimal("0.25")
NO_CONTRACT = "No security definition has been found for the request"
REFUSALS = {
    110: "The price does not conform to the minimum price variation for this contract.",
    200: NO_CONTRACT,
    201: "Order rejected - reason:YOUR ORDER IS NOT ACCEPTED.",
    460: "No trading permissions.",
    10289: "You must accept the risk disclosure before you can trade this instrument.",
}
WARNINGS = {
    399: "Order Message:\nWarning: your order will not be placed at the exchange until 2026-01-06 09:30:00 US/Eastern",
    404: "Order held while securities are located.",
    2109: "Order Event Warning:Attribute 'Outside Regular Trading Hours' is ignored.",
    10318: "This order doesn't support modification.",
    10349: "Order TIF was set to DAY based on order preset.",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of an order when it is transmitted.

    Args:
        code: The error that is sent about it.
        text: Its text; that of the table where it is empty.
        lives: The order works all the same.
        reported: A refused order is told as Inactive too; otherwise the error is all there is.
        fits: Which orders it is for.
        times: How many of them.
    """

    code: int
    text: str = ""
    lives: bool = False
    reported: bool = False
    fits: Callable[[Order], bool] = lambda _: True
    times: int = 1

    @property
    def sentence(self) -> str:
        """What is sent with the code."""
        return self.text or REFUSALS.get(self.code, "") or WARNINGS.get(self.code, f"Error {self.code}")


def refuse(code: int = 201, *, fits: Callable[[Order], bool] = lambda _: True) -> Verdict:
    """The next order is refused; 201 is told as Inactive as well."""
    return Verdict(code, reported=code == 201, fits=fits)


def warn(code: int, *, fits: Callable[[Order], bool] = lambda _: True) -> Verdict:
    """The next order works, and the broker says something about it."""
    return Verdict(code, lives=True, fits=fits)


class OrderRoom:
    """What answers for orders.

    Attributes:
        shown: What questions are answered from.
        verdicts: What becomes of the next orders, first come first served.
        master: The client id that is told of every order, if the Gateway has one.
        held_status: What is said of an order that is not transmitted; no recording shows it.
        unset_margins: So many answers to a what-if hold nothing first.
        after_fill: Who else wants to know of a fill, once its fee is told.
    """

    def __init__(self, gateway: LoopbackGateway, book: Book, listings: Mapping[str, tuple[Instrument, ...]]) -> None:
        self._gateway = gateway
        self._book = book
        self.shown = book
        self._listings = listings
        self.verdicts: list[Verdict] = []
        self.master: int | None = None
        self.held_status = "PendingSubmit"
        self.unset_margins = 0
        self.after_fill: Callable[[Fill], None] = lambda _: None
        book.tell = self._told
        book.admits = self._admits

    @property
    def handlers(self) -> Mapping[int, Handler]:
        """For a LoopbackGateway."""
        return {
            PLACE: self._place,
            CANCEL: self._cancel,
            OPEN_ORDERS: lambda connection, _: self._list(connection, self._own(connection)),
            ALL_OPEN_ORDERS: lambda connection, _: self._list(connection, self.shown.working),
            COMPLETED_ORDERS: self._completed,
            EXECUTIONS: self._executions,
            IDS: lambda connection, _: connection.send(messages.NEXT_ID, 1, self._next_id(connection)),
            AUTO_BIND: lambda *_: None,
            GLOBAL_CANCEL: lambda *_: self._cancel_all(),
        }

    def tell_order(self, order: Order, message: Message) -> None:
        """Sends a message about an order to whom it concerns: its client, client 0 and the master."""
        for client in list(self._gateway.clients.values()):
            if client.client_id in (order.client_id, 0, self.master):
                client.send(*message)

    def _told(self, told: Told) -> None:
        match told:
            case OrderTold(order):
                self.tell_order(order, messages.open_order(order))
                self.tell_order(order, messages.order_status(order))
            case FillTold(fill):
                self._tell_fill(fill, messages.execution(-1, fill))
            case FeeTold(fill):
                if fill.order.status == "Filled":
                    self.tell_order(fill.order, messages.open_order(fill.order, with_fee=True))
                self._tell_fill(fill, messages.commission(fill))
                self.after_fill(fill)
            case CancelTold(order):
                self.tell_order(order, (messages.ERROR, 2, order.order_id, 202, "Order Canceled - reason:", ""))

    def _tell_fill(self, fill: Fill, message: Message) -> None:
        """A liquidation belongs to no client, and every client hears of it."""
        if fill.liquidation:
            for client in list(self._gateway.clients.values()):
                client.send(*message)
        else:
            self.tell_order(fill.order, message)

    def _place(self, connection: Connection, fields: Fields) -> None:
        placed = read_order(fields, connection.client_id)
        order = placed.order
        found = placed.contract.among(self._listings)
        order.account = order.account or self._gateway.accounts[0]
        old = self._book.find(connection.client_id, order.order_id)
        problem = self._problem(connection, order, found, old)
        if problem is not None:
            connection.error(order.order_id, *problem)
            return
        (order.instrument,) = found
        if order.what_if:
            self._what_if(connection, order)
        elif old is not None:
            self._book.modified(old, order)
        else:
            self._gateway.next_ids[connection.client_id] = order.order_id + 1
            self._book.enter(order)

    def _problem(
        self, connection: Connection, order: Order, found: tuple[Instrument, ...], old: Order | None
    ) -> tuple[int, str] | None:
        if not found:
            return 200, NO_CONTRACT
        if len(found) > 1:
            return 200, "The contract description specified for the order is ambiguous."
        if order.account not in self._gateway.accounts:
            return 321, "Error validating request.-'bW' : cause - Invalid account code."
        if not order.quantity.is_finite() or order.quantity <= 0:
            return 434, "The order size cannot be zero."
        if order.quantity != int(order.quantity):
            return 10243, "Fractional-sized order cannot be placed via API."
        if any(price % found[0].min_tick for price in (order.limit, order.aux) if price is not None):
            return 110, REFUSALS[110]
        return None if order.what_if else self._id_problem(connection, order, old)

    def _id_problem(self, connection: Connection, order: Order, old: Order | None) -> tuple[int, str] | None:
        if old is not None and old.ended:
            return (104, "Can't modify a filled order.") if old.status == "Filled" else (103, "Duplicate order id.")
        if old is None and order.order_id < self._next_id(connection):
            return 103, "Duplicate order id."
        if order.parent_id and self._book.find(connection.client_id, order.parent_id) is None:
            return 135, f"Can't find order with ID = {order.parent_id}."
        return None

    def _admits(self, order: Order) -> bool:
        """Whether a transmitted order is worked; says what is to be said about it."""
        verdict = next((v for v in self.verdicts if v.fits(order)), None)
        if verdict is None:
            return True
        self.verdicts.remove(verdict)
        if verdict.times > 1:
            again = Verdict(
                verdict.code, verdict.text, verdict.lives, verdict.reported, verdict.fits, verdict.times - 1
            )
            self.verdicts.insert(0, again)
        error = (messages.ERROR, 2, order.order_id, verdict.code, verdict.sentence, "")
        if verdict.lives:
            self._told(OrderTold(order))
            self.tell_order(order, error)
            return True
        order.status = "Inactive"
        self.tell_order(order, error)
        if verdict.reported:
            self._book.refuse(order)
        else:
            self._book.orders.remove(order)
        return False

    def _what_if(self, connection: Connection, order: Order) -> None:
        order.status = "PreSubmitted"
        while self.unset_margins:
            self.unset_margins -= 1
            connection.send(*messages.open_order(order))
        equity = self._book.equity()
        before = MARGIN_SHARE * sum((abs(q) * self._book.value(s) for s, q in self._book.positions.items()), Decimal(0))
        price = order.limit or self._book.value(order.instrument.symbol)
        change = MARGIN_SHARE * price * order.quantity * (1 if order.action == "BUY" else -1)
        values = (before, before, equity, change, change, Decimal(0), before + change, before + change, equity)
        fee = max(Decimal(1), Decimal("0.005") * order.quantity)
        margins = (*(messages.plain(value) for value in values), messages.plain(fee), "", "", "USD", "")
        connection.send(*messages.open_order(order, margins=margins))

    def _cancel(self, connection: Connection, fields: Fields) -> None:
        fields.skip(1)
        number = fields.number()
        order = self._book.find(connection.client_id, number)
        if order is None:
            connection.error(number, 10147, f"OrderId {number} that needs to be cancelled is not found.")
        elif order.ended:
            text = f"OrderId {number} that needs to be cancelled cannot be cancelled, state: {order.status}."
            connection.error(number, 10148, text)
        else:
            self._book.cancel(order)

    def _cancel_all(self) -> None:
        for order in self._book.working:
            self._book.cancel(order)

    def _own(self, connection: Connection) -> list[Order]:
        return [order for order in self.shown.working if order.client_id == connection.client_id]

    def _list(self, connection: Connection, orders: list[Order]) -> None:
        for order in orders:
            status, order.status = order.status, order.status if order.transmit else self.held_status
            connection.send(*messages.open_order(order))
            connection.send(*messages.order_status(order))
            order.status = status
        connection.send(messages.OPEN_ORDER_END, 1)

    def _completed(self, connection: Connection, _: Fields) -> None:
        now = self._book.clock.now().astimezone(ZONE)
        for order in self.shown.orders:
            if order.ended:
                connection.send(*messages.completed_order(order, f"{now:%Y%m%d %H:%M:%S} {ZONE.key}"))
        connection.send(messages.COMPLETED_END)

    def _executions(self, connection: Connection, fields: Fields) -> None:
        """Since midnight in New York, of this client; client 0 and the master are told of all."""
        fields.skip(1)
        request = fields.number()
        today = self._book.clock.now().astimezone(ZONE).date()
        for fill in self.shown.fills:
            if _day(fill.at) == today and self._may_know(connection, fill):
                connection.send(*messages.execution(request, fill))
                connection.send(*messages.commission(fill))
        connection.send(messages.EXECUTION_END, 1, request)

    def _may_know(self, connection: Connection, fill: Fill) -> bool:
        return fill.liquidation or connection.client_id in (fill.order.client_id, 0, self.master)

    def _next_id(self, connection: Connection) -> int:
        return self._gateway.next_ids.setdefault(connection.client_id, 1)


def _day(at: datetime) -> object:
    return at.astimezone(ZONE).date()
