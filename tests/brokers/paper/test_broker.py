"""The paper broker in its event loop: what is written when, who hears what, and what the margins say."""

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path

import pytest

from resources.brokers.paper import PaperBroker
from resources.brokers.paper.broker import con_id_of
from resources.brokers.paper.wording import event_of, event_text
from tests.brokers.paper.books import bracket, exchange, order, place, quote
from tests.brokers.paper.manual import ManualFeed
from tests.brokers.paper.processes import legs, opened
from tests.brokers.paper.stage import NOW, paper_stage, truth_of
from trading_assets.broker.model import BrokerEvent, Contract, Executed, OrderRequest, Quoted
from trading_assets.broker.ports import Broker, BrokerDown
from trading_assets.core.errors import DataNotReady


class Scene:
    """A connected broker, what it heard, and the one contract."""

    def __init__(self, path: Path) -> None:
        self.path, self.feed = path, ManualFeed()
        self.feed.push(quote("100.00", "100.02"))
        self.broker = opened(path, 11, feed=self.feed)
        self.heard: list[BrokerEvent] = []
        self.broker.listen(self.heard.append)
        self.contract = Contract("AAPL", con_id_of("AAPL"))

    def market(self, number: int, quantity: int = 10, *, side: str = "buy") -> OrderRequest:
        buys = side == "buy"
        return OrderRequest(
            f"m{number}", "D1:m", number, self.contract, "buy" if buys else "sell", "market", quantity, "day"
        )


def played(tmp_path: Path, play: Callable[[Scene], Awaitable[None]]) -> Scene:
    """Plays on a connected broker, which is closed afterwards."""
    scene = Scene(tmp_path / "paper.db")

    async def all_of_it() -> None:
        await scene.broker.connect()
        await scene.broker.resolve("AAPL")
        try:
            await play(scene)
            await asyncio.sleep(0.01)
        finally:
            await scene.broker.close()

    asyncio.run(all_of_it())
    return scene


def test_it_is_a_broker(tmp_path: Path) -> None:
    broker: Broker = opened(tmp_path / "paper.db", 11)
    assert (broker.name, broker.client_id, broker.is_connected) == ("paper", 11, False)
    assert isinstance(broker, PaperBroker)


def test_what_waits_is_written_when_the_connection_is_closed(tmp_path: Path) -> None:
    async def play(scene: Scene) -> None:
        scene.broker.place([scene.market(1)])
        await scene.broker.close()

    assert [int(o.filled) for o in truth_of(played(tmp_path, play).path).orders] == [10]


def test_the_loop_writes_what_was_placed_without_a_drain(tmp_path: Path) -> None:
    async def play(scene: Scene) -> None:
        scene.broker.place([scene.market(1)])
        assert truth_of(scene.path).orders == ()
        await asyncio.sleep(0.01)

    assert [int(o.filled) for o in truth_of(played(tmp_path, play).path).orders] == [10]


def test_drain_tells_the_bytes_since_the_connection_began(tmp_path: Path) -> None:
    counted: list[int] = []

    async def play(scene: Scene) -> None:
        counted.append(await scene.broker.drain())
        scene.broker.place([scene.market(1)])
        counted.append(await scene.broker.drain())
        scene.broker.cancel(9)
        counted.append(await scene.broker.drain())
        await scene.broker.connect()
        counted.append(await scene.broker.drain())

    played(tmp_path, play)
    assert counted[0] == counted[3] == 0
    assert 0 < counted[1] < counted[2]


def test_events_come_in_order_and_never_inside_the_call_that_caused_them(tmp_path: Path) -> None:
    kinds: list[str] = []

    async def play(scene: Scene) -> None:
        scene.broker.place([scene.market(1)])
        await scene.broker.drain()
        assert scene.heard == []
        await asyncio.sleep(0.01)
        kinds.extend(type(event).__name__ for event in scene.heard)

    played(tmp_path, play)
    assert kinds == ["Reported", "Executed", "Reported", "Commissioned"]


@pytest.mark.fault(14)
def test_a_listener_that_fails_stops_neither_the_broker_nor_the_next_event(tmp_path: Path) -> None:
    seen: list[BrokerEvent] = []

    def fails(event: BrokerEvent) -> None:
        seen.append(event)
        raise RuntimeError("a bug of the listener")

    async def play(scene: Scene) -> None:
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        scene.broker.listen(fails)
        scene.broker.place([scene.market(1)])
        await scene.broker.drain()
        await asyncio.sleep(0.01)
        scene.broker.place([scene.market(2)])
        await scene.broker.drain()
        await asyncio.sleep(0.01)
        assert scene.broker.is_connected

    played(tmp_path, play)
    assert len([event for event in seen if isinstance(event, Executed)]) == 2


