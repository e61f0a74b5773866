"""Contracts and quotes on the wire."""

from collections.abc import Mapping

from tests.tws import messages
from tests.tws.book import Book, Instrument, Market
from tests.tws.gateway import Connection, Handler, LoopbackGateway
from tests.tws.orders import NO_CONTRACT
from tests.tws.placed import Described
from tests.tws.wire import Fields

WATCH, UNWATCH, CONTRACT, KIND = 1, 2, 9, 59
LIVE = 1
COMPETING = (10197, "No market data during competing live session")


class MarketRoom:
    """What answers for contracts and quotes.

    Attributes:
        kind: 1 live, 2 frozen, 3 delayed, 4 delayed and frozen, whatever a client asks for.
        refusals: By symbol, the error that a request for its quotes gets.
        silent: Farms are down: ticks are not sent, and nobody says so.
    """

    def __init__(self, gateway: LoopbackGateway, book: Book, listings: Mapping[str, tuple[Instrument, ...]]) -> None:
        self._gateway = gateway
        self._book = book
        self._listings = listings
        self._watched: dict[tuple[Connection, str], str] = {}
        self.kind = LIVE
        self.refusals: dict[str, tuple[int, str]] = {}
        self.silent = False

    @property
    def handlers(self) -> Mapping[int, Handler]:
        """For a LoopbackGateway."""
        return {WATCH: self._watch, UNWATCH: self._unwatch, CONTRACT: self._details, KIND: lambda *_: None}

    def push(self, symbol: str, market: Market) -> None:
        """Tells a quote to those who watch."""
        for connection, request in self._watching(symbol):
            self._tick(connection, request, market)

    def change_kind(self, kind: int) -> None:
        """From now on data are of another kind; those who watch are told."""
        self.kind = kind
        for connection, request in [*self._watched]:
            connection.send(messages.DATA_KIND, 1, request, kind)

    def end_all(self, code: int, text: str) -> None:
        """Takes the data away from all who watch, with an error on each request."""
        for connection, request in [*self._watched]:
            connection.error(request, code, text)
        self._watched.clear()

    def forget(self) -> None:
        """Data are gone and nobody says so on a request, as after 1101."""
        self._watched.clear()

    def watched(self) -> list[str]:
        """The symbols somebody watches, one for each request."""
        return sorted(symbol for (client, _), symbol in self._watched.items() if self._is_there(client))

    def _watching(self, symbol: str) -> list[tuple[Connection, str]]:
        return [key for key, watched in self._watched.items() if watched == symbol]

    def _is_there(self, client: Connection) -> bool:
        return self._gateway.clients.get(client.client_id) is client

    def _watch(self, connection: Connection, fields: Fields) -> None:
        fields.skip(1)
        request = fields.text()
        found = Described.read(fields).among(self._listings)
        fields.skip(2)  # delta neutral contract, generic ticks
        snapshot = fields.flag()
        if len(found) != 1:
            connection.error(request, 200, NO_CONTRACT)
            return
        symbol = found[0].symbol
        if symbol in self.refusals:
            connection.error(request, *self.refusals[symbol])
            return
        connection.send(messages.DATA_KIND, 1, request, self.kind)
        self._tick(connection, request, self._book.markets.get(symbol, Market()))
        if snapshot:
            connection.send(messages.SNAPSHOT_END, 1, request)
        else:
            self._watched[connection, request] = symbol

    def _unwatch(self, connection: Connection, fields: Fields) -> None:
        fields.skip(1)
        self._watched.pop((connection, fields.text()), None)

    def _tick(self, connection: Connection, request: str, market: Market) -> None:
        if self.silent:
            return
        for message in messages.ticks(request, market, self.kind):
            connection.send(*message)

    def _details(self, connection: Connection, fields: Fields) -> None:
        fields.skip(1)
        request = fields.text()
        found = Described.read(fields).among(self._listings)
        if not found:
            connection.error(request, 200, NO_CONTRACT)
            return
        for one in found:
            connection.send(*messages.details(request, one))
        connection.send(messages.CONTRACT_END, 1, request)
