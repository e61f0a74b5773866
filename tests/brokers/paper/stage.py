"""The paper broker with a market that is moved by hand, and its truth read from the file, past the broker."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from resources.brokers.paper import PaperBroker
from resources.brokers.paper.account import AccountFile
from resources.clock import FixedClock
from tests.brokers.paper.manual import ManualFeed
from tests.brokers.stage import TrueFill, TrueOrder, Truth
from trading_assets.broker.model import OrderRequest, Quote, Side
from trading_assets.broker.ports import Broker
from trading_assets.execution.model import Costs

NOW = datetime(2024, 3, 25, 14, 0, tzinfo=UTC)
COSTS = Costs(Decimal("0.005"), Decimal("1.00"), Decimal("0.01"), Decimal(2), Decimal("0.05"))
CLIENT_ID, BY_HAND = 11, 0
OPEN = frozenset({"held", "working"})


class PaperStage:
    """The account is a file in a folder of the test; every connection hears the same market."""

    name = "paper"
    cannot: Mapping[str, str] = {}

    def __init__(self, folder: Path) -> None:
        self.path = folder / "paper.db"
        self.feed = ManualFeed(("AAPL", "MSFT"))
        self.made: list[PaperBroker] = []
        self.quotes = 0
        self.broker: Broker = self.another(CLIENT_ID)

    def another(self, client_id: int) -> Broker:
        """One more connection."""
        made = PaperBroker(
            self.path,
            client_id=client_id,
            costs=COSTS,
            feed=self.feed,
            clock=FixedClock(NOW),
            starting_cash=Decimal(1_000_000),
        )
        self.made.append(made)
        return made

    async def quote(
        self,
        symbol: str,
        bid: str | None,
        ask: str | None,
        *,
        last: str | None = None,
        bid_size: int | None = None,
        ask_size: int | None = None,
        halted: bool = False,
    ) -> None:
        """The market moves. With a size the volume grows too: otherwise the same picture would show the same shares again."""
        self.quotes += 1
        sides = [Decimal(side) for side in (bid, ask) if side is not None]
        middle = (sum(sides, Decimal(0)) / len(sides)).quantize(Decimal("0.01")) if sides else None
        sized = bid_size is not None or ask_size is not None
        self.feed.push(
            Quote(
                symbol=symbol,
                at=NOW,
                bid=None if bid is None else Decimal(bid),
                ask=None if ask is None else Decimal(ask),
                last=middle if last is None else Decimal(last),
                bid_size=bid_size,
                ask_size=ask_size,
                volume=self.quotes if sized else None,
                halted=halted,
            )
        )
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    async def reject_next(self) -> None:
        """A drill of the account's own."""
        file = AccountFile(self.path, starting_cash=Decimal(0))
        file.open(NOW)
        file.refuse_next("the account is restricted")
        file.close()

    async def foreign_order(self, symbol: str, side: Side, quantity: int, limit_price: str) -> None:
        """A connection without a client id of the desk, and an order without a reference."""
        hand = self.another(BY_HAND)
        number = (await hand.connect()).next_order_id
        (contract,) = await hand.resolve(symbol)
        price = Decimal(limit_price)
        hand.place([OrderRequest("", "", number, contract, side, "limit", quantity, "day", limit_price=price)])
        await hand.drain()
        await hand.close()

    async def drop(self) -> None:
        """The file is away until every connection has noticed."""
        await self.outage(on=True)
        async with asyncio.timeout(5):
            while any(broker.is_connected for broker in self.made):
                await asyncio.sleep(0.01)
        await self.outage(on=False)

    async def outage(self, *, on: bool) -> None:
        """The account's file is moved away, and back."""
        away = self.path.with_suffix(".away")
        if on:
            self.path.rename(away)
        else:
            away.rename(self.path)

    async def withhold_ends(self) -> None:
        """A row that cannot be read to its end."""
        with closing(sqlite3.connect(self.path)) as raw:
            raw.execute("INSERT INTO fills VALUES ('torn', 0, ?, '{')", (NOW.isoformat(),))
            raw.commit()

    async def truth(self) -> Truth:
        """From the file's rows, without the broker's code."""
        return truth_of(self.path)


def truth_of(path: Path) -> Truth:
    """An account as its rows tell it."""
    with closing(sqlite3.connect(path)) as raw:
        said = [json.loads(row[0]) for row in raw.execute("SELECT said FROM orders ORDER BY perm_id")]
        filled = [json.loads(row[0]) for row in raw.execute("SELECT said FROM fills ORDER BY rowid")]
        held = dict(raw.execute("SELECT symbol, quantity FROM holdings ORDER BY symbol").fetchall())
        (cash,) = raw.execute("SELECT value FROM meta WHERE name = 'cash'").fetchone()
    positions = {symbol: Decimal(quantity) for symbol, quantity in held.items()}
    return Truth(tuple(map(_order, said)), tuple(map(_fill, filled)), positions, Decimal(cash))


def _order(said: Mapping[str, Any]) -> TrueOrder:
    return TrueOrder(
        perm_id=said["perm_id"],
        client_id=said["client_id"],
        order_id=said["order_id"],
        ref=said["ref"],
        symbol=said["symbol"],
        side=said["side"],
        quantity=Decimal(said["wanted"] - said["reduced"]),
        filled=Decimal(said["filled"]),
        lives=said["status"] in OPEN,
    )


def _fill(said: Mapping[str, Any]) -> TrueFill:
    return TrueFill(
        exec_id=said["exec_id"],
        perm_id=said["perm_id"],
        ref=said["ref"],
        symbol=said["symbol"],
        side=said["side"],
        quantity=Decimal(said["quantity"]),
        price=Decimal(said["price"]),
        fee=Decimal(said["fee"]),
    )


@asynccontextmanager
async def paper_stage(folder: Path) -> AsyncIterator[PaperStage]:
    """A new account, quoted; its connections end with the block."""
    stage = PaperStage(folder)
    for symbol in ("AAPL", "MSFT"):
        await stage.quote(symbol, "100.00", "100.02")
    try:
        yield stage
    finally:
        for broker in stage.made:
            await broker.close()
