"""The account in its file: several processes, killed and stopped ones, and files that are not what they should be."""

import asyncio
import os
import random
import shutil
import signal
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from resources.brokers.paper.client_id import ClientIdLock
from tests.brokers.paper.books import quote
from tests.brokers.paper.manual import ManualFeed
from tests.brokers.paper.processes import buy_a_bracket, later, legs, opened, problems, process, trade_for_ever
from tests.brokers.paper.stage import NOW, truth_of
from trading_assets.broker.model import BrokerEvent, Disconnected, Executed, OrderRequest
from trading_assets.broker.ports import BrokerDown, ClientIdInUse
from trading_assets.core.errors import PermanentFailure

KILLS = 12
Life = Callable[[Path, Connection], Awaitable[None]]


def run_of(life: Life) -> Callable[[Path, Connection], object]:
    return lambda path, said: asyncio.run(life(path, said))  # type: ignore[arg-type]


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)


# Processes that die


def test_kill_9_at_any_moment_leaves_an_account_that_adds_up(tmp_path: Path) -> None:
    """The same account is killed again and again; each life begins with what the last one left."""
    path, luck, fills = tmp_path / "paper.db", random.Random(7), []
    for seed in range(KILLS):
        with process(run_of(partial(trade_for_ever, seed=seed)), path) as (pid, said):
            assert (said.poll(10), said.recv()) == (True, "trading")
            assert not said.poll(luck.random() * 0.2), "it trades until it is killed"
            os.kill(pid, signal.SIGKILL)
        assert problems(path) == []
        fills.append(len(truth_of(path).fills))
    assert fills == sorted(fills)
    assert fills[-1] > KILLS


def test_what_was_drained_survives_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "paper.db"
    with process(run_of(buy_a_bracket), path) as (pid, said):
        assert (said.poll(10), said.recv()) == (True, "bought")
        os.kill(pid, signal.SIGKILL)
    assert [fill.quantity for fill in truth_of(path).fills] == [100]
    assert problems(path) == []


def test_the_client_id_of_a_dead_process_is_free_and_its_next_order_id_is_new(tmp_path: Path) -> None:
    path = tmp_path / "paper.db"
    with process(run_of(buy_a_bracket), path) as (_, said):
        assert said.poll(10)

    async def again() -> int:
        broker = opened(path, 11)
        number = (await broker.connect()).next_order_id
        await broker.close()
        return number

    assert asyncio.run(again()) == 4


# Processes that are stopped


def test_a_second_process_flattens_while_the_first_is_stopped_and_the_first_hears_of_it(tmp_path: Path) -> None:
    path = tmp_path / "paper.db"

    async def flatten() -> None:
        watchdog = opened(path, 12)
        number = (await watchdog.connect()).next_order_id
        (held,) = (await watchdog.snapshot()).positions
        (contract,) = await watchdog.resolve(held.symbol)
        shares = int(held.quantity)
        watchdog.place([OrderRequest("f", "D1:1", number, contract, "sell", "market", shares, "day", oca_group="D1:1")])
        await watchdog.drain()
        assert (await watchdog.snapshot()).positions == ()
        await watchdog.close()

    with process(run_of(buy_a_bracket), path) as (pid, said):
        assert (said.poll(10), said.recv()) == (True, "bought")
        os.kill(pid, signal.SIGSTOP)
        asyncio.run(flatten())
        assert [(int(o.filled), o.lives) for o in truth_of(path).orders] == [
            (100, False),
            (0, False),
            (0, False),
            (100, False),
        ]
        os.kill(pid, signal.SIGCONT)
        assert (said.poll(10), said.recv()) == (True, "the stop has ended")
    assert problems(path) == []


