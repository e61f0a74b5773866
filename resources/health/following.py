"""Round after round: what was found is recorded, and what changed and lasts is told.

Problem: a value that swings around its bound would page with every swing, and a restart would tell everything anew. Decision: a
state is told when two rounds in a row found it, and each round records what has been told. A critical state is a page that
repeats until it is answered, and its recovery answers it; everything else is news, told once. Remaining gap: where the ledger
cannot be written nobody is paged by this process; it says so in its log and on /healthz, and the watchdog watches the ledger.
"""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from resources.clock import RealClock
from resources.health.checks import examine
from resources.health.model import STATES, Check, Report, State, told_in
from resources.health.sight import BOOK, Eyes, Round
from resources.ledger.bus import publish
from resources.ledger.health import SqlHealth
from resources.notify.pages import LedgerPages
from trading_assets.core.calendar import NEW_YORK
from trading_assets.core.errors import ConfigurationError, DeskError
from trading_assets.core.messages import Alert, Draft
from trading_assets.core.ports import Clock

ROUNDS = 2
_DAYS = 14
SENDER = "health"
_LOG = logging.getLogger("desk.health")


@dataclass(frozen=True, slots=True)
class Change:
    """A check that has a lasting new state."""

    check: Check
    before: State
    after: State

    @property
    def code(self) -> str:
        """Of pages and alerts."""
        return code_of(self.check.name)

    @property
    def sentence(self) -> str:
        """For a person, with the next command."""
        if STATES.index(self.after) < STATES.index(self.before):
            return f"{self.check.name} is {self.after} again: {self.check.sentence}"
        return f"{self.check.sentence}{f'; next: {self.check.hint}' if self.check.hint else ''}"


def code_of(name: str) -> str:
    """The code under which a check is told; no code begins with another one."""
    return f"health/{name}."


class Lasting:
    """Which state of each check lasts. `told` is what was told so far; a check that was never told counts as normal."""

    def __init__(self, told: Mapping[str, State]) -> None:
        self.told: dict[str, State] = dict(told)
        self._seen: dict[str, tuple[State, int]] = {}

    def take(self, report: Report) -> list[Change]:
        """The checks whose new state was found in `ROUNDS` rounds in a row, which then counts as told."""
        changes = []
        for check in report.checks:
            state, before = check.told, self.told.get(check.name, "normal")
            newest, times = self._seen.get(check.name, (state, 0))
            times = times + 1 if newest == state else 1
            self._seen[check.name] = (state, times)
            if state != before and times >= ROUNDS:
                self.told[check.name] = state
                changes.append(Change(check, before, state))
        return changes


class Follower:
    """Looks, records and tells; one round a call.

    Args:
        engine: The ledger; None where it could not be opened: then nothing is recorded and nobody is paged.
        counter: Seconds that never step, for the steps of the machine's clock.
    """

    def __init__(
        self,
        eyes: Eyes,
        engine: sa.Engine | None,
        *,
        machine: Clock | None = None,
        counter: Callable[[], float] = time.monotonic,
    ) -> None:
        self._eyes = eyes
        self._engine = engine
        self._machine = machine or RealClock()
        self._counter = counter
        self._before: tuple[datetime, float] | None = None
        self._lasting: Lasting | None = None

    @property
    def records(self) -> bool:
        """Whether it has a ledger."""
        return self._engine is not None

    def step(self) -> Round:
        """One round; what ledger or configuration refuse becomes a critical check of the round."""
        drift, sight = self._drift(), None
        try:
            sight = self._eyes.look()
            report, days = examine(sight, drift_s=drift), sight.operations.telemetry.logs_days
        except ConfigurationError as refused:
            report, days = self._misconfigured(refused), _DAYS
        try:
            self._record(report, timedelta(days=days))
        except DeskError as refused:
            _LOG.critical("health could not be recorded: %s", refused)
            report = _unwritten(report, str(refused))
        return Round(report, sight)

    def _misconfigured(self, refused: ConfigurationError) -> Report:
        check = Check("configuration", "critical", "not readable", "", str(refused), "desk doctor")
        return Report(self._eyes.now(), self._machine.now(), (check,))

    def _record(self, report: Report, days: timedelta) -> None:
        if self._engine is None:
            return
        store = SqlHealth(self._engine)
        if self._lasting is None:
            newest = store.newest()
            self._lasting = Lasting(told_in(newest[0].checks) if newest else {})
        changes = self._lasting.take(report)
        recorded = {**report.as_json(), "told": self._lasting.told}
        store.record(report.state, recorded, as_of=report.at, keep_from=report.at - days)
        for change in changes:
            self._tell(self._engine, change, report.at)

    def _tell(self, engine: sa.Engine, change: Change, at: datetime) -> None:
        level = logging.CRITICAL if change.after == "critical" else logging.WARNING
        _LOG.log(level, "%s: %s to %s: %s", change.check.name, change.before, change.after, change.sentence)
        pages = LedgerPages(engine, BOOK)
        if change.before == "critical":
            pages.answer_all(change.code, f"by itself: {change.sentence}", as_of=at)
        if change.after == "critical":
            pages.raise_page("critical", change.code, change.sentence, as_of=at)
            return
        told = Alert(severity="info", code=change.code, sentence=change.sentence)
        publish(engine, [Draft(BOOK, at.astimezone(NEW_YORK).date(), at, SENDER, told)])

    def _drift(self) -> float:
        """By how much the machine's clock ran apart from the counter since the last round, seconds."""
        now, counted = self._machine.now(), self._counter()
        before, self._before = self._before, (now, counted)
        if before is None:
            return 0.0
        return (now - before[0]).total_seconds() - (counted - before[1])


def _unwritten(report: Report, why: str) -> Report:
    refused = Check("ledger", "critical", "not writable", "", f"the ledger cannot be written: {why}", "desk doctor")
    others = tuple(check for check in report.checks if check.name != "ledger")
    return Report(report.at, report.machine, (*others, refused))
