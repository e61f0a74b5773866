"""Tells the operator what is due: one notifier at a time for each book, and each thing told at least once.

Problem: whoever tells can be killed between telling and writing down that it told. Decision: told first, then written down, so that
a kill repeats one look and loses nothing; a lease keeps a second notifier quiet while the first one lives. Remaining gap: on a
channel that failed, news (fills, reports) that waited for it in memory goes with the process; the file has it.
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path

import sqlalchemy as sa

from resources.clock import RealClock
from resources.ledger.halt_file import FileHalt, HaltFile
from resources.ledger.state import Lease, LeaseLost, Leases
from resources.ledger.text import instant_text
from resources.notify.model import Notice, Page, Severity
from resources.notify.news import Batch, News
from resources.notify.outlets import Outlet
from resources.notify.pages import LedgerPages
from resources.notify.senders import Sender, open_senders, redactor_of
from resources.notify.settings import Notifications, load_notifications
from trading_assets.core.errors import DeskError, TransientFailure
from trading_assets.core.ports import Clock

LEASE = timedelta(seconds=30)
HALT_FILE = "halt file"
_LOG = logging.getLogger("desk.notifier")
_EVERY_S = 1.0


@dataclass
class _Now:
    """The instant of the look that is going on."""

    instant: datetime

    def now(self) -> datetime:
        """See Clock."""
        return self.instant


@dataclass(frozen=True, slots=True)
class Told:
    """What one look did: keys of what was told, whether another notifier is at it, and what kept this one from the ledger."""

    keys: tuple[str, ...] = ()
    elsewhere: bool = False
    problem: str = ""


class Notifier:
    """One look after another; `step` may be called from any thread, one call at a time.

    Args:
        engine: The ledger, or what opens it: one that cannot be opened is told, and tried again at each look.
        repeat: An unanswered page is sent again after so long.
        halt_file: The halt that needs no ledger; it is told as well.
        real: The machine's clock: leases and pauses run by it, whatever the desk's clock replays.
        holder: Who says so in the lease.
        at_point: Called between telling and writing down; a test dies there.
    """

    def __init__(
        self,
        engine: sa.Engine | Callable[[], sa.Engine],
        book: str,
        senders: Sequence[Sender],
        settings: Notifications,
        *,
        repeat: timedelta,
        redact: Callable[[str], str],
        halt_file: HaltFile | None = None,
        real: Clock | None = None,
        holder: str = "",
        at_point: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._book = book
        self._settings = settings
        self._repeat = repeat
        self._redact = redact
        self._halt_file = halt_file
        self._real = real or RealClock()
        self._holder = holder or f"notifier pid {os.getpid()}"
        self._at_point = at_point
        self._clock = _Now(self._real.now())
        self._engine = engine
        self._lease: Lease | None = None
        self._outlets = tuple(Outlet(sender, redact) for sender in senders)
        self._unwritten: frozenset[str] = frozenset()
        self._blind_since: datetime | None = None
        self._blind_told: datetime | None = None

    def step(self, now: datetime) -> Told:
        """Tells what is due at `now` of the desk's clock, on every channel at once, within the time-out of the settings.

        It never raises for what ledger or channels refuse: that is told where it can be told.
        """
        self._clock.instant = now
        try:
            self._open()
            if not self._is_mine():
                return Told(elsewhere=True)
            pages, batch = self._due(now)
        except DeskError as refused:
            return self._blind(now, refused)
        due = [*(self._of_page(page) for page in pages), *batch.notices]
        told = self._tell([notice for notice in due if notice.key not in self._unwritten])
        self._at_point("told")
        self._unwritten |= told
        try:
            self._write_down(pages, batch, now)
        except DeskError as refused:
            return self._blind(now, refused, told)
        self._blind_since = self._blind_told = None
        return Told(tuple(sorted(told)))

    def close(self) -> None:
        """Lets another notifier go on at once."""
        if self._lease is not None:
            try:
                self._leases.release(self._lease, as_of=self._real.now())
            except DeskError as refused:
                _LOG.warning("the notifier's lease runs out by itself: %s", refused)

    def _open(self) -> None:
        if not isinstance(self._engine, sa.Engine):
            self._engine = self._engine()

    @cached_property
    def _leases(self) -> Leases:
        return Leases(self._ledger)

    @cached_property
    def _pages(self) -> LedgerPages:
        return LedgerPages(self._ledger, self._book)

    @cached_property
    def _news(self) -> News:
        return News(self._ledger, self._book, self._clock)

    @property
    def _ledger(self) -> sa.Engine:
        if not isinstance(self._engine, sa.Engine):
            raise TransientFailure("the ledger was not opened yet", hint="desk doctor")
        return self._engine

    def _is_mine(self) -> bool:
        """Whether this one tells. The lease outlives a look, for it is renewed while half of it is left."""
        now, ttl = self._real.now(), max(LEASE, timedelta(seconds=4 * self._settings.timeout_seconds))
        try:
            if self._lease is not None:
                if self._lease.until - now < ttl / 2:
                    self._lease = self._leases.renew(self._lease, as_of=now, ttl=ttl)
                return True
        except LeaseLost:
            self._lease = None
        self._lease = self._leases.acquire(f"notifier:{self._book}", self._holder, as_of=now, ttl=ttl)
        return self._lease is not None

    def _due(self, now: datetime) -> tuple[Sequence[Page], Batch]:
        standing = self._halt_file.read() if self._halt_file is not None else None
        if standing is not None and not self._pages.was_raised(_code_of(standing)):
            self._pages.raise_page("critical", _code_of(standing), _halted(standing.cause), as_of=now)
        self._pages.follow_halts(as_of=now)
        self._news.reports(as_of=now)
        batch = self._news.read(as_of=now)
        unanswered = {page.id for page in self._pages.unanswered()}
        for outlet in self._outlets:
            outlet.drop_answered(unanswered)
        return self._pages.due(now, self._repeat), batch

    def _write_down(self, pages: Sequence[Page], batch: Batch, now: datetime) -> None:
        """What was told counts as told in the ledger, now or when it can be written again; until then it is not told anew."""
        self._pages.sent([page.id for page in pages if _key(page) in self._unwritten], as_of=now)
        if all(notice.key in self._unwritten for notice in batch.notices):
            self._news.told(batch.through)
        self._unwritten = frozenset()

    def _tell(self, notices: Sequence[Notice]) -> frozenset[str]:
        """Hands everything to every channel and waits; a channel that took it before counts as well."""
        real = self._real.now()
        ended = [(outlet, *outlet.finish(0.0, real)) for outlet in self._outlets if outlet.is_late]
        for outlet in self._outlets:
            outlet.add([self._safe(notice) for notice in notices])
            outlet.begin(real)
        deadline = time.monotonic() + self._settings.timeout_seconds
        ended += [(outlet, *outlet.finish(deadline - time.monotonic(), real)) for outlet in self._outlets]
        told = {key for _, keys, _ in ended for key in keys}
        problems = [(outlet, problem) for outlet, _, problem in ended if problem]
        self._tell_problems(problems, deadline, real)
        return frozenset(told)

    def _tell_problems(self, problems: Sequence[tuple[Outlet, str]], deadline: float, real: datetime) -> None:
        """What is wrong with a channel is told on console and file, but for that channel itself."""
        for broken, problem in problems:
            _LOG.warning("%s", problem)
            code = f"channel {broken.sender.name}"
            told = self._safe(Notice(f"{code} {real.isoformat()}", self._book, "warning", code, problem, real))
            for outlet in self._outlets:
                if outlet.sender.is_local and outlet is not broken:
                    outlet.add([told])
                    outlet.begin(real)
                    outlet.finish(max(0.1, deadline - time.monotonic()), real)

    def _blind(self, now: datetime, refused: DeskError, before: frozenset[str] = frozenset()) -> Told:
        """The ledger does not answer: that is told, and what the halt file says; again as often as a page."""
        real = self._real.now()
        self._blind_since = self._blind_since or real
        if self._blind_told is not None and real - self._blind_told < self._repeat:
            return Told(tuple(sorted(before | self._tell([]))), problem=str(refused))
        standing = self._halt_file.read() if self._halt_file is not None else None
        notices = [self._blind_notice("ledger", f"the ledger does not answer, and pages wait: {refused}", now)]
        if standing is not None:
            notices.append(self._blind_notice(HALT_FILE, _halted(standing.cause), now))
        told = self._tell(notices)
        if told:
            self._blind_told = real
        return Told(tuple(sorted(before | told)), problem=str(refused))

    def _blind_notice(self, code: str, sentence: str, now: datetime) -> Notice:
        severity: Severity = "critical"
        return Notice(f"{code} {self._blind_since}", self._book, severity, code, sentence, now)

    def _of_page(self, page: Page) -> Notice:
        return Notice(
            _key(page), page.book, page.severity, page.code, page.sentence, page.raised_at, page.id, page.sends
        )

    def _safe(self, notice: Notice) -> Notice:
        """Without secrets."""
        return Notice(
            notice.key,
            notice.book,
            notice.severity,
            self._redact(notice.code),
            self._redact(notice.sentence),
            notice.at,
            notice.page,
            notice.sends,
        )


class Beside(threading.Thread):
    """A notifier in a thread of its own, beside a loop that must not wait for it; it dies with its process."""

    def __init__(self, notifier: Notifier, clock: Clock, every_s: float = _EVERY_S) -> None:
        super().__init__(name="notifier", daemon=True)
        self._notifier = notifier
        self._clock = clock
        self._every_s = every_s
        self._over = threading.Event()

    def run(self) -> None:
        """Looks until `stop`."""
        while not self._over.wait(self._every_s):
            try:
                self._notifier.step(self._clock.now())
            except Exception:  # noqa: BLE001 - a bug in one look must not end all others
                _LOG.exception("a look of the notifier failed")

    def stop(self) -> None:
        """Ends after the look that is going on, and lets another notifier go on."""
        self._over.set()
        if self.is_alive():
            self.join()
        self._notifier.close()


@contextmanager
def telling(notifier: Notifier, clock: Clock, every_s: float = _EVERY_S) -> Iterator[Notifier]:
    """A notifier beside whatever the block does."""
    beside = Beside(notifier, clock, every_s)
    beside.start()
    try:
        yield notifier
    finally:
        beside.stop()


def open_notifier(
    engine: sa.Engine | Callable[[], sa.Engine],
    book: str,
    home: Path,
    folder: Path,
    environment: Mapping[str, str],
    *,
    repeat: timedelta,
) -> Notifier:
    """The notifier of the settings in `folder`.

    Args:
        home: The desk's home, for the file and the halt file.
        environment: Where the addresses stand.
        repeat: As of `Notifier`; `watch.repeat_minutes` of config/execution.yaml.

    Raises:
        ConfigurationError: The settings are wrong, or an address is missing.
    """
    settings = load_notifications(folder)
    redact = redactor_of(settings, environment)
    senders = open_senders(settings, home, environment)
    return Notifier(engine, book, senders, settings, repeat=repeat, redact=redact, halt_file=HaltFile(home))


def _key(page: Page) -> str:
    return f"page {page.id}"


def _code_of(standing: FileHalt) -> str:
    """One page for each file: its answer silences that file, and not the next one."""
    return f"{HALT_FILE} {instant_text(standing.at) if standing.at else standing.cause}"


def _halted(cause: str) -> str:
    return f'halted by a file in the desk\'s home: {cause}; next: desk status, then desk resume ID "why"'
