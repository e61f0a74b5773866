"""What the account holds and is worth, on the wire."""

from collections.abc import Mapping
from decimal import Decimal

from tests.tws import messages
from tests.tws.book import Book, Fill, Instrument
from tests.tws.gateway import Connection, Handler, LoopbackGateway
from tests.tws.messages import ZONE, plain
from tests.tws.wire import Fields

UPDATES, ACCOUNTS, TIME, POSITIONS, SUMMARY, NO_SUMMARY, NO_POSITIONS = 6, 17, 49, 61, 62, 63, 64
MULTI, NO_MULTI = 76, 77
MARGIN_SHARE = Decimal("0.25")
CENT = Decimal("0.01")


class AccountRoom:
    """What answers for the account.

    Attributes:
        extra: Further values by tag, or other texts for those there are; None takes one away.
        shown: What questions are answered from.
        currency: Of every value.
        skew_seconds: By how much the broker's clock is wrong.
    """

    def __init__(self, gateway: LoopbackGateway, book: Book) -> None:
        self._gateway = gateway
        self.shown = book
        self.extra: dict[str, str | None] = {}
        self.currency = "USD"
        self.skew_seconds = 0
        self._told_positions: set[Connection] = set()

    @property
    def handlers(self) -> Mapping[int, Handler]:
        """For a LoopbackGateway."""
        return {
            POSITIONS: self._positions,
            NO_POSITIONS: lambda connection, _: self._told_positions.discard(connection),
            UPDATES: self._updates,
            ACCOUNTS: lambda connection, _: connection.send(
                messages.MANAGED_ACCOUNTS, 1, ",".join(self._gateway.accounts)
            ),
            TIME: self._time,
            SUMMARY: self._summary,
            NO_SUMMARY: lambda *_: None,
            MULTI: self._multi,
            NO_MULTI: lambda *_: None,
        }

    def values(self) -> dict[str, str]:
        """By tag, as the wire has them."""
        book = self.shown
        gross = sum((abs(q) * book.value(s) for s, q in book.positions.items()), Decimal(0))
        equity, margin = book.equity(), gross * MARGIN_SHARE
        amounts = {
            "NetLiquidation": equity,
            "TotalCashValue": book.cash,
            "EquityWithLoanValue": equity,
            "GrossPositionValue": gross,
            "InitMarginReq": margin,
            "MaintMarginReq": margin,
            "AvailableFunds": equity - margin,
            "ExcessLiquidity": equity - margin,
            "BuyingPower": (equity - margin) * 4,
        }
        texts: dict[str, str | None] = {tag: plain(amount.quantize(CENT)) for tag, amount in amounts.items()}
        return {tag: text for tag, text in {**texts, **self.extra}.items() if text is not None}

    def push(self, fill: Fill) -> None:
        """Tells the position that a fill has left to those who asked for positions; 0 where there is none any more."""
        one = fill.order.instrument
        quantity, cost = self.shown.positions.get(one.symbol, Decimal(0)), self.shown.costs.get(one.symbol, Decimal(0))
        for client in list(self._gateway.clients.values()):
            if client in self._told_positions:
                client.send(*messages.position(one, self._gateway.accounts[0], quantity, cost))

    def _positions(self, connection: Connection, _: Fields) -> None:
        self._told_positions.add(connection)
        for one, quantity in self._held():
            cost = self.shown.costs[one.symbol]
            connection.send(*messages.position(one, self._gateway.accounts[0], quantity, cost))
        connection.send(messages.POSITION_END, 1)

    def _held(self) -> list[tuple[Instrument, Decimal]]:
        known = {order.instrument.symbol: order.instrument for order in self.shown.orders}
        listed = getattr(self._gateway, "listings", {})
        return [
            (known.get(symbol) or listed[symbol][0], quantity)
            for symbol, quantity in sorted(self.shown.positions.items())
        ]

    def _updates(self, connection: Connection, fields: Fields) -> None:
        fields.skip(1)
        if not fields.flag():
            return
        account = fields.text() or self._gateway.accounts[0]
        for tag, text in self.values().items():
            connection.send(messages.ACCOUNT_VALUE, 2, tag, text, self.currency, account)
        for one, quantity in self._held():
            price, cost = self.shown.value(one.symbol), self.shown.costs[one.symbol]
            connection.send(*messages.portfolio(one, account, quantity, price, cost))
        connection.send(messages.ACCOUNT_TIME, 1, f"{self.shown.clock.now().astimezone(ZONE):%H:%M}")
        connection.send(messages.ACCOUNT_END, 1, account)

    def _multi(self, connection: Connection, fields: Fields) -> None:
        fields.skip(1)
        request, account = fields.text(), fields.text() or self._gateway.accounts[0]
        for tag, text in self.values().items():
            connection.send(messages.MULTI_VALUE, 1, request, account, "", tag, text, self.currency)
        connection.send(messages.MULTI_END, 1, request)

    def _summary(self, connection: Connection, fields: Fields) -> None:
        fields.skip(1)
        request = fields.text()
        fields.skip(1)
        wanted = set(fields.text().split(","))
        for account in self._gateway.accounts:
            for tag, text in self.values().items():
                if tag in wanted:
                    connection.send(messages.SUMMARY, 1, request, account, tag, text, self.currency)
        connection.send(messages.SUMMARY_END, 1, request)

    def _time(self, connection: Connection, _: Fields) -> None:
        connection.send(messages.TIME, 1, int(self.shown.clock.now().timestamp()) + self.skew_seconds)