@pytest.mark.fault(41)
def test_a_stopped_process_keeps_its_client_id(tmp_path: Path) -> None:
    path = tmp_path / "paper.db"
    with process(run_of(buy_a_bracket), path) as (pid, said):
        assert said.poll(10)
        os.kill(pid, signal.SIGSTOP)
        with pytest.raises(ClientIdInUse, match=f"client id 11 is in use.*process {pid}"):
            asyncio.run(opened(path, 11).connect())
        os.kill(pid, signal.SIGCONT)


def test_a_lock_that_is_given_back_can_be_taken(tmp_path: Path) -> None:
    one, two = ClientIdLock(tmp_path / "paper.db", 11), ClientIdLock(tmp_path / "paper.db", 11)
    one.take()
    with pytest.raises(ClientIdInUse):
        two.take()
    one.give_back()
    two.take()
    two.give_back()


# Two connections, one market


def test_a_quote_that_two_connections_hear_fills_its_size_once(tmp_path: Path) -> None:
    async def played() -> list[int]:
        feed = ManualFeed()
        one, two = (opened(tmp_path / "paper.db", number, feed=feed) for number in (11, 12))
        await one.connect()
        await two.connect()
        (contract,) = await one.resolve("AAPL")
        one.place(legs(contract, 1, 100))
        await one.drain()
        feed.push(quote("100.00", "100.02", ask_size=40))
        await until(lambda: truth_of(tmp_path / "paper.db").fills)
        await asyncio.sleep(0.15)
        await one.close()
        await two.close()
        return [int(fill.quantity) for fill in truth_of(tmp_path / "paper.db").fills]

    assert asyncio.run(played()) == [40]


def test_orders_of_a_connection_without_quotes_meet_the_market_of_another(tmp_path: Path) -> None:
    async def played() -> list[BrokerEvent]:
        seen, blind = opened(tmp_path / "paper.db", 11), opened(tmp_path / "paper.db", 12, feed=ManualFeed())
        heard: list[BrokerEvent] = []
        blind.listen(heard.append)
        await seen.connect()
        await blind.connect()
        (contract,) = await blind.resolve("AAPL")
        blind.place(
            [OrderRequest("a", "D1:a", 1, contract, "buy", "limit", 10, "day", legs(contract, 1, 1)[0].limit_price)]
        )
        await blind.drain()
        await until(lambda: any(isinstance(event, Executed) for event in heard))
        await seen.close()
        await blind.close()
        return heard

    assert asyncio.run(played())


def test_day_orders_end_in_every_process_once_the_clock_is_past_the_close(tmp_path: Path) -> None:
    path = tmp_path / "paper.db"

    async def played() -> None:
        broker = opened(path, 11, feed=ManualFeed())
        await broker.connect()
        (contract,) = await broker.resolve("AAPL")
        broker.place(legs(contract, 1, 10, entry="90.00"))
        await broker.drain()
        await broker.close()
        watchdog = opened(path, 12, clock=later(6 * 3600 + 3))
        await watchdog.connect()
        await until(lambda: not any(order.lives for order in truth_of(path).orders))
        await watchdog.close()

    asyncio.run(played())


# A replay


def test_the_same_quotes_give_the_same_account(tmp_path: Path) -> None:
    async def played(path: Path) -> object:
        feed, luck = ManualFeed(), random.Random(3)
        broker = opened(path, 11, feed=feed)
        await broker.connect()
        (contract,) = await broker.resolve("AAPL")
        for step in range(300):
            middle = luck.randrange(9_700, 10_500)
            if step % 10 == 0:
                broker.place(legs(contract, step * 3 + 1, luck.randrange(1, 30), entry=f"{middle / 100:.2f}"))
            moved = quote(f"{middle / 100:.2f}", f"{(middle + 2) / 100:.2f}", after=step)
            feed.push(replace(moved, bid_size=luck.randrange(1, 20), ask_size=luck.randrange(1, 20)))
            await broker.drain()
            await asyncio.sleep(0)
        await broker.close()
        assert problems(path) == []
        return truth_of(path)

    one, two = (asyncio.run(played(tmp_path / name / "paper.db")) for name in ("one", "two"))
    assert one == two


