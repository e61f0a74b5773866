"""The gateway's speed: `python -m bench.gateway [--json] [--symbols N] [--orders N] [--folder PATH]`.

First, signed intent -> bytes at the broker's socket: the third seal is committed in this process, a living gateway in another one
hears of it, asks for the margin, judges every control, commits and writes the bracket; the time ends when the loopback Gateway
has read the last of the three orders. Second, tick -> protective order: a quote that asks to take a gain leaves the loopback, and
the order that sells all comes back; beside it the same quote through the bare adapter, which writes an order at once and keeps
nothing. Then bar-close -> order: the same with a quote that is the first of a new minute, so that it completes a bar as well, for
half of the symbols. Third, orders in a burst through the adapter's own limiter: none may be lost or doubled, and no second may
see more messages than allowed.

SQLite in a file with full sync, one gateway process, everything on 127.0.0.1. Milliseconds.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from bench.timing import emit
from gateway.brackets import Part, bracket
from gateway.sender import Sender
from resources.brokers.ib import InteractiveBrokersBroker
from resources.ledger.bus import read_messages
from resources.ledger.engine import reading
from tests.gateway.child import means_of
from tests.gateway.kill import Arena, arena
from tests.gateway.parts import plan_of, propose_in, seals_of, setup_of, state_in
from tests.tws.book import Instrument
from tests.tws.gateway import Connection, Tap
from trading_assets.broker.model import BrokerEvent, Contract, OrderRequest, Quoted
from trading_assets.broker.settings import Reactions
from trading_assets.core.messages import BarClosed, Wanted
from trading_assets.signatures.model import SIGNERS

SECOND_ALLOWED = 50
SYMBOLS_A_MINUTE = 8
ARMED_S = 0.03
PLACE = 3
PREFERENCES: Mapping[str, object] = {
    "positions_max": 50,
    "orders_per_minute_max": 60,
    "orders_per_day_max": 1_000,
    "symbol_pause_seconds_min": 10.0,
}


class Clocked(Tap):
    """When the loopback heard each order, and how many messages of any kind in which second."""

    def __init__(self) -> None:
        self.orders: list[tuple[float, str, str]] = []
        self.heard_at: list[float] = []

    def heard(self, connection: Connection, fields: list[str]) -> bool:  # noqa: ARG002 - the tap's signature
        """Notes the moment."""
        now = time.perf_counter()
        self.heard_at.append(now)
        if int(fields[0]) == PLACE:
            self.orders.append((now, fields[1], ",".join(fields)))
        return True

    def first_of(self, symbol: str, mark: int, seconds: float) -> float | None:
        """When the first order in a symbol behind a place was heard; None where none came in time."""
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            found = next((at for at, _, text in self.orders[mark:] if f",{symbol}," in text), None)
            if found is not None:
                return found
            time.sleep(0.0002)
        return None

    def count(self, word: str) -> int:
        """Orders whose message has a word in it."""
        return sum(word in text for _, _, text in self.orders)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures and prints one JSON line."""
    parser = argparse.ArgumentParser(description="Latency and throughput of the gateway over the loopback.")
    parser.add_argument("--json", action="store_true", help="accepted; the output is one JSON line anyway")
    parser.add_argument("--symbols", type=int, default=40, help="intents for the latencies, one for each symbol")
    parser.add_argument("--orders", type=int, default=1_000, help="orders in the burst")
    parser.add_argument("--folder", type=Path, help="where to write; a temporary folder by default")
    options = parser.parse_args(arguments)
    figures: dict[str, Any] = {"bench": "gateway", "intents": options.symbols, "orders": options.orders}
    names = [f"S{number}" for number in range(options.symbols)]
    listings = {name: (Instrument(name, 5_000 + number),) for number, name in enumerate(names)}
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        where = Path(folder) / "latency.sqlite"
        with arena(where, listings=listings, symbols=names, preferences=PREFERENCES) as stage:
            figures |= _latencies(stage, names)
        with arena(Path(folder) / "bare.sqlite", listings=listings, symbols=names) as stage:
            figures |= _bare(stage, names)
        with arena(Path(folder) / "burst.sqlite", listings=listings, symbols=names) as stage:
            figures |= asyncio.run(_burst(stage, names[0], options.orders))
    emit(figures)


