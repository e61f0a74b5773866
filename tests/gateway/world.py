"""A gateway on a real ledger and a broker in memory, with a clock that moves when a test says so."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from gateway.brackets import Part, bracket
from gateway.core import Gateway
from gateway.means import Means, Setup
from gateway.opening import LedgerSigns, LedgerTenure
from resources.ledger import schema as t
from resources.ledger.dispatch import SqlDispatch
from resources.ledger.engine import open_ledger, reading
from resources.ledger.state import Heartbeats, Leases
from resources.ledger.store import SqlLedger
from tests.gateway.exchange import Exchange, ScriptedBroker
from tests.gateway.parts import (
    BOOK,
    LIMITS,
    OPEN,
    Prices,
    Told,
    Volumes,
    entries_in,
    plan_of,
    propose_in,
    released_in,
    seals_of,
    setup_of,
    state_in,
)
from trading_assets.broker.model import OrderRequest
from trading_assets.broker.settings import ExecutionSettings, Rhythm
from trading_assets.core.preferences import Preferences
from trading_assets.execution.ports import Intent
from trading_assets.plans.model import TradePlan
from trading_assets.signatures.model import SIGNERS, Signer


@dataclass
class Hand:
    """A clock, wall and monotonic, that a test moves."""

    at: datetime = OPEN
    passed: float = 0.0

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.passed

    def move(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)
        self.passed += seconds


@dataclass
class World:
    """Everything around a gateway; `gateway()` makes a process's worth of it, on what is there."""

    where: Path | str
    hand: Hand = field(default_factory=Hand)
    settings: ExecutionSettings = field(default_factory=lambda: ExecutionSettings(broker="paper"))
    preferences: Preferences = field(default_factory=Preferences)
    told: Told = field(default_factory=Told)
    prices: Prices = field(default_factory=Prices)
    limits: str = LIMITS
    halt_file: str = ""
    points: Callable[[str], None] = lambda _: None
    accounts_problem: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.engine = open_ledger(self.where, durability="FULL")
        self.exchange = Exchange(self.hand)
        self.exchange.quote("AAPL", "99.99", "100.01", bid_size=5_000, ask_size=5_000)
        self.exchange.quote("MSFT", "199.99", "200.01", bid_size=5_000, ask_size=5_000)
        self.broker = ScriptedBroker(self.exchange)
        self.store = SqlDispatch(self.engine, BOOK, client_id=11)

    def setup(self) -> Setup:
        return setup_of(self.settings, self.preferences, gate=lambda *_: self.accounts_problem)

    def means(self) -> Means:
        return Means(
            broker=self.broker,
            store=self.store,
            tenure=LedgerTenure(Leases(self.engine), BOOK, self.settings.lease),
            signs=LedgerSigns(Heartbeats(self.engine), "1", LIMITS),
            clock=self.hand,
            monotonic=self.hand.monotonic,
            second=self.prices,
            backdrop=Volumes(),
            pager=self.told,
            publish=self.told.publish,
            limits_hash=lambda: self.limits,
            entries=lambda symbols: entries_in(self.engine, symbols),
            released=lambda: released_in(self.engine),
            halt_file=lambda: self.halt_file,
            write_halt=lambda cause, _: setattr(self, "halt_file", cause),
            points=lambda name: self.points(name),  # noqa: PLW0108 - a test may set it later
        )

    def gateway(self) -> Gateway:
        return Gateway(self.setup(), self.means())

    async def started(self) -> Gateway:
        """A gateway that may open: the book was released, the watchdog lives, the market is quoted and a bar is complete."""
        self.release()
        self.watchdog()
        gateway = self.gateway()
        await gateway.start()
        await self.quoted(gateway)
        return gateway

    def release(self) -> None:
        """The operator's first release of the book."""
        if not released_in(self.engine):
            self.store.halt("C1 first start", as_of=self.hand.at)
            for halt in self.store.halts():
                with SqlLedger(self.engine, BOOK).session() as ledger:
                    ledger.acknowledge(halt.id, "begin", as_of=self.hand.at)

    def watchdog(self) -> None:
        Heartbeats(self.engine).beat("watchdog", pid=1, state="watching", as_of=self.hand.at)

    async def quoted(self, gateway: Gateway, *, seconds: int = 6) -> None:
        """Some time with quotes; right after the open no bar is asked for."""
        for _ in range(0, seconds, 3):
            self.hand.move(3)
            self.exchange.requote()
            await self.settle(gateway)

    async def settle(self, gateway: Gateway) -> None:
        """Every step once, with the lease renewed on the way."""
        self.watchdog()
        gateway.keeper.keep()
        await gateway.pump()
        await gateway.tend()
        await gateway.react()

    async def run(self, gateway: Gateway, seconds: float, step: float = 1.0) -> None:
        """Lets time pass in steps."""
        for _ in range(int(seconds / step)):
            self.hand.move(step)
            self.exchange.requote()
            await self.settle(gateway)
            await gateway.dispatch()

    def propose(self, plan: TradePlan | None = None, **changed: Any) -> Intent:
        """A decision with one plan, approved and on its way."""
        return propose_in(self.engine, plan or plan_of(as_of=self.hand.at, **changed), self.hand.at)

    def sign(self, intent: Intent, signers: Sequence[Signer] = SIGNERS) -> None:
        self.store.seal(seals_of(intent, signers, self.hand.at), as_of=self.hand.at)

    def signed(self, **changed: Any) -> Intent:
        """An intent that all three have signed just now."""
        intent = self.propose(**changed)
        self.sign(intent)
        return intent

    def late(self, intent: Intent, first_id: int) -> list[OrderRequest]:
        """The orders of an intent as they were written, from a network that kept them for a while."""
        part = Part(intent.quantity, intent.plan.entry)
        legs = bracket(intent, self.broker.contracts[intent.plan.symbol][0], part, first_id)
        return [leg.request for leg in legs]

    def state(self, intent: Intent | str) -> str:
        """Where an intent stands, read from the ledger."""
        return state_in(self.engine, intent if isinstance(intent, str) else intent.id)

    def why(self, intent: Intent) -> str:
        query = sa.select(t.INTENT_STATES.c.why).where(t.INTENT_STATES.c.intent_id == intent.id)
        with reading(self.engine) as connection:
            return str(connection.execute(query).scalar())

    def halts(self) -> list[str]:
        return [halt.cause for halt in self.store.halts()]


def run(work: Callable[[], Any]) -> Any:
    """A test's coroutine in a loop of its own."""
    return asyncio.run(work())


def quick(**changed: Any) -> ExecutionSettings:
    """The paper desk's settings with another rhythm."""
    settings = ExecutionSettings(broker="paper")
    return settings.model_copy(update={"rhythm": Rhythm(**changed)})