# Files that are not what they should be


def test_a_file_that_is_deleted_ends_the_connection_and_no_new_account_takes_its_place(tmp_path: Path) -> None:
    path = tmp_path / "paper.db"

    async def played() -> list[BrokerEvent]:
        broker = opened(path, 11)
        heard: list[BrokerEvent] = []
        broker.listen(heard.append)
        await broker.connect()
        path.unlink()
        await until(lambda: not broker.is_connected)
        with pytest.raises(BrokerDown, match="deleted or replaced"):
            await broker.connect()
        await asyncio.sleep(0)
        assert not path.exists()
        return [event for event in heard if isinstance(event, Disconnected)]

    assert len(asyncio.run(played())) == 1


@pytest.mark.fault(15)
def test_a_file_that_another_process_holds_for_too_long_ends_the_connection_and_nothing_was_written(
    tmp_path: Path,
) -> None:
    path = tmp_path / "paper.db"

    async def played() -> None:
        broker = opened(path, 11)
        broker.account_file.busy_s = 0.1
        await broker.connect()
        (contract,) = await broker.resolve("AAPL")
        with closing(sqlite3.connect(path)) as holder:
            holder.execute("BEGIN EXCLUSIVE")
            broker.place(legs(contract, 1, 10))
            with pytest.raises(BrokerDown):
                await broker.drain()
        assert not broker.is_connected
        await broker.connect()
        assert (await broker.snapshot()).reports == ()
        await broker.close()

    asyncio.run(played())


@pytest.mark.fault(18)
def test_a_file_that_is_no_account_is_refused(tmp_path: Path) -> None:
    (tmp_path / "paper.db").write_bytes(b"this is no database" * 500)
    with pytest.raises(PermanentFailure, match="cannot be used: file is not a database"):
        asyncio.run(opened(tmp_path / "paper.db", 11).connect())


@pytest.mark.fault(22)
def test_an_account_of_another_version_is_refused(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "paper.db")) as raw:
        raw.execute("PRAGMA user_version = 9")
        raw.execute("CREATE TABLE meta (name TEXT)")
        raw.commit()
    with pytest.raises(PermanentFailure, match="no paper account of this version"):
        asyncio.run(opened(tmp_path / "paper.db", 11).connect())


@pytest.mark.fault(87)
def test_a_clock_that_stepped_back_behind_the_account_is_refused_with_what_to_do(tmp_path: Path) -> None:
    async def lived(seconds: float) -> None:
        broker = opened(tmp_path / "paper.db", 11, clock=later(seconds))
        await broker.connect()
        await broker.close()

    asyncio.run(lived(60))
    with pytest.raises(PermanentFailure, match=r"lived longer than the clock says.*next: .*DESK_CLOCK") as refused:
        asyncio.run(lived(59))
    assert refused.value.bound == (NOW + timedelta(seconds=60)).isoformat()
    asyncio.run(lived(60))


def test_the_account_keeps_its_number_wherever_the_file_is_moved(tmp_path: Path) -> None:
    async def number(path: Path) -> str:
        broker = opened(path, 11)
        (account,) = (await broker.connect()).accounts
        await broker.close()
        return account

    first = asyncio.run(number(tmp_path / "paper.db"))
    shutil.copy(tmp_path / "paper.db", tmp_path / "moved.db")
    assert asyncio.run(number(tmp_path / "moved.db")) == first
    assert asyncio.run(number(tmp_path / "other.db")) != first
    assert first.startswith("DU")
    assert len(first) == 9


def test_every_commit_is_synced_and_the_log_is_written_ahead(tmp_path: Path) -> None:
    async def asked() -> tuple[object, object]:
        broker = opened(tmp_path / "paper.db", 11)
        await broker.connect()
        said = broker.account_file.durability()
        await broker.close()
        return said

    assert asyncio.run(asked()) == ("wal", 2)