def test_a_listener_may_place_an_order_when_it_hears_of_a_fill(tmp_path: Path) -> None:
    async def play(scene: Scene) -> None:
        def answer(event: BrokerEvent) -> None:
            if isinstance(event, Executed) and event.execution.order_id == 1:
                scene.broker.place([scene.market(2, side="sell")])

        scene.broker.listen(answer)
        scene.broker.place([scene.market(1)])
        async with asyncio.timeout(5):
            while len(truth_of(scene.path).fills) < 2:
                await asyncio.sleep(0.005)

    assert truth_of(played(tmp_path, play).path).positions == {}


def test_a_feed_with_a_bug_is_no_connection(tmp_path: Path) -> None:
    class Buggy(ManualFeed):
        async def run(self, _: object) -> None:
            raise RuntimeError("a bug of the feed")

    async def play() -> bool:
        broker = opened(tmp_path / "paper.db", 11, feed=Buggy())
        await broker.connect()
        await asyncio.sleep(0.01)
        with pytest.raises(BrokerDown):
            await broker.time()
        return broker.is_connected

    assert not asyncio.run(play())


def test_a_feed_that_cannot_begin_leaves_nothing_open(tmp_path: Path) -> None:
    class Empty(ManualFeed):
        async def open(self) -> None:
            raise DataNotReady("no intraday bars")

    async def play() -> None:
        for _ in range(2):
            with pytest.raises(DataNotReady):
                await opened(tmp_path / "paper.db", 11, feed=Empty()).connect()

    asyncio.run(play())


def test_quotes_of_held_symbols_move_the_market_though_nobody_watches_them(tmp_path: Path) -> None:
    async def play(scene: Scene) -> None:
        scene.broker.place(legs(scene.contract, 1, 100))
        await scene.broker.drain()
        scene.feed.push(quote("90.00", "90.02", after=1))
        await asyncio.sleep(0.01)

    scene = played(tmp_path, play)
    assert [type(event) for event in scene.heard if isinstance(event, Quoted)] == []
    assert truth_of(scene.path).positions == {}


def test_the_newest_quotes_are_kept_for_who_has_no_feed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resources.brokers.paper.broker.KEEP_S", 0.0)
    equities: list[Decimal | None] = []

    async def play(scene: Scene) -> None:
        scene.broker.place([scene.market(1, 100)])
        await scene.broker.drain()
        scene.feed.push(quote("110.00", "110.02", after=1))
        await asyncio.sleep(0.12)
        looker = opened(scene.path, 13, feed=ManualFeed())
        await looker.connect()
        equities.extend([(await broker.snapshot()).values.equity for broker in (scene.broker, looker)])
        await looker.close()

    played(tmp_path, play)
    assert equities[0] == equities[1] == Decimal(100_000) - Decimal("10005") - 1 + Decimal("11001")


def test_what_an_order_would_do_to_the_margin(tmp_path: Path) -> None:
    async def play(scene: Scene) -> None:
        impact = await scene.broker.what_if(scene.market(1, 100))
        assert (impact.initial_margin_after, impact.maintenance_margin_after) == (Decimal(5001), Decimal("2500.5"))
        assert (impact.equity_after, impact.commission, impact.warning) == (Decimal(99_999), Decimal(1), "")
        assert "insufficient buying power" in (await scene.broker.what_if(scene.market(1, 5_000))).warning
        await scene.broker.resolve("DARK")
        dark = OrderRequest("d", "D1:d", 1, Contract("DARK", con_id_of("DARK")), "buy", "market", 1, "day")
        unset = await scene.broker.what_if(dark)
        assert (unset.initial_margin_after, unset.equity_after) == (None, None)
        assert (await scene.broker.snapshot()).reports == ()

    played(tmp_path, play)


def test_every_event_comes_back_from_the_file_as_it_was_told() -> None:
    on = exchange()
    place(on, *bracket(1, 100), order(9, "buy", 0), order(1, "buy", 1))
    on.quote(quote("90.00", "90.02", after=1))
    events = [one.event for one in on.happened]
    assert {type(event).__name__ for event in events} == {"Reported", "Executed", "Commissioned", "Noticed"}
    assert [event_of(*event_text(event)) for event in events] == events


def test_the_stage_of_the_conformance_suite_begins_as_it_says(tmp_path: Path) -> None:
    async def play() -> None:
        async with paper_stage(tmp_path) as stage:
            await stage.broker.connect()
            assert (await stage.broker.snapshot()).values.cash == Decimal(1_000_000)
            assert await stage.broker.time() == NOW

    asyncio.run(play())
