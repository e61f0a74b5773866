"""The watchdog: one look after another, and a hand that stops everything when a look says so.

It needs nobody: with the gateway stopped it ends the gateway and takes its place at the broker, with the ledger locked it leaves
a note on disk, with the exchange closed it waits and pages. There is no way back in it: only an operator's word in the ledger,
which it cannot write, makes it leave a halted desk alone.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal

from trading_assets.broker.model import BrokerEvent, Snapshot
from trading_assets.broker.ports import Broker, ClientIdInUse
from trading_assets.broker.settings import ExecutionSettings
from trading_assets.core.calendar import XNYS, Session
from trading_assets.core.errors import DeskError
from trading_assets.core.ports import Clock
from trading_assets.core.preferences import Preferences
from warden.hand import Hand
from warden.judging import judge
from warden.ports import HaltNote, Takeover, WatchLedger
from warden.seen import Finding, Identity, LedgerSeen, Memory, Seen, Sign
from warden.steps import unproven

_LOG = logging.getLogger("desk.watchdog")
State = Literal["ACTIVE", "REDUCING", "HALTED"]
Severity = Literal["warning", "critical"]
PROCESS = "watchdog"
_HALF_A_SECOND = timedelta(milliseconds=500)


@dataclass(frozen=True, slots=True)
class Means:
    """What the watchdog works with.

    Args:
        account: The account that must answer; empty: whichever one the paper broker made.
    """

    broker: Broker
    ledger: WatchLedger
    note: HaltNote
    takeover: Takeover
    clock: Clock
    settings: ExecutionSettings
    preferences: Preferences
    identity: Identity
    account: str = ""


@dataclass(frozen=True, slots=True)
class Ruling:
    """What the watchdog allows, and everything that it found."""

    state: State
    findings: tuple[Finding, ...] = ()

    @property
    def reason(self) -> str:
        """Every finding in words."""
        return "; ".join(f"{each.code}: {each.sentence}" for each in self.findings) or "nothing found"

    @property
    def text(self) -> str:
        """As the heartbeat carries it."""
        return json.dumps({"state": self.state, "reason": self.reason}, sort_keys=True)


@dataclass
class Watchdog:
    """One look at a time; `step` is called every second or so.

    `spared` are shares that are not the desk's, by symbol; None as long as the ledger has not told them.
    """

    means: Means
    memory: Memory = field(default_factory=Memory)
    spared: Mapping[str, Decimal] | None = None
    _noted: str = ""
    _stranger: str = ""
    _hand: Hand = field(init=False)
    _skew_asked: datetime | None = None
    _skew: timedelta | None = None

    def __post_init__(self) -> None:
        means = self.means
        self._hand = Hand(means.broker, means.ledger, means.takeover, means.settings)
        means.broker.listen(self._hear)

    async def connect(self) -> None:
        """Opens the connection, and proves the account. ClientIdInUse: another watchdog lives."""
        welcome = await self.means.broker.connect()
        self._hand.offered = welcome.next_order_id
        self._stranger = self._not_ours(welcome.accounts)

    async def step(self) -> Ruling:
        """One look, and everything that follows from it now."""
        seen = await self._look()
        self._hand.book(seen)
        findings, self.memory = judge(seen, self.memory, self.means.settings, self.means.preferences)
        ruling = Ruling(self._state(seen, findings), findings)
        self._halt_for(seen, findings)
        await self._act(seen, findings, ruling)
        for finding in findings:
            self._page(finding, seen.now)
        self._beat(ruling, seen.now)
        return ruling

    def halt(self, cause: str) -> None:
        """Halts for a reason that no look found, such as a step that failed."""
        self._halt(cause, self.means.clock.now())

    async def _act(self, seen: Seen, findings: Sequence[Finding], ruling: Ruling) -> None:
        if ruling.state != "HALTED" and not any(each.level == "flatten" for each in findings):
            await self._hand.rest()
        if seen.broker is None:
            return
        spared = self._spared(seen.broker, seen.now)
        if ruling.state == "HALTED":
            await self._hand.stop(seen, spared, ruling.reason)
            return
        for finding in findings:
            if finding.level == "protect":
                await self._hand.protect(seen, finding)
        sold = {each.symbol for each in findings if each.level == "flatten"}
        if sold:
            named = None if "" in sold else frozenset(sold)
            await self._hand.sell(seen, spared, ruling.reason, named)

    def _spared(self, broker: Snapshot, now: datetime) -> Mapping[str, Decimal]:
        """What the ledger says is not the desk's; before it has said so, everything that no stop of the desk covers."""
        if self.spared is not None:
            return self.spared
        found = {symbol: shares for symbol, shares in unproven(broker).items() if shares}
        if found:
            names = ", ".join(f"{shares} {symbol}" for symbol, shares in sorted(found.items()))
            self._tell("critical", "W4 ledger", f"nothing proves that these are the desk's, so they stay: {names}", now)
        return found

    async def _look(self) -> Seen:
        now = self.means.clock.now()
        ledger = self._ledger(now)
        if ledger is not None:
            self.spared = ledger.adopted
        noted = self._note(ledger, now)
        broker = await self._broker()
        return Seen(
            now=now,
            session=_open_session(now),
            own=self.means.identity,
            signs=self._signs(now),
            ledger=ledger,
            broker=broker,
            clock_skew=await self._clock_skew(now) if broker is not None else None,
            noted=noted,
            stranger=self._stranger,
        )

    def _ledger(self, now: datetime) -> LedgerSeen | None:
        try:
            return self.means.ledger.look(XNYS.today(now))
        except DeskError as failed:
            _LOG.warning("the ledger does not answer: %s", failed)
            return None

    def _note(self, ledger: LedgerSeen | None, now: datetime) -> str:
        """What the halt file says. It is told to the ledger once, as soon as that can be written again."""
        noted = self.means.note.read()
        if not noted or ledger is None:
            return noted
        if noted != self._noted and not any(noted in cause for cause in ledger.halts.values()):
            try:
                self.means.ledger.halt(f"halt file: {noted}", as_of=now)
            except DeskError:
                return noted
        self._noted = noted
        return noted

    def _signs(self, now: datetime) -> Mapping[str, Sign]:
        try:
            return self.means.ledger.signs(as_of=now)
        except DeskError:
            return {}

    async def _broker(self) -> Snapshot | None:
        """A complete snapshot of the desk's account, or nothing; a connection that is gone is opened again."""
        try:
            if not self.means.broker.is_connected:
                await self.connect()
            snapshot = await self.means.broker.snapshot()
        except (DeskError, TimeoutError) as silent:
            _LOG.warning("the broker does not answer: %s", silent)
            if isinstance(silent, ClientIdInUse):
                self._tell("critical", "W4 client id", str(silent), self.means.clock.now())
            return None
        self._stranger = self._not_ours(snapshot.accounts)
        return None if self._stranger else snapshot

    def _not_ours(self, accounts: Sequence[str]) -> str:
        """Why these accounts are not the one that must answer; empty when they are. Mode paper never sells real shares."""
        expected, mode = self.means.account, self.means.settings.mode
        if len(accounts) != 1 or expected not in {"", accounts[0]}:
            return f"the broker answers for {', '.join(accounts) or 'no account'}, not for {expected or 'one account'}"
        if (mode == "paper") != accounts[0].startswith("D"):
            return f"account {accounts[0]} is none of mode {mode}"
        return ""

    async def _clock_skew(self, now: datetime) -> timedelta | None:
        """Asked as often as the connection is probed. A broker that tells whole seconds is half a second behind on average."""
        probe = timedelta(seconds=self.means.settings.rhythm.probe_seconds)
        if self._skew_asked is None or now - self._skew_asked >= probe:
            self._skew_asked = now
            try:
                told = await self.means.broker.time()
            except DeskError:
                self._skew = None
            else:
                exact = told if told.microsecond else told + _HALF_A_SECOND
                self._skew = exact - self.means.clock.now()
        return self._skew

    def _state(self, seen: Seen, findings: Sequence[Finding]) -> State:
        """A halt that is open, in the ledger or in the file, lasts; one of this process also while the ledger does not answer."""
        if seen.ledger is not None and not seen.is_halted:
            self._noted = ""
        if any(each.level == "halt" for each in findings) or seen.is_halted or (seen.ledger is None and self._noted):
            return "HALTED"
        return "REDUCING" if any(each.level in {"reduce", "flatten"} for each in findings) else "ACTIVE"

    def _halt_for(self, seen: Seen, findings: Sequence[Finding]) -> None:
        """One halt for everything that is new; what an open halt names already is not halted for again."""
        named = " ; ".join([self._noted, seen.noted, *(seen.ledger.halts.values() if seen.ledger else ())])
        new = [each for each in findings if each.level == "halt" and f"{each.code}: " not in named]
        if new:
            self._halt("; ".join(f"{each.code}: {each.sentence}" for each in new), seen.now)

    def _halt(self, cause: str, now: datetime) -> None:
        """First of all the halt is durable: in the ledger, or on disk when the ledger cannot be written."""
        _LOG.critical("halt: %s", cause)
        self._noted = f"{self._noted} ; {cause}" if self._noted else cause
        try:
            self.means.ledger.halt(cause, as_of=now)
        except Exception as refused:  # noqa: BLE001 - whatever is wrong with the ledger, the halt must be durable
            _LOG.critical("the halt goes into the file, for the ledger failed: %s", refused)
            self.means.note.write(f"{cause}; the ledger could not be written: {refused}", by=PROCESS, as_of=now)

    def _page(self, finding: Finding, now: datetime) -> None:
        """One page for each thing that is wrong; that it is unanswered (W9) is no page of its own, the pager repeats it."""
        if finding.control != "W9":
            grave = finding.level in {"halt", "flatten"} or finding.control == "C29"
            self._tell("critical" if grave else "warning", finding.code, finding.sentence, now)

    def _tell(self, severity: Severity, code: str, sentence: str, now: datetime) -> None:
        try:
            self.means.ledger.page(severity, code, sentence, as_of=now)
        except DeskError as failed:
            _LOG.error("a page could not be recorded: %s: %s (%s)", code, sentence, failed)

    def _beat(self, ruling: Ruling, now: datetime) -> None:
        try:
            self.means.ledger.beat(ruling.text, self.means.identity, as_of=now)
        except DeskError as failed:
            _LOG.warning("no sign of life could be given: %s", failed)

    def _hear(self, _: BrokerEvent) -> None:
        """Events are not acted on: every look asks for everything."""


def _open_session(now: datetime) -> Session | None:
    session = XNYS.today(now)
    return session if session is not None and session.open <= now < session.close else None
