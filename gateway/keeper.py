"""What must be looked at all the time: the lease, halts, the limits file, the watchdog, and what all of it allows now."""

import json
import logging
from datetime import date, datetime, timedelta

from gateway.means import Means, Setup
from gateway.view import View
from resources.ledger.state import LeaseLost
from trading_assets.broker.lifecycle import Known
from trading_assets.broker.model import Snapshot
from trading_assets.core.calendar import NEW_YORK
from trading_assets.core.errors import DeskError, TradingHalted
from trading_assets.execution.dispatch import Equity
from trading_assets.execution.ports import Halt
from trading_assets.signatures.state import Standing, StateRuling, live_state

_LOG = logging.getLogger("desk.gateway")


class Keeper:
    """Holds the lease, says that the gateway lives, and rules what may be done."""

    def __init__(self, setup: Setup, means: Means, view: View) -> None:
        self._setup = setup
        self._means = means
        self._view = view
        self._renewed = self._beaten = float("-inf")
        self._quoted_at: datetime | None = None
        self._silent_since: float | None = None
        self._marked: tuple[tuple[Snapshot | None, tuple[Halt, ...], date], Equity] | None = None
        self._counted: tuple[Known, date, int] | None = None
        self._released = False

    def take_lease(self) -> None:
        """Acquires the lease, after a look at the limits file. TradingHalted names whoever has it."""
        if self._means.limits_hash() != self._setup.limits_hash:
            raise TradingHalted("the limits file changed while the gateway was starting", hint="start it again")
        holder = self._means.tenure.acquire(as_of=self._means.clock.now())
        if holder:
            raise TradingHalted(
                f"another gateway holds the lease of book {self._setup.book}",
                value=holder,
                hint="stop that process, or wait until its lease has run out",
            )
        self._renewed = self._means.monotonic()

    def keep(self) -> None:
        """Renews, looks and beats, each when it is due; a ledger that does not answer closes the desk to entries.

        Raises:
            LeaseLost: Another gateway took over, or the lease ran out: this one must send nothing any more.
        """
        try:
            self._renew()
            self._look()
            self._silent_since = None
            self._view.problems.pop("ledger", None)
        except LeaseLost:
            raise
        except DeskError as failed:
            self._ledger_failed(failed)
        self._beat()

    def halt(self, cause: str) -> None:
        """Records a halt, in a file where the ledger cannot be written; nothing opens from here on."""
        now = self._means.clock.now()
        self._view.ruling = StateRuling("HALTED", cause)
        self._view.halts = (*self._view.halts, Halt(0, cause, now))
        try:
            self._means.store.halt(cause, as_of=now)
        except DeskError as failed:
            _LOG.critical("the halt goes into the file, for the ledger failed: %s", failed)
            self._means.write_halt(cause, now)

    def _renew(self) -> None:
        """Before anything else of a round, so that a process that slept learns of it before it does anything."""
        now = self._means.clock.now()
        until = self._means.tenure.until
        due = self._means.monotonic() - self._renewed >= self._setup.settings.rhythm.lease_seconds / 3
        if due or until is None or until <= now:
            self._means.tenure.renew(as_of=now)
            self._renewed = self._means.monotonic()

    def _look(self) -> None:
        now, store = self._means.clock.now(), self._means.store
        if self._means.limits_hash() != self._setup.limits_hash:
            store.halt("C32 limits: the limits file is not the one that the gateway was started with", as_of=now)
        in_file = self._means.halt_file()
        open_halts = tuple(store.halts())
        self._view.halts = (*open_halts, *((Halt(0, in_file, now),) if in_file else ()))
        self._view.ruling = self._ruling(now, open_halts, in_file)
        if self._view.ruling.state == "ACTIVE" and (why := self._trouble()):
            self._view.ruling = StateRuling("REDUCING", why, flatten=self._view.ruling.flatten)

    def _ruling(self, now: datetime, halts: tuple[Halt, ...], in_file: str) -> StateRuling:
        """What losses, stop-outs, halts, the watchdog and the age of the last look allow; a new halt is recorded at once."""
        view, day = self._view, now.astimezone(NEW_YORK).date()
        marks = self._marks(day, halts)
        standing = Standing(
            equity=view.values.equity,
            day_open=marks.day_open,
            peak=marks.peak,
            stop_outs=self._stop_outs(day, now),
            halts=tuple(halt.cause for halt in halts),
            halt_file=in_file,
            watchdog_age=self._means.signs.age("watchdog", as_of=now),
            watchdog_age_max=timedelta(seconds=self._setup.settings.watch.watchdog_seconds),
            reconciled_age=None if view.reconciled_at is None else now - view.reconciled_at,
            breaker=view.closed.get("", ""),
            ever_released=self._was_released(),
        )
        ruling = live_state(standing, self._setup.preferences)
        if ruling.halt is not None:
            self._means.store.halt(ruling.halt, as_of=now)
        return ruling

    def _marks(self, day: date, halts: tuple[Halt, ...]) -> Equity:
        """Read again when what they follow from may have changed: a snapshot, a halt or its answer, the day."""
        follows_from = (self._view.snapshot, halts, day)
        before = self._marked
        if before is None or before[0][0] is not self._view.snapshot or before[0][1:] != follows_from[1:]:
            before = self._marked = (follows_from, self._means.store.equity(day))
        return before[1]

    def _stop_outs(self, day: date, now: datetime) -> int:
        """Read again when anything was booked or looked at, or a day begins: only this process books."""
        if self._counted is None or self._counted[0] is not self._view.known or self._counted[1] != day:
            self._counted = (self._view.known, day, self._means.store.counters(day, decision="", as_of=now).stop_outs)
        return self._counted[2]

    def _was_released(self) -> bool:
        """An operator's first answer stays one."""
        self._released = self._released or self._means.released()
        return self._released

    def _trouble(self) -> str:
        """Why nothing may open, for reasons that no control knows; empty when there is none."""
        link = {"up": "", "down": "the broker is not connected", "broken": "the broker has lost its own line"}
        linked = link.get(self._view.link, "no complete look since the connection began")
        why = [linked, self._watchdogs_word(), *self._view.problems.values()]
        return "; ".join(reason for reason in why if reason)

    def _watchdogs_word(self) -> str:
        """Why the watchdog lets nothing open; how old its word is, the trading state judges."""
        try:
            told = json.loads(self._means.signs.word("watchdog", as_of=self._means.clock.now()))
        except ValueError:
            return ""
        allows = isinstance(told, dict) and told.get("state") == "ACTIVE"
        return "" if allows else f"the watchdog: {told}"[:400]

    def _ledger_failed(self, failed: DeskError) -> None:
        _LOG.error("the ledger does not answer: %s", failed)
        self._view.problems["ledger"] = failed.what
        self._view.ruling = StateRuling("REDUCING", f"the ledger does not answer: {failed.what}")
        now = self._means.monotonic()
        self._silent_since = now if self._silent_since is None else self._silent_since
        if now - self._silent_since >= self._setup.settings.rhythm.lease_seconds / 2:
            self._means.write_halt(f"the ledger does not answer: {failed.what}", self._means.clock.now())

    def _beat(self) -> None:
        """Says what the gateway is doing, and that quotes arrive."""
        monotonic, now = self._means.monotonic(), self._means.clock.now()
        if monotonic - self._beaten < self._setup.settings.rhythm.heartbeat_seconds:
            return
        self._beaten = monotonic
        try:
            self._means.signs.beat("gateway", self._words(), as_of=now)
            newest = max((quote.at for quote in self._view.quotes.values() if quote.kind == "live"), default=None)
            if newest is not None and newest != self._quoted_at:
                self._means.signs.beat("feed", newest.isoformat(), as_of=now)
                self._quoted_at = newest
        except DeskError as failed:
            self._ledger_failed(failed)

    def _words(self) -> str:
        view = self._view
        told = {
            "state": view.ruling.state,
            "reason": view.ruling.reason[:400],
            "link": view.link,
            "reconciled_at": view.reconciled_at.isoformat() if view.reconciled_at else None,
        }
        return json.dumps(told, sort_keys=True)