def _latencies(stage: Arena, names: Sequence[str]) -> Mapping[str, Any]:
    tap = Clocked()
    stage.tws.with_faults(tap)
    stage.settings = stage.settings.model_copy(update={"reactions": Reactions(trim_share=1.0)})
    stage.start()
    stage.until_active()
    time.sleep(2)
    sent, refused, took = 0, 0, []
    for name in names:
        stage.store.waiting()
        before = len(tap.orders)
        now = stage.clock.now()
        intent = propose_in(stage.engine, plan_of(symbol=name, quantity=5, confidence=0.5, as_of=now, slot=name), now)
        seals = seals_of(intent, SIGNERS, stage.clock.now())
        begun = time.perf_counter()
        stage.store.seal(seals, as_of=stage.clock.now())
        stage.until(lambda n=before, i=intent: len(tap.orders) >= n + 4 or _ended(stage, i.id), "the bracket")
        if len(tap.orders) >= before + 4:
            took.append(1_000 * (tap.orders[-1][0] - begun))
            sent += 1
        else:
            refused += 1
        time.sleep(1.1)
    figures = {"signed_sent": sent, "signed_refused": refused, **_quantiles("signed_to_socket", took)}
    half = len(names) // 2
    ticks = _quantiles("tick_to_order", _reactions(stage, names[:half], tap))
    closing, completed = _closing(stage, names[half:], tap)
    return {**figures, **ticks, **_quantiles("bar_to_order", closing), "bar_to_order_bars": completed}


def _ended(stage: Arena, intent_id: str) -> bool:
    return state_in(stage.engine, intent_id) in {"VETOED", "EXPIRED"}


def _reactions(stage: Arena, names: Sequence[str], tap: Clocked) -> list[float]:
    """The second quote above the gain that nobody believes in: the first alone moves nothing."""
    time.sleep(3)
    took = []
    for name in names:
        if not stage.tws.truth().positions.get(name):
            continue
        before = len(tap.orders)
        stage.prices[name] = Decimal("104.00")
        stage.quote(name, Decimal("104.00"), 4_000)
        if _arrived(tap, before, 0.2) is None:
            begun = time.perf_counter()
            stage.quote(name, Decimal("104.01"), 4_100)
            arrived = _arrived(tap, before, 5.0)
            if arrived is not None:
                took.append(1_000 * (arrived - begun))
        time.sleep(0.1)
    return took


def _closing(stage: Arena, names: Sequence[str], tap: Clocked) -> tuple[list[float], int]:
    """The second quote as the first of a new minute: it completes a bar and takes the gain. And how many bars were completed.

    The arena quotes every symbol twice a second by itself; a symbol whose order that caused is not counted.
    """
    held = [name for name in names if stage.tws.truth().positions.get(name)]
    took, completed = list[float](), 0
    for first in range(0, len(held), SYMBOLS_A_MINUTE):
        armed = held[first : first + SYMBOLS_A_MINUTE]
        minute, mark = _before_a_minute(stage, seconds=ARMED_S), len(tap.orders)
        for name in armed:
            stage.prices[name] = Decimal("104.00")
            stage.quote(name, Decimal("104.00"), 4_000)
        while stage.clock.now() < minute:
            time.sleep(0.0005)
        for name in armed:
            begun = time.perf_counter()
            stage.quote(name, Decimal("104.01"), 4_100)
            arrived = tap.first_of(name, mark, 1.0)
            if arrived is not None and arrived > begun:
                took.append(1_000 * (arrived - begun))
        time.sleep(1)
        completed += _bars(stage, armed, minute - timedelta(minutes=1))
    return took, completed


def _before_a_minute(stage: Arena, *, seconds: float) -> datetime:
    """Waits until shortly before the desk's next full minute, and returns that minute."""
    now = stage.clock.now()
    minute = now.replace(second=0, microsecond=0) + timedelta(minutes=1)
    if minute - now < timedelta(seconds=seconds):
        minute += timedelta(minutes=1)
    time.sleep(max(0.0, (minute - now).total_seconds() - seconds))
    return minute


def _bars(stage: Arena, names: Sequence[str], start: datetime) -> int:
    """Bars of one minute that the gateway told of."""
    with reading(stage.engine) as connection:
        told = read_messages(connection, Wanted(topics=frozenset({"bar"})), after=0, limit=100_000)
    bars = (message.draft.payload for message in told)
    return sum(isinstance(bar, BarClosed) and bar.start == start and bar.symbol in names for bar in bars)


def _arrived(tap: Clocked, before: int, seconds: float) -> float | None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        if len(tap.orders) > before:
            return tap.orders[before][0]
        time.sleep(0.0002)
    return None


def _bare(stage: Arena, names: Sequence[str]) -> Mapping[str, Any]:
    """A quote, and at once an order, without ledger, controls or a picture of anything."""
    tap = Clocked()
    stage.tws.with_faults(tap)
    return _quantiles("bare_tick_to_order", asyncio.run(_bare_loop(stage, names, tap)))


