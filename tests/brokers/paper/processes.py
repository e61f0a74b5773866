"""What other processes do with a paper account in the tests: they trade, and they are stopped or killed."""

import asyncio
import multiprocessing
import os
import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from multiprocessing.connection import Connection
from pathlib import Path

from resources.brokers.paper import PaperBroker
from resources.clock import FixedClock
from tests.brokers.paper.books import quote
from tests.brokers.paper.manual import ManualFeed
from tests.brokers.paper.stage import COSTS, NOW, truth_of
from trading_assets.broker.model import Contract, OrderRequest
from trading_assets.core.ports import Clock

FORK = multiprocessing.get_context("fork")
CASH = Decimal(100_000)


def opened(path: Path, client_id: int, *, feed: ManualFeed | None = None, clock: Clock | None = None) -> PaperBroker:
    """A connection to an account, not made yet, whose market stands at 100.00 × 100.02."""
    quotes = feed or ManualFeed()
    if feed is None:
        quotes.push(quote("100.00", "100.02"))
    return PaperBroker(
        path, client_id=client_id, costs=COSTS, feed=quotes, clock=clock or FixedClock(NOW), starting_cash=CASH
    )


def legs(contract: Contract, first: int, quantity: int, *, entry: str = "100.50") -> list[OrderRequest]:
    """A bracket with its first order id."""
    name, group = f"D1:{first}", f"D1:{first}"
    return [
        OrderRequest(
            f"{first}-entry", name, first, contract, "buy", "limit", quantity, "day", Decimal(entry), transmit=False
        ),
        OrderRequest(
            f"{first}-target",
            name,
            first + 1,
            contract,
            "sell",
            "limit",
            quantity,
            "gtc",
            Decimal("104.00"),
            transmit=False,
            parent_id=first,
            oca_group=group,
        ),
        OrderRequest(
            f"{first}-stop",
            name,
            first + 2,
            contract,
            "sell",
            "stop",
            quantity,
            "gtc",
            stop_price=Decimal("98.00"),
            parent_id=first,
            oca_group=group,
        ),
    ]


async def buy_a_bracket(path: Path, said: Connection) -> None:
    """Client 11 buys 100 shares with a bracket, says so, and says again when it hears that its stop has ended."""
    broker = opened(path, 11)
    welcome = await broker.connect()
    (contract,) = await broker.resolve("AAPL")
    broker.place(legs(contract, welcome.next_order_id, 100))
    await broker.drain()
    said.send("bought")
    async with asyncio.timeout(20):
        while any(report.kind == "stop" for report in (await broker.snapshot()).open_orders):
            await asyncio.sleep(0.01)
    said.send("the stop has ended")
    await broker.close()


async def trade_for_ever(path: Path, said: Connection, *, seed: int) -> None:
    """Client 11 places brackets and cancels them while the market moves, as fast as it can."""
    luck, feed = random.Random(seed), ManualFeed()
    broker = opened(path, 11, feed=feed)
    number = (await broker.connect()).next_order_id
    (contract,) = await broker.resolve("AAPL")
    said.send("trading")
    for step in range(1_000_000):
        middle = luck.randrange(9_700, 10_500)
        bid_size, ask_size = luck.randrange(1, 60), luck.randrange(1, 60)
        moved = quote(f"{middle / 100:.2f}", f"{(middle + 2) / 100:.2f}", after=seed * 100 + step / 1000)
        feed.push(replace(moved, bid_size=bid_size, ask_size=ask_size))
        if step % 3 == 0:
            broker.place(legs(contract, number, luck.randrange(1, 20), entry=f"{middle / 100:.2f}"))
            number += 3
        if step % 5 == 0:
            broker.cancel(luck.randrange(1, number))
        await broker.drain()
        await asyncio.sleep(0)


@contextmanager
def process(life: Callable[[Path, Connection], object], path: Path) -> Iterator[tuple[int, Connection]]:
    """Another process that runs a life; its number, and what it says. It is killed at the end of the block."""
    here, there = FORK.Pipe()
    child = FORK.Process(target=_live, args=(life, path, there), daemon=True)
    child.start()
    try:
        yield child.pid or 0, here
    finally:
        child.kill()
        child.join()


def _live(life: Callable[[Path, Connection], object], path: Path, said: Connection) -> None:
    life(path, said)
    os._exit(0)


def problems(path: Path) -> list[str]:
    """What does not add up in an account file: its own integrity, cash, shares, fills of orders, and what was told of them."""
    with closing(sqlite3.connect(path)) as raw:
        found = [row[0] for row in raw.execute("PRAGMA integrity_check") if row[0] != "ok"]
        told = {
            row[0] for row in raw.execute("SELECT json_extract(said, '$.exec_id') FROM events WHERE kind = 'Executed'")
        }
        meta = dict(raw.execute("SELECT name, value FROM meta").fetchall())
    truth = truth_of(path)
    flow = sum(((1 if f.side == "sell" else -1) * f.quantity * f.price - f.fee for f in truth.fills), Decimal(0))
    if truth.cash != CASH + flow:
        found.append(f"cash {truth.cash} is not {CASH + flow}")
    for symbol in sorted({f.symbol for f in truth.fills} | truth.positions.keys()):
        shares = sum(
            (f.quantity if f.side == "buy" else -f.quantity for f in truth.fills if f.symbol == symbol), Decimal(0)
        )
        if shares != truth.positions.get(symbol, Decimal(0)):
            found.append(f"{symbol}: {truth.positions.get(symbol)} shares are not {shares}")
    for order in truth.orders:
        filled = sum((f.quantity for f in truth.fills if f.perm_id == order.perm_id), Decimal(0))
        if filled != order.filled or filled > order.quantity:
            found.append(f"order {order.perm_id} says {order.filled} of {order.quantity}, its fills {filled}")
    if told != {fill.exec_id for fill in truth.fills}:
        found.append("fills that were not told, or told fills that are not there")
    if int(meta["next_perm_id"]) != len(truth.orders) + 1 or int(meta["next_execution"]) != len(truth.fills) + 1:
        found.append("numbers that were given are not the numbers that are used")
    return found


def later(seconds: float) -> FixedClock:
    """A clock that stands so long after NOW."""
    return FixedClock(NOW + timedelta(seconds=seconds))
