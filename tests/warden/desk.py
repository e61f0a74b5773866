"""A desk whose gateway trades, and the watchdog beside it: a market in memory, a ledger on disk, a clock moved by hand."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import sqlalchemy as sa

from gateway.core import Gateway
from resources.ledger import schema as t
from resources.ledger.engine import reading
from resources.ledger.roles import open_ledger_as
from tests.gateway.exchange import ScriptedBroker
from tests.gateway.parts import BOOK, LIMITS
from tests.gateway.world import World
from trading_assets.broker.ports import Broker
from warden.core import Means, Ruling, Watchdog
from warden.ledger import SqlWatchLedger
from warden.ports import WatchLedger
from warden.seen import Identity

GATEWAY, WATCHDOG = 11, 12


@dataclass
class Note:
    """The halt file of a test."""

    causes: list[str] = field(default_factory=list)

    def read(self) -> str:
        return self.causes[0] if self.causes else ""

    def write(self, cause: str, *, by: str, as_of: datetime) -> None:  # noqa: ARG002
        self.causes.append(cause)


@dataclass
class Place:
    """The gateway's place at the broker: to be had when a test says so."""

    world: World
    free: bool = True
    taken: int = 0
    given_back: int = 0

    async def give_back(self) -> None:
        self.given_back += 1

    async def take(self, *, as_of: datetime) -> Broker | None:  # noqa: ARG002
        self.taken += 1
        if not self.free:
            return None
        self.world.broker.is_connected = False
        instead = ScriptedBroker(self.world.exchange, GATEWAY)
        await instead.connect()
        return instead


@dataclass
class Desk:
    """A world with its gateway, and a watchdog in the watchdog's own role."""

    folder: Path
    ledger: Callable[[WatchLedger], WatchLedger] = lambda real: real

    def __post_init__(self) -> None:
        self.world = World(self.folder / "desk.sqlite")
        self.broker = ScriptedBroker(self.world.exchange, WATCHDOG)
        self.note, self.place = Note(), Place(self.world)
        engine = open_ledger_as(self.folder / "desk.sqlite", "watchdog", busy_timeout_ms=50)
        means = Means(
            broker=self.broker,
            ledger=self.ledger(SqlWatchLedger(engine, BOOK)),
            note=self.note,
            takeover=self.place,
            clock=self.world.hand,
            settings=self.world.settings,
            preferences=self.world.preferences,
            identity=Identity("1", LIMITS),
        )
        self.watchdog = Watchdog(means)

    async def holding(self, **others: int) -> Gateway:
        """Forty shares of AAPL with their bracket, and everybody well; others were in the account before."""
        self.world.exchange.held.update(others)
        gateway = await self.world.started()
        self.world.signed()
        await gateway.dispatch()
        await self.world.settle(gateway)
        assert self.world.exchange.held == {"AAPL": 40, **others}
        return gateway

    async def watch(self, seconds: float, step: float = 1.0, *, gateway: Gateway | None = None) -> list[Ruling]:
        """Lets time pass; a gateway that is not named stands still."""
        rulings = []
        for _ in range(int(seconds / step)):
            self.world.hand.move(step)
            self.world.exchange.requote()
            if gateway is not None:
                await self.world.settle(gateway)
            rulings.append(await self.watchdog.step())
        return rulings

    def quote(self, symbol: str, price: float) -> None:
        """The market in a symbol, a cent on either side."""
        middle, cent = Decimal(str(price)), Decimal("0.01")
        self.world.exchange.quote(symbol, str(middle - cent), str(middle + cent), bid_size=5_000, ask_size=5_000)

    def pages(self) -> list[tuple[str, str]]:
        """Severity and code of every page."""
        query = sa.select(t.PAGES.c.severity, t.PAGES.c.code).order_by(t.PAGES.c.id)
        with reading(self.world.engine) as connection:
            return [(row.severity, row.code) for row in connection.execute(query)]
