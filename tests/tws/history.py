"""Historical bars as the Gateway serves them: adjusted for later splits, labelled by their start, at most so many at once."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from tests.resources.market_data.yahoo_server import Listing, Traded
from tests.tws.gateway import Connection, Handler, LoopbackGateway
from tests.tws.wire import Fields, framed
from trading_assets.core.calendar import NEW_YORK

REQUEST, CANCEL, ANSWER = 20, 25, 17
SIZES = {"1 day": "1d", "30 mins": "30m", "5 mins": "5m", "1 min": "1m"}
DAYS_MAX = {"1 day": 365, "30 mins": 31, "5 mins": 7, "1 min": 1}
SERVICE = "Historical Market Data Service error message:"
SOON_S = 0.02
HALF = 2
Fault = Callable[[Connection, str], None]


@dataclass(frozen=True)
class Asked:
    """One request for bars."""

    number: str
    symbol: str
    until: datetime
    size: str
    days: int
    regular_hours: bool
    what: str
    date_format: int

    @classmethod
    def read(cls, fields: Fields) -> "Asked":
        """The request as a client of version 157 to 176 words it."""
        number = fields.text()
        fields.skip(1)
        symbol = fields.text()
        fields.skip(11)
        until = datetime.strptime(fields.text(), "%Y%m%d-%H:%M:%S").replace(tzinfo=UTC)
        size, duration, regular, what, shape = (
            fields.text(),
            fields.text(),
            fields.flag(),
            fields.text(),
            fields.number(),
        )
        return cls(number, symbol, until, size, int(duration.removesuffix(" D")), regular, what, shape)


class History:
    """What the Gateway knows of stocks, and the fault that it has now.

    Args:
        listings: By the symbol that Interactive Brokers uses.
        days_are_sessions: Whether a duration in days counts sessions or days of the calendar.
    """

    def __init__(self, listings: Mapping[str, Listing], *, days_are_sessions: bool = True) -> None:
        self.listings = dict(listings)
        self.days_are_sessions = days_are_sessions
        self.fault: Fault | None = None
        self.volume_in_lots = False
        self.asked: list[Asked] = []

    @property
    def handlers(self) -> Mapping[int, Handler]:
        """For a LoopbackGateway."""
        return {REQUEST: self._answer, CANCEL: lambda *_: None}

    def gateway(self) -> LoopbackGateway:
        """A Gateway that serves these bars."""
        return LoopbackGateway(self.handlers)

    def _answer(self, connection: Connection, fields: Fields) -> None:
        asked = Asked.read(fields)
        self.asked.append(asked)
        if self.fault is not None:
            self.fault(connection, asked.number)
            return
        listing = self.listings.get(asked.symbol)
        if listing is None:
            connection.error(asked.number, 200, "No security definition has been found for the request")
        elif asked.days > DAYS_MAX[asked.size]:
            connection.error(asked.number, 321, "Error validating request.-'bQ' : cause - Invalid step")
        else:
            self._deliver(connection, asked, listing)

    def _deliver(self, connection: Connection, asked: Asked, listing: Listing) -> None:
        bars = self._chosen(asked, listing.bars.get(SIZES[asked.size], ()))
        if not bars:
            no_data = f"{SERVICE}HMDS query returned no data: {asked.symbol}@SMART Trades"
            connection.error(asked.number, 162, no_data)
            return
        rows = [field for bar in bars for field in self._row(bar, asked, listing)]
        connection.send(ANSWER, asked.number, rows[0], rows[-8], len(bars), *rows)

    def _chosen(self, asked: Asked, bars: Sequence[Traded]) -> list[Traded]:
        known = [bar for bar in bars if _instant(bar) < asked.until]
        days = sorted({bar.start.date() for bar in known})
        if self.days_are_sessions:
            wanted = set(days[-asked.days :])
        else:
            first = asked.until.date() - timedelta(days=asked.days - 1)
            wanted = {day for day in days if day >= first}
        return [bar for bar in known if bar.start.date() in wanted]

    def _row(self, bar: Traded, asked: Asked, listing: Listing) -> list[object]:
        shares = listing.shares(bar.start.date())
        prices = [round(price / shares, 8) for price in (bar.open, bar.high, bar.low, bar.close)]
        volume = bar.volume * shares / (100 if self.volume_in_lots else 1)
        label = f"{bar.start:%Y%m%d}" if asked.size == "1 day" else int(_instant(bar).timestamp())
        return [label, *prices, volume, prices[-1], 1]


def _instant(bar: Traded) -> datetime:
    return bar.start.replace(tzinfo=NEW_YORK)


def with_error(code: int, text: str) -> Fault:
    """Every request gets this error."""
    return lambda connection, number: connection.error(number, code, text)


def pacing(connection: Connection, number: str) -> None:
    """The limit of requests is broken."""
    connection.error(number, 162, f"{SERVICE}Historical data request pacing violation")


def silence(_connection: Connection, _number: str) -> None:
    """No answer at all."""


def cut_in_mid_answer(connection: Connection, number: str) -> None:
    """A part of an answer, and then the connection is gone."""
    raw = framed([ANSWER, number, "20140602", "20140603", 2, "20140602", 1.0, 1.0, 1.0, 1.0, 100, 1.0, 1])
    connection.send_bytes(raw[: len(raw) // HALF])
    asyncio.get_running_loop().call_later(SOON_S, connection.cut)


def garbage(connection: Connection, number: str) -> None:
    """A frame that claims to hold bars and holds words."""
    connection.send(ANSWER, number, "20140602", "20140603", "many", "not", "a", "bar")


def endless_frame(connection: Connection, _number: str) -> None:
    """The beginning of a frame whose length is nonsense."""
    connection.send_bytes(b"\xff\xff\xff\xf0 not a frame")


def link_lost(connection: Connection, _number: str) -> None:
    """The Gateway has lost its own servers; it does not say so about the request."""
    connection.error(-1, 1100, "Connectivity between IBKR and Trader Workstation has been lost.")


def rows(label: object, *, count: int = 1, close: float = 10.5, volume: float = 100.0) -> Fault:
    """The same bar some times over, whatever was asked for."""
    bar = [label, 10.0, 11.0, 9.0, close, volume, 10.0, 1]
    return lambda connection, number: connection.send(ANSWER, number, label, label, count, *(bar * count))


def day(moment: date) -> str:
    """A date as the wire has it."""
    return f"{moment:%Y%m%d}"