async def _bare_loop(stage: Arena, names: Sequence[str], tap: Clocked) -> list[float]:
    broker = InteractiveBrokersBroker(stage.settings.ib, client_id=13, clock=stage.clock)
    welcome, armed, took = await broker.connect(), [False], list[float]()
    number = iter(range(welcome.next_order_id, welcome.next_order_id + 1_000))
    contract = Contract(names[0], 5_000)

    def answer(event: BrokerEvent) -> None:
        if armed[0] and isinstance(event, Quoted) and event.quote.bid is not None and event.quote.bid > 103:
            armed[0] = False
            broker.place([_order(contract, next(number))])

    broker.listen(answer)
    broker.watch([contract])
    await asyncio.sleep(1)
    for turn in range(len(names)):
        before, armed[0] = len(tap.orders), True
        begun = time.perf_counter()
        await asyncio.to_thread(stage.quote, names[0], Decimal("104.00") + Decimal(turn) / 100, 4_000)
        arrived = await asyncio.to_thread(_arrived, tap, before, 2.0)
        if arrived is not None:
            took.append(1_000 * (arrived - begun))
        await asyncio.sleep(0.05)
    await broker.close()
    return took


def _order(contract: Contract, order_id: int) -> OrderRequest:
    return OrderRequest(
        f"bare-{order_id}", f"D1:bare{order_id}", order_id, contract, "sell", "limit", 1, "day", Decimal("150.00")
    )


async def _burst(stage: Arena, symbol: str, orders: int) -> Mapping[str, Any]:
    """Brackets of as many intents as make the orders, handed to the sender without a pause."""
    tap = Clocked()
    stage.tws.with_faults(tap)
    setup = setup_of(stage.settings, symbols=[symbol])
    means, _ = means_of(setup, stage.where, lambda _: None, clock=stage.clock)
    means.tenure.acquire(as_of=stage.clock.now())
    sender = Sender(means, deadline_s=600.0)
    sender.greet((await means.broker.connect()).next_order_id)
    count = -(-orders // 3)
    contract, ids = Contract(symbol, 5_000), []
    for number in range(count):
        plan = plan_of(symbol=symbol, quantity=1, slot=f"b{number}", as_of=stage.clock.now(), entry=Decimal("90.00"))
        plan = plan.model_copy(update={"stop": Decimal("88.50"), "target": Decimal("95.00")})
        intent = propose_in(stage.engine, plan, stage.clock.now())
        means.store.seal(seals_of(intent, SIGNERS, stage.clock.now()), as_of=stage.clock.now())
        means.tenure.renew(as_of=stage.clock.now())
        means.store.accept(intent.id, token=means.tenure.token, as_of=stage.clock.now())
        ids.append(intent)
    begun = time.perf_counter()
    part = Part(1, Decimal("90.00"))
    sends = []
    for intent in ids:
        means.tenure.renew(as_of=stage.clock.now())
        sends.append(asyncio.create_task(sender.send(intent.id, _numbered(intent, contract, part))))
        await asyncio.sleep(0)
    while not all(task.done() for task in sends):
        await asyncio.sleep(0.5)
        means.tenure.renew(as_of=stage.clock.now())
    await asyncio.gather(*sends)
    seconds = time.perf_counter() - begun
    await asyncio.sleep(1)
    seen = Counter((o.ref, o.kind) for o in stage.tws.truth().orders)
    wanted = {(f"D1:{intent.id}", kind) for intent in ids for kind in ("LMT", "STP")}
    await means.broker.close()
    return {
        "burst_orders": 3 * count,
        "burst_s": round(seconds, 2),
        "burst_lost": 3 * count - sum(seen.values()),
        "burst_doubled": sum(max(0, n - (2 if kind == "LMT" else 1)) for (_, kind), n in seen.items()),
        "burst_refs_missing": len(wanted - seen.keys()),
        "burst_messages_in_a_second_max": _busiest(tap.heard_at),
        "burst_messages_allowed": SECOND_ALLOWED,
    }


def _numbered(intent: Any, contract: Contract, part: Part) -> Callable[[int], Any]:
    return lambda first: bracket(intent, contract, part, first)


def _busiest(moments: Sequence[float]) -> int:
    """The most messages in any second."""
    most, first = 0, 0
    for last, moment in enumerate(moments):
        while moments[first] < moment - 1.0:
            first += 1
        most = max(most, last - first + 1)
    return most


def _quantiles(name: str, samples: Sequence[float]) -> Mapping[str, Any]:
    if len(samples) < 2:
        return {f"{name}_n": len(samples)}
    cuts = statistics.quantiles(samples, n=100, method="inclusive")
    return {f"{name}_n": len(samples), f"{name}_ms_p50": round(cuts[49], 2), f"{name}_ms_p99": round(cuts[98], 2)}


if __name__ == "__main__":
    main()
