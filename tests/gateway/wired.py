"""The real gateway on a real ledger, over the real client, against the loopback; the desk's clock moves when a test says so.

Bytes take real time and the desk's clock does not wait for them: whatever is to be heard is waited for, with a bound.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from gateway.core import Gateway
from resources.ledger import schema as t
from resources.ledger.dispatch import SqlDispatch
from resources.ledger.engine import open_ledger, reading
from resources.ledger.state import Heartbeats
from resources.ledger.store import SqlLedger
from tests.gateway.child import means_of
from tests.gateway.parts import BOOK, Told, plan_of, propose_in, seals_of, setup_of, state_in
from tests.gateway.world import Hand
from tests.tws.book import Order
from tests.tws.gateway import ACCOUNT, Tap, running
from tests.tws.trading import TradingGateway
from trading_assets.broker.settings import ExecutionSettings, InteractiveBrokers, Rhythm
from trading_assets.execution.ports import Intent
from trading_assets.signatures.model import SIGNERS

CLIENT_ID = 11
SILENCE_S = 0.4
"""How long a question may stay unanswered; each fault that answers nothing costs a test as much."""
PATIENCE_S = 20.0
UNLIMITED = 10_000
"""Messages in a second of real time, for a desk whose minute passes in one."""
CASH = Decimal(100_000)
CENT = Decimal("0.01")
RESTS = frozenset({"PreSubmitted", "Submitted"})


@dataclass
class Wired:
    """A desk and its broker.

    Args:
        shows: Shares that the market offers on each side; with 0, orders rest.
    """

    where: Path
    tws: TradingGateway
    hand: Hand
    shows: int = 5_000
    prices: dict[str, Decimal] = field(default_factory=lambda: {"AAPL": Decimal(100), "MSFT": Decimal(200)})
    hook: Callable[[str], None] = field(default=lambda _: None)
    accounts_problem: Callable[[tuple[str, ...]], tuple[str, ...]] = field(default=lambda _: ())
    told: Told = field(default_factory=Told)
    rhythm: Rhythm = field(default_factory=Rhythm)

    def __post_init__(self) -> None:
        ib = InteractiveBrokers(port=self.tws.port, account=ACCOUNT, timeout_seconds=SILENCE_S)
        ib = ib.model_copy(update={"messages_per_second_max": UNLIMITED})
        self.settings = ExecutionSettings(broker="ib", ib=ib, rhythm=self.rhythm)
        self.engine = open_ledger(self.where, durability="FULL")
        self.store = SqlDispatch(self.engine, BOOK, client_id=CLIENT_ID)
        setup = setup_of(self.settings, gate=lambda accounts, _: self.accounts_problem(accounts))
        means, _ = means_of(setup, self.where, self._pass, clock=self.hand)
        self.means = replace(means, monotonic=self.hand.monotonic, pager=self.told)
        self.gateway = Gateway(setup, self.means)

    def _pass(self, name: str) -> None:
        """A test may set the hook later."""
        self.hook(name)

    async def started(self) -> None:
        """The gateway may open: the book was released, the watchdog lives, the market is quoted, and a first look agreed."""
        self.release()
        self.watchdog()
        self.quote()
        await self.gateway.start()
        await self.run(6, step=3)
        if self.gateway.state.state != "ACTIVE":
            raise RuntimeError(f"the gateway does not open: {self.gateway.state}")

    def release(self) -> None:
        """The operator's first release of the book."""
        self.store.halt("C1 first start", as_of=self.hand.at)
        for halt in self.store.halts():
            with SqlLedger(self.engine, BOOK).session() as ledger:
                ledger.acknowledge(halt.id, "begin", as_of=self.hand.at)

    def watchdog(self) -> None:
        Heartbeats(self.engine).beat("watchdog", pid=1, state="watching", as_of=self.hand.at)

    def quote(self) -> None:
        """The market as it stands, told again; a cent on either side."""
        for symbol, price in self.prices.items():
            sides = (str(price - CENT), str(price + CENT))
            self.tws.set_quote(symbol, *sides, last=str(price), bid_size=self.shows, ask_size=self.shows)

    async def hear(self) -> None:
        """Both sides read what is on the wire between them, and the gateway handles it."""
        for _ in range(3):
            await asyncio.sleep(0.001)
            self.tws.do(lambda: None)
        await asyncio.sleep(0.001)
        await self.gateway.pump()

    async def settle(self) -> None:
        """Every step once, without time passing."""
        self.watchdog()
        await self.hear()
        self.gateway.keeper.keep()
        await self.gateway.tend()
        await self.hear()
        await self.gateway.react()
        await self.gateway.dispatch()
        await self.hear()

    def pass_time(self, seconds: float) -> None:
        """The clock goes on; the lease is renewed on the way."""
        while seconds > 0:
            part = min(seconds, self.settings.rhythm.lease_seconds / 2)
            self.hand.move(part)
            self.gateway.keeper.keep()
            seconds -= part

    async def run(self, seconds: float, step: float = 1.0) -> None:
        """Lets the desk's time pass in steps."""
        for _ in range(round(seconds / step)):
            self.pass_time(step)
            self.quote()
            await self.settle()

    async def cut(self) -> None:
        """Waits until a cut that was scripted has been noticed, and ends every script: the next connection is a sound one."""
        async with asyncio.timeout(PATIENCE_S):
            while self.means.broker.is_connected:
                await asyncio.sleep(0.001)
        self.tws.without_faults()

    async def until(self, holds: Callable[[], object], *, step: float = 1.0) -> None:
        """Lets the desk's time pass until something is so; fails when it does not become so."""
        async with asyncio.timeout(PATIENCE_S):
            while not holds():
                await self.run(step, step=step)

    def sign(self, **changed: Any) -> Intent:
        """An intent that all three have signed just now."""
        plan = changed.pop("plan", None) or plan_of(as_of=self.hand.at, **changed)
        intent = propose_in(self.engine, plan, self.hand.at)
        self.store.seal(seals_of(intent, SIGNERS, self.hand.at), as_of=self.hand.at)
        return intent

    async def sent(self, **changed: Any) -> Intent:
        """One that the gateway has just handed over."""
        intent = self.sign(**changed)
        if await self.gateway.dispatch() != 1:
            raise RuntimeError(f"{intent.id} was not sent: {self.state(intent)} {self.why(intent)}")
        await self.hear()
        return intent

    async def resting(self, **changed: Any) -> Intent:
        """One that works at the broker and does not fill."""
        self.shows = 0
        self.quote()
        return await self.sent(**changed)

    async def held(self, **changed: Any) -> Intent:
        """One that has filled."""
        intent = await self.sent(**changed)
        if self.state(intent) != "FILLED":
            raise RuntimeError(f"{intent.id} is {self.state(intent)}")
        return intent

    def at(self, point: str, act: Callable[[], object]) -> None:
        """Does something at the next passing of a named point."""

        def passed(name: str) -> None:
            if name == point:
                self.hook = lambda _: None
                act()

        self.hook = passed

    def fault_at(self, point: str, *taps: Tap) -> None:
        """Puts something between desk and broker at the next passing of a named point."""
        self.at(point, lambda: self.tws.with_faults(*taps))

    def orders(self, intent: Intent, kind: str = "") -> list[Order]:
        """What is behind an intent at the broker."""
        return [o for o in self.tws.truth().of(f"D1:{intent.id}") if not kind or o.kind == kind]

    def entry(self, intent: Intent) -> Order:
        """The broker's own entry of an intent, for the hands of a test; there is exactly one."""
        (one,) = [order for order in self.tws.book.by_ref(f"D1:{intent.id}") if not order.parent_id]
        return one

    def child(self, intent: Intent, kind: str) -> Order:
        """Its stop or its target."""
        (one,) = [o for o in self.tws.book.by_ref(f"D1:{intent.id}") if o.parent_id and o.kind == kind]
        return one

    def state(self, intent: Intent) -> str:
        """Where an intent stands, read from the ledger."""
        return state_in(self.engine, intent.id)

    def why(self, intent: Intent) -> str:
        query = sa.select(t.INTENT_STATES.c.why).where(t.INTENT_STATES.c.intent_id == intent.id)
        with reading(self.engine) as connection:
            return str(connection.execute(query).scalar())

    def halts(self) -> list[str]:
        return [halt.cause for halt in self.store.halts()]

    def booked(self) -> set[str]:
        """The executions in the ledger."""
        with reading(self.engine) as connection:
            return set(connection.execute(sa.select(t.EXECUTIONS.c.exec_id)).scalars())

    def covered(self, symbol: str = "AAPL") -> Decimal:
        """Shares that a stop rests for, at the broker."""
        stops = [o for o in self.tws.truth().orders if o.kind == "STP" and o.status in RESTS]
        return sum((o.left for o in stops if o.instrument.symbol == symbol and o.transmit), Decimal(0))

    def wrong(self, *, halts: bool = False, uncovered: bool = False) -> list[str]:
        """What is not as it must be, from the broker's own truth and never from the desk's word for it.

        Args:
            halts: Whether the desk is to be halted.
            uncovered: Whether shares may lack a stop, for the broker never worked one.
        """
        truth, known = self.tws.truth(), self.store.known()
        refs = [o.ref for o in truth.orders if o.ref.startswith("D1:") and not o.parent_id]
        held = {symbol: known.position(symbol) for symbol in self.prices if known.position(symbol)}
        told = {fill.exec_id for fill in truth.fills}
        checks = {
            f"entries {refs}": len(refs) == len(set(refs)),
            f"the ledger holds {held}, the broker {truth.positions}": held == dict(truth.positions),
            f"booked {self.booked()}, told {told}": self.booked() == told,
            f"cash {known.cash}, at the broker {truth.cash}": known.cash in (truth.cash, None)
            and known.cash is not None,
            f"covered {self.covered()}": uncovered
            or all(self.covered(symbol) >= quantity for symbol, quantity in truth.positions.items()),
            f"halts {self.halts()}": bool(self.halts()) == halts,
        }
        return [what for what, holds in checks.items() if not holds]

    async def close(self) -> None:
        """Ends the connection and the ledger."""
        await self.means.broker.close()
        self.engine.dispose()


def wired(folder: Path, work: Callable[[Wired], Awaitable[None]], **changed: Any) -> None:
    """Runs a test's coroutine in a loop of its own, with a desk, a broker and a ledger of its own."""
    hand = Hand()
    tws = TradingGateway(clock=hand, cash=CASH)

    async def whole() -> None:
        made = Wired(folder / "desk.sqlite", tws, hand, **changed)
        try:
            await work(made)
        finally:
            await made.close()

    with running(tws):
        asyncio.run(whole())
