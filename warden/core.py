"""The watchdog: one look after another, and a hand that stops everything when a look says so.

It needs nobody: with the gateway stopped it ends the gateway and takes its place at the broker, with the ledger locked it leaves
a note on disk, with the exchange closed it waits and pages. There is no way back in it: only an operator's word in the ledger,
which it cannot write, makes it leave a halted desk alone.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal

from trading_assets.broker.model import BrokerEvent, Snapshot
from trading_assets.broker.ports import Broker
from trading_assets.broker.settings import ExecutionSettings
from trading_assets.core.calendar import XNYS, Session
from trading_assets.core.errors import DeskError
from trading_assets.core.ports import Clock
from trading_assets.core.preferences import Preferences
from warden.hand import Hand
from warden.judging import judge
from warden.ports import HaltNote, Takeover, WatchLedger
from warden.seen import Finding, Identity, LedgerSeen, Memory, Seen, Sign

State = Literal["ACTIVE", "REDUCING", "HALTED"]


@dataclass(frozen=True, slots=True)
class Means:
    """What the watchdog works with."""

    broker: Broker
    ledger: WatchLedger
    note: HaltNote
    takeover: Takeover
    clock: Clock
    settings: ExecutionSettings
    preferences: Preferences
    identity: Identity


@dataclass(frozen=True, slots=True)
class Ruling:
    """What the watchdog allows, and everything that it found."""

    state: State
    findings: tuple[Finding, ...] = ()

    @property
    def reason(self) -> str:
        """Every finding in words."""
        return "; ".join(f"{each.control} {each.sentence}" for each in self.findings) or "nothing found"

    @property
    def text(self) -> str:
        """As the heartbeat carries it."""
        return json.dumps({"state": self.state, "reason": self.reason}, sort_keys=True)


@dataclass
class Watchdog:
    """One look at a time; `step` is called every second or so."""

    means: Means
    memory: Memory = field(default_factory=Memory)
    spared: Mapping[str, Decimal] = field(default_factory=dict)
    _noted: str = ""
    _hand: Hand = field(init=False)
    _skew_asked: datetime | None = None
    _skew: timedelta | None = None

    def __post_init__(self) -> None:
        means = self.means
        self._hand = Hand(means.broker, means.ledger, means.takeover, means.settings)
        means.broker.listen(self._hear)

    async def step(self) -> Ruling:
        """One look, and everything that follows from it now."""
        seen = await self._look()
        findings, self.memory = judge(seen, self.memory, self.means.settings, self.means.preferences)
        ruling = Ruling(self._state(seen, findings), findings)
        halting = [each for each in findings if each.level == "halt"]
        if halting:
            self._halt("; ".join(f"{each.control} {each.sentence}" for each in halting), seen.now)
        for finding in findings:
            self._page(finding, seen.now)
        await self._act(seen, findings, ruling)
        self._beat(ruling, seen.now)
        return ruling

    async def _act(self, seen: Seen, findings: Sequence[Finding], ruling: Ruling) -> None:
        if seen.broker is None:
            return
        if ruling.state == "HALTED":
            await self._hand.stop(seen, self.spared, ruling.reason)
            return
        for finding in findings:
            if finding.level == "protect":
                await self._hand.protect(seen, finding)
        sold = {each.symbol for each in findings if each.level == "flatten"}
        if sold:
            named = None if "" in sold else frozenset(sold)
            await self._hand.sell(seen, self.spared, ruling.reason, named)

    async def _look(self) -> Seen:
        now = self.means.clock.now()
        ledger = self._ledger(now)
        if ledger is not None:
            self.spared = ledger.adopted
        broker = await self._broker()
        return Seen(
            now=now,
            session=_open_session(now),
            own=self.means.identity,
            signs=self._signs(now),
            ledger=ledger,
            broker=broker,
            clock_skew=await self._clock_skew(now) if broker is not None else None,
        )

    def _ledger(self, now: datetime) -> LedgerSeen | None:
        try:
            return self.means.ledger.look(XNYS.today(now))
        except DeskError:
            return None

    def _signs(self, now: datetime) -> Mapping[str, Sign]:
        try:
            return self.means.ledger.signs(as_of=now)
        except DeskError:
            return {}

    async def _broker(self) -> Snapshot | None:
        """A complete snapshot, or nothing; a connection that is gone is opened again."""
        try:
            if not self.means.broker.is_connected:
                welcome = await self.means.broker.connect()
                self._hand.offered = welcome.next_order_id
            return await self.means.broker.snapshot()
        except DeskError:
            return None

    async def _clock_skew(self, now: datetime) -> timedelta | None:
        """Asked as often as the connection is probed."""
        probe = timedelta(seconds=self.means.settings.rhythm.probe_seconds)
        if self._skew_asked is None or now - self._skew_asked >= probe:
            self._skew_asked = now
            try:
                self._skew = await self.means.broker.time() - self.means.clock.now()
            except DeskError:
                self._skew = None
        return self._skew

    def _state(self, seen: Seen, findings: Sequence[Finding]) -> State:
        """A halt that is open, or was noted while the ledger could not tell, lasts."""
        if any(each.level == "halt" for each in findings) or (seen.ledger.halts if seen.ledger else self._noted):
            return "HALTED"
        return "REDUCING" if any(each.level in {"reduce", "flatten"} for each in findings) else "ACTIVE"

    def _halt(self, cause: str, now: datetime) -> None:
        """First of all the halt is durable: in the ledger, or on disk when the ledger cannot be written."""
        try:
            self.means.ledger.halt(cause, as_of=now)
        except DeskError as refused:
            self.means.note.write(f"{cause}; the ledger could not be written: {refused.what}", by="watchdog", as_of=now)
        self._noted = cause

    def _page(self, finding: Finding, now: datetime) -> None:
        """One page for each thing that is wrong; that it is unanswered (W9) is no page of its own, the pager repeats it."""
        if finding.control == "W9":
            return
        severity = "critical" if finding.level in {"halt", "flatten"} else "warning"
        code = f"{finding.control} {finding.symbol}".strip()
        try:
            self.means.ledger.page(severity, code, finding.sentence, as_of=now)
        except DeskError:
            return

    def _beat(self, ruling: Ruling, now: datetime) -> None:
        try:
            self.means.ledger.beat(ruling.text, self.means.identity, as_of=now)
        except DeskError:
            return

    def _hear(self, _: BrokerEvent) -> None:
        """Events are not acted on: every look asks for everything."""


def _open_session(now: datetime) -> Session | None:
    session = XNYS.today(now)
    return session if session is not None and session.open <= now < session.close else None
